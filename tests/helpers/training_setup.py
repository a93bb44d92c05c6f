"""The training loop of any architecture in a line, for tests and benchmarks."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch

from gangda.config import architectures
from gangda.config.catalog import METHODS, load_target
from gangda.config.methods import Budget, Recipe, options_class
from gangda.config.schema import TrainConfig
from gangda.data.images import LabelledImages
from gangda.runtime.device import DeviceContext
from gangda.training.draws import Draws
from gangda.training.image_batches import ResidentImages, batches
from gangda.training.loop import StepRecord, training_loop
from gangda.training.method import Method
from gangda.training.state import TrainState, new_state
from gangda.zoo.base import Networks
from gangda.zoo.networks import build_networks


def configured(arch: str, options: dict[str, Any] | None = None, side: int = 8, **values: Any) -> TrainConfig:
    """A configuration: the architecture's own `options`, and values of its recipe or its method by name."""
    spec = architectures.spec_class(arch)(**(options or {})).resolved(side)
    recipe, method = (
        {
            field.name: value
            for field in dataclasses.fields(kind)
            for name, value in merged.items()
            if name == field.name
        }
        for kind in (Recipe, options_class(spec.method))
        for merged in ({**spec.recipe, **values},)
    )
    unknown = set(values) - set(recipe) - set(method)
    assert not unknown, unknown
    return TrainConfig(
        arch=arch,
        spec=spec,
        recipe=Recipe(**recipe),
        method=options_class(spec.method)(**method),
        budget=Budget(steps=20),
    )


def networks_of(config: TrainConfig, images: LabelledImages) -> Networks:
    """Networks from torch's global stream at seed 0."""
    torch.manual_seed(0)
    return build_networks(config.arch, config.spec, images.image_shape, images.num_classes)


def method_with(
    config: TrainConfig, networks: Networks, images: Any, context: DeviceContext, seed: int
) -> Method:
    """The configuration's method over these networks, drawing from streams of this seed."""
    for module in (networks.generator, networks.discriminator):
        if module is not None:
            module.to(context.device, memory_format=torch.channels_last)
    method: Method = load_target(METHODS[config.spec.method].target)(config, networks, images, context)
    method.streams.seed = seed
    return method


def start(
    arch: str,
    images: LabelledImages,
    context: DeviceContext,
    options: dict[str, Any] | None = None,
    total_steps: int | None = None,
    seed: int = 7,
    **values: Any,
) -> tuple[TrainState, Iterator[StepRecord]]:
    """The state before the first step, and the loop."""
    defaults = {"batch_size": 12}
    if "r1_every" in options_class(architectures.spec_class(arch).method).__dataclass_fields__:
        defaults["r1_every"] = 2
    config = configured(arch, options, max(images.image_shape[1:]), **{**defaults, **values})
    return begin(config, networks_of(config, images), images, context, total_steps, seed)


def begin(
    config: TrainConfig,
    networks: Networks,
    images: LabelledImages,
    context: DeviceContext,
    total_steps: int | None = None,
    seed: int = 7,
) -> tuple[TrainState, Iterator[StepRecord]]:
    """The same for networks and a configuration of one's own."""
    method = method_with(config, networks, images, context, seed)
    state = new_state(method)
    batch = batches(ResidentImages(images, seed, context), config, method.share)
    return state, training_loop(state, method, batch, total_steps)


def draws(number: int = 0) -> Draws:
    """Draws from a stream of seed 0, on the CPU."""
    context = DeviceContext(torch.device("cpu"), torch.float32, 1)
    made = Draws(("step",), number, (0,), (0,), context, [])
    made.stream = torch.Generator().manual_seed(0)
    return made
