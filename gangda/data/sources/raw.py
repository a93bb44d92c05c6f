"""`RawSource`: what a source gives, before it is resized and split; and rules that the sources share.

Labels in a file are numbers: they must run from 0 (or 1, as EMNIST's letters do) without a gap, so that a wrong or
corrupt label is noticed.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional as F

from gangda.data import memmap
from gangda.data.confounds import FileFacts
from gangda.data.images import IntArray, UInt8Array
from gangda.data.values import BYTES, PartValues, Span, ValueRange, judge, part_values
from gangda.errors import DataError

MAX_CLASSES = 10_000
UNLABELLED = "unlabelled"
AS_RGB = ": they became RGB, as the "  # in a note, what --channels 1 undoes
SMALLEST, LARGEST = 8, 64
LEAST_KEPT = 0.5  # of the images' area, below which cropping is an alarm
_LUMA = np.array([19595, 38470, 7471], dtype=np.uint32)  # of 65,536: the weights of Pillow's "L"


@dataclass(frozen=True, eq=False)
class RawSource:
    """All images of a source, at its own size; the position of an image is its row id."""

    pixels: UInt8Array  # uint8 (N, H, W, C), C in {1, 3}; memory-mapped when large (`memmap.py`)
    labels: IntArray  # int64 (N,) in [0, K)
    class_names: tuple[str, ...]  # K names; only ("unlabelled",) where there are no classes
    test_rows: IntArray | None = None  # int64, ascending, the positions of its own test split, if it has one
    notes: tuple[str, ...] = ()  # sentences a user should read
    value_range: ValueRange | None = None  # how values became 0 to 255; None: they are 8 bits as stored
    facts: FileFacts | None = None  # of a folder of image files
    groups: IntArray | None = None  # int64 (N,), equal for images that stay in one split
    broken: IntArray | None = None  # int64, positions in the listing of a folder that were left out


def train_and_test(
    train: tuple[UInt8Array, IntArray],
    test: tuple[UInt8Array, IntArray] | None,
    class_names: tuple[str, ...],
    where: str,
    notes: tuple[str, ...] = (),
    value_range: ValueRange | None = None,
    channels: int | None = None,
) -> RawSource:
    """Training, then test images, (pixels, labels) each; `channels`: see `DataConfig`.

    Raises DataError about `where`: no images, or of another shape.
    """
    if not len(train[0]):
        raise DataError(f"{where}: holds no training images")
    if test is None:
        return RawSource(*train, class_names, None, notes, value_range)
    pixels, tested_pixels, told = same_channels(train[0], test[0], "test", where, channels)
    train, test, notes = (pixels, train[1]), (tested_pixels, test[1]), (*notes, *told)
    if not len(test[0]):
        raise DataError(f"{where}: its test split holds no images; leave it out to have one drawn from train")
    pixels, labels = memmap.join([train[0], test[0]]), np.concatenate([train[1], test[1]])
    tested = np.arange(len(train[0]), len(pixels))
    return RawSource(pixels, labels, class_names, tested, notes, value_range)


def same_channels(
    train: UInt8Array, others: UInt8Array, name: str, where: str, channels: int | None
) -> tuple[UInt8Array, UInt8Array, tuple[str, ...]]:
    """Training and other images of one shape, and a note: grey ones beside RGB become RGB, or all as `channels` says.

    Raises DataError about `where`: other shapes, or RGB ones beside grey training images where `channels` is None.
    """
    shape, other = train.shape[1:], others.shape[1:]
    if shape == other:
        return train, others, ()
    if shape[:2] != other[:2] or (shape[2] < other[2] and channels is None):
        cure = "--channels 1 makes all grey, 3 RGB" if shape[:2] == other[:2] else "make them agree"
        raise DataError(f"{where}: train is {shape} but {name} {other}: they differ; {cure}")
    if channels == 1:
        note = f"RGB images among training and {name} images became grey (--channels)"
    elif shape[2] > other[2]:
        note = f"the {name} images are grey{AS_RGB}training images are"
    else:
        note = f"the training images are grey{AS_RGB}{name} images are"
    return to_channels(train, channels or 3), to_channels(others, channels or 3), (note,)


def in_range(raw: RawSource, where: str, given: Span | None) -> RawSource:
    """With notes on the range of values; values of 8 bits in another range than 0 to 255 are scaled here.

    `given`: the values that become 0 and 255. Raises DataError about `where`: parts of different ranges.
    """
    found, pixels = raw.value_range, raw.pixels
    if found is None:
        tested = np.zeros(0, np.int64) if raw.test_rows is None else raw.test_rows
        every = part_values("images", pixels)
        parts = [
            PartValues(name, True, every.lows[rows], every.highs[rows])
            for name, rows in (
                ("training images", np.setdiff1d(np.arange(len(pixels)), tested, assume_unique=True)),
                ("test images", tested),
            )
        ]
        found = judge(parts, where, given)
        if found.span != BYTES:
            levels = found.to_bytes(np.arange(256, dtype=np.uint8))
            scaled = memmap.empty(pixels.shape)
            for start in range(0, len(pixels), memmap.CHUNK):
                scaled[start : start + memmap.CHUNK] = levels[pixels[start : start + memmap.CHUNK]]
            pixels = scaled
    notes = (*raw.notes, *filter(None, (found.note, found.alarm)))
    return replace(raw, pixels=pixels, value_range=found, notes=notes)


def number_classes(values: IntArray, where: str) -> tuple[IntArray, tuple[str, ...]]:
    """Labels from 0, and the label values as class names; a DataError: negative, gaps, or more than `MAX_CLASSES`."""
    if not len(values):
        raise DataError(f"{where}: holds no labels")
    low, high = int(values.min()), int(values.max())
    if low not in (0, 1) or high - low >= MAX_CLASSES:
        raise DataError(f"{where}: labels run from {low} to {high}; renumber them 0 to K-1")
    counts = np.bincount(values - low)
    if (counts == 0).any():
        missing = low + int(np.argmax(counts == 0))
        raise DataError(f"{where}: labels run from {low} to {high}, but none is {missing}; use 0 to K-1")
    return values - low, tuple(str(value) for value in range(low, high + 1))


def check_labels(labels: IntArray, class_names: tuple[str, ...], where: str) -> None:
    """Raise DataError unless all labels are in [0, K)."""
    wrong = (labels < 0) | (labels >= len(class_names))
    if wrong.any():
        row = int(np.argmax(wrong))
        what = f"label {labels[row]} of image {row} is out of range"
        raise DataError(f"{where}: {what}; with {len(class_names)} classes, use 0 to {len(class_names) - 1}")


def own_size(height: int, width: int, fit: str = "crop") -> int:
    """The side of an image if none is requested: its shorter one (uncropped: longer one), within 8 to 64 pixels."""
    return min(max(min(height, width) if fit == "crop" else max(height, width), SMALLEST), LARGEST)


def size_notes(sizes: Counter[tuple[int, int]], size: int, fit: str) -> Iterator[str]:
    """What is lost where images of these (width, height) become squares of `size` pixels by `fit`; nothing if not."""
    if set(sizes) == {(size, size)}:
        return
    (width, height), count = max(sizes.items(), key=lambda item: (item[1], item[0]))
    what, total = f"images are {width}x{height}", sum(sizes.values())
    if len(sizes) > 1:
        what = f"images have {len(sizes):,} sizes, most often {width}x{height} ({count:,} of {total:,})"
    uneven = sum(many for (width, height), many in sizes.items() if width != height)
    done, loud = f"resized to {size}x{size} (--image-size chooses another)", ""
    if uneven and fit == "crop":
        kept = sum(many * min(pair) / max(pair) for pair, many in sizes.items()) / total
        loud = "ALARM: " * (kept < LEAST_KEPT)
        cut = f"which cuts off {1 - kept:.0%} of their area (--fit pad or stretch keeps it)"
        done = f"centre-cropped to squares, {cut}, and {done}"
    elif uneven:
        how = "padded with black" if fit == "pad" else "stretched, which changes shapes"
        done = f"{uneven:,} are {how}; {done}"
    yield f"{loud}{what}: {done}"


def to_square(pixels: UInt8Array, size: int | None, fit: str = "crop") -> UInt8Array:
    """uint8 (N, H, W, C) -> (N, size, size, C) by `fit` (see `decode.py`), resized with antialiasing."""
    _, height, width, channels = pixels.shape
    size = size or own_size(height, width, fit)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    if height != width and fit == "crop":
        pixels = pixels[:, top : top + side, left : left + side]
    height, width = pixels.shape[1:3]
    if height == width == size:
        return pixels
    longer = max(height, width)
    inner = [max(1, round(size * one / longer)) for one in (height, width)] if fit == "pad" else [size, size]
    top, left = ((size - one) // 2 for one in inner)
    resized = memmap.empty((len(pixels), size, size, channels))
    resized[:] = 0
    for start in range(0, len(pixels), memmap.CHUNK):
        images = torch.tensor(pixels[start : start + memmap.CHUNK]).permute(0, 3, 1, 2).float()
        scaled = F.interpolate(images, tuple(inner), mode="bilinear", align_corners=False, antialias=True)
        rounded = scaled.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
        resized[start : start + memmap.CHUNK, top : top + inner[0], left : left + inner[1]] = rounded
    return resized


def to_channels(pixels: UInt8Array, channels: int) -> UInt8Array:
    """uint8 (N, H, W, 1 or 3) with so many channels: grey is repeated; of RGB, the luma (ITU-R BT.601)."""
    if pixels.shape[3] == channels:
        return pixels
    changed = memmap.empty((*pixels.shape[:3], channels))
    for start in range(0, len(pixels), memmap.CHUNK):
        part = pixels[start : start + memmap.CHUNK]
        luma = (part.astype(np.uint32) @ _LUMA + 0x8000)[..., None] >> 16 if channels == 1 else part
        changed[start : start + memmap.CHUNK] = luma
    return changed
