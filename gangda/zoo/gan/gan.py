"""The original GAN: fully connected, unconditional."""

from functools import partial

from torch import Tensor, nn

from gangda.config.architectures import GanSpec
from gangda.zoo.base import Networks, Scores
from gangda.zoo.layers.heads import Discriminator, ScoreHead
from gangda.zoo.layers.mlp import Maxout, MlpGenerator, init_small


class MaxoutDiscriminator(Discriminator):
    """Two maxout layers of 240 units with 5 pieces each and dropout, then one score (Goodfellow 2014, MNIST)."""

    def __init__(self, spec: GanSpec, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.first = Maxout(channels * height * width, 240, 5, spec.dropout)
        self.second = Maxout(240, 240, 5, spec.dropout)
        self.score = ScoreHead(240, spec.minibatch_stddev)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        """(B, C, H, W), ignored labels -> `Scores` with adversarial (B,)."""
        h = self.second(self.first(x.flatten(1)))
        return Scores(self.score(h), features=h)


def build(spec: GanSpec, image_shape: tuple[int, int, int], num_classes: int) -> Networks:
    """Fresh networks; the generator has two ReLU layers.

    Source: Goodfellow 2014 and its MNIST configuration (1200 units twice). Departure: z is normal instead of
    uniform and the output is tanh on [-1, 1] instead of a sigmoid on [0, 1], as everywhere in gangda.
    """
    relu, widths = partial(nn.ReLU, inplace=True), (spec.width, spec.width)
    networks = Networks(
        MlpGenerator(spec.latent_dim, widths, image_shape, num_classes, relu),
        MaxoutDiscriminator(spec, image_shape),
    )
    for network in networks.modules().values():
        init_small(network)
    return networks
