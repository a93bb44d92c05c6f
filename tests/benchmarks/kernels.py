"""A training step against the sum of its layers' kernels, each timed alone. Run by hand on a quiet machine:

python tests/benchmarks/kernels.py tests/benchmarks/kernels.json

One period of steps (eight, of which one has the gradient penalty, where there is one) is watched: every operation of
a layer that it carries out, forward, backward or double backward, with shapes, strides and count. Each is then timed
by itself in the same process on tensors of the same shapes and strides, and the times are added up. What a step takes
beyond that sum is the optimizer, the weight average, casts, copies, losses and Python. The clock is wall time of two
threads, or, with THREADS=1, CPU time.
"""

import itertools
import json
import math
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from environment import environment
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_unflatten
from training import gangda_loop

from gangda.config.schema import DataConfig, Runtime
from gangda.data.loading import load_splits
from gangda.runtime.device import prepare

ARCHS = {"cdcgan": 8, "dcgan-5x5": 1}  # and the steps of a period
THREADS = int(os.environ.get("THREADS", "2"))
ROUNDS, LEAST = 7, 0.02  # seconds that a kernel is timed for, in each round

clock = time.process_time if THREADS == 1 else time.perf_counter

CONV, LINEAR, NORM, ACTIVATION = "convolutions", "linear layers", "normalisations", "activations"
KINDS = {
    "convolution": CONV,
    "convolution_backward": CONV,
    "im2col": CONV,
    "col2im": CONV,
    "mm": LINEAR,
    "addmm": LINEAR,
    "bmm": LINEAR,
    "native_batch_norm": NORM,
    "native_batch_norm_backward": NORM,
    "embedding": NORM,
    "embedding_dense_backward": NORM,
    "leaky_relu": ACTIVATION,
    "leaky_relu_": ACTIVATION,
    "leaky_relu_backward": ACTIVATION,
    "relu_": ACTIVATION,
    "threshold_backward": ACTIVATION,
    "tanh": ACTIVATION,
    "tanh_backward": ACTIVATION,
    "bernoulli_": ACTIVATION,
}
# Layers with several operations of their own: all that they do is theirs.
OWN = {
    "_ScaledBatchNorm": NORM,
    "scaled_batch_norm": NORM,
    "leaky_dropout": ACTIVATION,
    "_ScaledProduct": ACTIVATION,
    "dropout": ACTIVATION,
    "fourier.py": CONV,
    "narrow.py": CONV,
}


@dataclass(frozen=True)
class Blank:
    """A tensor's shape, strides and type."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype

    def filled(self) -> torch.Tensor:
        """A tensor like it: normal noise; whole numbers are indices, all 0."""
        count = 1 + sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
        flat = torch.zeros(max(count, 0), dtype=self.dtype)
        filled = flat.normal_() if self.dtype.is_floating_point else flat
        return filled.as_strided(self.shape, self.strides)


@dataclass(frozen=True)
class Call:
    """An operation with its arguments, tensors left blank: the same ones take the same time."""

    operation: Any
    arguments: tuple[Any, ...]
    structure: Any
    kind: str | None

    @property
    def name(self) -> str:
        """As in aten."""
        return str(self.operation.overloadpacket.__name__)

    @torch.no_grad()
    def seconds(self) -> float:
        """Time of one call, by itself."""
        filled = [part.filled() if isinstance(part, Blank) else part for part in self.arguments]
        args, kwargs = tree_unflatten(filled, self.structure)

        def take(count: int) -> float:
            began = clock()
            for _ in range(count):
                self.operation(*args, **kwargs)
            return (clock() - began) / count

        return take(min(1000, max(1, math.ceil(LEAST / take(1)))))


class Watch(TorchDispatchMode):
    """Counts the operations carried out inside, in the backward pass too."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[Call] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view:
            flat, structure = tree_flatten((args, kwargs or {}))
            self.calls[Call(func, tuple(map(blank, flat)), structure, kind_of(func))] += 1
        return func(*args, **kwargs or {})


def blank(argument: Any) -> Any:
    """A tensor's outline; anything else as it is (generators are not kept)."""
    if isinstance(argument, torch.Tensor):
        return Blank(tuple(argument.shape), argument.stride(), argument.dtype)
    return None if isinstance(argument, torch.Generator) else argument


def kind_of(operation: Any) -> str | None:
    """The kind of layer that carries it out; None for anything else."""
    frame = sys._getframe(2)
    while frame is not None:
        names = (Path(frame.f_code.co_filename).name, *frame.f_code.co_qualname.split("."))
        owner = next((OWN[name] for name in names if name in OWN), None)
        if owner:
            return owner
        frame = frame.f_back
    return KINDS.get(operation.overloadpacket.__name__)


def layers(calls: Counter[Call], period: int) -> dict[str, dict[str, float]]:
    """Seconds a step of each operation, by kind of layer; "others" are no layer's."""
    found: dict[str, dict[str, float]] = {kind: {} for kind in (*dict.fromkeys(KINDS.values()), "others")}
    for call, count in calls.items():
        of_kind = found[call.kind or "others"]
        of_kind[call.name] = of_kind.get(call.name, 0.0) + call.seconds() * count / period
    return found


def step_against_layers(loop: Iterator[object], period: int) -> dict[str, object]:
    """Milliseconds of a step and of its layers, and the ratios: medians over rounds."""
    list(itertools.islice(loop, max(2, period)))
    with Watch() as watch:
        list(itertools.islice(loop, period))
    rounds: list[tuple[float, dict[str, dict[str, float]]]] = []
    for _ in range(ROUNDS):
        began = clock()
        list(itertools.islice(loop, 2 * period))
        whole = (clock() - began) / (2 * period)
        rounds.append((whole, layers(watch.calls, period)))
    return summary(rounds)


def summary(rounds: list[tuple[float, dict[str, dict[str, float]]]]) -> dict[str, object]:
    """What goes into the JSON."""

    def median(of: Callable[[float, dict[str, float]], float]) -> float:
        totals = [(whole, {k: sum(v.values()) for k, v in kinds.items()}) for whole, kinds in rounds]
        return round(statistics.median(of(whole, kinds) for whole, kinds in totals), 3)

    others = rounds[-1][1]["others"]
    largest = sorted(others, key=lambda name: others[name], reverse=True)[:8]
    return {
        "step, ms": median(lambda whole, kinds: 1e3 * whole),
        "layers, ms": {
            kind: median(lambda whole, kinds, kind=kind: 1e3 * kinds[kind]) for kind in rounds[0][1]
        },
        "step over all layers": median(lambda whole, kinds: whole / (sum(kinds.values()) - kinds["others"])),
        "step over convolutions and linear layers": median(
            lambda whole, kinds: whole / (kinds[CONV] + kinds[LINEAR])
        ),
        "largest others, ms": {name: round(1e3 * others[name], 3) for name in largest},
    }


def main() -> None:
    context = prepare(Runtime(threads=THREADS))
    images = load_splits(DataConfig(source="fashion-mnist"), 0).train
    result = {
        **environment(context),
        "clock": "CPU time of one thread" if THREADS == 1 else "wall time",
        **{
            arch: step_against_layers(gangda_loop(arch, images, context)[1], period)
            for arch, period in ARCHS.items()
        },
    }
    text = json.dumps(result, indent=2)
    print(text)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text + "\n")


if __name__ == "__main__":
    main()
