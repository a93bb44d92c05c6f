"""How long a training would take on this machine, from a few of its steps."""

import dataclasses
import statistics
import time
from collections.abc import Iterator
from typing import Any

import torch

from gangda.config.schema import TrainConfig
from gangda.data.images import LabelledImages
from gangda.runtime.device import DeviceContext
from gangda.training.budget import step_budget
from gangda.training.method import make_method
from gangda.training.result import Estimate, count_parameters
from gangda.training.state import new_state
from gangda.training.worker_ranks import training_steps

WARM_UP, TIMED = 2, 3  # steps; on a GPU more are needed until steps are recorded
WARM_UP_RECORDED = 12


def estimates(config: TrainConfig, images: LabelledImages, context: DeviceContext) -> Iterator[Estimate]:
    """The configuration as it is, then with the other sizes that its architecture names; checked and filled in.

    Nothing for a fit in closed form.
    """
    if not config.images_per_step:
        return
    for values in ({}, *config.spec.other_sizes()):
        spec = dataclasses.replace(config.spec, **values)
        if not values or spec != config.spec:
            yield estimated(dataclasses.replace(config, spec=spec), values, images, context)


def estimated(
    config: TrainConfig, options: dict[str, Any], images: LabelledImages, context: DeviceContext
) -> Estimate:
    """The time that some steps took, and the whole budget's."""
    method = make_method(config, images, context)
    state = new_state(method)
    state.pretrained = config.method.pretraining_steps  # not timed
    loop = training_steps(method, state, config.runtime.seed)
    for _ in range(WARM_UP if context.recorder is None else WARM_UP_RECORDED):
        next(loop)
    taken = []
    for _ in range(TIMED):
        begun = time.perf_counter()
        next(loop).numbers()  # waits for the device
        taken.append(time.perf_counter() - begun)
    each, budget = statistics.median(taken), step_budget(config, len(images))
    steps = budget.total_steps or round(budget.max_seconds / each)
    parameters = sum(count_parameters(method.modules).values())
    del method, state, loop
    if context.device.type == "cuda":
        torch.cuda.empty_cache()  # the next size needs room
    return Estimate(options, parameters, each, steps, each * steps)
