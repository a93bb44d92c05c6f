"""Balls around one set's images, out to their k-th neighbour, and the other set's images inside them."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gangda.metrics.inputs import Features, MetricInputs, Side
from gangda.metrics.neighbours import squared_distances, together
from gangda.metrics.result import MetricResult, gap_error, wilson

K_PRECISION, K_DENSITY = 3, 5
HEALTHY = 0.9  # of the floor's coverage


def precision_recall(inputs: MetricInputs) -> list[MetricResult]:
    """Share of samples inside the real manifold, and of real images inside the samples'.

    The interval takes the balls as given.

    Source: Kynkaanniemi 2019, equations 1 and 2, with k = 3. Computed here: the same numbers as
    torch-fidelity's (a test holds them together), at less cost.
    """

    def measure(side: Side, kind: str) -> tuple[float, float]:
        real, k = inputs.real, K_PRECISION
        features = side.features(kind), real.features(kind)
        return shares_inside(*features, side.radii(kind, k), real.radii(kind, k))

    results = []
    for kind in inputs.kinds:
        values, floors, small = _both(inputs, kind, "precision_recall", K_PRECISION, measure)
        for name, value, floor in zip(("precision", "recall"), values, floors, strict=True):
            interval = None if small else wilson(value, inputs.n)
            more = {"interval": interval, "floor": floor, "note": small}
            results.append(inputs.result(name, kind, value, "higher", **more))
    return results


def density_coverage(inputs: MetricInputs) -> list[MetricResult]:
    """How often samples fall into real images' balls (1 for real, may exceed it); share of balls hit.

    Unlike precision and recall, not decided by one outlier.

    Source: Naeem 2020, equations 3 and 4, with k = 5; `<=` in place of `<`, so that identical features count as inside.
    """

    def measure(side: Side, kind: str) -> tuple[float, float]:
        real = inputs.real
        return density_and_coverage(side.features(kind), real.features(kind), real.radii(kind, K_DENSITY))

    results, n = [], inputs.n
    for kind in inputs.kinds:
        (density, coverage), floors, small = _both(inputs, kind, "density_coverage", K_DENSITY, measure)
        low = coverage < HEALTHY * floors[1] - gap_error(coverage, n, floors[1], n)
        alarm = f"ALARM below {HEALTHY} of real images' coverage: parts of the data are never drawn"
        interval, note = None if small else wilson(coverage, n), alarm if low else small
        results += [
            inputs.result("density", kind, density, "target", floor=floors[0], note=small),
            inputs.result(
                "coverage", kind, coverage, "higher", interval=interval, floor=floors[1], note=note
            ),
        ]
    return results


def shares_inside(
    fake: Features, real: Features, fake_radii: Tensor, real_radii: Tensor
) -> tuple[float, float]:
    """(precision, recall) of feature sets (N, F) and (M, F) with squared radii (N,) and (M,)."""
    inside, reached = [], torch.zeros(len(real), dtype=torch.bool)
    for start, distances in squared_distances(*together(fake, real)):
        inside.append((distances <= real_radii[None]).any(dim=1))
        reached |= (distances <= fake_radii[start : start + len(distances), None]).any(dim=0)
    return torch.cat(inside).float().mean().item(), reached.float().mean().item()


def density_and_coverage(fake: Features, real: Features, radii: Tensor) -> tuple[float, float]:
    """(density, coverage) of (N, F) among (M, F) with squared radii (M,)."""
    hits, covered = 0, torch.zeros(len(real), dtype=torch.bool)
    for _, distances in squared_distances(*together(fake, real)):
        inside = distances <= radii[None]
        hits += int(inside.sum())
        covered |= inside.any(dim=0)
    return hits / (K_DENSITY * len(fake)), covered.float().mean().item()


def _both(
    inputs: MetricInputs, kind: str, name: str, k: int, measure: Callable[[Side, str], tuple[float, float]]
) -> tuple[tuple[float, float], list[float], str]:
    """Both values of the samples, and of the floor; NaN with a note where there are too few images for k neighbours."""
    if inputs.n <= k:
        return (math.nan, math.nan), [math.nan, math.nan], f"n too small for {k} neighbours"
    values, floors = inputs.both(name, kind, measure)
    return values, floors.tolist(), ""
