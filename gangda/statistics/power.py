"""What difference an experiment of this size could have found."""

import functools

import numpy as np

from gangda.data.images import FloatArray
from gangda.runtime.seeding import numpy_stream
from gangda.statistics.signflip import rank_of_bound

POWER = 0.8
SIMULATIONS = 1000
SPREADS = (0.0025, 0.005, 0.01, 0.02)  # of paired differences, as comparisons of small classifiers have them
ENUMERATED_UP_TO = 10  # beyond, random subsets stand for all of them: the table stays at 1,023 rows


def detectable_difference(n: int, sd: float, alpha: float) -> float | None:
    """The true mean difference that the sign-flip test at alpha finds in 80% of experiments.

    `sd` is the spread of the n differences, taken as normal. Within Monte Carlo error (about 3%). None where
    n can never reach alpha.
    """
    shifts = _shifts(n, alpha)
    return None if shifts is None else sd * float(np.quantile(shifts, POWER))


def power_of(difference: float, n: int, sd: float, alpha: float) -> float | None:
    """How often the sign-flip test at alpha finds a true mean difference (its sign apart), in [0, 1].

    `sd` is the spread of the n differences, taken as normal. None where n can never reach alpha.
    """
    shifts = _shifts(n, alpha)
    if shifts is None:
        return None
    return float((shifts <= abs(difference) / sd).mean()) if sd else float(difference != 0)


def stated_power(n: int, level: float) -> list[dict[str, float | None]]:
    """How often n seeds will find a true difference of one and two points, by the spread of the differences, in points.

    Said before the first cell runs; None where n seeds can decide nothing. `level`: what the smallest p of the family
    must reach (`first_level`).
    """
    return [
        {
            "spread": 100 * sd,
            "one point": power_of(0.01, n, sd, level),
            "two points": power_of(0.02, n, sd, level),
        }
        for sd in SPREADS
    ]


@functools.lru_cache(maxsize=64)
def _shifts(n: int, alpha: float) -> FloatArray | None:
    """For sd 1 and each of the simulations the smallest true difference that it would find, float (SIMULATIONS,).

    Differences z + shift are found when their interval's lower end exceeds zero, which is when the shift
    exceeds minus the lower end for z alone: one simulation gives every shift's answer.
    """
    subsets, total = _subset_weights(n)
    rank = rank_of_bound(total, alpha)
    if rank < 1:
        return None
    noise = numpy_stream("power", n).standard_normal((n, SIMULATIONS))
    lower_ends = np.partition(subsets @ noise, rank - 1, axis=0)[rank - 1]
    return np.asarray(-lower_ends, dtype=np.float64)


def _subset_weights(n: int) -> tuple[FloatArray, int]:
    """Rows that average over a subset, float (subsets, n), and the number of sign vectors they stand for."""
    if n <= ENUMERATED_UP_TO:
        rows = (np.arange(1, 2**n)[:, None] >> np.arange(n)) & 1
        return rows / rows.sum(axis=1, keepdims=True), 2**n
    size = 2**ENUMERATED_UP_TO
    rows = numpy_stream("power-subsets", n).integers(0, 2, (size, n))
    rows = rows[rows.sum(axis=1) > 0]
    return rows / rows.sum(axis=1, keepdims=True), len(rows) + 1
