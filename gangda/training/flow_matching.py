"""Flow matching: a network learns the velocity of straight lines from images to noise."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gangda.config.architectures import FlowSpec
from gangda.config.methods import FlowMatchingOptions
from gangda.config.schema import TrainConfig
from gangda.data.images import LabelledImages, to_float
from gangda.runtime.capture import Losses
from gangda.runtime.device import DeviceContext, evaluating
from gangda.runtime.seeding import numpy_stream, torch_stream
from gangda.training.draws import Draws, detached
from gangda.training.loop import optimizer_step
from gangda.training.method import Batch, IterativeMethod, adam
from gangda.training.muon import Joint, Muon
from gangda.training.option_rules import OptionRules
from gangda.zoo.base import Generator, Networks
from gangda.zoo.flow.backbone import CHANGES

LARGEST_SHIFT = 2  # pixels
VALIDATION_DRAWS, VALIDATION_BATCH = 512, 128
MOMENTUM = 0.95  # of Muon, as in Jordan 2024
LOG_NOISE_MEAN, LOG_NOISE_SPREAD = -1.2, 1.2  # Karras 2022, table 1


class FlowRules(OptionRules):
    """Options of the other backbone and of the other optimizer would do nothing."""

    def errors(self) -> Iterator[str]:
        """See `OptionRules.errors`."""
        yield from super().errors()
        spec, own = self.config.spec, self.config.method
        assert isinstance(spec, FlowSpec)
        assert isinstance(own, FlowMatchingOptions)
        if spec.backbone == "unet" and spec.depth != FlowSpec.depth:
            yield f"--depth {spec.depth}: the U-Net has none; leave it out, or give --backbone dit"
        if not spec.conditional and spec.class_dropout != FlowSpec.class_dropout:
            yield f"--class-dropout {spec.class_dropout:g}: there are no classes with --no-conditional; leave it out"
        if own.optimizer == "adam" and own.muon_lr != FlowMatchingOptions.muon_lr:
            yield f"--muon-lr {own.muon_lr:g}: there is no Muon with --optimizer adam; give --lr"


class FlowMatchingMethod(IterativeMethod):
    """E |v(x_t, t, y) - (e - x)|^2 with x_t = (1 - t) x + t e, e standard normal and t = sigmoid(standard normal).

    Source: Lipman 2023, equation 23 with sigma_min = 0 (time runs the other way here); Liu 2023, equation 1; for t,
    Esser 2024, section 3.1. Images may be mirrored and shifted. The network is told, and told when sampling that
    nothing was changed, so that samples show no such changes (Karras 2022, appendix F.2).
    """

    option_rules = FlowRules

    def __init__(
        self, config: TrainConfig, networks: Networks, images: LabelledImages, context: DeviceContext
    ) -> None:
        super().__init__(config, networks, images, context)
        assert isinstance(config.method, FlowMatchingOptions)
        assert isinstance(config.spec, FlowSpec)
        self.class_dropout = config.spec.class_dropout
        self.options, recipe, decay = config.method, config.recipe, config.method.weight_decay
        matrices = self.generator.network.hidden_matrices() if self.options.optimizer == "muon" else []
        inner = set(matrices)
        others = [p for p in self.generator.parameters() if p not in inner]
        self.optimizers = {
            "generator": adam(others, recipe.lr, recipe, context, torch.optim.AdamW, weight_decay=decay)
        }
        if matrices:
            group = {"params": matrices, "initial_lr": self.options.muon_lr}
            lr = context.learning_rate(self.options.muon_lr)
            self.optimizers["hidden layers"] = Muon([group], lr, MOMENTUM, decay)
        self.joint = Joint(list(self.optimizers.values()))

    def update(self, batch: Batch, draws: Draws) -> Losses:
        """One step down the loss of the batch."""
        losses = {"g_loss": self.loss(*batch, draws)}
        optimizer_step([(self.joint, losses)], self.context, clip=self.options.clip_gradient)
        return detached(losses)

    def loss(self, images: Tensor, y: Tensor, draws: Draws) -> Tensor:
        """The mean squared error of a batch. images: (B, C, H, W) in [-1, 1]; y: int64 (B,)."""
        count = len(images)
        noise, normal = draws.noise(tuple(images.shape)), draws.take(torch.randn, (count,))
        dropped = draws.take(torch.rand, (count,)) < self.class_dropout
        images, changes = self.changed(images, draws)
        if not self.generator.conditional:
            dropped = torch.ones_like(dropped)
        y = torch.where(dropped, self.generator.num_classes, y)
        return self.error(self.generator, images, noise, normal, y, changes)

    def error(
        self, generator: Any, images: Tensor, noise: Tensor, normal: Tensor, y: Tensor, changes: Tensor
    ) -> Tensor:
        """The mean squared error of the velocity, at the times that the normal draws (B,) give."""
        t = torch.sigmoid(normal)
        x = torch.lerp(images, noise, t[:, None, None, None])
        with self.context.autocast():
            velocity = generator.velocity(x, t, y, changes)
        return F.mse_loss(velocity.float(), noise - images)

    def validation_loss(self, average: Generator, images: LabelledImages) -> float | None:
        """The error of unchanged images with their classes: `VALIDATION_DRAWS` draws, dealt out over the images.

        Of more images than draws, as many at random: a set may lie class after class.
        """
        if not len(images):
            return None
        seed, total, rows = self.config.runtime.seed, 0.0, VALIDATION_BATCH
        rng = torch_stream(seed, "validation loss")
        chosen = numpy_stream(seed, "validation images").permutation(len(images))[:VALIDATION_DRAWS]
        order = np.resize(np.sort(chosen), VALIDATION_DRAWS)
        with evaluating(average):
            for part in np.split(order, VALIDATION_DRAWS // rows):
                x, y = images.pixels[part], torch.from_numpy(images.labels[part]).to(self.context.device)
                real = to_float(torch.from_numpy(x).to(self.context.device).permute(0, 3, 1, 2))
                noise, normal = torch.randn(real.shape, generator=rng), torch.randn(rows, generator=rng)
                if not average.conditional:
                    y = torch.full_like(y, average.num_classes)
                unchanged = real.new_zeros(rows, CHANGES)
                drawn = self.context.put(noise), self.context.put(normal)
                total += float(self.error(average, real, *drawn, y, unchanged)) * rows
        return total / VALIDATION_DRAWS

    def changed(self, images: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Images, some of them mirrored or shifted, and what the network is told: (B, 3) in [-1, 1].

        A shift is by up to two whole pixels and repeats the pixels of its edge.
        """
        count, height, width = len(images), *images.shape[2:]
        mirrored = draws.take(torch.rand, (count,)) < self.options.mirror
        shifted = draws.take(torch.rand, (count,)) < self.options.shift
        by = (
            draws.take(partial(torch.randint, -LARGEST_SHIFT, LARGEST_SHIFT + 1), (count, 2))
            * shifted[:, None]
        )
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        rows = (torch.arange(height, device=images.device) - by[:, :1]).clamp(0, height - 1)
        columns = (torch.arange(width, device=images.device) - by[:, 1:]).clamp(0, width - 1)
        index = torch.arange(count, device=images.device)[:, None, None]
        moved = images.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        conditions = torch.cat([mirrored[:, None].float(), by.float() / LARGEST_SHIFT], 1)
        return moved, conditions


class EdmMethod(FlowMatchingMethod):
    """The weighted error of the denoised image, at noise of log-normal size; everything else as in flow matching.

    Source: Karras 2022 (EDM), equation 8 and table 1. The weight is such that it is the plain error of the network's
    own output.
    """

    def error(
        self, generator: Any, images: Tensor, noise: Tensor, normal: Tensor, y: Tensor, changes: Tensor
    ) -> Tensor:
        """See `FlowMatchingMethod.error`."""
        t = torch.exp(LOG_NOISE_MEAN + LOG_NOISE_SPREAD * normal)
        noisy = images + t[:, None, None, None] * noise
        skip, out, scale_in = generator.scales(t)
        with self.context.autocast():
            found = generator.network(scale_in * noisy, t.log() / 4, y, changes)
        return F.mse_loss(found.float(), (images - skip * noisy) / out)
