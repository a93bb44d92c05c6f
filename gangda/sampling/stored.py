"""The generated images of a set that is there already, drawn like those of a generator."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gangda.data.images import GENERATED, IntArray, LabelledImages, size_words
from gangda.data.loading import load_splits
from gangda.data.sample_set import SetIndex, read_set
from gangda.data.splits import DataSplits, refuse_made_from
from gangda.errors import DataError, RunError
from gangda.sampling.sample_statistics import SampleStatistics
from gangda.zoo.draw import BLOCK, SampleBatch


class ImageSource(Protocol):
    """What gives images of a class, block by block: a `Sampler`, or a set."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """In label order."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""

    def draw(
        self, label: int, block: int, count: int, statistics: SampleStatistics | None = None
    ) -> SampleBatch:
        """The first `count` images of a class's block."""

    def as_dict(self) -> dict[str, Any]:
        """How they are made, in plain values."""


@dataclass(frozen=True, eq=False)
class StoredSamples:
    """Generated images in the order in which they stand in a set."""

    path: Path
    images: LabelledImages  # generated ones only
    index: SetIndex
    seen: IntArray  # row ids of the real images that its generator was trained on, int64

    @property
    def class_names(self) -> tuple[str, ...]:
        """In label order."""
        return self.images.class_names

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.images.image_shape

    def draw(
        self, label: int, block: int, count: int, statistics: SampleStatistics | None = None
    ) -> SampleBatch:
        """See `ImageSource`; a DataError where the set has fewer of the class."""
        of_class = np.flatnonzero(self.images.labels == label)
        rows = of_class[block * BLOCK : block * BLOCK + count]
        if len(rows) < count:
            needed, name = block * BLOCK + count, self.class_names[label]
            what = f"holds {len(of_class):,} generated images of class '{name}', and {needed:,} are needed"
            raise DataError(f"{self.path}: {what}; make more, or choose a smaller ratio")
        taken = self.images.take(rows)
        return SampleBatch(taken.pixels, taken.generator, taken.parent, taken.confidence)

    def as_dict(self) -> dict[str, Any]:
        """How the set says that its labels were made."""
        labels = self.index.provenance.get("labels")
        return dict(labels) if isinstance(labels, Mapping) else {"made": "unknown"}


def stored_samples(path: Path, splits: DataSplits) -> StoredSamples:
    """The generated images of a set, if they may be used with these splits.

    Raises DataError: no set, or none in it; RunError: other classes, sizes or images, or images outside this subset
    were seen in making them.
    """
    own, train = read_set(path), splits.train
    images = own.images.take(np.flatnonzero(own.images.origin == GENERATED))
    if not len(images):
        raise DataError(f"{path}: holds no generated images; give a set that `gangda sample` wrote")
    if images.class_names != train.class_names or images.image_shape != train.image_shape:
        ours, theirs = size_words(train.image_shape), size_words(images.image_shape)
        what = (
            f"{theirs} images of {images.num_classes} classes, these data are {ours} of {train.num_classes}"
        )
        raise RunError(f"{path}: holds {what}; choose another set or --data")
    behind = own.data_config
    if behind is None or own.fingerprint != splits.fingerprint:
        raise RunError(f"{path}: made from other images than {splits.name}; choose another set or --data")
    refuse_made_from(images, splits.test, str(path))
    source = load_splits(behind, own.data_seed)
    if outside := int((~np.isin(source.usable_rows, splits.usable_rows)).sum()):
        raise RunError(
            f"{path}: its generator may have seen {outside} images outside this subset of {splits.name}; give the "
            f"--seed ({own.data_seed}) and --per-class or --class-counts of its training"
        )
    trained = np.setdiff1d(source.usable_rows, source.validation.row_id)
    return StoredSamples(path, images, own.index, trained)
