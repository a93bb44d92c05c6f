"""What is done with each variant of an experiment: classifiers compared, or samples scored."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gangda.configs import ExperimentConfig
from gangda.data.images import FloatArray
from gangda.engines import comparing
from gangda.engines.comparing import job_count
from gangda.engines.comparing.cells import read_cell
from gangda.engines.comparing.plan import Plan, publish
from gangda.engines.comparing.scores import FIGURES
from gangda.engines.comparing.workers import run_cells
from gangda.engines.experimenting.scored import read_score, run_score, score_plan
from gangda.errors import UsageError
from gangda.experiments import Experiment
from gangda.runtime.files import read_json
from gangda.runtime.progress import Reporter


@dataclass(frozen=True)
class Setting:
    """One variant: its configuration, folder and planned cells."""

    name: str
    config: ExperimentConfig
    folder: Path
    plan: Plan


class Measure(Protocol):
    """How a variant is planned, run, and read."""

    @property
    def figures(self) -> tuple[str, ...]:
        """What is read of every seed; variants are compared in the first."""

    def plan(self, config: ExperimentConfig) -> Plan:
        """Plan a variant, refusing what cannot run."""

    def run(self, setting: Setting, jobs: int | None, cell: int | None, reporter: Reporter) -> None:
        """Run what is missing of it, or that one cell."""

    def finished(self, setting: Setting) -> set[int]:
        """Indices of its finished cells."""

    def read(self, setting: Setting, figure: str) -> FloatArray:
        """A figure of every seed, float64 (n,); NaN where it has no value."""

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

    def plan(self, config: ExperimentConfig) -> Plan:
        """As `gangda compare` plans it."""
        if self.asked.arm not in config.compare.arms:
            raise UsageError(f"arm: {self.asked.arm} is none of its arms {', '.join(config.compare.arms)}")
        return comparing.planned(config, None)

    def run(self, setting: Setting, jobs: int | None, cell: int | None, reporter: Reporter) -> None:
        """As `gangda compare` runs it: finished cells are not run again, and whole variants are judged anew."""
        comparing.compare(setting.config, setting.folder, jobs=jobs, cell=cell, reporter=reporter)

    def finished(self, setting: Setting) -> set[int]:
        """Those whose file is there and whole."""
        return {cell.index for cell in setting.plan.cells if read_cell(setting.folder, cell) is not None}

    def read(self, setting: Setting, figure: str) -> FloatArray:
        """Test accuracy of the arm, or what else its comparison is by."""
        score = FIGURES[setting.config.compare.score_by]
        cells = [read_cell(setting.folder, cell) for cell in setting.plan.cells]
        return np.array([cell["arms"][figure]["test"][score] for cell in cells if cell], dtype=np.float64)

    def direction(self, settings: Sequence[Setting]) -> str:
        """Of any score of classifiers."""
        return "higher"

    def extras(self, setting: Setting) -> dict[str, Any]:
        """The variant's own verdict and arms."""
        document = read_json(setting.folder / "comparison.json")
        arms = [
            {key: arm[key] for key in ("name", "mean", "sd", "scores")}
            for arm in document["comparison"]["arms"]
        ]
        seconds = [row["generator_seconds"] + row["classifier_seconds"] for row in document["arms"]]
        return {
            "headline": document["headline"],
            "notes": document["notes"],
            "arms": arms,
            "seconds": max(seconds),
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

    def plan(self, config: ExperimentConfig) -> Plan:
        """One cell for each seed."""
        return score_plan(config)

    def run(self, setting: Setting, jobs: int | None, cell: int | None, reporter: Reporter) -> None:
        """Generators of all seeds, or of one, trained and scored."""
        plan = publish(setting.plan, setting.folder)
        wanted = plan.cells if cell is None else (plan.cells[cell],)
        missing = [one for one in wanted if read_score(setting.folder, one, self.figures) is None]
        work = functools.partial(run_score, metrics=self.figures)
        if missing:
            run_cells(plan, missing, setting.folder, job_count(jobs, plan), reporter, work)

    def finished(self, setting: Setting) -> set[int]:
        """Those whose file is there, whole, and has all metrics."""
        return {cell["index"] for cell in self._cells(setting)}

    def read(self, setting: Setting, figure: str) -> FloatArray:
        """The metric's first value; None of a file becomes NaN."""
        return np.array([cell["values"][figure]["value"] for cell in self._cells(setting)], dtype=np.float64)

    def direction(self, settings: Sequence[Setting]) -> str:
        """As the metric says itself."""
        return str(self._cells(settings[0])[0]["values"][self.figures[0]]["direction"])

    def extras(self, setting: Setting) -> dict[str, Any]:
        """Floors, alarms and the course of training, over the seeds."""
        cells = self._cells(setting)
        notes = {metric["note"] for cell in cells for metric in cell["metrics"]}
        return {
            "floors": {
                name: _mean([cell["values"][name]["floor"] for cell in cells]) for name in self.figures
            },
            "notes": sorted(note for note in notes if note.startswith("ALARM")),
            "looks": [cell["looks"] for cell in cells],
            "steps": cells[0]["generator"]["steps"],
            "seconds": float(np.mean([cell["seconds"] for cell in cells])),
        }

    def _cells(self, setting: Setting) -> list[dict[str, Any]]:
        """The finished ones."""
        found = [read_score(setting.folder, cell, self.figures) for cell in setting.plan.cells]
        return [cell for cell in found if cell is not None]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


MEASURES: Mapping[str, Callable[[Experiment], Measure]] = {"compare": Compared, "score": Scored}
