"""What LeNet and the residual network share."""

import abc

from torch import Tensor, nn

from gangda.errors import UsageError

SMALLEST, LARGEST = 8, 64


class FeatureNetwork(nn.Module, abc.ABC):
    """A network whose linear layer `output` follows its `features`, for square images of 8 to 64 pixels.

    Initialised from torch's global stream.

    Raises:
        UsageError: the size is outside 8 to 64.
    """

    output: nn.Linear

    def __init__(self, size: int) -> None:
        super().__init__()
        if not SMALLEST <= size <= LARGEST:
            raise UsageError(
                f"{type(self).__name__.lower()} takes images of {SMALLEST} to {LARGEST} pixels, not {size}; "
                "set --image-size"
            )

    @abc.abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Activations before the output layer: (B, C, H, W) in [-1, 1] -> (B, F), not negative."""

    def forward(self, x: Tensor) -> Tensor:
        """Class logits: (B, C, H, W) in [-1, 1] -> (B, K)."""
        logits: Tensor = self.output(self.features(x))
        return logits
