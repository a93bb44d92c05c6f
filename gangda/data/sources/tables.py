"""Tables that say something about image files: CSV, TSV, JSON lines, JSON; a column of texts each.

JSON is a list of objects, a list of [file, label] pairs, an object {file: label}, or StyleGAN's `dataset.json`, an
object whose "labels" are such pairs. Source of the last: Karras 2020, StyleGAN2-ADA, `dataset_tool.py`.
"""

import csv
import io
import json
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gangda.config.hints import suggestion
from gangda.errors import DataError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json")
PAIR = ("file", "label")  # the columns of files that have no names for them
_MOST_BYTES = 1 << 30
Cell = str | tuple[str, ...]  # several values in one cell are a tuple


@dataclass(frozen=True)
class Table:
    """Columns of equal length by name; an empty cell is "". Without a header they are called 1, 2, ..."""

    path: Path
    columns: Mapping[str, Sequence[Cell]]

    def column(self, name: str) -> Sequence[Cell]:
        """A column by its name (in any case). Raises DataError: there is none."""
        for own, cells in self.columns.items():
            if own.casefold() == name.casefold():
                return cells
        known = list(self.columns)
        raise DataError(
            f"{self.path}: no column '{name}': {suggestion(name, known)}it has {', '.join(known[:20])}"
        )

    def headless(self) -> "Table":
        """The same where the first row is no header."""
        rows = [tuple(self.columns), *zip(*self.columns.values(), strict=True)]
        names = map(str, range(1, len(self.columns) + 1))
        return Table(self.path, dict(zip(names, zip(*rows, strict=True), strict=True)))


def read_table(path: Path) -> Table:
    """The table in a file. Raises DataError: it cannot be read, is no table, or holds rows of unequal length."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path}: over {_MOST_BYTES >> 20:,} MB, too large for a table of labels")
        content = path.read_bytes()
        # Spreadsheets write UTF-16 with a mark in front as "Unicode text".
        text = content.decode("utf-16" if content[:2] in (BOM_UTF16_LE, BOM_UTF16_BE) else "utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: is not {error.encoding.upper()} (byte {error.start:,}); save it as UTF-8"
        ) from None
    try:
        if path.suffix.lower() == ".jsonl":
            return _of_objects(path, [json.loads(line) for line in text.split("\n") if line.strip()])
        if path.suffix.lower() == ".json":
            return _of_json(path, json.loads(text))
        return _of_lines(path, text)
    except (ValueError, RecursionError, csv.Error) as error:
        raise DataError(f"{path}: damaged, or no table ({str(error)[:80]})") from None


def _of_lines(path: Path, text: str) -> Table:
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.strip()) == 5:
        # Excel's own line, which says what stands between cells.
        delimiter, text = first[4], rest
    else:
        delimiter = max(",\t;", key=first.count)
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter, strict=True) if any(row)]
    if not rows:
        raise DataError(f"{path}: is empty")
    names = [name.strip() or f"unnamed column {number}" for number, name in enumerate(rows[0], 1)]
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(names):
            what = f"row {number:,} has {len(row)} cells, the first {len(names)}"
            raise DataError(f"{path}: {what}; put cells that hold '{delimiter}' in double quotes")
    if len(set(names)) < len(names):  # hardly a header; `headless` then needs every cell
        names = [f"{name} ({number})" if names.count(name) > 1 else name for number, name in enumerate(names)]
    columns = [[row[place].strip() for row in rows[1:]] for place in range(len(names))]
    return Table(path, dict(zip(names, columns, strict=True)))


def _of_json(path: Path, value: Any) -> Table:
    if isinstance(value, dict) and "labels" in value and not isinstance(value["labels"], str | int):
        value = value["labels"]
        if value is None:
            raise DataError(f"{path}: its labels are null: it gives none")
    if isinstance(value, dict):
        value = list(value.items())
    if not isinstance(value, list):
        raise DataError(f"{path}: is neither a list nor an object")
    if all(isinstance(row, list | tuple) and len(row) == len(PAIR) for row in value):
        value = [dict(zip(PAIR, row, strict=True)) for row in value]
    return _of_objects(path, value)


def _of_objects(path: Path, rows: Sequence[Any]) -> Table:
    if not rows:
        raise DataError(f"{path}: is empty")
    if not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path}: holds rows that are no objects; write one object for each image")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return Table(path, {name: [_cell(row.get(name)) for row in rows] for name in names})


def _cell(value: Any) -> Cell:
    if value is None or value != value:  # NaN
        return ""
    if isinstance(value, list):
        several = tuple(str(_cell(one)) for one in value)
        return several[0] if len(several) == 1 else several
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()
