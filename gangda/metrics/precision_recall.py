"""Precision and recall: balls around one set's images, and the share of the other set inside."""

import math

import torch
from torch import Tensor

from gangda.metrics.inputs import Features, MetricInputs, Side, tag
from gangda.metrics.intervals import wilson
from gangda.metrics.neighbours import squared_distances, together
from gangda.metrics.result import MetricResult

K = 3


def precision_recall(inputs: MetricInputs) -> list[MetricResult]:
    """Share of samples inside the real manifold, and of real images inside the samples'.

    The interval takes the balls as given.

    Source: Kynkaanniemi 2019, equations 1 and 2, with k = 3. Computed here: the same numbers as
    torch-fidelity's (a test holds them together), at less cost.
    """
    return [result for kind in inputs.kinds for result in _both(inputs, kind)]


def shares_inside(
    fake: Features, real: Features, fake_radii: Tensor, real_radii: Tensor
) -> tuple[float, float]:
    """(precision, recall) of feature sets (N, F) and (M, F) with squared radii (N,) and (M,)."""
    samples, reference = together(fake, real)
    inside = []
    reached = torch.zeros(len(reference), dtype=torch.bool)
    for start, distances in squared_distances(samples, reference):
        inside.append((distances <= real_radii[None]).any(dim=1))
        reached |= (distances <= fake_radii[start : start + len(distances), None]).any(dim=0)
    return torch.cat(inside).float().mean().item(), reached.float().mean().item()


def _shares(side: Side, real: Side, kind: str) -> tuple[float, float]:
    """Precision and recall of a side; NaN with too few images for k neighbours."""
    if min(len(side), len(real)) <= K:
        return math.nan, math.nan
    radii = (part.radii(kind, K) for part in (side, real))
    return shares_inside(side.features(kind), real.features(kind), *radii)


def _both(inputs: MetricInputs, kind: str) -> list[MetricResult]:
    values = _shares(inputs.fake, inputs.real, kind)
    floors = inputs.of_real("precision_recall", kind, lambda: _shares(inputs.floor, inputs.real, kind))
    return [
        inputs.result(
            f"{name}_{kind}_{tag(inputs.n)}",
            kind,
            value,
            "higher",
            interval=None if math.isnan(value) else wilson(value, inputs.n),
            floor=floor,
            note=f"n too small for {K} neighbours" if math.isnan(value) else "",
        )
        for name, value, floor in zip(("precision", "recall"), values, floors.tolist(), strict=True)
    ]
