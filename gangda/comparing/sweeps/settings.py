"""One variant of an experiment: its plan, its cells, and how they are measured."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from gangda import comparing
from gangda.augmenting.selection import score_of
from gangda.comparing.advice import too_few_images
from gangda.comparing.cell_result import CellResult
from gangda.comparing.estimate import Cost, cost_of
from gangda.comparing.plan import ComparisonPlan
from gangda.comparing.storage import StoredCell, StoredCells, read_cells, read_comparison
from gangda.config.schema import ComparisonConfig
from gangda.errors import OutcomeError, UsageError
from gangda.experiments import Experiment
from gangda.runtime.part import Part
from gangda.runtime.progress import Reporter
from gangda.statistics import values

ALL_FAILED = "Every cell failed."


@dataclass(frozen=True)
class Setting(ABC):
    """A variant with its folder and planned cells; a subclass for each measure. `kind` is stored of a cell."""

    experiment: Experiment
    name: str
    folder: Path
    plan: ComparisonPlan
    kind: ClassVar[type[StoredCell]]

    @staticmethod
    @abstractmethod
    def plan_of(experiment: Experiment, config: ComparisonConfig) -> ComparisonPlan:
        """Plan a variant; a UsageError or DataError for what cannot run."""

    @property
    @abstractmethod
    def figures(self) -> tuple[str, ...]:
        """What is read of every seed; variants are compared in the first."""

    @abstractmethod
    def run(self, jobs: int | None, part: Part, reporter: Reporter) -> None:
        """Run what is missing of a part of the cells."""

    @abstractmethod
    def value(self, result: Any, figure: str) -> float | None:
        """A figure of a cell's result; None where it has none."""

    @abstractmethod
    def details(self, found: StoredCells[Any]) -> dict[str, Any]:
        """Fields of the variant's `VariantRow` that this measure alone fills."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that a finished cell holds; more of them may be asked for later."""
        return ()

    def direction(self, result: Any) -> str:
        """Of the figure that variants are compared in, as a metric's: "higher", "lower" or "target"."""
        return "higher"

    def complete(self, result: Any) -> bool:
        """Whether a cell's result holds all that is asked for."""
        return True

    def cells(self) -> StoredCells[Any]:
        """The cells as they are on disk."""
        return read_cells(self.plan.cells, self.folder, self.kind, self.complete)

    def cost(self, jobs: int | None) -> Cost:
        """What the variant takes on this machine."""
        return cost_of(self.plan, len(self.cells().results), jobs)


def data_alarms(settings: Sequence[Setting]) -> list[str]:
    """What is wrong with the images of the variants as data, each once; with their names where not of all of them."""
    found: dict[str, list[str]] = {}
    for setting in settings:
        for alarm in dict.fromkeys(setting.plan.alarms):
            found.setdefault(alarm, []).append(setting.name)
    return [
        alarm if len(names) == len(settings) else f"{'; '.join(names)}: {alarm}"
        for alarm, names in found.items()
    ]


class Compared(Setting):
    """Measure "compare": every variant is a comparison; variants are compared in the test score of one arm."""

    kind = CellResult

    @staticmethod
    def plan_of(experiment: Experiment, config: ComparisonConfig) -> ComparisonPlan:
        """As `gangda compare` plans it. The variants need not have other arms in common than the experiment's."""
        arm, arms = experiment.arm, config.compare.arms
        if arm not in arms:
            what = f"variants are compared in the arm {arm}, none of {', '.join(arms)}"
            raise UsageError(f"{what}; write 'arm: {arms[-1]}' into the experiment's file, or add that arm")
        return comparing.planned(config, None)

    @property
    def figures(self) -> tuple[str, ...]:
        """The arm."""
        return (self.experiment.arm,)

    def run(self, jobs: int | None, part: Part, reporter: Reporter) -> None:
        """As `gangda compare` runs it: finished cells are not run again, and complete variants are judged again."""
        with contextlib.suppress(OutcomeError):  # every cell failed: recorded, and reported with the variant
            comparing.compare(
                self.plan.config, self.folder, jobs=jobs, part=part, announce=False, reporter=reporter
            )

    def value(self, result: CellResult, figure: str) -> float:
        """Test accuracy of the arm, or the other score that the comparison is by."""
        return score_of(result.arms[figure].test, self.plan.config.compare.score_by)

    def details(self, found: StoredCells[CellResult]) -> dict[str, Any]:
        """The variant's own verdict and arms, and what added images are worth; nothing where every cell failed."""
        if not found.results:
            return {"headline": ALL_FAILED, "verdict": ALL_FAILED}
        judged = read_comparison(self.folder)
        tested = tuple(one for one in judged.judgement.contrasts if one.primary)
        limits = [
            too_few_images(judged.judgement, one, self.plan.level)
            for one in tested[:1]
            if one.verdict == values.INCONCLUSIVE
        ]
        added = [result.headline for result in judged.analyses.values() if result.headline]
        return {
            "headline": judged.headline,
            "advice": judged.advice,
            "verdict": " ".join([judged.plain, tested[0].sentence, *added]) if tested else judged.headline,
            "notes": tuple(note for note in judged.notes if note not in self.plan.alarms),
            "worth": tuple(text for result in judged.analyses.values() for text in result.sentences),
            "arms": judged.judgement.arms,
            "contrasts": tested,
            "too_few_images": next(iter(limits), None),
            "per_class": self.plan.config.data.per_class,
            "seconds": max(row.generator_seconds + row.classifier_seconds for row in judged.arms),
            "report": f"variants/{self.folder.name}/report.html",
        }
