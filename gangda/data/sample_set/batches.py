"""What a set stores about every image, whatever the format: `ImageBatch`; and the names of class folders."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gangda.data import memmap
from gangda.data.images import GENERATED, ORIGINS, REAL, IntArray, LabelledImages, UInt8Array
from gangda.errors import DataError


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """n images on their way to or from disk; each column has one value per image.

    Attributes:
        pixels: uint8 (n, H, W, C).
        labels: int64 (n,).
        index: int64 (n,), position in the whole set, 0 to N - 1 over all shards.
        origin: uint8 (n,), index into `ORIGINS`.
        row_id: int64 (n,), of a real image in its source, else -1.
        parent: int64 (n,), row id of the real image that a traditional one was made from, else -1.
        generator: int64 (n,), which generator of the run made it, else -1.
        confidence: float32 (n,), of the pseudo-label; NaN if the label is not a pseudo-label.
    """

    pixels: UInt8Array
    labels: IntArray
    index: IntArray
    origin: UInt8Array
    row_id: IntArray
    parent: IntArray
    generator: IntArray
    confidence: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pixels)

    def part(self, rows: slice) -> "ImageBatch":
        """The images of a slice, as views."""
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in COLUMNS}
        return ImageBatch(pixels=self.pixels[rows], **columns)


COLUMNS: dict[str, npt.DTypeLike] = {
    "labels": np.int64,
    "index": np.int64,
    "origin": np.uint8,
    "row_id": np.int64,
    "parent": np.int64,
    "generator": np.int64,
    "confidence": np.float32,
}


class Writer(Protocol):
    """Writes one shard in one format, into a folder that nobody reads yet."""

    def write(self, batch: ImageBatch) -> None:
        """Add images; they need not come in the order of their index."""

    def close(self) -> dict[str, str]:
        """Finish all files; relative name -> hex SHA-256 of those that the index lists."""


def make_batch(
    pixels: UInt8Array,
    label: int | IntArray,
    first: int,
    origin: int = GENERATED,
    *,
    row_id: IntArray | None = None,
    parent: IntArray | None = None,
    generator: IntArray | None = None,
    confidence: npt.NDArray[np.float32] | None = None,
) -> ImageBatch:
    """A batch whose images are number `first`, `first` + 1, ... of the set; columns not given hold "none"."""
    count = len(pixels)
    none = np.full(count, -1, dtype=np.int64)
    return ImageBatch(
        pixels=pixels,
        labels=np.broadcast_to(np.asarray(label, dtype=np.int64), (count,)),
        index=np.arange(first, first + count, dtype=np.int64),
        origin=np.full(count, origin, dtype=np.uint8),
        row_id=none if row_id is None else row_id,
        parent=none if parent is None else parent,
        generator=none if generator is None else generator,
        confidence=np.full(count, np.nan, dtype=np.float32) if confidence is None else confidence,
    )


def join(batches: Sequence[ImageBatch], image_shape: Sequence[int]) -> ImageBatch:
    """All batches in one, in order; `image_shape` (C, H, W) is used if there is none."""
    channels, height, width = image_shape
    pixels = [np.zeros((0, height, width, channels), dtype=np.uint8), *(batch.pixels for batch in batches)]
    columns: dict[str, Any] = {
        name: np.concatenate([np.zeros(0, dtype=kind), *(getattr(batch, name) for batch in batches)])
        for name, kind in COLUMNS.items()
    }
    return ImageBatch(pixels=memmap.join(pixels), **columns)


def in_order(batch: ImageBatch) -> ImageBatch:
    """The images sorted by index.

    Raises:
        DataError: indices that are missing or there twice.
    """
    counted = np.arange(len(batch))
    if np.array_equal(batch.index, counted):
        return batch  # the usual case, without a copy
    order = np.argsort(batch.index, kind="stable")
    if not np.array_equal(batch.index[order], counted):
        raise DataError(
            "the set's images do not count up from 0 without gaps or repetitions; make the set again"
        )
    columns: dict[str, Any] = {name: getattr(batch, name)[order] for name in COLUMNS}
    return ImageBatch(pixels=memmap.take(batch.pixels, order), **columns)


def to_images(batch: ImageBatch, class_names: Sequence[str], provenance: dict[str, Any]) -> LabelledImages:
    """The batch as `LabelledImages`; `provenance` is that of the whole set.

    Raises:
        DataError: labels or origins out of range.
    """
    if len(batch) and int(batch.origin.max()) >= len(ORIGINS):
        raise DataError(f"origins must be 0 to {len(ORIGINS) - 1}; make the set again")
    common = {"run": provenance.get("run"), "seed": provenance.get("seed")}
    rows = zip(batch.origin.tolist(), plain_rows(batch), strict=True)
    return LabelledImages(
        pixels=batch.pixels,
        labels=batch.labels,
        class_names=tuple(class_names),
        row_id=batch.row_id,
        origin=batch.origin,
        provenance={row: common | columns for row, (origin, columns) in enumerate(rows) if origin != REAL},
    )


def plain_rows(batch: ImageBatch) -> Iterator[dict[str, int | float | None]]:
    """For each image the columns that only synthetic ones have; None where one does not apply."""
    columns = (batch.generator.tolist(), batch.confidence.tolist(), batch.parent.tolist())
    for generator, confidence, parent in zip(*columns, strict=True):
        yield {
            "generator": generator if generator >= 0 else None,
            "confidence": None if math.isnan(confidence) else round(confidence, 6),
            "parent": parent if parent >= 0 else None,
        }


def class_folders(class_names: Sequence[str]) -> tuple[str, ...]:
    """One folder name per class, such that alphabetical order is label order (as ImageFolder assumes).

    The class names themselves if they are in that order and valid on every file system; otherwise the label and the
    name (`3-dress`), with `_` for each character other than letters, digits, space, `.`, `_`, `+`, `-`.
    """
    names = list(class_names)
    distinct = len({name.casefold() for name in names}) == len(names)
    if distinct and names == sorted(names) and all(map(_is_safe, names)):
        return tuple(names)
    width = len(str(len(names) - 1))
    return tuple(f"{label:0{width}d}-{_safe(name)}" for label, name in enumerate(names))


def _is_safe(name: str) -> bool:
    return name == _safe(name) and name[:1].isalnum() and name == name.rstrip(" .")


def _safe(name: str) -> str:
    """At most 40 characters, each valid on every file system."""
    return re.sub(r"[^\w .+-]", "_", name)[:40].rstrip(" .")
