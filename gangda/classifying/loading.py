"""Training and test images of a classification, checked to have none in common."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gangda.config.schema import DataConfig
from gangda.data.archives import is_archive
from gangda.data.findings import alarms_among, findings_of, notes_on, refuse_synthetic
from gangda.data.images import REAL, LabelledImages, aligned, like
from gangda.data.loading import load_source, load_splits, twins_of
from gangda.data.sample_set import is_set
from gangda.data.sample_set.index import read_indices, unite
from gangda.data.sources.raw import to_square
from gangda.data.splits import DataSplits, SourceImages, draw_splits, made_from
from gangda.errors import DataError, GangdaError, UsageError

MOST_DUPLICATES = 0.1  # share of the test images of other data that may equal a training image


def load_images(set_path: str, test: str | None, data: DataConfig, seed: int) -> DataSplits:
    """The images to train and test on, with the fingerprint of the real data behind `set_path`; see `classify`.

    Raises DataError: sets that cannot be read, do not fit together, or share images; UsageError: options that do not
    fit the set.
    """
    config, path = replace(data, source=set_path), Path(set_path).expanduser()
    if test is not None and path.is_dir() and is_set(path):  # whose images have no names that count
        config = replace(config, labels=None, group_by=None)
    try:
        if path.is_dir() and is_set(path):
            splits, image_size = _load_set(path, config)
        else:
            splits, image_size = load_splits(config, seed), config.image_size
        if not splits.labelled:
            what = "has no class labels; there is nothing to classify"
            raise DataError(f"{set_path}: {'; '.join([what, *splits.label_hints])}")
    except GangdaError as error:
        raise type(error)(str(error).removeprefix("--data ")) from error
    images, own = splits.test, True
    said: tuple[str, ...] = ()
    if test is not None:
        images, own, said = _load_test(test, splits, replace(data, image_size=image_size))
    elif not len(images):
        notes = "; ".join(splits.notes)
        raise DataError(f"{set_path}: no test images belong to it ({notes}); give some with --test")
    images, turned = like(images, splits.train, test or set_path)
    images = aligned(images, splits.train, test or set_path)
    found = () if own else _check_duplicates(splits.train, images, data)
    said = (*said, *turned, *found)
    alarms = (*splits.alarms, *alarms_among(said))
    return replace(splits, test=images, notes=(*splits.notes, *said), alarms=alarms)


def _load_set(path: Path, config: DataConfig) -> tuple[DataSplits, int | None]:
    """A whole set, with test split, fingerprint and --image-size of the data that it was made from."""
    if config.per_class is not None or config.class_counts is not None:
        raise UsageError(f"{path}: a written set is taken whole; leave out --per-class and --class-counts")
    source = load_source(config)
    train, nothing = source.train, source.train.take([])
    test = nothing if source.test is None else source.test
    if shared := _shared(train, test):
        raise DataError(f"{path}: {shared:,} of its images are test images of its source; make the set again")
    behind = unite(read_indices(path)).data
    size = (behind.get("config") or {}).get("image_size")
    fingerprint = str(behind.get("fingerprint", ""))
    alarms, checks = source.checked()
    notes = (*source.notes, *alarms)
    splits = DataSplits(
        source.name, fingerprint, train, nothing, test, source.labelled, notes, alarms, checks
    )
    return splits, size if isinstance(size, int) else None


def _load_test(
    test: str, splits: DataSplits, data: DataConfig
) -> tuple[LabelledImages, bool, tuple[str, ...]]:
    """The test images that `--test` names, as large as the training images; whether they are of the same source; notes.

    Of that source, its test split (its fixed fifth, where it has none of its own): the rest may have been trained on.
    Of any other data its test split, or all of it where it has none.
    """
    size = splits.train.image_shape[1]
    where, images = f"--test {test}", _load_source(test, data)
    if images.fingerprint == splits.fingerprint:
        own = draw_splits(images, DataConfig(source=test, group_by=data.group_by), 0).test
        if not len(own):
            raise DataError(f"{where}: holds only what is trained on; give another --test")
        if shared := _shared(splits.train, own):
            what = f"{shared:,} of its {len(own):,} test images are among the images to train on"
            raise DataError(f"{where}: {what}; give another --test")
        return replace(own, pixels=to_square(own.pixels, size)), True, _said(images, where, splits.notes)
    if images.train.image_shape[1] != size:
        images = _load_source(test, replace(data, image_size=size))
    if images.test is None and images.findings is not None:
        refuse_synthetic(int(images.findings.synthetic.sum()), len(images.train), where)
    tested = images.train if images.test is None else images.test
    return tested, False, _said(images, where, ())


def _said(source: SourceImages, where: str, known: Sequence[str]) -> tuple[str, ...]:
    """What was found in a source of test images, of which nothing is trained on, but for what is `known`."""
    notes, findings = list(source.notes), source.findings
    if findings is not None:
        notes += findings.across(np.arange(0), np.arange(len(findings.labels)))[0]
    return notes_on(where, [note for note in notes if note not in known])


def _load_source(test: str, data: DataConfig) -> SourceImages:
    """The source of `--test`, read with the options of the data but its subset, and those of names where it has any."""
    path = Path(test).expanduser()
    if not path.is_dir() and not (path.is_file() and is_archive(path)):
        data = replace(data, labels=None, group_by=None)
    try:
        return load_source(replace(data, source=test, per_class=None, class_counts=None))
    except GangdaError as error:
        raise type(error)(str(error).replace("--data", "--test", 1)) from error


def _shared(train: LabelledImages, test: LabelledImages) -> int:
    """How many training images are test images of the same source, or made from one, by row id."""
    return len(np.intersect1d(train.row_id[train.origin == REAL], test.row_id)) + int(
        made_from(train, test).sum()
    )


def _check_duplicates(train: LabelledImages, test: LabelledImages, data: DataConfig) -> tuple[str, ...]:
    """Alarms about test images of other data that equal a training image pixel for pixel, or resemble one.

    Raises DataError: so many that the test set must hold what was trained on.
    """
    both = findings_of(train, test, twins_of(train, test, data), None)
    alike, counts = both.leaks(np.arange(len(train)), np.arange(len(train), len(train) + len(test)))
    count = counts["test_images_in_train"]
    note = f"{count:,} of {len(test):,} test images are, pixel for pixel, also among those trained on"
    if count > len(test) * MOST_DUPLICATES:
        raise DataError(f"{note}; give another --test")
    return (*([f"ALARM: {note}"] if count else ()), *alike)
