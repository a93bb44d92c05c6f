"""Are the verdicts to be trusted? Arms whose outcome is known beforehand, against the real images alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gangda.comparing.analyses import Analysis, AnalysisResult, Section
from gangda.comparing.comparison import ArmRow, Comparison
from gangda.config.arms import find, ratio_of
from gangda.config.schema import ComparisonConfig
from gangda.report.page import environment
from gangda.statistics.signflip import sign_flip
from gangda.statistics.values import Interval, Judgement

AS_IT_MUST, NOT_SO, TOO_FEW = "as it must", "NOT as it must", "too few seeds to say"
BASE = "real"

Rule = Callable[[Interval, float, float], bool]

# From the difference's interval, its mean and the margin: whether it came out as it must, and whether it did not.
# What is neither is undecided: an interval that holds both comes from too few seeds.
MUST: Mapping[str, Rule] = {
    "equal": lambda interval, mean, margin: interval[0] <= 0 <= interval[1] or abs(mean) <= margin,
    "worse": lambda interval, mean, margin: interval[1] < 0,
    "better": lambda interval, mean, margin: interval[0] > 0,
}
MUST_NOT: Mapping[str, Rule] = {
    "equal": lambda interval, mean, margin: interval[0] > margin or interval[1] < -margin,
    "worse": lambda interval, mean, margin: interval[0] >= 0,
    "better": lambda interval, mean, margin: interval[1] <= 0,
}


@dataclass(frozen=True)
class CalibrationRow:
    """How an arm whose outcome is known compares with `real`; `expected` is "equal", "worse" or "better"."""

    arm: str
    expected: str
    mean: float
    interval: Interval | None
    outcome: str


@dataclass(frozen=True, kw_only=True)
class CalibrationTable(AnalysisResult):
    """All of them."""

    rows: tuple[CalibrationRow, ...]


class Calibration(Analysis):
    """Arms with an expected outcome (`Arm.expected`), where `real` is there too.

    An arm with a ratio of its own is a point of a learning curve: whether these seeds can show the gain of a few more
    images is not known.
    """

    result_type = CalibrationTable

    def judge(
        self, found: Sequence[Any], judgement: Judgement, arms: Sequence[ArmRow], config: ComparisonConfig
    ) -> CalibrationTable | None:
        """The difference of each such arm to `real`, and a note where one came out otherwise."""
        scores = {arm.name: np.array(arm.scores) for arm in judgement.arms}
        names = [name for name in config.compare.arms if find(name)[0].expected and ratio_of(name) is None]
        if BASE not in scores or not names:
            return None
        rows = []
        for name in names:
            expected, deltas = find(name)[0].expected, scores[name] - scores[BASE]
            interval, mean = sign_flip(deltas).interval(config.compare.alpha), float(deltas.mean())
            outcome = outcome_of(expected, interval, mean, judgement.margin)
            rows.append(CalibrationRow(name, expected, mean, interval, outcome))
        failed = [row.arm for row in rows if row.outcome == NOT_SO]
        note = (
            f"CALIBRATION FAILED: {', '.join(failed)} did not come out as known beforehand, so 'no effect' is not a "
            "verdict here; more --seeds or --classifier-steps may help."
        )
        return CalibrationTable(rows=tuple(rows), notes=(note,) if failed else ())

    def section(self, result: CalibrationTable, comparison: Comparison) -> Section:
        """A table."""
        template = environment("gangda.comparing").get_template("calibration.html")
        html = template.render(rows=result.rows, judged=comparison.judgement)
        return Section("calibration", "Are the verdicts to be trusted?", html)


def outcome_of(expected: str, interval: Interval | None, mean: float, margin: float) -> str:
    """Whether an arm's difference to `real` is as it must be; undecided where it may be either."""
    if interval is None:
        return TOO_FEW
    if MUST[expected](interval, mean, margin):
        return AS_IT_MUST
    return NOT_SO if MUST_NOT[expected](interval, mean, margin) else TOO_FEW
