"""Differences between settings of an experiment, paired by seed, for any figure that a seed gives."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gangda.data.images import FloatArray
from gangda.statistics.families import by_holm
from gangda.statistics.power import detectable_difference
from gangda.statistics.signflip import passes, sign_flip, smallest_p
from gangda.statistics.values import Interval

HIGHER, LOWER, UNDECIDED, TOO_FEW = "higher", "lower", "undecided", "too few seeds"


@dataclass(frozen=True)
class Difference:
    """A setting less the reference, in the figure's own units.

    Attributes:
        name: the setting.
        deltas: of each seed; mean, sd: of them.
        p, adjusted_p: exact sign-flip p, and Holm's over all differences; None where there are too few seeds for any.
        interval: inversion of the same test at the level at which Holm decided; None where n is too small for one.
        detectable: true difference found with 80% power; None where nothing can be found.
        verdict: "higher", "lower", "undecided" or "too few seeds".
    """

    name: str
    deltas: tuple[float, ...]
    mean: float
    sd: float
    p: float | None
    adjusted_p: float | None
    interval: Interval | None
    detectable: float | None
    verdict: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def against(reference: str, values: Mapping[str, Sequence[float]], alpha: float) -> list[Difference]:
    """Every setting against the reference, the family's error rate kept at alpha by Holm's procedure.

    `values`: per setting one number of each seed, in the same order of seeds; NaN where a seed has none. A setting is
    compared over the seeds that it shares with the reference, and left out where there are none.
    """
    base = np.asarray(values[reference], dtype=np.float64)
    pairs = {name: np.asarray(values[name], dtype=np.float64) - base for name in values if name != reference}
    deltas = {name: known for name, each in pairs.items() if len(known := each[np.isfinite(each)])}
    tests = {name: sign_flip(parts) for name, parts in deltas.items()}
    adjusted = by_holm([test.p() for test in tests.values()], alpha)
    found = []
    for name, p in zip(deltas, adjusted, strict=True):
        n = len(deltas[name])
        reachable = passes(smallest_p(n), p.level)
        mean, sd = float(deltas[name].mean()), _spread(deltas[name])
        decided = reachable and p.adjusted is not None and passes(p.adjusted, alpha)
        word = (HIGHER if mean > 0 else LOWER) if decided else UNDECIDED
        found.append(
            Difference(
                name=name,
                deltas=tuple(deltas[name].tolist()),
                mean=mean,
                sd=sd,
                p=p.p if reachable else None,
                adjusted_p=p.adjusted if reachable else None,
                interval=tests[name].interval(p.level) if reachable else None,
                detectable=detectable_difference(n, sd, p.level) if reachable else None,
                verdict=word if reachable else TOO_FEW,
            )
        )
    return found


def _spread(deltas: FloatArray) -> float:
    return float(deltas.std(ddof=1)) if len(deltas) > 1 else 0.0
