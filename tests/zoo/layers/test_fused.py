"""Fused operations against the chains of plain ones that they replace."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from gangda.zoo.layers import fused


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
    assert not fused.applies_to(norm, x)
    assert fused.applies_to(nn.BatchNorm2d(2, affine=False), torch.zeros(2, 2, 1, 1))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_leaky_dropout_drops_its_share_and_scales_the_rest(layout):
    torch.manual_seed(0)
    x = torch.randn(64, 7, 9, 31).contiguous(memory_format=layout)
    inputs = x.clone(memory_format=torch.preserve_format).requires_grad_()
    result = fused.leaky_dropout(inputs, 0.3, 0.4, True)
    upstream = torch.randn_like(result)
    (gradient,) = torch.autograd.grad(result, inputs, upstream)
    kept = result != 0
    # Standard error of the share: sqrt(0.24 / 124,992) = 0.0014; the same within every channel and every column.
    assert float(kept.float().mean()) == pytest.approx(0.6, abs=4 * 0.0014)
    for dims in ((0, 2, 3), (0, 1, 2), (1, 2, 3)):
        shares = kept.float().mean(dims)
        assert float((shares - 0.6).abs().max()) < 5 * (0.24 * len(shares) / x.numel()) ** 0.5
    expected = functional.leaky_relu(x, 0.3) * kept / 0.6
    assert torch.allclose(result, expected, rtol=2e-5)
    assert torch.allclose(gradient, upstream * torch.where(x > 0, 1.0, 0.3) * kept / 0.6, rtol=2e-5)
    assert result.stride() == x.stride()


def test_leaky_dropout_draws_from_the_global_stream_and_anew_each_time():
    x = torch.ones(1000)
    torch.manual_seed(1)
    first, second = (fused.leaky_dropout(x, 0.3, 0.5, True) for _ in range(2))
    torch.manual_seed(1)
    assert torch.equal(fused.leaky_dropout(x, 0.3, 0.5, True), first)
    assert 350 < int((first != second).sum()) < 650  # of which half are expected to differ


def test_leaky_dropout_can_be_differentiated_twice_and_is_off_when_sampling():
    x = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)

    def seeded(values):
        torch.manual_seed(0)
        return fused.leaky_dropout(values, 0.3, 0.5, True).square()

    assert torch.autograd.gradcheck(seeded, x)
    assert torch.autograd.gradgradcheck(seeded, x)
    assert torch.equal(fused.leaky_dropout(x, 0.3, 0.5, False), functional.leaky_relu(x, 0.3))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_dropout_drops_its_share_and_scales_the_rest(layout):
    torch.manual_seed(0)
    x = (torch.rand(64, 7, 9, 31) + 0.5).contiguous(memory_format=layout).requires_grad_()
    result = fused.dropout(x, 0.1, True)
    kept = result != 0
    assert float(kept.float().mean()) == pytest.approx(0.9, abs=4 * (0.09 / x.numel()) ** 0.5)
    assert torch.allclose(result, x * kept / 0.9, rtol=2e-5)
    (gradient,) = torch.autograd.grad(result.sum(), x)
    assert torch.allclose(gradient, kept / 0.9, rtol=2e-5)
    assert not torch.equal(kept, fused.dropout(x, 0.1, True) != 0)
    torch.manual_seed(0)
    torch.rand(64, 7, 9, 31)
    assert torch.equal(result, fused.dropout(x, 0.1, True))


def test_dropout_is_off_in_evaluation_and_torchs_own_elsewhere():
    x = torch.rand(100, 10)
    assert torch.equal(fused.dropout(x, 0.5, False), x)
    assert torch.equal(fused.dropout(x, 0.0, True), x)
    torch.manual_seed(0)
    ours = fused.dropout(x.bfloat16(), 0.5, True)
    torch.manual_seed(0)
    assert torch.equal(ours, functional.dropout(x.bfloat16(), 0.5, True))
