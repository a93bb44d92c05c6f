"""A check: a few hundred samples of a generator, measured against real images.

Everything follows from the distances within the samples, within the real images, and between the two, in features
that no label has touched. With D_ab the mean distance between groups a and b (of two different images), the energy
distance 2 D_ab - D_aa - D_bb is 0 if and only if both come from the same distribution; it needs no fitted model, and
unlike a Frechet distance it has no bias at the few dozen images of a class.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse.csgraph import connected_components

from gangda.data.images import FloatArray, IntArray, UInt8Array
from gangda.metrics.inputs import Features
from gangda.metrics.neighbours import squared_distances, together
from gangda.runtime.device import DeviceContext
from gangda.training.monitor.reference import Reference
from gangda.zoo.base import Generator
from gangda.zoo.draw import draw_labels

LEAST = 5  # real images of a class below which its spread says nothing
SAME_DESIGN = 0.5  # of the real images' distance to their nearest: closer samples count as one design


@dataclass(frozen=True, eq=False)
class Check:
    """What a sample of a generator is like. Groups are the classes, or one group of everything.

    Attributes:
        samples: how many.
        distance: mean over groups of the energy distance to real images, as a share of their spread: 0 is ideal.
            Where no group has enough images, `mixture`.
            The best checkpoint is the one where it is least.
        mixture: the same with all classes in one, whatever their labels say.
        gan_test: share of samples that the classifier puts in the intended class; NaN without labels or classifier.
        gan_test_real: the classifier's accuracy on real held-out images; NaN without one.
        diversity: (groups,) mean distance between two samples over that between two real images; NaN where unknown.
        designs: (groups,) share of samples that are designs of their own, over the same share of real images.
        apart: (K, K) energy distance between two classes of samples over that between the real ones; NaN where real
            classes are too close to tell; (0, 0) for one group.
        mistaken: (groups,) the class whose real images the group is closest to; itself where all is well.
        shares: (K, K) share of each class's samples (row) that the classifier puts in each class (column); one row
            without labels, no rows without a classifier.
        class_shares: (K,) share of each class among the training images.
        novelty: median distance of a sample to its nearest real image over that between real ones.
        roughness: median difference of neighbouring pixels over that of real images.
    """

    samples: int
    distance: float
    mixture: float
    gan_test: float
    gan_test_real: float
    diversity: FloatArray
    designs: FloatArray
    apart: FloatArray
    mistaken: IntArray
    shares: FloatArray
    class_shares: FloatArray
    novelty: float
    roughness: float

    def as_dict(self) -> dict[str, Any]:
        """The figures worth a line of the log: plain values, rounded; NaN where unknown."""
        plain = {name: getattr(self, name) for name in ("distance", "mixture", "gan_test", "gan_test_real")}
        plain |= {"novelty": self.novelty, "roughness": self.roughness}
        plain |= {"diversity": mean(self.diversity), "designs": mean(self.designs)}
        figures: dict[str, Any] = {name: round(float(value), 4) for name, value in plain.items()}
        if len(self.diversity) > 1:
            figures["diversity_per_class"] = [round(float(value), 3) for value in self.diversity]
            figures["designs_per_class"] = [round(float(value), 3) for value in self.designs]
        elif len(self.shares):
            figures["class_shares"] = [round(float(value), 3) for value in self.shares[0]]
        return figures


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
    ours, theirs = reference.extractor.embed(pixels), reference.extractor.embed(real.pixels)
    within, among, across = _distances(ours, ours), _distances(theirs, theirs), _distances(ours, theirs)
    fake_means = _block_means(within, labels, labels, groups, same=True)
    real_means = _block_means(among, real_labels, real_labels, groups, same=True)
    cross = _energy(
        _block_means(across, labels, real_labels, groups), np.diag(fake_means), np.diag(real_means)
    )
    enough = np.bincount(real_labels, minlength=groups) >= LEAST
    spread = np.where(enough & (np.diag(real_means) > 0), np.diag(real_means), np.nan)
    cross[:, ~enough] = np.nan
    real_means[~enough] = np.nan
    one, other = np.zeros_like(labels), np.zeros_like(real_labels)
    whole = [
        _block_means(d, a, b, 1, same=a is b)
        for d, a, b in ((within, one, one), (among, other, other), (across, one, other))
    ]
    shares = _shares(pixels, labels, groups, reference)
    mixture = float(_ratio(2 * whole[2] - whole[0] - whole[1], whole[1])[0, 0])
    by_group = mean(np.diag(cross) / spread)
    return Check(
        samples=len(pixels),
        distance=mixture if np.isnan(by_group) else by_group,
        mixture=mixture,
        gan_test=float(np.diag(shares).mean()) if reference.conditional and len(shares) else np.nan,
        gan_test_real=reference.real_accuracy,
        diversity=np.diag(fake_means) / spread,
        designs=_design_ratios(within, labels, among, real_labels, groups),
        apart=_apart(fake_means, real_means) if groups > 1 else np.zeros((0, 0)),
        mistaken=_closest(cross),
        shares=shares,
        class_shares=reference.class_shares,
        novelty=float(_ratio(np.median(across.min(axis=1)), np.median(_nearest(among)))),
        roughness=float(_ratio(_roughness(pixels), _roughness(real.pixels))),
    )


def mean(values: FloatArray) -> float:
    """Mean of what is known; NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _ratio(value: Any, base: Any) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.divide(value, base), dtype=np.float64)


def _distances(a: Features, b: Features) -> FloatArray:
    """Euclidean distances (N, M), float64."""
    first, second = together(a, b)
    parts = [part.sqrt().double() for _, part in squared_distances(first, second)]
    distances: FloatArray = torch.cat(parts).numpy()
    return distances


def _block_means(
    distances: FloatArray, rows: IntArray, columns: IntArray, groups: int, same: bool = False
) -> FloatArray:
    """Mean distance between the images of two groups (groups, groups), of different images only; NaN for none."""
    row_of, column_of = np.eye(groups)[rows], np.eye(groups)[columns]
    if same:
        distances = distances.copy()
        np.fill_diagonal(distances, 0.0)
    sums = row_of.T @ distances @ column_of
    pairs = np.outer(row_of.sum(0), column_of.sum(0))
    if same:
        pairs -= np.diag(row_of.sum(0))
    return _ratio(sums, np.where(pairs > 0, pairs, np.nan))


def _energy(between: FloatArray, within: FloatArray, other: FloatArray) -> FloatArray:
    return 2 * between - within[:, None] - other[None, :]


def _closest(cross: FloatArray) -> IntArray:
    """The real class that each group is closest to; itself where that cannot be told."""
    known = np.where(np.isnan(cross), np.inf, cross)
    itself = np.arange(len(cross))
    return np.where(np.isnan(np.diag(cross)), itself, known.argmin(axis=1)).astype(np.int64)


def _apart(fake: FloatArray, real: FloatArray) -> FloatArray:
    """How far apart classes are, against the real ones; NaN for real classes less than half as far as the average."""
    ours, theirs = (_energy(means, np.diag(means), np.diag(means)) for means in (fake, real))
    typical = mean(theirs[np.triu_indices(len(theirs), 1)])
    return _ratio(ours, np.where(theirs >= 0.5 * typical, theirs, np.nan))


def _design_ratios(
    within: FloatArray, labels: IntArray, among: FloatArray, real_labels: IntArray, groups: int
) -> FloatArray:
    """Per group, the share of different designs, at equal numbers, over the real images' own."""
    ratios = np.full(groups, np.nan)
    for group in range(groups):
        theirs = np.flatnonzero(real_labels == group)
        ours = np.flatnonzero(labels == group)[: len(theirs)]
        if min(len(ours), len(theirs)) < LEAST:
            continue
        theirs = theirs[: len(ours)]
        real = among[np.ix_(theirs, theirs)]
        close = SAME_DESIGN * float(np.median(_nearest(real)))
        ratios[group] = designs(within[np.ix_(ours, ours)], close) / designs(real, close)
    return ratios


def designs(distances: FloatArray, close: float) -> int:
    """How many different designs there are: images closer than `close` are one design, and so are chains of them."""
    return int(connected_components(distances <= close, directed=False)[0])


def _nearest(distances: FloatArray) -> FloatArray:
    """Distance of each image to the nearest other one of the same set."""
    others = distances.copy()
    np.fill_diagonal(others, np.inf)
    nearest: FloatArray = others.min(axis=1)
    return nearest


def _roughness(pixels: UInt8Array) -> float:
    """Median over images of the mean squared difference of neighbouring pixels over twice the variance.

    White noise has 1; a smooth image far less.
    """
    x = pixels.astype(np.float32)
    steps = [np.square(np.diff(x, axis=axis)).mean(axis=(1, 2, 3)) for axis in (1, 2)]
    return float(np.median((steps[0] + steps[1]) / 2 / (2 * x.var(axis=(1, 2, 3)) + 1)))


def _shares(pixels: UInt8Array, labels: IntArray, groups: int, reference: Reference) -> FloatArray:
    """(groups, K) shares of the classifier's answers; (0, K) without one."""
    classes = reference.images.num_classes
    if reference.classifier is None:
        return np.zeros((0, classes))
    counts = np.zeros((groups, classes))
    np.add.at(counts, (labels, reference.classifier.predict(pixels)), 1)
    return _ratio(counts, counts.sum(axis=1, keepdims=True))
