"""What a way to train a generator must offer: the interface between the training loop and the methods."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from gangda.config import catalog
from gangda.config.schema import TrainConfig
from gangda.data.images import LabelledImages
from gangda.runtime.device import DeviceContext
from gangda.runtime.seeding import seed_device
from gangda.training.draws import Draws, DrawStreams
from gangda.training.rank_batches import Share
from gangda.zoo.base import Generator
from gangda.zoo.networks import build_networks

Losses = dict[str, Tensor]
Batch = tuple[Tensor, Tensor]  # images (B, C, H, W) in [-1, 1] and labels int64 (B,), on the device


class Method(Protocol):
    """How a generator is trained. One implementation a file, named by the catalog's METHODS.

    It is made as `kind(config, networks, images, context)`: the configuration with nothing left open, fresh networks on
    the device, and the training images, for a method that fits them as a whole.

    Attributes:
        streams: what its steps draw from; `streams.seed` may be changed between steps.
        share: a rank's part of each batch, where several ranks train.
        buffers: tensors carried from step to step, saved with the run.
        metrics: figures of the last step beside its losses, detached.
    """

    streams: DrawStreams
    share: Share | None
    buffers: dict[str, Tensor]
    metrics: Losses

    def modules(self) -> dict[str, nn.Module]:
        """The networks that are trained and saved, by name; the generator is `generator`."""

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimizers, by the name of the network that each of them trains."""

    def set_schedules(self, step: int, average: Generator) -> None:
        """Bring what depends on the step up to date, also in the weight average; learning rates are the loop's."""

    def draws(self, step: int) -> Sequence[Draws]:
        """All randomness of step 0, 1, ..., one for each of its batches. Pre-training steps are -P, ..., -1."""

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
