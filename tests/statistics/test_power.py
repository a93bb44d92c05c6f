import numpy as np
import pytest

from gangda.statistics.signflip import detectable_difference, sign_flip


@pytest.mark.parametrize("n", [8, 10, 15])
def test_the_test_finds_the_detectable_difference_in_four_of_five_experiments(n):
    shift = detectable_difference(n, 2.0, 0.05)
    rng = np.random.default_rng(7)
    runs = 300 if n <= 10 else 100
    found = np.mean([sign_flip(rng.normal(shift, 2.0, n)).p() <= 0.05 for _ in range(runs)])
    assert found == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / runs) + 0.02)


def test_many_seeds_approach_the_normal_formula():
    assert detectable_difference(100, 1.0, 0.05) == pytest.approx((1.96 + 0.8416) / 10, rel=0.08)


def test_none_where_alpha_is_out_of_reach():
    assert detectable_difference(5, 1.0, 0.05) is None
    assert detectable_difference(6, 1.0, 0.05) is not None


def test_scales_with_the_spread():
    assert detectable_difference(10, 0.0, 0.05) == 0.0
    assert detectable_difference(10, 2.0, 0.05) == pytest.approx(2 * detectable_difference(10, 1.0, 0.05))
