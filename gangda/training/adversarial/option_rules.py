"""Options of adversarial training that do not go together."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, cast

import torch
from torch import nn

from gangda.config import catalog
from gangda.config.architectures import MixtureGanSpec
from gangda.training.adversarial.losses import Loss
from gangda.training.option_rules import OptionRules
from gangda.zoo.base import Scores, set_conditioning_scale


class AdversarialRules(OptionRules):
    """An adversarial run to be."""

    def errors(self) -> Iterator[str]:
        """What is wrong: the option, the reason, the nearest valid choice."""
        yield from super().errors()
        options: Any = self.config.method
        yield from self._of_losses(options)
        yield from self._of_scores(options)
        yield from self._of_warmup(options.conditioning_warmup)

    def _of_losses(self, options: Any) -> Iterator[str]:
        spec, arch = self.config.spec, self.config.arch
        spectral_norm, loss = getattr(spec, "spectral_norm", False), f"--loss {options.loss}"
        if self.loss.needs_bound and not (options.gp or options.r1 or options.clip or spectral_norm):
            yield f"{loss}: nothing bounds the slope of the discriminator; add --gp 10 (or --r1 1, --clip 0.01)"
        if options.label_smoothing and not self.loss.logistic:
            yield (
                f"--label-smoothing {options.label_smoothing:g}: scores of {loss} are no probabilities; "
                "use --loss nonsaturating or minimax, or leave it out"
            )
        norms = (nn.BatchNorm1d, nn.BatchNorm2d)  # through which images mix
        if options.gp and any(isinstance(layer, norms) for layer in self.discriminator.modules()):
            yield (
                f"--gp {options.gp:g}: the discriminator of {arch} has batch norm, so no image has a gradient of its "
                "own; use --arch wgan-gp, or leave it out"
            )
        if options.clip and spectral_norm:
            yield (
                f"--clip {options.clip:g}: spectral norm divides each weight by its norm, which undoes the clipping; "
                "leave it out, or add --no-spectral-norm"
            )
        if options.ct and not getattr(spec, "dropout", 0):
            dropout = hasattr(spec, "dropout")
            yield (
                f"--ct {options.ct:g}: needs dropout in the discriminator, and {arch} has none here; use --cr 10, or "
                f"{'raise --dropout' if dropout else 'an --arch that has --dropout: cgan or gan'}"
            )
        if options.fake_classes == "uniform" and not self.config.spec.conditional:
            yield f"--fake-classes uniform: {arch} makes its images for no class; leave it out, or use --arch cdcgan"
        if options.cr and options.bcr:
            yield f"--cr {options.cr:g} and --bcr {options.bcr:g}: --bcr covers real images too; give one of them"
        if options.cr_flip and not (options.cr or options.bcr):
            yield "--cr-flip: there is nothing to flip; add --cr 10 or --bcr 10"

    def _of_scores(self, options: Any) -> Iterator[str]:
        arch, weight = self.config.arch, getattr(options, "generator_id_weight", 0.0)
        if weight and self.generators < 2:
            yield f"--generator-id-weight {weight:g}: needs several generators; use --arch madgan --generators 3"
        if options.simultaneous and weight and isinstance(self.config.spec, MixtureGanSpec):
            yield (
                f"--simultaneous with --generator-id-weight {weight:g}: the pass that {arch} learns from does not "
                "carry whose an image is back to the generators; use --arch madgan, or leave one of them out"
            )
        if options.aux_weight not in (0, 1) and self.scores.classes is None:
            problem = f"the discriminator of {arch} does not classify"
            yield f"--aux-weight {options.aux_weight:g}: {problem}; use --arch acgan, or leave it out"
        if options.aux_weight == 0 and self.scores.classes is not None and self.scores.unconditional is None:
            yield (
                f"--aux-weight 0: the discriminator of {arch} learns the class only by naming it, and the images would "
                "lose it; give a weight above 0, or use --arch cdcgan"
            )

    def _of_warmup(self, warmup: int) -> Iterator[str]:
        flag, arch, most = f"--conditioning-warmup {warmup}", self.config.arch, max(1, self.steps // 2)
        if warmup and not self.config.spec.conditional:
            yield f"{flag}: {arch} is unconditional from start to end; use --arch cdcgan, or leave it out"
        if not warmup:
            return
        discriminator = self.scores.unconditional is not None or self.scores.classes is not None
        if not (discriminator and set_conditioning_scale(self.networks.generator, 1.0)):
            yield f"{flag}: the networks of {arch} cannot start without the class; use --arch cdcgan"
        if warmup >= self.steps:
            ends = f"the run has {self.steps:.0f} steps and would end before it is conditional"
            yield f"{flag}: {ends}; give at most {most:.0f}"

    @cached_property
    def loss(self) -> Loss:
        """The adversarial loss."""
        return catalog.builder("loss", catalog.LOSSES, cast(Any, self.config.method).loss)()  # type: ignore[no-any-return]

    @cached_property
    def discriminator(self) -> nn.Module:
        """A discriminator; the run builds its own."""
        assert self.networks.discriminator is not None
        return self.networks.discriminator.eval()

    @cached_property
    def scores(self) -> Scores:
        """The discriminator's answer to two black images."""
        with torch.no_grad():
            black = torch.full((2, *self.images.image_shape), -1.0)
            scores: Scores = self.discriminator(black, torch.zeros(2, dtype=torch.int64))
        return scores
