"""How long a training would take on this machine, from a few of its steps."""

import dataclasses
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from gangda.config.methods import AdversarialOptions
from gangda.config.schema import TrainConfig
from gangda.data.images import LabelledImages
from gangda.runtime.device import DeviceContext
from gangda.training.budget import step_budget
from gangda.training.memory import (
    check_memory,
    memory_complaint,
    steps_to_try,
    training_disk,
    training_memory,
)
from gangda.training.result import Estimate, count_parameters

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
    own = config.method
    if isinstance(own, AdversarialOptions) and (own.r1 or own.r2) and own.r1_every > 1:
        # Lazy penalties count by their share.
        always, never = dataclasses.replace(own, r1_every=1), dataclasses.replace(own, r1=0.0, r2=0.0)
        (penalised, _), (each, parameters) = (
            _timed(dataclasses.replace(config, method=one), images, context) for one in (always, never)
        )
        each += (penalised - each) / own.r1_every
    else:
        each, parameters = _timed(config, images, context)
    budget = step_budget(config, len(images))
    steps = budget.total_steps or round(budget.max_seconds / each)
    memory = training_memory(config, images, context, parameters)
    return Estimate(options, parameters, each, steps, each * steps, memory, training_disk(parameters))


def _timed(config: TrainConfig, images: LabelledImages, context: DeviceContext) -> tuple[float, int]:
    """Seconds of a step, the median of some, and parameters of all networks."""
    method, loop = steps_to_try(config, images, context)
    for _ in range(WARM_UP if context.recorder is None else WARM_UP_RECORDED):
        next(loop)
    taken = []
    for _ in range(TIMED):
        begun = time.perf_counter()
        next(loop).numbers()  # waits for the device
        taken.append(time.perf_counter() - begun)
    parameters = sum(count_parameters(method.modules).values())
    del method, loop
    if context.device.type == "cuda":
        torch.cuda.empty_cache()  # the next size needs room
    return statistics.median(taken), parameters


def largest_within(
    config: TrainConfig, images: LabelledImages, context: DeviceContext, sizes: Sequence[dict[str, Any]]
) -> tuple[dict[str, Any], int]:
    """The largest of these sizes that fits into memory and, in its time, makes as many steps as without a budget.

    The smallest where none does, the configuration as it is ({}) where there are none; with its steps.
    """

    def sized(size: dict[str, Any]) -> TrainConfig:
        return dataclasses.replace(config, spec=dataclasses.replace(config.spec, **size))

    smallest, *larger = sizes or ({},)
    for size in reversed(larger):
        if not memory_complaint(sized(size), images, context):
            steps = estimated(sized(size), size, images, context).steps
            if steps >= config.spec.steps_for(len(images)):
                return size, steps
    check_memory(sized(smallest), images, context)
    return smallest, max(1, estimated(sized(smallest), smallest, images, context).steps)
