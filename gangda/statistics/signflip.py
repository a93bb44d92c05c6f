"""The sign-flip test of paired differences and the interval that is its inversion.

Everything follows from one fact. Flipping the signs of a subset A of the centred differences d - theta leaves
the sum at least as large as observed exactly when the mean of d over A is at most theta. So the one-sided p
at theta counts subset means on one side of theta, two-sided p is twice the smaller one (the flips are
symmetric), and the interval's ends are order statistics of the subset means: test and interval cannot
disagree.

Source: Fisher 1935, section 21 (test); Hartigan 1969, "Using subsample values as typical values" (interval).
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gangda.data.images import FloatArray
from gangda.runtime.seeding import numpy_stream
from gangda.statistics.values import Interval

EXACT_UP_TO = 20  # 2^20 subsets take 0.1 s
DRAWS = 99_999
POWER = 0.8
SIMULATIONS = 1000
SPREADS = (0.0025, 0.005, 0.01, 0.02)  # of paired differences, as comparisons of small classifiers have them
ENUMERATED_UP_TO = 10  # beyond, random subsets stand for all of them: the table stays at 1,023 rows


@dataclass(frozen=True, eq=False)
class SignFlip:
    """The test of one set of differences, ready for any null value."""

    means: FloatArray  # sorted means over the non-empty subsets (all of them, or a random sample)
    always: int  # subsets that count on both sides whatever the null: the empty one
    total: int  # number of sign vectors, 2^n or the sample's size plus one for the observed
    tolerance: float  # differences closer than this are ties (rounding of accuracies)

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p for "the centre is above `null`"."""
        below = int(np.searchsorted(self.means, null + self._slack(null), side="right"))
        return (self.always + below) / self.total

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p for "the centre is below `null`"."""
        above = len(self.means) - int(np.searchsorted(self.means, null - self._slack(null), side="left"))
        return (self.always + above) / self.total

    def p(self, null: float = 0.0) -> float:
        """Two-sided p for "the centre is not `null`"."""
        return min(1.0, 2 * min(self.p_greater(null), self.p_less(null)))

    def interval(self, alpha: float) -> Interval | None:
        """All null values with p > alpha, both ends included; None where every value has (n too small)."""
        rank = rank_of_bound(self.total, alpha) - self.always + 1
        if rank <= 0:
            return None
        return float(self.means[rank - 1]), float(self.means[-rank])

    def equivalence_p(self, margin: float) -> float:
        """TOST p for "the centre lies strictly inside +-margin" (Schuirmann 1987, here by sign flips)."""
        return max(self.p_greater(-margin), self.p_less(margin))

    def _slack(self, null: float) -> float:
        return self.tolerance + 1e-12 * abs(null)


def sign_flip(deltas: Sequence[float] | FloatArray) -> SignFlip:
    """Prepare the test of paired differences, float (n,), n >= 1.

    Exact to n = 20; beyond, by `DRAWS` random sign vectors and the observed one, which is valid too (Phipson and Smyth
    2010).
    """
    d = np.asarray(deltas, dtype=np.float64)
    exact = len(d) <= EXACT_UP_TO
    if exact:
        sums, counts, total = np.zeros(1), np.zeros(1, dtype=np.int64), 2 ** len(d)
        for value in d:
            sums, counts = np.append(sums, sums + value), np.append(counts, counts + 1)
    else:
        flips = numpy_stream("sign-flip", len(d)).random((DRAWS, len(d))) < 0.5
        sums, counts, total = flips @ d, flips.sum(axis=1), DRAWS + 1
    filled = counts > 0
    # The observed sign vector is the empty subset: in the enumeration it is among the counted ones already.
    always = int((~filled).sum()) + (0 if exact else 1)
    means = np.sort(sums[filled] / counts[filled])
    return SignFlip(means, always, total, tolerance=1e-12 * float(np.abs(d).max(initial=0.0)))


def smallest_p(n: int) -> float:
    """The smallest two-sided p that n differences can give."""
    return 2 / 2**n if n <= EXACT_UP_TO else 2 / (DRAWS + 1)


def passes(p: float, alpha: float) -> bool:
    """p <= alpha, forgiving the last bits of floating point."""
    return p <= alpha * (1 + 1e-12)


def fewest_for(level: float) -> int:
    """The fewest differences whose smallest p reaches this level; `EXACT_UP_TO` where none does."""
    return next((n for n in range(1, EXACT_UP_TO) if passes(smallest_p(n), level)), EXACT_UP_TO)


def rank_of_bound(total: int, alpha: float) -> int:
    """The largest number of sign vectors on one side with which two-sided p is still at most alpha."""
    return math.floor(alpha * total / 2 * (1 + 1e-12))


def detectable_difference(n: int, sd: float, alpha: float) -> float | None:
    """The true mean difference that the sign-flip test at alpha finds in 80% of experiments.

    `sd` is the spread of the n differences, taken as normal. Within Monte Carlo error (about 3%). None where n can
    never reach alpha.
    """
    shifts = _shifts(n, alpha)
    return None if shifts is None else sd * float(np.quantile(shifts, POWER))


def power_of(difference: float, n: int, sd: float, alpha: float) -> float | None:
    """How often the sign-flip test at alpha finds a true mean difference, in [0, 1]; as `detectable_difference`."""
    shifts = _shifts(n, alpha)
    if shifts is None:
        return None
    return float((shifts <= abs(difference) / sd).mean()) if sd else float(difference != 0)


def stated_power(n: int, level: float) -> list[dict[str, float | None]]:
    """How often n seeds find a true difference of one and two points, by spread, in points; None for never.

    `level`: what the smallest p of the family must reach (`first_level`).
    """
    points = {"one point": 0.01, "two points": 0.02}
    return [
        {"spread": 100 * sd, **{name: power_of(one, n, sd, level) for name, one in points.items()}}
        for sd in SPREADS
    ]


@functools.lru_cache(maxsize=64)
def _shifts(n: int, alpha: float) -> FloatArray | None:
    """For sd 1 and each of the simulations the smallest true difference that it would find, float (SIMULATIONS,).

    Differences z + shift are found when the shift exceeds minus their interval's lower end for z alone.
    """
    if n <= ENUMERATED_UP_TO:
        rows = (np.arange(1, 2**n)[:, None] >> np.arange(n)) & 1
    else:
        rows = numpy_stream("power-subsets", n).integers(0, 2, (2**ENUMERATED_UP_TO, n))
        rows = rows[rows.sum(axis=1) > 0]
    subsets = rows / rows.sum(axis=1, keepdims=True)
    rank = rank_of_bound(len(rows) + 1, alpha)
    if rank < 1:
        return None
    noise = numpy_stream("power", n).standard_normal((n, SIMULATIONS))
    lower_ends = np.partition(subsets @ noise, rank - 1, axis=0)[rank - 1]
    return np.asarray(-lower_ends, dtype=np.float64)
