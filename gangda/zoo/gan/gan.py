"""The original GAN: fully connected, unconditional."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gangda.config.architectures import GanSpec
from gangda.zoo.base import Generator, Networks, Scores
from gangda.zoo.layers.blocks import Maxout
from gangda.zoo.layers.heads import Discriminator, ScoreHead


class MlpGenerator(Generator):
    """z -> two ReLU layers -> tanh image.

    Source: Goodfellow 2014 and its MNIST configuration (1200 units twice). Departure: z is normal instead of
    uniform and the output is tanh on [-1, 1] instead of a sigmoid on [0, 1], as everywhere in gangda.
    """

    def __init__(self, spec: GanSpec, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.latent_dim, self.num_classes, self.image_shape = spec.latent_dim, num_classes, image_shape
        channels, height, width = image_shape
        self.layers = nn.Sequential(
            nn.Linear(spec.latent_dim, spec.width),
            nn.ReLU(inplace=True),
            nn.Linear(spec.width, spec.width),
            nn.ReLU(inplace=True),
            nn.Linear(spec.width, channels * height * width),
            nn.Tanh(),
        )

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, latent_dim), ignored labels -> (B, C, H, W) in [-1, 1]."""
        images: Tensor = self.layers(z.flatten(0, -2)).unflatten(1, self.image_shape)
        return images


class MaxoutDiscriminator(Discriminator):
    """Two maxout layers of 240 units with 5 pieces each and dropout, then one score (Goodfellow 2014, MNIST)."""

    def __init__(self, spec: GanSpec, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.dropout = spec.dropout
        self.first = Maxout(channels * height * width, 240, 5)
        self.second = Maxout(240, 240, 5)
        self.score = ScoreHead(240, spec.minibatch_stddev)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        """(B, C, H, W), ignored labels -> `Scores` with adversarial (B,)."""
        h = F.dropout(self.first(x.flatten(1)), self.dropout, self.training)
        h = F.dropout(self.second(h), self.dropout, self.training)
        return Scores(self.score(h), features=h)


def build(spec: GanSpec, image_shape: tuple[int, int, int], num_classes: int) -> Networks:
    """Fresh networks; small weights (std 0.05) at the input, as the paper's configuration has them, tame maxout."""
    networks = Networks(MlpGenerator(spec, image_shape, num_classes), MaxoutDiscriminator(spec, image_shape))
    with torch.no_grad():
        for network in networks.modules().values():
            for weight in (m.weight for m in network.modules() if isinstance(m, nn.Linear)):
                nn.init.normal_(weight, 0.0, min(0.05, weight.shape[1] ** -0.5))
    return networks
