"""Convolutions to very few channels as products of matrices: kernels made for many leave most SIMD lanes unused."""

from torch import Tensor
from torch.nn import functional as F

from gangda.zoo.layers.cpu import is_plain_cpu

FEW = 3  # channels of an image


def is_faster(x: Tensor, outs: int) -> bool:
    """Whether `transposed` is the faster way from x (B, C, H, W) to so many channels."""
    return outs <= FEW and is_plain_cpu(x)


def transposed(x: Tensor, filters: Tensor, stride: int, padding: int) -> Tensor:
    """What `conv_transpose2d(x, filters, None, stride, padding, stride - 1)` gives, with 2 padding = k - 1.

    x: (B, C, H, W); filters: (C, C', k, k) -> (B, C', stride H, stride W). Each pixel's k x k stamps in one product,
    then laid over each other; sums are in another order. Differentiable any number of times.
    """
    rows, channels, height, width = x.shape
    kernel = filters.shape[2]
    stamps = x.permute(0, 2, 3, 1).reshape(-1, channels) @ filters.reshape(channels, -1)
    stamps = stamps.view(rows, height * width, -1).transpose(1, 2)
    return F.fold(stamps, (stride * height, stride * width), kernel, padding=padding, stride=stride)


def channels_last(x: Tensor) -> Tensor:
    """(B, C, H, W) in that layout, also by its strides where C is 1 and every layout is the same.

    Convolutions choose the layout of their result by the strides.
    """
    rows, channels, height, width = x.shape
    flat = x.permute(0, 2, 3, 1).reshape(rows, -1)
    return flat.view(rows, height, width, channels).permute(0, 3, 1, 2)
