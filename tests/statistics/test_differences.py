"""Settings against a reference, also where some seeds have no value."""

import math

import numpy as np
import pytest

from gangda.statistics.differences import HIGHER, TOO_FEW, UNDECIDED, against, mcnemar_p

BASE = [0.80, 0.81, 0.79, 0.82, 0.80, 0.78, 0.81, 0.80, 0.79, 0.82]
GAIN = [0.02, 0.03, 0.01, 0.02, 0.04, 0.02, 0.03, 0.02, 0.01, 0.03]


def raised(seeds: int) -> list[float]:
    """The reference and a gain, in so many seeds; the others have none."""
    known = [base + gain for base, gain in zip(BASE, GAIN, strict=True)]
    return known[:seeds] + [math.nan] * (len(BASE) - seeds)


def test_a_later_step_of_holm_asks_less_of_the_seeds_than_the_first():
    """Six seeds reach 2/64 = 0.031: not 0.05 / 2, but 0.05 once the other difference is decided."""
    found = against("base", {"base": BASE, "all": raised(10), "six": raised(6)}, 0.05)
    assert [one.verdict for one in found] == [HIGHER, HIGHER]
    assert [one.p for one in found] == pytest.approx([2 / 1024, 2 / 64])
    assert found[1].interval[0] > 0


def test_where_the_first_step_is_not_taken_too_few_seeds_say_so():
    wavering = [base + (0.01 if i % 2 else -0.01) for i, base in enumerate(BASE)]
    found = against("base", {"base": BASE, "all": wavering, "six": raised(6)}, 0.05)
    assert [one.verdict for one in found] == [UNDECIDED, TOO_FEW]
    assert (found[1].p, found[1].interval) == (None, None)


@pytest.mark.parametrize(
    ("only_first", "only_second", "expected"),
    # Exact two-sided binomial by hand: 2 * sum(C(b+c, k) for k <= min) / 2^(b+c).
    [(0, 0, 1.0), (5, 0, 2 / 32), (6, 2, 2 * (1 + 8 + 28) / 256), (3, 3, 1.0)],
)
def test_mcnemar_by_hand(only_first, only_second, expected):
    first = np.array([True] * only_first + [False] * only_second + [True] * 7)
    second = np.array([False] * only_first + [True] * only_second + [True] * 7)
    assert mcnemar_p(first, second) == pytest.approx(expected)
    assert mcnemar_p(second, first) == pytest.approx(expected)
