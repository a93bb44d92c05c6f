import numpy as np
import pytest

from gangda.metrics.group_distances import (
    count_modes,
    distinct_mode_ratios,
    energy_distances,
    group_means,
    nearest_other,
    pairwise_distances,
)


def line(*places):
    """Distances of points on a line."""
    places = np.array(places, dtype=float)
    return np.abs(places[:, None] - places)


def test_modes_are_counted_by_chains():
    assert count_modes(line(0.0, 0.4, 0.8, 5.0, 9.0, 9.3), 0.5) == 3


def test_an_image_is_not_its_own_neighbour():
    assert nearest_other(line(0.0, 1.0, 5.0)).tolist() == [1.0, 1.0, 4.0]


def test_group_means_leave_out_each_image_itself():
    groups = np.array([0, 0, 1])
    means = group_means(line(0.0, 2.0, 10.0), groups, groups, 2, same=True)
    assert means[0].tolist() == [2.0, 9.0]
    assert means[1, 0] == 9.0
    assert np.isnan(means[1, 1])  # one image has no pair


def test_the_energy_distance_of_a_distribution_to_itself_is_about_nothing():
    features = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    groups = np.repeat([0, 1], 200)
    means = group_means(pairwise_distances(features, features), groups, groups, 2, same=True)
    energy = energy_distances(means, np.diag(means), np.diag(means))
    assert energy[0, 1] == pytest.approx(0, abs=0.03)
    moved = features + groups[:, None].astype(np.float32)
    means = group_means(pairwise_distances(moved, moved), groups, groups, 2, same=True)
    assert energy_distances(means, np.diag(means), np.diag(means))[0, 1] > 0.3


def test_repeated_images_are_one_mode_and_small_groups_unknown():
    real = line(*range(6))
    fake = line(0.0, 0.0, 0.0, 3.0, 3.0, 3.0)
    zeros = np.zeros(6, dtype=np.int64)
    ratios = distinct_mode_ratios(fake, zeros, real, zeros, 2)
    assert ratios[0] == pytest.approx(2 / 6)
    assert np.isnan(ratios[1])
