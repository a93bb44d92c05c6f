"""What added images are worth in real ones: how many more real images would have done the same.

Scores of the real images alone at several sizes are a learning curve, taken as monotone, and as linear in the logarithm
of the size between the sizes that were measured: nothing is read off beyond them. An arm's mean score is looked up on
the mean curve. The interval holds every number e of extra images for which the sign-flip test of "the arm scores as the
curve at n + e", paired by seed, is not significant. At e = 0 the curve is the real images' own scores, so that 0 is
left out exactly where the arm was shown to differ from them.

Source: Sun 2017, "Revisiting unreasonable effectiveness of data" (scores grow with the logarithm of the size); Barlow
1972 (monotone means); Fieller 1954 (interval of a ratio by inverting a test), here with sign flips in place of the
normal law. Departure: the bootstrap of seeds, which is more usual, has too narrow intervals at ten seeds or fewer.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gangda.data.images import FloatArray
from gangda.statistics.signflip import passes, sign_flip, smallest_p
from gangda.statistics.values import Interval

TIE = 1e-12  # scores nearer than this are equal, up to rounding
HALVINGS = 12  # bisection of a segment of the curve, for an interval's end: to 1/4096 of it
ENOUGH = 100  # added images from which on a rate per thousand is given
THOUSAND = 1000


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Scores over the number of real images, monotone in the mean over the seeds.

    `scores` are fractions, float64 (n, k), as measured but averaged within each seed over neighbouring sizes whose
    means are out of order; `real` are those of the first size as measured, with which the arms are compared.
    """

    sizes: FloatArray  # real training images, float64 (k,), ascending; the first is the real subset's
    scores: FloatArray
    real: FloatArray  # float64 (n,)

    @property
    def means(self) -> FloatArray:
        """Over the seeds, float64 (k,), never falling."""
        return np.maximum.accumulate(self.scores.mean(axis=0))  # already monotone but for rounding

    def at(self, size: float) -> FloatArray:
        """Scores of the seeds at a size inside the curve, float64 (n,)."""
        place = float(np.interp(math.log(size), np.log(self.sizes), np.arange(len(self.sizes))))
        below = min(int(place), len(self.sizes) - 2)
        share = place - below
        return np.asarray((1 - share) * self.scores[:, below] + share * self.scores[:, below + 1])

    @property
    def rises(self) -> bool:
        """Whether more real images score better; otherwise no exchange rate can be read off."""
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


def learning_curve(sizes: Sequence[float], scores: Sequence[FloatArray]) -> LearningCurve:
    """The curve of at least two sizes, in any order, with the scores of the same seeds at each, float (n,).

    Neighbouring sizes whose means are out of order are averaged (pool adjacent violators), in every seed alike.
    """
    order = np.argsort(np.asarray(sizes, dtype=np.float64), kind="stable")
    table = np.stack([np.asarray(scores[i], dtype=np.float64) for i in order], axis=1)
    means = table.mean(axis=0)
    blocks: list[list[int]] = []  # neighbouring sizes; the blocks' means never fall
    for position in range(len(means)):
        blocks.append([position])
        while len(blocks) > 1 and means[blocks[-2]].mean() > means[blocks[-1]].mean():
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    pooled = [table[:, block].mean(axis=1) for block in blocks for _ in block]
    return LearningCurve(np.asarray(sizes, dtype=np.float64)[order], np.stack(pooled, axis=1), table[:, 0])


@dataclass(frozen=True)
class ExchangeRate:
    """What the added images of an arm are worth."""

    name: str  # the arm
    added: float  # images added, mean over the seeds
    extra: float  # real images that would have done the same; -inf: below these alone; inf: beyond the curve
    interval: Interval | None  # of `extra`, ends infinite beyond the curve; None with too few seeds
    most: float  # extra real images measured at most

    @property
    def per_thousand(self) -> float:
        """Real images that a thousand added ones are worth, where as many were added as here."""
        return THOUSAND * self.extra / self.added

    @property
    def sentence(self) -> str:
        """In words; per thousand added images where there were enough of them."""
        factor = THOUSAND / self.added if self.added >= ENOUGH else 1
        extra, *ends = (self._amount(factor * end, factor) for end in (self.extra, *(self.interval or ())))
        seen = f"interval {ends[0]} to {ends[1]}" if ends else "too few seeds for an interval"
        if factor == 1:
            return f"{self.name}: its {self.added:,.0f} added images are worth {extra} real ones ({seen})."
        return (
            f"{self.name}: 1,000 added images are worth {extra} real ones ({seen}); "
            f"measured with {self.added:,.0f}."
        )

    def _amount(self, images: float, factor: float) -> str:
        if images == -math.inf:
            return "less than 0"
        if 0 < images < 0.5:  # 0 itself is outside the interval
            return "just above 0"
        return f"more than {factor * self.most:,.0f}" if images == math.inf else f"{images:,.0f}"


def exchange_rate(
    name: str, scores: FloatArray, added: float, curve: LearningCurve, alpha: float
) -> ExchangeRate:
    """What an arm's added images are worth; `scores` float64 (n,), `added` above 0, the interval at 1 - alpha."""
    first, lead = float(curve.sizes[0]), float(scores.mean() - curve.real.mean())
    size, interval = -math.inf if lead < -TIE else first, None
    if lead > TIE:
        size = curve.size_of(float(scores.mean()))
    if passes(smallest_p(len(scores)), alpha):

        def accepted(candidate: float) -> bool:
            there = curve.real if candidate == first else curve.at(candidate)
            return not passes(sign_flip(scores - there).p(), alpha)

        low, high = _ends(size, curve, accepted)
        interval = (low - first, high - first)
    return ExchangeRate(name, added, size - first, interval, float(curve.sizes[-1]) - first)


def _ends(size: float, curve: LearningCurve, accepted: Callable[[float], bool]) -> Interval:
    """The smallest and largest size around the estimate that the test accepts."""
    start = float(np.clip(size, curve.sizes[0], curve.sizes[-1]))
    below = [float(other) for other in curve.sizes[::-1] if other < start]
    above = [float(other) for other in curve.sizes if other > start]
    if not any(map(accepted, (start, *below))):  # the whole curve lies on one side
        return size, size
    low, high = _last_accepted(start, below, accepted), _last_accepted(start, above, accepted)
    return -math.inf if low is None else low, math.inf if high is None else high


def _last_accepted(start: float, beyond: Sequence[float], accepted: Callable[[float], bool]) -> float | None:
    """How far the accepted sizes reach from one that is accepted, with all between; None: to the curve's end."""
    places = [index for index, other in enumerate(beyond) if accepted(other)]
    farthest = places[-1] if places else -1
    if farthest == len(beyond) - 1:
        return None
    good, bad = (start if farthest < 0 else beyond[farthest]), beyond[farthest + 1]
    for _ in range(HALVINGS):
        middle = math.sqrt(good * bad)
        good, bad = (middle, bad) if accepted(middle) else (good, middle)
    return good
