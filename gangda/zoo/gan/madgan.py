"""MAD-GAN (Ghosh 2018): K generators on a shared trunk, computed together, and a (K+1)-way discriminator.

Both are the default's networks (`cdcgan.py`) and more layers. A mixture of generators has the same generators and a
discriminator that does not learn to tell them apart; with `--generators 1` its training is the default's.
"""

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from gangda.config.architectures import MadganSpec, MixtureGanSpec
from gangda.zoo.base import Generator, ImageShape, Scores, builder_of
from gangda.zoo.gan.cdcgan import ConditionalGenerator
from gangda.zoo.layers.blocks import ConditionalBatchNorm, Discriminator, ScoreTrunk


class GeneratorEnsemble(ConditionalGenerator):
    """K generators on the default's shared layers; each has its own output layer and its own gains and biases.

    The gains and biases of every normalisation let the generators differ from the first plane on; all other filters,
    and the statistics, come from all B images, which is less noisy than from B/K.
    Source: Ghosh 2018, section 3.1 (shared initial layers, last ones apart); the gains and the conditioning are ours.
    """

    def __init__(self, spec: MadganSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__(spec, image_shape, num_classes)
        self.conditional, self.num_generators = spec.conditional, spec.generators
        self.norms = self._per_generator(self.norms)
        for convs in self.more:
            convs.norms = self._per_generator(cast(nn.ModuleList, convs.norms))
        self.out = PerGeneratorOutput(spec.generators, spec.channels[0], image_shape[0])

    def _per_generator(self, norms: nn.ModuleList) -> nn.ModuleList:
        """The same norms, with gains and biases of each generator's own."""
        widths = [cast(ConditionalBatchNorm, norm).norm.num_features for norm in norms]
        classes = self.num_classes if self.conditional else 1
        return nn.ModuleList([PerGeneratorBatchNorm(width, classes, self.num_generators) for width in widths])

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(K, n, latent_dim) or (K n, latent_dim), labels (K n,) -> (K n, C, H, W); row k n + i is generator k's."""
        return super().forward(z, y if self.conditional else torch.zeros_like(y))

    def select(self, k: int) -> Generator:
        """See `Generator.select`."""
        if super().select(k).num_generators == 1:
            return self
        alone = copy.deepcopy(self).requires_grad_(False)
        alone.num_generators = 1
        for layer in alone.modules():
            if isinstance(layer, PerGeneratorBatchNorm | PerGeneratorOutput):
                layer.keep(k)
        return alone


class PerGeneratorBatchNorm(ConditionalBatchNorm):
    """Conditional batch norm to whose gain and bias each of K generators adds its own, from N(0, 0.1) at first."""

    def __init__(self, channels: int, num_classes: int, k: int) -> None:
        super().__init__(channels, num_classes)
        apart = 0.1 if k > 1 else 0.0
        self.own_gain = nn.Parameter(apart * torch.randn(k, channels))
        self.own_bias = nn.Parameter(apart * torch.randn(k, channels))

    def _of_class(self, table: nn.Embedding, y: Tensor) -> Tensor:
        own = self.own_gain if table is self.gain else self.own_bias
        return super()._of_class(table, y) + own.repeat_interleave(len(y) // len(own), dim=0)

    def keep(self, k: int) -> None:
        """Only generator k's gain and bias."""
        generators = len(self.own_gain)
        self.own_gain, self.own_bias = (_part(own, k, generators) for own in (self.own_gain, self.own_bias))


class PerGeneratorOutput(nn.Conv2d):
    """A 3x3 convolution for each of K generators: (K n, C, H, W) -> (K n, C', H, W); row k n + i is generator k's."""

    def __init__(self, k: int, channels: int, outs: int) -> None:
        super().__init__(k * channels, k * outs, 3, 1, 1, groups=k)

    def forward(self, x: Tensor) -> Tensor:
        """One grouped kernel on accelerators; K plain ones on CPUs, where the grouped kernel's backward is slow."""
        return self.apart(x) if x.device.type == "cpu" else self.grouped(x)

    def apart(self, x: Tensor) -> Tensor:
        """One generator after the other."""
        k, bias = self.groups, cast(Tensor, self.bias)
        parts = zip(x.chunk(k), self.weight.chunk(k), bias.chunk(k), strict=True)
        return torch.cat([functional.conv2d(rows, weight, own, 1, 1) for rows, weight, own in parts])

    def grouped(self, x: Tensor) -> Tensor:
        """All at once, side by side."""
        beside = x.unflatten(0, (self.groups, -1)).transpose(0, 1).flatten(1, 2)
        images: Tensor = super().forward(beside)
        return images.unflatten(1, (self.groups, -1)).transpose(0, 1).flatten(0, 1)  # type: ignore[no-any-return]

    def keep(self, k: int) -> None:
        """Only generator k's filters."""
        self.weight = _part(cast(nn.Parameter, self.weight), k, self.groups)
        self.bias = _part(cast(nn.Parameter, self.bias), k, self.groups)
        self.in_channels //= self.groups
        self.out_channels //= self.groups
        self.groups = 1


def _part(values: nn.Parameter, k: int, of: int) -> nn.Parameter:
    """The k-th of equal parts, frozen."""
    return nn.Parameter(values.detach().chunk(of)[k].clone(), requires_grad=False)


class SoftmaxDiscriminator(Discriminator):
    """Which generator made it, or real: K+1 logits, the last one real, on the layers of the cdcgan's discriminator.

    Source: Ghosh 2018, section 3.1. Departure: <embed(y), h> is added to the logit of "real" (Miyato and Koyama 2018,
    equation 3), as the paper's discriminator knows no classes.
    """

    def __init__(self, spec: MadganSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        self.trunk = ScoreTrunk(spec, image_shape)
        self.logits = nn.Linear(self.trunk.features, spec.generators + 1)
        self.embed = nn.Embedding(num_classes, self.trunk.features) if spec.conditional else None
        if self.embed is not None:
            nn.init.zeros_(self.embed.weight)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        """(B, C, H, W) in [-1, 1], (B,) -> `Scores` with adversarial (B, K+1)."""
        h = self.trunk(x)
        return conditioned(self.logits(h).float(), h, y, self.embed)


class MixtureDiscriminator(Discriminator):
    """The default's discriminator in K+1 logits: its features do not learn which generator made an image.

    The softmax is written as two: real or not, s = <score, h> + <embed(y), h>, and, if not, whose; the logits are log
    C_1, ..., log C_K and s, so that the first K always sum to the odds 1 of "not real". The cross-entropy is then the
    sum of the default's loss and of the classifier C's own, which trains C alone.
    Source: Hoang 2018 (MGAN). Departure: there C shares the discriminator's features and shapes them; here whose an
    image is reaches the generators through `--generator-id-weight` alone.
    """

    def __init__(self, spec: MixtureGanSpec, image_shape: ImageShape, num_classes: int) -> None:
        super().__init__()
        self.trunk = ScoreTrunk(spec, image_shape)
        self.score = nn.Linear(self.trunk.features, 1)
        self.whose = nn.Linear(self.trunk.features, spec.generators)
        self.embed = nn.Embedding(num_classes, self.trunk.features) if spec.conditional else None
        if self.embed is not None:
            nn.init.zeros_(self.embed.weight)

    def forward(self, x: Tensor, y: Tensor) -> Scores:
        """(B, C, H, W) in [-1, 1], (B,) -> `Scores` with adversarial (B, K+1)."""
        h = self.trunk(x)
        # In the generators' step it is frozen, and passes on their gradients.
        known = h.detach() if self.whose.weight.requires_grad else h
        whose = functional.log_softmax(self.whose(known).float(), dim=1)
        return conditioned(torch.cat([whose, self.score(h).float()], dim=1), h, y, self.embed)


def conditioned(logits: Tensor, h: Tensor, y: Tensor, embed: nn.Embedding | None) -> Scores:
    """`Scores` of (B, K+1) logits and features (B, F), with <embed(y), h> added to the last logit."""
    if embed is None:
        return Scores(logits, features=h)
    match = (embed(y) * h).sum(1, keepdim=True)
    adversarial = torch.cat([logits[:, :-1], logits[:, -1:] + match], dim=1)
    return Scores(adversarial, features=h, unconditional=logits)


build = builder_of(GeneratorEnsemble, SoftmaxDiscriminator)
build_mixture = builder_of(GeneratorEnsemble, MixtureDiscriminator)
