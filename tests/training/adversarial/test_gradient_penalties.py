"""Gradient penalties against values worked by hand."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from training_setup import draws

from gangda.training.adversarial.losses import gradient_norm_penalty
from gangda.training.adversarial.regularisers import DiscriminatorBatch, clip_weights, gradient_penalty


def test_slope_penalty_of_a_quadratic_score():
    # score = sum x^2 has gradient 2x, so the penalty is half the mean of 4 |x|^2.
    x = torch.tensor([1.0, 2.0, 3.0, 0.0]).view(2, 1, 1, 2)
    expected = 0.5 * (4 * 5 + 4 * 9) / 2
    assert gradient_norm_penalty(lambda images: images.square().sum((1, 2, 3)), x).item() == pytest.approx(
        expected
    )


def test_slope_penalty_is_differentiable_in_the_weights():
    weight = torch.tensor(3.0, requires_grad=True)
    penalty = gradient_norm_penalty(lambda images: weight * images.sum((1, 2, 3)), torch.ones(2, 1, 2, 2))
    penalty.backward()
    assert penalty.item() == pytest.approx(0.5 * 9 * 4)
    assert weight.grad.item() == pytest.approx(3 * 4)


def penalty_of(score, real, fake):
    method = SimpleNamespace(options=SimpleNamespace(gp=1.0), scorer=lambda y, drawn: score)
    y = torch.zeros(len(real), dtype=torch.int64)
    batch = DiscriminatorBatch(real, y, fake, y, draws(), None, None)
    return gradient_penalty(method, batch)["d_gp"]


def test_gradient_penalty_of_a_linear_score():
    # Slope w in each of 4 pixels: norm 2w everywhere, so the penalty is (2w - 1)^2, with derivative 4 (2w - 1).
    weight = torch.tensor(3.0, requires_grad=True)
    real = torch.ones(5, 1, 2, 2)
    penalty = penalty_of(lambda images: weight * images.sum((1, 2, 3)), real, -real)
    penalty.backward()
    assert penalty.item() == pytest.approx(25)
    assert weight.grad.item() == pytest.approx(20)


def test_gradient_penalty_looks_between_pairs():
    seen = []

    def score(images):
        seen.append(images.detach())
        return images.sum((1, 2, 3))

    penalty_of(score, torch.ones(200, 1, 1, 2), torch.zeros(200, 1, 1, 2))
    shares = seen[0][:, 0, 0]
    assert torch.equal(shares[:, 0], shares[:, 1])  # one share a pair
    assert 0 <= shares.min() < 0.05
    assert 0.95 < shares.max() <= 1
    assert shares.mean().item() == pytest.approx(0.5, abs=0.06)


def test_weights_are_clipped_in_place():
    layer = nn.Linear(2, 1)
    layer.weight.data = torch.tensor([[0.5, -0.5]])
    layer.bias.data = torch.tensor([0.005])
    clip_weights(layer, 0.0)
    assert layer.weight.tolist() == [[0.5, -0.5]]
    clip_weights(layer, 0.01)
    assert layer.weight.tolist() == [[pytest.approx(0.01), pytest.approx(-0.01)]]
    assert layer.bias.tolist() == [pytest.approx(0.005)]
