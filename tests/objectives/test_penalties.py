import pytest
import torch

from gangda.objectives.limited_data import translate
from gangda.objectives.penalties import r1


def test_r1_of_a_quadratic_score():
    # score = sum x^2 has gradient 2x, so the penalty is half the mean of 4 |x|^2.
    x = torch.tensor([1.0, 2.0, 3.0, 0.0]).view(2, 1, 1, 2)
    expected = 0.5 * (4 * 5 + 4 * 9) / 2
    assert r1(lambda images: images.square().sum((1, 2, 3)), x).item() == pytest.approx(expected)


def test_r1_is_differentiable_in_the_weights():
    weight = torch.tensor(3.0, requires_grad=True)
    penalty = r1(lambda images: weight * images.sum((1, 2, 3)), torch.ones(2, 1, 2, 2))
    penalty.backward()
    assert penalty.item() == pytest.approx(0.5 * 9 * 4)
    assert weight.grad.item() == pytest.approx(3 * 4)


def test_translate_moves_whole_pixels_and_keeps_gradients():
    images = torch.full((64, 1, 8, 8), -1.0)
    images[:, :, 3, 4] = 1.0
    moved = translate(images.requires_grad_(True), torch.Generator().manual_seed(0))
    spots = (moved > 0).nonzero()
    assert len(spots) == 64
    assert set((spots[:, 2] - 3).tolist()) == {-1, 0, 1}
    assert set((spots[:, 3] - 4).tolist()) == {-1, 0, 1}
    moved.sum().backward()
    assert images.grad is not None
    assert images.grad.max() == 1


def test_translate_fills_with_black():
    moved = translate(torch.ones(32, 3, 16, 16), torch.Generator().manual_seed(0))
    assert set(moved.unique().tolist()) == {-1.0, 1.0}
