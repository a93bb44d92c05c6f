"""Pseudo-labels for images without labels: a classifier is trained on what it was most certain of before, in rounds.

Source: Lee 2013 (pseudo-labels); Cascante-Bonilla 2021 (curriculum labelling: a growing share of the most confident
images, a new network in every round); Zou 2018 (class-balanced self-training: confidence is ranked within each class);
Xie 2020 (the student's images are transformed, the teacher's are not). Departures: shares are fixed, not tuned on
validation images, of which few labels leave one or two of a class; the last one is below 1; and the quota of a class
is its share of the labelled images, not of the predictions.
"""

from dataclasses import dataclass

import numpy as np
import scipy.special

from gangda.classifying.fit import fit_classifier
from gangda.config.schema import ClassifierConfig, TransformConfig
from gangda.data.images import (
    NO_LABEL,
    PSEUDO_LABELLED,
    FloatArray,
    IntArray,
    LabelledImages,
    concatenate,
    generated_images,
)
from gangda.data.splits import UnlabelledImages
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.seeding import seed_for

SHARES = (0.3, 0.6, 0.8)  # of all images without labels that get one, by round


@dataclass(frozen=True, eq=False)
class SelfTrained:
    """Images without labels after the last round; all of them are in one of the two sets."""

    certain: (
        LabelledImages  # those with a pseudo-label and its confidence, in the order of the unlabelled images
    )
    uncertain: LabelledImages  # the others, of origin `NO_LABEL`; their label, 0, means nothing


def self_train(
    train: LabelledImages,
    unlabelled: UnlabelledImages,
    config: ClassifierConfig,
    *,
    seed: int,
    context: DeviceContext,
    transforms: TransformConfig | None = None,
    shares: tuple[float, ...] = SHARES,
    reporter: Reporter = SILENT,
) -> SelfTrained:
    """Pseudo-label images in a round for each of the shares; the same arguments give the same labels, bit for bit.

    Each round trains a classifier from scratch on `train` and the images that the round before has labelled.
    Raises as `fit_classifier`.
    """
    rows, labels = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    confidence = np.zeros(0, dtype=np.float64)
    for number, share in enumerate(shares):
        known = concatenate(train, _under_labels(train, unlabelled, rows, labels, confidence))
        own = seed_for(seed, "self-training", number)
        fitted = fit_classifier(
            known, config, seed=own, context=context, transforms=transforms, reporter=reporter
        )
        logits = fitted.logits(unlabelled.pixels).astype(np.float64)
        rows, labels, confidence = most_confident(
            scipy.special.softmax(logits, axis=1), quotas(train.counts(), len(unlabelled), share)
        )
    rest = np.setdiff1d(np.arange(len(unlabelled)), rows)
    return SelfTrained(
        _under_labels(train, unlabelled, rows, labels, confidence), without_labels(unlabelled, train, rest)
    )


def quotas(counts: IntArray, unlabelled: int, share: float) -> IntArray:
    """At most so many pseudo-labels of each class, int64 (K,): `counts` (K,) of labelled images say in which shares."""
    exact = share * unlabelled * counts / counts.sum()
    return np.asarray(np.floor(exact + 0.5), dtype=np.int64)


def most_confident(probabilities: FloatArray, most: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Of the images predicted to be of each class, the most confident ones, up to `most` (K,) of them.

    probabilities: (N, K). Their positions int64, ascending; labels int64; confidence float64. Of equally confident
    images, the first.
    """
    labels, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    kept = []
    for label, quota in enumerate(most):
        own = np.flatnonzero(labels == label)
        kept.append(own[np.argsort(-confidence[own], kind="stable")[:quota]])
    rows = np.sort(np.concatenate(kept))
    return rows, labels[rows].astype(np.int64), confidence[rows]


def without_labels(
    unlabelled: UnlabelledImages, train: LabelledImages, rows: IntArray | None = None
) -> LabelledImages:
    """Unlabelled images (those at `rows`, or all) among the classes of `train`, of origin `NO_LABEL`."""
    rows = np.arange(len(unlabelled)) if rows is None else rows
    row_id = unlabelled.row_id[rows]
    return generated_images(
        unlabelled.pixels[rows],
        np.zeros(len(rows), dtype=np.int64),
        train.class_names,
        NO_LABEL,
        row_id=row_id,
    )


def _under_labels(
    train: LabelledImages,
    unlabelled: UnlabelledImages,
    rows: IntArray,
    labels: IntArray,
    confidence: FloatArray,
) -> LabelledImages:
    return generated_images(
        unlabelled.pixels[rows],
        labels,
        train.class_names,
        PSEUDO_LABELLED,
        row_id=unlabelled.row_id[rows],
        confidence=confidence.astype(np.float32),
    )
