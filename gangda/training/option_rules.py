"""Options that do not go together: refused before any work is done."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gangda.config import catalog
from gangda.config.schema import TrainConfig
from gangda.data.images import LabelledImages
from gangda.errors import UsageError
from gangda.training import rank_batches
from gangda.training.budget import step_budget
from gangda.zoo.base import Networks
from gangda.zoo.networks import build_networks


@dataclass(frozen=True, eq=False)
class OptionRules:
    """A run to be: its configuration, its images, and what follows from both. Networks are built only if asked for."""

    config: TrainConfig
    images: LabelledImages

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

    @cached_property
    def steps(self) -> float:
        """Generator steps of the budget, which is filled in; infinite where the clock decides."""
        wanted = step_budget(self.config, len(self.images)).total_steps
        return float("inf") if wanted is None else wanted

    def errors(self) -> Iterator[str]:
        """What is wrong: the option, the reason, the nearest valid choice."""
        recipe, arch = self.config.recipe, self.config.arch
        if self.min_batch_size > recipe.batch_size:
            small = f"--batch-size {recipe.batch_size} is too small for {arch}"
            yield f"--generators {self.generators}: {small}; give at least {self.min_batch_size}"
        if recipe.curriculum >= self.steps:
            ends = f"the run has {self.steps:.0f} steps and would never see all images"
            yield f"--curriculum {recipe.curriculum}: {ends}; give at most {max(1, self.steps // 2):.0f}"


def check_options(config: TrainConfig, images: LabelledImages) -> None:
    """Check the options against the images and each other. Raises UsageError: with the first complaint."""
    method: Any = catalog.builder("method", catalog.METHODS, config.spec.method)
    for complaint in method.option_rules(config, images).errors():
        raise UsageError(complaint)


def refuse_uneven_shares(config: TrainConfig, images: LabelledImages, ranks: int) -> None:
    """A UsageError, with the nearest batch that fits, where so many ranks cannot share a batch evenly."""
    if ranks == 1 or not config.images_per_step:
        return
    rules, batch = OptionRules(config, images), config.recipe.batch_size
    groups = max(map(rank_batches.groups_of, rules.networks.modules().values()))
    least = ranks * max(2, rules.min_batch_size)  # batch norm wants two
    if batch < least or not rank_batches.fits(batch, rules.generators, groups, ranks):
        nearest = rank_batches.nearest(max(batch, least), rules.generators, groups, ranks)
        whole = " in whole groups of --minibatch-stddev" if groups > 1 else ""
        uneven = f"{ranks} ranks cannot share it evenly{whole}"
        raise UsageError(f"--batch-size {batch}: {uneven}; give {nearest}, or start another number of ranks")
