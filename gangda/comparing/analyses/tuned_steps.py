"""Would the arms stand otherwise, had each been trained for as long as suits it? Its steps, by validation images.

The verdict compares arms after the same number of steps. Beside it stands this table: every arm tries the same
numbers of steps, takes the one that its validation images like best, and is judged on the test images with that one.
Its ratio and filter stay those that were chosen after the usual steps, and teachers were trained for as many.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from gangda.comparing.arm_evaluator import ArmEvaluator, Fitted
from gangda.comparing.cell_result import CellResult, StepsTrial, TunedFit
from gangda.comparing.comparison import TunedRow, TunedTable
from gangda.config.schema import CompareConfig
from gangda.errors import OutcomeError
from gangda.statistics.families import family_of
from gangda.statistics.signflip import sign_flip


def fit_tuned(evaluator: ArmEvaluator, compare: CompareConfig) -> dict[str, TunedFit] | None:
    """Every arm with the steps that its validation images chose; None where there is nothing to choose from.

    The images are those of the arm's own ratio and filter. Of equal scores the fewest steps are taken.
    """
    if not compare.tune_steps:
        return None
    return {name: _tuned(evaluator, name, sorted(compare.tune_steps)) for name in compare.arms}


def _tuned(evaluator: ArmEvaluator, name: str, numbers: Sequence[int]) -> TunedFit:
    """One arm. Only the chosen number of steps is evaluated on the test images."""
    tried: list[StepsTrial] = []
    chosen: tuple[float, int, Fitted] | None = None
    for steps in numbers:
        try:
            fitted = evaluator.again(name, steps=steps)
        except OutcomeError as error:
            tried.append(StepsTrial(steps, reason=str(error)))
            continue
        score = evaluator.on_validation(fitted)
        tried.append(StepsTrial(steps, score, fitted.seconds))
        if chosen is None or score > chosen[0]:
            chosen = (score, steps, fitted)
    if chosen is None:
        return TunedFit(None, tuple(tried), None)
    return TunedFit(chosen[1], tuple(tried), evaluator.on_test(chosen[2]))


def tuned_table(
    cells: Sequence[CellResult], compare: CompareConfig, figure: str = "accuracy"
) -> TunedTable | None:
    """The arms with tuned steps, and the planned differences between them; None where nothing was tuned.

    All of it is exploratory: means with intervals, no p. Seeds in which an arm failed are left out of that arm and
    its differences, and counted (`n`).
    """
    if not compare.tune_steps:
        return None
    tuned = {name: [(cell.tuned or {})[name] for cell in cells] for name in compare.arms}
    scores = {name: np.array([_score(one, figure) for one in each]) for name, each in tuned.items()}
    arms = [_row(name, scores[name], compare.alpha, tuned[name]) for name in compare.arms]
    differences = [
        _row(name, sum(sign * scores[arm] for arm, sign in terms), compare.alpha)
        for name, terms in family_of(compare.arms, compare.contrast).primary.items()
    ]
    return TunedTable(tuple(sorted(compare.tune_steps)), tuple(arms), tuple(differences))


def _score(tuned: TunedFit, figure: str) -> float:
    return float("nan") if tuned.test is None else float(getattr(tuned.test, figure))


def _row(name: str, values: Any, alpha: float, tuned: Sequence[TunedFit] = ()) -> TunedRow:
    """Mean, spread and interval over the seeds, of those that are numbers; and how many chose each number of steps."""
    known = values[~np.isnan(values)]
    counts = Counter(one.steps for one in tuned if one.steps is not None)
    return TunedRow(
        name=name,
        n=len(known),
        mean=float(known.mean()) if len(known) else None,
        sd=float(known.std(ddof=1)) if len(known) > 1 else None,
        interval=sign_flip(known).interval(alpha) if len(known) else None,
        chosen={str(steps): counts[steps] for steps in sorted(counts)},
    )
