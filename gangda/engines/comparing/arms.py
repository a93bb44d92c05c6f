"""What each arm trains on: the real subset, plus (or with) added images."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gangda import specs
from gangda.arms import find, ratio_of
from gangda.configs import AugmentConfig, ExperimentConfig, Recipe, TrainConfig
from gangda.data.images import IntArray, LabelledImages, concatenate
from gangda.moves.filtered import in_order, kind_of
from gangda.moves.plan import AugmentPlan, first_of_each, kept_rows, make_plan

# What a ratio means, as `gangda augment` says it.
MODES: Mapping[str, Callable[[float, tuple[str, ...]], AugmentConfig]] = {
    "add": lambda ratio, own: AugmentConfig(ratio=ratio, ratio_for=own),
    "replace": lambda ratio, own: AugmentConfig(replace=ratio, ratio_for=own),
    "balance": lambda ratio, own: AugmentConfig(balance=True, ratio=ratio, ratio_for=own),
}


def plan_of(mode: str, ratio: float, real: LabelledImages, own: tuple[str, ...] = ()) -> AugmentPlan:
    """Real and added images of each class at this ratio; `own`: classes with a ratio of their own, as NAME=R."""
    return make_plan(real.counts(), real.class_names, MODES[mode](ratio, own))


def most_made(
    mode: str, ratios: tuple[float, ...], real: LabelledImages, own: tuple[str, ...] = ()
) -> IntArray:
    """Added images of each class that the hungriest ratio needs, int64 (K,)."""
    most: IntArray = np.max([plan_of(mode, ratio, real, own).make for ratio in ratios], axis=0)
    return most


def wanted(config: ExperimentConfig, real: LabelledImages, *, generated: bool) -> IntArray:
    """Added images of each class, int64 (K,): enough for every ratio, and for replacing all.

    `generated`: of those that come from generators, or of the others; an arm's own ratio counts for its kind alone.
    """
    compare = config.compare
    own = tuple(
        ratio
        for name in compare.arms
        if find(name)[0].generated is generated and (ratio := ratio_of(name)) is not None
    )
    most = compare.fresh * most_made(compare.mode, (*compare.ratios, *own), real, compare.ratio_for)
    return np.asarray(np.maximum(most, real.counts()), dtype=np.int64)


def own_archs(arms: Sequence[str]) -> list[str]:
    """Architectures that arms ask for themselves (`ARM@ARCHITECTURE`), sorted."""
    return sorted({arch for _, arch in map(find, arms) if arch is not None})


def train_config(config: ExperimentConfig, arch: str, seed: int) -> TrainConfig:
    """How a cell trains: as the experiment says, or, for another architecture, as that one does by default."""
    runtime = dataclasses.replace(config.runtime, seed=seed)
    if arch == config.arch:
        return TrainConfig(config.data, arch, config.spec, config.recipe, config.budget, runtime)
    kind = specs.spec_class(arch)
    return TrainConfig(config.data, arch, kind(), Recipe(**kind.recipe), config.budget, runtime)


def check_filters(config: ExperimentConfig, num_classes: int) -> None:
    """Refuse filters that cannot judge what the generators of the arms will make.

    Raises:
        UsageError: with the reason.
    """
    found = [(arm, arch or config.arch) for arm, arch in map(find, config.compare.arms)]
    for arch in sorted({arch for arm, arch in found if arm.generated or arm.added == "leaked"}):
        loss = train_config(config, arch, config.runtime.seed).recipe.loss
        for name in in_order(config.compare.filter):
            kind_of(name).check(arch, loss, num_classes, where=f"--arch {arch}")


def training_set(
    real: LabelledImages, pool: LabelledImages | None, plan: AugmentPlan, seed: int
) -> LabelledImages:
    """The real images that stay and the first generated ones of each class.

    Args:
        real: the training subset.
        pool: generated images, enough of each class; None where the plan makes none.
        plan: which of them are kept (`keep`, drawn by seed where fewer than there are) and how many are made.
        seed: of the cell.
    """
    kept = real if (plan.keep == plan.have).all() else real.take(kept_rows(real.labels, plan.keep, seed))
    if pool is None or not plan.make.any():
        return kept
    return concatenate(kept, pool.take(first_of_each(pool.labels, plan.make)))
