"""Fully connected GANs, unconditional: the original one, and one as tutorials build it (report R2's simple GAN)."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from gangda.config.architectures import GanSpec
from gangda.config.presets import GanMlpSpec
from gangda.zoo.base import Generator, ImageShape, Networks, Scores
from gangda.zoo.layers.blocks import Discriminator, ScoreHead

RELU, LEAKY_RELU = partial(nn.ReLU, inplace=True), partial(nn.LeakyReLU, 0.2, inplace=True)


class MlpGenerator(Generator):
    """z -> dense layers -> tanh image; ignores labels.

    The hidden layers have ReLU or, with `batch_norm`, LeakyReLU 0.2, and all but the first of them batch norm.
    """

    def __init__(
        self, spec: Any, widths: Sequence[int], image_shape: ImageShape, num_classes: int, batch_norm: bool
    ) -> None:
        super().__init__()
        self.latent_dim, self.num_classes, self.image_shape = spec.latent_dim, num_classes, image_shape
        activation = LEAKY_RELU if batch_norm else RELU
        layers: list[nn.Module] = [nn.Linear(spec.latent_dim, widths[0]), activation()]
        for a, b in pairwise(widths):
            layers += [nn.Linear(a, b), *([nn.BatchNorm1d(b)] if batch_norm else []), activation()]
        channels, height, width = image_shape
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], channels * height * width), nn.Tanh())

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, latent_dim), ignored labels -> (B, C, H, W) in [-1, 1]."""
        return self.layers(z.flatten(0, -2)).unflatten(1, self.image_shape)  # type: ignore[no-any-return]


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


class MaxoutDiscriminator(Discriminator):
    """Two maxout layers of 240 units with 5 pieces each and dropout, then one score (Goodfellow 2014, MNIST)."""

    def __init__(self, spec: GanSpec, image_shape: ImageShape) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.first = Maxout(channels * height * width, 240, 5, spec.dropout)
        self.second = Maxout(240, 240, 5, spec.dropout)
        self.score = ScoreHead(240, spec.minibatch_stddev)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        """(B, C, H, W), ignored labels -> `Scores` with adversarial (B,)."""
        h = self.second(self.first(x.flatten(1)))
        return Scores(self.score(h), features=h)


def build(spec: GanSpec, image_shape: ImageShape, num_classes: int) -> Networks:
    """Fresh networks; the generator has two ReLU layers. Source: Goodfellow 2014, MNIST configuration (1200 units).

    Departure: z is normal, not uniform, and the output tanh on [-1, 1], not a sigmoid on [0, 1], as all over gangda.
    """
    widths = (spec.width, spec.width)
    networks = Networks(
        MlpGenerator(spec, widths, image_shape, num_classes, batch_norm=False),
        MaxoutDiscriminator(spec, image_shape),
    )
    for network in networks.modules().values():
        init_small(network)
    return networks


class TutorialDiscriminator(Discriminator):
    """Two dense layers (512 and 256 units by default) with LeakyReLU 0.2, then one score; our reading likewise."""

    def __init__(self, spec: GanMlpSpec, image_shape: ImageShape) -> None:
        super().__init__()
        channels, height, width = image_shape
        first, second = 4 * spec.width, 2 * spec.width
        dense = nn.Linear(channels * height * width, first)
        self.layers = nn.Sequential(dense, LEAKY_RELU(), nn.Linear(first, second), LEAKY_RELU())
        self.score = ScoreHead(second, spec.minibatch_stddev)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        """(B, C, H, W) in [-1, 1], ignored labels -> `Scores` with adversarial (B,)."""
        h = self.layers(x.flatten(1))
        return Scores(self.score(h), features=h)


def build_tutorial(spec: GanMlpSpec, image_shape: ImageShape, num_classes: int) -> Networks:
    """Fresh networks with PyTorch's own initialisation; each of the generator's four layers doubles the width.

    Source: Goodfellow 2014; depth and widths (128 to 1024) are our reading of report R2, after PyTorch tutorials.
    """
    widths = [spec.width * 2**i for i in range(4)]
    return Networks(
        MlpGenerator(spec, widths, image_shape, num_classes, batch_norm=True),
        TutorialDiscriminator(spec, image_shape),
    )
