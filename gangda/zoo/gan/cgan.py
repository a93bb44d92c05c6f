"""The conditional GAN of Mirza and Osindero 2014, fully connected."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gangda.config.presets import CganSpec
from gangda.zoo.base import Generator, ImageShape, Scores, builder_of
from gangda.zoo.gan.gan import Maxout, init_small
from gangda.zoo.layers.blocks import Discriminator, ScoreHead


class MirzaGenerator(Generator):
    """z -> 200 units, label -> 1000 units, joined -> 1200 units, all ReLU -> tanh image.

    Source: Mirza 2014, section 4.1. Departures: z is normal, not uniform; tanh on [-1, 1], not a sigmoid on [0, 1]; no
    dropout in the generator. Report R2's cGAN cites no widths, so this is the paper's network.
    """

    conditional = True

    def __init__(self, spec: CganSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        self.latent_dim, self.num_classes, self.image_shape = spec.latent_dim, num_classes, image_shape
        channels, height, width = image_shape
        self.from_noise = nn.Linear(spec.latent_dim, 200)
        self.from_label = nn.Linear(num_classes, 1000)
        self.joined = nn.Linear(1200, 1200)
        self.out = nn.Linear(1200, channels * height * width)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, latent_dim), (B,) -> (B, C, H, W) in [-1, 1]."""
        label = self.from_label(F.one_hot(y, self.num_classes).to(z.dtype))
        x = torch.relu(torch.cat([self.from_noise(z.flatten(0, -2)), label], dim=1))
        return torch.tanh(self.out(torch.relu(self.joined(x)))).unflatten(1, self.image_shape)  # type: ignore[no-any-return]


class MirzaDiscriminator(Discriminator):
    """Image -> maxout 240 of 5, label -> maxout 50 of 5, joined -> maxout 240 of 4 -> one score; dropout at each.

    Source: Mirza 2014, section 4.1.
    """

    def __init__(self, spec: CganSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.num_classes, self.dropout = num_classes, spec.dropout
        self.from_image = Maxout(channels * height * width, 240, 5)
        self.from_label = Maxout(num_classes, 50, 5)
        self.joined = Maxout(290, 240, 4, spec.dropout)
        self.score = ScoreHead(240, spec.minibatch_stddev)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        """(B, C, H, W) in [-1, 1], (B,) -> `Scores` with adversarial (B,)."""
        label = self.from_label(F.one_hot(y, self.num_classes).to(x.dtype))
        both = torch.cat([self.from_image(x.flatten(1)), label], dim=1)
        h = self.joined(F.dropout(both, self.dropout, self.training))
        return Scores(self.score(h), features=h)


build = builder_of(MirzaGenerator, MirzaDiscriminator, partial(init_small, zero_bias=True))
