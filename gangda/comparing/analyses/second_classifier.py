"""Does another classifier say the same? The first primary difference once more, fitted with the second one."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gangda.comparing.arm_fits import Fits
from gangda.config.schema import CompareConfig
from gangda.errors import OutcomeError
from gangda.statistics import values
from gangda.statistics.families import family_of
from gangda.statistics.signflip import sign_flip
from gangda.statistics.values import Judgement
from gangda.statistics.wording import interval_text, points

UNDECIDED = (values.EQUIVALENT, values.INCONCLUSIVE, values.NOT_TESTED)


def fit_second(fits: Fits, compare: CompareConfig) -> dict[str, Any] | None:
    """The first primary difference's arms with the second classifier, on the same images; None without one.

    Their ratios and filters are those that the first classifier's validation score chose. Where it fails, the cell
    still stands: there are no `arms` then, and a `reason`.
    """
    name = compare.second_classifier
    if name is None:
        return None
    contrast, terms = next(iter(family_of(compare.arms, compare.contrast).primary.items()))
    asked = {"classifier": name, "contrast": contrast}
    try:
        return {**asked, "arms": {arm: _seconded(fits, arm, name) for arm, _ in terms}}
    except OutcomeError as error:
        return {**asked, "arms": {}, "reason": str(error)}


def _seconded(fits: Fits, arm: str, classifier: str) -> dict[str, Any]:
    fitted = fits.again(arm, classifier=classifier)
    return {"ratio": fits.ratio_of(arm), "seconds": fitted.seconds, "test": fits.on_test(fitted)}


def second_opinion(
    cells: Sequence[dict[str, Any]], comparison: Judgement, alpha: float, figure: str = "accuracy"
) -> dict[str, Any] | None:
    """What the second classifier says of the first primary difference; None where there is none.

    `figure`: of an evaluation, what is compared.

    A headline needs the two to agree in sign; the second one's own interval is exploratory. Seeds in which it failed
    are left out, and counted.
    """
    if any(cell.get("second") is None for cell in cells):
        return None
    name, contrast = cells[0]["second"]["classifier"], cells[0]["second"]["contrast"]
    first = next(one for one in comparison.contrasts if one.name == contrast)
    fitted = [cell["second"]["arms"] for cell in cells if cell["second"]["arms"]]
    known = {"classifier": name, "contrast": contrast}
    if not fitted:
        sentence = f"With {name}: failed in all {len(cells)} seeds, so this is no headline."
        return {**known, "deltas": [], "mean": None, "interval": None, "agrees": False, "sentence": sentence}
    plus, minus = ([arms[arm]["test"][figure] for arms in fitted] for arm in contrast.split(" - "))
    deltas = np.subtract(plus, minus)
    mean, interval = float(deltas.mean()), sign_flip(deltas).interval(alpha)
    agrees = bool(np.sign(mean) == np.sign(first.mean) != 0)
    seen = f", interval {interval_text(interval)}" if interval else ""
    verdict = "the same sign" if agrees else "not the same sign, so this is no headline"
    # What is equivalent, or undecided, has no sign to agree in.
    said = "" if first.verdict in UNDECIDED else f"; {verdict}"
    lost = len(cells) - len(fitted)
    without = f" (without {lost} of {len(cells)} seeds, in which it failed)" if lost else ""
    return {
        **known,
        "deltas": deltas.tolist(),
        "mean": mean,
        "interval": interval,
        "agrees": agrees,
        "sentence": f"With {name}: {points(mean, signed=True)} points{seen}{without}{said}.",
    }
