"""Seeds and test images both drawn: by hand, against an analysis of variance, and at its limits."""

import numpy as np
import pytest
from scipy import stats

from gangda.statistics.crossed import crossed_mean, finest_difference


def test_by_hand():
    """Rows (1 0), (0 0), (1 1) and the made-up columns 1 and -1: sums by hand.

    The table is 1 0 1 -1 / 0 0 1 -1 / 1 1 1 -1, mean 3/12. Row means 1/4, 0, 2/4: MSA = 4 x 0.0625 = 0.25. Column means
    2/3, 1/3, 1, -1: deviations from 1/4 squared 25/144, 1/144, 81/144, 225/144, so MSB = 3 x 332/144 / 3 = 83/36. Total
    sum of squares 9 - 9/12 = 8.25, less 2 x 0.25 and 3 x 83/36: 5/6, so MSE = (5/6) / 6 = 5/36.
    """
    found = crossed_mean(np.array([[1, 0], [0, 0], [1, 1]]))
    assert found.mean == pytest.approx(0.25)
    total = 1 / 4 + 83 / 36 - 5 / 36
    assert found.error == pytest.approx(np.sqrt(total / 12))
    assert found.image_error == pytest.approx(np.sqrt((83 / 36 - 5 / 36) / 12))
    freedom = total**2 / ((1 / 4) ** 2 / 2 + (83 / 36) ** 2 / 3 + (5 / 36) ** 2 / 6)
    assert found.freedom == pytest.approx(freedom)
    t = 0.25 / np.sqrt(total / 12)
    assert found.p() == pytest.approx(2 * stats.t.sf(t, freedom))
    nearer = (0.6 - 1 / 4 - 0.25) / np.sqrt(total / 12)  # one of four images weighs a quarter
    assert found.equivalence_p(0.6) == pytest.approx(stats.t.sf(nearer, freedom))
    half = stats.t.ppf(0.975, freedom) * np.sqrt(total / 12)
    assert found.interval(0.05) == pytest.approx((0.25 - half, 0.25 + half))


def test_test_interval_and_equivalence_agree():
    rng = np.random.default_rng(2)
    for _ in range(50):
        found = crossed_mean(rng.integers(-1, 2, (6, 40)) + (rng.random((6, 40)) < 0.1))
        low, high = found.interval(0.05)
        assert found.p(low) == pytest.approx(0.05)
        assert found.p(high) == pytest.approx(0.05)
        assert (found.p() < 0.05) == (low > 0 or high < 0)
        low, high = found.interval(0.10)
        for margin in (0.05, 0.1, 0.2, 0.3):
            inside = -margin < low - found.image and high + found.image < margin
            assert (found.equivalence_p(margin) < 0.05) == inside


def test_where_the_images_are_no_matter_it_is_the_t_test_over_the_seeds():
    seeds = np.random.default_rng(0).normal(0.2, 0.1, 10)
    found = crossed_mean(np.repeat(seeds[:, None], 20_000, axis=1))
    expected = stats.ttest_1samp(seeds, 0)
    assert found.error == pytest.approx(stats.sem(seeds), rel=0.01)
    assert found.freedom == pytest.approx(9, rel=0.02)
    assert found.p() == pytest.approx(expected.pvalue, rel=0.05)


def test_where_the_seeds_agree_it_is_bonett_and_prices_interval():
    """30 images gained and 10 lost of 500, by every seed: (30 - 10) / 502, from 31 and 11 that differ of 502."""
    differences = np.repeat([1, -1, 0], [30, 10, 460])[None].repeat(10, axis=0)
    found, p12, p21 = crossed_mean(differences), 31 / 502, 11 / 502
    assert found.mean == pytest.approx(p12 - p21)
    assert found.error == pytest.approx(np.sqrt((p12 + p21 - (p12 - p21) ** 2) / 502), rel=0.002)


@pytest.mark.parametrize(("gained", "shown"), [(5, False), (6, True)])
def test_seeds_that_agree_on_a_few_images_show_as_much_as_mcnemars_test(gained, shown):
    """Two-sided exact p of 5 of 5 is 0.06, of 6 of 6 it is 0.03."""
    differences = np.zeros((10, 500))
    differences[:, :gained] = 1
    assert (crossed_mean(differences).p() <= 0.05) == shown


def test_no_difference_on_any_image_is_no_proof_of_none():
    """No gain in 360 images: by the rule of three the share may still be 3/360 = 0.83 points."""
    low, high = crossed_mean(np.zeros((20, 360))).interval(0.05)
    assert -low == pytest.approx(high)
    assert high == pytest.approx(0.0083, abs=0.001)


def test_what_images_count_scales_all_of_it():
    differences = np.random.default_rng(1).integers(-1, 2, (5, 30))
    once, twice = crossed_mean(differences), crossed_mean(2 * differences, unit=2.0)
    assert (twice.mean, twice.error, twice.image) == pytest.approx(
        (2 * once.mean, 2 * once.error, 2 * once.image)
    )
    assert twice.freedom == pytest.approx(once.freedom)


def test_infinitely_many_seeds_find_the_finest_difference_in_four_of_five():
    """The share of test sets that show it beyond themselves, each with images of its own and no noise of seeds."""
    rng, images = np.random.default_rng(3), 400
    finest = finest_difference(np.sqrt(0.05 / images), 0.05)
    gains = rng.choice([1, 0, -1], p=[0.025 + finest / 2, 0.95, 0.025 - finest / 2], size=(500, images))
    shown = [crossed_mean(np.tile(row, (200, 1))).p() <= 0.05 for row in gains]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.06)
