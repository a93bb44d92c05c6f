"""Options that do not go together: one table, looked through before any work is done."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from gangda.config import catalog
from gangda.config.schema import Recipe, TrainConfig
from gangda.data.images import LabelledImages
from gangda.errors import UsageError
from gangda.training import rank_batches
from gangda.training.adversarial.losses import Loss
from gangda.training.budget import step_budget
from gangda.training.saved_model import build_networks
from gangda.zoo.base import Networks, Scores, set_strength


@dataclass(frozen=True, eq=False)
class Plan:
    """A run to be: its configuration, its images, and what follows from both. Networks are built only if asked for."""

    config: TrainConfig
    images: LabelledImages

    @property
    def recipe(self) -> Recipe:
        """How it is to be trained."""
        return self.config.recipe

    @property
    def known_losses(self) -> tuple[str, ...]:
        """Losses of the architecture's game."""
        known: tuple[str, ...] = catalog.resolve(catalog.GAMES[self.config.spec.game].target).known_losses
        return known

    @cached_property
    def loss(self) -> Loss:
        """The adversarial loss."""
        loss: Loss = catalog.builder("loss", catalog.LOSSES, self.recipe.loss)()
        return loss

    @cached_property
    def networks(self) -> Networks:
        """The networks; the run builds its own."""
        config = self.config
        return build_networks(config.arch, config.spec, self.images.image_shape, self.images.num_classes)

    @cached_property
    def scores(self) -> Scores:
        """The discriminator's answer to two black images."""
        discriminator = self.networks.discriminator.eval()
        with torch.no_grad():
            scores: Scores = discriminator(
                torch.full((2, *self.images.image_shape), -1.0), torch.zeros(2, dtype=torch.int64)
            )
        return scores

    @property
    def generators(self) -> int:
        """How many generators."""
        return int(getattr(self.config.spec, "generators", 1))

    @property
    def min_batch_size(self) -> int:
        """Images that a batch must have for every generator to learn."""
        return self.generators * self.config.spec.min_batch_size

    @property
    def steps(self) -> float:
        """Generator steps of the budget, which is filled in; infinite where the clock decides."""
        wanted = step_budget(self.config, len(self.images)).total_steps
        return float("inf") if wanted is None else wanted

    @property
    def bounded(self) -> bool:
        """Whether anything bounds the discriminator's slope."""
        recipe = self.recipe
        return any((recipe.gp, recipe.r1, recipe.clip, getattr(self.config.spec, "spectral_norm", False)))

    @property
    def mixes_images(self) -> bool:
        """Whether an image's score depends on the others through batch norm."""
        norms = (nn.BatchNorm1d, nn.BatchNorm2d)
        return any(isinstance(layer, norms) for layer in self.networks.discriminator.modules())

    @property
    def must_classify(self) -> bool:
        """Whether the discriminator's only use of the class is to name it."""
        return self.scores.classes is not None and self.scores.unconditional is None

    @property
    def can_become_conditional(self) -> bool:
        """Whether generator and discriminator can both start without the class."""
        listens = set_strength(self.networks.generator, 1.0) > 0
        return listens and (self.scores.unconditional is not None or self.scores.classes is not None)


@dataclass(frozen=True)
class Rule:
    """What is refused, and what to say: the option, the reason, the nearest valid choice. `{...}` is of `facts`."""

    broken: Callable[[Plan], object]
    words: str


RULES: tuple[Rule, ...] = (
    Rule(
        lambda plan: plan.recipe.loss not in plan.known_losses,
        "--loss {loss}: {arch} takes {known} only, as its discriminator answers with a softmax, not a score",
    ),
    Rule(
        lambda plan: plan.min_batch_size > plan.recipe.batch_size,
        "--generators {generators}: --batch-size {batch_size} is too small for {arch}; give at least {min_batch_size}",
    ),
    Rule(
        lambda plan: plan.loss.needs_bound and not plan.bounded,
        "--loss {loss}: nothing bounds the slope of the discriminator; add --gp 10 (or --r1 1, --clip 0.01)",
    ),
    Rule(
        lambda plan: plan.recipe.label_smoothing and not plan.loss.logistic,
        "--label-smoothing {label_smoothing:g}: scores of --loss {loss} are no probabilities; "
        "use --loss nonsaturating or minimax, or leave it out",
    ),
    Rule(
        lambda plan: plan.recipe.gp and plan.mixes_images,
        "--gp {gp:g}: the discriminator of {arch} has batch norm, so no image has a gradient of its own; "
        "use --arch wgan-gp, or leave it out",
    ),
    Rule(
        lambda plan: plan.recipe.clip and getattr(plan.config.spec, "spectral_norm", False),
        "--clip {clip:g}: spectral norm divides each weight by its norm, which undoes the clipping; "
        "leave it out, or add --no-spectral-norm",
    ),
    Rule(
        lambda plan: plan.recipe.ct and not getattr(plan.config.spec, "dropout", 0),
        "--ct {ct:g}: needs dropout in the discriminator, and {arch} has none here; use --cr 10, or {with_dropout}",
    ),
    Rule(
        lambda plan: plan.recipe.cr and plan.recipe.bcr,
        "--cr {cr:g} and --bcr {bcr:g}: --bcr covers real images already; give one of them",
    ),
    Rule(
        lambda plan: plan.recipe.cr_flip and not (plan.recipe.cr or plan.recipe.bcr),
        "--cr-flip: there is nothing to flip; add --cr 10 or --bcr 10",
    ),
    Rule(
        lambda plan: (
            plan.recipe.generator_id_weight and (plan.config.spec.game != "madgan" or plan.generators < 2)
        ),
        "--generator-id-weight {generator_id_weight:g}: needs several generators to tell apart; "
        "use --arch madgan --generators 3",
    ),
    Rule(
        lambda plan: (
            plan.recipe.simultaneous
            and plan.recipe.generator_id_weight
            and not getattr(plan.config.spec, "tell_apart", True)
        ),
        "--simultaneous with --generator-id-weight {generator_id_weight:g}: the pass that {arch} "
        "learns from does not carry whose an image "
        "is back to the generators; add --tell-apart, or leave one of them out",
    ),
    Rule(
        lambda plan: plan.recipe.aux_weight not in (0, 1) and plan.scores.classes is None,
        "--aux-weight {aux_weight:g}: the discriminator of {arch} does not classify; use --arch acgan, or leave it out",
    ),
    Rule(
        lambda plan: plan.recipe.aux_weight == 0 and plan.must_classify,
        "--aux-weight 0: the discriminator of {arch} learns the class only by naming it, and the images would lose it; "
        "give a weight above 0, or use --arch cdcgan",
    ),
    Rule(
        lambda plan: plan.recipe.conditioning_warmup and not plan.config.spec.conditional,
        "--conditioning-warmup {conditioning_warmup}: {arch} is unconditional from start to end; "
        "use --arch cdcgan, or leave it out",
    ),
    Rule(
        lambda plan: plan.recipe.conditioning_warmup and not plan.can_become_conditional,
        "--conditioning-warmup {conditioning_warmup}: the networks of {arch} cannot start without the class; "
        "use --arch cdcgan",
    ),
    Rule(
        lambda plan: plan.recipe.conditioning_warmup >= plan.steps,
        "--conditioning-warmup {conditioning_warmup}: the run has {steps:.0f} steps "
        "and would end before it is conditional; "
        "give at most {half:.0f}",
    ),
    Rule(
        lambda plan: plan.recipe.curriculum >= plan.steps,
        "--curriculum {curriculum}: the run has {steps:.0f} steps "
        "and would never see all images; "
        "give at most {half:.0f}",
    ),
    Rule(
        lambda plan: plan.recipe.lr_schedule == "cosine" and plan.config.budget.minutes is not None,
        "--lr-schedule cosine: its end must be known in steps; give --steps or --epochs in place of --minutes",
    ),
)


def refuse_misfits(config: TrainConfig, images: LabelledImages) -> None:
    """Look through the table.

    Raises:
        UsageError: the first rule that is broken.
    """
    plan = Plan(config, images)
    for rule in RULES:
        if rule.broken(plan):
            raise UsageError(rule.words.format(**_facts(plan)))


def refuse_uneven_shares(config: TrainConfig, images: LabelledImages, ranks: int) -> None:
    """See that so many ranks can share a batch evenly, each with enough images of every generator.

    Raises:
        UsageError: naming the nearest batch that they can share.
    """
    if ranks == 1 or not config.spec.game:
        return
    plan, batch = Plan(config, images), config.recipe.batch_size
    groups = rank_batches.groups_of(plan.networks.discriminator)
    least = ranks * max(2, plan.min_batch_size)  # batch norm wants two
    if batch >= least and rank_batches.fits(batch, plan.generators, groups, ranks):
        return
    nearest = rank_batches.nearest(max(batch, least), plan.generators, groups, ranks)
    whole = " in whole groups of --minibatch-stddev" if groups > 1 else ""
    raise UsageError(
        f"--batch-size {batch}: {ranks} ranks cannot share it evenly{whole}; give {nearest}, or start another number "
        "of ranks"
    )


def _facts(plan: Plan) -> dict[str, object]:
    """What the words may name."""
    facts = {
        "arch": plan.config.arch,
        "known": " or ".join(plan.known_losses),
        "generators": plan.generators,
        "min_batch_size": plan.min_batch_size,
        "steps": plan.steps,
        "half": max(1, plan.steps // 2),
        "with_dropout": _with_dropout(plan),
    }
    return {**{f.name: getattr(plan.recipe, f.name) for f in dataclasses.fields(plan.recipe)}, **facts}


def _with_dropout(plan: Plan) -> str:
    return (
        "raise --dropout"
        if hasattr(plan.config.spec, "dropout")
        else "an --arch that has --dropout, such as gan"
    )
