"""MAD-GAN on the paper's one-dimensional mixture: networks and measures, for the test and for looking.

OMP_NUM_THREADS=1 python tests/benchmarks/mixture.py
"""

import itertools
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gangda.config.schema import Runtime
from gangda.data.images import FloatArray
from gangda.runtime.device import DeviceContext, prepare
from gangda.runtime.seeding import numpy_stream
from gangda.training.loop import training_loop
from gangda.training.state import new_state
from gangda.zoo.base import Generator, Networks, Scores

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from training_setup import configured, method_with

MODES = np.array([10.0, 20.0, 60.0, 80.0, 110.0])
WIDTHS = np.array([3.0, 3.0, 2.0, 2.0, 1.0])
CENTRE, SCALE = 60.0, 10.0  # networks see (x - CENTRE) / SCALE, -5 to 5


def draw(count: int, *key: int | str) -> FloatArray:
    """`count` draws of the mixture, each mode as likely. Source: Ghosh 2018, section 5.1."""
    rng = numpy_stream("mixture", *key)
    mode = rng.integers(0, len(MODES), count)
    return rng.normal(MODES[mode], WIDTHS[mode])


class Points(Generator):
    """K generators of numbers: z (64) -> 128 -> 128 -> 1, each its own; a number is a 1x1 "image"."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.latent_dim, self.num_classes, self.image_shape, self.num_generators = 64, 1, (1, 1, 1), k
        self.parts = nn.ModuleList([_layers(64) for _ in range(k)])

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(K n, 64) -> (K n, 1, 1, 1)."""
        parts = zip(self.parts, z.flatten(0, -2).chunk(self.num_generators), strict=True)
        return torch.cat([part(rows) for part, rows in parts]).view(-1, 1, 1, 1)


class PointJudge(nn.Module):
    """x -> 128 -> 128 -> K+1 logits, or one for a plain GAN (`outs` = 1)."""

    def __init__(self, outs: int) -> None:
        super().__init__()
        self.layers = _layers(1, outs)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        """(B, 1, 1, 1) -> `Scores`."""
        logits = self.layers(x.flatten(1))
        return Scores(logits.squeeze(1) if logits.shape[1] == 1 else logits)


def _layers(ins: int, outs: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Linear(ins, 128), nn.LeakyReLU(0.2), nn.Linear(128, 128), nn.LeakyReLU(0.2), nn.Linear(128, outs)
    )


class Stream:
    """Batches of the mixture, in the place of `ResidentImages`: batch s depends on (seed, s) alone."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def batch(self, step: int, size: int) -> tuple[Tensor, Tensor]:
        """float32 (size, 1, 1, 1), and labels that are all 0."""
        values = torch.tensor((draw(size, self.seed, step) - CENTRE) / SCALE, dtype=torch.float32)
        return values.view(-1, 1, 1, 1), torch.zeros(size, dtype=torch.int64)


def train(k: int, *, count: int = 1500, seed: int = 0, **recipe: object) -> Generator:
    """The average generator after `count` steps; k = 0 is one generator against a plain discriminator."""
    torch.manual_seed(seed)
    values = {"batch_size": 120, "lr": 1e-3, "beta1": 0.5, "r1": 0.1, "r1_every": 4, **recipe}
    config = configured("madgan" if k else "cdcgan", **values)
    networks, context = (
        Networks(Points(max(1, k)), PointJudge(k + 1)),
        DeviceContext(torch.device("cpu"), torch.float32, 1),
    )
    method = method_with(config, networks, None, context, seed)
    state, stream = new_state(method), Stream(seed)
    loop = training_loop(state, method, lambda step: stream.batch(step, config.recipe.batch_size))
    for _ in itertools.islice(loop, count):
        pass
    return state.ema


def samples(generator: Generator, count: int = 30_000) -> FloatArray:
    """Numbers in the mixture's own units, float64 (K, count / K), a row for each generator."""
    rows = count // generator.num_generators * generator.num_generators
    with torch.inference_mode():
        z = generator.noise(rows, torch.Generator().manual_seed(1))
        values = generator(z, torch.zeros(rows, dtype=torch.int64))
    return (values.double() * SCALE + CENTRE).view(generator.num_generators, -1).numpy()


def shares(values: FloatArray) -> FloatArray:
    """Share of the values within three standard deviations of each mode, float64 (5,); 0.2 each is right.

    Those of the first two overlap; a value counts for the nearer.
    """
    gaps = np.abs(values.reshape(-1, 1) - MODES) / WIDTHS
    nearest = gaps.argmin(1)
    inside = gaps.min(1) <= 3
    return np.bincount(nearest[inside], minlength=len(MODES)) / len(nearest)


def modes_found(values: FloatArray) -> int:
    """Modes with at least half of their share."""
    return int((shares(values) >= 0.1).sum())


def main() -> None:
    prepare(Runtime(threads=1))
    for k in (5, 0, 1):
        for seed in range(3):
            began = time.perf_counter()
            made = samples(train(k, seed=seed))
            line = {
                "generators": k or "plain GAN",
                "seed": seed,
                "modes": modes_found(made),
                "inside": round(float(shares(made).sum()), 3),
                "shares": shares(made).round(3).tolist(),
                "each": [shares(row).round(2).tolist() for row in made],
                "seconds": round(time.perf_counter() - began, 1),
            }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
