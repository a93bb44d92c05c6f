"""The curriculum: what is easy, how the pool grows, and that batches depend on (seed, turn) alone."""

import numpy as np
import pytest
import torch

from gangda.training.image_batches import Curriculum, difficulty, difficulty_ranks


@pytest.fixture(scope="module")
def images():
    """Two classes of 90 and 30 grey images, 10 in all of them far from their class."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [90, 30])
    pixels = 60 + 100 * labels[:, None, None, None] + rng.normal(0, 5, (120, 1, 20, 20))
    odd = np.r_[0:5, 90:95]
    pixels[odd] += rng.normal(0, 60, (10, 1, 20, 20))
    return torch.tensor(pixels.clip(0, 255).astype(np.uint8)), torch.tensor(labels), odd


def test_odd_images_are_the_hardest(images):
    pixels, labels, odd = images
    assert set(difficulty(pixels, labels).topk(10).indices.tolist()) == set(odd.tolist())


def test_difficulty_is_the_distance_in_units_of_the_spread():
    # One class, one pixel: deviations -2, 0, 2 of variance 8/3 give 4 / (8/3) = 1.5.
    pixels = torch.tensor([10, 12, 14], dtype=torch.uint8).view(3, 1, 1, 1)
    assert difficulty(pixels, torch.zeros(3, dtype=torch.int64)).tolist() == pytest.approx([1.5, 0.0, 1.5])


def test_ranks_are_shares_of_the_class():
    labels = torch.tensor([0, 0, 1, 0, 0])
    assert difficulty_ranks(torch.tensor([3.0, 1.0, 9.0, 2.0, 4.0]), labels).tolist() == [
        0.5,
        0.0,
        0.0,
        0.25,
        0.75,
    ]


def test_the_pool_grows_and_keeps_the_classes_shares(images):
    pixels, labels, odd = images
    curriculum = Curriculum(pixels, labels, seed=0, batches=100)
    sizes = [len(curriculum.pool(turn)) for turn in (0, 50, 100, 200)]
    assert sizes == [23 + 8, 57 + 19, 120, 120]  # quarters, then five eighths, rounded up
    first = curriculum.pool(0)
    assert labels[first].float().mean().item() == pytest.approx(8 / 31)
    assert not set(first.tolist()) & set(odd.tolist())
    assert set(first.tolist()) <= set(curriculum.pool(50).tolist())


def test_batches_are_drawn_from_the_pool_and_depend_on_the_turn_alone(images):
    pixels, labels, _ = images
    curriculum = Curriculum(pixels, labels, seed=0, batches=100)
    rows = curriculum.rows(7, 16)
    assert set(rows.tolist()) <= set(curriculum.pool(7).tolist())
    curriculum.rows(8, 16)
    assert torch.equal(Curriculum(pixels, labels, seed=0, batches=100).rows(7, 16), rows)
    assert not torch.equal(curriculum.rows(8, 16), rows)


def test_every_class_is_in_the_pool_from_the_start():
    labels = torch.tensor([0] * 40 + [1] * 2)
    pixels = torch.arange(42, dtype=torch.uint8).view(-1, 1, 1, 1)
    assert set(labels[Curriculum(pixels, labels, 0, 10).pool(0)].tolist()) == {0, 1}
