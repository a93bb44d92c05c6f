"""Would the arms stand otherwise, had each been trained for as long as suits it? Its steps, by validation images.

The verdict compares arms after the same number of steps. Beside it stands this table: every arm tries the same
numbers of steps, takes the one that its validation images like best, and is judged on the test images with that one.
Its ratio and filter stay those that were chosen after the usual steps, and teachers were trained for as many.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from gangda.comparing.arm_fits import Fits, Fitted
from gangda.config.schema import CompareConfig
from gangda.errors import OutcomeError
from gangda.statistics.families import family_of
from gangda.statistics.signflip import sign_flip


def fit_tuned(fits: Fits, compare: CompareConfig) -> dict[str, Any] | None:
    """Every arm with the steps that its validation images chose; None where there is nothing to choose from.

    The images are those of the arm's own ratio and filter. Of equal scores the fewest steps are taken.
    """
    if not compare.tune_steps:
        return None
    return {name: _tuned(fits, name, sorted(compare.tune_steps)) for name in compare.arms}


def _tuned(fits: Fits, name: str, numbers: Sequence[int]) -> dict[str, Any]:
    """One arm; where every number of steps failed it has no `steps` and no `test`. Only the chosen sees the test."""
    tried: list[dict[str, Any]] = []
    chosen: tuple[float, int, Fitted] | None = None
    for steps in numbers:
        try:
            fitted = fits.again(name, steps=steps)
        except OutcomeError as error:
            tried.append({"steps": steps, "validation": None, "reason": str(error)})
            continue
        score = fits.on_validation(fitted)
        tried.append({"steps": steps, "validation": score, "seconds": fitted.seconds})
        if chosen is None or score > chosen[0]:
            chosen = (score, steps, fitted)
    if chosen is None:
        return {"steps": None, "candidates": tried, "test": None}
    return {"steps": chosen[1], "candidates": tried, "test": fits.on_test(chosen[2])}


def tuned_table(
    cells: Sequence[dict[str, Any]], compare: CompareConfig, figure: str = "accuracy"
) -> dict[str, Any] | None:
    """The arms with tuned steps, and the planned differences between them; None where nothing was tuned.

    All of it is exploratory: means with intervals, no p. Seeds in which an arm failed are left out of that arm and
    its differences, and counted (`n`).
    """
    if not compare.tune_steps:
        return None
    tuned = {name: [cell["tuned"][name] for cell in cells] for name in compare.arms}
    scores = {name: np.array([_score(one, figure) for one in each]) for name, each in tuned.items()}
    rows = [
        {"name": name, **_summary(scores[name], compare.alpha), "chosen": _counts(tuned[name])}
        for name in compare.arms
    ]
    differences = [
        {"name": name, **_summary(sum(sign * scores[arm] for arm, sign in terms), compare.alpha)}
        for name, terms in family_of(compare.arms, compare.contrast).primary.items()
    ]
    return {"steps": sorted(compare.tune_steps), "arms": rows, "differences": differences}


def _counts(tuned: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many seeds chose each number of steps."""
    counts = Counter(one["steps"] for one in tuned if one["steps"] is not None)
    return {str(steps): counts[steps] for steps in sorted(counts)}


def _score(tuned: dict[str, Any], figure: str) -> float:
    return float("nan") if tuned["test"] is None else float(tuned["test"][figure])


def _summary(values: Any, alpha: float) -> dict[str, Any]:
    """Mean, spread and interval over the seeds, of those that are numbers."""
    known = values[~np.isnan(values)]
    if not len(known):
        return {"n": 0, "mean": None, "sd": None, "interval": None}
    return {
        "n": len(known),
        "mean": float(known.mean()),
        "sd": float(known.std(ddof=1)) if len(known) > 1 else None,
        "interval": sign_flip(known).interval(alpha),
    }
