"""Speed on an NVIDIA GPU, as a table with goals: training steps, classifier fits, whole comparisons. Run by hand:

python tests/benchmarks/gpu.py [steps] [fits] [compare] [seeds] [--json FILE]

Without names, everything but `seeds`. `eager` is the same code with --no-capture. Without CUDA it says so and exits 0.
"""

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import plain_loops
import torch
from environment import environment
from torch import nn

from gangda.classifying.fit import fit_classifier
from gangda.config.schema import ClassifierConfig, Runtime, TransformConfig
from gangda.data.images import LabelledImages
from gangda.runtime.device import DeviceContext, prepare
from gangda.training.loop import StepRecord

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from training_setup import begin, configured, networks_of

Row = tuple[str, float, float | None, str]  # what, measured, eager, goal

STEPS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("cdcgan", {}, {"batch_size": 32}, ">= 900"),
    ("acgan", {}, {"batch_size": 32}, ">= 1,000"),
    ("madgan", {}, {"batch_size": 33}, ""),
    ("madgan-separate", {}, {"batch_size": 60}, ""),
    ("sagan", {}, {"batch_size": 32}, ">= 400"),
    ("biggan", {}, {"batch_size": 32}, ">= 220"),
    ("wgan-gp", {}, {"batch_size": 32}, ""),
    ("dcgan-5x5", {}, {"batch_size": 256}, ">= 650"),
    ("flow", {"width": 64}, {"batch_size": 128}, ">= 230"),
]


def noise_images(count: int, classes: int = 10) -> LabelledImages:
    """Grey 28x28 images of noise: the work does not depend on what they show."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 28, 28, 1), dtype=np.uint8)
    rows, names = np.arange(count, dtype=np.int64), tuple(map(str, range(classes)))
    return LabelledImages(pixels, rows % classes, names, rows, np.zeros(count, dtype=np.uint8))


def rate(loop: Iterator[object], seconds: float) -> float:
    """Steps per second after 40 steps."""
    for _ in range(40):
        next(loop)
    torch.cuda.synchronize()
    begun, steps = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        for _ in range(10):
            next(loop)
        steps += 10
        torch.cuda.synchronize()
    return steps / (time.perf_counter() - begun)


def steps(contexts: dict[str, DeviceContext]) -> Iterator[Row]:
    """Training steps of `gangda train`: draws, batches, losses, weight average."""
    images = noise_images(10_000)
    for arch, options, recipe, goal in STEPS:
        for precision, context in contexts.items():
            config = configured(arch, options, 28, **recipe)

            def loop(context: DeviceContext) -> Iterator[StepRecord]:
                return begin(config, networks_of(config, images), images, context, 10**6, seed=0)[1]

            fast = rate(loop(context), 3)
            slow = rate(loop(dataclasses.replace(context, recorder=None)), 1.5)
            yield f"{arch} at {config.recipe.batch_size}, {precision}", fast, slow, goal
    yield "a plain loop of dcgan-5x5 at 256, captured", rate(plain_captured_dcgan(), 3), None, ""


def plain_captured_dcgan(batch: int = 256) -> Iterator[None]:
    """DCGAN in one CUDA graph, as PyTorch's documents show it."""
    g, d = (net.cuda() for net in (plain_loops.generator(100), plain_loops.discriminator(1)))
    options = {"lr": plain_loops.LR, "capturable": True, "fused": True}
    adam_g, adam_d = (torch.optim.Adam(net.parameters(), **options) for net in (g, d))
    loss, pixels = nn.BCEWithLogitsLoss(), torch.randn(10_000, 1, 28, 28, device="cuda")
    real = torch.empty(batch, 1, 28, 28, device="cuda")
    ones, zeros = torch.ones(batch, 1, device="cuda"), torch.zeros(batch, 1, device="cuda")

    def step() -> None:
        fake = g(torch.randn(batch, 100, device="cuda"))
        adam_d.zero_grad()
        (loss(d(real), ones) + loss(d(fake.detach()), zeros)).backward()
        adam_d.step()
        adam_g.zero_grad()
        loss(d(fake), ones).backward()
        adam_g.step()

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    side.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    while True:
        real.copy_(pixels[torch.randint(10_000, (batch,), device="cuda")])
        graph.replay()
        yield None


def fits(contexts: dict[str, DeviceContext]) -> Iterator[Row]:
    """Whole fits of 4,000 steps, with traditional transforms and mixup."""
    images, transforms = noise_images(1000), TransformConfig(mixup=0.2, erasing=0.5, flip=0.5)
    for name, goal in (("lenet", ">= 2,000"), ("resnet", ">= 1,200")):
        config = ClassifierConfig(classifier=name, classifier_steps=4000)
        for precision, context in contexts.items():

            def fit(context: DeviceContext, config: ClassifierConfig = config) -> float:
                begun = time.perf_counter()
                fit_classifier(images, config, seed=0, context=context, transforms=transforms)
                torch.cuda.synchronize()
                return config.classifier_steps / (time.perf_counter() - begun)

            fit(context, dataclasses.replace(config, classifier_steps=100))
            yield (
                f"{name} at 64, {precision}",
                fit(context),
                fit(dataclasses.replace(context, recorder=None)),
                goal,
            )


def gangda(*arguments: str) -> float:
    """Seconds of a command."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "gangda", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        sys.exit(f"gangda {' '.join(arguments)}: {done.stderr[-2000:]}")
    return time.perf_counter() - begun


def compare(contexts: dict[str, DeviceContext]) -> Iterator[Row]:
    """`gangda compare` on digits, whole process."""
    yield (
        "gangda compare --data digits, seconds",
        gangda("compare", "--data", "digits", "--out", "exp"),
        None,
        "<= 60",
    )


def seeds(contexts: dict[str, DeviceContext]) -> Iterator[Row]:
    """Ten seeds of 100 images per class with flow and a ResNet."""
    arguments = [
        "--data",
        "fashion-mnist",
        "--per-class",
        "100",
        "--arch",
        "flow",
        "--classifier",
        "resnet",
        "--seeds",
        "10",
    ]
    yield "ten seeds, minutes", gangda("compare", *arguments, "--out", "exp") / 60, None, "<= 15"


PARTS: dict[str, Callable[[dict[str, DeviceContext]], Iterator[Row]]] = {
    "steps": steps,
    "fits": fits,
    "compare": compare,
    "seeds": seeds,
}


def main(arguments: list[str]) -> None:
    """Print the table of the parts that are named."""
    if not torch.cuda.is_available():
        print("no CUDA device here: nothing to measure")
        return
    path = Path(arguments[arguments.index("--json") + 1]) if "--json" in arguments else None
    names = [name for name in arguments if name in PARTS] or ["steps", "fits", "compare"]
    contexts = {name: prepare(Runtime(device="cuda", precision=name)) for name in ("fp32", "bf16")}
    print(torch.cuda.get_device_name(), torch.__version__, flush=True)
    print("| what | steps/s | eager | goal |\n| --- | --- | --- | --- |", flush=True)
    rows = []
    for name in names:
        for what, measured, eager, goal in PARTS[name](contexts):
            rows.append((what, measured, eager, goal))
            print(
                f"| {what} | {measured:,.1f} | {'' if eager is None else f'{eager:,.1f}'} | {goal} |",
                flush=True,
            )
    if path is not None:
        head = {"device": torch.cuda.get_device_name(), **environment(contexts["fp32"])}
        path.write_text(json.dumps({**head, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
