"""What changes in the course of training, worked by hand."""

import math

import pytest

from gangda.config.schema import Recipe
from gangda.training import schedules


def test_turns_of_the_discriminator():
    recipe = Recipe(d_steps=3, d_pretrain=4)
    assert [schedules.turns_before(recipe, step) for step in range(4)] == [4, 7, 10, 13]
    assert [schedules.turns_before(Recipe(), step) for step in range(3)] == [0, 1, 2]


def test_cosine_falls_to_zero_at_the_horizon():
    recipe = Recipe(lr=0.4, lr_d=0.2, lr_schedule="cosine")
    assert schedules.learning_rates(recipe, 0, 100) == (0.4, 0.2)
    assert schedules.learning_rates(recipe, 25, 100)[0] == pytest.approx(0.4 * (1 + math.sqrt(0.5)) / 2)
    assert schedules.learning_rates(recipe, 50, 100) == (pytest.approx(0.2), pytest.approx(0.1))
    assert schedules.learning_rates(recipe, 100, 100) == (0.0, 0.0)
    assert schedules.learning_rates(Recipe(lr=0.4), 50, 100) == (0.4, 0.4)


def test_the_inverse_square_root_holds_and_then_falls():
    recipe = Recipe(lr=0.4, lr_d=0.2, lr_schedule="inverse-sqrt", lr_constant_steps=100)
    assert schedules.learning_rates(recipe, 0, None) == (0.4, 0.2)
    assert schedules.learning_rates(recipe, 100, None) == (0.4, 0.2)
    assert schedules.learning_rates(recipe, 400, None) == (0.2, 0.1)
    assert schedules.learning_rates(recipe, 1600, 2000) == (0.1, 0.05)


def test_every_schedule_has_its_course():
    for name in Recipe.__dataclass_fields__["lr_schedule"].metadata["choices"]:
        assert schedules.learning_rates(Recipe(lr=0.5, lr_schedule=name), 0, 10) == (0.5, 0.5)


def test_the_discriminators_rate_may_be_zero():
    assert schedules.d_lr(Recipe(lr_d=0.0)) == 0.0


def test_strength_rises_over_the_transition():
    recipe = Recipe(conditioning_warmup=4)
    assert [schedules.strength(recipe, step) for step in range(6)] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert schedules.strength(Recipe(), 0) == 1.0


def test_ramps_of_the_weight_average():
    assert schedules.ema_decay(Recipe(ema=0.999), 10) == 0.5
    assert schedules.ema_decay(Recipe(ema=0.999), 10**6) == 0.999
    # Half-life of a tenth of 200 steps: 20 steps halve what was there before.
    assert schedules.ema_decay(Recipe(ema=0.999, ema_ramp=0.1), 200) ** 20 == pytest.approx(0.5)
    assert schedules.ema_decay(Recipe(ema=0.9, ema_ramp=0.1), 10**6) == 0.9
