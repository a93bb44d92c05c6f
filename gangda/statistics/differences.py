"""Differences paired by seed, tested together as one family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gangda.data.images import FloatArray
from gangda.runtime.arrays import BoolArray
from gangda.statistics.families import PROCEDURES, Adjusted
from gangda.statistics.signflip import SignFlip, detectable_difference, passes, sign_flip, smallest_p
from gangda.statistics.values import ArmSummary, Difference, standard_deviation

HIGHER, LOWER, UNDECIDED, TOO_FEW = "higher", "lower", "undecided", "too few seeds"


@dataclass(frozen=True, eq=False)
class PairedTest:
    """The test of one difference: `deltas` of each seed, float64 (n,), and p as the family's procedure adjusts it."""

    deltas: FloatArray
    flips: SignFlip
    adjusted: Adjusted

    @property
    def mean(self) -> float:
        """Of the deltas."""
        return float(self.deltas.mean())

    @property
    def reachable(self) -> bool:
        """Whether this many seeds can reach the level at all, whatever the data."""
        return passes(smallest_p(len(self.deltas)), self.adjusted.level)

    def decided(self, alpha: float) -> bool:
        """Whether a difference was shown, with the family's error rate at alpha."""
        p = self.adjusted.adjusted
        return self.reachable and p is not None and passes(p, alpha)

    def values(self) -> dict[str, Any]:
        """The fields of a `Difference` but name and verdict."""
        level, sd = self.adjusted.level, standard_deviation(self.deltas)
        return {
            "deltas": tuple(self.deltas.tolist()),
            "mean": self.mean,
            "sd": sd,
            "p": self.adjusted.p if self.reachable else None,
            "adjusted_p": self.adjusted.adjusted if self.reachable else None,
            "interval": self.flips.interval(level),
            "detectable": detectable_difference(len(self.deltas), sd, level),
        }


def summary_of(name: str, scores: FloatArray, alpha: float) -> ArmSummary:
    """Mean, spread and interval of the scores of the seeds, float64 (n,), n >= 1."""
    mean, sd = float(scores.mean()), standard_deviation(scores)
    return ArmSummary(name, tuple(scores.tolist()), mean, sd, sign_flip(scores).interval(alpha))


def paired_tests(deltas: Mapping[str, FloatArray], procedure: str, alpha: float) -> dict[str, PairedTest]:
    """Test every difference, float64 (n,) of each, in this order; `procedure` of `PROCEDURES`."""
    flips = {name: sign_flip(each) for name, each in deltas.items()}
    adjusted = PROCEDURES[procedure].adjust([test.p() for test in flips.values()], alpha)
    return {name: PairedTest(deltas[name], flips[name], p) for name, p in zip(deltas, adjusted, strict=True)}


def mcnemar_p(first: BoolArray, second: BoolArray) -> float:
    """Two-sided exact p of equal accuracy of two classifiers, from per-image correctness, bool (m,) each.

    Source: McNemar 1947, by the binomial test on the images that only one of them gets right.
    """
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)


def against(reference: str, values: Mapping[str, Sequence[float]], alpha: float) -> list[Difference]:
    """Every setting against the reference, the family's error rate kept at alpha by Holm's procedure.

    `values`: per setting one number of each seed, NaN where it has none; differences are over the seeds that both have.
    """
    base = np.asarray(values[reference], dtype=np.float64)
    pairs = {name: np.asarray(values[name], dtype=np.float64) - base for name in values if name != reference}
    deltas = {name: known for name, each in pairs.items() if len(known := each[np.isfinite(each)])}
    return [
        Difference(name=name, verdict=_verdict(test, alpha), **test.values())
        for name, test in paired_tests(deltas, "holm", alpha).items()
    ]


def _verdict(test: PairedTest, alpha: float) -> str:
    if not test.reachable:
        return TOO_FEW
    if not test.decided(alpha):
        return UNDECIDED
    return HIGHER if test.mean > 0 else LOWER
