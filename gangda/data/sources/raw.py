"""`RawSource`: what a source gives, before it is resized and split; and rules that the sources share.

Labels in a file are numbers: they must run from 0 (or 1, as EMNIST's letters do) without a gap, so that a wrong or
corrupt label is noticed.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from gangda.data import memmap
from gangda.data.confounds import FileFacts
from gangda.data.images import IntArray, UInt8Array
from gangda.data.values import ValueRange
from gangda.errors import DataError

MAX_CLASSES = 10_000
UNLABELLED = "unlabelled"
SMALLEST, LARGEST = 8, 64
_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class RawSource:
    """All images of a source, at its own size; the position of an image is its row id."""

    pixels: UInt8Array  # uint8 (N, H, W, C), C in {1, 3}; memory-mapped when large (`memmap.py`)
    labels: IntArray  # int64 (N,) in [0, K)
    class_names: tuple[str, ...]  # K names; only ("unlabelled",) where there are no classes
    test_rows: IntArray | None = None  # int64, ascending, the positions of its own test split, if it has one
    notes: tuple[str, ...] = ()  # sentences a user should read
    value_range: ValueRange | None = (
        None  # how the values became 0 to 255; None where they are 8 bits as stored
    )
    facts: FileFacts | None = None  # of a folder of image files
    groups: IntArray | None = None  # int64 (N,), equal for images that stay in one split


def train_and_test(
    train: tuple[UInt8Array, IntArray],
    test: tuple[UInt8Array, IntArray] | None,
    class_names: tuple[str, ...],
    where: str,
    notes: tuple[str, ...] = (),
    value_range: ValueRange | None = None,
) -> RawSource:
    """Training, then test images, (pixels, labels) each; a DataError about `where`: no images, or of another shape."""
    if not len(train[0]):
        raise DataError(f"{where}: holds no training images")
    if test is None:
        return RawSource(*train, class_names, None, notes, value_range)
    if test[0].shape[1:] != train[0].shape[1:]:
        shapes = f"train is {train[0].shape[1:]} but test {test[0].shape[1:]}"
        raise DataError(f"{where}: {shapes}: they differ; make them agree")
    if not len(test[0]):
        raise DataError(f"{where}: its test split holds no images; leave it out to have one drawn from train")
    pixels, labels = memmap.join([train[0], test[0]]), np.concatenate([train[1], test[1]])
    tested = np.arange(len(train[0]), len(pixels))
    return RawSource(pixels, labels, class_names, tested, notes, value_range)


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


def own_size(height: int, width: int) -> int:
    """The side of an image if none is requested: its shorter one, within 8 to 64 pixels."""
    return min(max(min(height, width), SMALLEST), LARGEST)


def to_square(pixels: UInt8Array, size: int | None) -> UInt8Array:
    """uint8 (N, H, W, C) -> (N, size, size, C): the longer side centre-cropped, then resized with antialiasing."""
    _, height, width, channels = pixels.shape
    size = size or own_size(height, width)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    if height != width:
        pixels = pixels[:, top : top + side, left : left + side]
    if side == size:
        return pixels
    resized = memmap.empty((len(pixels), size, size, channels))
    for start in range(0, len(pixels), _CHUNK):
        images = torch.tensor(pixels[start : start + _CHUNK]).permute(0, 3, 1, 2).float()
        scaled = F.interpolate(images, (size, size), mode="bilinear", align_corners=False, antialias=True)
        rounded = scaled.round().clamp(0, 255).to(torch.uint8)
        resized[start : start + _CHUNK] = rounded.permute(0, 2, 3, 1).numpy()
    return resized
