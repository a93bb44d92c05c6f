"""What is done with each variant of an experiment: classifiers compared, or samples scored."""

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gangda import comparing
from gangda.augmenting.selection import FIGURES
from gangda.comparing import job_count
from gangda.comparing.cell_result import CellResult, FailedCell
from gangda.comparing.plan import Cell, ComparisonPlan, publish
from gangda.comparing.storage import failures_of, read_cell, read_comparison
from gangda.comparing.sweeps.scored import ScoredCell, read_score, run_score, score_plan
from gangda.comparing.workers import run_cells
from gangda.config.schema import ComparisonConfig
from gangda.data.images import FloatArray
from gangda.errors import OutcomeError, UsageError
from gangda.experiments import RETRAINED, Experiment
from gangda.runtime.progress import Reporter
from gangda.statistics.components import components_of


@dataclass(frozen=True)
class Setting:
    """One variant: its configuration, folder and planned cells."""

    name: str
    config: ComparisonConfig
    folder: Path
    plan: ComparisonPlan


class Measure(Protocol):
    """How a variant is planned, run, and read."""

    @property
    def figures(self) -> tuple[str, ...]:
        """What is read of every seed; variants are compared in the first."""

    def plan(self, config: ComparisonConfig) -> ComparisonPlan:
        """ComparisonPlan a variant, refusing what cannot run."""

    def run(self, setting: Setting, jobs: int | None, cell: int | None, reporter: Reporter) -> None:
        """Run what is missing of it, or that one cell."""

    def finished(self, setting: Setting) -> set[int]:
        """Indices of its finished cells."""

    def failed(self, setting: Setting) -> tuple[FailedCell, ...]:
        """Its failed cells."""

    def read(self, setting: Setting, figure: str) -> FloatArray:
        """A figure of every seed, float64 (n,); NaN where it has no value, or the cell failed."""

    def direction(self, settings: Sequence[Setting]) -> str:
        """Of the figure that variants are compared in, as a metric's: "higher", "lower" or "target"."""

    def extras(self, setting: Setting) -> dict[str, Any]:
        """What a report says of the variant beside its figures; it holds `seconds` and `notes`."""


@dataclass(frozen=True)
class Compared:
    """Test accuracy of every arm; variants are compared in the experiment's own arm."""

    asked: Experiment

    @property
    def figures(self) -> tuple[str, ...]:
        """The arms of all variants are not the same: only the one that is compared."""
        return (self.asked.arm,)

    def plan(self, config: ComparisonConfig) -> ComparisonPlan:
        """As `gangda compare` plans it."""
        if self.asked.arm not in config.compare.arms:
            raise UsageError(
                f"variants are compared in the arm {self.asked.arm}, none of {', '.join(config.compare.arms)}; "
                f"write 'arm: {config.compare.arms[-1]}' into the experiment's file, or add that arm"
            )
        return comparing.planned(config, None)

    def run(self, setting: Setting, jobs: int | None, cell: int | None, reporter: Reporter) -> None:
        """As `gangda compare` runs it: finished cells are not run again, and whole variants are judged anew."""
        with contextlib.suppress(OutcomeError):  # every cell failed: recorded, and said of the variant
            comparing.compare(setting.config, setting.folder, jobs=jobs, cell=cell, reporter=reporter)

    def finished(self, setting: Setting) -> set[int]:
        """Those whose file is there and whole."""
        return {
            cell.index
            for cell in setting.plan.cells
            if read_cell(setting.folder, cell, CellResult) is not None
        }

    def failed(self, setting: Setting) -> tuple[FailedCell, ...]:
        """As the comparison has recorded them."""
        return failures_of(setting.plan.cells, setting.folder)

    def read(self, setting: Setting, figure: str) -> FloatArray:
        """Test accuracy of the arm, or what else its comparison is by."""
        score = FIGURES[setting.config.compare.score_by]
        cells = [read_cell(setting.folder, cell, CellResult) for cell in setting.plan.cells]
        scores = [getattr(cell.arms[figure].test, score) if cell else np.nan for cell in cells]
        return np.array(scores, dtype=np.float64)

    def direction(self, settings: Sequence[Setting]) -> str:
        """Of any score of classifiers."""
        return "higher"

    def extras(self, setting: Setting) -> dict[str, Any]:
        """The variant's own verdict, arms, and what added images are worth; nothing where every cell failed."""
        if len(self.failed(setting)) == len(setting.plan.cells):
            return {
                "headline": "Every cell failed.",
                "verdict": "Every cell failed.",
                "notes": [],
                "worth": [],
                "arms": [],
                "seconds": None,
                "report": None,
            }
        found = read_comparison(setting.folder)
        first = next((one for one in found.judgement.contrasts if one.primary), None)
        said = [one.sentence for one in (first, found.second) if one is not None]
        return {
            "headline": found.headline,
            "verdict": found.headline if first is None else " ".join(said),
            "notes": list(found.notes),
            "worth": [] if found.exchange is None else list(found.exchange.sentences),
            "arms": [
                {"name": arm.name, "mean": arm.mean, "sd": arm.sd, "scores": list(arm.scores)}
                for arm in found.judgement.arms
            ],
            "seconds": max(row.generator_seconds + row.classifier_seconds for row in found.arms),
            "report": f"variants/{setting.folder.name}/report.html",
        }


@dataclass(frozen=True)
class Scored:
    """Metrics of the samples of each seed's generator."""

    asked: Experiment

    @property
    def figures(self) -> tuple[str, ...]:
        """The experiment's metrics."""
        return self.asked.metrics

    def plan(self, config: ComparisonConfig) -> ComparisonPlan:
        """One cell for each seed."""
        return score_plan(config)

    def run(self, setting: Setting, jobs: int | None, cell: int | None, reporter: Reporter) -> None:
        """Generators of all seeds, or of one, trained and scored."""
        plan = publish(setting.plan, setting.folder)
        wanted = plan.cells if cell is None else (plan.cells[cell],)
        failed = {failure.index for failure in self.failed(setting)}
        missing = [one for one in wanted if one.index not in failed and self._cell(setting, one) is None]
        work = functools.partial(run_score, metrics=self.figures, repeats=self.asked.repeats)
        if missing:
            run_cells(plan, missing, setting.folder, job_count(jobs, plan), reporter, work)

    def finished(self, setting: Setting) -> set[int]:
        """Those whose file is there, whole, and has all metrics."""
        return {cell.index for cell in self._cells(setting)}

    def failed(self, setting: Setting) -> tuple[FailedCell, ...]:
        """Those whose training gave nothing to score."""
        return failures_of(setting.plan.cells, setting.folder, ScoredCell)

    def read(self, setting: Setting, figure: str) -> FloatArray:
        """The metric's first value, or the mean over its classifiers; None of a file becomes NaN."""
        cells = [self._cell(setting, cell) for cell in setting.plan.cells]
        values = [self._value(cell, figure) if cell else np.nan for cell in cells]
        return np.array(values, dtype=np.float64)

    def _value(self, cell: ScoredCell, figure: str) -> float | None:
        if figure == RETRAINED and self.asked.repeats > 1:
            return float(np.mean(cell.repeats))
        return cell.values[figure].value

    def direction(self, settings: Sequence[Setting]) -> str:
        """As the metric says itself."""
        cells = [cell for setting in settings for cell in self._cells(setting)]
        return cells[0].values[self.figures[0]].direction

    def extras(self, setting: Setting) -> dict[str, Any]:
        """Floors, alarms and the course of training, over the seeds."""
        cells = self._cells(setting)
        notes = {metric.note for cell in cells for metric in cell.metrics}
        return {
            "floors": {name: _mean([cell.values[name].floor for cell in cells]) for name in self.figures},
            "notes": sorted(note for note in notes if note.startswith("ALARM")),
            "evaluations": [cell.evaluations for cell in cells],
            **self._spread(cells),
            "steps": cells[0].generator.steps if cells else None,
            "seconds": _mean([cell.seconds for cell in cells]),
        }

    def _spread(self, cells: Sequence[ScoredCell]) -> dict[str, Any]:
        """What of the spread lies between generators, and what between classifiers; nothing without repeats."""
        if self.asked.repeats == 1:
            return {}
        found = components_of([cell.repeats for cell in cells]) if cells else None
        return {"spread": None if found is None else found.as_dict()}

    def _cells(self, setting: Setting) -> list[ScoredCell]:
        """The finished ones."""
        found = [self._cell(setting, cell) for cell in setting.plan.cells]
        return [cell for cell in found if cell is not None]

    def _cell(self, setting: Setting, cell: Cell) -> ScoredCell | None:
        """One with all metrics; else None."""
        return read_score(setting.folder, cell, self.figures, self.asked.repeats)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


MEASURES: Mapping[str, Callable[[Experiment], Measure]] = {"compare": Compared, "score": Scored}
