"""Train a classifier on labelled images, and judge it.

The uint8 set stays on the device. A few thousand images at a time are gathered, transformed and made float in
one go; batches are slices of that. The order is that of one permutation of the set after the other, so no
image is seen twice before every image was seen.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gangda.classifiers.evaluation import Evaluation, evaluate_predictions
from gangda.configs import ClassifierConfig, TransformConfig
from gangda.data.images import LabelledImages
from gangda.errors import DataError
from gangda.moves.draw import to_float
from gangda.moves.fitted import FittedClassifier, build_classifier, layout, place, suited, to_device
from gangda.runtime.device import Machine
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.seeding import seed_for, torch_stream
from gangda.traditional.transforms import batch_transform

__all__ = ["FittedClassifier", "build_classifier", "evaluate", "fit_classifier", "one_cycle", "step_count"]

CHUNK = 4096  # images gathered and transformed at once: amortises Python, still fits the caches
CHUNK_VALUES = 2**20  # and at most this many pixel values (4 MB as floats)
WARM_UP = 0.1  # share of the steps in which the learning rate rises
WEIGHT_DECAY = 0.01
REPORT_EVERY = 100  # steps

Transform = Callable[[Tensor, torch.Generator], Tensor]
Batch = tuple[Tensor, Tensor, Tensor | None]  # float images in [-1, 1], labels, relative weights


def fit_classifier(
    train: LabelledImages,
    config: ClassifierConfig,
    *,
    seed: int,
    machine: Machine,
    transforms: TransformConfig | None = None,
    reporter: Reporter = SILENT,
) -> FittedClassifier:
    """Train a classifier from scratch: AdamW, one cycle of the learning rate, a fixed number of steps.

    Cross-entropy, each image weighted by `train.weight` relative to the mean weight. With `transforms`, every
    image is transformed anew each time it is seen. The same arguments on the same machine give the same
    weights, bit for bit.

    Raises:
        DataError: no images, fewer than two classes, unusable weights, or a loss that is no number any more.
        UsageError: unknown classifier, or one that does not fit the images.
    """
    _check_train(train)
    with _own_global_stream(machine, seed):
        network = build_classifier(config.classifier, train.num_classes, train.image_shape)
        machine = suited(network, machine)
        place(network, machine).train()
        steps = step_count(config, len(train))
        batch = min(config.classifier_batch, len(train))
        transform = None if transforms is None else batch_transform(transforms)
        batches = _batches(train, batch, steps, seed, machine, transform)
        _optimise(network, batches, one_cycle(steps, config.classifier_lr), machine, reporter)
    return FittedClassifier(
        network=network.eval(),
        name=config.classifier,
        class_names=train.class_names,
        image_shape=train.image_shape,
        n_train=len(train),
        steps=steps,
        seed=seed,
        machine=machine,
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
    """Optimiser steps for a set of `count` images: the fixed number, or whole passes rounded up to a step."""
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


def _optimise(
    network: nn.Module, batches: Iterator[Batch], rates: list[float], machine: Machine, reporter: Reporter
) -> None:
    """One optimiser step per learning rate."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.0, weight_decay=WEIGHT_DECAY, fused=True)
    loss = torch.zeros(())
    for step, (rate, (x, y, weight)) in enumerate(zip(rates, batches, strict=True), start=1):
        optimiser.param_groups[0]["lr"] = rate
        with machine.autocast():
            logits = network(x)
        loss = _loss(logits.float(), y, weight)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % REPORT_EVERY == 0 or step == len(rates):
            reporter.step("classifier", step, len(rates))
    if not math.isfinite(float(loss.detach())):
        raise DataError("the classifier's loss is no longer a number; lower --classifier-lr")


def _loss(logits: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return nn.functional.cross_entropy(logits, y)
    return (nn.functional.cross_entropy(logits, y, reduction="none") * weight).mean()


def _batches(
    train: LabelledImages, batch: int, steps: int, seed: int, machine: Machine, transform: Transform | None
) -> Iterator[Batch]:
    """Each step's images, labels and relative weights."""
    pixels = to_device(train.pixels, machine).contiguous()
    labels = torch.tensor(train.labels).to(machine.device)
    weight = None if train.weight is None else _relative(train.weight).to(machine.device)
    per_chunk = max(1, min(CHUNK, CHUNK_VALUES // math.prod(train.image_shape)) // batch)
    for chunk, rows in enumerate(_order(len(train), batch, steps, per_chunk, seed)):
        rows = rows.to(machine.device)
        images = pixels.index_select(0, rows)
        if transform is not None:
            images = transform(images, torch_stream(seed, "classifier", "transform", chunk))
        x = torch.split(to_float(images.contiguous(memory_format=layout(machine))), batch)
        y = torch.split(labels.index_select(0, rows), batch)
        w = [None] * len(x) if weight is None else torch.split(weight.index_select(0, rows), batch)
        yield from zip(x, y, w, strict=True)


def _relative(weight: npt.NDArray[np.float32]) -> Tensor:
    """Weights over their mean, so that the learning rate keeps its meaning: float32 (N,)."""
    return torch.tensor(weight / weight.mean(), dtype=torch.float32)


def _order(count: int, batch: int, steps: int, per_chunk: int, seed: int) -> Iterator[Tensor]:
    """Positions to visit, `per_chunk` batches at a time: one permutation of the set after the other."""
    stream = torch_stream(seed, "classifier", "order")
    waiting = torch.empty(0, dtype=torch.int64)
    for start in range(0, steps, per_chunk):
        wanted = min(per_chunk, steps - start) * batch
        while len(waiting) < wanted:
            waiting = torch.cat([waiting, torch.randperm(count, generator=stream)])
        yield waiting[:wanted]
        waiting = waiting[wanted:]


@contextlib.contextmanager
def _own_global_stream(machine: Machine, seed: int) -> Iterator[None]:
    """Inside, torch's global stream (initialisation, dropout) is this fit's own; afterwards as it was."""
    devices = [machine.device] if machine.device.type == "cuda" else []
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
