"""Training speed as a ratio to what people write: R4's DCGAN and R1's MAD-GAN. Run by hand on a quiet machine:

TENSORFLOW_PYTHON=/path/to/python python tests/benchmarks/training.py tests/benchmarks/training.json

Fashion-MNIST, the presets' recipes; the clock is wall time of two threads, or, with THREADS=1, CPU time. The loops take
turns within a round, and a ratio is the median of the rounds'. The plain loops are in `plain_loops.py`, Keras's
compiled original in `keras_dcgan.py`, which needs a Python with `tensorflow-cpu` (2.16 or newer); without
TENSORFLOW_PYTHON it is left out.
"""

import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import plain_loops
import torch
from environment import environment

from gangda.config.schema import DataConfig, Runtime
from gangda.data.images import LabelledImages
from gangda.data.loading import load_splits
from gangda.runtime.device import DeviceContext, prepare
from gangda.training.loop import StepRecord
from gangda.training.state import TrainState
from gangda.zoo.networks import build_networks

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from training_setup import begin, configured

ROUNDS, STEPS, WHOLE = 5, 2, 40
MADGAN_BATCH = 60  # that five generators share evenly
THREADS = int(os.environ.get("THREADS", "2"))
HERE = Path(__file__).resolve().parent

Take = Callable[[int], float]  # so many steps -> seconds


def gangda_loop(
    arch: str, images: LabelledImages, context: DeviceContext, **recipe: object
) -> tuple[TrainState, Iterator[StepRecord]]:
    """The training loop as `gangda train` runs it, and what it trains."""
    config = configured(arch, {}, images.image_shape[1], **recipe)
    networks = build_networks(arch, config.spec, images.image_shape, images.num_classes)
    return begin(config, networks, images, context, seed=0)


def taking(loop: Iterator[object], context: DeviceContext) -> Take:
    """Steps of a loop in this process."""
    clock = time.process_time if context.threads == 1 else time.perf_counter

    def take(count: int) -> float:
        began = clock()
        for _ in itertools.islice(loop, count):
            pass
        return clock() - began

    return take


def keras(python: str, pixels: Path, threads: int) -> tuple[subprocess.Popen[str], str]:
    """Keras's original in a process of its own, ready to take steps; and TensorFlow's version."""
    call = [python, str(HERE / "keras_dcgan.py"), str(pixels), str(threads)]
    process = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def taking_in(process: subprocess.Popen[str]) -> Take:
    """Steps of the loop in another process."""
    assert process.stdin is not None
    assert process.stdout is not None

    def take(count: int) -> float:
        print(count, file=process.stdin, flush=True)
        return float(process.stdout.readline())

    return take


def compared(loops: dict[str, Take], batch: int) -> dict[str, dict[str, float]]:
    """Median images/s of each, and how many times as fast the first is: the median of the rounds' ratios."""
    for take in loops.values():
        take(2)  # warm-up
    rounds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(ROUNDS):
        for name, take in loops.items():
            time.sleep(0.3)  # the last loop's threads go to sleep
            rounds[name].append(take(STEPS) / STEPS)
    first = rounds[next(iter(rounds))]
    return {
        name: {
            "ms_per_step": round(1e3 * statistics.median(taken), 1),
            "images_per_second": round(batch / statistics.median(taken), 1),
            "gangda_is_faster_by": round(
                statistics.median(b / a for a, b in zip(first, taken, strict=True)), 3
            ),
        }
        for name, taken in rounds.items()
    }


def dcgan(images: LabelledImages, context: DeviceContext, python: str | None) -> dict[str, object]:
    """R4's DCGAN at batch 256."""
    pixels = planes(images)
    loops = {
        "gangda": taking(gangda_loop("dcgan-5x5", images, context)[1], context),
        "plain loop": taking(plain_loops.dcgan(pixels), context),
        "plain loop, one fake batch": taking(plain_loops.dcgan(pixels, fresh=False), context),
    }
    if python is None:
        return dict(compared(loops, 256))
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "images.npy", images.pixels)
        process, version = keras(python, Path(folder) / "images.npy", context.threads)
        found = compared({**loops, "keras, compiled": taking_in(process)}, 256)
        process.communicate()
    return {"tensorflow": version, **found}


def madgan(images: LabelledImages, context: DeviceContext) -> dict[str, object]:
    """R1's MAD-GAN, k = 5, 60 fakes a step."""
    pixels = planes(images)
    loops = {
        "gangda": taking(
            gangda_loop("madgan-separate", images, context, batch_size=MADGAN_BATCH)[1], context
        ),
        "plain loop": taking(plain_loops.madgan(pixels, MADGAN_BATCH), context),
        "plain loop, real images shared out": taking(
            plain_loops.madgan(pixels, MADGAN_BATCH, whole=False), context
        ),
    }
    return dict(compared(loops, MADGAN_BATCH))


def planes(images: LabelledImages) -> torch.Tensor:
    """uint8 (N, 1, 28, 28), as torchvision has them."""
    return torch.tensor(images.pixels).permute(0, 3, 1, 2).contiguous()


def whole_processes(context: DeviceContext, python: str | None) -> dict[str, object]:
    """Seconds of whole processes that train R4's DCGAN from nothing; gangda's also saves, draws and looks."""
    with tempfile.TemporaryDirectory() as folder:
        options = f"--data fashion-mnist --arch dcgan-5x5 --steps {WHOLE} --threads {context.threads}".split()
        ours = [sys.executable, "-m", "gangda", "train", *options, "--out", f"{folder}/run"]
        theirs = [sys.executable, str(HERE / "plain_loops.py"), "dcgan", str(WHOLE), str(context.threads)]
        found = {"steps": WHOLE, "gangda, seconds": whole(ours), "plain loop, seconds": whole(theirs)}
        if python is not None:
            pixels = load_splits(DataConfig(source="fashion-mnist"), 0).train.pixels
            np.save(Path(folder) / "images.npy", pixels)
            call = [python, str(HERE / "keras_dcgan.py"), f"{folder}/images.npy", str(context.threads)]
            found["keras, compiled, seconds"] = whole(call, f"{WHOLE}\n")
    return found


def whole(call: list[str], text: str = "") -> float:
    """Seconds of a process that is given `text` to read: wall time, or CPU time with one thread."""
    began = clock_of_children()
    subprocess.run(call, input=text, capture_output=True, check=True, text=True)
    return round(clock_of_children() - began, 2)


def clock_of_children() -> float:
    """Seconds: CPU time of the processes that have ended, or wall time."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime if THREADS == 1 else time.perf_counter()


def main() -> None:
    python = os.environ.get("TENSORFLOW_PYTHON")
    context = prepare(Runtime(threads=THREADS))
    images = load_splits(DataConfig(source="fashion-mnist"), 0).train
    parts: dict[str, Callable[[], object]] = {
        "dcgan-5x5, batch 256": lambda: dcgan(images, context, python),
        "madgan-separate, k = 5, batch 60": lambda: madgan(images, context),
        "whole process": lambda: whole_processes(context, python),
    }
    result = {**environment(context), "clock": "CPU time of one thread" if THREADS == 1 else "wall time"}
    for name, part in parts.items():
        result[name] = part()
        print(json.dumps({name: result[name]}, indent=2), flush=True)
        if len(sys.argv) > 1:  # part by part: it takes long
            Path(sys.argv[1]).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
