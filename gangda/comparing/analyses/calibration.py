"""Can the verdicts be trusted? Arms whose outcome is known beforehand, against the real images alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gangda.comparing.analyses import Analysis, AnalysisResult, Judged, Section, rendered
from gangda.comparing.comparison import Comparison
from gangda.config.arms import amount_of, parse_arm
from gangda.statistics.signflip import sign_flip
from gangda.statistics.values import Interval
from gangda.statistics.verdicts import equivalence_margin

AS_IT_MUST, NOT_SO, TOO_FEW = "as it must", "NOT as it must", "too few seeds to say"
BASE = "real"
EVENING = ("fill", "balance")  # options that add more images to smaller classes
NOT_KNOWN = (
    "No calibration: {flag} adds more images to smaller classes, which changes a classifier by itself, so no outcome "
    "is known beforehand; --ratios 1 in its place has one."
)


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
    """All of them; none, but a note, where no outcome is known."""

    rows: tuple[CalibrationRow, ...] = ()
    margin: float = 0.0  # within which a difference to `real` counts as none


class Calibration(Analysis):
    """Arms with an expected outcome (`Arm.expected`), where `real` is there too.

    An arm with a ratio of its own is a point of a learning curve: whether these seeds can show so small a gain is not
    known.
    """

    result_type = CalibrationTable

    def judge(self, found: Sequence[Any], judged: Judged) -> CalibrationTable | None:
        """The difference of each such arm to `real`, and a note where one came out otherwise."""
        scores = {arm.name: np.array(arm.scores) for arm in judged.judgement.arms}
        known = {name: parse_arm(name)[0].expected for name in scores if amount_of(name) is None}
        if BASE not in scores:
            return None
        rows, compare = [], judged.config.compare
        if any(known.values()) and (
            evening := next((name for name in EVENING if getattr(compare, name)), "")
        ):
            return CalibrationTable(notes=(NOT_KNOWN.format(flag=f"--{evening}"),))
        declared = None if compare.margin is None else compare.margin / 100
        margin = equivalence_margin(declared, float(scores[BASE].mean()))
        for name, expected in known.items():
            if not expected:
                continue
            deltas = scores[name] - scores[BASE]
            interval, mean = sign_flip(deltas).interval(compare.alpha), float(deltas.mean())
            outcome = outcome_of(expected, interval, mean, margin)
            rows.append(CalibrationRow(name, expected, mean, interval, outcome))
        if not rows:
            return None
        failed = [row.arm for row in rows if row.outcome == NOT_SO]
        note = (
            f"CALIBRATION FAILED: {', '.join(failed)} did not come out as known beforehand, so a verdict of no effect "
            "cannot be trusted; more --seeds or --classifier-steps may help."
        )
        return CalibrationTable(rows=tuple(rows), margin=margin, notes=(note,) if failed else ())

    def section(self, result: CalibrationTable, comparison: Comparison) -> Section | None:
        """A table."""
        if not result.rows:
            return None
        html = rendered("calibration.html", rows=result.rows, margin=result.margin)
        return Section("calibration", "Can the verdicts be trusted?", html)

    def limit(self, result: CalibrationTable | None) -> str:
        """Whether there were such arms."""
        if result is None or not result.rows:
            return "The procedure was not tested on arms with a known outcome here; --calibrate does that."
        return "The procedure was tested on arms with a known outcome, above."


def outcome_of(expected: str, interval: Interval | None, mean: float, margin: float) -> str:
    """Whether an arm's difference to `real` is as it must be; too few seeds where the interval holds both outcomes."""
    if interval is None:
        return TOO_FEW
    low, high = interval
    as_it_must, not_so = {
        "equal": (low <= 0 <= high or abs(mean) <= margin, low > margin or high < -margin),
        "worse": (high < 0, low >= 0),
        "better": (low > 0, high <= 0),
    }[expected]
    return AS_IT_MUST if as_it_must else NOT_SO if not_so else TOO_FEW
