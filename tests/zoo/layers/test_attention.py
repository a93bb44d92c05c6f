"""Self-attention against a loop over pixels."""

import math

import torch

from gangda.zoo.layers.blocks import SelfAttention


def by_hand(layer, x):
    """Zhang 2019, equations 1-3, one pixel at a time."""
    flat = x.flatten(2)
    out = torch.empty_like(flat)

    def project(conv, column):
        return conv.weight[:, :, 0, 0] @ column + conv.bias

    for b in range(len(x)):
        columns = [flat[b, :, i] for i in range(flat.shape[2])]
        for j, column in enumerate(columns):
            query = project(layer.query, column)
            energies = [math.exp(float(query @ project(layer.key, other))) for other in columns]
            attended = sum(
                e / sum(energies) * project(layer.value, other)
                for e, other in zip(energies, columns, strict=True)
            )
            out[b, :, j] = column + layer.gamma * attended
    return out.view_as(x)


def test_agrees_with_a_loop_over_pixels():
    torch.manual_seed(0)
    layer = SelfAttention(16)
    torch.nn.init.constant_(layer.gamma, 0.7)
    x = torch.randn(2, 16, 3, 4)
    with torch.no_grad():
        assert torch.allclose(layer(x), by_hand(layer, x), atol=1e-5)


def test_starts_as_the_identity_and_learns_gamma_first():
    torch.manual_seed(0)
    layer, x = SelfAttention(8), torch.randn(2, 8, 4, 4)
    y = layer(x)
    assert torch.equal(y, x)
    y.square().sum().backward()
    assert layer.gamma.grad.abs() > 0
    assert layer.value.weight.grad.abs().max() == 0


def test_numbers_of_parameters():
    # 128 channels: query and key 128 -> 16, value 128 -> 128, all with biases, and gamma.
    layer = SelfAttention(128)
    assert sum(p.numel() for p in layer.parameters()) == 2 * (128 * 16 + 16) + 128 * 128 + 128 + 1
