"""Spread inside each class, as a ratio to real images: finds classes of which every sample is alike."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from gangda.data.images import FloatArray
from gangda.metrics.inputs import Features, MetricInputs, Side, subsample
from gangda.metrics.neighbours import squared_distances, together
from gangda.metrics.result import Z95, MetricResult

VENDI_ROWS = 300  # images per class of the Vendi score: its cost grows with the cube
LEAST = 5  # images of a class below which there is no ratio
ALARM = 0.9
# Mode collapse during training, as ratios to real images: mean distance (one image per class has 0, two 0.5, healthy
# samples above 0.7) and number of distinct modes (two images among fifty have 0.04, healthy samples above 0.9).
MIN_DIVERSITY = 0.5
MIN_DISTINCT_MODES = 0.5
Z_CLASS = 3.0  # one class alone must be this many standard errors down: there may be a hundred of them


class Ratio(NamedTuple):
    """Spread of a side over that of held-out images, and its standard error, by class: float64 (K,).

    NaN for a class that is too small or does not vary, and for unknown errors.
    """

    per_class: FloatArray
    errors: FloatArray

    @property
    def value(self) -> float:
        """Mean over classes; NaN where there are none."""
        return math.nan if np.isnan(self.per_class).all() else float(np.nanmean(self.per_class))

    @property
    def interval(self) -> tuple[float, float] | None:
        """95% interval of the mean."""
        known = int((~np.isnan(self.errors)).sum())
        if not known:
            return None
        half = Z95 * float(np.sqrt(np.nansum(self.errors**2))) / known
        return self.value - half, self.value + half


def diversity(inputs: MetricInputs) -> list[MetricResult]:
    """Mean pairwise distance and Vendi score inside each class, over those of held-out images.

    An ALARM, for the mean over classes or for any one class, is based on label-free features (randconv, pca): the
    scorer's own are trained to suppress such variation.

    Source: the distance ratio is ours; Vendi score: Friedman and Dieng 2023, equation 1, with a Gaussian
    kernel whose width is the real images' median distance in that class.
    """
    return [
        _result(inputs, kind, name, ratio)
        for kind in (*inputs.kinds, "pca")
        for name, ratio in (("diversity_ratio", _distance_ratio), ("vendi", _vendi_ratio))
    ]


def _result(
    inputs: MetricInputs, kind: str, name: str, ratio: Callable[[MetricInputs, Side, str], FloatArray]
) -> MetricResult:
    found, floor = (Ratio(*one) for one in inputs.both(name, kind, functools.partial(ratio, inputs)))
    if math.isnan(found.value):
        note = "too few images of each class"
    elif name == "vendi":
        note = f"at most {VENDI_ROWS} images of each class"
    elif kind == inputs.scorer:
        note = "the scorer's features suppress variation inside classes"
    else:
        note = _note(found, floor, inputs.real.images.class_names)
    per_class = tuple(found.per_class.tolist())
    more = {"interval": found.interval, "floor": floor.value, "per_class": per_class, "note": note}
    return inputs.result(name, kind, found.value, "target", **more)


def _note(found: Ratio, floor: Ratio, class_names: tuple[str, ...]) -> str:
    ideal = min(1.0, floor.value)
    if found.value < ALARM * ideal and found.interval and found.interval[1] < ideal:
        return "ALARM less varied inside classes than real images: mode collapse"
    low = found.per_class + Z_CLASS * found.errors < ALARM * np.fmin(1.0, floor.per_class)
    if low.any():
        names = ", ".join(class_names[label] for label in np.flatnonzero(low)[:5])
        return f"ALARM less varied than real images: {names}"
    worst = int(np.nanargmin(found.per_class))
    return f"least varied: {class_names[worst]} at {found.per_class[worst]:.2f}"


def _distance_ratio(inputs: MetricInputs, side: Side, kind: str) -> FloatArray:
    """Mean pairwise distance inside each class over that of real images, and standard errors: float64 (2, K)."""
    found = np.full((2, inputs.real.images.num_classes), math.nan)
    for label, ours, theirs in _by_class(inputs, side, kind):
        spread, variance = mean_distance(ours)
        base, base_variance = mean_distance(theirs)
        if base > 0:
            ratio = spread / base
            found[:, label] = ratio, math.sqrt(variance + ratio**2 * base_variance) / base
    return found


def _vendi_ratio(inputs: MetricInputs, side: Side, kind: str) -> FloatArray:
    """Vendi score of each class over that of real images, without standard errors: float64 (2, K)."""
    found = np.full((2, inputs.real.images.num_classes), math.nan)
    for label, ours, theirs in _by_class(inputs, side, kind, VENDI_ROWS):
        squared = _all_distances(theirs).numpy()
        width = float(np.median(np.sqrt(squared[np.triu_indices(len(squared), 1)])))
        if width > 0:
            found[0, label] = vendi(ours, width) / vendi(theirs, width)
    return found


def _by_class(
    inputs: MetricInputs, side: Side, kind: str, most: int | None = None
) -> Iterator[tuple[int, Features, Features]]:
    """Label, features of the side and of real images (at most `most`), for each class with enough of both."""
    for label in range(inputs.real.images.num_classes):
        parts = []
        for part in (side, inputs.real):
            rows = part.of_class(label)
            rows = rows[subsample(len(rows), most or len(rows), inputs.seed, "vendi", label)]
            parts.append(part.features(kind)[rows])
        if min(map(len, parts)) >= LEAST:
            yield label, parts[0], parts[1]


def mean_distance(features: Features) -> tuple[float, float]:
    """Mean Euclidean distance between two different rows of (N, F), and its variance as a U-statistic.

    Source: Hoeffding 1948: the variance is 4/N times that of each row's mean distance to the others.
    """
    parts = squared_distances(*together(features, features))
    sums = np.concatenate([distances.sqrt().double().sum(1).numpy() for _, distances in parts])
    means = sums / (len(features) - 1)
    return float(means.mean()), 4 * float(means.var()) / len(features)


def vendi(features: Features, width: float) -> float:
    """Effective number of different rows of (N, F): exp of the entropy of the kernel's eigenvalues."""
    squared = _all_distances(features).double().fill_diagonal_(0)
    kernel = torch.exp(-squared / (2 * width**2))
    # torch's solver: NumPy's would start a second pool of threads that competes for the cores.
    shares = torch.linalg.eigvalsh((kernel + kernel.T) / (2 * len(kernel))).numpy()
    shares = shares[shares > 1e-12]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _all_distances(features: Features) -> torch.Tensor:
    """Squared distances between all rows of (N, F): float32 (N, N)."""
    return torch.cat([part for _, part in squared_distances(*together(features, features))])
