"""Convolution in frequency space against PyTorch's own."""

import pytest
import torch
from torch.nn import functional

from gangda.zoo.layers import fourier_conv


@pytest.mark.parametrize(("side", "kernel"), [(4, 5), (5, 5), (7, 5), (8, 5), (12, 7)])
def test_is_the_same_convolution(side, kernel):
    torch.manual_seed(0)
    x, filters = torch.randn(3, 4, side, side), torch.randn(4, 6, kernel, kernel)
    plain = functional.conv2d(x.double(), filters.double().transpose(0, 1), padding=kernel // 2)
    ours = fourier_conv.convolution(x, filters)
    assert ours.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(ours.double(), plain, atol=1e-5 * float(plain.abs().max()))


def test_gradients_are_those_of_the_convolution_twice():
    torch.manual_seed(0)
    x, filters = torch.randn(2, 3, 7, 7), torch.randn(3, 4, 5, 5)
    found = []
    for dtype, convolve in (
        (torch.float32, fourier_conv.convolution),
        (torch.float64, lambda a, b: functional.conv2d(a, b.transpose(0, 1), padding=2)),
    ):
        leaves = [tensor.to(dtype).requires_grad_() for tensor in (x, filters)]
        once = torch.autograd.grad(convolve(*leaves).square().sum(), leaves, create_graph=True)
        twice = torch.autograd.grad(once[0].square().sum(), leaves)
        found.append([tensor.double() for tensor in (*once, *twice)])
    for ours, exact in zip(*found, strict=True):
        assert torch.allclose(ours, exact, atol=2e-5 * float(exact.abs().max()))


def test_the_first_use_may_be_while_sampling():
    fourier_conv._transforms.cache_clear()
    x, filters = torch.randn(1, 2, 6, 6), torch.randn(2, 2, 5, 5, requires_grad=True)
    with torch.inference_mode():
        fourier_conv.convolution(x, filters)
    fourier_conv.convolution(
        x, filters
    ).sum().backward()  # tensors of inference mode could not be saved for this
    assert filters.grad is not None


@pytest.mark.parametrize(
    ("x", "kernel"),
    [
        (torch.zeros(1, 1, 7, 7, dtype=torch.float64), 5),
        (torch.zeros(1, 1, 7, 8), 5),
        (torch.zeros(1, 1, 28, 28), 5),
        (torch.zeros(1, 1, 7, 7), 3),
        (torch.zeros(1, 1, 7, 7), 6),
    ],
    ids=["doubles", "not square", "large", "small filters", "even filters"],
)
def test_steps_aside_where_it_is_not_the_same_or_slower(x, kernel):
    assert not fourier_conv.is_faster(x, kernel)
    assert fourier_conv.is_faster(torch.zeros(1, 1, 7, 7), 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not fourier_conv.is_faster(torch.zeros(1, 1, 7, 7), 5)
