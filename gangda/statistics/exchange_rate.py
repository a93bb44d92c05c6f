"""What added images are worth in real ones: how many more real images would have done the same.

Scores of the real images alone at several sizes are a learning curve. It is taken as monotone, and as linear in the
logarithm of the size between the sizes that were measured: nothing is read off beyond them. An arm's mean score is
looked up on the mean curve; single seeds' curves are too rough to be turned round, and often have no such size.

The interval holds every number of extra images e for which the sign-flip test of "the arm scores as the curve at
n + e", paired by seed, is not significant, and so has its level at any number of seeds. At e = 0 the curve is the real
images' own scores, also where the mean curve was made monotone there: whether the arm is above or below them is said
by these alone, and 0 is left out exactly where the arm was shown to differ from the real images.

Source: Sun 2017, "Revisiting unreasonable effectiveness of data" (scores grow with the logarithm of the size); Barlow
1972 (monotone means); Fieller 1954 (interval of a ratio by inverting a test), here with sign flips in place of the
normal law. Departure: the bootstrap of seeds, which is more usual, has too narrow intervals at ten seeds or fewer.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gangda.data.images import FloatArray
from gangda.statistics.signflip import passes, sign_flip, smallest_p
from gangda.statistics.values import Interval

TIE = 1e-12  # scores nearer than this are equal: sums round
HALVINGS = 12  # of a stretch of the curve, to find where an interval ends: to 1/4096 of it
ENOUGH = 100  # images added from which on a rate for a thousand is no wild guess
THOUSAND = 1000


@dataclass(frozen=True, eq=False)
class Curve:
    """A learning curve, monotone in the mean over the seeds.

    Attributes:
        sizes: real training images, float64 (k,), ascending; the first is the real subset's.
        scores: of each seed, fractions, float64 (n, k): as measured, but averaged within each seed over neighbouring
            sizes whose means are out of order.
        real: scores of the first size as measured, float64 (n,): those that the arms are compared with.
    """

    sizes: FloatArray
    scores: FloatArray
    real: FloatArray

    @property
    def means(self) -> FloatArray:
        """Over the seeds, float64 (k,), never falling."""
        return np.maximum.accumulate(self.scores.mean(axis=0))  # rounding apart, they are so already

    @property
    def extra(self) -> float:
        """Most extra real images that were measured."""
        return float(self.sizes[-1] - self.sizes[0])

    def at(self, size: float) -> FloatArray:
        """Scores of the seeds at a size inside the curve, float64 (n,)."""
        place = float(np.interp(math.log(size), np.log(self.sizes), np.arange(len(self.sizes))))
        below = min(int(place), len(self.sizes) - 2)
        share = place - below
        return np.asarray((1 - share) * self.scores[:, below] + share * self.scores[:, below + 1])

    @property
    def rises(self) -> bool:
        """Whether more real images do better on it: of one that does not, nothing can be read off."""
        return bool(self.means[-1] - self.real.mean() > TIE and self.means[-1] - self.means[0] > TIE)

    def size_of(self, score: float) -> float:
        """The least size whose mean score is at least this; minus infinity below the curve, infinity above."""
        means = self.means
        if score < means[0] - TIE:
            return -math.inf
        if score > means[-1] + TIE:
            return math.inf
        j = int(np.searchsorted(means, min(score - TIE, means[-1])))
        if j == 0:
            return float(self.sizes[0])
        share = (score - means[j - 1]) / (means[j] - means[j - 1])
        ends = np.log(self.sizes[j - 1 : j + 1])
        return float(np.exp(ends[0] + share * (ends[1] - ends[0])))


@dataclass(frozen=True)
class Worth:
    """What the added images of an arm are worth.

    Attributes:
        name: the arm.
        added: images added, mean over the seeds.
        extra: real images that would have done the same; minus infinity: the arm is below the real images alone;
            infinity: it is above the most that were measured.
        interval: of `extra`, its ends infinite where it reaches beyond the curve; None where the seeds are too few.
        most: extra real images measured at most.
        sentence: in words.
    """

    name: str
    added: float
    extra: float
    interval: Interval | None
    most: float
    sentence: str

    @property
    def per_thousand(self) -> float:
        """Real images that a thousand added ones are worth, where so many were added as were."""
        return THOUSAND * self.extra / self.added

    def as_dict(self) -> dict[str, Any]:
        """Plain values; what is beyond the curve is None, and `beyond` says on which side."""
        ends = (self.extra, *(self.interval or (math.nan, math.nan)))
        plain = [value if math.isfinite(value) else None for value in ends]
        rate = self.per_thousand
        return {
            **asdict(self),
            "extra": plain[0],
            "interval": None if self.interval is None else plain[1:],
            "beyond": _side(self.extra),
            "beyond_interval": None if self.interval is None else [_side(end) for end in self.interval],
            "per_thousand": rate if math.isfinite(rate) else None,
        }


def curve_of(sizes: Sequence[float], scores: Sequence[FloatArray]) -> Curve:
    """The curve of at least two sizes, in any order, with the scores of the same seeds at each, float (n,).

    Neighbouring sizes whose means are out of order are pooled (pool adjacent violators), in every seed alike.
    """
    order = np.argsort(np.asarray(sizes, dtype=np.float64), kind="stable")
    table = np.stack([np.asarray(scores[i], dtype=np.float64) for i in order], axis=1)
    pooled = [table[:, pool].mean(axis=1) for pool in _pools(table.mean(axis=0)) for _ in pool]
    return Curve(np.asarray(sizes, dtype=np.float64)[order], np.stack(pooled, axis=1), table[:, 0])


def _pools(means: FloatArray) -> list[list[int]]:
    """Neighbouring positions whose means, averaged, no longer fall from one pool to the next."""
    pools: list[list[int]] = []
    for position in range(len(means)):
        pools.append([position])
        while len(pools) > 1 and means[pools[-2]].mean() > means[pools[-1]].mean():
            pools[-2:] = [pools[-2] + pools[-1]]
    return pools


def worth_of(name: str, scores: FloatArray, added: float, curve: Curve, alpha: float) -> Worth:
    """What an arm's added images are worth.

    `scores` float64 (n,), of the seeds of the curve; `added` above 0; the interval's level is 1 - alpha.
    """
    n, first = len(scores), float(curve.sizes[0])
    size = _size_of(scores, curve)
    interval = None
    if passes(smallest_p(n), alpha):

        def bears(candidate: float) -> bool:
            there = curve.real if candidate == first else curve.at(candidate)
            return not passes(sign_flip(scores - there).p(), alpha)

        low, high = _ends(size, curve, bears)
        interval = (low - first, high - first)
    extra = size - first
    found = Worth(name, added, extra, interval, curve.extra, "")
    return Worth(name, added, extra, interval, curve.extra, _sentence(found))


def _size_of(scores: FloatArray, curve: Curve) -> float:
    """As `Curve.size_of`, for scores above the real images' own; else the first size, or minus infinity."""
    lead = float(scores.mean() - curve.real.mean())
    if lead > TIE:
        return curve.size_of(float(scores.mean()))
    return -math.inf if lead < -TIE else float(curve.sizes[0])


def _ends(size: float, curve: Curve, bears: Callable[[float], bool]) -> Interval:
    """The smallest and largest size around the estimate that the test bears."""
    start = float(np.clip(size, curve.sizes[0], curve.sizes[-1]))
    below = [float(other) for other in curve.sizes[::-1] if other < start]
    above = [float(other) for other in curve.sizes if other > start]
    if not bears(start) and not any(bears(other) for other in below):  # all of the curve lies on one side
        return size, size
    low = _last_borne(start, below, bears)
    high = _last_borne(start, above, bears)
    return -math.inf if low is None else low, math.inf if high is None else high


def _last_borne(start: float, beyond: Sequence[float], bears: Callable[[float], bool]) -> float | None:
    """How far, from a size that is borne, the sizes reach that are; None where to the curve's end.

    A rough curve may be refused on the way and borne again: all between counts as borne.
    """
    borne = [index for index, other in enumerate(beyond) if bears(other)]
    farthest = borne[-1] if borne else -1
    if farthest == len(beyond) - 1:
        return None
    good, bad = (start if farthest < 0 else beyond[farthest]), beyond[farthest + 1]
    for _ in range(HALVINGS):
        middle = math.sqrt(good * bad)
        good, bad = (middle, bad) if bears(middle) else (good, middle)
    return good


def _side(value: float) -> str | None:
    """Of the curve, where a value is beyond it."""
    return None if math.isfinite(value) else ("below" if value < 0 else "above")


def _sentence(worth: Worth) -> str:
    factor = THOUSAND / worth.added if worth.added >= ENOUGH else 1
    most = factor * worth.most
    ends = worth.interval
    seen = (
        "too few seeds for an interval"
        if ends is None
        else f"interval {_amount(factor * ends[0], most)} to {_amount(factor * ends[1], most)}"
    )
    if factor == 1:
        amount = _amount(worth.extra, most)
        return f"{worth.name}: its {worth.added:,.0f} added images are worth {amount} real ones ({seen})."
    return (
        f"{worth.name}: 1,000 added images are worth {_amount(factor * worth.extra, most)} real ones ({seen}); "
        f"measured with {worth.added:,.0f}."
    )


def _amount(images: float, most: float) -> str:
    """In words; `most`: where the curve ends."""
    if images == -math.inf:
        return "less than 0"
    if 0 < images < 0.5:  # 0 itself is left out
        return "just above 0"
    return f"more than {most:,.0f}" if images == math.inf else f"{images:,.0f}"
