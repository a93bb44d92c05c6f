"""Orthogonal regularisation by hand, dropout in the discriminator, and the classes that fakes are made for."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from training_setup import configured, method_with, networks_of

from gangda.training.adversarial.regularisers import GENERATOR
from gangda.zoo.layers.spectral_norm import add_spectral_norm

SMALL = {"width": 8, "d_width": 8}
CONDITIONAL = ("cdcgan", "acgan", "wgan-gp", "sagan", "biggan", "madgan", "mixture-gan")


def orthogonal(generator):
    method = SimpleNamespace(generator=generator, options=SimpleNamespace(orthogonal=0.5))
    return float(GENERATOR["orthogonal"](method, None)["g_orthogonal"].detach())


def off_diagonal(matrix):
    """Sum of the squares of W W^T beside its diagonal, by NumPy."""
    products = matrix @ matrix.T
    return (products**2).sum() - (np.diag(products) ** 2).sum()


@pytest.mark.parametrize("normed", [False, True])
def test_orthogonal_regularisation_is_the_sum_of_products_of_different_filters(normed):
    torch.manual_seed(0)
    layers = nn.Linear(3, 4), nn.Conv2d(2, 5, 3), nn.ConvTranspose2d(6, 2, 3), nn.Embedding(7, 8)
    linear, conv, transposed, _ = (layer.weight.detach().numpy().astype(float) for layer in layers)
    matrices = linear, conv.reshape(5, -1), transposed.swapaxes(0, 1).reshape(2, -1)
    network = nn.Sequential(*layers)
    if normed:
        add_spectral_norm(network)
        assert parametrize.is_parametrized(layers[0], "weight")
    assert orthogonal(network) == pytest.approx(0.5 * sum(map(off_diagonal, matrices)), rel=1e-5)


def test_orthogonal_filters_are_not_penalised():
    layer = nn.Linear(6, 4)
    nn.init.orthogonal_(layer.weight, gain=3.0)
    assert orthogonal(layer) == pytest.approx(0, abs=1e-6)


def method_of(arch, blobs, context, options=SMALL, **values):
    config = configured(arch, options, **values)
    return method_with(config, networks_of(config, blobs), blobs, context, 7)


def test_fakes_are_made_for_the_classes_of_the_batch_or_for_all_alike(blobs, context):
    y = torch.zeros(300, dtype=torch.int64)
    method = method_of("cdcgan", blobs, context)
    assert torch.equal(method.fakes(y, method.draws(0)[0])[1], y)
    method = method_of("cdcgan", blobs, context, fake_classes="uniform")
    first = method.fakes(y, method.draws(0)[0])[1]
    counts = np.bincount(first, minlength=blobs.num_classes)
    share = 300 / blobs.num_classes
    assert np.abs(counts - share).max() < 4 * np.sqrt(share)
    assert torch.equal(first, method.fakes(y, method.draws(0)[0])[1])
    assert not torch.equal(first, method.fakes(y, method.draws(1)[0])[1])


@pytest.mark.parametrize("values", [{}, {"simultaneous": True}, {"bcr": 10.0}, {"d_steps": 2}])
def test_the_discriminator_is_asked_about_the_classes_that_were_drawn(values, blobs, context, monkeypatch):
    method = method_of("cdcgan", blobs, context, fake_classes="uniform", **values)
    asked, score = [], method.score
    monkeypatch.setattr(method, "score", lambda x, y, draws: asked.append(y) or score(x, y, draws))
    real, y = torch.zeros(12, *blobs.image_shape), torch.zeros(12, dtype=torch.int64)
    draws = method.draws(0)
    method.step([(real, y)] * len(draws), draws)
    assert torch.cat(asked).any()  # all real images are of class 0


@pytest.mark.parametrize("arch", CONDITIONAL)
def test_dropout_makes_a_discriminator_vary_in_training_alone(arch, blobs, context):
    discriminator = method_of(arch, blobs, context, {**SMALL, "dropout": 0.5}).discriminator
    x, y = torch.rand(4, *blobs.image_shape), torch.zeros(4, dtype=torch.int64)
    for training in (True, False):
        discriminator.train(training)
        first, second = (discriminator(x, y).adversarial for _ in range(2))
        assert torch.equal(first, second) != training
