"""Measure "compare": every variant is a comparison; variants are compared in the test score of one arm."""

import contextlib
from typing import Any

from gangda import comparing
from gangda.augmenting.selection import FIGURES
from gangda.comparing.cell_result import CellResult
from gangda.comparing.plan import ComparisonPlan
from gangda.comparing.storage import read_comparison
from gangda.comparing.sweeps.settings import Setting
from gangda.config.schema import ComparisonConfig
from gangda.errors import OutcomeError, UsageError
from gangda.experiments import Experiment
from gangda.runtime.progress import Reporter

ALL_FAILED = "Every cell failed."


class Compared(Setting):
    """The variants need not have other arms in common than the experiment's."""

    kind = CellResult

    @staticmethod
    def plan_of(experiment: Experiment, config: ComparisonConfig) -> ComparisonPlan:
        """As `gangda compare` plans it."""
        arm, arms = experiment.arm, config.compare.arms
        if arm not in arms:
            raise UsageError(
                f"variants are compared in the arm {arm}, none of {', '.join(arms)}; "
                f"write 'arm: {arms[-1]}' into the experiment's file, or add that arm"
            )
        return comparing.planned(config, None)

    @property
    def figures(self) -> tuple[str, ...]:
        """The arm."""
        return (self.experiment.arm,)

    def run(self, jobs: int | None, cell: int | None, reporter: Reporter) -> None:
        """As `gangda compare` runs it: finished cells are not run again, and complete variants are judged again."""
        with contextlib.suppress(OutcomeError):  # every cell failed: recorded, and reported with the variant
            comparing.compare(self.plan.config, self.folder, jobs=jobs, cell=cell, reporter=reporter)

    def value(self, result: CellResult, figure: str) -> float:
        """Test accuracy of the arm, or the other score that the comparison is by."""
        return float(getattr(result.arms[figure].test, FIGURES[self.plan.config.compare.score_by]))

    def details(self) -> dict[str, Any]:
        """The variant's own verdict and arms, and what added images are worth; nothing where every cell failed."""
        if len(self.failed()) == len(self.plan.cells):
            return {"headline": ALL_FAILED, "verdict": ALL_FAILED}
        found = read_comparison(self.folder)
        first = next((one for one in found.judgement.contrasts if one.primary), None)
        added = [result.headline for result in found.analyses.values() if result.headline]
        return {
            "headline": found.headline,
            "verdict": found.headline if first is None else " ".join([first.sentence, *added]),
            "notes": found.notes,
            "worth": tuple(text for result in found.analyses.values() for text in result.sentences),
            "arms": found.judgement.arms,
            "seconds": max(row.generator_seconds + row.classifier_seconds for row in found.arms),
            "report": f"variants/{self.folder.name}/report.html",
        }
