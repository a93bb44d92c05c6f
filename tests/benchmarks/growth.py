"""How time and memory grow with set size, classes, image size, generators and shards; each setting in a fresh process.

python tests/benchmarks/growth.py tests/benchmarks/growth.json [AXIS ...]

Run by hand on a quiet machine (some minutes). A row: seconds and peak anonymous memory (MiB beyond the imports) of the
work that the axis is about. The exponent is the slope of log(cost) over log(setting), from the second half of the
settings, where what does not grow weighs least.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from environment import environment
from memory import Peak

from gangda.config import architectures
from gangda.config.schema import DataConfig, Runtime, SampleConfig
from gangda.data import memmap
from gangda.data.images import real_images
from gangda.data.splits import SourceImages, draw_splits
from gangda.runtime.device import prepare
from gangda.runtime.progress import SILENT
from gangda.sampling import sample
from gangda.training.image_batches import ResidentImages
from gangda.training.saved_model import ModelCard, save_model
from gangda.zoo.networks import build_networks

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from training_setup import begin, configured

STEPS = 20
Work = Callable[[], None]


def source(count: int, classes: int, size: int) -> SourceImages:
    """`count` images, a thousand different ones in turn."""
    few = np.random.default_rng(0).integers(0, 256, (1000, size, size, 1), np.uint8)
    pixels = memmap.empty((count, size, size, 1))
    for start in range(0, count, 1000):
        pixels[start : start + 1000] = few[: len(pixels) - start]
    names = [str(label) for label in range(classes)]
    return SourceImages("made", "", real_images(pixels, np.arange(count) % classes, names), None)


def training(images: SourceImages, arch: str = "cdcgan", **changed: object) -> Work:
    """`STEPS` steps of an architecture with its own recipe on all of the images."""
    context = prepare(Runtime())
    config = configured(arch, changed, images.train.image_shape[1])
    networks = build_networks(arch, config.spec, images.train.image_shape, images.train.num_classes)

    def work() -> None:
        for _ in islice(begin(config, networks, images.train, context, seed=0)[1], STEPS):
            pass

    return work


def splitting(count: int) -> Work:
    """Test, subset and validation drawn, and the first batch of training handed out."""
    images, context = source(count, 10, 28), prepare(Runtime())

    def work() -> None:
        splits = draw_splits(images, DataConfig(), 0)
        resident = ResidentImages(splits.train, 0, context)
        resident.take(resident.rows(0, 32))

    return work


def sharded(shards: int) -> Work:
    """8,192 samples of ten classes, drawn by so many shards one after the other."""
    folder = Path(tempfile.mkdtemp(dir=Path.home()))
    spec = architectures.CdcganSpec().resolved(28)
    generator = build_networks("cdcgan", spec, (1, 28, 28), 10).generator
    names = tuple(str(label) for label in range(10))
    card = ModelCard("cdcgan", asdict(spec), (1, 28, 28), names, {}, "", 0, 1, "fp32", "run")
    save_model(folder / "run", generator, card, np.arange(1))

    def work() -> None:
        config = SampleConfig(per_class=820, format="npz")
        for shard in range(1, shards + 1):
            part = replace(config, shard=f"{shard}/{shards}")
            sample(folder / "run", part, Runtime(), folder / "samples", reporter=SILENT)

    return work


AXES: dict[str, tuple[str, tuple[int, ...], Callable[[int], Work]]] = {
    "splits": ("images: splits drawn, first batch", (10**3, 10**4, 10**5, 10**6), splitting),
    "images": (
        f"images: {STEPS} steps of the default at 28x28",
        (10**3, 10**4, 10**5, 10**6),
        lambda count: training(source(count, 10, 28)),
    ),
    "classes": (
        f"classes: {STEPS} steps of the default at 28x28",
        (2, 10, 100, 1000),
        lambda classes: training(source(5000, classes, 28)),
    ),
    "size": (
        f"side in pixels: {STEPS} steps of the default",
        (8, 16, 32, 64),
        lambda size: training(source(1000, 10, size)),
    ),
    "generators": (
        f"generators: {STEPS} steps of madgan at 28x28",
        (1, 2, 4, 8, 16),
        lambda k: training(source(1000, 10, 28), "madgan", generators=k),
    ),
    "shards": ("shards of 8,200 samples, one after the other", (1, 2, 4, 8), sharded),
}


def one(axis: str, setting: int) -> dict[str, float]:
    """Seconds and MiB of one setting; what is prepared for it does not count."""
    torch.manual_seed(0)
    work = AXES[axis][2](setting)
    with Peak() as peak:
        began = time.perf_counter()
        work()
        taken = time.perf_counter() - began
    return {"setting": setting, "seconds": taken, "mib": peak.mib}


def exponent(rows: list[dict[str, float]], cost: str) -> float | None:
    """Slope of log(cost) over log(setting), from the second half of the rows; None for costs of nothing."""
    last = rows[len(rows) // 2 - 1 :]
    if min(row[cost] for row in last) <= 0:
        return None
    slope, _ = np.polyfit(*(np.log([row[name] for row in last]) for name in ("setting", cost)), 1)
    return round(float(slope), 2)


def table(axis: str) -> dict[str, object]:
    """All settings of an axis."""
    what, settings, _ = AXES[axis]
    rows = []
    for setting in settings:
        call = [sys.executable, __file__, "--one", axis, str(setting)]
        done = subprocess.run(call, stdout=subprocess.PIPE, check=True)
        rows.append(json.loads(done.stdout))
        print(what, rows[-1], flush=True)
    return {"what": what, "rows": rows, "exponents": {c: exponent(rows, c) for c in ("seconds", "mib")}}


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(sys.argv[2], int(sys.argv[3]))))
        return
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    known = json.loads(path.read_text()) if path and path.exists() and sys.argv[2:] else {}
    for axis in sys.argv[2:] or AXES:
        known[axis] = table(axis)
        print(axis, known[axis]["exponents"], flush=True)
        if path:
            path.write_text(json.dumps({**environment(prepare(Runtime())), **known}, indent=2) + "\n")


if __name__ == "__main__":
    main()
