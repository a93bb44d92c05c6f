"""Operations on the hot path, written with their own backward pass where autograd's walks the images too often."""

from typing import Any

import torch
from torch import Tensor, nn


def fits(norm: nn.Module, x: Tensor) -> bool:
    """Whether `scaled_batch_norm` computes what `norm` and a gain and bias for each row would, and is faster.

    That is plain training-mode batch norm of float32 planes on a CPU; bf16 and accelerators have kernels of their own.
    """
    return (
        type(norm) is nn.BatchNorm2d
        and norm.training
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
    )


def scaled_batch_norm(x: Tensor, gain: Tensor, bias: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """`gain * norm(x) + bias` with a gain and a bias for each image and channel; updates the running statistics.

    x: (B, C, H, W); gain, bias: (B, C). Differentiable once. Its backward pass reads the planes four times, where the
    chain of batch norm, product and sum reads them nine times: half the time at 28x28.
    """
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    out: Tensor = _ScaledBatchNorm.apply(
        x, gain, bias, norm.running_mean, norm.running_var, norm.momentum, norm.eps
    )
    return out


class _ScaledBatchNorm(torch.autograd.Function):
    """Ioffe and Szegedy 2015, section 3, with the sums over each image kept apart for gain and bias."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gain: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        momentum: float,
        eps: float,
    ) -> Tensor:
        """Normalise, then scale and shift each image's planes."""
        normal, _, scale = torch.native_batch_norm(
            x, None, None, running_mean, running_var, True, momentum, eps
        )
        ctx.save_for_backward(normal, gain, scale)
        return torch.addcmul(bias[:, :, None, None], normal, gain[:, :, None, None])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, gain and bias."""
        normal, gain, scale = ctx.saved_tensors
        rows, channels, height, width = normal.shape
        flat_normal, flat = (_pixels_by_channels(planes) for planes in (normal, gradients[0]))
        # A product with ones sums faster than `sum` does along a strided dimension.
        ones = flat.new_ones(1, 1, height * width).expand(rows, 1, -1)
        product = flat * flat_normal
        of_bias, of_gain = torch.bmm(ones, flat)[:, 0], torch.bmm(ones, product)[:, 0]
        count = rows * height * width
        mean, slope = ((gain * sums).sum(0) * scale / -count for sums in (of_bias, of_gain))
        inwards = torch.addcmul(mean, flat_normal, slope, out=product)
        inwards.addcmul_(flat, (gain * scale).unsqueeze(1))
        of_x = inwards.view(rows, height, width, channels).permute(0, 3, 1, 2)
        return of_x, of_gain, of_bias, None, None, None, None


def _pixels_by_channels(planes: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H W, C), a view where the layout is channels_last."""
    return planes.permute(0, 2, 3, 1).flatten(1, 2)
