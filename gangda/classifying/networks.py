"""Classifier networks: LeNet, a small residual network, logistic regression; initialised from torch's global stream."""

import abc
from itertools import pairwise

import torch
from torch import Tensor, nn

from gangda.errors import UsageError

SMALLEST, LARGEST = 8, 64  # pixels a side
WIDTHS = (32, 32, 64, 128)  # channels of the residual network's stem and of its three stages


class FeatureNetwork(nn.Module, abc.ABC):
    """A network whose linear layer `output` follows its `features`; raises UsageError unless `size` is 8 to 64."""

    output: nn.Linear

    def __init__(self, size: int) -> None:
        super().__init__()
        if not SMALLEST <= size <= LARGEST:
            name = type(self).__name__.lower()
            raise UsageError(
                f"{name} takes images of {SMALLEST} to {LARGEST} pixels, not {size}; set --image-size"
            )

    @abc.abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Activations before the output layer: (B, C, H, W) in [-1, 1] -> (B, F), not negative."""

    def forward(self, x: Tensor) -> Tensor:
        """Class logits: (B, C, H, W) in [-1, 1] -> (B, K)."""
        logits: Tensor = self.output(self.features(x))
        return logits


class LeNet(FeatureNetwork):
    """LeNet-5 with ReLU and max pooling; F = 84.

    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition", section II.B. Departures: ReLU
    for scaled tanh, max for trainable average pooling, full connections between the two convolutions, and a plain
    linear output layer for the radial basis functions. The first convolution is padded by 2 (the paper's 28-pixel
    digits come padded to 32). Below 16 pixels, where little would be left to convolve, both convolutions are 3x3 padded
    by 1 and the first pooling is left out (8x8 digits: a point better and faster than padded 5x5 with both poolings).

    `fp32_on_cpu`: bf16 makes convolutions of so few channels slower on a CPU, not faster.
    """

    fp32_on_cpu = True

    def __init__(self, num_classes: int, channels: int, size: int) -> None:
        super().__init__(size)
        pooling: nn.Module = nn.MaxPool2d(2)  # before ReLU: the same values from a quarter of the work
        first, second = nn.Conv2d(channels, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        side = (size // 2 - 4) // 2
        if size < 16:
            pooling, side = nn.Identity(), size // 2
            first, second = nn.Conv2d(channels, 6, 3, padding=1), nn.Conv2d(6, 16, 3, padding=1)
        self.convolutions = nn.Sequential(
            first, pooling, nn.ReLU(), second, nn.MaxPool2d(2), nn.ReLU(), nn.Flatten()
        )
        self.hidden = nn.Sequential(nn.Linear(16 * side**2, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU())
        self.output = nn.Linear(84, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """See `FeatureNetwork.features`."""
        hidden: Tensor = self.hidden(self.convolutions(x))
        return hidden


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
    """A strided stem, three residual blocks of 32, 64 and 128 channels, mean over the plane, linear; F = 128.

    307,690 parameters for one channel and ten classes: about the size of He's ResNet-20 for CIFAR (0.27 million), but
    wider, shallower, and with a stem that halves the side, so that two cores train it in minutes. Below 16 pixels the
    stem keeps the side.
    """

    def __init__(self, num_classes: int, channels: int, size: int) -> None:
        super().__init__(size)
        self.stem = nn.Conv2d(channels, WIDTHS[0], 3, 2 if size >= 16 else 1, 1, bias=False)
        pairs = zip(pairwise(WIDTHS), (1, 2, 2), strict=True)
        self.blocks = nn.Sequential(*[Block(a, b, stride) for (a, b), stride in pairs])
        self.norm = nn.BatchNorm2d(WIDTHS[-1])
        self.output = nn.Linear(WIDTHS[-1], num_classes)

    def features(self, x: Tensor) -> Tensor:
        """See `FeatureNetwork.features`."""
        return torch.relu(self.norm(self.blocks(self.stem(x)))).mean((2, 3))


class Logistic(nn.Module):
    """One linear layer on the flattened image, from zeros (the loss is convex: where it starts matters little)."""

    def __init__(self, num_classes: int, channels: int, size: int) -> None:
        super().__init__()
        self.output = nn.Linear(channels * size**2, num_classes)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Class logits: (B, C, H, W) in [-1, 1] -> (B, K)."""
        logits: Tensor = self.output(x.flatten(1))
        return logits
