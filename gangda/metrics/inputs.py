"""`MetricInputs`: samples, held-out and training images, with features that are computed when they are needed, once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from torch import Tensor

from gangda.data.images import FloatArray, IntArray, LabelledImages
from gangda.metrics.extractors import Extractor
from gangda.metrics.extractors import Features as Features
from gangda.metrics.neighbours import Shortlist, shift_search, squared_radii
from gangda.metrics.result import MetricResult
from gangda.runtime.seeding import numpy_stream

Remember = Callable[[tuple[str, ...], Callable[[], FloatArray]], FloatArray]

QUERIES = 1000  # images of a side whose neighbours are searched under shifts: seconds, and 1% shows
MOST_NEIGHBOURS = 5  # the largest k of any metric: searched once for all


class Side:
    """A set of images, and its features by kind: float32 (N, F), or (N, K) for "logits"; computed once."""

    def __init__(self, images: LabelledImages, features: Callable[[str], Features]) -> None:
        self.images = images
        self.features = cache(features)
        self._radii: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return len(self.images)

    def radii(self, kind: str, k: int) -> Tensor:
        """Squared distance of each image to its k-th nearest other one, k <= `MOST_NEIGHBOURS`: float32 (N,)."""
        if kind not in self._radii:
            most = min(MOST_NEIGHBOURS, len(self) - 1)
            self._radii[kind] = squared_radii(self.features(kind), most)
        return self._radii[kind][:, k - 1]

    def take(self, rows: IntArray) -> "Side":
        """These images, itself where they are all in order; their features are slices of the whole set's."""
        if np.array_equal(rows, np.arange(len(self))):
            return self
        return Side(self.images.take(rows), lambda kind: self.features(kind)[rows])

    def predicted(self) -> IntArray:
        """The scorer's class of each image, int64 (N,)."""
        return np.asarray(self.features("logits").argmax(axis=1), dtype=np.int64)

    def of_class(self, label: int) -> IntArray:
        """Positions of one class, int64."""
        return np.flatnonzero(self.images.labels == label)


@dataclass(frozen=True, eq=False)
class MetricInputs:
    """Samples, held-out real images and training images, whole and matched: what a metric is a function of."""

    samples: Side  # all samples to score
    reference: Side  # all held-out real images
    train: Side  # all training images
    seen: Side  # what the generator may have learnt from: those, and unlabelled images beside them
    # fake, real, floor: subsets of the three above with the same number of images in every class: samples, held-out,
    # and training images that take the samples' place in the real-vs-real floor
    fake: Side
    real: Side
    floor: Side
    # kind of features -> what makes their extractor, once; "lenet" (or the scorer's name) is absent for unlabelled
    # data
    extractors: Mapping[str, Callable[[], Extractor]]
    scorer: str  # name of the classifier, "" for unlabelled data
    # trains the scorer's kind of classifier from scratch on a set and returns its predictions for `reference`, int64
    # (N,); None for unlabelled data
    retrain: Callable[[LabelledImages], IntArray] | None
    seed: int  # of every subsample
    circular: bool = False  # the samples were labelled or filtered by a classifier before
    # key and computation -> its array, from an earlier score of other samples if there was one
    remember: Remember = lambda _, compute: compute()

    def of_real(self, what: str, kind: str, compute: Callable[[], Any]) -> FloatArray:
        """Numbers that depend on `floor`, `real`, `seen` and the seed alone: kept, and not computed for each score.

        `what` names the metric; `compute` gives numbers of any shape, which come back as float64.
        """
        key = (what, kind, self.extractors[kind]().fingerprint)
        return self.remember(key, lambda: np.asarray(compute(), dtype=np.float64))

    def both(self, what: str, kind: str, measure: Callable[[Side, str], Any]) -> tuple[Any, FloatArray]:
        """A measure (of a side and a kind of features) of the samples, and of the floor, by `of_real`."""
        floor = self.of_real(what, kind, lambda: measure(self.floor, kind))
        return measure(self.fake, kind), floor

    def result(
        self,
        name: str,
        kind: str,
        value: float,
        direction: str,
        n: tuple[int, int] | None = None,
        /,
        **more: Any,
    ) -> MetricResult:
        """A result on features of `kind` ("" or "pixels" for none); `more` are other fields of `MetricResult`.

        `n`: real images and samples; by default those of the matched sets, and the name ends with kind and number.
        """
        extractor = self.extractors[kind]().fingerprint if kind in self.extractors else ""
        if n is None:
            name, n = f"{name}_{kind}_{tag(self.n)}" if kind else name, (self.n, self.n)
        return MetricResult(name, value, direction, *n, extractor=extractor, **more)

    @property
    def n(self) -> int:
        """Images on each matched side."""
        return len(self.fake)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of features for distances between distributions: the scorer's and the label-free ones."""
        return tuple(kind for kind in (self.scorer, "randconv") if kind)

    @cached_property
    def nearest_of_samples(self) -> Shortlist:
        """Nearest images that the generator may have seen, of (at most `QUERIES`) samples."""
        return self._nearest(self.fake)

    @cached_property
    def nearest_of_heldout(self) -> Shortlist:
        """Nearest such images of as many held-out images."""

        def found() -> FloatArray:
            return np.stack([np.asarray(column, np.float64) for column in self._nearest(self.real)])

        kept = self.of_real("nearest", "randconv", found)
        return Shortlist(*kept[:3], *kept[3:].astype(np.int64))

    def _nearest(self, side: Side) -> Shortlist:
        rows = subsample(len(side), QUERIES, self.seed, "queries")
        return shift_search(
            side.images.pixels[rows],
            side.features("randconv")[rows],
            self.seen.images.pixels,
            self.seen.features("randconv"),
            self.seen.features("spectrum"),
            self.extractors["randconv"]().embed,
            rows,
        )


def subsample(count: int, most: int, *key: int | str) -> IntArray:
    """At most `most` of `count` positions, sorted, from the stream of this key; int64."""
    if count <= most:
        return np.arange(count, dtype=np.int64)
    return np.sort(numpy_stream(*key).choice(count, most, replace=False)).astype(np.int64)


def matched_rows(sets: Sequence[LabelledImages], seed: int) -> list[IntArray]:
    """Positions in each set such that all have the same number of images in every class, as many as can be.

    Equal n is what makes biased metrics comparable; equal class shares keep the user's choice of counts out
    of them. A set that already fits is taken whole, in its order.
    """
    least = np.min([images.counts() for images in sets], axis=0)
    chosen = []
    for index, images in enumerate(sets):
        rng = numpy_stream(seed, "matched", index)
        rows = [np.zeros(0, dtype=np.int64)]
        for label in np.flatnonzero(least):
            rows.append(rng.choice(np.flatnonzero(images.labels == label), int(least[label]), replace=False))
        chosen.append(np.sort(np.concatenate(rows)))
    return chosen


def tag(count: int) -> str:
    """How a number of images appears in a metric's name: 360, 10k."""
    return f"{count // 1000}k" if count >= 1000 and count % 1000 == 0 else str(count)
