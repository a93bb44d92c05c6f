"""Logistic regression on pixels: the floor under every classifier."""

from torch import Tensor, nn


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
