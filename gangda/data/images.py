"""`LabelledImages`, the value that carries images through every command, and the conversion of pixels to floats."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gangda.data import memmap
from gangda.errors import DataError
from gangda.runtime.arrays import FloatArray as FloatArray
from gangda.runtime.arrays import IntArray as IntArray
from gangda.runtime.arrays import UInt8Array as UInt8Array

# A real image under a pseudo-label, and one whose label means nothing, are told from real ones with their own label.
REAL, TRADITIONAL, GENERATED, PSEUDO_LABELLED, NO_LABEL = range(5)
ORIGINS = ("real", "traditional", "generated", "pseudo-labelled", "no label")

# Columns of `LabelledImages`, which sets on disk have too.
COLUMNS: Mapping[str, npt.DTypeLike] = {
    "labels": np.int64,
    "origin": np.uint8,
    "row_id": np.int64,
    "parent": np.int64,
    "generator": np.int64,
    "confidence": np.float32,
}
_NONE: Any = np.int64(-1)
_NO_CONFIDENCE: Any = np.float32("nan")


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images with labels, names and origins; a column of one number has it for all. DataError where they disagree."""

    pixels: UInt8Array  # uint8 (N, H, W, C), C in {1, 3}; memory-mapped when large (`memmap.py`)
    labels: IntArray  # int64 (N,) in [0, K)
    class_names: tuple[str, ...]  # the K names, in label order
    row_id: IntArray  # int64 (N,), identity of each real image within its source, else -1
    origin: UInt8Array  # uint8 (N,), index into `ORIGINS`
    weight: npt.NDArray[np.float32] | None = None  # float32 (N,) loss weights, or None for all ones
    parent: IntArray = _NONE  # int64 (N,), row id of the real image that another was made from, else -1
    generator: IntArray = _NONE  # int64 (N,), which generator of the run made an image, else -1
    # float32 (N,), of the pseudo-label; NaN if the label is not a pseudo-label
    confidence: npt.NDArray[np.float32] = _NO_CONFIDENCE

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 4 or self.pixels.shape[3] not in (1, 3):
            raise DataError(f"pixels {self.pixels.dtype} {self.pixels.shape} must be uint8 (N, H, W, 1 or 3)")
        count = len(self.pixels)
        for name, dtype in COLUMNS.items():
            column = getattr(self, name)
            if column.ndim == 0:
                object.__setattr__(self, name, np.broadcast_to(column, count))
            elif column.shape != (count,) or column.dtype != dtype:
                raise DataError(f"{name} {column.dtype} {column.shape} must be {np.dtype(dtype)} ({count},)")
        if count and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.class_names):
            low, high, last = self.labels.min(), self.labels.max(), len(self.class_names) - 1
            raise DataError(f"labels run from {low} to {high}; they must be 0 to {last}")
        if count and int(self.origin.max()) >= len(ORIGINS):
            raise DataError(f"origins must be 0 to {len(ORIGINS) - 1}, not {self.origin.max()}")

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def num_classes(self) -> int:
        """K, the number of classes (also of those without images here)."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W), channels first as the networks want it."""
        _, height, width, channels = self.pixels.shape
        return channels, height, width

    @property
    def made(self) -> npt.NDArray[np.bool_]:
        """(N,), the images that are not real ones; those under pseudo-labels are."""
        return np.isin(self.origin, (TRADITIONAL, GENERATED))

    def counts(self) -> IntArray:
        """Images per class, int64 (K,)."""
        return np.bincount(self.labels, minlength=self.num_classes).astype(np.int64)

    def take(self, rows: Sequence[int] | IntArray) -> "LabelledImages":
        """The images at these positions, in this order; the pixels of consecutive ones are a view."""
        index = np.asarray(rows, dtype=np.int64)
        columns: dict[str, Any] = {name: getattr(self, name)[index] for name in COLUMNS}
        if self.weight is not None:
            columns["weight"] = self.weight[index]
        return dataclasses.replace(self, pixels=memmap.take(self.pixels, index), **columns)

    def without(self, rows: IntArray) -> "LabelledImages":
        """The images that are not at these positions, in order."""
        return self.take(np.setdiff1d(np.arange(len(self)), rows, assume_unique=True))

    def missing_class(self) -> str | None:
        """The first class that has no images."""
        missing = np.flatnonzero(self.counts() == 0)
        return self.class_names[missing[0]] if len(missing) else None

    def content_hash(self) -> str:
        """Hex SHA-256 (first 16 digits) of pixels, labels and class names."""
        return self._content

    @cached_property
    def _content(self) -> str:
        digest = hashlib.sha256(repr((self.pixels.shape, self.class_names)).encode())
        for start in range(0, len(self), 8192):
            digest.update(np.ascontiguousarray(self.pixels[start : start + 8192]).data)
        digest.update(self.labels.tobytes())
        return digest.hexdigest()[:16]


def to_float(pixels: Tensor) -> Tensor:
    """uint8 (B, C, H, W), 0 to 255 -> float32 in [-1, 1]. All networks get their images from here."""
    return pixels.float().div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> UInt8Array:
    """Float (B, C, H, W) in [-1, 1] -> uint8 (B, H, W, C): the inverse of `to_float`."""
    scaled = images.float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def real_images(
    pixels: UInt8Array, labels: npt.ArrayLike, class_names: Sequence[str], first_row: int = 0
) -> LabelledImages:
    """Real images of a source; row ids count up from `first_row`."""
    row_id = np.arange(first_row, first_row + len(pixels), dtype=np.int64)
    return generated_images(pixels, labels, class_names, REAL, row_id=row_id)


def generated_images(
    pixels: UInt8Array,
    labels: npt.ArrayLike,
    class_names: Sequence[str],
    origin: int = GENERATED,
    **columns: npt.NDArray[Any] | None,
) -> LabelledImages:
    """Images that are not real: row id -1 and the given origin. `labels` (N,), or one for all images."""
    given: dict[str, Any] = {name: column for name, column in columns.items() if column is not None}
    given = {"row_id": _NONE, "origin": np.uint8(origin), **given}
    return LabelledImages(pixels, np.asarray(labels, dtype=np.int64), tuple(class_names), **given)


def size_words(shape: tuple[int, int, int]) -> str:
    """(C, H, W) in words, such as "28x28 grey"."""
    channels, height, width = shape
    return f"{height}x{width} {'grey' if channels == 1 else 'RGB'}"


def like(
    images: LabelledImages, reference: LabelledImages, where: str
) -> tuple[LabelledImages, tuple[str, ...]]:
    """Grey images as RGB beside an RGB reference, and a note about `where`; any others as they are."""
    if images.image_shape[0] == 3 or reference.image_shape[0] == 1:
        return images, ()
    rgb = np.repeat(images.pixels, 3, axis=3)
    return dataclasses.replace(images, pixels=rgb), (f"{where}: its images are grey: they became RGB",)


def aligned(images: LabelledImages, reference: LabelledImages, where: str) -> LabelledImages:
    """The images with labels by the reference's class names; a DataError about `where` for other classes or shapes."""
    if images.image_shape != reference.image_shape:
        ours, theirs = size_words(images.image_shape), size_words(reference.image_shape)
        same_size = images.image_shape[1:] == reference.image_shape[1:]
        cure = "--channels 1 makes all grey, --channels 3 RGB" if same_size else "set --image-size"
        raise DataError(f"{where}: {ours} images, the others are {theirs}; {cure}")
    names = reference.class_names
    unknown = [name for name in images.class_names if name not in names]
    if unknown:
        raise DataError(f"{where}: class '{unknown[0]}' is not among {', '.join(names[:20])}")
    order = np.array([names.index(name) for name in images.class_names], dtype=np.int64)
    return dataclasses.replace(images, labels=order[images.labels], class_names=names)


def concatenate(first: LabelledImages, *others: LabelledImages) -> LabelledImages:
    """All images in one set, in order; raises DataError where class names or image shapes differ."""
    sets = (first, *others)
    for other in others:
        if other.class_names != first.class_names or other.image_shape != first.image_shape:
            ours, theirs = (f"{one.image_shape} {list(one.class_names)}" for one in (first, other))
            raise DataError(f"sets of images and classes {ours} and {theirs} cannot be joined")
    columns: dict[str, Any] = {name: np.concatenate([vars(part)[name] for part in sets]) for name in COLUMNS}
    if any(part.weight is not None for part in sets):
        weights = [np.ones(len(part), np.float32) if part.weight is None else part.weight for part in sets]
        columns["weight"] = np.concatenate(weights)
    pixels = memmap.join([part.pixels for part in sets])
    return LabelledImages(pixels, class_names=first.class_names, **columns)
