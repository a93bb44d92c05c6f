"""Losses against values worked by hand."""

import math
from types import SimpleNamespace

import pytest
import torch

from gangda.config import catalog
from gangda.training.adversarial import losses, madgan, regularisers
from gangda.zoo.base import Scores


def loss_of(name):
    return catalog.builder("loss", catalog.LOSSES, name)()


REAL, FAKE = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])


def log_sigmoid(x):
    return -math.log(1 + math.exp(-x))


# In each: the discriminator's loss, then the generator's.
BY_HAND = {
    "nonsaturating": (
        -(log_sigmoid(2) + log_sigmoid(-1)) / 2 - (log_sigmoid(-0.5) + log_sigmoid(3)) / 2,
        -(log_sigmoid(0.5) + log_sigmoid(-3)) / 2,
    ),
    "minimax": (
        -(log_sigmoid(2) + log_sigmoid(-1)) / 2 - (log_sigmoid(-0.5) + log_sigmoid(3)) / 2,
        (log_sigmoid(-0.5) + log_sigmoid(3)) / 2,
    ),
    "hinge": ((0 + 2) / 2 + (1.5 + 0) / 2, 1.25),
    "lsgan": (0.5 * (1 + 4) / 2 + 0.5 * (0.25 + 9) / 2, 0.5 * (0.25 + 16) / 2),
    "wasserstein": (-1.25 - 0.5, 1.25),
    "relativistic": (-(log_sigmoid(1.5) + log_sigmoid(2)) / 2, -(log_sigmoid(-1.5) + log_sigmoid(-2)) / 2),
}


@pytest.mark.parametrize("name", catalog.LOSSES)
def test_by_hand(name):
    loss = catalog.builder("loss", catalog.LOSSES, name)()
    assert float(loss.discriminator(REAL, FAKE)) == pytest.approx(BY_HAND[name][0], rel=1e-6)
    assert float(loss.generator(FAKE, REAL if loss.paired else None)) == pytest.approx(
        BY_HAND[name][1], rel=1e-6
    )


@pytest.mark.parametrize("name", catalog.LOSSES)
def test_each_player_is_pushed_the_right_way(name):
    loss = catalog.builder("loss", catalog.LOSSES, name)()
    real, fake = torch.full((3,), 0.1, requires_grad=True), torch.full((3,), 0.1, requires_grad=True)
    loss.discriminator(real, fake).backward()
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all()
    fake = torch.zeros(3, requires_grad=True)
    loss.generator(fake, torch.zeros(3)).backward()
    assert (fake.grad < 0).all()


@pytest.mark.parametrize("name", [name for name in catalog.LOSSES if loss_of(name).logistic])
@pytest.mark.parametrize("amount", [0.1, 0.3])
def test_smoothed_labels_are_the_cross_entropy_with_a_lower_target(name, amount):
    loss = catalog.builder("loss", catalog.LOSSES, name)()
    smoothed = loss.discriminator(REAL, FAKE) + losses.label_smoothing(REAL, amount)
    target = torch.full((2,), 1 - amount)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(REAL, target)
    expected += torch.nn.functional.binary_cross_entropy_with_logits(FAKE, torch.zeros(2))
    assert float(smoothed) == pytest.approx(float(expected), rel=1e-6)


def test_only_relative_losses_need_real_images_for_the_generator():
    assert [name for name in catalog.LOSSES if loss_of(name).paired] == ["relativistic"]
    with pytest.raises(ValueError, match="real images"):
        losses.relativistic().generator(FAKE, None)


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [(0.0, (1 / 2 + 1 / 2) / 2), (0.6, (1 / 2 + 2 / 2) / 2), (None, 2 / 2)],
)
def test_accuracy(threshold, expected):
    assert float(losses.accuracy(REAL, FAKE, threshold)) == expected


def test_accuracy_with_fewer_fakes_than_real_images():
    assert float(losses.accuracy(torch.tensor([1.0, 1.0, -1.0]), torch.tensor([2.0, 0.0]), None)) == 0.5


def test_auxiliary_cross_entropy():
    # Softmax of (0, ln 3) is (1, 3) / 4.
    classes = torch.tensor([[0.0, math.log(3)], [0.0, math.log(3)]])
    method = SimpleNamespace(options=SimpleNamespace(aux_weight=1.0), scaled=lambda loss: loss)
    loss = regularisers.auxiliary(method, "d", (Scores(classes[:, 0], classes), torch.tensor([1, 0])))["d"]
    assert float(loss) == pytest.approx(-(math.log(3 / 4) + math.log(1 / 4)) / 2)


# Softmax of (0, ln 2, ln 3) is (1, 2, 3) / 6.
LOGITS = torch.tensor([[0.0, math.log(2), math.log(3)]])


def test_madgan_cross_entropies():
    both = madgan.discriminator_loss(LOGITS, LOGITS, torch.tensor([1]))
    assert float(both) == pytest.approx(-math.log(3 / 6) - math.log(2 / 6))
    assert float(madgan.minimax(LOGITS)) == pytest.approx(math.log(1 - 3 / 6))
    assert float(madgan.nonsaturating(LOGITS)) == pytest.approx(-math.log(3 / 6))
    assert float(madgan.real_score(LOGITS)) == pytest.approx(math.log(3 / 3))


def test_madgan_smoothed_labels_share_the_rest_among_the_generators():
    target = torch.tensor([[0.05, 0.05, 0.9]])
    expected = torch.nn.functional.cross_entropy(LOGITS, target)
    smoothed = torch.nn.functional.cross_entropy(LOGITS, torch.tensor([2])) + madgan.label_smoothing(
        LOGITS, 0.1
    )
    assert float(smoothed) == pytest.approx(float(expected), rel=1e-6)


def test_identity_looks_at_the_generators_only():
    def identity(logits):
        method = SimpleNamespace(
            options=SimpleNamespace(generator_id_weight=1.0), generator=SimpleNamespace(num_generators=2)
        )
        both = logits.repeat(2, 1)  # of generator 0, then of generator 1
        batch = SimpleNamespace(fake=both, on_fake=Scores(both))
        return float(regularisers.generator_id(method, batch)["g_identity"])

    expected = -(math.log(1 / 3) + math.log(2 / 3)) / 2
    assert identity(LOGITS) == pytest.approx(expected)
    assert identity(LOGITS + torch.tensor([0.0, 0.0, 5.0])) == pytest.approx(expected)
