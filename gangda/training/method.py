"""How a generator is trained: the base class of the training methods."""

import abc
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gangda.config import catalog
from gangda.config.schema import Recipe, TrainConfig
from gangda.data.images import LabelledImages
from gangda.runtime.device import DeviceContext
from gangda.runtime.seeding import seed_device
from gangda.training.draws import Draws, DrawStreams
from gangda.training.option_rules import OptionRules
from gangda.training.rank_batches import share_of_batches
from gangda.zoo.base import Generator, Networks
from gangda.zoo.networks import build_networks

Losses = dict[str, Tensor]
Batch = tuple[Tensor, Tensor]  # images (B, C, H, W) in [-1, 1] and labels int64 (B,), on the device


class Method(abc.ABC):
    """A way to train a generator: a subclass defines `step`. Named by the catalog's METHODS.

    Attributes:
        config: with nothing left open; images: the training images, for a method that fits them as a whole.
        modules: the networks that are trained and saved, by name; the generator is `generator`.
        optimizers: by the name of the network that each of them trains.
        streams: what its steps draw from; `streams.seed` may be changed between steps.
        share: a rank's part of each batch, where several ranks train.
        buffers: tensors carried from step to step, saved with the run.
        metrics: figures of the last step beside its losses, detached.
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
        self.metrics: Losses = {}

    def set_schedules(self, step: int, average: Generator) -> None:  # noqa: B027
        """Bring what depends on the step up to date, also in the weight average; learning rates are the loop's."""

    def draws(self, step: int) -> Sequence[Draws]:
        """All randomness of step 0, 1, ..., one for each of its batches. Pre-training steps are -P, ..., -1."""
        return [self.streams.draws("step", step, "step", "dropout", step)]

    @abc.abstractmethod
    def step(self, step: int, batches: Sequence[Batch], draws: Sequence[Draws]) -> Losses:
        """Train on the batches and draws of this step (numbered as in `draws`); the losses, detached, by name."""


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
    module: nn.Module, lr: float, recipe: Recipe, kind: Any = torch.optim.Adam, **options: float
) -> torch.optim.Optimizer:
    """Adam (or another `kind`) over a network's trainable parameters, with the initial rate that schedules multiply."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)  # elsewhere not in every torch
    group = {"params": parameters, "initial_lr": lr}
    made: torch.optim.Optimizer = kind(
        [group], lr=lr, betas=(recipe.beta1, recipe.beta2), fused=fused, **options
    )
    return made
