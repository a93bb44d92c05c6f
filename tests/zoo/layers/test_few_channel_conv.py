"""Reformulated convolutions against PyTorch's own."""

import pytest
import torch
from torch.nn import functional

from gangda.zoo.layers import few_channel_conv


@pytest.mark.parametrize(("outs", "kernel", "stride"), [(1, 5, 2), (3, 5, 2), (1, 3, 1), (2, 5, 1)])
def test_stamps_are_a_transposed_convolution(outs, kernel, stride):
    torch.manual_seed(0)
    x, filters = torch.randn(3, 8, 5, 6), torch.randn(8, outs, kernel, kernel)
    padding = kernel // 2
    plain = functional.conv_transpose2d(
        x.double(), filters.double(), None, stride, padding, output_padding=stride - 1
    )
    ours = few_channel_conv.transposed(x, filters, stride, padding)
    assert torch.allclose(ours.double(), plain, atol=1e-5 * float(plain.abs().max()))


def test_stamps_are_differentiable_twice():
    torch.manual_seed(0)
    leaves = [
        torch.randn(size, dtype=torch.float64, requires_grad=True) for size in ((2, 3, 4, 4), (3, 1, 5, 5))
    ]

    def stamped(x, filters):
        return few_channel_conv.transposed(x, filters, 2, 2)

    assert torch.autograd.gradcheck(stamped, leaves)
    assert torch.autograd.gradgradcheck(lambda x, filters: stamped(x, filters).square(), leaves)


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_last_can_be_told_by_the_strides(channels):
    x = torch.randn(2, channels, 4, 5)
    ours = few_channel_conv.channels_last(x)
    assert torch.equal(ours, x)
    assert ours.stride() == (20 * channels, 1, 5 * channels, channels)


def test_many_channels_and_other_numbers_go_the_plain_way():
    assert few_channel_conv.is_faster(torch.zeros(1, 8, 4, 4), 1)
    assert not few_channel_conv.is_faster(torch.zeros(1, 8, 4, 4), 4)
    assert not few_channel_conv.is_faster(torch.zeros(1, 8, 4, 4, dtype=torch.float64), 1)
