"""Modes of a stacked set that generators cover, and KL to the uniform, at equal training time. Run by hand:

OMP_NUM_THREADS=1 python tests/benchmarks/stacked.py digits 120 tests/benchmarks/stacked.json

The first word is the source that is stacked, the second the CPU seconds of training for each row. All rows train one
thread on the same images, unconditionally; all but `dcgan (its own)` have the same discriminator body and recipe.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from environment import environment

from gangda.classifying.fit import FittedClassifier, fit_classifier
from gangda.config import architectures
from gangda.config.schema import ClassifierConfig, DataConfig, Runtime
from gangda.data.images import IntArray, LabelledImages
from gangda.data.loading import load_splits
from gangda.data.sources.stacked import channels_apart
from gangda.metrics.modes import modes_and_kl, modes_of
from gangda.runtime.device import DeviceContext, prepare
from gangda.zoo.base import Generator, Networks
from gangda.zoo.draw import BLOCK, draw_block
from gangda.zoo.networks import build_networks

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from training_setup import begin, configured

SAMPLES = 25_600
SEEDS = (0, 1)

Contestant = tuple[str, dict[str, object], Callable[[Networks, Networks], Networks]]


def own(networks: Networks, other: Networks) -> Networks:
    """As the architecture builds them."""
    return networks


def dcgan_generator(networks: Networks, other: Networks) -> Networks:
    """DCGAN's generator against MAD-GAN's discriminator with K = 1, which is a plain real-or-not discriminator."""
    return dataclasses.replace(networks, generator=other.generator)


CONTESTANTS: dict[str, Contestant] = {
    "dcgan (its own)": ("dcgan", {}, own),
    "dcgan": ("madgan", {"generators": 1}, dcgan_generator),
    "madgan K=1": ("madgan", {"generators": 1}, own),
    "madgan K=3": ("madgan", {"generators": 3}, own),
    "madgan K=5": ("madgan", {"generators": 5}, own),
}


def train(
    contestant: Contestant, images: LabelledImages, seconds: float, seed: int, context: DeviceContext
) -> tuple[Generator, int]:
    """The average generator after so many CPU seconds, and its steps."""
    arch, options, change = contestant
    unconditional = {"conditional": False} if arch == "madgan" else {}
    config = configured(arch, {**options, **unconditional}, images.image_shape[1], batch_size=64)
    torch.manual_seed(seed)
    shape, classes = images.image_shape, images.num_classes
    dcgan = build_networks("dcgan", architectures.DcganSpec(), shape, classes)
    networks = change(build_networks(arch, config.spec, shape, classes), dcgan)
    state, loop = begin(config, networks, images, context, seed=seed)
    stop = time.process_time() + seconds
    while time.process_time() < stop:
        next(loop)
    return state.ema, state.step


def found_by(generator: Generator, classifier: FittedClassifier, context: DeviceContext) -> IntArray:
    """Modes of 25,600 samples, dealt out to all generators alike."""
    blocks = (draw_block(generator, 0, block, seed=0, context=context) for block in range(SAMPLES // BLOCK))
    return np.concatenate([modes_of(classifier, block.pixels) for block in blocks])


def main() -> None:
    source, seconds = sys.argv[1], float(sys.argv[2])
    context = prepare(Runtime(threads=1))
    splits = load_splits(DataConfig(source=f"stacked:{source}", validation=0.0), 0)
    classifier = fit_classifier(
        channels_apart(splits.train), ClassifierConfig(classifier_steps=1000), seed=0, context=context
    )
    total = splits.train.num_classes
    agreed = float((modes_of(classifier, splits.test.pixels) == splits.test.labels).mean())
    drawn = np.random.default_rng(0).integers(0, len(splits.train), SAMPLES)
    floor = modes_and_kl(modes_of(classifier, splits.train.pixels[drawn]), total)
    result = {
        "source": source,
        "seconds": seconds,
        "clock": "CPU seconds of one thread",
        **environment(context),
        "right_modes_on_test": round(agreed, 4),
        "training images": {"modes": floor[0], "kl": round(floor[1], 4)},
        "rows": [],
    }
    for seed in SEEDS:
        for name, contestant in CONTESTANTS.items():
            generator, count = train(contestant, splits.train, seconds, seed, context)
            modes, kl = modes_and_kl(found_by(generator, classifier, context), total)
            row = {"name": name, "seed": seed, "steps": count, "modes": modes, "kl": round(kl, 4)}
            print(json.dumps(row), flush=True)
            result["rows"].append(row)
            if len(sys.argv) > 3:  # row by row: it takes long, and a part is worth keeping
                Path(sys.argv[3]).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
