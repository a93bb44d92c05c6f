"""Density and coverage: precision and recall that one outlier cannot spoil."""

import math

import torch
from torch import Tensor

from gangda.metrics.inputs import Features, MetricInputs, Side, tag
from gangda.metrics.intervals import gap_error, wilson
from gangda.metrics.neighbours import squared_distances, together
from gangda.metrics.result import MetricResult

K = 5
HEALTHY = 0.9  # of the floor's coverage


def density_coverage(inputs: MetricInputs) -> list[MetricResult]:
    """How often samples fall into real images' balls (1 for real, may exceed it); share of balls hit.

    Source: Naeem 2020, equations 3 and 4, with k = 5; `<=` in place of `<`, so that identical features count
    as inside.
    """
    return [result for kind in inputs.kinds for result in _both(inputs, kind)]


def density_and_coverage(fake: Features, real: Features, radii: Tensor) -> tuple[float, float]:
    """(density, coverage) of (N, F) among (M, F) with squared radii (M,)."""
    samples, reference = together(fake, real)
    hits = 0
    covered = torch.zeros(len(reference), dtype=torch.bool)
    for _, distances in squared_distances(samples, reference):
        inside = distances <= radii[None]
        hits += int(inside.sum())
        covered |= inside.any(dim=0)
    return hits / (K * len(samples)), covered.float().mean().item()


def _measure(side: Side, real: Side, kind: str) -> tuple[float, float]:
    """Density and coverage of a side; NaN with too few images for k neighbours."""
    if len(real) <= K:
        return math.nan, math.nan
    return density_and_coverage(side.features(kind), real.features(kind), real.radii(kind, K))


def _both(inputs: MetricInputs, kind: str) -> list[MetricResult]:
    density, coverage = _measure(inputs.fake, inputs.real, kind)
    floors = inputs.of_real("density_coverage", kind, lambda: _measure(inputs.floor, inputs.real, kind))
    density_floor, coverage_floor = floors.tolist()
    small = f"n too small for {K} neighbours" if math.isnan(coverage) else ""

    n = inputs.n
    return [
        inputs.result(f"density_{kind}_{tag(n)}", kind, density, "target", floor=density_floor, note=small),
        inputs.result(
            f"coverage_{kind}_{tag(n)}",
            kind,
            coverage,
            "higher",
            interval=None if small else wilson(coverage, n),
            floor=coverage_floor,
            note=small or _alarm(coverage, coverage_floor, n),
        ),
    ]


def _alarm(coverage: float, floor: float, count: int) -> str:
    if coverage >= HEALTHY * floor - gap_error(coverage, count, floor, count):
        return ""
    return f"ALARM below {HEALTHY} of real images' coverage: parts of the data are never drawn"
