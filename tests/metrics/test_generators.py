"""Diversity between generators: closed forms, floors, and silence where there is one generator only."""

import dataclasses

import numpy as np
import pytest

from gangda.metrics.generators import generators, mean_energy, told_apart
from gangda.metrics.inputs import Side


def test_energy_of_constant_sets_is_one_and_of_equal_ones_zero():
    a, b = np.zeros((5, 2), np.float32), np.ones((5, 2), np.float32)
    assert mean_energy([a, b]) == pytest.approx(1.0)
    assert mean_energy([a, a]) == 0.0
    assert mean_energy([a, a, b]) == pytest.approx(2 / 3)


def test_energy_by_hand():
    # Across: |0-1|, |0-4|, |2-1|, |2-4| -> mean 2; within: 2 and 3 -> (4 - 5) / 4.
    parts = [np.array([[0.0], [2.0]], np.float32), np.array([[1.0], [4.0]], np.float32)]
    assert mean_energy(parts) == pytest.approx(-0.25)


def test_energy_of_gaussians():
    # |X - Y| for N(d, 2): d (2 Phi(d/sqrt 2) - 1) + 2/sqrt(pi) exp(-d^2/4); 2/sqrt(pi) inside each set.
    rng = np.random.default_rng(0)
    parts = [rng.normal(shift, 1, (4000, 1)).astype(np.float32) for shift in (0, 2)]
    across = 2 * (2 * 0.9213504 - 1) + 1.1283792 * np.exp(-1)
    assert mean_energy(parts) == pytest.approx(1 - 1.1283792 / across, abs=0.02)


def test_the_classifier_knows_what_can_be_known():
    rng = np.random.default_rng(0)
    far = [rng.normal(10 * k, 1, (40, 3)) for k in range(3)]
    same = [rng.normal(0, 1, (150, 3)) for _ in range(4)]
    assert told_apart(far) == 1.0
    assert abs(told_apart(same) - 0.25) < 0.08


def by_generator(inputs, owner):
    """The same inputs, whose samples were made by these generators."""
    images = dataclasses.replace(inputs.samples.images, generator=owner.astype(np.int64))
    return dataclasses.replace(inputs, samples=Side(images, inputs.samples.features))


def test_scores_of_an_ensemble(make_inputs):
    rng = np.random.default_rng(1)
    owner = np.arange(120) % 3
    fake = rng.normal(0, 1, (120, 4)) + 8 * owner[:, None]
    real = rng.normal(0, 1, (120, 4))
    inputs = by_generator(make_inputs(fake, real, real), owner)
    distance, told = generators(inputs)
    assert (distance.name, told.name) == ("generators_distance_randconv_40", "generators_told_apart_40")
    assert distance.value > 0.7
    assert abs(distance.floor) < 0.05
    assert told.value == 1.0
    assert told.floor < 0.5
    assert told.interval[0] > 0.9


@pytest.mark.parametrize("owner", [np.zeros(120), np.full(120, -1), np.arange(120) // 110])
def test_nothing_is_said_of_one_generator_or_of_too_few_samples(make_inputs, owner):
    points = np.random.default_rng(2).normal(0, 1, (120, 4))
    assert generators(by_generator(make_inputs(points, points, points), owner)) == []
    assert generators(make_inputs(points, points, points)) == []
