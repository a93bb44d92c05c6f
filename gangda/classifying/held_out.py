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

# Share of the test images that may be twins of training images. A source's own split may hold more: its row
# ids tell that the images are different ones, and public sets do hold twins.
MOST_TWINS = 0.1
MOST_OWN_TWINS = 0.5


@dataclass(frozen=True)
class Behind:
    """The real data that training images come from: its content hash, and the --image-size of that hash."""

    fingerprint: str
    image_size: int | None


def behind_set(folder: Path) -> Behind:
    """The real data behind a set of gangda's own, as its index tells.

    Raises:
        DataError: the index cannot be read.
    """
    data = unite(read_indices(folder))["data"]
    size = (data.get("config") or {}).get("image_size")
    return Behind(str(data.get("fingerprint", "")), size if isinstance(size, int) else None)


def named_test(
    test: str, train: LabelledImages, behind: Behind, download: bool
) -> tuple[LabelledImages, bool]:
    """The test images that `--test` names, as large as `train`; and whether they are of the data behind it.

    Of the data behind `train`, its test split (its fixed fifth, where it has none of its own): the rest may
    have been trained on. Of any other data its test split, or all of it where it has none.

    Raises:
        DataError: cannot be read, or shares images with `train`.
    """
    size = train.image_shape[1]
    source = _load(test, behind.image_size, download)
    if source.fingerprint == behind.fingerprint:
        own = draw_splits(source, DataConfig(source=test), 0).test
        _refuse_shared(own, train, test)
        return replace(own, pixels=to_square(own.pixels, size)), True
    if source.train.image_shape[1] != size:
        source = _load(test, size, download)
    return source.test if source.test is not None else source.train, False


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


def check_twins(train: LabelledImages, test: LabelledImages, own: bool) -> tuple[str, ...]:
    """A remark on test images that are in the training set pixel for pixel.

    `own`: train and test are splits of the same source.

    Raises:
        DataError: so many that the test set must hold what was trained on.
    """
    seen = {row.tobytes() for row in train.pixels}
    twins = sum(row.tobytes() in seen for row in test.pixels)
    if twins > len(test) * (MOST_OWN_TWINS if own else MOST_TWINS):
        raise DataError(
            f"{twins:,} of {len(test):,} test images are among the images to train on, pixel for pixel; give "
            "another --test"
        )
    if not twins:
        return ()
    return (f"{twins:,} of {len(test):,} test images are, pixel for pixel, also among those trained on",)
