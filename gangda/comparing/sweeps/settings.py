"""One variant of an experiment: its plan, its cells, and how they are measured."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gangda.comparing.cell_result import FailedCell
from gangda.comparing.plan import Cell, ComparisonPlan
from gangda.comparing.storage import StoredCell, failures_of, read_cell
from gangda.config.schema import ComparisonConfig
from gangda.data.images import FloatArray
from gangda.experiments import Experiment
from gangda.runtime.progress import Reporter


@dataclass(frozen=True)
class Setting(ABC):
    """A variant with its folder and planned cells; a subclass for each measure.

    Attributes:
        kind: what is stored of a cell.
    """

    experiment: Experiment
    name: str
    folder: Path
    plan: ComparisonPlan
    kind: ClassVar[type[StoredCell]]

    @staticmethod
    @abstractmethod
    def plan_of(experiment: Experiment, config: ComparisonConfig) -> ComparisonPlan:
        """Plan a variant.

        Raises:
            UsageError, DataError: what cannot run.
        """

    @property
    @abstractmethod
    def figures(self) -> tuple[str, ...]:
        """What is read of every seed; variants are compared in the first."""

    @abstractmethod
    def run(self, jobs: int | None, cell: int | None, reporter: Reporter) -> None:
        """Run what is missing, or that one cell."""

    @abstractmethod
    def value(self, result: Any, figure: str) -> float | None:
        """A figure of a cell's result; None where it has none."""

    @abstractmethod
    def details(self) -> dict[str, Any]:
        """Fields of the variant's `VariantRow` that this measure alone fills."""

    def direction(self, results: Sequence[Any]) -> str:
        """Of the figure that variants are compared in, as a metric's: "higher", "lower" or "target"."""
        return "higher"

    def read(self, cell: Cell) -> Any:
        """The result of a cell; None where it is missing, damaged, or lacks something asked for."""
        return read_cell(self.folder, cell, self.kind)

    def results(self) -> list[Any]:
        """Of every cell; None where there is none."""
        return [self.read(cell) for cell in self.plan.cells]

    def finished(self) -> list[Any]:
        """The results that there are."""
        return [result for result in self.results() if result is not None]

    def failed(self) -> tuple[FailedCell, ...]:
        """Cells whose training gave nothing that can be used."""
        return failures_of(self.plan.cells, self.folder, self.kind)

    def missing(self) -> list[Cell]:
        """Cells that have neither a result nor a reason for having none."""
        failed = {failure.index for failure in self.failed()}
        pairs = zip(self.plan.cells, self.results(), strict=True)
        return [cell for cell, result in pairs if result is None and cell.index not in failed]

    def values(self, figure: str) -> FloatArray:
        """A figure of every seed, float64 (n,); NaN where it has no value, or the cell failed."""
        found = [None if result is None else self.value(result, figure) for result in self.results()]
        return np.array(found, dtype=np.float64)
