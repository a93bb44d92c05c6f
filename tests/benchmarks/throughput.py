"""Rates of everything but training a GAN: loading, classifiers, sampling, writing, scoring; a million images in memory.

python tests/benchmarks/throughput.py tests/benchmarks/throughput.json [PART ...]

Run by hand on a quiet machine; with names of parts, only these, the others stay as the file has them. What is
compared takes turns in one process; figures are medians. Files are deleted at the end alone: without a journal, ext4
searches long for inodes while many have just been freed.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from environment import environment
from idx_files import write_idx
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision import transforms

from gangda.classifying.fit import build_classifier, fit_classifier
from gangda.config import architectures
from gangda.config.catalog import FORMATS
from gangda.config.schema import ClassifierConfig, DataConfig, Runtime, SampleConfig
from gangda.data.images import LabelledImages, generated_images, real_images, to_float
from gangda.data.loading import load_source, load_splits
from gangda.data.sample_set import SetHeader, set_being_written
from gangda.runtime.device import DeviceContext, evaluating, prepare
from gangda.sampling import sample
from gangda.scoring import score
from gangda.training.saved_model import ModelCard, load_model, save_model
from gangda.zoo.networks import build_networks

ROUNDS = 5
NAMES = [str(digit) for digit in range(10)]


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def alternate(*works: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Median seconds of each, after a warm-up, taking turns."""
    for work in works:
        work()
    taken = [[seconds(work) for work in works] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def images(count: int) -> LabelledImages:
    """Smooth 28x28 images in class order, about as compressible as photographs of clothes."""
    rng = np.random.default_rng(0)
    coarse = torch.tensor(rng.normal(0, 1, (count, 1, 6, 6)), dtype=torch.float32)
    fine = nn.functional.interpolate(coarse, size=(28, 28), mode="bilinear")
    pixels = fine.mul(140).clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
    return real_images(pixels, np.sort(np.arange(count) % 10), NAMES)


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """What tutorials do: a PIL image each time, ToTensor and Normalize (as torchvision.datasets.MNIST gives them)."""

    def __init__(self, data: LabelledImages) -> None:
        self.pixels, self.labels = data.pixels, data.labels
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        picture = transforms.functional.to_pil_image(self.pixels[row])
        return self.transform(picture), int(self.labels[row])


def plain_loop(data: Dataset[Any]) -> None:
    """One pass of the usual training loop: fp32, batches of 64, Adam with weight decay."""
    network = build_classifier("lenet", 10, (1, 28, 28))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    total = 0.0
    for x, y in DataLoader(data, batch_size=64, shuffle=True):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()


def lenet(context: DeviceContext, folder: Path) -> dict[str, float]:
    """100 steps of 64: gangda's, the usual loop over pictures, and the loop over tensors made beforehand."""
    train = images(6400)
    tensors = TensorDataset(
        to_float(torch.tensor(train.pixels).permute(0, 3, 1, 2)), torch.tensor(train.labels)
    )
    config = ClassifierConfig(classifier_steps=100)
    ours, pictures, resident = alternate(
        lambda: fit_classifier(train, config, seed=0, context=context),
        lambda: plain_loop(Pictures(train)),
        lambda: plain_loop(tensors),
    )
    return {
        "images_per_second": 6400 / ours,
        "times_a_plain_loop": pictures / ours,
        "times_a_plain_loop_over_tensors": resident / ours,
    }


def loading(context: DeviceContext, folder: Path) -> dict[str, float]:
    """70,000 images as IDX files, plain and gzipped: decoded, checked, fingerprinted, ready to be split."""
    pixels, labels = images(70_000).pixels[..., 0], np.arange(70_000, dtype=np.uint8) % 10
    times = {}
    for ending in ("", ".gz"):
        place = folder / f"idx{ending}"
        for part, rows in (("train", slice(60_000)), ("t10k", slice(60_000, None))):
            for name, array in (("images-idx3", pixels), ("labels-idx1", labels)):
                write_idx(place / f"{part}-{name}-ubyte{ending}", array[rows])
        (times[f"idx{ending}, seconds"],) = alternate(
            lambda place=place: load_source(DataConfig(source=str(place)))
        )
    return times


def header(data: LabelledImages, kind: str) -> SetHeader:
    """That of a sample set of these images."""
    total = tuple(data.counts().tolist())
    about = {"fingerprint": "", "config": None, "seed": 0}
    return SetHeader("samples", kind, "k" * 16, data.class_names, data.image_shape, total, data=about)


def writers(context: DeviceContext, folder: Path) -> dict[str, float]:
    """20,000 images into each format, from memory to a flushed disk; PNG also to memory, without the disk."""
    pool = images(20_000)

    def write(kind: str, place: Path) -> float:
        def all_of_it() -> None:
            with set_being_written(place, header(pool, kind)) as writer:
                for first in range(0, len(pool), 128):
                    rows = slice(first, first + 128)
                    writer.write(generated_images(pool.pixels[rows], pool.labels[rows], NAMES), first)

        return len(pool) / seconds(all_of_it)

    rates: dict[str, list[float]] = {}
    memory = Path(tempfile.mkdtemp(dir="/dev/shm"))
    for round in range(ROUNDS):
        for kind in FORMATS:
            rates.setdefault(kind, []).append(write(kind, folder / f"{kind}-{round}"))
        rates.setdefault("png_to_memory", []).append(write("png", memory / str(round)))
    shutil.rmtree(memory)
    return {f"{kind}_images_per_second": statistics.median(several) for kind, several in rates.items()}


def model(folder: Path) -> Path:
    """A run folder with the default generator, untrained."""
    torch.manual_seed(0)
    spec = architectures.CdcganSpec().resolved(28)
    generator = build_networks("cdcgan", spec, (1, 28, 28), 10).generator
    card = ModelCard("cdcgan", asdict(spec), (1, 28, 28), tuple(NAMES), {}, "", 0, 1, "fp32", "run")
    save_model(folder, generator, card, np.arange(1))
    return folder


def sampling(context: DeviceContext, folder: Path) -> dict[str, float]:
    """The whole engine, from reading the model to the last byte of NPZ, against the bare generator's forward passes."""
    run, count = model(folder / "run"), 20_480
    generator = load_model(run).generator
    generator = generator.to(memory_format=torch.channels_last) if context.channels_last else generator
    runtime, done = Runtime(threads=context.threads), 0

    def engine() -> None:
        nonlocal done
        done += 1
        sample(run, SampleConfig(per_class=count // 10, format="npz"), runtime, folder / f"samples-{done}")

    def bare(block: int) -> None:
        y = torch.zeros(block, dtype=torch.int64)
        with evaluating(generator), context.autocast():
            for _ in range(count // block):
                generator(torch.randn(block, generator.latent_dim), y)

    blocks = (64, 128, 256, 512)
    ours, *theirs = alternate(engine, *[lambda block=block: bare(block) for block in blocks])
    best = min(theirs)
    return {
        "images_per_second": count / ours,
        "generator_alone_images_per_second": count / best,
        "generator_alone_best_block": blocks[theirs.index(best)],
        "share_of_the_generators_rate": best / ours,
    }


def scoring(context: DeviceContext, folder: Path) -> dict[str, float]:
    """10,000 samples (training images, changed a little) against Fashion-MNIST's 10,000: a first and a second set."""
    config = DataConfig(source="fashion-mnist")
    train = load_splits(config, 0).train
    rows = np.concatenate([np.flatnonzero(train.labels == label)[:1000] for label in range(10)])
    times = []
    for seed in (0, 1):
        noise = np.random.default_rng(seed).integers(-20, 21, (len(rows), 28, 28, 1))
        pixels = (train.pixels[rows] + noise).clip(0, 255).astype(np.uint8)
        made, place = generated_images(pixels, train.labels[rows], train.class_names), folder / f"made-{seed}"
        with set_being_written(place, header(made, "npz")) as writer:
            writer.write(made, 0)
        for again in ("", "-again"):
            out = folder / f"score-{seed}{again}"
            runtime = Runtime(threads=context.threads)
            times.append(seconds(lambda: score(place, config, ClassifierConfig(), runtime, out)))
    names = ("nothing cached", "the same again", "another set against the same data", "that again")
    return {f"{name}, seconds": value for name, value in zip(names, times, strict=True)}


def million(context: DeviceContext, folder: Path) -> dict[str, dict[str, float]]:
    """Folders of 28x28 PNG files (links to 1,000 of them): anonymous memory of decoding, loading again and training."""
    pool = images(1000)
    with set_being_written(folder / "pool", header(pool, "png")) as writer:
        writer.write(generated_images(pool.pixels, pool.labels, NAMES), 0)
    files = sorted((folder / "pool").glob("*/*.png"))
    table = {}
    for count in (10_000, 1_000_000):
        source = folder / f"folder-{count}"
        for label in range(10):
            (source / str(label)).mkdir(parents=True)
            own = files[100 * label : 100 * label + 100]
            for number in range(count // 10):
                os.link(own[number % 100], source / str(label) / f"{number:06}.png")
        for turn in ("first", "again"):
            call = [sys.executable, str(Path(__file__).with_name("memory.py")), str(source)]
            done = subprocess.run(
                [*call, str(folder / f"run-{count}-{turn}")], stdout=subprocess.PIPE, check=True
            )
            table[f"{count} images, {turn}"] = json.loads(done.stdout)
    return table


def helps(context: DeviceContext, folder: Path) -> dict[str, float]:
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


PARTS = {
    "lenet": lenet,
    "loading": loading,
    "sampling": sampling,
    "writers": writers,
    "scoring": scoring,
    "help": helps,
    "million": million,
}


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    parts = sys.argv[2:] or list(PARTS)
    result = json.loads(path.read_text()) if path and path.exists() and sys.argv[2:] else {}
    context = prepare(Runtime())
    folder = Path(tempfile.mkdtemp(dir=Path.home()))  # /tmp may be memory
    os.environ["GANGDA_CACHE"] = str(folder / "cache")
    for part in parts:
        (folder / part).mkdir()
        result[part] = {**PARTS[part](context, folder / part), "load": os.getloadavg()[0]}
        print(part, json.dumps(result[part], indent=2), flush=True)
        if path:
            path.write_text(json.dumps({**environment(context), **result}, indent=2) + "\n")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
