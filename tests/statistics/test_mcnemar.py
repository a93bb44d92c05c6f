import numpy as np
import pytest

from gangda.statistics.mcnemar import mcnemar_p


@pytest.mark.parametrize(
    ("only_first", "only_second", "expected"),
    # Exact two-sided binomial by hand: 2 * sum(C(b+c, k) for k <= min) / 2^(b+c).
    [(0, 0, 1.0), (5, 0, 2 / 32), (6, 2, 2 * (1 + 8 + 28) / 256), (3, 3, 1.0)],
)
def test_by_hand(only_first, only_second, expected):
    first = np.array([True] * only_first + [False] * only_second + [True] * 7)
    second = np.array([False] * only_first + [True] * only_second + [True] * 7)
    assert mcnemar_p(first, second) == pytest.approx(expected)
    assert mcnemar_p(second, first) == pytest.approx(expected)
