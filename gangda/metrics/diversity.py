"""Spread inside each class, as a ratio to real images: finds classes of which every sample is alike."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from gangda.data.images import FloatArray, IntArray
from gangda.metrics.inputs import Features, MetricInputs, Side, subsample, tag
from gangda.metrics.intervals import Z95
from gangda.metrics.neighbours import squared_distances, together
from gangda.metrics.result import MetricResult

VENDI_ROWS = 300  # images per class of the Vendi score: its cost grows with the cube
LEAST = 5  # images of a class below which there is no ratio
ALARM = 0.9
# Mode collapse during training, as ratios to real images: mean distance (one image per class has 0, two 0.5, healthy
# samples above 0.7) and number of distinct modes (two images among fifty have 0.04, healthy samples above 0.9).
MIN_DIVERSITY = 0.5
MIN_DISTINCT_MODES = 0.5
Z_CLASS = 3.0  # one class alone must be this many standard errors down: there may be a hundred of them


@dataclass(frozen=True)
class Ratio:
    """Spread of a side over that of held-out images, class by class.

    Attributes:
        per_class: float64 (K,); NaN for a class that is too small or does not vary.
        errors: float64 (K,), standard errors; None where there are none.
    """

    per_class: FloatArray
    errors: FloatArray | None = None

    @property
    def value(self) -> float:
        """Mean over classes; NaN where there are none."""
        return float(np.nanmean(self.per_class)) if self.known else math.nan

    @property
    def known(self) -> int:
        """Classes with a ratio."""
        return int((~np.isnan(self.per_class)).sum())

    @property
    def interval(self) -> tuple[float, float] | None:
        """95% interval of the mean."""
        if self.errors is None or not self.known:
            return None
        half = Z95 * float(np.sqrt(np.nansum(self.errors**2))) / self.known
        return self.value - half, self.value + half


def diversity(inputs: MetricInputs) -> list[MetricResult]:
    """Mean pairwise distance and Vendi score inside each class, over those of held-out images.

    An ALARM, for the mean over classes or for any one class, is based on label-free features (randconv, pca): the
    scorer's own are trained to suppress such variation.

    Source: the distance ratio is ours; Vendi score: Friedman and Dieng 2023, equation 1, with a Gaussian
    kernel whose width is the real images' median distance in that class.
    """
    results = []
    for kind in inputs.spread_kinds:
        results += [_distances(inputs, kind), _vendi(inputs, kind)]
    return results


def mean_distance(features: Features) -> tuple[float, float]:
    """Mean Euclidean distance between two different rows of (N, F), and its variance as a U-statistic.

    Source: Hoeffding 1948: the variance is 4/N times that of each row's mean distance to the others.
    """
    (points,) = together(features)
    means = np.concatenate(
        [distances.sqrt().double().sum(1).numpy() for _, distances in squared_distances(points, points)]
    ) / (len(features) - 1)
    return float(means.mean()), 4 * float(means.var()) / len(features)


def vendi(features: Features, width: float) -> float:
    """Effective number of different rows of (N, F): exp of the entropy of the kernel's eigenvalues."""
    (points,) = together(features)
    squared = torch.cat([part.double() for _, part in squared_distances(points, points)]).fill_diagonal_(0)
    kernel = torch.exp(-squared / (2 * width**2))
    # torch's solver: NumPy's would start a second pool of threads that competes for the cores.
    shares = torch.linalg.eigvalsh((kernel + kernel.T) / (2 * len(kernel))).numpy()
    shares = shares[shares > 1e-12]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def distance_ratio(
    fake: Features, fake_labels: IntArray, real: Features, real_labels: IntArray, num_classes: int
) -> Ratio:
    """Mean pairwise distance inside each class of (N, F) features over that of (M, F) real ones; labels are int64."""
    ratios, errors = np.full(num_classes, math.nan), np.full(num_classes, math.nan)
    for label in range(num_classes):
        ours, theirs = fake[fake_labels == label], real[real_labels == label]
        if min(len(ours), len(theirs)) < LEAST:
            continue
        spread, variance = mean_distance(ours)
        base, base_variance = mean_distance(theirs)
        if base > 0:
            ratios[label] = spread / base
            errors[label] = math.sqrt(variance + ratios[label] ** 2 * base_variance) / base
    return Ratio(ratios, errors)


def _distances(inputs: MetricInputs, kind: str) -> MetricResult:
    def ratio(side: Side) -> Ratio:
        real = inputs.real
        return distance_ratio(
            side.features(kind),
            side.images.labels,
            real.features(kind),
            real.images.labels,
            real.images.num_classes,
        )

    found, floor = ratio(inputs.fake), _floor(inputs, "diversity", kind, ratio)
    note = _note(found, floor, inputs.real.images.class_names)
    if kind == inputs.scorer:
        note = "the scorer's features suppress variation inside classes"
    return _result(f"diversity_ratio_{kind}", inputs, kind, found, floor, note)


def _vendi(inputs: MetricInputs, kind: str) -> MetricResult:
    def ratio(side: Side) -> Ratio:
        ratios = np.full(inputs.real.images.num_classes, math.nan)
        for label in range(len(ratios)):
            ours, theirs = (
                part.features(kind)[rows[subsample(len(rows), VENDI_ROWS, inputs.seed, "vendi", label)]]
                for part, rows in ((side, side.of_class(label)), (inputs.real, inputs.real.of_class(label)))
            )
            width = _median_distance(theirs) if min(len(ours), len(theirs)) >= LEAST else 0.0
            if width > 0:
                ratios[label] = vendi(ours, width) / vendi(theirs, width)
        return Ratio(ratios)

    floor = _floor(inputs, "vendi", kind, ratio)
    note = f"at most {VENDI_ROWS} images of each class"
    return _result(f"vendi_{kind}", inputs, kind, ratio(inputs.fake), floor, note)


def _floor(inputs: MetricInputs, what: str, kind: str, ratio: Callable[[Side], Ratio]) -> Ratio:
    """The training images' ratio, which does not depend on the samples."""

    def rows() -> list[FloatArray]:
        found = ratio(inputs.floor)
        return [found.per_class] if found.errors is None else [found.per_class, found.errors]

    return Ratio(*inputs.of_real(what, kind, rows))


def _result(
    name: str, inputs: MetricInputs, kind: str, found: Ratio, floor: Ratio, note: str
) -> MetricResult:
    return inputs.result(
        f"{name}_{tag(inputs.n)}",
        kind,
        found.value,
        "target",
        interval=found.interval,
        floor=floor.value,
        per_class=tuple(found.per_class.tolist()),
        note="too few images of each class" if math.isnan(found.value) else note,
    )


def _median_distance(features: Features) -> float:
    (points,) = together(features)
    squared = np.concatenate([part.numpy() for _, part in squared_distances(points, points)])
    return float(np.median(np.sqrt(squared[np.triu_indices(len(squared), 1)])))


def _note(found: Ratio, floor: Ratio, class_names: tuple[str, ...]) -> str:
    if found.interval is None or found.errors is None:
        return ""
    ideal = min(1.0, floor.value)
    if found.value < ALARM * ideal and found.interval[1] < ideal:
        return "ALARM less varied inside classes than real images: mode collapse"
    low = found.per_class + Z_CLASS * found.errors < ALARM * np.fmin(1.0, floor.per_class)
    if low.any():
        names = ", ".join(class_names[label] for label in np.flatnonzero(low)[:5])
        return f"ALARM less varied than real images: {names}"
    worst = int(np.nanargmin(found.per_class))
    return f"least varied: {class_names[worst]} at {found.per_class[worst]:.2f}"
