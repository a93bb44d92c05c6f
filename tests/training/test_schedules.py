"""Schedules, worked by hand."""

import math

import pytest
import torch

from gangda.config.architectures import PcaSpec
from gangda.config.methods import AdversarialOptions
from gangda.config.schema import Recipe, TrainConfig
from gangda.errors import UsageError
from gangda.runtime.device import DeviceContext
from gangda.training import schedules
from gangda.training.method import adam

CPU = DeviceContext(torch.device("cpu"), torch.float32, 1)


def test_batches_of_pretraining_and_extra_discriminator_steps_come_first():
    config = TrainConfig(method=AdversarialOptions(d_steps=3, d_pretrain=4))
    assert [config.batches_before(step) for step in range(4)] == [4, 7, 10, 13]
    assert [TrainConfig().batches_before(step) for step in range(3)] == [0, 1, 2]
    assert TrainConfig(arch="pca", spec=PcaSpec()).batches_before(3) == 0
    with pytest.raises(UsageError, match="pca: takes ClosedFormOptions, not AdversarialOptions"):
        TrainConfig(arch="pca", spec=PcaSpec(), method=AdversarialOptions())


def share(step, total_steps, **options):
    return schedules.learning_rate_share(Recipe(**options), step, total_steps)


def test_cosine_falls_to_zero_at_the_last_step():
    assert share(0, 100, lr_schedule="cosine") == 1.0
    assert share(25, 100, lr_schedule="cosine") == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert share(50, 100, lr_schedule="cosine") == pytest.approx(0.5)
    assert share(100, 100, lr_schedule="cosine") == 0.0
    assert share(50, 100) == 1.0


def test_the_inverse_square_root_holds_and_then_falls():
    options = {"lr_schedule": "inverse-sqrt", "lr_constant_steps": 100}
    assert [share(step, None, **options) for step in (0, 100, 400, 1600)] == [1.0, 1.0, 0.5, 0.25]


def test_the_rate_rises_over_the_warmup():
    assert [share(step, None, lr_warmup_steps=4) for step in (0, 1, 3, 9)] == [0.25, 0.5, 1.0, 1.0]


def test_every_schedule_begins_with_the_initial_rate():
    for name in Recipe.__dataclass_fields__["lr_schedule"].metadata["choices"]:
        assert share(0, 10, lr_schedule=name) == 1.0


def test_each_optimizer_keeps_its_own_initial_rate():
    layers = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    optimizers = [
        adam(layer.parameters(), lr, Recipe(), CPU) for layer, lr in zip(layers, (0.4, 0.0), strict=True)
    ]
    schedules.set_learning_rates(optimizers, Recipe(lr_schedule="cosine"), 5, 10)
    assert [o.param_groups[0]["lr"] for o in optimizers] == [pytest.approx(0.2), 0.0]


def test_the_conditioning_scale_rises_over_the_warmup():
    assert [schedules.conditioning_scale(4, step) for step in range(6)] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]


def test_ramps_of_the_weight_average():
    assert schedules.ema_decay(Recipe(ema=0.999), 10) == 0.5
    assert schedules.ema_decay(Recipe(ema=0.999), 10**6) == 0.999
    # Half-life of a tenth of 200 steps: 20 steps halve what was there before.
    assert schedules.ema_decay(Recipe(ema=0.999, ema_ramp=0.1), 200) ** 20 == pytest.approx(0.5)
    assert schedules.ema_decay(Recipe(ema=0.9, ema_ramp=0.1), 10**6) == 0.9
