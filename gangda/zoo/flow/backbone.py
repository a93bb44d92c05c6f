"""What the networks of flows share: what they are told beside the image, and how it is embedded."""

import abc
import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHANGES = 3  # numbers that tell the network how an image was changed: mirrored, shifted down, shifted right
FREQUENCIES = 64  # of the time embedding


class Backbone(nn.Module, abc.ABC):
    """Maps a noisy image, its time, its class and its changes to an image-shaped prediction.

    Label `num_classes` stands for "no class". A subclass defines `predict` from the image, whose sides are multiples
    of `multiple` there, and the embedding of all the rest.
    """

    multiple: int
    hidden: ClassVar[tuple[str, ...]]  # the modules between the first and the last layer

    def __init__(self, num_classes: int, size: int) -> None:
        super().__init__()
        self.time_embedding = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, size), nn.SiLU(), nn.Linear(size, size)
        )
        self.label_embedding = nn.Embedding(num_classes + 1, size)
        self.change_embedding = nn.Linear(CHANGES, size, bias=False)

    def forward(self, x: Tensor, t: Tensor, y: Tensor, changes: Tensor) -> Tensor:
        """x (B, C, H, W), t (B,), y int64 (B,), changes (B, CHANGES) -> like x.

        t is a flow's time, 0 to 1, or a quarter of the logarithm of EDM's noise, -1.6 to 1.1 when sampling.
        Sides that `multiple` does not divide are extended with the edge's pixels.
        """
        height, width = x.shape[2:]
        missing = (0, -width % self.multiple, 0, -height % self.multiple)
        padded = F.pad(x, missing, mode="replicate") if any(missing) else x
        embedding = F.silu(
            self.time_embedding(time_features(t)) + self.label_embedding(y) + self.change_embedding(changes)
        )
        return self.predict(padded, embedding)[:, :, :height, :width]

    def hidden_matrices(self) -> list[nn.Parameter]:
        """Weight matrices and kernels of the hidden layers."""
        parameters = (p for name in self.hidden for p in self.get_submodule(name).parameters())
        return [p for p in parameters if p.ndim >= 2]

    @abc.abstractmethod
    def predict(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(B, C, H, W), (B, size) -> (B, C, H, W)."""


def time_features(t: Tensor) -> Tensor:
    """Cosines and sines of times: (B,) -> (B, 2 FREQUENCIES)."""
    rates = torch.exp(torch.linspace(0, math.log(1000), FREQUENCIES, device=t.device))
    angles = t[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], 1)


def zeroed(layer: nn.Module) -> nn.Module:
    """A layer whose weights start at zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
