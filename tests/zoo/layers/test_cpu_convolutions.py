"""Reformulated convolutions against PyTorch's own."""

import pytest
import torch
from torch.nn import functional

from gangda.zoo.layers import cpu_convolutions


@pytest.mark.parametrize(("outs", "kernel", "stride"), [(1, 5, 2), (3, 5, 2), (1, 3, 1), (2, 5, 1)])
def test_stamps_are_a_transposed_convolution(outs, kernel, stride):
    torch.manual_seed(0)
    x, filters = torch.randn(3, 8, 5, 6), torch.randn(8, outs, kernel, kernel)
    padding = kernel // 2
    plain = functional.conv_transpose2d(
        x.double(), filters.double(), None, stride, padding, output_padding=stride - 1
    )
    ours = cpu_convolutions.few_channels_transposed(x, filters, stride, padding)
    assert torch.allclose(ours.double(), plain, atol=1e-5 * float(plain.abs().max()))


def test_stamps_are_differentiable_twice():
    torch.manual_seed(0)
    leaves = [
        torch.randn(size, dtype=torch.float64, requires_grad=True) for size in ((2, 3, 4, 4), (3, 1, 5, 5))
    ]

    def stamped(x, filters):
        return cpu_convolutions.few_channels_transposed(x, filters, 2, 2)

    assert torch.autograd.gradcheck(stamped, leaves)
    assert torch.autograd.gradgradcheck(lambda x, filters: stamped(x, filters).square(), leaves)


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_last_can_be_told_by_the_strides(channels):
    x = torch.randn(2, channels, 4, 5)
    ours = cpu_convolutions.channels_last(x)
    assert torch.equal(ours, x)
    assert ours.stride() == (20 * channels, 1, 5 * channels, channels)


def test_many_channels_and_other_numbers_go_the_plain_way():
    assert cpu_convolutions.few_channels_are_faster(torch.zeros(1, 8, 4, 4), 1)
    assert not cpu_convolutions.few_channels_are_faster(torch.zeros(1, 8, 4, 4), 4)
    assert not cpu_convolutions.few_channels_are_faster(torch.zeros(1, 8, 4, 4, dtype=torch.float64), 1)


@pytest.mark.parametrize(("side", "kernel"), [(4, 5), (5, 5), (7, 5), (8, 5), (12, 7)])
def test_is_the_same_convolution(side, kernel):
    torch.manual_seed(0)
    x, filters = torch.randn(3, 4, side, side), torch.randn(4, 6, kernel, kernel)
    plain = functional.conv2d(x.double(), filters.double().transpose(0, 1), padding=kernel // 2)
    ours = cpu_convolutions.fourier_convolution(x, filters)
    assert ours.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(ours.double(), plain, atol=1e-5 * float(plain.abs().max()))


def test_gradients_are_those_of_the_convolution_twice():
    torch.manual_seed(0)
    x, filters = torch.randn(2, 3, 7, 7), torch.randn(3, 4, 5, 5)
    found = []
    for dtype, convolve in (
        (torch.float32, cpu_convolutions.fourier_convolution),
        (torch.float64, lambda a, b: functional.conv2d(a, b.transpose(0, 1), padding=2)),
    ):
        leaves = [tensor.to(dtype).requires_grad_() for tensor in (x, filters)]
        once = torch.autograd.grad(convolve(*leaves).square().sum(), leaves, create_graph=True)
        twice = torch.autograd.grad(once[0].square().sum(), leaves)
        found.append([tensor.double() for tensor in (*once, *twice)])
    for ours, exact in zip(*found, strict=True):
        assert torch.allclose(ours, exact, atol=2e-5 * float(exact.abs().max()))


def test_the_first_use_may_be_while_sampling():
    cpu_convolutions._transforms.cache_clear()
    x, filters = torch.randn(1, 2, 6, 6), torch.randn(2, 2, 5, 5, requires_grad=True)
    with torch.inference_mode():
        cpu_convolutions.fourier_convolution(x, filters)
    cpu_convolutions.fourier_convolution(
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
    assert not cpu_convolutions.fourier_is_faster(x, kernel)
    assert cpu_convolutions.fourier_is_faster(torch.zeros(1, 1, 7, 7), 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not cpu_convolutions.fourier_is_faster(torch.zeros(1, 1, 7, 7), 5)
