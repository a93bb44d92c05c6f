"""What K generators cost: a training step and its memory at a fixed number of fakes. Run by hand on a quiet machine:

OMP_NUM_THREADS=1 python tests/benchmarks/madgan.py tests/benchmarks/madgan.json
"""

import dataclasses
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from environment import environment
from torch import Tensor, nn

from gangda.config import architectures
from gangda.config.schema import Runtime
from gangda.data.images import LabelledImages, real_images
from gangda.runtime.device import DeviceContext, prepare
from gangda.zoo.base import Generator, Networks
from gangda.zoo.networks import build_networks

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from training_setup import begin, configured

ROUNDS, STEPS = 7, 3
KS, BATCHES, SEPARATE = (1, 3, 5, 8), (64, 32), 5


def images(count: int = 2000) -> LabelledImages:
    """28x28 grey noise in ten classes."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 28, 28, 1), np.uint8)
    return real_images(pixels, np.arange(count) % 10, list("0123456789"))


def training(
    arch: str,
    k: int,
    batch: int,
    context: DeviceContext,
    change: Callable[[Networks], Networks] = lambda n: n,
) -> Iterator[object]:
    """The training loop of an architecture with K generators."""
    train = images()
    config = configured(arch, {"generators": k} if k else {}, train.image_shape[1], batch_size=batch)
    networks = change(build_networks(arch, config.spec, train.image_shape, 10))
    return begin(config, networks, train, context, seed=0)[1]


def alternate(loops: dict[str, Iterator[object]]) -> dict[str, list[float]]:
    """Seconds per step of each, round by round, taking turns after a warm-up."""
    for loop in loops.values():
        list(itertools.islice(loop, 3))
    taken: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(ROUNDS):
        for name, loop in loops.items():
            began = time.process_time()  # of this process: what others run beside it counts less
            list(itertools.islice(loop, STEPS))
            taken[name].append((time.process_time() - began) / STEPS)
    return taken


class OneByOne(Generator):
    """K whole generators in a plain Python loop: what `madgan-separate` is compared with."""

    def __init__(self, together: Generator) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = together.latent_dim, together.num_classes
        self.image_shape, self.num_generators = together.image_shape, together.num_generators
        parts = [together.select(k).train().requires_grad_(True) for k in range(self.num_generators)]
        self.parts = nn.ModuleList(parts)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Rows of generator 0 first."""
        k = self.num_generators
        rows = zip(self.parts, z.flatten(0, -2).chunk(k), y.chunk(k), strict=True)
        return torch.cat([part(noise, labels) for part, noise, labels in rows])


def one_by_one(networks: Networks) -> Networks:
    """The same players, the generators computed in turn."""
    return dataclasses.replace(networks, generator=OneByOne(networks.generator))


def shared(context: DeviceContext) -> dict[str, object]:
    """`madgan`: seconds per step for each K, and the factor over K = 1 (median of the rounds' ratios)."""
    found: dict[str, object] = {}
    for batch in BATCHES:
        taken = alternate({f"K={k}": training("madgan", k, batch, context) for k in KS})
        found[f"batch {batch}"] = compared(taken, "K=1")
    return found


def separate(context: DeviceContext) -> dict[str, object]:
    """`madgan-separate` together and one by one, the whole step and the generators alone, k = 5."""
    batch = 60
    loops = {
        "together": training("madgan-separate", SEPARATE, batch, context),
        "loop": training("madgan-separate", SEPARATE, batch, context, one_by_one),
    }
    whole = compared(alternate(loops), "together")
    together = build_networks(
        "madgan-separate", architectures.spec_class("madgan-separate")(generators=SEPARATE), (1, 28, 28), 10
    ).generator
    alone = compared(
        alternate({"together": passes(together, batch), "loop": passes(OneByOne(together), batch)}),
        "together",
    )
    return {"batch": batch, "k": SEPARATE, "whole step": whole, "generators alone": alone}


def passes(generator: Generator, batch: int) -> Iterator[object]:
    """Forward and backward passes of a generator alone, for ever."""
    z, y = torch.randn(batch, generator.latent_dim), torch.zeros(batch, dtype=torch.int64)
    while True:
        generator(z, y).square().mean().backward()
        yield None


def compared(taken: dict[str, list[float]], base: str) -> dict[str, object]:
    """Median milliseconds, and the median of each round's ratio to `base`."""
    return {
        name: {
            "ms": round(1e3 * statistics.median(values), 2),
            f"times_{base}": round(
                statistics.median(a / b for a, b in zip(values, taken[base], strict=True)), 3
            ),
        }
        for name, values in taken.items()
    }


def memory() -> dict[str, float]:
    """Peak resident memory of a process that takes a few steps, MB, and parameters, for each K at batch 64."""
    call = [sys.executable, str(Path(__file__).resolve()), "--peak"]
    outs = {k: subprocess.run([*call, str(k)], capture_output=True, check=True, text=True).stdout for k in KS}
    return {f"K={k}": float(out) for k, out in outs.items()}


def peak(k: int) -> float:
    """Megabytes that training took at its peak on top of what importing left (Linux)."""
    context = prepare(Runtime(threads=1))
    # The peak so far is forgotten: it is the parent's, or importing's.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    list(itertools.islice(training("madgan", k, 64, context), 9))
    return round((_status("VmHWM") - before) / 1024, 1)


def _status(name: str) -> int:
    """A line of this process's status, kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def parameters() -> dict[str, int]:
    """Trainable values of the generators, for each K."""
    kind = architectures.spec_class("madgan")
    nets = {k: build_networks("madgan", kind(generators=k), (1, 28, 28), 10).generator for k in KS}
    return {f"K={k}": sum(p.numel() for p in net.parameters()) for k, net in nets.items()}


def main() -> None:
    if "--peak" in sys.argv:
        print(peak(int(sys.argv[-1])))
        return
    context = prepare(Runtime(threads=1))
    result = {
        **environment(context),
        "clock": "CPU seconds of the process",
        "madgan": shared(context),
        "parameters": parameters(),
        "training memory, MB": memory(),
        "madgan-separate": separate(context),
    }
    text = json.dumps(result, indent=2)
    print(text)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text + "\n")


if __name__ == "__main__":
    main()
