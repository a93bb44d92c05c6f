"""What samples are compared with during training: real images of the run's own subset, and a classifier of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gangda.classifying.fit import FittedClassifier
from gangda.config.schema import ClassifierConfig
from gangda.data.images import FloatArray, IntArray, LabelledImages, real_images
from gangda.metrics.extractors import Extractor, random_convolutions
from gangda.metrics.scorer import ClassifierTrainer
from gangda.runtime.device import DeviceContext
from gangda.runtime.seeding import seed_for

SAMPLES = 500  # drawn for a check, over all classes
MIN_OF_CLASS, MAX_OF_CLASS = 10, 100
MIN_TRAINED = 10  # training images per class below which no classifier is used
# Validation images per class, on average, below which no step is chosen by its distance to them: as many as samples are
# drawn of each of ten classes. Where fewer samples of each are drawn, for many classes, that number is enough.
MIN_HELD_OUT = 50
# Within 1-2 points of 2,000 steps, at a fifth of the time.
CLASSIFIER = ClassifierConfig(classifier_steps=400)


@dataclass(frozen=True, eq=False)
class Reference:
    """Real images, grouped as the samples will be, and what both are measured with."""

    # Up to `per_class` of each class, validation images first, then training ones; for an unconditional generator up
    # to `per_class` in all, each class by its share.
    images: LabelledImages
    held_out: npt.NDArray[np.bool_]  # (N,) which of them are validation images
    too_few: str  # why these are too few to choose a step by; "" where they are enough
    conditional: bool  # whether samples are grouped by class; one group of everything otherwise
    per_class: int  # samples to draw of each class; of everything, for an unconditional generator
    extractor: Extractor  # label-free features in which distances are taken
    # Of the run's training images; None where there are too few, or no classes.
    classifier: FittedClassifier | None
    # Its accuracy, in [0, 1], on the validation images, else on the training images; or NaN.
    real_accuracy: float
    class_shares: FloatArray  # (K,) share of each class among the training images
    skipped: str  # what could not be prepared and why, in words; "" where everything could


def make_reference(
    train: LabelledImages,
    validation: LabelledImages,
    *,
    conditional: bool,
    seed: int,
    context: DeviceContext,
    cache: Path | None,
) -> Reference:
    """What all checks of a run share; trains the classifier unless the folder `cache` has it.

    Where `validation` (held-out images of the same subset, or none) has too few of a class, training images fill up:
    good enough for alarms, but a step is never chosen by them, as a generator that copies them is the nearest.
    The same arguments give the same reference, bit for bit.
    """
    wanted = int(np.clip(SAMPLES // train.num_classes, MIN_OF_CLASS, MAX_OF_CLASS))
    counts, shares = train.counts(), train.counts() / len(train)
    if conditional:
        per_class, numbers = wanted, np.full(train.num_classes, wanted)
    else:
        per_class, available, there = wanted * train.num_classes, counts + validation.counts(), counts > 0
        # In the classes' shares: `per_class` images, or as many as every class can give its share of.
        most = min(float(per_class), float((available[there] / shares[there]).min()))
        numbers = np.rint(most * shares).astype(np.int64)
    classifier, accuracy, skipped = None, float("nan"), []
    if train.num_classes < 2:
        skipped.append("no classes: labels are not checked")
    elif len(train) < MIN_TRAINED * train.num_classes:
        skipped.append(f"fewer than {MIN_TRAINED} training images per class: labels are not checked")
    else:
        classifier_seed = seed_for(seed, "watch", "classifier")
        classifier = ClassifierTrainer(CLASSIFIER, context, cache).fit_cached(train, classifier_seed)
        held_out = validation if len(validation) else train
        accuracy = float((classifier.predict(held_out.pixels) == held_out.labels).mean())
    if not len(validation):
        skipped.append("no validation images: training images are used")
    images, from_validation = _validation_first(train, validation, numbers)
    least, too_few = min(MIN_HELD_OUT, wanted), ""
    if len(validation) < least * train.num_classes:
        too_few = f"fewer than {least} validation images per class"
    return Reference(
        images=images,
        held_out=from_validation,
        too_few=too_few,
        conditional=conditional,
        per_class=per_class,
        extractor=random_convolutions(train.image_shape, context),
        classifier=classifier,
        real_accuracy=accuracy,
        class_shares=shares,
        skipped="; ".join(skipped),
    )


def _validation_first(
    train: LabelledImages, validation: LabelledImages, wanted: IntArray
) -> tuple[LabelledImages, npt.NDArray[np.bool_]]:
    """Up to `wanted` (K,) images of each class, spread evenly over the set they come from; which are validation's."""
    parts = []
    for label in range(train.num_classes):
        left = int(wanted[label])
        for images in (validation, train):
            rows = np.flatnonzero(images.labels == label)
            rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(left, len(rows))).astype(np.int64))]
            parts.append((images.pixels[rows], images.labels[rows], np.full(len(rows), images is validation)))
            left -= len(rows)
    pixels, labels, held_out = (np.concatenate(several) for several in zip(*parts, strict=True))
    return real_images(pixels, labels, train.class_names), held_out
