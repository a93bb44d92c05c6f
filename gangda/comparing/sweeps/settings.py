"""One variant of an experiment: its plan, its cells, and how they are measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gangda.comparing.cell_result import FailedCell
from gangda.comparing.plan import Cell, ComparisonPlan
from gangda.comparing.storage import StoredCell, failures_of
from gangda.config.schema import ComparisonConfig
from gangda.data.images import FloatArray
from gangda.runtime.progress import Reporter


class Measure(Protocol):
    """What is done with each cell of a variant, and what is read of its result."""

    @property
    def kind(self) -> type[StoredCell]:
        """What is stored of a cell."""

    @property
    def figures(self) -> tuple[str, ...]:
        """What is read of every seed; variants are compared in the first."""

    def plan(self, config: ComparisonConfig) -> ComparisonPlan:
        """Plan a variant, refusing what cannot run."""

    def run(self, setting: "Setting", jobs: int | None, cell: int | None, reporter: Reporter) -> None:
        """Run what is missing of it, or that one cell."""

    def read(self, folder: Path, cell: Cell) -> Any:
        """The result of a cell; None where it is missing, damaged, or lacks something asked for."""

    def value(self, config: ComparisonConfig, result: Any, figure: str) -> float | None:
        """A figure of a result; None where it has none."""

    def direction(self, results: Sequence[Any]) -> str:
        """Of the figure that variants are compared in, as a metric's: "higher", "lower" or "target"."""

    def details(self, setting: "Setting") -> dict[str, Any]:
        """Fields of the variant's `VariantRow` that this measure alone fills."""


@dataclass(frozen=True)
class Setting:
    """A variant with its configuration, folder and planned cells."""

    name: str
    config: ComparisonConfig
    folder: Path
    plan: ComparisonPlan
    measure: Measure

    def results(self) -> list[Any]:
        """Of every cell; None where there is none."""
        return [self.measure.read(self.folder, cell) for cell in self.plan.cells]

    def finished(self) -> list[Any]:
        """The results that there are."""
        return [result for result in self.results() if result is not None]

    def failed(self) -> tuple[FailedCell, ...]:
        """Cells whose training gave nothing that can be used."""
        return failures_of(self.plan.cells, self.folder, self.measure.kind)

    def missing(self) -> list[Cell]:
        """Cells that have neither a result nor a reason for having none."""
        failed = {failure.index for failure in self.failed()}
        pairs = zip(self.plan.cells, self.results(), strict=True)
        return [cell for cell, result in pairs if result is None and cell.index not in failed]

    def values(self, figure: str) -> FloatArray:
        """A figure of every seed, float64 (n,); NaN where it has no value, or the cell failed."""
        return np.array(
            [
                np.nan if result is None else self.measure.value(self.config, result, figure)
                for result in self.results()
            ],
            dtype=np.float64,
        )
