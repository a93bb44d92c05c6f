"""Generators that are fitted in closed form: a single step over all images."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gangda.config.schema import TrainConfig
from gangda.data.images import LabelledImages
from gangda.runtime.device import DeviceContext
from gangda.training.draws import Draws, DrawStreams
from gangda.training.method import Batch, Losses
from gangda.zoo.base import Generator, Networks


class ClosedFormMethod:
    """`generator.fit(images)`, once. There is nothing to draw, no optimizer and no weight average."""

    share = None

    def __init__(
        self, config: TrainConfig, networks: Networks, images: LabelledImages, context: DeviceContext
    ) -> None:
        self.generator: Any = networks.generator
        self.images, self.context = images, context
        self.streams = DrawStreams(config.runtime.seed, context)
        self.buffers: dict[str, Tensor] = {}
        self.metrics: Losses = {}

    def modules(self) -> dict[str, nn.Module]:
        """The generator."""
        return {"generator": self.generator}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """None."""
        return {}

    def set_schedules(self, step: int, average: Generator) -> None:
        """Nothing changes."""

    def draws(self, step: int) -> list[Draws]:
        """None."""
        return []

    def step(self, step: int, batches: Sequence[Batch], draws: Sequence[Draws]) -> Losses:
        """Fit the generator to all training images."""
        self.generator.cpu().fit(self.images)  # doubles and decompositions do not exist on every device
        self.generator.to(self.context.device)
        return {}
