import numpy as np
import pytest

from gangda.statistics.bootstrap import crossed_interval


def test_covers_both_sources_of_variation():
    rng = np.random.default_rng(0)
    n, m = 40, 2000
    seeds, images = rng.normal(0, 0.6, (n, 1)), rng.normal(0, 0.6, (1, m))
    differences = np.sign(np.round(seeds + images + rng.normal(0, 0.5, (n, m)))).astype(np.int8)
    low, high = crossed_interval(differences, 0.05)
    # A two-way random-effects estimate of the standard error of the grand mean, by analysis of variance.
    grand = differences.mean()
    between_seeds = differences.mean(axis=1).var(ddof=1) / n
    between_images = differences.mean(axis=0).var(ddof=1) / m
    assert (high - low) / 3.92 == pytest.approx(np.sqrt(between_seeds + between_images), rel=0.1)
    assert low < grand < high


def test_seeds_that_agree_still_leave_the_test_images():
    one_image_of_fifty = np.zeros((10, 50), dtype=np.int8)
    one_image_of_fifty[:, 0] = 1  # every seed gains the same single image: p is tiny, the win is one image
    low, _ = crossed_interval(one_image_of_fifty, 0.05)
    assert low == 0.0


def test_repeats_exactly():
    differences = np.random.default_rng(1).integers(-1, 2, (5, 30)).astype(np.int8)
    assert crossed_interval(differences, 0.1) == crossed_interval(differences, 0.1)
