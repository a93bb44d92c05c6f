"""Would the arms compare otherwise, had each been trained for as long as suits it? Its steps, by validation images.

Every arm tries the same numbers of steps, on the ratio and filter chosen after the usual steps, and is evaluated on the
test images with the number that is best on its validation images.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gangda.augmenting.selection import score_of
from gangda.classifying.evaluation import Evaluation
from gangda.comparing import analyses
from gangda.comparing.analyses import Additions, AnalysisResult, Evaluator, Judged, Section, Table
from gangda.comparing.comparison import Comparison
from gangda.config.schema import ComparisonConfig
from gangda.data.images import FloatArray
from gangda.errors import OutcomeError, UsageError
from gangda.report.page import percent
from gangda.statistics.differences import summary_of
from gangda.statistics.families import family_of
from gangda.statistics.values import Interval
from gangda.statistics.words import interval_text, points


@dataclass(frozen=True)
class StepsTrial:
    """A number of steps that an arm tried; where training failed it has a reason in place of a score."""

    steps: int
    validation: float | None = None
    seconds: float | None = None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class TunedFit:
    """An arm with the steps that its validation images chose; neither steps nor a test where all of them failed."""

    steps: int | None
    candidates: tuple[StepsTrial, ...]
    test: Evaluation | None


@dataclass(frozen=True)
class TunedRow:
    """An arm, or a difference of arms, with tuned steps."""

    name: str
    n: int  # seeds in which it did not fail
    mean: float | None  # over these seeds; None where there are none
    sd: float | None  # None for fewer than two
    interval: Interval | None
    chosen: Mapping[str, int]  # seeds that chose each number of steps; empty for a difference


@dataclass(frozen=True, kw_only=True)
class TunedTable(AnalysisResult):
    """The arms with tuned steps, and the planned differences between them: all exploratory, without p."""

    steps: tuple[int, ...]
    arms: tuple[TunedRow, ...]
    differences: tuple[TunedRow, ...]


class TunedSteps(analyses.Analysis):
    """`--tune-steps`: every arm once more, with the number of steps that its validation images choose."""

    cell_type, result_type = Mapping[str, TunedFit], TunedTable

    def plan(self, config: ComparisonConfig) -> Additions | None:
        """A classifier for every arm and number of steps."""
        numbers = config.compare.tune_steps
        if not numbers:
            return None
        if len(numbers) == 1 or len(set(numbers)) < len(numbers):
            raise UsageError("--tune-steps: give several numbers of steps to choose from, each once")
        fits = len(config.compare.arms) * len(numbers)
        # Of epochs the steps are not known here; the trainings are then taken to be as long as the usual ones.
        known = config.classifier.classifier_epochs is None
        length = sum(numbers) / len(numbers) / config.classifier.classifier_steps if known else 1.0
        return Additions(fits=fits, length=length, validation=True)

    def run_in_cell(self, evaluator: Evaluator, config: ComparisonConfig) -> dict[str, TunedFit]:
        """Every arm, on the images of its own ratio and filter."""
        numbers = sorted(config.compare.tune_steps)
        return {
            name: _tuned(evaluator, name, numbers, config.compare.score_by) for name in config.compare.arms
        }

    def judge(self, found: Sequence[Mapping[str, TunedFit]], judged: Judged) -> TunedTable:
        """Means with intervals. Seeds in which an arm failed are left out of that arm and its differences."""
        compare = judged.config.compare
        fits = {name: [cell[name] for cell in found] for name in compare.arms}
        tests = {name: [fit.test for fit in each] for name, each in fits.items()}
        scores = {
            name: np.array([np.nan if test is None else score_of(test, compare.score_by) for test in each])
            for name, each in tests.items()
        }
        primary = family_of(compare.arms, compare.contrast).primary
        deltas = {
            name: np.asarray(sum(sign * scores[arm] for arm, sign in terms))
            for name, terms in primary.items()
        }
        return TunedTable(
            steps=tuple(sorted(compare.tune_steps)),
            arms=tuple(_row(name, scores[name], compare.alpha, fits[name]) for name in compare.arms),
            differences=tuple(_row(name, each, compare.alpha) for name, each in deltas.items()),
        )

    def section(self, result: TunedTable, comparison: Comparison) -> Section:
        """Tables of the arms and of the differences."""
        values = {"tuned": result, "comparison": comparison, "judged": comparison.judgement}
        return Section(
            "tuned", "With steps chosen for each arm", analyses.rendered("tuned_steps.html", **values)
        )

    def tables(self, result: TunedTable) -> tuple[Table, Table]:
        """The same two."""
        title = f"Steps chosen on validation, {len(result.steps)} trials for each arm (no test of its own)"
        chosen = [", ".join(f"{n} ({k})" for n, k in row.chosen.items()) for row in result.arms]
        arms = [
            (row.name, percent(row.mean), percent(row.sd), steps)
            for row, steps in zip(result.arms, chosen, strict=True)
        ]
        means = ["-" if row.mean is None else points(row.mean, signed=True) for row in result.differences]
        differences = [
            (row.name, mean, interval_text(row.interval))
            for row, mean in zip(result.differences, means, strict=True)
        ]
        head = ("contrast", "difference", "interval")
        return (
            Table(title, ("arm", "mean %", "sd %", "steps (seeds)"), arms),
            Table("Differences with these steps, in points", head, differences),
        )


def _tuned(evaluator: Evaluator, name: str, numbers: Sequence[int], score_by: str) -> TunedFit:
    """Of equal scores the fewest steps are taken; only the chosen classifier is evaluated on the test images."""
    tried, scored = [], []
    for steps in numbers:
        try:
            fitted = evaluator.again(name, steps=steps)
        except OutcomeError as error:
            tried.append(StepsTrial(steps, reason=str(error)))
            continue
        score = score_of(evaluator.on_validation(fitted), score_by)
        tried.append(StepsTrial(steps, score, fitted.seconds))
        scored.append((score, steps, fitted))
    if not scored:
        return TunedFit(None, tuple(tried), None)
    _, steps, fitted = max(scored, key=lambda one: one[0])
    return TunedFit(steps, tuple(tried), evaluator.on_test(fitted))


def _row(name: str, scores: FloatArray, alpha: float, fits: Sequence[TunedFit] = ()) -> TunedRow:
    """Over the seeds that have a score; and how many chose each number of steps."""
    known = scores[~np.isnan(scores)]
    counts = Counter(fit.steps for fit in fits if fit.steps is not None)
    chosen = {str(steps): counts[steps] for steps in sorted(counts)}
    if not len(known):
        return TunedRow(name, 0, None, None, None, chosen)
    found = summary_of(name, known, alpha)
    sd = found.sd if len(known) > 1 else None
    return TunedRow(name, len(known), found.mean, sd, found.interval, chosen)
