import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test

from gangda.statistics.signflip import DRAWS, fewest_for, passes, sign_flip, smallest_p

deltas_of_accuracies = st.lists(st.integers(-30, 30), min_size=1, max_size=10).map(
    lambda k: [x / 360 for x in k]
)
alphas = st.sampled_from([0.01, 0.05, 0.1, 0.5])


def brute_force_p(deltas, null=0.0):
    centred = np.asarray(deltas) - null
    signs = np.array(list(itertools.product([1, -1], repeat=len(centred))))
    sums = np.abs(signs @ centred)
    return float(np.mean(sums >= abs(centred.sum()) - 1e-12))


@settings(max_examples=150, deadline=None)
@given(deltas_of_accuracies, st.sampled_from([0.0, 0.005, -0.0123]))
def test_p_equals_brute_force(deltas, null):
    assert sign_flip(deltas).p(null) == pytest.approx(brute_force_p(deltas, null), abs=1e-12)


@pytest.mark.parametrize(
    ("alternative", "method"), [("two-sided", "p"), ("greater", "p_greater"), ("less", "p_less")]
)
def test_p_equals_scipy(alternative, method):
    deltas = np.random.default_rng(3).normal(0.01, 0.02, 9)
    expected = permutation_test(
        (deltas,),
        np.mean,
        permutation_type="samples",
        alternative=alternative,
        n_resamples=np.inf,
        vectorized=True,
        axis=-1,
    )
    assert getattr(sign_flip(deltas), method)() == pytest.approx(expected.pvalue, abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(deltas_of_accuracies, alphas)
def test_interval_is_the_inversion_of_the_test(deltas, alpha):
    test = sign_flip(deltas)
    interval = test.interval(alpha)
    if interval is None:
        assert smallest_p(len(deltas)) > alpha
        return
    low, high = interval
    assert low <= high
    for inside in (low, (low + high) / 2, high):
        assert not passes(test.p(inside), alpha)
    for outside in (low - 1e-9, high + 1e-9, low - 1, high + 1):
        assert passes(test.p(outside), alpha)


@settings(max_examples=200, deadline=None)
@given(deltas_of_accuracies, alphas)
def test_interval_excludes_zero_exactly_when_p_passes(deltas, alpha):
    test = sign_flip(deltas)
    interval = test.interval(alpha)
    includes_zero = interval is None or (interval[0] <= 1e-12 and interval[1] >= -1e-12)
    assert includes_zero == (not passes(test.p(), alpha))


@pytest.mark.parametrize("n", [1, 5, 10, 20])
def test_smallest_p_is_reached_when_all_agree(n):
    deltas = np.linspace(0.01, 0.02, n)
    assert sign_flip(deltas).p() == smallest_p(n) == 2 / 2**n


def test_no_difference_at_all_gives_one():
    assert sign_flip([0.0] * 8).p() == 1.0
    assert sign_flip([0.01, -0.01] * 4).p() == 1.0


def test_monte_carlo_beyond_twenty_agrees_with_the_normal_limit_and_repeats():
    deltas = np.random.default_rng(0).normal(0.3, 1, 40)
    z = deltas.sum() / np.sqrt((deltas**2).sum())
    from scipy.stats import norm

    first, second = sign_flip(deltas), sign_flip(deltas)
    assert first.p() == second.p() == pytest.approx(2 * norm.sf(abs(z)), rel=0.1)
    low, high = first.interval(0.05)
    assert first.p(low - 1e-9) <= 0.05 < first.p(low)
    assert low < deltas.mean() < high
    assert sign_flip(np.ones(30)).p() == smallest_p(30) == 2 / (DRAWS + 1)


@pytest.mark.parametrize(("centre", "claimed"), [(0.0, True), (0.02, False), (-0.02, False)])
def test_equivalence_needs_the_whole_inside_of_the_margin(centre, claimed):
    deltas = centre + np.random.default_rng(1).normal(0, 0.002, 10)
    assert (sign_flip(deltas).equivalence_p(0.005) <= 0.05) is claimed


def test_equivalence_is_the_larger_of_two_one_sided_tests():
    deltas = np.random.default_rng(2).normal(0.002, 0.004, 8)
    shifted = [
        permutation_test(
            (deltas + s * 0.005,), np.mean, permutation_type="samples", alternative=side, n_resamples=np.inf
        ).pvalue
        for s, side in ((1, "greater"), (-1, "less"))
    ]
    assert sign_flip(deltas).equivalence_p(0.005) == pytest.approx(max(shifted), abs=1e-12)


def test_a_margin_of_zero_never_gives_equivalence():
    assert sign_flip(np.zeros(10)).equivalence_p(0.0) == 1.0


@pytest.mark.parametrize(("level", "n"), [(0.05, 6), (0.025, 7), (0.05 / 26, 11), (1e-9, 20)])
def test_so_many_differences_are_needed_for_a_level(level, n):
    assert fewest_for(level) == n
    assert passes(smallest_p(n), level) == (level > 1e-6)
    assert not passes(smallest_p(n - 1), level)
