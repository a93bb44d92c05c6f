"""Does another classifier say the same? The first primary difference once more, fitted with the second one."""

from collections.abc import Sequence

import numpy as np

from gangda.comparing.arm_evaluator import ArmEvaluator
from gangda.comparing.cell_result import CellResult, SecondArm, SecondFit
from gangda.comparing.comparison import SecondOpinion
from gangda.config.schema import CompareConfig
from gangda.errors import OutcomeError
from gangda.statistics import values
from gangda.statistics.families import family_of
from gangda.statistics.signflip import sign_flip
from gangda.statistics.values import Judgement
from gangda.statistics.wording import interval_text, points

UNDECIDED = (values.EQUIVALENT, values.INCONCLUSIVE, values.NOT_TESTED)


def fit_second(evaluator: ArmEvaluator, compare: CompareConfig) -> SecondFit | None:
    """The first primary difference's arms with the second classifier, on the same images; None without one.

    Their ratios and filters are those that the first classifier's validation score chose. Where it fails, the cell
    still stands: there are no `arms` then, and a `reason`.
    """
    name = compare.second_classifier
    if name is None:
        return None
    contrast, terms = next(iter(family_of(compare.arms, compare.contrast).primary.items()))
    try:
        return SecondFit(name, contrast, {arm: _second_arm(evaluator, arm, name) for arm, _ in terms})
    except OutcomeError as error:
        return SecondFit(name, contrast, {}, str(error))


def _second_arm(evaluator: ArmEvaluator, arm: str, classifier: str) -> SecondArm:
    fitted = evaluator.again(arm, classifier=classifier)
    return SecondArm(evaluator.ratio_of(arm), fitted.seconds, evaluator.on_test(fitted))


def second_opinion(
    cells: Sequence[CellResult], judgement: Judgement, alpha: float, figure: str = "accuracy"
) -> SecondOpinion | None:
    """What the second classifier says of the first primary difference; None where there is none.

    `figure`: of an evaluation, what is compared.

    A headline needs the two to agree in sign; the second one's own interval is exploratory. Seeds in which it failed
    are left out, and counted.
    """
    fits = [cell.second for cell in cells if cell.second is not None]
    if len(fits) < len(cells):
        return None
    name, contrast = fits[0].classifier, fits[0].contrast
    first = next(one for one in judgement.contrasts if one.name == contrast)
    fitted = [fit.arms for fit in fits if fit.arms]
    if not fitted:
        sentence = f"With {name}: failed in all {len(cells)} seeds, so this is no headline."
        return SecondOpinion(name, contrast, (), None, None, False, sentence)
    plus, minus = ([getattr(arms[arm].test, figure) for arms in fitted] for arm in contrast.split(" - "))
    deltas = np.subtract(plus, minus)
    mean, interval = float(deltas.mean()), sign_flip(deltas).interval(alpha)
    agrees = bool(np.sign(mean) == np.sign(first.mean) != 0)
    seen = f", interval {interval_text(interval)}" if interval else ""
    verdict = "the same sign" if agrees else "not the same sign, so this is no headline"
    # What is equivalent, or undecided, has no sign to agree in.
    said = "" if first.verdict in UNDECIDED else f"; {verdict}"
    lost = len(cells) - len(fitted)
    without = f" (without {lost} of {len(cells)} seeds, in which it failed)" if lost else ""
    sentence = f"With {name}: {points(mean, signed=True)} points{seen}{without}{said}."
    return SecondOpinion(name, contrast, tuple(deltas.tolist()), mean, interval, agrees, sentence)
