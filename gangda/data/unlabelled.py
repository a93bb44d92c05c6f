"""Images without labels, beside the splits: rows of the source outside the subset, or a user's own folder.

The rules:
    - A number: so many real images of the source's training part that are neither training nor validation images, and
      in no group (`--group-by`) with a validation or test image, in a random order drawn by seed, so that a smaller
      number of one seed is part of a larger one. Whether their classes are balanced is left to chance: the labels are
      dropped before anything is drawn.
    - A folder: all images at or below it, whatever its folders are called, at the size, with the channels and in the
      range of values of the source's images, read as they are (`--fit`, `--value-range`, `--channels`,
      `--skip-broken`); grey ones become RGB where the source is. Full ranges (0 to 255, 0 to 1, 16 bits, ...) stay.
    - An image with exactly the pixels of a training or validation image is left out, and so are repeated images of a
      folder. One with those of a test image is left out of the source's rows, and makes a folder be refused; a folder's
      near, mirrored or turned copies of test images (`twins`) are left out.
"""

import hashlib
from collections.abc import Collection
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gangda.config.schema import DataConfig
from gangda.data import memmap
from gangda.data.findings import alarms_among, notes_on
from gangda.data.images import REAL, IntArray, UInt8Array, size_words
from gangda.data.sample_set import is_set
from gangda.data.sources import folder
from gangda.data.sources.raw import RawSource, in_range, to_channels
from gangda.data.splits import DataSplits, SourceImages, UnlabelledImages, made_from
from gangda.data.twins import Twins, cached_twins, find_twins
from gangda.data.values import APART, FULL
from gangda.errors import DataError
from gangda.runtime.seeding import numpy_stream

OF_CONTENT = 1 << 61  # a bit of row ids made of an image's content; the source's rows are smaller


def with_unlabelled(splits: DataSplits, source: SourceImages, config: DataConfig, seed: int) -> DataSplits:
    """The splits with the images that `config.unlabelled` asks for.

    Raises DataError: too few images are left, no such folder, one without images, with test images or of colour
    images beside grey ones.
    """
    count = config.unlabelled_count
    if count is None:
        found, notes = _of_folder(splits, source, Path(str(config.unlabelled)).expanduser(), config)
    else:
        found, notes = _of_source(splits, source, count, seed), ()
    alarms = (*splits.alarms, *alarms_among(notes))
    return replace(splits, unlabelled=found, notes=(*splits.notes, *notes), alarms=alarms)


def content_rows(pixels: UInt8Array) -> IntArray:
    """Row ids made of each image's content: int64 (N,), the same for the same pixels uint8 (N, H, W, C)."""
    digests = (hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in pixels)
    return np.array([int.from_bytes(one, "little") >> 3 | OF_CONTENT for one in digests], dtype=np.int64)


def _of_source(splits: DataSplits, source: SourceImages, count: int, seed: int) -> UnlabelledImages:
    whole, parts = source.train, (splits.train, splits.validation, splits.test)
    used = np.concatenate([part.row_id for part in parts])
    real = (whole.origin == REAL) & ~made_from(whole, splits.test) & ~made_from(whole, splits.validation)
    rest = np.flatnonzero(real & ~np.isin(whole.row_id, used))
    order = rest[numpy_stream(seed, "unlabelled").permutation(len(rest))]
    known = np.concatenate([content_rows(part.pixels) for part in parts])
    order = order[~np.isin(content_rows(memmap.take(whole.pixels, order)), known)]
    taken = order[~_beside_held(splits, source)[order]][:count]
    if len(taken) < count:
        cure = "ask for fewer, lower --per-class or --class-counts, or give a folder of images"
        if not len(taken):
            cure = "give --per-class or --class-counts, or a folder of images"
        what = f"{len(taken) or 'no'} training images are left outside the subset"
        raise DataError(f"--unlabelled {count}: {what}; {cure}")
    rows = np.sort(taken)
    return UnlabelledImages(memmap.take(whole.pixels, rows), whole.row_id[rows])


def _beside_held(splits: DataSplits, source: SourceImages) -> npt.NDArray[np.bool_]:
    """Which training images of the source are in one group with a validation or test image, bool (N,)."""
    groups = None if source.findings is None else source.findings.groups
    if groups is None:
        return np.zeros(len(source.train), dtype=np.bool_)
    rows = np.concatenate([part.row_id for part in (source.train, source.test) if part is not None])
    held = np.isin(rows, np.concatenate([splits.validation.row_id, splits.test.row_id]))
    return np.isin(groups, groups[held])[: len(source.train)]


def _copies(tested: UInt8Array, pixels: UInt8Array, config: DataConfig) -> npt.NDArray[np.bool_]:
    """Which images are near, mirrored or turned copies of test images, bool (N,)."""

    def find() -> Twins:
        return find_twins(tested, pixels)

    rows = np.concatenate([content_rows(tested), content_rows(pixels)])
    key = hashlib.sha256(rows.tobytes()).hexdigest()[:16]
    twins = find() if config.no_cache else cached_twins(key, find, len(rows))
    # A group is called by its first image, and test images stand first.
    copied: npt.NDArray[np.bool_] = np.minimum(twins.near, twins.turned)[len(tested) :] < len(tested)
    return copied


def _read_folder(
    root: Path, where: str, config: DataConfig, name: str, source: SourceImages
) -> tuple[RawSource, Collection[Path]]:
    """All its images, scaled as those of the source called `name`, and their files."""

    def read(config: DataConfig) -> tuple[RawSource, Collection[Path]]:
        try:
            raw, files = folder.read_unlabelled(root, config)
        except DataError as error:
            raise DataError(f"--unlabelled: {error}") from error
        return in_range(raw, where, config.value_range), files

    raw, files = read(config)
    own, theirs = raw.value_range, None if source.findings is None else source.findings.values
    if own is None or theirs is None or own.span == theirs.span or {own.span, theirs.span} <= FULL:
        return raw, files
    raw, files = read(replace(config, value_range=theirs.span))
    beyond = raw.value_range is not None and raw.value_range.alarm
    if beyond or own.span in FULL or theirs.high > APART * own.high:
        what = f"its values are {own.words}, those of {name} {theirs.words}"
        raise DataError(f"{where}: {what}; scale them alike, or give --value-range LOW,HIGH")
    note = f"its own values, {own.words}, are scaled as those of {name}"
    return replace(raw, notes=(*raw.notes, note)), files


def _of_folder(
    splits: DataSplits, source: SourceImages, root: Path, config: DataConfig
) -> tuple[UnlabelledImages, tuple[str, ...]]:
    where = f"--unlabelled {root}"
    if root.is_dir() and is_set(root):
        raise DataError(f"{where}: is a set that gangda wrote; give a folder of real images")
    channels, side, _ = splits.train.image_shape
    raw, files = _read_folder(root, where, replace(config, image_size=side), splits.name, source)
    pixels = raw.pixels
    if pixels.shape[3] > channels and config.channels is None:
        theirs = size_words(splits.train.image_shape)
        raise DataError(
            f"{where}: holds colour images, those of {splits.name} are {theirs}; --channels 1 makes all grey"
        )
    pixels = to_channels(pixels, channels)
    rows = content_rows(pixels)
    tested = np.isin(rows, content_rows(splits.test.pixels))
    if tested.any():
        first = next(islice(files, int(np.argmax(tested)), None))
        what = f"{int(tested.sum()):,} of its images are test images, such as {first}"
        raise DataError(f"{where}: {what}; take them out")
    own = np.concatenate([content_rows(splits.train.pixels), content_rows(splits.validation.pixels)])
    known = np.isin(rows, own)
    new = np.zeros(len(rows), dtype=np.bool_)
    new[np.unique(rows, return_index=True)[1]] = True
    copied = _copies(splits.test.pixels, pixels, config)
    kept = np.flatnonzero(new & ~known & ~copied)
    if not len(kept):
        what = "training or validation images" + (", or copies of test images" if copied.any() else "")
        raise DataError(f"{where}: all its images are {what}; give others")
    notes = list(raw.notes)
    if copied.any():
        first = next(islice(files, int(np.argmax(copied)), None))
        what = f"{int(copied.sum()):,} near, mirrored or turned copies of test images, such as {first},"
        notes.append(f"{what} are left out")
    if known.any():
        notes.append(f"{int(known.sum()):,} training or validation images are left out")
    if repeated := int((~new & ~known).sum()):
        notes.append(f"{repeated:,} repeated images are left out")
    digest = hashlib.sha256(rows.tobytes()).hexdigest()[:16]
    return UnlabelledImages(memmap.take(pixels, kept), rows[kept], digest), notes_on(where, notes)
