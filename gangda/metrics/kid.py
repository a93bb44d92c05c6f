"""Kernel distance between feature sets: unbiased at any n, so also class by class."""

import math

import numpy as np
import torch

from gangda.metrics.inputs import Features, MetricInputs, tag
from gangda.metrics.result import MetricResult

SUBSETS = 10
SUBSET_SIZE = 1000


def kid(inputs: MetricInputs) -> list[MetricResult]:
    """Unbiased squared MMD with a cubic polynomial kernel, for each kind of features; may be negative.

    Mean over 10 subsets of min(1000, n/2). `per_class` is the same over whole classes (of at most 1000).

    Source: Binkowski 2018, equation 4 and section 3.
    """
    return [_kid(inputs, kind) for kind in inputs.kinds]


def distance(fake: Features, real: Features, subset: int) -> float:
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


def _kid(inputs: MetricInputs, kind: str) -> MetricResult:
    real = inputs.real.features(kind)
    subset = min(SUBSET_SIZE, inputs.n // 2)
    return inputs.result(
        f"kid_{kind}_{tag(inputs.n)}",
        kind,
        distance(inputs.fake.features(kind), real, subset),
        "lower",
        floor=float(inputs.of_real("kid", kind, lambda: distance(inputs.floor.features(kind), real, subset))),
        per_class=_per_class(inputs, kind),
        note=f"subsets of {subset}" if subset >= 2 else "n too small",
    )


def _per_class(inputs: MetricInputs, kind: str) -> tuple[float, ...]:
    distances = []
    for label in range(inputs.real.images.num_classes):
        fake, real = (
            side.features(kind)[side.of_class(label)[:SUBSET_SIZE]] for side in (inputs.fake, inputs.real)
        )
        distances.append(distance(fake, real, len(real)))
    return tuple(distances)
