"""Frechet distance between Gaussians fitted to features."""

import math

import numpy as np
import torch

from gangda.metrics.inputs import Features, MetricInputs, tag
from gangda.metrics.result import MetricResult


def fid(inputs: MetricInputs) -> list[MetricResult]:
    """|mu1 - mu2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2)), for each kind of features.

    Its bias falls with n and depends on the generator: read it against the floor only.

    Source: Heusel 2017, equation 6; not on Inception's features.
    """
    return [_fid(inputs, kind) for kind in inputs.kinds]


def frechet(first: Features, second: Features) -> float:
    """Frechet distance of (N, F) and (M, F), in float64 with unbiased covariances; NaN below 2 rows.

    The trace of the root comes from eigenvalues with negative ones clipped, not from a matrix root.
    """
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    if min(len(first), len(second)) < 2:
        return math.nan
    statistics = [
        fid_features_to_statistics(torch.from_numpy(part.astype(np.float64))) for part in (first, second)
    ]
    return float(fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID])


def _fid(inputs: MetricInputs, kind: str) -> MetricResult:
    real = inputs.real.features(kind)
    small = inputs.n <= 2 * real.shape[1]
    return inputs.result(
        f"fid_{kind}_{tag(inputs.n)}",
        kind,
        frechet(inputs.fake.features(kind), real),
        "lower",
        floor=float(inputs.of_real("fid", kind, lambda: frechet(inputs.floor.features(kind), real))),
        note=f"n too small for {real.shape[1]} features: mostly bias, see KID" if small else "",
    )
