"""MAD-GAN finds all modes of its paper's one-dimensional mixture, with the game and the loop that images get."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import mixture


@pytest.mark.long
def test_five_generators_find_all_five_modes():
    torch.set_num_threads(1)
    made = mixture.samples(mixture.train(5))
    assert mixture.modes_found(made) == 5
    assert mixture.shares(made).sum() > 0.8
    # They share the modes out: each generator has most of its images in two modes at the most.
    each = np.sort([mixture.shares(row) for row in made], axis=1)
    assert (each[:, -2:].sum(1) > 0.9 * each.sum(1)).all()


def test_shares_of_the_mixture_itself_and_of_one_mode():
    drawn = mixture.draw(20_000, "test")
    assert np.abs(mixture.shares(drawn) - 0.2).max() < 0.01
    assert mixture.modes_found(drawn) == 5
    assert mixture.shares(np.full(10, 80.0)).tolist() == [0, 0, 0, 1, 0]
    assert mixture.modes_found(np.array([10.0, 20.0, 40.0, 100.0])) == 2


def test_a_step_of_the_mixture_is_a_step_of_the_loop():
    generator = mixture.train(3, count=2)
    assert mixture.samples(generator, 60).shape == (3, 20)
    again = mixture.train(3, count=2)
    assert all(torch.equal(a, b) for a, b in zip(generator.parameters(), again.parameters(), strict=True))
