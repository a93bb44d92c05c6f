"""Fully connected networks."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from gangda.zoo.base import Generator


class MlpGenerator(Generator):
    """z -> dense layers of these widths, each with its activation -> dense layer -> tanh image; ignores labels.

    With `batch_norm`, all hidden layers but the first have it.
    """

    def __init__(
        self,
        latent_dim: int,
        widths: Sequence[int],
        image_shape: tuple[int, int, int],
        num_classes: int,
        activation: Callable[[], nn.Module],
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.latent_dim, self.num_classes, self.image_shape = latent_dim, num_classes, image_shape
        layers: list[nn.Module] = [nn.Linear(latent_dim, widths[0]), activation()]
        for a, b in pairwise(widths):
            layers += [nn.Linear(a, b), *([nn.BatchNorm1d(b)] if batch_norm else []), activation()]
        channels, height, width = image_shape
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], channels * height * width), nn.Tanh())

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, latent_dim), ignored labels -> (B, C, H, W) in [-1, 1]."""
        images: Tensor = self.layers(z.flatten(0, -2)).unflatten(1, self.image_shape)
        return images


class Maxout(nn.Module):
    """The largest of several linear maps (Goodfellow 2013), with dropout: (B, n_in) -> (B, n_out)."""

    def __init__(self, n_in: int, n_out: int, pieces: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.pieces, self.dropout = pieces, dropout
        self.linear = nn.Linear(n_in, n_out * pieces)

    def forward(self, x: Tensor) -> Tensor:
        """Maximum over the pieces."""
        largest: Tensor = self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)
        return F.dropout(largest, self.dropout, self.training)


def init_small(module: nn.Module, zero_bias: bool = False) -> None:
    """Weights of linear layers from N(0, 0.05) at most, as in Goodfellow's configuration: maxout diverges otherwise."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, min(0.05, layer.weight.shape[1] ** -0.5))
            if zero_bias:
                nn.init.zeros_(layer.bias)
