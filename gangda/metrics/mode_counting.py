"""Counting modes of a stacked set: which of the source's classes a classifier sees in each channel."""

from functools import cache

import numpy as np

from gangda.classifying.fit import FittedClassifier, fit_classifier
from gangda.config import catalog
from gangda.config.schema import ClassifierConfig
from gangda.data.images import IntArray, LabelledImages, UInt8Array
from gangda.data.sources.stacked import channel_classes, channels_apart, grey
from gangda.metrics.extractors import Extractor, Features
from gangda.metrics.scorer import fit_key
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.seeding import seed_for


def mode_extractor(
    train: LabelledImages,
    classifier: ClassifierConfig,
    seed: int,
    context: DeviceContext,
    reporter: Reporter = SILENT,
) -> Extractor | None:
    """The mode of each image, float32 (N, 1), for a stacked set; None for any other.

    One grey classifier, trained on the channels of `train`, serves all three channels. It is trained when first used,
    a user's own at once: its fingerprint is that of its weights.
    """
    if channel_classes(train.class_names) is None:
        return None
    own = seed_for(seed, "modes")

    @cache
    def fitted() -> FittedClassifier:
        return fit_classifier(channels_apart(train), classifier, seed=own, context=context, reporter=reporter)

    def embed(pixels: UInt8Array) -> Features:
        return modes_of(fitted(), pixels).astype(np.float32)[:, None]

    if classifier.classifier not in catalog.CLASSIFIERS:
        # The code of a user's own classifier may change under its name: only its weights say what it computes.
        return Extractor("modes", f"{fitted().fingerprint}-{context.precision}", embed)
    return Extractor("modes", fit_key(train, classifier, own, context), embed)


def modes_of(classifier: FittedClassifier, pixels: UInt8Array) -> IntArray:
    """Mode of each RGB image, m^2 a + m b + c from the grey classifier's predictions for its channels, int64 (N,)."""
    m = len(classifier.class_names)
    red, green, blue = classifier.predict(grey(pixels)).reshape(3, -1)
    modes: IntArray = (m * red + green) * m + blue
    return modes
