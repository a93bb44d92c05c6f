"""What changes in the course of training, as functions of the recipe and the step: nothing here needs to be saved."""

import math
from collections.abc import Callable

from gangda.config.schema import Recipe


def turns_before(recipe: Recipe, step: int) -> int:
    """Turns of the discriminator before step 0, 1, ...: those of its pre-training come before all steps.

    The turns from `turns_before(step)` to `turns_before(step + 1)`, exclusive, belong to the step.
    """
    return recipe.d_pretrain + step * recipe.d_steps


def learning_rates(recipe: Recipe, step: int, total_steps: int | None) -> tuple[float, float]:
    """Learning rates of generator and discriminator at step 0, 1, ...: a share of the recipe's.

    `horizon` is the number of steps of the run, where it is known; only the cosine asks for it.
    """
    share = _SHARES[recipe.lr_schedule](recipe, step, total_steps)
    return share * recipe.lr, share * d_lr(recipe)


def _constant(recipe: Recipe, step: int, total_steps: int | None) -> float:
    return 1.0


def _inverse_sqrt(recipe: Recipe, step: int, total_steps: int | None) -> float:
    """Needs no horizon, so that a run may be prolonged. Source: Karras 2024 (EDM2), equation 67."""
    return 1 / math.sqrt(max(1.0, step / recipe.lr_constant_steps))


def _cosine(recipe: Recipe, step: int, total_steps: int | None) -> float:
    """To 0 at step `horizon`. Source: Loshchilov 2017, equation 5 without restarts."""
    return 1.0 if total_steps is None else 0.5 * (1 + math.cos(math.pi * min(1.0, step / total_steps)))


_SHARES: dict[str, Callable[[Recipe, int, int | None], float]] = {
    "constant": _constant,
    "inverse-sqrt": _inverse_sqrt,
    "cosine": _cosine,
}


def d_lr(recipe: Recipe) -> float:
    """The discriminator's learning rate, before any schedule."""
    return recipe.lr if recipe.lr_d is None else recipe.lr_d


def strength(recipe: Recipe, step: int) -> float:
    """How much the class counts at step 0, 1, ...: rising from 0 to 1 over `conditioning_warmup` steps.

    Source: Shahbazi 2022 (linear transition); it begins at step 0 here.
    """
    return min(1.0, step / recipe.conditioning_warmup) if recipe.conditioning_warmup else 1.0


def ema_decay(recipe: Recipe, step: int) -> float:
    """Decay of the weight average after step 1, 2, ...; it ramps up, so that a short run is not left behind.

    With `ema_ramp` r the half-life is at most r times the steps so far (Karras 2020, the authors' `ema_rampup`, whose
    default is 0.05); without, the average covers at most a tenth of the steps so far and then some: s / (s + 10).
    """
    ramp = step / (step + 10) if recipe.ema_ramp is None else 0.5 ** (1 / (recipe.ema_ramp * step))
    return min(recipe.ema, ramp)
