"""`metadata.jsonl`: a line of JSON about each image of a PNG or IDX set, as Hugging Face's imagefolder reads them."""

import contextlib
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gangda.data.images import COLUMNS, ORIGINS, REAL, LabelledImages
from gangda.data.sample_set.index import SetHeader, SetIndex, read_bytes, unite
from gangda.errors import DataError
from gangda.runtime.files import write_bytes

_ENCODE = json.JSONEncoder(ensure_ascii=False).encode  # created once: that is half of the time of a line
SET_COLUMNS = {"labels": np.int64, "index": np.int64, **COLUMNS}  # `index` is the position in the set
_NAMES = {"labels": "label"}  # where a line calls a column otherwise
_NULL = {"parent": -1, "generator": -1, "confidence": np.nan}  # for null
LINES = 1024  # read and decoded at once


class MetadataWriter:
    """Writes the lines as they come. A shard's file is `metadata-i-of-n.jsonl`."""

    def __init__(self, folder: Path, header: SetHeader, open_files: contextlib.ExitStack) -> None:
        self._header = header
        self._name = f"metadata{header.suffix}.jsonl"
        self._file = open_files.enter_context((folder / self._name).open("wb"))
        self._digest = hashlib.sha256()

    def write(self, images: LabelledImages, first: int, own: Sequence[Mapping[str, Any]]) -> None:
        """One line per image, where `own` has further columns of each."""
        rows = rows_of(self._header, images, first)
        text = "".join(
            f"{encoded({**extra, **row})}\n" for extra, row in zip(own, rows, strict=True)
        ).encode()
        self._digest.update(text)
        self._file.write(text)

    def close(self) -> dict[str, str]:
        """Name and hex SHA-256 of the finished file."""
        self._file.close()
        return {self._name: self._digest.hexdigest()}


def encoded(row: Mapping[str, Any]) -> str:
    """A row as JSON."""
    return _ENCODE(row)


def rows_of(header: SetHeader, images: LabelledImages, first: int) -> Iterator[dict[str, Any]]:
    """What is said of each image, number `first`, ...; what does not apply is None, but `row_id`."""
    names, seed = header.class_names, header.provenance.get("seed")
    columns = (getattr(images, name).tolist() for name in COLUMNS)
    for index, (label, origin, row_id, parent, generator, confidence) in enumerate(
        zip(*columns, strict=True), first
    ):
        yield {
            "label": label,
            "label_name": names[label],
            "synthetic": origin != REAL,
            "origin": ORIGINS[origin],
            "seed": None if origin == REAL else seed,
            "generator": generator if generator >= 0 else None,
            "confidence": None if math.isnan(confidence) else round(confidence, 6),
            "parent": parent if parent >= 0 else None,
            "row_id": row_id,
            "index": index,
        }


def read_lines(folder: Path, name: str, digest: str) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """A thousand images at a time: their columns as arrays (all of `SET_COLUMNS`), and the lines; or a DataError."""
    lines = read_bytes(folder, name, digest).splitlines()
    for start in range(0, len(lines), LINES):
        rows = decoded(lines[start : start + LINES], folder / name)
        yield columns_of(rows, folder / name), rows


def decoded(lines: Sequence[bytes], where: Path) -> list[Any]:
    """Rows of these lines of JSON; a DataError about `where` for damaged ones."""
    try:
        return [json.loads(line) for line in lines]
    except (ValueError, RecursionError):
        raise DataError(f"{where}: damaged metadata; make the set again") from None


def columns_of(rows: Sequence[dict[str, Any]], where: Path) -> dict[str, Any]:
    """The columns of rows as arrays; a DataError about `where` for damaged ones."""
    try:
        columns = {
            column: np.array([_read(row, column) for row in rows], dtype=kind)
            for column, kind in SET_COLUMNS.items()
        }
        if any(column.shape != (len(rows),) for column in columns.values()):
            raise ValueError("a list in place of a number")
    except (ValueError, KeyError, TypeError, OverflowError):
        raise DataError(f"{where}: damaged metadata; make the set again") from None
    return columns


def _read(row: dict[str, Any], column: str) -> Any:
    value = row[_NAMES.get(column, column)]
    if column == "origin":
        return ORIGINS.index(value)
    return _NULL[column] if value is None and column in _NULL else value


def unite_metadata(folder: Path, indices: Sequence[SetIndex]) -> None:
    """Join the shards' metadata into one `metadata.jsonl`; two shards that are last at once write the same bytes."""
    names = [item for item in unite(indices).files.items() if item[0].startswith("metadata-")]
    if names:
        write_bytes(folder / "metadata.jsonl", b"".join(read_bytes(folder, *item) for item in names))
