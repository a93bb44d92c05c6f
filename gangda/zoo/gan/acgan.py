"""ACGAN: an auxiliary classifier in the discriminator, and the label beside the noise."""

from torch import Tensor, nn

from gangda.config.architectures import AcganSpec
from gangda.zoo.base import ImageShape, Scores, builder_of
from gangda.zoo.gan.cdcgan import ConditionalGenerator
from gangda.zoo.layers.blocks import Discriminator, ScoreHead, ScoreTrunk


class LabelledNoiseGenerator(ConditionalGenerator):
    """The default's layers with plain batch norm; the class enters once, at the first layer.

    Source: Odena 2017, section 3: z and the one-hot label through one linear layer, here that of z plus a row of
    `label`.
    """

    norms_know_class = False
    conditioning_scale = 1.0  # 0: the class is ignored

    def __init__(self, spec: AcganSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__(spec, image_shape, num_classes)
        self.label = nn.Embedding(num_classes, self.linear.out_features)
        # As the columns of a linear layer would start.
        bound = (spec.latent_dim + num_classes) ** -0.5
        nn.init.uniform_(self.label.weight, -bound, bound)

    def first(self, z: Tensor, y: Tensor) -> Tensor:
        """The smallest plane, (B, 4w, base, base)."""
        flat = self.linear(z.flatten(0, -2)) + self.conditioning_scale * self.label(y)
        return flat.unflatten(1, (-1, self.base, self.base))  # type: ignore[no-any-return]


class AuxiliaryDiscriminator(Discriminator):
    """Real or fake, and which class, from shared layers; the label is not an input.

    Source: Odena 2017, equations 2-3. Departure: no batch norm and no dropout, as the recipe's R1 stabilises instead.
    """

    def __init__(self, spec: AcganSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        self.trunk = ScoreTrunk(spec, image_shape)
        self.score = ScoreHead(self.trunk.features)
        self.classes = nn.Linear(self.trunk.features, num_classes)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        """(B, C, H, W) in [-1, 1], ignored labels -> `Scores` with adversarial (B,) and classes (B, num_classes)."""
        h = self.trunk(x)
        return Scores(self.score(h), classes=self.classes(h).float(), features=h)


build = builder_of(LabelledNoiseGenerator, AuxiliaryDiscriminator)
