import numpy as np
import pytest
from scipy.stats import binomtest

from gangda.metrics.result import gap_error, wilson


@pytest.mark.parametrize(("right", "count"), [(0, 10), (3, 10), (359, 360), (10, 10)])
def test_wilson_agrees_with_scipy(right, count):
    expected = binomtest(right, count).proportion_ci(method="wilson")
    assert wilson(right / count, count) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize("count", range(1, 400))
def test_wilson_of_none_and_all_ends_exactly_at_0_and_1(count):
    (low, some), (most, high) = wilson(0.0, count), wilson(1.0, count)
    assert (low, high) == (0.0, 1.0)
    assert 0 < some < 1
    assert 0 < most < 1


def test_gap_error_covers_the_difference_of_equal_shares():
    rng = np.random.default_rng(0)
    a, b = rng.binomial(200, 0.9, 2000) / 200, rng.binomial(400, 0.9, 2000) / 400
    inside = [abs(x - y) <= gap_error(x, 200, y, 400) for x, y in zip(a, b, strict=True)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)
