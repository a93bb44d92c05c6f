"""What samples are compared with during training: real images of the run's own subset, and a classifier of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gangda.classifying.fit import FittedClassifier
from gangda.config.schema import ClassifierConfig
from gangda.data.images import FloatArray, IntArray, LabelledImages
from gangda.metrics.extractors import Extractor, random_convolutions
from gangda.metrics.judge import cached_classifier
from gangda.runtime.device import DeviceContext
from gangda.runtime.seeding import seed_for

SAMPLES = 500  # drawn for a check, over all classes
MIN_OF_CLASS, MAX_OF_CLASS = 10, 100
MIN_TRAINED = 10  # training images per class below which no classifier is used
# Within 1-2 points of 2,000 steps, at a fifth of the time.
CLASSIFIER = ClassifierConfig(classifier_steps=400)


@dataclass(frozen=True, eq=False)
class Reference:
    """Real images, grouped as the samples will be, and what both are measured with.

    Attributes:
        images: up to `per_class` of each class; for an unconditional group up to `per_class` in all, each class by its
            share. Validation images first, then training ones.
        conditional: whether samples are grouped by class; one group of everything otherwise.
        per_class: samples to draw of each class; of everything, in an unconditional group.
        extractor: label-free features in which distances are taken.
        classifier: trained on the run's training images; None where there are too few of them, or no classes.
        real_accuracy: its accuracy on the real images named by `real_name`, in [0, 1]; NaN without a classifier.
        class_shares: (K,) share of each class among the training images.
        skipped: what could not be prepared and why, in words; "" where everything could.
    """

    images: LabelledImages
    conditional: bool
    per_class: int
    extractor: Extractor
    classifier: FittedClassifier | None
    real_accuracy: float
    class_shares: FloatArray
    skipped: str


def make_reference(
    train: LabelledImages,
    validation: LabelledImages,
    *,
    conditional: bool,
    seed: int,
    context: DeviceContext,
    cache: Path | None,
) -> Reference:
    """Prepare everything that all checks of a run share; trains the classifier unless `cache` (a folder) has it.

    `validation` are held-out images of the same subset, and may be none. Where a class has too few, training
    images fill up: spread needs numbers. The same arguments give the same reference, bit for bit.
    """
    wanted = samples_per_class(train.num_classes)
    per_class = wanted if conditional else wanted * train.num_classes
    shares = train.counts() / len(train)
    even = np.full(train.num_classes, wanted)
    numbers = even if conditional else _by_share(per_class, shares, train.counts() + validation.counts())
    classifier, skipped = None, _why_no_classifier(train)
    if not skipped:
        classifier = cached_classifier(
            train, CLASSIFIER, seed=seed_for(seed, "watch", "classifier"), context=context, cache=cache
        )
    held = validation if len(validation) else train
    accuracy = float((classifier.predict(held.pixels) == held.labels).mean()) if classifier else float("nan")
    if not len(validation):
        skipped = "; ".join(filter(None, (skipped, "no validation images: training images are used")))
    return Reference(
        images=_validation_first(train, validation, numbers),
        conditional=conditional,
        per_class=per_class,
        extractor=random_convolutions(train.image_shape, context),
        classifier=classifier,
        real_accuracy=accuracy,
        class_shares=shares,
        skipped=skipped,
    )


def samples_per_class(num_classes: int) -> int:
    """An even share of `SAMPLES`, within limits."""
    return int(np.clip(SAMPLES // num_classes, MIN_OF_CLASS, MAX_OF_CLASS))


def _why_no_classifier(train: LabelledImages) -> str:
    if train.num_classes < 2:
        return "no classes: labels are not checked"
    if len(train) < MIN_TRAINED * train.num_classes:
        return f"fewer than {MIN_TRAINED} training images per class: labels are not checked"
    return ""


def _by_share(total: int, shares: FloatArray, available: IntArray) -> IntArray:
    """Numbers of images in these shares: `total` of them, or as many as every class can give its share of.

    An even choice would be another mixture than the one an unconditional generator learns.
    """
    there = shares > 0
    most = min(float(total), float((available[there] / shares[there]).min()))
    return np.rint(most * shares).astype(np.int64)


def _validation_first(train: LabelledImages, validation: LabelledImages, wanted: IntArray) -> LabelledImages:
    """Up to `wanted` (K,) images of each class, spread evenly over the set they come from."""
    pixels, labels = [], []
    for label in range(train.num_classes):
        left = int(wanted[label])
        for part in (validation, train):
            rows = np.flatnonzero(part.labels == label)
            rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(left, len(rows))).astype(np.int64))]
            pixels.append(part.pixels[rows])
            labels.append(part.labels[rows])
            left -= len(rows)
    joined = np.concatenate(labels)
    return LabelledImages(
        np.concatenate(pixels),
        joined,
        train.class_names,
        np.arange(len(joined)),
        np.zeros(len(joined), dtype=np.uint8),
    )
