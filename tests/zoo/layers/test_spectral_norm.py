"""Spectral norm against the singular value decomposition."""

import copy

import pytest
import torch
from torch import nn

from gangda.zoo.layers.spectral_norm import add_spectral_norm


def largest(layer):
    weight = layer.weight.detach()
    if isinstance(layer, nn.ConvTranspose2d):
        weight = weight.transpose(0, 1)
    return float(torch.linalg.svdvals(weight.flatten(1))[0])


LAYERS = {
    "linear": lambda: (nn.Linear(7, 5), torch.randn(2, 7)),
    "convolution": lambda: (nn.Conv2d(3, 6, 4), torch.randn(2, 3, 5, 5)),
    "transposed": lambda: (nn.ConvTranspose2d(3, 6, 4), torch.randn(2, 3, 5, 5)),
    "embedding": lambda: (nn.Embedding(10, 4), torch.arange(10)),
}


@pytest.mark.parametrize("kind", list(LAYERS))
def test_the_largest_singular_value_is_one(kind):
    torch.manual_seed(0)
    layer, x = LAYERS[kind]()
    before = largest(layer)
    weight = layer.weight.detach().clone()
    network = nn.Sequential(layer).train()
    add_spectral_norm(network)
    for _ in range(100):
        network(x)
    assert largest(layer) == pytest.approx(1, abs=1e-3)
    assert torch.allclose(layer.weight * before, weight, atol=2e-3 * before)


def test_it_follows_the_weights_in_training_and_stands_still_in_evaluation():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 6))
    add_spectral_norm(network)
    norm = network[0].parametrizations.weight[0]
    with torch.no_grad():
        network[0].parametrizations.weight.original.copy_(torch.diag(torch.arange(1.0, 7.0)))
    network.eval()
    kept = norm.u.clone()
    network(torch.randn(1, 6))
    assert torch.equal(norm.u, kept)
    network.train()
    for _ in range(100):
        network(torch.randn(1, 6))
    assert not torch.equal(norm.u, kept)
    assert torch.allclose(network[0].weight, torch.diag(torch.arange(1.0, 7.0) / 6), atol=1e-4)


def test_a_shrunken_vector_does_no_harm():
    # What a weight average holds is a mean of unit vectors, shorter than one.
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 6)).train()
    add_spectral_norm(network)
    for _ in range(50):
        network(torch.randn(1, 6))
    averaged = copy.deepcopy(network).eval()
    averaged[0].parametrizations.weight[0].u.mul_(0.3)
    assert torch.allclose(averaged[0].weight, network.eval()[0].weight, atol=1e-4)


def test_weights_that_start_as_zero_get_a_direction():
    network = nn.Sequential(nn.Embedding(3, 4))
    nn.init.zeros_(network[0].weight)
    add_spectral_norm(network)
    assert torch.isfinite(network[0].weight).all()
    assert network[0].weight.detach().any()


def test_embeddings_may_be_left_out():
    network = nn.Sequential(nn.Embedding(3, 4))
    add_spectral_norm(network, embeddings=False)
    assert type(network[0]) is nn.Embedding


def test_the_gradient_knows_of_the_division():
    # d(w / |w|) for one row: the part of the gradient along w vanishes (Miyato 2018, equation 12).
    network = nn.Sequential(nn.Linear(3, 1, bias=False)).train()
    add_spectral_norm(network)
    original = network[0].parametrizations.weight.original
    with torch.no_grad():
        original.copy_(torch.tensor([[3.0, 0.0, 4.0]]))
    network(torch.tensor([[1.0, 1.0, 1.0]])).sum().backward()
    along = torch.tensor([0.6, 0.0, 0.8])
    expected = (torch.ones(3) - along * 1.4) / 5
    assert torch.allclose(original.grad[0], expected, atol=1e-6)
