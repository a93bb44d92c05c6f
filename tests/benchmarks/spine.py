"""Speed of the spine, as ratios and rates measured side by side in one process. Run by hand on a quiet machine:

python tests/benchmarks/spine.py tests/benchmarks/spine.json
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from environment import environment
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gangda.configs import ClassifierConfig, Recipe, Runtime
from gangda.data.images import LabelledImages, real_images
from gangda.data.set_pieces import make_piece
from gangda.data.shards import SetHeader, set_being_written
from gangda.moves.draw import to_float
from gangda.moves.fit import build_classifier, fit_classifier
from gangda.moves.loop import ResidentImages, make_game, new_state, steps
from gangda.moves.model import build_networks
from gangda.runtime.device import Machine, prepare
from gangda.specs import CdcganSpec

ROUNDS = 5


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def alternate(*works: Callable[[], object]) -> list[float]:
    """Median seconds of each, after a warm-up, taking turns."""
    for work in works:
        work()
    rounds = [[seconds(work) for work in works] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def images(count: int) -> LabelledImages:
    rng = np.random.default_rng(0)
    return real_images(
        rng.integers(0, 256, (count, 28, 28, 1), np.uint8), np.arange(count) % 10, list("0123456789")
    )


def lenet(machine: Machine) -> dict[str, float]:
    """100 steps of 64 against the usual DataLoader loop over tensors."""
    train = images(6400)

    def plain() -> None:
        tensors = TensorDataset(
            to_float(torch.tensor(train.pixels).permute(0, 3, 1, 2)), torch.tensor(train.labels)
        )
        network = build_classifier("lenet", 10, (1, 28, 28))
        optimiser = torch.optim.AdamW(network.parameters())
        for x, y in DataLoader(tensors, batch_size=64, shuffle=True):
            loss = nn.functional.cross_entropy(network(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    ours, theirs = alternate(
        lambda: fit_classifier(train, ClassifierConfig(classifier_steps=100), seed=0, machine=machine), plain
    )
    return {"images_per_second": 6400 / ours, "times_a_plain_loop": theirs / ours}


def training(machine: Machine) -> dict[str, float]:
    """The default architecture and recipe on 28x28."""
    train, spec, recipe = images(5000), CdcganSpec(), Recipe()
    state = new_state(build_networks("cdcgan", spec, train.image_shape, 10), recipe, machine)
    loop = steps(
        state, make_game(spec, state.networks, recipe), ResidentImages(train, 0, machine), recipe, machine
    )
    (taken,) = alternate(lambda: [next(loop) for _ in range(40)])
    return {"images_per_second": 40 * recipe.batch_size / taken}


def writers() -> dict[str, float]:
    """20,000 28x28 images into each format."""
    pool = images(20000)

    def write(kind: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            data = {"fingerprint": "", "config": None, "seed": 0}
            total = tuple(pool.counts().tolist())
            header = SetHeader(
                "samples", kind, "k" * 16, pool.class_names, pool.image_shape, total, data=data
            )
            with set_being_written(Path(folder) / "set", header) as writer:
                for first in range(0, len(pool), 1000):
                    rows = slice(first, first + 1000)
                    writer.write(make_piece(pool.pixels[rows], pool.labels[rows], first, 2))

    kinds = ("npz", "png", "idx")
    taken = alternate(*[lambda kind=kind: write(kind) for kind in kinds])
    return {f"{kind}_images_per_second": len(pool) / each for kind, each in zip(kinds, taken, strict=True)}


def helps() -> dict[str, float]:
    """Whole-process seconds of --help."""
    commands = {"gangda": [], "gangda train": ["train"], "gangda compare": ["compare"]}
    call = [sys.executable, "-m", "gangda"]
    taken = alternate(
        *[
            lambda words=words: subprocess.run([*call, *words, "--help"], capture_output=True, check=True)
            for words in commands.values()
        ]
    )
    return {f"{name} --help, seconds": each for name, each in zip(commands, taken, strict=True)}


def main() -> None:
    machine = prepare(Runtime())
    result = {
        **environment(machine),
        "lenet": lenet(machine),
        "training": training(machine),
        "writers": writers(),
        "help": helps(),
    }
    text = json.dumps(result, indent=2)
    print(text)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text + "\n")


if __name__ == "__main__":
    main()
