"""LeNet for 8 to 64 pixels."""

from torch import Tensor, nn

from gangda.errors import UsageError

FEATURES = 84
SMALLEST, LARGEST = 8, 64


class LeNet(nn.Module):
    """LeNet-5 with ReLU and max pooling.

    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition", section II.B.
    Departures: ReLU for scaled tanh, max for trainable average pooling, full connections between the two
    convolutions, and a plain linear output layer for the radial basis functions. The first convolution is
    padded by 2 (the paper's 28-pixel digits come padded to 32). Below 16 pixels the second one is too and the
    first pooling is left out, or nothing would be left to convolve (8x8 digits: 95.4 for 94.4% so).

    `fp32_on_cpu`: bf16 makes convolutions of so few channels slower on a CPU, not faster.
    """

    fp32_on_cpu = True

    def __init__(self, num_classes: int, channels: int, size: int) -> None:
        super().__init__()
        small = size < 16
        side = size // 2 if small else (size // 2 - 4) // 2
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 6, 5, padding=2),
            nn.Identity() if small else nn.MaxPool2d(2),  # before ReLU: same values, a quarter of the work
            nn.ReLU(),
            nn.Conv2d(6, 16, 5, padding=2 if small else 0),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.hidden = nn.Sequential(
            nn.Linear(16 * side**2, 120), nn.ReLU(), nn.Linear(120, FEATURES), nn.ReLU()
        )
        self.output = nn.Linear(FEATURES, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """Activations before the output layer: (B, C, H, W) in [-1, 1] -> (B, 84), not negative."""
        hidden: Tensor = self.hidden(self.convolutions(x))
        return hidden

    def forward(self, x: Tensor) -> Tensor:
        """Class logits: (B, C, H, W) in [-1, 1] -> (B, K)."""
        logits: Tensor = self.output(self.features(x))
        return logits


def build(num_classes: int, channels: int, size: int) -> LeNet:
    """A fresh LeNet for square images of `size` pixels, initialised from torch's global stream.

    Raises:
        UsageError: the size is outside 8 to 64.
    """
    if not SMALLEST <= size <= LARGEST:
        raise UsageError(
            f"lenet takes images of {SMALLEST} to {LARGEST} pixels, not {size}; set --image-size"
        )
    return LeNet(num_classes, channels, size)
