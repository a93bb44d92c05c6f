"""The samples that are scored, and the real images that they are compared with."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gangda.config.schema import DataConfig
from gangda.data.findings import notes_on
from gangda.data.images import REAL, LabelledImages, aligned, concatenate, like
from gangda.data.loading import load_source
from gangda.data.sample_set import SetOnDisk, is_set, read_set
from gangda.data.sources.raw import UNLABELLED
from gangda.data.splits import DataSplits, refuse_made_from
from gangda.errors import DataError, GangdaError


def open_set(path: Path) -> SetOnDisk | None:
    """The set of samples at `path`; None where it is anything else."""
    return read_set(path) if path.is_dir() and is_set(path) else None


def data_behind(
    path: Path, own: SetOnDisk | None, asked: DataConfig | None, changed: Mapping[str, Any], seed: int
) -> tuple[DataConfig, int]:
    """The real images to compare with, and the seed that draws their subset: as asked, else as the set records.

    `changed` fields take the place of recorded ones, and of those that they exclude. A DataError where neither is
    given.
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


def read_samples(
    path: Path, own: SetOnDisk | None, splits: DataSplits, channels: int | None = None
) -> tuple[LabelledImages, DataSplits]:
    """The images to score, those of a set that are not real, or all of a data path; and the splits with notes on them.

    Images of a data path come at the size of the splits, with so many `channels`, if any are asked for.
    Raises DataError: there are none, or they are made from test images.
    """
    if own is not None:
        made = np.flatnonzero(own.images.origin != REAL)
        if not len(made):
            raise DataError(f"{path}: holds real images only; give a set with images that were made")
        if own.fingerprint == splits.fingerprint:
            refuse_made_from(own.images, splits.test, str(path))
        return own.images.take(made), splits
    try:
        size = splits.train.image_shape[1]
        source = load_source(DataConfig(source=str(path), image_size=size, channels=channels))
    except GangdaError as error:
        raise type(error)(str(error).removeprefix("--data ")) from error
    notes = notes_on(str(path), source.notes)
    images = source.train if source.test is None else concatenate(source.train, source.test)
    return images, replace(splits, notes=(*splits.notes, *notes), alarms=(*splits.alarms, *notes))


def align(images: LabelledImages, splits: DataSplits, path: Path) -> tuple[LabelledImages, DataSplits]:
    """Samples with the data's labels, by class name; without labels all as one class. A DataError if they don't fit."""
    if not splits.labelled or images.class_names == (UNLABELLED,):
        images = _one_class(images)
        train, validation, test = map(_one_class, (splits.train, splits.validation, splits.test))
        splits = replace(splits, train=train, validation=validation, test=test, labelled=False)
    images, turned = like(images, splits.train, str(path))
    splits = replace(splits, notes=(*splits.notes, *turned), alarms=(*splits.alarms, *turned))
    return aligned(images, splits.train, str(path)), splits


def _one_class(images: LabelledImages) -> LabelledImages:
    return replace(images, labels=np.zeros_like(images.labels), class_names=(UNLABELLED,))
