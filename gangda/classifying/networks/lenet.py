"""LeNet for 8 to 64 pixels."""

from torch import Tensor, nn

from gangda.classifying.networks.base import FeatureNetwork

FEATURES = 84


class LeNet(FeatureNetwork):
    """LeNet-5 with ReLU and max pooling.

    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition", section II.B.
    Departures: ReLU for scaled tanh, max for trainable average pooling, full connections between the two
    convolutions, and a plain linear output layer for the radial basis functions. The first convolution is
    padded by 2 (the paper's 28-pixel digits come padded to 32). Below 16 pixels, where little would be left to
    convolve, both convolutions are 3x3 padded by 1 and the first pooling is left out (8x8 digits: a point better
    and faster than padded 5x5 with both poolings).

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
        self.hidden = nn.Sequential(
            nn.Linear(16 * side**2, 120), nn.ReLU(), nn.Linear(120, FEATURES), nn.ReLU()
        )
        self.output = nn.Linear(FEATURES, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """See `FeatureNetwork.features`; F = 84."""
        hidden: Tensor = self.hidden(self.convolutions(x))
        return hidden
