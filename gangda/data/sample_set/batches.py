"""The columns of a set: what is stored about every image, whatever the format; and names of class folders."""

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
    """n images on their way to or from disk, each column with one value per image.

    Attributes:
        pixels: uint8 (n, H, W, C).
        labels: int64 (n,).
        index: int64 (n,), position in the whole set, 0 to N - 1 over all shards.
        origin: uint8 (n,), index into `ORIGINS`.
        row_id: int64 (n,), of a real image in its source, else -1.
        parent: int64 (n,), row id of the real image that a traditional one was made of, else -1.
        generator: int64 (n,), which generator of the run made it, else -1.
        confidence: float32 (n,), of the sorting classifier; NaN where no classifier chose the label.
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
        """These images, sharing memory."""
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
    """Writes one shard's pieces in one format, into a folder that nobody reads yet."""

    def write(self, piece: ImageBatch) -> None:
        """Add images; they need not come in the order of their index."""

    def close(self) -> dict[str, str]:
        """Finish all files; relative name -> hex SHA-256 of those that the index lists."""


def make_piece(
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
    """A piece whose images stand at `first`, `first` + 1, ... in the set; columns not given say "none"."""
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


def join(pieces: Sequence[ImageBatch], image_shape: Sequence[int]) -> ImageBatch:
    """All pieces in one, in order; `image_shape` (C, H, W) is for the case that there is none."""
    channels, height, width = image_shape
    pixels = [np.zeros((0, height, width, channels), dtype=np.uint8), *(piece.pixels for piece in pieces)]
    columns: dict[str, Any] = {
        name: np.concatenate([np.zeros(0, dtype=kind), *(getattr(piece, name) for piece in pieces)])
        for name, kind in COLUMNS.items()
    }
    return ImageBatch(pixels=memmap.join(pixels), **columns)


def in_order(piece: ImageBatch) -> ImageBatch:
    """The images sorted by index.

    Raises:
        DataError: indices that are missing or there twice.
    """
    counted = np.arange(len(piece))
    if np.array_equal(piece.index, counted):
        return piece  # as one shard of generated images has it
    order = np.argsort(piece.index, kind="stable")
    if not np.array_equal(piece.index[order], counted):
        raise DataError(
            "the set's images do not count up from 0 without gaps or repetitions; make the set again"
        )
    columns: dict[str, Any] = {name: getattr(piece, name)[order] for name in COLUMNS}
    return ImageBatch(pixels=memmap.take(piece.pixels, order), **columns)


def to_images(piece: ImageBatch, class_names: Sequence[str], provenance: dict[str, Any]) -> LabelledImages:
    """The value that the other rooms work with; `provenance` is the set's own.

    Raises:
        DataError: labels or origins out of range.
    """
    if len(piece) and int(piece.origin.max()) >= len(ORIGINS):
        raise DataError(f"origins must be 0 to {len(ORIGINS) - 1}; make the set again")
    return LabelledImages(
        pixels=piece.pixels,
        labels=piece.labels,
        class_names=tuple(class_names),
        row_id=piece.row_id,
        origin=piece.origin,
        provenance=_provenance(piece, provenance),
    )


def _provenance(piece: ImageBatch, shared: dict[str, Any]) -> dict[int, dict[str, Any]]:
    common = {"run": shared.get("run"), "seed": shared.get("seed")}
    made = zip(piece.origin.tolist(), plain_rows(piece), strict=True)
    return {row: common | columns for row, (origin, columns) in enumerate(made) if origin != REAL}


def plain_rows(piece: ImageBatch) -> Iterator[dict[str, int | float | None]]:
    """Of each image, the columns that only synthetic ones have; None where one does not apply."""
    columns = (piece.generator.tolist(), piece.confidence.tolist(), piece.parent.tolist())
    for generator, confidence, parent in zip(*columns, strict=True):
        yield {
            "generator": generator if generator >= 0 else None,
            "confidence": None if math.isnan(confidence) else round(confidence, 6),
            "parent": parent if parent >= 0 else None,
        }


def class_folders(class_names: Sequence[str]) -> tuple[str, ...]:
    """One folder name per class, such that alphabetical order is label order (what ImageFolder assumes).

    The plain names where they are in that order already and every file system takes them; otherwise every
    name gets its label in front (`3-dress`), with `_` for each character other than letters, digits, space,
    `.`, `_`, `+`, `-`.
    """
    names = list(class_names)
    if (
        names == sorted(names)
        and all(map(_is_safe, names))
        and len({name.casefold() for name in names}) == len(names)
    ):
        return tuple(names)
    width = len(str(len(names) - 1))
    return tuple(f"{label:0{width}d}-{_safe(name)}" for label, name in enumerate(names))


def _is_safe(name: str) -> bool:
    return name == _safe(name) and name[:1].isalnum() and name == name.rstrip(" .")


def _safe(name: str) -> str:
    """At most 40 characters, each of which every file system takes."""
    return re.sub(r"[^\w .+-]", "_", name)[:40].rstrip(" .")
