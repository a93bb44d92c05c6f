"""The fused batch norm against the chain of plain operations that it replaces."""

import copy

import pytest
import torch
from torch import nn

from gangda.zoo import fused


def plain(x: torch.Tensor, gain: torch.Tensor, bias: torch.Tensor, norm: nn.BatchNorm2d) -> torch.Tensor:
    return norm(x) * gain[:, :, None, None] + bias[:, :, None, None]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(6, 5, 4, 3), (2, 3, 1, 1), (32, 16, 7, 7)])
def test_is_batch_norm_with_a_gain_and_bias_for_each_row(shape, layout):
    x = torch.randn(shape).contiguous(memory_format=layout)
    upstream = torch.randn(shape)
    ours, theirs = (nn.BatchNorm2d(shape[1], affine=False) for _ in range(2))
    answers = []
    for function, norm in ((fused.scaled_batch_norm, ours), (plain, theirs)):
        generator = torch.Generator().manual_seed(0)
        leaves = [
            x.clone().requires_grad_(),
            *(torch.randn(shape[:2], generator=generator).requires_grad_() for _ in range(2)),
        ]
        out = function(*leaves, norm)
        out.backward(upstream)
        answers.append([out.detach(), *(leaf.grad for leaf in leaves)])
    for one, other in zip(*answers, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-5)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


def test_gradients_are_right_in_double_precision():
    norm = nn.BatchNorm2d(3, affine=False).double()
    leaves = [
        torch.randn(size, dtype=torch.float64, requires_grad=True) for size in ((4, 3, 2, 2), (4, 3), (4, 3))
    ]
    assert torch.autograd.gradcheck(lambda *a: fused.scaled_batch_norm(*a, copy.deepcopy(norm)), leaves)


@pytest.mark.parametrize(
    ("norm", "x"),
    [
        (nn.BatchNorm2d(2, affine=False).eval(), torch.zeros(2, 2, 1, 1)),
        (nn.BatchNorm2d(2, affine=False), torch.zeros(2, 2, 1, 1, dtype=torch.bfloat16)),
        (nn.InstanceNorm2d(2), torch.zeros(2, 2, 1, 1)),
    ],
    ids=["sampling", "bf16", "another norm"],
)
def test_steps_aside_where_it_is_not_the_same(norm, x):
    assert not fused.fits(norm, x)
    assert fused.fits(nn.BatchNorm2d(2, affine=False), torch.zeros(2, 2, 1, 1))
