"""The sign-flip test of paired differences and the interval that is its inversion.

Everything follows from one fact. Flipping the signs of a subset A of the centred differences d - theta leaves
the sum at least as large as observed exactly when the mean of d over A is at most theta. So the one-sided p
at theta counts subset means on one side of theta, two-sided p is twice the smaller one (the flips are
symmetric), and the interval's ends are order statistics of the subset means: test and interval cannot
disagree.

Source: Fisher 1935, section 21 (test); Hartigan 1969, "Using subsample values as typical values" (interval).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gangda.data.images import FloatArray, IntArray
from gangda.runtime.seeding import numpy_stream
from gangda.statistics.values import Interval

EXACT_UP_TO = 20  # 2^20 subsets take 0.1 s
DRAWS = 99_999


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

    Exact to n = 20; beyond, `DRAWS` random sign vectors from a fixed stream (still a valid test: the observed
    one is counted; Phipson and Smyth 2010).
    """
    d = np.asarray(deltas, dtype=np.float64)
    if is_exact(len(d)):
        sums, counts, total = *_all_subsets(d), 2 ** len(d)
    else:
        flips = numpy_stream("sign-flip", len(d)).random((DRAWS, len(d))) < 0.5
        sums, counts, total = flips @ d, flips.sum(axis=1), DRAWS + 1
    filled = counts > 0
    # The observed sign vector is the empty subset: in the enumeration it is among the counted ones already.
    always = int((~filled).sum()) + (0 if is_exact(len(d)) else 1)
    means = np.sort(sums[filled] / counts[filled])
    return SignFlip(means, always, total, tolerance=1e-12 * float(np.abs(d).max(initial=0.0)))


def is_exact(n: int) -> bool:
    """Whether n differences are enumerated in full."""
    return n <= EXACT_UP_TO


def smallest_p(n: int) -> float:
    """The smallest two-sided p that n differences can give."""
    return 2 / 2**n if is_exact(n) else 2 / (DRAWS + 1)


def passes(p: float, alpha: float) -> bool:
    """p <= alpha, forgiving the last bits of floating point."""
    return p <= alpha * (1 + 1e-12)


def rank_of_bound(total: int, alpha: float) -> int:
    """The largest number of sign vectors on one side with which two-sided p is still at most alpha."""
    return math.floor(alpha * total / 2 * (1 + 1e-12))


def _all_subsets(d: FloatArray) -> tuple[FloatArray, IntArray]:
    sums, counts = np.zeros(1), np.zeros(1, dtype=np.int64)
    for value in d:
        sums = np.concatenate([sums, sums + value])
        counts = np.concatenate([counts, counts + 1])
    return sums, counts
