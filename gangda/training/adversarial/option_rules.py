"""Options of adversarial training that do not go together."""

from functools import cached_property
from typing import ClassVar, cast

import torch
from torch import nn

from gangda.config import catalog
from gangda.config.methods import AdversarialOptions
from gangda.training.adversarial.losses import Loss
from gangda.training.option_rules import Plan, Rule
from gangda.zoo.base import Scores, set_conditioning_scale

RULES: tuple[Rule, ...] = (
    Rule(
        lambda plan: plan.loss.needs_bound and not plan.bounded,
        "--loss {loss}: nothing bounds the slope of the discriminator; add --gp 10 (or --r1 1, --clip 0.01)",
    ),
    Rule(
        lambda plan: plan.options.label_smoothing and not plan.loss.logistic,
        "--label-smoothing {label_smoothing:g}: scores of --loss {loss} are no probabilities; "
        "use --loss nonsaturating or minimax, or leave it out",
    ),
    Rule(
        lambda plan: plan.options.gp and plan.mixes_images,
        "--gp {gp:g}: the discriminator of {arch} has batch norm, so no image has a gradient of its own; "
        "use --arch wgan-gp, or leave it out",
    ),
    Rule(
        lambda plan: plan.options.clip and getattr(plan.config.spec, "spectral_norm", False),
        "--clip {clip:g}: spectral norm divides each weight by its norm, which undoes the clipping; "
        "leave it out, or add --no-spectral-norm",
    ),
    Rule(
        lambda plan: plan.options.ct and not getattr(plan.config.spec, "dropout", 0),
        "--ct {ct:g}: needs dropout in the discriminator, and {arch} has none here; use --cr 10, or {with_dropout}",
    ),
    Rule(
        lambda plan: plan.options.cr and plan.options.bcr,
        "--cr {cr:g} and --bcr {bcr:g}: --bcr covers real images already; give one of them",
    ),
    Rule(
        lambda plan: plan.options.cr_flip and not (plan.options.cr or plan.options.bcr),
        "--cr-flip: there is nothing to flip; add --cr 10 or --bcr 10",
    ),
    Rule(
        lambda plan: plan.generator_id_weight and plan.generators < 2,
        "--generator-id-weight {generator_id_weight:g}: needs several generators to tell apart; "
        "use --arch madgan --generators 3",
    ),
    Rule(
        lambda plan: (
            plan.options.simultaneous
            and plan.generator_id_weight
            and not getattr(plan.config.spec, "tell_apart", True)
        ),
        "--simultaneous with --generator-id-weight {generator_id_weight:g}: the pass that {arch} "
        "learns from does not carry whose an image "
        "is back to the generators; add --tell-apart, or leave one of them out",
    ),
    Rule(
        lambda plan: plan.options.aux_weight not in (0, 1) and plan.scores.classes is None,
        "--aux-weight {aux_weight:g}: the discriminator of {arch} does not classify; use --arch acgan, or leave it out",
    ),
    Rule(
        lambda plan: plan.options.aux_weight == 0 and plan.must_classify,
        "--aux-weight 0: the discriminator of {arch} learns the class only by naming it, and the images would lose it; "
        "give a weight above 0, or use --arch cdcgan",
    ),
    Rule(
        lambda plan: plan.options.conditioning_warmup and not plan.config.spec.conditional,
        "--conditioning-warmup {conditioning_warmup}: {arch} is unconditional from start to end; "
        "use --arch cdcgan, or leave it out",
    ),
    Rule(
        lambda plan: plan.options.conditioning_warmup and not plan.can_become_conditional,
        "--conditioning-warmup {conditioning_warmup}: the networks of {arch} cannot start without the class; "
        "use --arch cdcgan",
    ),
    Rule(
        lambda plan: plan.options.conditioning_warmup >= plan.steps,
        "--conditioning-warmup {conditioning_warmup}: the run has {steps:.0f} steps "
        "and would end before it is conditional; "
        "give at most {half:.0f}",
    ),
)


class AdversarialPlan(Plan):
    """What the rules ask of an adversarial run to be."""

    rules: ClassVar[tuple[Rule, ...]] = RULES

    @property
    def options(self) -> AdversarialOptions:
        """The method's options."""
        return cast(AdversarialOptions, self.config.method)

    @property
    def generator_id_weight(self) -> float:
        """--generator-id-weight, which only the method with several generators has."""
        return float(getattr(self.options, "generator_id_weight", 0.0))

    def facts(self) -> dict[str, object]:
        """What the words may name."""
        has_dropout = hasattr(self.config.spec, "dropout")
        dropout = "raise --dropout" if has_dropout else "an --arch that has --dropout, such as gan"
        return {**super().facts(), "with_dropout": dropout}

    @cached_property
    def loss(self) -> Loss:
        """The adversarial loss."""
        loss: Loss = catalog.builder("loss", catalog.LOSSES, self.options.loss)()
        return loss

    @cached_property
    def discriminator(self) -> nn.Module:
        """A discriminator; the run builds its own."""
        assert self.networks.discriminator is not None
        return self.networks.discriminator.eval()

    @cached_property
    def scores(self) -> Scores:
        """The discriminator's answer to two black images."""
        with torch.no_grad():
            scores: Scores = self.discriminator(
                torch.full((2, *self.images.image_shape), -1.0), torch.zeros(2, dtype=torch.int64)
            )
        return scores

    @property
    def bounded(self) -> bool:
        """Whether anything bounds the discriminator's slope."""
        options = self.options
        return any((options.gp, options.r1, options.clip, getattr(self.config.spec, "spectral_norm", False)))

    @property
    def mixes_images(self) -> bool:
        """Whether an image's score depends on the others through batch norm."""
        norms = (nn.BatchNorm1d, nn.BatchNorm2d)
        return any(isinstance(layer, norms) for layer in self.discriminator.modules())

    @property
    def must_classify(self) -> bool:
        """Whether the discriminator's only use of the class is to name it."""
        return self.scores.classes is not None and self.scores.unconditional is None

    @property
    def can_become_conditional(self) -> bool:
        """Whether generator and discriminator can both start without the class."""
        listens = set_conditioning_scale(self.networks.generator, 1.0) > 0
        return listens and (self.scores.unconditional is not None or self.scores.classes is not None)
