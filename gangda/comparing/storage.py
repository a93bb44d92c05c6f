"""The files of a comparison: results of cells, failed cells, and `comparison.json`; the README lists them."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np

from gangda.comparing.analyses import read_parts
from gangda.comparing.cell_result import CellResult, FailedCell
from gangda.comparing.comparison import Comparison
from gangda.comparing.plan import Cell, ComparisonPlan
from gangda.errors import DataError
from gangda.runtime.files import read_json, write_json
from gangda.runtime.hashed_file import read_hashed_json, write_hashed_json
from gangda.runtime.plain import from_plain, to_plain
from gangda.runtime.plan_status import WORK


class StoredCell(Protocol):
    """What can be kept of a cell: a dataclass with the cell's place in the plan, and the folder of its files."""

    folder: ClassVar[str]

    @property
    def id(self) -> str:
        """Identity of the cell."""


C = TypeVar("C", bound=StoredCell)
FITS = "fits"  # inside the cell's own folder: its classifiers, until the cell is finished


def cell_path(out: Path, cell: Cell, kind: type[StoredCell] = CellResult) -> Path:
    """Where a cell's file of this kind lies."""
    return out / kind.folder / f"{cell.id}.json"


def work_of(out: Path, cell: Cell) -> Path:
    """The cell's own folder, for what it trains."""
    return out / WORK / cell.id


def write_cell(out: Path, cell: Cell, result: StoredCell) -> None:
    """Write a cell's result whole, with a hash of its content."""
    write_hashed_json(cell_path(out, cell, type(result)), to_plain(result))


def read_cell(out: Path, cell: Cell, kind: type[C]) -> C | None:
    """A cell's result of this kind; None where it is missing, damaged or another cell's."""
    try:
        result = from_plain(kind, read_hashed_json(cell_path(out, cell, kind)))
        if isinstance(result, CellResult):
            parts = read_parts(result.analyses, "cell_type")
            result = dataclasses.replace(result, analyses=parts)
    except DataError:
        return None
    return result if result.id == cell.id else None


@dataclass(frozen=True)
class StoredCells(Generic[C]):
    """Cells in their order: results by the cell's index, failed cells, and those that are neither."""

    results: Mapping[int, C]
    failed: tuple[FailedCell, ...]
    missing: tuple[Cell, ...]


def read_cells(
    cells: Iterable[Cell], out: Path, kind: type[C], complete: Callable[[C], bool] = lambda _: True
) -> StoredCells[C]:
    """Read these cells. A result that is not `complete` is missing; a cell that has a result has not failed."""
    results, failed, missing = {}, [], []
    for cell in cells:
        result = read_cell(out, cell, kind)
        if result is not None and complete(result):
            results[cell.index] = result
        elif result is None and (failure := read_cell(out, cell, FailedCell)):
            failed.append(failure)
        else:
            missing.append(cell)
    return StoredCells(results, tuple(failed), tuple(missing))


def write_comparison(comparison: Comparison, plan: ComparisonPlan, out: Path) -> None:
    """Write `comparison.json`. The cells' images stay in their own files, and the test labels stand there once."""
    none = np.zeros(0, dtype=np.uint16)
    cells = tuple(dataclasses.replace(cell, pictures=None, test_labels=none) for cell in comparison.cells)
    plain = to_plain(dataclasses.replace(comparison, cells=cells))
    write_json(out / "comparison.json", {"kind": "comparison", **plain, "plan": plan.as_dict()})


def read_comparison(out: Path) -> Comparison:
    """What `write_comparison` wrote; a DataError where it is missing or damaged."""
    path = out / "comparison.json"
    plain = read_json(path)
    names = {field.name for field in dataclasses.fields(Comparison)}
    try:
        found = from_plain(Comparison, {name: plain[name] for name in plain if name in names})
        cells = tuple(
            dataclasses.replace(cell, analyses=read_parts(cell.analyses, "cell_type")) for cell in found.cells
        )
        parts = read_parts(found.analyses, "result_type")
        return dataclasses.replace(found, analyses=parts, cells=cells)
    except DataError as error:
        raise DataError(f"{path}: damaged ({error}); run the same command again") from None
