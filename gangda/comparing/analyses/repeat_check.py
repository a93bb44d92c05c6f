"""How much of a verdict is rounding? The first primary difference of a seed, trained again with other rounding.

Each batch is taken in reversed order: in exact arithmetic the same gradient, in floating point other sums. (Another
number of threads rounds otherwise too, but not on a GPU, and not in every network.) The generator and its samples stay
as they are, so that a whole seed on another machine may move further.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gangda.augmenting.selection import score_of
from gangda.classifying.evaluation import Evaluation
from gangda.comparing.analyses import (
    Additions,
    Analysis,
    AnalysisResult,
    Evaluator,
    Judged,
    Section,
    first_contrast,
    rendered,
)
from gangda.comparing.comparison import Comparison
from gangda.config.schema import ComparisonConfig
from gangda.errors import OutcomeError
from gangda.statistics.words import points

FLAG = "--repeat-check"


@dataclass(frozen=True, eq=False)
class RepeatFit:
    """The arms of the first primary difference, trained again; no arms, but a reason, where that failed."""

    contrast: str
    arms: Mapping[str, Evaluation]
    reason: str = ""


@dataclass(frozen=True)
class Repeated:
    """A score of one seed, or a difference of two, before and after."""

    name: str
    before: float
    after: float

    @property
    def moved(self) -> float:
        """By how much."""
        return self.after - self.before


@dataclass(frozen=True, kw_only=True)
class RepeatTable(AnalysisResult):
    """What moved in one seed, and the spread of the difference over all of them to hold beside it."""

    seed: int = 0  # its place among the finished ones
    arms: tuple[Repeated, ...] = ()  # none where the first cell failed, or its repeat
    difference: Repeated | None = None
    sd: float = 0.0


class RepeatCheck(Analysis):
    """`--repeat-check`."""

    cell_type, result_type = RepeatFit, RepeatTable

    def plan(self, config: ComparisonConfig) -> Additions | None:
        """Two more classifiers, in the first cell."""
        if not config.compare.repeat_check:
            return None
        contrast, _ = first_contrast(config, FLAG)
        return Additions(fits=2, cells=1, fixed={"contrast": contrast})

    def run_in_cell(self, evaluator: Evaluator, config: ComparisonConfig) -> RepeatFit:
        """Both arms on the images they had; where one fails, the cell still stands."""
        contrast, names = first_contrast(config, FLAG)
        try:
            arms = {name: evaluator.on_test(evaluator.again(name, reverse=True)) for name in names}
        except OutcomeError as error:
            return RepeatFit(contrast, {}, str(error))
        return RepeatFit(contrast, arms)

    def judge(self, found: Sequence[RepeatFit | None], judged: Judged) -> RepeatTable:
        """What moved; a note where the cell or the repeat failed."""
        seed, fit = next(((place, one) for place, one in enumerate(found) if one is not None), (0, None))
        if fit is None or not fit.arms:
            reason = "the first cell failed" if fit is None else fit.reason
            return RepeatTable(notes=(f"{FLAG} has no result: {reason}.",))
        scores = {arm.name: arm.scores[seed] for arm in judged.judgement.arms}
        arms = tuple(
            Repeated(name, scores[name], score_of(test, judged.config.compare.score_by))
            for name, test in fit.arms.items()
        )
        first = next(one for one in judged.judgement.contrasts if one.name == fit.contrast)
        after = arms[0].after - arms[1].after
        difference = Repeated(fit.contrast, first.deltas[seed], after)
        moved = f"With other rounding one seed's difference moves by {points(difference.moved, signed=True)} points"
        sentence = f"{moved}; over the seeds its standard deviation is {points(first.sd)}."
        return RepeatTable(seed=seed, arms=arms, difference=difference, sd=first.sd, sentences=(sentence,))

    def section(self, result: RepeatTable, comparison: Comparison) -> Section | None:
        """A table."""
        if not result.arms:
            return None
        cell = comparison.cells[result.seed]
        html = rendered("repeat_check.html", result=result, seed=cell.seed, score=comparison.judgement.score)
        return Section("rounding", "How much of it is rounding?", html)

    def limit(self, result: RepeatTable | None) -> str:
        """Whether it is known."""
        if result is None or not result.arms:
            return "How far rounding alone moves a seed was not measured; --repeat-check does that."
        return "Rounding alone was measured in one seed, with the generator's samples as they were."
