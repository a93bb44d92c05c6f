"""How a generator is trained: the base class of the training methods."""

import abc
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gangda.config import catalog
from gangda.config.schema import Recipe, TrainConfig
from gangda.data.images import LabelledImages
from gangda.runtime.capture import Capture, Losses
from gangda.runtime.device import DeviceContext
from gangda.runtime.seeding import seed_device
from gangda.training.draws import Draws, DrawStreams
from gangda.training.option_rules import OptionRules
from gangda.training.rank_batches import share_of_batches
from gangda.zoo.base import Generator, Networks
from gangda.zoo.networks import build_networks

Batch = tuple[Tensor, Tensor]  # images (B, C, H, W) in [-1, 1] and labels int64 (B,), on the device


class Method(abc.ABC):
    """A way to train a generator: a subclass defines `step`. Named by the catalog's METHODS.

    Attributes:
        config: with nothing left open; images: the training images, for a method that fits them as a whole.
        modules: the networks that are trained and saved, by name; the generator is `generator`.
        optimizers: by the name of what each of them trains.
        streams: what its steps draw from; `streams.seed` may be changed between steps.
        share: a rank's part of each batch, where several ranks train.
        buffers: tensors carried from step to step, saved with the run; changed in place once they are there.
    """

    option_rules = OptionRules  # what its options are checked by

    def __init__(
        self, config: TrainConfig, networks: Networks, images: LabelledImages, context: DeviceContext
    ) -> None:
        self.config, self.images, self.context = config, images, context
        self.generator: Any = networks.generator
        self.modules: dict[str, nn.Module] = networks.modules()
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.share = share_of_batches(config, self.modules, context.ranks)
        self.streams = DrawStreams(config.runtime.seed, context, self.share)
        self.buffers: dict[str, Tensor] = {}

    def set_schedules(self, step: int, average: Generator) -> None:  # noqa: B027
        """Bring what depends on the step up to date, also in the weight average; learning rates are the loop's."""

    def draws(self, step: int) -> Sequence[Draws]:
        """All randomness of step 0, 1, ..., one for each of its batches. Pre-training steps are -P, ..., -1."""
        return [self.streams.draws(("step",), step, "step", "dropout", step)]

    @abc.abstractmethod
    def step(self, batches: Sequence[Batch], draws: Sequence[Draws]) -> Losses:
        """Train on the batches and draws of a step; losses and other figures, detached, by name."""

    def validation_loss(self, average: Generator, images: LabelledImages) -> float | None:
        """The loss of the weight average on held-out images, always on the same draws; None where it says nothing."""
        return None

    def move_average(self, averaged: list[Tensor], live: list[Tensor], share: float) -> None:
        """Move these tensors of the weight average by this share of the way to those of the live network."""
        with torch.no_grad():
            torch._foreach_lerp_(averaged, live, share)


class IterativeMethod(Method):
    """A method whose step is an update on each of its batches: a subclass defines `update`.

    On a GPU, updates and the weight average are recorded as CUDA graphs.
    """

    def __init__(
        self, config: TrainConfig, networks: Networks, images: LabelledImages, context: DeviceContext
    ) -> None:
        super().__init__(config, networks, images, context)
        parameters = [p for module in self.modules.values() for p in module.parameters()]
        self.capture = Capture(context.recorder, parameters)
        self.average_capture = Capture(context.recorder)

    def step(self, batches: Sequence[Batch], draws: Sequence[Draws]) -> Losses:
        """One update for each batch and its draws."""
        losses: Losses = {}
        for batch, own in zip(batches, draws, strict=True):
            own.seed_dropout()
            losses |= self._captured(batch, own)
        return losses

    def _captured(self, batch: Batch, draws: Draws) -> Losses:
        """`update` on this batch; on a GPU as a CUDA graph."""
        if draws.tensors is None:
            self.capture.last = None
            return self.update(batch, draws)

        def update(images: Tensor, y: Tensor, *drawn: Tensor) -> Losses:
            return self.update((images, y), replace(draws, tensors=list(drawn)))

        return self.capture(draws.kind, update, [*batch, *draws.tensors])

    @abc.abstractmethod
    def update(self, batch: Batch, draws: Draws) -> Losses:
        """Train on one batch. What is done to the tensors depends on Python's values through `draws.kind` alone."""

    def move_average(self, averaged: list[Tensor], live: list[Tensor], share: float) -> None:
        """See `Method.move_average`."""
        if self.context.recorder is None:
            super().move_average(averaged, live, share)
            return

        def move(share: Tensor) -> Losses:
            with torch.no_grad():
                apart = torch._foreach_sub(live, averaged)
                torch._foreach_mul_(apart, share)
                torch._foreach_add_(averaged, apart)
            return {}

        self.average_capture("average", move, [self.context.put(torch.tensor(share))])


def make_method(config: TrainConfig, images: LabelledImages, context: DeviceContext) -> Method:
    """The method of the configuration's architecture, with fresh networks on the device, in the layout fastest there.

    The same configuration and images give the same weights.
    """
    seed_device(torch.device("cpu"), config.runtime.seed, "networks")
    networks = build_networks(config.arch, config.spec, images.image_shape, images.num_classes)
    layout = torch.channels_last if context.channels_last else torch.contiguous_format
    for module in networks.modules().values():
        module.to(context.device, memory_format=layout)  # type: ignore[call-overload]
    kind = catalog.builder("method", catalog.METHODS, config.spec.method)
    method: Method = kind(config, networks, images, context)
    return method


def adam(
    parameters: Iterable[Tensor],
    lr: float,
    recipe: Recipe,
    context: DeviceContext,
    kind: Any = torch.optim.Adam,
    **options: float,
) -> torch.optim.Optimizer:
    """Adam (or another `kind`) over those that are trainable, with the initial rate that schedules multiply."""
    group = {"params": [p for p in parameters if p.requires_grad], "initial_lr": lr}
    betas = (recipe.beta1, recipe.beta2)
    made: torch.optim.Optimizer = kind([group], betas=betas, **context.adam_options(lr), **options)
    return made
