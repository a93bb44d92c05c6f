"""Convolutions with TensorFlow's 'same' padding, and Glorot's initialisation: what nets from Keras are made of."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after a side of `size` pixels, so that a convolution leaves ceil(size / stride).

    Where the sum is odd the one more comes after: a 5x5 convolution of stride 2 on an even side has 1 and 2.
    Source: TensorFlow's documentation of `tf.nn.convolution`, padding="SAME".
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """Square convolution, (B, C, H, W) -> (B, C', ceil(H / stride), ceil(W / stride))."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, **options: Any) -> None:
        super().__init__(n_in, n_out, kernel, stride, **options)

    def forward(self, input: Tensor) -> Tensor:
        """Pad, which at stride 2 is lopsided and so no option of `Conv2d`, then convolve."""
        top, bottom = same_padding(input.shape[2], self.kernel_size[0], self.stride[0])
        left, right = same_padding(input.shape[3], self.kernel_size[1], self.stride[1])
        return super().forward(F.pad(input, (left, right, top, bottom)))


class SameConvTranspose2d(nn.ConvTranspose2d):
    """The gradient of `SameConv2d` by its input: (B, C, H, W) -> (B, C', stride H, stride W).

    The full result has kernel - stride rows too many; (kernel - stride) // 2 are cut off at the top and left, the
    rest below and right. `output_padding` would cut the odd one off at the wrong end: images shifted by one pixel.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, **options: Any) -> None:
        self.cut = (kernel - stride) // 2
        super().__init__(n_in, n_out, kernel, stride, padding=self.cut, **options)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Convolve, then cut off the odd row and column; the result's size is given, `output_size` unused."""
        height, width = input.shape[2] * self.stride[0], input.shape[3] * self.stride[1]
        apart = self.groups > 1 and input.device.type == "cpu" and self.bias is None
        full = self._group_by_group(input) if apart else super().forward(input)
        return full[:, :, :height, :width]

    def _group_by_group(self, input: Tensor) -> Tensor:
        """The same numbers; on CPUs a fifth faster in training than the grouped kernel, whose backward is slow."""
        parts = zip(input.chunk(self.groups, 1), self.weight.chunk(self.groups), strict=True)
        images = [F.conv_transpose2d(x, w, stride=self.stride, padding=self.cut) for x, w in parts]
        return torch.cat(images, dim=1)


def init_glorot(module: nn.Module) -> None:
    """Glorot and Bengio 2010, uniform, and zero biases: Keras's defaults. Each group of a convolution counts alone."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            for part in layer.weight.chunk(getattr(layer, "groups", 1)):
                nn.init.xavier_uniform_(part)
            if layer.bias is not None:
                torch.nn.init.zeros_(layer.bias)
