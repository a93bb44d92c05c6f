"""What is done with each variant of an experiment: classifiers compared, or samples scored."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

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
        """A figure of every seed, float64 (n,)."""


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
        """As `gangda compare` runs it; finished cells of the same plan are not run again."""
        comparing.compare(setting.config, setting.folder, jobs=jobs, cell=cell, reporter=reporter)

    def finished(self, setting: Setting) -> set[int]:
        """Those whose file is there and whole."""
        return {cell.index for cell in setting.plan.cells if read_cell(setting.folder, cell) is not None}

    def read(self, setting: Setting, figure: str) -> FloatArray:
        """Test accuracy of the arm."""
        score = FIGURES[setting.config.compare.score_by]
        cells = [read_cell(setting.folder, cell) for cell in setting.plan.cells]
        return np.array(
            [cell["arms"][figure]["test"][score] for cell in cells if cell], dtype=np.float64
        )


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
        cells = setting.plan.cells
        return {cell.index for cell in cells if read_score(setting.folder, cell, self.figures) is not None}

    def read(self, setting: Setting, figure: str) -> FloatArray:
        """The metric's first value."""
        scores = [read_score(setting.folder, cell, self.figures) for cell in setting.plan.cells]
        return np.array([score["values"][figure]["value"] for score in scores if score], dtype=np.float64)


MEASURES: Mapping[str, Callable[[Experiment], Measure]] = {"compare": Compared, "score": Scored}
