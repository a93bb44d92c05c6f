"""The batches that a classifier is trained on.

The uint8 set stays on the device. A few thousand images at a time are gathered, transformed and made float together;
batches are slices of that.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gangda.classifying import fit_rules
from gangda.classifying.fitted_classifier import FittedClassifier, memory_format, to_device
from gangda.config.arms import FitRule
from gangda.data.images import LabelledImages, to_float
from gangda.data.memmap import in_file
from gangda.runtime.device import DeviceContext
from gangda.runtime.seeding import torch_stream

CHUNK = 4096  # images gathered and transformed at once: amortises Python, still fits the caches
CHUNK_VALUES = 2**20  # and at most this many pixel values (4 MB as floats)

Transform = Callable[[Tensor, torch.Generator], Tensor]


class Batch(NamedTuple):
    """Input of one step, on the device.

    Attributes:
        x: float32 (B, C, H, W) in [-1, 1]; y: int64 (B,).
        weight: float32 (B,), relative weights; None where all are equal.
        share, other: of mixup, see `fit_rules.draw_mixup`.
    """

    x: Tensor
    y: Tensor
    weight: Tensor | None = None
    share: Tensor | None = None
    other: Tensor | None = None


class ClassifierBatches:
    """A training set on the device, in batches by the rule; iterating gives one `Batch` for each of the steps."""

    def __init__(
        self,
        train: LabelledImages,
        rule: FitRule,
        *,
        batch_size: int,
        steps: int,
        seed: int,
        context: DeviceContext,
        transform: Transform | None = None,
        teachers: Sequence[FittedClassifier] = (),
        reverse: bool = False,
    ) -> None:
        self.train, self.rule, self.batch_size, self.steps, self.seed = train, rule, batch_size, steps, seed
        self.context, self.transform, self._reverse = context, transform, reverse
        self._teachers = [teacher.network for teacher in teachers] if rule.distilled else []
        pixels = to_device(train.pixels, context)
        # A contiguous copy is faster to gather from; memory-mapped pixels stay in their file.
        self._pixels = pixels if in_file(train.pixels) else pixels.contiguous()
        self._labels = torch.tensor(train.labels).to(context.device)
        self._weight, self._deferred = self._relative_weights(), fit_rules.deferred_weights(train, rule)
        self._mixup_stream = torch_stream(seed, "classifier", "mixup")

    def __iter__(self) -> Iterator[Batch]:
        stream = torch_stream(self.seed, "classifier", "order")
        order = fit_rules.order(self.train, self.rule, self.batch_size, self.steps, stream)
        images = max(1, min(CHUNK, CHUNK_VALUES // math.prod(self.train.image_shape)))
        step = 0
        per_chunk = max(1, images // self.batch_size)
        for chunk, rows in enumerate(iter(lambda: list(itertools.islice(order, per_chunk)), [])):
            together = torch.cat(rows).to(self.context.device)
            x = torch.split(self._views(together, chunk), self.batch_size)
            y = torch.split(self._labels.index_select(0, together), self.batch_size)
            for views, labels, own in zip(x, y, rows, strict=True):
                yield Batch(views, labels, self._weight_at(own, step), *self._mixup(len(own)))
                step += 1

    def real_images(self) -> Iterator[Tensor]:
        """All real images once, untransformed, in batches of nearly one size: batch norm refuses a single image."""
        rows = torch.from_numpy(np.flatnonzero(~self.train.made)).to(self.context.device)
        for part in torch.tensor_split(rows, max(1, math.ceil(len(rows) / self.batch_size))):
            yield to_float(self._pixels.index_select(0, part))

    def _mixup(self, count: int) -> tuple[Tensor, ...]:
        if not self.rule.mixup:
            return ()
        return tuple(map(self.context.put, fit_rules.draw_mixup(count, self.rule.mixup, self._mixup_stream)))

    def with_targets(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        """What the network sees, its targets by the rule (distilled from the teachers, mixed up), and weights."""
        (x, target, weight, share, other), classes = batch, self.train.num_classes
        if self._teachers:
            target = fit_rules.distilled(target, x, self._teachers, classes)
        if share is not None and other is not None:
            x, target = fit_rules.mixup(x, target, weight, classes, share, other)
            weight = None
        if not self._reverse:
            return x, target, weight
        return x.flip(0), target.flip(0), None if weight is None else weight.flip(0)

    def _views(self, rows: Tensor, chunk: int) -> Tensor:
        """These images, transformed, float32 in [-1, 1]."""
        images = self._pixels.index_select(0, rows)
        if self.transform is not None:
            images = self.transform(images, torch_stream(self.seed, "classifier", "transform", chunk))
        return to_float(images.contiguous(memory_format=memory_format(self.context)))

    def _relative_weights(self) -> Tensor | None:
        """Weights over their mean (the learning rate keeps its meaning), float32 (N,); None where all are equal."""
        weight = self.train.weight
        if weight is None and not self.rule.annealed and self.rule.loss != "ldam-drw":
            return None
        weight = np.ones(len(self.train), dtype=np.float32) if weight is None else weight
        return torch.tensor(weight / weight.mean(), dtype=torch.float32)

    def _weight_at(self, rows: Tensor, step: int) -> Tensor | None:
        """Weights of these rows at a step, float32 (B,) on the device."""
        if self._weight is None:
            return None
        factor = fit_rules.synthetic_weight(self.rule, step, self.steps)
        own = self._weight[rows]
        if factor < 1:
            made = torch.from_numpy(self.train.made)[rows]
            own = torch.where(made, factor * own, own)
        if self._deferred is not None and fit_rules.is_reweighted(step, self.steps):
            own = own * self._deferred[rows]
        return self.context.put(own)
