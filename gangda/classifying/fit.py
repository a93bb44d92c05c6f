"""Train a classifier on labelled images, and evaluate it."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from gangda.classifying import fit_rules
from gangda.classifying.batches import Batch, ClassifierBatches
from gangda.classifying.evaluation import Evaluation, evaluate_predictions
from gangda.classifying.fitted_classifier import FittedClassifier, build_classifier, context_for, place
from gangda.classifying.output_layer import output_layer, restart_output, with_cosine_output
from gangda.config.arms import FitRule
from gangda.config.schema import ClassifierConfig, TransformConfig
from gangda.data.images import LabelledImages
from gangda.errors import DataError, OutcomeError
from gangda.runtime.capture import Capture, Losses, set_learning_rate
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.seeding import seed_for
from gangda.traditional.transforms import batch_transform

__all__ = ["FittedClassifier", "build_classifier", "evaluate", "fit_classifier", "one_cycle", "step_count"]

WARM_UP = 0.1  # share of the steps in which the learning rate rises
WEIGHT_DECAY = 0.01
REPORT_EVERY = 100  # steps

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
    reverse: bool = False,
    reporter: Reporter = SILENT,
) -> FittedClassifier:
    """Train a classifier from scratch: AdamW, one cycle of the learning rate, a fixed number of steps.

    Cross-entropy, each image weighted by `train.weight` relative to the mean weight. With `transforms`, every
    image is transformed anew each time it is seen; `rule` is what else an arm changes, `teachers` the classifiers
    that it may distil from. The same arguments on the same machine give the same weights, bit for bit. With `reverse`,
    each batch is taken in reversed order: the same sums, rounded otherwise (a network with dropout drops others, too).

    Raises:
        DataError: no images, fewer than two classes, or unusable weights.
        OutcomeError: the loss is NaN or infinite.
        UsageError: unknown classifier, or one that does not fit the images.
    """
    train = fit_rules.weighted(train, rule)
    _check_train(train)
    transform = None if transforms is None else batch_transform(transforms)
    if transforms is not None and transforms.mixup:
        rule = replace(rule, mixup=transforms.mixup)
    # Inside, torch's global stream (initialisation, dropout) is this fit's own; afterwards it is as before.
    with torch.random.fork_rng(devices=[context.device] if context.device.type == "cuda" else []):
        torch.manual_seed(seed_for(seed, "classifier", "init"))
        network = build_classifier(config.classifier, train.num_classes, train.image_shape)
        context = context_for(network, context)
        if rule.loss == "ldam-drw":
            with_cosine_output(network, config.classifier, train.image_shape)
        place(network, context).train()
        steps = step_count(config, len(train))
        batches = ClassifierBatches(
            train,
            rule,
            batch_size=min(config.classifier_batch, len(train)),
            steps=steps,
            seed=seed,
            context=context,
            transform=transform,
            teachers=teachers,
            reverse=reverse,
        )
        _optimise(network, batches, config, reporter)
        if rule.recalibrated:
            fit_rules.recalibrate_batch_norm(network, batches.real_images())
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
    """Evaluate a classifier on labelled images; with `train`, also its accuracy on the images it was trained on.

    Raises:
        DataError: no images, or of other classes or another shape.
    """
    if images.class_names != fitted.class_names:
        raise DataError(
            f"the classifier knows {list(fitted.class_names)}, the images are of {list(images.class_names)}"
        )
    evaluation = evaluate_predictions(images.labels, fitted.predict(images.pixels), images.num_classes)
    on_train = None if train is None else float((fitted.predict(train.pixels) == train.labels).mean())
    return replace(
        evaluation, n_train=fitted.n_train, steps=fitted.steps, seed=fitted.seed, train_accuracy=on_train
    )


def check_classifier(
    name: str, num_classes: int, image_shape: tuple[int, int, int], *, own_output: bool = False
) -> None:
    """Raise a UsageError for a classifier that cannot be built.

    `own_output`: also for one without the linear last layer that some rules train in their own way.
    """
    with torch.random.fork_rng(devices=[]):
        network = build_classifier(name, num_classes, image_shape)
        if own_output:
            output_layer(network, name, image_shape)


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


def _optimise(
    network: nn.Module, batches: ClassifierBatches, config: ClassifierConfig, reporter: Reporter
) -> None:
    """One optimizer step per batch; each of the rule's stages has a cycle of the learning rate."""
    context, rule, train = batches.context, batches.rule, batches.train
    parts = fit_rules.stages(rule, batches.steps)
    rates = [rate for steps in parts if steps for rate in one_cycle(steps, config.classifier_lr)]
    optimizer = _adamw(network, context)
    shift, margins = (
        None if one is None else one.to(context.device)
        for one in (fit_rules.logit_shift(train, rule), fit_rules.margins(train, rule))
    )

    def update(*given: Tensor | None) -> Losses:
        x, target, weight = batches.with_targets(Batch(*given))  # type: ignore[arg-type]
        with context.autocast():
            logits = network(x)
        loss = _loss(logits.float(), target, weight, shift, margins)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss.detach()}

    capture, loss, kind = Capture(context.recorder), torch.zeros(()), "step"
    for step, (rate, batch) in enumerate(zip(rates, batches, strict=True)):
        if step == parts[0]:
            optimizer.zero_grad()
            optimizer = _adamw(restart_output(network, config.classifier, train.image_shape), context)
            kind = "step of the last layer"
        set_learning_rate(optimizer.param_groups[0], rate)
        loss = capture(kind, update, batch)["loss"]
        if (step + 1) % REPORT_EVERY == 0 or step + 1 == len(rates):
            reporter.step("classifier", step + 1, len(rates))
    optimizer.zero_grad()  # those of a recorded step would keep its memory
    if not math.isfinite(float(loss)):
        raise OutcomeError("the classifier's loss is NaN or infinite; lower --classifier-lr")


def _adamw(trained: nn.Module, context: DeviceContext) -> torch.optim.AdamW:
    return torch.optim.AdamW(trained.parameters(), weight_decay=WEIGHT_DECAY, **context.adam_options(0.0))


def _loss(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None,
    shift: Tensor | None,
    margins: Tensor | None = None,
) -> Tensor:
    if shift is not None:
        logits = logits + shift
    if margins is not None:
        logits = logits - margins * fit_rules.label_shares(target, len(margins))
    if weight is None:
        return nn.functional.cross_entropy(logits, target)
    return (nn.functional.cross_entropy(logits, target, reduction="none") * weight).mean()


def _check_train(train: LabelledImages) -> None:
    if len(train) == 0:
        raise DataError("there are no images to train a classifier on")
    if train.num_classes < 2:
        raise DataError(f"a classifier needs at least two classes; here is only {list(train.class_names)}")
    weight = train.weight
    if weight is not None and not (np.all(weight >= 0) and np.isfinite(weight.sum()) and weight.any()):
        raise DataError("image weights must be finite, not negative, and not all zero")
