"""Test images that were not trained on, when they are named apart from the training images."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gangda.config.schema import DataConfig
from gangda.data.images import REAL, LabelledImages
from gangda.data.loading import load_source
from gangda.data.sample_set.index import read_indices, unite
from gangda.data.sources.resize import to_square
from gangda.data.splits import SourceImages, draw_splits
from gangda.errors import DataError, GangdaError

# Share of the test images that may equal a training image. A source's own split may hold more: its row ids show that
# these are different images, and public sets do hold duplicates.
MOST_DUPLICATES = 0.1
MOST_OWN_DUPLICATES = 0.5


@dataclass(frozen=True)
class SourceData:
    """The real data that training images come from: its content hash, and the --image-size of that hash."""

    fingerprint: str
    image_size: int | None


def source_of_set(folder: Path) -> SourceData:
    """The real data that a sample set or augmented set was made from, by its index.

    Raises:
        DataError: the index cannot be read.
    """
    data = unite(read_indices(folder)).data
    size = (data.get("config") or {}).get("image_size")
    return SourceData(str(data.get("fingerprint", "")), size if isinstance(size, int) else None)


def load_test_images(
    test: str, train: LabelledImages, source: SourceData, download: bool
) -> tuple[LabelledImages, bool]:
    """The test images that `--test` names, as large as `train`; and whether they are of `train`'s own source.

    Of that source, its test split (its fixed fifth, where it has none of its own): the rest may have been trained on.
    Of any other data its test split, or all of it where it has none.

    Raises:
        DataError: cannot be read, or shares images with `train`.
    """
    size = train.image_shape[1]
    images = _load(test, source.image_size, download)
    if images.fingerprint == source.fingerprint:
        own = draw_splits(images, DataConfig(source=test), 0).test
        _refuse_shared(own, train, test)
        return replace(own, pixels=to_square(own.pixels, size)), True
    if images.train.image_shape[1] != size:
        images = _load(test, size, download)
    return images.test if images.test is not None else images.train, False


def _load(test: str, image_size: int | None, download: bool) -> SourceImages:
    try:
        return load_source(DataConfig(source=test, image_size=image_size, download=download))
    except GangdaError as error:
        raise type(error)(str(error).replace("--data", "--test", 1)) from error


def _refuse_shared(test: LabelledImages, train: LabelledImages, where: str) -> None:
    if not len(test):
        raise DataError(f"--test {where}: is what is trained on and holds nothing else; give another --test")
    shared = np.intersect1d(train.row_id[train.origin == REAL], test.row_id)
    if len(shared):
        raise DataError(
            f"--test {where}: {len(shared):,} of its {len(test):,} test images are among the images to train "
            "on; give another --test"
        )


def check_duplicates(train: LabelledImages, test: LabelledImages, own: bool) -> tuple[str, ...]:
    """A note on test images that equal a training image pixel for pixel.

    `own`: train and test are splits of the same source.

    Raises:
        DataError: so many that the test set must hold what was trained on.
    """
    trained = {row.tobytes() for row in train.pixels}
    count = sum(row.tobytes() in trained for row in test.pixels)
    if count > len(test) * (MOST_OWN_DUPLICATES if own else MOST_DUPLICATES):
        raise DataError(
            f"{count:,} of {len(test):,} test images are among the images to train on, pixel for pixel; give "
            "another --test"
        )
    if not count:
        return ()
    return (f"{count:,} of {len(test):,} test images are, pixel for pixel, also among those trained on",)
