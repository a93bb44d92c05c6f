"""A small residual network for 8 to 64 pixels."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from gangda.classifying.networks.base import FeatureNetwork

WIDTHS = (32, 32, 64, 128)  # channels of the stem and of the three stages
FEATURES = WIDTHS[-1]


class Block(nn.Module):
    """Batch norm, ReLU, 3x3 convolution, twice, added to the input: (B, a, H, W) -> (B, b, H/stride, W/stride).

    Source: He 2016, "Identity mappings in deep residual networks", figure 4e; where the shape changes, the shortcut is
    a 1x1 convolution of the activated input, as there.
    """

    def __init__(self, a: int, b: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(a), nn.BatchNorm2d(b)
        self.conv1 = nn.Conv2d(a, b, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(b, b, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(a, b, 1, stride, bias=False) if (a, stride) != (b, 1) else None

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both ways."""
        h = torch.relu(self.norm1(x))
        around = x if self.shortcut is None else self.shortcut(h)
        inner: Tensor = self.conv2(torch.relu(self.norm2(self.conv1(h))))
        return inner + around


class ResNet(FeatureNetwork):
    """A strided stem, three residual blocks of 32, 64 and 128 channels, mean over the plane, linear.

    307,690 parameters for one channel and ten classes: about the size of He's ResNet-20 for CIFAR (0.27 million), but
    wider, shallower, and with a stem that halves the side, so that two cores train it in minutes. Below 16 pixels the
    stem keeps the side.
    """

    def __init__(self, num_classes: int, channels: int, size: int) -> None:
        super().__init__(size)
        self.stem = nn.Conv2d(channels, WIDTHS[0], 3, 2 if size >= 16 else 1, 1, bias=False)
        strides = (1, 2, 2)
        pairs = zip(pairwise(WIDTHS), strides, strict=True)
        self.blocks = nn.Sequential(*[Block(a, b, stride) for (a, b), stride in pairs])
        self.norm = nn.BatchNorm2d(FEATURES)
        self.output = nn.Linear(FEATURES, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """See `FeatureNetwork.features`; F = 128, means over the plane."""
        return torch.relu(self.norm(self.blocks(self.stem(x)))).mean((2, 3))
