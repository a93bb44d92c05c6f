"""A fully connected GAN of the kind that tutorials build: a reconstruction of report R2's simple GAN."""

from functools import partial

from torch import Tensor, nn

from gangda.config.presets import GanMlpSpec
from gangda.zoo.base import Networks, Scores
from gangda.zoo.layers.heads import Discriminator, ScoreHead
from gangda.zoo.layers.mlp import MlpGenerator

LEAKY_RELU = partial(nn.LeakyReLU, 0.2, inplace=True)


class TutorialDiscriminator(Discriminator):
    """Two dense layers (512 and 256 units by default) with LeakyReLU 0.2, then one score; our reading likewise."""

    def __init__(self, spec: GanMlpSpec, image_shape: tuple[int, int, int]) -> None:
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


def build(spec: GanMlpSpec, image_shape: tuple[int, int, int], num_classes: int) -> Networks:
    """Fresh networks with PyTorch's own initialisation; each of the generator's four layers doubles the width.

    Source: Goodfellow 2014. Report R2 gives no layers; depth and widths (128 to 1024) are our reading, after the usual
    PyTorch tutorials.
    """
    widths = [spec.width * 2**i for i in range(4)]
    return Networks(
        MlpGenerator(spec.latent_dim, widths, image_shape, num_classes, LEAKY_RELU, batch_norm=True),
        TutorialDiscriminator(spec, image_shape),
    )
