"""A fully connected GAN of the kind that tutorials build: a reconstruction of report R2's simple GAN."""

from itertools import pairwise

from torch import Tensor, nn

from gangda.config.presets import GanMlpSpec
from gangda.zoo.base import Generator, Networks, Scores
from gangda.zoo.layers.heads import Discriminator, ScoreHead


class TutorialGenerator(Generator):
    """z -> four dense layers, each twice as wide as the last, with batch norm but at the first, LeakyReLU 0.2 -> tanh.

    Source: Goodfellow 2014. Report R2 gives no layers; depth and widths (128 to 1024) are our reading, after the usual
    PyTorch tutorials.
    """

    def __init__(self, spec: GanMlpSpec, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.latent_dim, self.num_classes, self.image_shape = spec.latent_dim, num_classes, image_shape
        channels, height, width = image_shape
        widths = [spec.width * 2**i for i in range(4)]
        layers: list[nn.Module] = [nn.Linear(spec.latent_dim, widths[0]), nn.LeakyReLU(0.2, inplace=True)]
        for a, b in pairwise(widths):
            layers += [nn.Linear(a, b), nn.BatchNorm1d(b), nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], channels * height * width), nn.Tanh())

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(B, latent_dim), ignored labels -> (B, C, H, W) in [-1, 1]."""
        images: Tensor = self.layers(z.flatten(0, -2)).unflatten(1, self.image_shape)
        return images


class TutorialDiscriminator(Discriminator):
    """Two dense layers (512 and 256 units by default) with LeakyReLU 0.2, then one score; our reading likewise."""

    def __init__(self, spec: GanMlpSpec, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.layers = nn.Sequential(
            nn.Linear(channels * height * width, 4 * spec.width),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(4 * spec.width, 2 * spec.width),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.score = ScoreHead(2 * spec.width, spec.minibatch_stddev)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        """(B, C, H, W) in [-1, 1], ignored labels -> `Scores` with adversarial (B,)."""
        h = self.layers(x.flatten(1))
        return Scores(self.score(h), features=h)


def build(spec: GanMlpSpec, image_shape: tuple[int, int, int], num_classes: int) -> Networks:
    """Fresh networks with PyTorch's own initialisation."""
    return Networks(
        TutorialGenerator(spec, image_shape, num_classes), TutorialDiscriminator(spec, image_shape)
    )
