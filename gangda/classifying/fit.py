"""Train a classifier on labelled images, and judge it.

The uint8 set stays on the device. A few thousand images at a time are gathered, transformed and made float in
one go; batches are slices of that. The order is that of one permutation of the set after the other, so no
image is seen twice before every image was seen.
"""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gangda.classifying import fit_rules
from gangda.classifying.evaluation import Evaluation, evaluate_predictions
from gangda.classifying.fitted_classifier import (
    FittedClassifier,
    build_classifier,
    layout,
    place,
    suited,
    to_device,
)
from gangda.config.arms import FitRule
from gangda.config.schema import ClassifierConfig, TransformConfig
from gangda.data.images import REAL, LabelledImages
from gangda.data.memmap import in_file
from gangda.errors import DataError, OutcomeError
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.seeding import seed_for, torch_stream
from gangda.traditional.transforms import batch_transform
from gangda.traditional.trivial import trivial_augment
from gangda.zoo.draw import to_float

__all__ = ["FittedClassifier", "build_classifier", "evaluate", "fit_classifier", "one_cycle", "step_count"]

CHUNK = 4096  # images gathered and transformed at once: amortises Python, still fits the caches
CHUNK_VALUES = 2**20  # and at most this many pixel values (4 MB as floats)
WARM_UP = 0.1  # share of the steps in which the learning rate rises
WEIGHT_DECAY = 0.01
REPORT_EVERY = 100  # steps

Transform = Callable[[Tensor, torch.Generator], Tensor]
PLAIN = FitRule()


def fit_classifier(
    train: LabelledImages,
    config: ClassifierConfig,
    *,
    seed: int,
    context: DeviceContext,
    transforms: TransformConfig | None = None,
    rule: FitRule = PLAIN,
    teachers: Sequence[FittedClassifier] = (),
    reporter: Reporter = SILENT,
) -> FittedClassifier:
    """Train a classifier from scratch: AdamW, one cycle of the learning rate, a fixed number of steps.

    Cross-entropy, each image weighted by `train.weight` relative to the mean weight. With `transforms`, every
    image is transformed anew each time it is seen; `rule` says what else an arm does differently, `teachers` whose
    opinion counts where the rule asks for it. The same arguments on the same machine give the same weights, bit for
    bit.

    Raises:
        DataError: no images, fewer than two classes, or unusable weights.
        OutcomeError: a loss that is no number any more.
        UsageError: unknown classifier, or one that does not fit the images.
    """
    train = fit_rules.weighted(train, rule)
    _check_train(train)
    if transforms is not None and transforms.mixup:
        rule = replace(rule, mixup=transforms.mixup)
    with _own_global_stream(context, seed):
        network = build_classifier(config.classifier, train.num_classes, train.image_shape)
        context = suited(network, context)
        place(network, context).train()
        steps = step_count(config, len(train))
        batch = min(config.classifier_batch, len(train))
        lesson = _Lesson(train, rule, batch, steps, seed, context, _transform_of(rule, transforms))
        _optimise(network, lesson, teachers, one_cycle(steps, config.classifier_lr), reporter)
        if rule.recalibrated:
            fit_rules.recalibrate(network, lesson.real_views())
    return FittedClassifier(
        network=network.eval(),
        name=config.classifier,
        class_names=train.class_names,
        image_shape=train.image_shape,
        n_train=len(train),
        steps=steps,
        seed=seed,
        context=context,
    )


def evaluate(
    fitted: FittedClassifier, images: LabelledImages, train: LabelledImages | None = None
) -> Evaluation:
    """Judge a classifier on labelled images; with `train`, also its accuracy on the images it was trained on.

    Raises:
        DataError: no images, or of other classes or another shape.
    """
    if images.class_names != fitted.class_names:
        raise DataError(
            f"the classifier knows {list(fitted.class_names)}, the images are of {list(images.class_names)}"
        )
    judged = evaluate_predictions(images.labels, fitted.predict(images.pixels), images.num_classes)
    on_train = None if train is None else float((fitted.predict(train.pixels) == train.labels).mean())
    return replace(
        judged, n_train=fitted.n_train, steps=fitted.steps, seed=fitted.seed, train_accuracy=on_train
    )


def step_count(config: ClassifierConfig, count: int) -> int:
    """Optimizer steps for a set of `count` images: the fixed number, or whole passes rounded up to a step."""
    if config.classifier_epochs is None:
        return config.classifier_steps
    return math.ceil(config.classifier_epochs * count / min(config.classifier_batch, count))


def one_cycle(steps: int, peak: float) -> list[float]:
    """Learning rate of each step: linear warm-up to `peak`, then half a cosine down to 0.

    Source: Smith and Topin 2018, with cosine annealing in place of the two linear ramps; momentum stays
    constant.
    """
    rise = max(1, round(WARM_UP * steps))
    up = [peak * (step + 1) / rise for step in range(rise)]
    fall = max(1, steps - rise)
    return up + [peak * 0.5 * (1 + math.cos(math.pi * (step + 1) / fall)) for step in range(steps - rise)]


def _transform_of(rule: FitRule, transforms: TransformConfig | None) -> Transform | None:
    if rule.transforms == "trivial":
        return trivial_augment
    return None if transforms is None else batch_transform(transforms)


def _optimise(
    network: nn.Module,
    lesson: "_Lesson",
    teachers: Sequence[FittedClassifier],
    rates: list[float],
    reporter: Reporter,
) -> None:
    """One optimizer step per learning rate."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.0, weight_decay=WEIGHT_DECAY, fused=True)
    ask = lesson.question(teachers)
    loss = torch.zeros(())
    for step, (rate, batch) in enumerate(zip(rates, lesson.batches(), strict=True), start=1):
        optimizer.param_groups[0]["lr"] = rate
        shown = ask(batch)
        with lesson.context.autocast():
            logits = network(shown.x)
        loss = _loss(logits.float(), shown.target, shown.weight, lesson.shift)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % REPORT_EVERY == 0 or step == len(rates):
            reporter.step("classifier", step, len(rates))
    if not math.isfinite(float(loss.detach())):
        raise OutcomeError("the classifier's loss is no longer a number; lower --classifier-lr")


def _loss(logits: Tensor, target: Tensor, weight: Tensor | None, shift: Tensor | None) -> Tensor:
    if shift is not None:
        logits = logits + shift
    if weight is None:
        return nn.functional.cross_entropy(logits, target)
    return (nn.functional.cross_entropy(logits, target, reduction="none") * weight).mean()


class Batch(NamedTuple):
    """What one step sees: images in [-1, 1], labels (or probabilities), relative weights or None."""

    x: Tensor
    target: Tensor
    weight: Tensor | None


class _Lesson:
    """A training set on its device, handed out in batches as the rule says."""

    def __init__(
        self,
        train: LabelledImages,
        rule: FitRule,
        batch: int,
        steps: int,
        seed: int,
        context: DeviceContext,
        transform: Transform | None,
    ) -> None:
        self.train, self.rule, self.batch, self.steps, self.seed = train, rule, batch, steps, seed
        self.context, self.transform = context, transform
        pixels = to_device(train.pixels, context)
        # With colours a copy, from which gathering is faster; what lies in a large file stays there.
        self._pixels = pixels if in_file(train.pixels) else pixels.contiguous()
        self._labels = torch.tensor(train.labels).to(context.device)
        shift = fit_rules.logit_shift(train, rule)
        self.shift = None if shift is None else shift.to(context.device)

    def batches(self) -> Iterator[Batch]:
        """The steps, a chunk of them at a time."""
        weight = self._weight()
        stream = torch_stream(self.seed, "classifier", "order")
        order = fit_rules.order(self.train, self.rule, self.batch, self.steps, stream)
        per_chunk = max(1, min(CHUNK, CHUNK_VALUES // math.prod(self.train.image_shape)) // self.batch)
        step = 0
        for chunk in itertools.count():
            together = list(itertools.islice(order, per_chunk))
            if not together:
                return
            rows = torch.cat(together).to(self.context.device)
            x = torch.split(self._views(rows, chunk), self.batch)
            y = torch.split(self._labels.index_select(0, rows), self.batch)
            for images, labels, own in zip(x, y, together, strict=True):
                yield Batch(images, labels, self._weight_at(weight, own, step))
                step += 1

    def real_views(self) -> Iterator[Tensor]:
        """The real images once, as they are, in batches of nearly one size: of a single image no norm can be taken."""
        rows = torch.from_numpy(np.flatnonzero(self.train.origin == REAL)).to(self.context.device)
        for part in torch.tensor_split(rows, max(1, math.ceil(len(rows) / self.batch))):
            yield to_float(self._pixels.index_select(0, part))

    def question(self, teachers: Sequence[FittedClassifier]) -> Callable[[Batch], Batch]:
        """What a batch is shown as, what is asked of it, and what it counts."""
        rule, classes = self.rule, self.train.num_classes
        networks = [teacher.network for teacher in teachers] if rule.taught else []
        stream = torch_stream(self.seed, "classifier", "mixup")

        def ask(batch: Batch) -> Batch:
            x, target, weight = batch
            if networks:
                target = fit_rules.taught(target, x, networks, classes)
            if rule.mixup:
                return Batch(*fit_rules.mixed(x, target, weight, classes, rule.mixup, stream), None)
            return Batch(x, target, weight)

        return ask

    def _views(self, rows: Tensor, chunk: int) -> Tensor:
        """These images as they are seen this time, float."""
        images = self._pixels.index_select(0, rows)
        if self.transform is not None:
            images = self.transform(images, torch_stream(self.seed, "classifier", "transform", chunk))
        return to_float(images.contiguous(memory_format=layout(self.context)))

    def _weight(self) -> Tensor | None:
        """Relative weights of all images, float32 (N,); None where all count alike all the time."""
        if self.train.weight is None and not self.rule.annealed:
            return None
        weight = self.train.weight
        return _relative(np.ones(len(self.train), dtype=np.float32) if weight is None else weight)

    def _weight_at(self, weight: Tensor | None, rows: Tensor, step: int) -> Tensor | None:
        """Those of a batch's rows at a step."""
        if weight is None:
            return None
        factor = fit_rules.annealed(self.rule, step, self.steps)
        own = weight[rows]
        if factor < 1:
            real = torch.from_numpy(self.train.origin == REAL)[rows]
            own = torch.where(real, own, factor * own)
        return own.to(self.context.device)


def _relative(weight: npt.NDArray[np.float32]) -> Tensor:
    """Weights over their mean, so that the learning rate keeps its meaning: float32 (N,)."""
    return torch.tensor(weight / weight.mean(), dtype=torch.float32)


@contextlib.contextmanager
def _own_global_stream(context: DeviceContext, seed: int) -> Iterator[None]:
    """Inside, torch's global stream (initialisation, dropout) is this fit's own; afterwards as it was."""
    devices = [context.device] if context.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed_for(seed, "classifier", "init"))
        yield


def _check_train(train: LabelledImages) -> None:
    if len(train) == 0:
        raise DataError("there are no images to train a classifier on")
    if train.num_classes < 2:
        raise DataError(f"a classifier needs at least two classes; here is only {list(train.class_names)}")
    if train.weight is not None and not (
        np.all(train.weight >= 0) and np.isfinite(train.weight.sum()) and train.weight.any()
    ):
        raise DataError("image weights must be finite, not negative, and not all zero")
