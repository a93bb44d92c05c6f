"""Distances between distributions of features: Frechet distance and kernel distance."""

import math

import numpy as np
import torch

from gangda.metrics.inputs import Features, MetricInputs, Side
from gangda.metrics.result import MetricResult

SUBSETS = 10
SUBSET_SIZE = 1000


def fid(inputs: MetricInputs) -> list[MetricResult]:
    """|mu1 - mu2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2)) of Gaussians, for each kind of features.

    Its bias falls with n and depends on the generator: read it against the floor only.

    Source: Heusel 2017, equation 6; not on Inception's features.
    """

    def measure(side: Side, kind: str) -> float:
        return frechet(side.features(kind), inputs.real.features(kind))

    results = []
    for kind in inputs.kinds:
        value, floor = inputs.both("fid", kind, measure)
        count = inputs.real.features(kind).shape[1]
        note = f"n too small for {count} features: mostly bias, see KID" if inputs.n <= 2 * count else ""
        results.append(inputs.result("fid", kind, value, "lower", floor=float(floor), note=note))
    return results


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


def kid(inputs: MetricInputs) -> list[MetricResult]:
    """Squared MMD with a cubic polynomial kernel, unbiased at any n, for each kind of features; may be negative.

    Mean over 10 subsets of min(1000, n/2). `per_class` is the same over whole classes (of at most 1000).

    Source: Binkowski 2018, equation 4 and section 3.
    """
    subset = min(SUBSET_SIZE, inputs.n // 2)
    note = f"subsets of {subset}" if subset >= 2 else "n too small"

    def measure(side: Side, kind: str) -> float:
        return kernel_distance(side.features(kind), inputs.real.features(kind), subset)

    results = []
    for kind in inputs.kinds:
        value, floor = inputs.both("kid", kind, measure)
        per_class = []
        for label in range(inputs.real.images.num_classes):
            ours, theirs = (side.of_class(label)[:SUBSET_SIZE] for side in (inputs.fake, inputs.real))
            fake, real = inputs.fake.features(kind)[ours], inputs.real.features(kind)[theirs]
            per_class.append(kernel_distance(fake, real, len(real)))
        more = {"floor": float(floor), "per_class": tuple(per_class)}
        results.append(inputs.result("kid", kind, value, "lower", note=note, **more))
    return results


def kernel_distance(fake: Features, real: Features, subset: int) -> float:
    """KID of feature sets (N, F) with an explicit subset size; NaN below 2.

    Features are divided by the real ones' root mean square: the kernel is not scale-free, and this puts every
    extractor near the unit scale it was made for.
    """
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    if subset < 2:
        return math.nan
    subsets = 1 if subset == len(fake) else SUBSETS
    scale = float(np.sqrt(np.mean(real.astype(np.float64) ** 2))) or 1.0
    tensors = (torch.from_numpy((part / scale).astype(np.float64)) for part in (fake, real))
    answer = kid_features_to_metric(*tensors, kid_subsets=subsets, kid_subset_size=subset, verbose=False)
    return float(answer[KEY_METRIC_KID_MEAN])
