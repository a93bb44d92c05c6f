"""Is the judge to be trusted? Arms whose answer is known beforehand, against the real images alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gangda.comparing.comparison import CalibrationRow
from gangda.config.arms import find, ratio_of
from gangda.statistics.signflip import sign_flip
from gangda.statistics.values import Interval, Judgement

AS_IT_MUST, NOT_SO, TOO_FEW = "as it must", "NOT as it must", "too few seeds to say"
BASE = "real"

Says = Callable[[Interval, float, float], bool]

# From the difference's interval, its mean and the margin: whether it came out as it must, and whether it did not.
# What is neither is not decided: an interval that holds both comes of too few seeds.
MUST: Mapping[str, Says] = {
    "equal": lambda interval, mean, margin: interval[0] <= 0 <= interval[1] or abs(mean) <= margin,
    "worse": lambda interval, mean, margin: interval[1] < 0,
    "better": lambda interval, mean, margin: interval[0] > 0,
}
MUST_NOT: Mapping[str, Says] = {
    "equal": lambda interval, mean, margin: interval[0] > margin or interval[1] < -margin,
    "worse": lambda interval, mean, margin: interval[0] >= 0,
    "better": lambda interval, mean, margin: interval[1] <= 0,
}


def calibrate(arms: Sequence[str], judgement: Judgement, alpha: float) -> tuple[CalibrationRow, ...]:
    """How each arm that only tests the judge came out against `real`; empty without such arms, or without `real`.

    One with a ratio of its own is a point of a learning curve: of a few more images nobody knows that seeds can tell.
    """
    scores = {arm.name: np.array(arm.scores) for arm in judgement.arms}
    if BASE not in scores:
        return ()
    return tuple(
        _row(name, find(name)[0].expected, scores[name] - scores[BASE], judgement.margin, alpha)
        for name in arms
        if find(name)[0].expected and ratio_of(name) is None
    )


def _row(name: str, expected: str, deltas: Any, margin: float, alpha: float) -> CalibrationRow:
    interval, mean = sign_flip(deltas).interval(alpha), float(deltas.mean())
    return CalibrationRow(name, expected, mean, interval, outcome_of(expected, interval, mean, margin))


def outcome_of(expected: str, interval: Interval | None, mean: float, margin: float) -> str:
    """What an arm's difference to `real` says of the judge; undecided where it may be either."""
    if interval is None:
        return TOO_FEW
    if MUST[expected](interval, mean, margin):
        return AS_IT_MUST
    return NOT_SO if MUST_NOT[expected](interval, mean, margin) else TOO_FEW


def calibration_note(rows: Sequence[CalibrationRow]) -> str | None:
    """What a reader must know where the judge failed its own test."""
    failed = [row.arm for row in rows if row.outcome == NOT_SO]
    if not failed:
        return None
    return (
        f"CALIBRATION FAILED: {', '.join(failed)} did not come out as known beforehand, so 'no effect' is not a "
        "verdict here; more --seeds or --classifier-steps may help."
    )
