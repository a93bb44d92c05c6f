"""Options that do not go together: refused before any work is done."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from gangda.config import catalog
from gangda.config.schema import Recipe, TrainConfig
from gangda.data.images import LabelledImages
from gangda.errors import UsageError
from gangda.training import rank_batches
from gangda.training.budget import step_budget
from gangda.zoo.base import Networks
from gangda.zoo.networks import build_networks


@dataclass(frozen=True, eq=False)
class Plan:
    """A run to be: its configuration, its images, and what follows from both. Networks are built only if asked for."""

    config: TrainConfig
    images: LabelledImages
    rules: ClassVar["tuple[Rule, ...]"] = ()  # those of the method

    def facts(self) -> dict[str, object]:
        """What the words may name."""
        options = {
            field.name: getattr(section, field.name)
            for section in (self.config.recipe, self.config.method)
            for field in dataclasses.fields(section)
        }
        own = {"arch": self.config.arch, "generators": self.generators, "min_batch_size": self.min_batch_size}
        return {**options, **own, "steps": self.steps, "half": max(1, self.steps // 2)}

    @property
    def recipe(self) -> Recipe:
        """How it is to be trained."""
        return self.config.recipe

    @cached_property
    def networks(self) -> Networks:
        """The networks; the run builds its own."""
        config = self.config
        return build_networks(config.arch, config.spec, self.images.image_shape, self.images.num_classes)

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


@dataclass(frozen=True)
class Rule:
    """What is refused, and what to say: the option, the reason, the nearest valid choice. `{...}` is of `facts`."""

    broken: Callable[[Any], object]
    words: str


COMMON: tuple[Rule, ...] = (
    Rule(
        lambda plan: plan.min_batch_size > plan.recipe.batch_size,
        "--generators {generators}: --batch-size {batch_size} is too small for {arch}; give at least {min_batch_size}",
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
    method = catalog.builder("method", catalog.METHODS, config.spec.method)
    plan = getattr(method, "plan", Plan)(config, images)
    for rule in (*COMMON, *plan.rules):
        if rule.broken(plan):
            raise UsageError(rule.words.format(**plan.facts()))


def refuse_uneven_shares(config: TrainConfig, images: LabelledImages, ranks: int) -> None:
    """See that so many ranks can share a batch evenly, each with enough images of every generator.

    Raises:
        UsageError: naming the nearest batch that they can share.
    """
    if ranks == 1 or "recipe" not in config.method.sections:
        return
    plan, batch = Plan(config, images), config.recipe.batch_size
    groups = max(map(rank_batches.groups_of, plan.networks.modules().values()))
    least = ranks * max(2, plan.min_batch_size)  # batch norm wants two
    if batch >= least and rank_batches.fits(batch, plan.generators, groups, ranks):
        return
    nearest = rank_batches.nearest(max(batch, least), plan.generators, groups, ranks)
    whole = " in whole groups of --minibatch-stddev" if groups > 1 else ""
    raise UsageError(
        f"--batch-size {batch}: {ranks} ranks cannot share it evenly{whole}; give {nearest}, or start another number "
        "of ranks"
    )
