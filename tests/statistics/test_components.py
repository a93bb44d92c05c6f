"""Variance components against the textbook's formulas by hand, and against what was put in."""

import numpy as np
import pytest

from gangda.statistics.components import components_of


def test_by_hand():
    """Rows 1 3, 5 7, 9 11: within mean square 2, between 2 x 16 = 32, so (32 - 2) / 2 = 15 between."""
    found = components_of([[1, 3], [5, 7], [9, 11]])
    assert found is not None
    assert (found.groups, found.repeats, found.mean) == (3, 2, 6)
    assert found.within**2 == pytest.approx(2)
    assert found.between**2 == pytest.approx(15)
    assert found.error**2 == pytest.approx(32 / 6)


def test_nothing_between_is_nothing_and_never_negative():
    found = components_of([[1, 3], [3, 1], [2, 2]])
    assert found is not None
    assert found.between == 0
    assert found.within > 0


@pytest.mark.parametrize("scores", [[[1.0, 2.0]], [[1.0], [2.0]]])
def test_one_of_either_cannot_be_taken_apart(scores):
    assert components_of(scores) is None


def test_what_was_put_in_is_found_again():
    rng = np.random.default_rng(1)
    found = [components_of(80 + rng.normal(0, 2, (3, 1)) + rng.normal(0, 1, (3, 3))) for _ in range(4000)]
    assert np.mean([one.within**2 for one in found]) == pytest.approx(1, rel=0.05)
    unclipped = [one.between**2 for one in found]  # clipping at 0 adds a little
    assert np.mean(unclipped) == pytest.approx(4, rel=0.1)
    spread = np.var([one.mean for one in found])
    assert np.mean([one.error**2 for one in found]) == pytest.approx(spread, rel=0.1)
