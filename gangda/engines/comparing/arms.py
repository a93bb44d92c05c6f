"""What each arm trains on: the real subset, plus (or with) added images."""

from collections.abc import Callable, Mapping

import numpy as np

from gangda.configs import AugmentConfig
from gangda.data.images import IntArray, LabelledImages, concatenate
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
