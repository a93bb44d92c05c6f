"""Losses against values worked by hand."""

import math

import pytest
import torch

from gangda import catalog
from gangda.objectives import losses

REAL, FAKE = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])


def log_sigmoid(x):
    return -math.log(1 + math.exp(-x))


def test_logistic_discriminator():
    expected = -(log_sigmoid(2) + log_sigmoid(-1)) / 2 - (log_sigmoid(-0.5) + log_sigmoid(3)) / 2
    for build in (losses.nonsaturating, losses.minimax):
        assert float(build().discriminator(REAL, FAKE)) == pytest.approx(expected, rel=1e-6)


def test_generator_losses():
    assert float(losses.nonsaturating().generator(FAKE)) == pytest.approx(
        -(log_sigmoid(0.5) + log_sigmoid(-3)) / 2
    )
    assert float(losses.minimax().generator(FAKE)) == pytest.approx((log_sigmoid(-0.5) + log_sigmoid(3)) / 2)
    assert float(losses.hinge().generator(FAKE)) == pytest.approx(1.25)


def test_hinge_discriminator():
    assert float(losses.hinge().discriminator(REAL, FAKE)) == pytest.approx((0 + 2) / 2 + (1.5 + 0) / 2)


@pytest.mark.parametrize("name", catalog.LOSSES)
def test_each_player_is_pushed_the_right_way(name):
    loss = catalog.builder("loss", catalog.LOSSES, name)()
    real, fake = torch.zeros(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    loss.discriminator(real, fake).backward()
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all()
    fake = torch.zeros(3, requires_grad=True)
    loss.generator(fake).backward()
    assert (fake.grad < 0).all()


def test_madgan_cross_entropies():
    # Softmax of (0, ln 2, ln 3) is (1, 2, 3) / 6.
    logits = torch.tensor([[0.0, math.log(2), math.log(3)]])
    discriminator = losses.madgan_discriminator(logits, logits, torch.tensor([1]))
    assert float(discriminator) == pytest.approx(-math.log(3 / 6) - math.log(2 / 6))
    assert float(losses.madgan_minimax(logits)) == pytest.approx(math.log(1 - 3 / 6))
    assert float(losses.madgan_nonsaturating(logits)) == pytest.approx(-math.log(3 / 6))
