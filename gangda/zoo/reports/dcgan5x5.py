"""The DCGAN of 5x5 kernels, alone (`dcgan-5x5`) or as K separate generators of a MAD-GAN (`madgan-separate`)."""

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from gangda.config.presets import FiveByFiveSpec, MadganSeparateSpec
from gangda.zoo.base import Generator, ImageShape, Networks, Scores
from gangda.zoo.layers.blocks import Discriminator, ScoreHead, crop, leaky
from gangda.zoo.layers.cpu_convolutions import channels_last
from gangda.zoo.layers.fused import leaky_dropout
from gangda.zoo.layers.tf_padding import MirroredConv2d, MirroredConvTranspose2d, init_glorot, mirrored

Spec = FiveByFiveSpec | MadganSeparateSpec
SLOPE = 0.3  # Keras's LeakyReLU
EPSILON, MOMENTUM = 1e-3, 0.01  # of Keras's batch norm; it writes the momentum as 0.99


class FiveByFiveGenerators(Generator):
    """K generators that share nothing: z -> dense -> (w, 7, 7) -> ConvT 128 -> ConvT 64 at 14 -> ConvT at 28 -> tanh.

    The side of the first plane is a quarter of the image's, rounded up, and the result is cropped. Batch norm and
    LeakyReLU 0.3 follow each layer but the last; no layer has a bias. All K are computed at once: dense layers as one
    batched product, convolutions in groups, batch norm over the K generators' channels side by side, so that each
    generator keeps statistics of its own images.
    Source: report R1 (K = 5, z 256) and, for K = 1 and z 100, the Keras tutorial that report R4 follows. Their layer
    list is theirs; slope, epsilon, momentum, initialisation and padding are Keras's defaults, our reading.
    """

    def __init__(self, spec: Spec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        self.spec, self.latent_dim, first_width = spec, spec.latent_dim, spec.first_widths[0]
        self.num_classes, self.image_shape = num_classes, image_shape
        self.num_generators = generators = getattr(spec, "generators", 1)
        self.base = -(-max(image_shape[1:]) // 4)
        k, cells = generators, first_width * self.base**2
        self.dense = nn.Parameter(torch.empty(k, self.latent_dim, cells))
        widths = [first_width, 128, 64, image_shape[0]]
        self.ups = nn.ModuleList(
            MirroredConvTranspose2d(k * widths[i], k * widths[i + 1], 5, stride, groups=k)
            for i, stride in enumerate((1, 2, 2))
        )
        first = nn.BatchNorm1d(k * cells, EPSILON, MOMENTUM)
        self.norms = nn.ModuleList([first, *(nn.BatchNorm2d(k * w, EPSILON, MOMENTUM) for w in (128, 64))])

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(K n, latent_dim) or (K, n, latent_dim), ignored labels -> (K n, C, H, W); row k n + i is generator k's."""
        k = self.num_generators
        flat = torch.bmm(z.reshape(k, -1, self.latent_dim), self.dense).transpose(0, 1).flatten(1)
        x = mirrored(leaky(self.norms[0](flat), SLOPE).unflatten(1, (-1, self.base, self.base)))
        for up, norm in zip(list(self.ups)[:-1], list(self.norms)[1:], strict=True):
            x = leaky(norm(up(x)), SLOPE)
        images = mirrored(torch.tanh(self.ups[-1](x))).unflatten(1, (k, -1)).transpose(0, 1).flatten(0, 1)
        return crop(images, *self.image_shape[1:])

    def select(self, k: int) -> Generator:
        """See `Generator.select`."""
        if super().select(k).num_generators == 1:
            return self
        alone = FiveByFiveGenerators(
            replace(cast(MadganSeparateSpec, self.spec), generators=1), self.image_shape, self.num_classes
        )
        state = {
            name: tensor.chunk(self.num_generators)[k] if tensor.ndim else tensor
            for name, tensor in self.state_dict().items()
        }
        alone.load_state_dict(state)
        return alone.to(self.dense.device).train(self.training).requires_grad_(False)


class FiveByFiveDiscriminator(Discriminator):
    """Two 5x5 convolutions of stride 2, each with LeakyReLU 0.3 and dropout, then one linear layer; no batch norm.

    Source: reports R1 (K + 1 outputs, the last one "real") and R4 (one output), both with 64 and 128 channels.
    """

    def __init__(self, spec: Spec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        self.dropout, first_width = spec.dropout, spec.first_widths[1]
        outputs = 1 + getattr(spec, "generators", 0)
        self.downs = nn.ModuleList(
            [MirroredConv2d(image_shape[0], first_width, 5, 2), MirroredConv2d(first_width, 128, 5, 2)]
        )
        pixels = -(-image_shape[1] // 4) * -(-image_shape[2] // 4)
        self.score = ScoreHead(128 * pixels, spec.minibatch_stddev, outputs)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        """(B, C, H, W) in [-1, 1], ignored labels -> `Scores` with adversarial (B,) or (B, K + 1)."""
        x = channels_last(mirrored(x))
        for down in self.downs:
            x = leaky_dropout(down(x), SLOPE, self.dropout, self.training)
        h = mirrored(x).flatten(1)
        return Scores(self.score(h), features=h)


def build(spec: Spec, image_shape: ImageShape, num_classes: int) -> Networks:
    """One generator against one score, or K generators with nothing in common against K + 1 logits."""
    generator = FiveByFiveGenerators(spec, image_shape, num_classes)
    discriminator = FiveByFiveDiscriminator(spec, image_shape, num_classes)
    init_glorot(generator)
    init_glorot(discriminator)
    for part in generator.dense:  # each generator starts from its own draw
        nn.init.xavier_uniform_(part.data)
    return Networks(generator, discriminator)
