"""A check: a few hundred samples of a generator, measured against real images in features that no label has touched."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.data.images import FloatArray, IntArray, UInt8Array
from gangda.metrics import group_distances
from gangda.metrics.diversity import LEAST
from gangda.metrics.group_distances import energy_distances, group_means, pairwise_distances
from gangda.runtime.device import DeviceContext
from gangda.training.monitor.reference import Reference
from gangda.zoo.base import Generator
from gangda.zoo.draw import draw_labels

# Within the samples (N, N), within the real images (M, M), and between both (N, M).
Distances = tuple[FloatArray, FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class Check:
    """Measurements of a generator's samples. Groups are the classes, or one group of everything; NaN where unknown."""

    samples: int  # how many
    # Mean over groups of the energy distance to real images, as a share of their spread: 0 is ideal. Where no group
    # has enough images, `mixture`.
    distance: float
    # The same to validation images alone: the best checkpoint has the smallest. NaN where these are too few to choose.
    validation_distance: float
    mixture: float  # the same with all classes in one group, whatever their labels
    gan_test: float  # share of samples that the classifier assigns to the intended class
    gan_test_real: float  # the classifier's accuracy on real held-out images
    diversity: FloatArray  # (groups,) mean distance between two samples over that between two real images
    # (groups,) distinct modes among the samples over those among as many real images.
    distinct_modes: FloatArray
    # (K, K) energy distance between two classes of samples over that between the real ones; NaN where these are too
    # close to tell; (0, 0) for one group
    apart: FloatArray
    # (groups,) the class whose real images the group is closest to; itself where all is well.
    mistaken: IntArray
    # (K, K) share of each class's samples (row) that the classifier assigns to each class (column); one row without
    # labels, no rows without a classifier
    shares: FloatArray
    class_shares: FloatArray  # (K,) of the training images
    novelty: float  # median distance of a sample to its nearest real image over that between real ones
    roughness: float  # median difference of neighbouring pixels over that of real images

    def as_dict(self) -> dict[str, Any]:
        """What the log keeps: plain values, rounded; NaN where unknown."""
        single = [field.name for field in fields(self) if field.type is float]
        values: dict[str, Any] = {name: round(getattr(self, name), 4) for name in single}
        for name in ("diversity", "distinct_modes"):
            groups = getattr(self, name)
            values[name] = round(mean(groups), 4)
            if len(groups) > 1:
                values[f"{name}_per_class"] = [round(value, 3) for value in groups.tolist()]
        if len(self.diversity) == 1 and len(self.shares):
            values["class_shares"] = [round(value, 3) for value in self.shares[0].tolist()]
        return values


def check_samples(generator: Generator, reference: Reference, *, seed: int, context: DeviceContext) -> Check:
    """Draw the samples (the same noise each time, from the stream (seed, "watch")) and measure them."""
    classes = reference.images.num_classes if reference.conditional else 1
    labels = np.repeat(np.arange(classes), reference.per_class)
    pixels = draw_labels(generator, labels, seed, "watch", context=context)
    return measure(pixels, labels, reference)


def measure(pixels: UInt8Array, labels: IntArray, reference: Reference) -> Check:
    """Measure samples uint8 (N, H, W, C); labels int64 (N,) are intended classes, all 0 for an unconditional group."""
    real = reference.images
    real_labels = real.labels if reference.conditional else np.zeros_like(real.labels)
    groups = real.num_classes if reference.conditional else 1
    fake_features, real_features = (reference.extractor.embed(part) for part in (pixels, real.pixels))
    distances = (
        pairwise_distances(fake_features, fake_features),
        pairwise_distances(real_features, real_features),
        pairwise_distances(fake_features, real_features),
    )
    within_fake, within_real, between = distances
    fake_means, real_means, energy = _group_distances(*distances, labels, real_labels, groups)
    enough = np.bincount(real_labels, minlength=groups) >= LEAST
    spread = _spread(real_means, enough)
    energy[:, ~enough] = np.nan
    real_means[~enough] = np.nan
    held_out = reference.held_out
    to_validation = (within_fake, within_real[np.ix_(held_out, held_out)], between[:, held_out])
    shares = _shares(pixels, labels, groups, reference)
    return Check(
        samples=len(pixels),
        distance=_distance(distances, labels, real_labels, groups),
        validation_distance=(
            np.nan if reference.too_few else _distance(to_validation, labels, real_labels[held_out], groups)
        ),
        mixture=_mixture(distances),
        gan_test=float(np.diag(shares).mean()) if reference.conditional and len(shares) else np.nan,
        gan_test_real=reference.real_accuracy,
        diversity=np.diag(fake_means) / spread,
        distinct_modes=group_distances.distinct_mode_ratios(
            within_fake, labels, within_real, real_labels, groups
        ),
        apart=_apart(fake_means, real_means) if groups > 1 else np.zeros((0, 0)),
        mistaken=_closest(energy),
        shares=shares,
        class_shares=reference.class_shares,
        novelty=float(
            _ratio(np.median(between.min(axis=1)), np.median(group_distances.nearest_other(within_real)))
        ),
        roughness=float(_ratio(_roughness(pixels), _roughness(real.pixels))),
    )


def _distance(distances: Distances, labels: IntArray, real_labels: IntArray, groups: int) -> float:
    """Mean over groups of the energy distance as a share of the real spread; `_mixture` where none has enough."""
    _, real_means, energy = _group_distances(*distances, labels, real_labels, groups)
    enough = np.bincount(real_labels, minlength=groups) >= LEAST
    by_group = mean(np.diag(energy) / _spread(real_means, enough))
    return _mixture(distances) if np.isnan(by_group) else by_group


def _mixture(distances: Distances) -> float:
    """The same with all classes in one group, whatever their labels."""
    ours, theirs = (np.zeros(len(part), dtype=np.int64) for part in distances[:2])
    _, whole, energy = _group_distances(*distances, ours, theirs, 1)
    return float(_ratio(energy, whole)[0, 0])


def _spread(real_means: FloatArray, enough: npt.NDArray[np.bool_]) -> FloatArray:
    """(groups,) mean distance between two real images of a group; NaN where there are not `enough`, or all are one."""
    within = np.diag(real_means)
    return np.where(enough & (within > 0), within, np.nan)


def mean(values: FloatArray) -> float:
    """Mean of what is known; NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _ratio(value: Any, base: Any) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.divide(value, base), dtype=np.float64)


def _group_distances(
    within_fake: FloatArray,
    within_real: FloatArray,
    between: FloatArray,
    labels: IntArray,
    real_labels: IntArray,
    groups: int,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(groups, groups) mean distances within the samples and within the real images, and energy distances between."""
    fake = group_means(within_fake, labels, labels, groups, same=True)
    real = group_means(within_real, real_labels, real_labels, groups, same=True)
    mixed = group_means(between, labels, real_labels, groups)
    return fake, real, energy_distances(mixed, np.diag(fake), np.diag(real))


def _closest(energy: FloatArray) -> IntArray:
    """The real class that each group is closest to; itself where that cannot be told."""
    known = np.where(np.isnan(energy), np.inf, energy)
    itself = np.arange(len(energy))
    return np.where(np.isnan(np.diag(energy)), itself, known.argmin(axis=1)).astype(np.int64)


def _apart(fake: FloatArray, real: FloatArray) -> FloatArray:
    """How far apart classes are, against the real ones; NaN for real classes less than half as far as the average."""
    ours, theirs = (energy_distances(means, np.diag(means), np.diag(means)) for means in (fake, real))
    typical = mean(theirs[np.triu_indices(len(theirs), 1)])
    return _ratio(ours, np.where(theirs >= 0.5 * typical, theirs, np.nan))


def _roughness(pixels: UInt8Array) -> float:
    """Median over images of the mean squared difference of neighbouring pixels over twice the variance; noise has 1."""
    x = pixels.astype(np.float32)
    steps = [np.square(np.diff(x, axis=axis)).mean(axis=(1, 2, 3)) for axis in (1, 2)]
    return float(np.median((steps[0] + steps[1]) / 2 / (2 * x.var(axis=(1, 2, 3)) + 1)))


def _shares(pixels: UInt8Array, labels: IntArray, groups: int, reference: Reference) -> FloatArray:
    """(groups, K) shares of the classes that the classifier assigns; (0, K) without a classifier."""
    classes = reference.images.num_classes
    if reference.classifier is None:
        return np.zeros((0, classes))
    counts = np.zeros((groups, classes))
    np.add.at(counts, (labels, reference.classifier.predict(pixels)), 1)
    return _ratio(counts, counts.sum(axis=1, keepdims=True))
