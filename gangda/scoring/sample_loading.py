"""Loading the samples that metrics or raters score, and the real images that they were made from."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gangda.config.schema import DataConfig
from gangda.data.images import REAL, LabelledImages, aligned, concatenate
from gangda.data.loading import load_source
from gangda.data.sample_set import SetOnDisk, is_set, read_set
from gangda.data.sources.raw import UNLABELLED
from gangda.data.splits import DataSplits
from gangda.errors import DataError, GangdaError


def open_set(path: Path) -> SetOnDisk | None:
    """The set of samples at `path`; None where it is anything else."""
    return read_set(path) if path.is_dir() and is_set(path) else None


def data_behind(
    path: Path, own: SetOnDisk | None, asked: DataConfig | None, changed: Mapping[str, Any], seed: int
) -> tuple[DataConfig, int]:
    """The real images to compare with, and the seed that draws their subset: as asked, else as the set records.

    `changed` fields take the place of recorded ones, and of those that they exclude.

    Raises:
        DataError: neither is given.
    """
    if asked is not None:
        return asked, seed
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    recorded = own.data_config if own else None
    if own is None or recorded is None:
        raise DataError(f"{path}: does not say which data it was made from; name the real images with --data")
    excluded = {name: None for group in DataConfig.exclusive if set(group) & set(changed) for name in group}
    return replace(recorded, **{**excluded, **changed}), own.data_seed


def read_samples(path: Path, own: SetOnDisk | None, splits: DataSplits) -> LabelledImages:
    """The images to score: those of a set that are not real, or all that a data path holds.

    Raises:
        DataError: no such images, or none that can be read.
    """
    if own is not None:
        made = np.flatnonzero(own.images.origin != REAL)
        if not len(made):
            raise DataError(f"{path}: holds real images only; give a set with images that were made")
        return own.images.take(made)
    try:
        source = load_source(DataConfig(source=str(path), image_size=splits.train.image_shape[1]))
    except GangdaError as error:
        raise type(error)(str(error).removeprefix("--data ")) from error
    return source.train if source.test is None else concatenate(source.train, source.test)


def align(images: LabelledImages, splits: DataSplits, path: Path) -> tuple[LabelledImages, DataSplits]:
    """Samples with the data's labels, by class name; without labels on either side, both as one class.

    Raises:
        DataError: a class the data does not have, or images of another shape.
    """
    if not splits.labelled or images.class_names == (UNLABELLED,):
        images = _one_class(images)
        train, validation, test = map(_one_class, (splits.train, splits.validation, splits.test))
        splits = replace(splits, train=train, validation=validation, test=test, labelled=False)
    return aligned(images, splits.train, str(path)), splits


def _one_class(images: LabelledImages) -> LabelledImages:
    return replace(images, labels=np.zeros_like(images.labels), class_names=(UNLABELLED,))
