"""Convolutions with TensorFlow's 'same' padding, and Glorot's initialisation, for networks that come from Keras.

At stride 2 that padding is asymmetric: on an even side a 5x5 convolution has one zero before and two after, which no
option of PyTorch's gives. But PyTorch drops what is left over after the last stride, so that its padding of two on both
sides is two before and one after: the same, mirrored. So the layers here take and give planes that are mirrored in both
directions, and mirror their filters, which are small; no plane need be padded, cropped or copied.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gangda.zoo.layers import cpu_convolutions


def mirrored(planes: Tensor) -> Tensor:
    """(B, C, H, W) turned by half a circle, in memory too."""
    return planes.flip(2, 3)


class MirroredConv2d(nn.Conv2d):
    """'Same' convolution of mirrored planes, stride s: (B, C, H, W) -> (B, C', ceil(H / s), ceil(W / s)), mirrored.

    Odd kernels, stride 1 or 2. The parameters are those of an unmirrored `Conv2d`.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, **options: Any) -> None:
        _check(kernel, stride)
        super().__init__(n_in, n_out, kernel, stride, padding=kernel // 2, **options)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve with mirrored filters."""
        return F.conv2d(input, mirrored(self.weight), self.bias, self.stride, self.padding)


class MirroredConvTranspose2d(nn.ConvTranspose2d):
    """The gradient of `MirroredConv2d` by its input: (B, C, H, W) -> (B, C', s H, s W), mirrored both.

    TensorFlow cuts off (kernel - s) // 2 rows at the top and left, and the rest below and right. Without a bias.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, groups: int = 1) -> None:
        _check(kernel, stride)
        super().__init__(n_in, n_out, kernel, stride, groups=groups, bias=False)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Convolve with mirrored filters; the result's size is given, `output_size` unused."""
        if self.groups == 1 or input.device.type != "cpu":
            return self._convolved(input, self.weight, self.groups)
        # On CPUs a fifth faster in training than the grouped kernel, whose backward is slow.
        parts = zip(input.chunk(self.groups, 1), self.weight.chunk(self.groups), strict=True)
        return torch.cat([self._convolved(x, weight, 1) for x, weight in parts], dim=1)

    def _convolved(self, x: Tensor, weight: Tensor, groups: int) -> Tensor:
        """On CPUs the first and the last layer are reformulated; all ways give the same function."""
        (stride, _), padding = self.stride, self.kernel_size[0] // 2
        if groups == 1 and stride == 1 and cpu_convolutions.fourier_is_faster(x, self.kernel_size[0]):
            return cpu_convolutions.fourier_convolution(x, weight)  # this one mirrors the filters by itself
        filters = mirrored(weight)
        if groups == 1 and cpu_convolutions.few_channels_are_faster(x, filters.shape[1]):
            return cpu_convolutions.few_channels_transposed(x, filters, stride, padding)
        return F.conv_transpose2d(x, filters, None, stride, padding, stride - 1, groups)


def _check(kernel: int, stride: int) -> None:
    if kernel % 2 == 0 or stride not in (1, 2):
        raise ValueError(f"odd kernels and strides of 1 or 2 only, not {kernel} and {stride}")


def init_glorot(module: nn.Module) -> None:
    """Glorot and Bengio 2010, uniform, and zero biases: Keras's defaults. Each group of a convolution counts alone."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            for part in layer.weight.chunk(getattr(layer, "groups", 1)):
                nn.init.xavier_uniform_(part)
            if layer.bias is not None:
                torch.nn.init.zeros_(layer.bias)
