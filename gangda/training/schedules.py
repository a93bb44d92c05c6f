"""Schedules, as functions of the recipe and the step: nothing here needs to be saved."""

import math
from collections.abc import Iterable

from torch.optim import Optimizer

from gangda.config.schema import Recipe
from gangda.runtime.capture import set_learning_rate


def learning_rate_share(recipe: Recipe, step: int, total_steps: int | None) -> float:
    """The share of its initial value that a learning rate has at step 0, 1, ....

    Cosine to 0 at step `total_steps`, if known: Loshchilov 2017, equation 5, without restarts. Inverse square root,
    which needs no number of steps: Karras 2024 (EDM2), equation 67.
    """
    share = 1.0
    if recipe.lr_schedule == "inverse-sqrt":
        share = 1 / math.sqrt(max(1.0, step / recipe.lr_constant_steps))
    elif recipe.lr_schedule == "cosine" and total_steps is not None:
        share = 0.5 * (1 + math.cos(math.pi * min(1.0, step / total_steps)))
    warmup = recipe.lr_warmup_steps
    return share * min(1.0, (step + 1) / warmup) if warmup else share


def set_learning_rates(
    optimizers: Iterable[Optimizer], recipe: Recipe, step: int, total_steps: int | None
) -> None:
    """Give each optimizer its rate at step 0, 1, ...."""
    share = learning_rate_share(recipe, step, total_steps)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            set_learning_rate(group, share * group["initial_lr"])


def conditioning_scale(warmup: int, step: int) -> float:
    """How much the class counts at step 0, 1, ...: linearly from 0 to 1 over `warmup` steps.

    Source: Shahbazi 2022 (linear transition). Departure: it begins at step 0.
    """
    return min(1.0, step / warmup)


def ema_decay(recipe: Recipe, step: int) -> float:
    """Decay of the weight average after step 1, 2, ...; it ramps up, so that a short run is not left behind.

    At most s / (s + 10); or, with `ema_ramp` r, so that the half-life is at most r times the steps so far (Karras 2020,
    the authors' `ema_rampup`, 0.05 by default there).
    """
    ramp = step / (step + 10) if recipe.ema_ramp is None else 0.5 ** (1 / (recipe.ema_ramp * step))
    return min(recipe.ema, ramp)
