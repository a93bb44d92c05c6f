"""What difference an experiment of this size could have found."""

import functools

import numpy as np

from gangda.data.images import FloatArray
from gangda.runtime.seeding import numpy_stream
from gangda.statistics.signflip import rank_of_bound

POWER = 0.8
SIMULATIONS = 1000
ENUMERATED_UP_TO = 10  # beyond, random subsets stand for all of them: the table stays at 1,023 rows


def detectable_difference(n: int, sd: float, alpha: float) -> float | None:
    """The true mean difference that the sign-flip test at alpha finds in 80% of experiments.

    `sd` is the spread of the n differences, taken as normal. Within Monte Carlo error (about 3%). None where
    n can never reach alpha.
    """
    factor = _standardised(n, alpha)
    return None if factor is None else sd * factor


@functools.lru_cache(maxsize=64)
def _standardised(n: int, alpha: float) -> float | None:
    """The same for sd 1.

    Differences z + shift are found when their interval's lower end exceeds zero, which is when the shift
    exceeds minus the lower end for z alone: one simulation gives every shift's answer.
    """
    subsets, total = _subset_weights(n)
    rank = rank_of_bound(total, alpha)
    if rank < 1:
        return None
    noise = numpy_stream("power", n).standard_normal((n, SIMULATIONS))
    lower_ends = np.partition(subsets @ noise, rank - 1, axis=0)[rank - 1]
    return float(np.quantile(-lower_ends, POWER))


def _subset_weights(n: int) -> tuple[FloatArray, int]:
    """Rows that average over a subset, float (subsets, n), and the number of sign vectors they stand for."""
    if n <= ENUMERATED_UP_TO:
        rows = (np.arange(1, 2**n)[:, None] >> np.arange(n)) & 1
        return rows / rows.sum(axis=1, keepdims=True), 2**n
    size = 2**ENUMERATED_UP_TO
    rows = numpy_stream("power-subsets", n).integers(0, 2, (size, n))
    rows = rows[rows.sum(axis=1) > 0]
    return rows / rows.sum(axis=1, keepdims=True), len(rows) + 1
