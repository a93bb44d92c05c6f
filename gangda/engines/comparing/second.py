"""Does another classifier say the same? The first primary difference once more, fitted with the second one."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gangda.statistics.signflip import sign_flip
from gangda.statistics.values import Comparison
from gangda.statistics.wording import interval_text, points


def second_opinion(
    cells: Sequence[dict[str, Any]], comparison: Comparison, alpha: float, figure: str = "accuracy"
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
    lost = len(cells) - len(fitted)
    without = f" (without {lost} of {len(cells)} seeds, in which it failed)" if lost else ""
    return {
        **known,
        "deltas": deltas.tolist(),
        "mean": mean,
        "interval": interval,
        "agrees": agrees,
        "sentence": f"With {name}: {points(mean, signed=True)} points{seen}{without}; {verdict}.",
    }
