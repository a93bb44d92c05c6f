"""Modes covered, and the divergence from covering all alike: for stacked sets, whose modes can be counted."""

from functools import cache

import numpy as np

from gangda.classifying.fit import FittedClassifier
from gangda.data.images import IntArray, LabelledImages, UInt8Array
from gangda.data.sources.stacked import channel_classes, channels_apart, grey
from gangda.metrics.extractors import Extractor, Features
from gangda.metrics.inputs import MetricInputs, tag
from gangda.metrics.result import MetricResult
from gangda.metrics.scorer import ClassifierTrainer
from gangda.runtime.seeding import numpy_stream, seed_for


def modes(inputs: MetricInputs) -> list[MetricResult]:
    """Modes hit by at least one sample, and KL(samples' modes || uniform) in nats; nothing for other sets.

    All samples are counted: with 25,600 of them and 1,000 modes, independent draws from the uniform itself give
    1,000 modes and a KL of about 0.02. The floor is the same for as many training images, drawn with replacement.

    Source: Che 2017 and Metz 2017, section 3.3.1.
    """
    if "modes" not in inputs.extractors:
        return []
    total, count = inputs.reference.images.num_classes, len(inputs.samples)
    ours, real = (side.features("modes")[:, 0].astype(np.int64) for side in (inputs.samples, inputs.train))
    found, kl = modes_and_kl(ours, total)
    drawn = numpy_stream(inputs.seed, "modes").integers(0, len(inputs.train), count)
    floor, floor_kl = modes_and_kl(real[drawn], total)
    note, n = "circular: a classifier chose the samples" if inputs.circular else "", (count, count)
    covered, divergence = f"modes_of_{total}_{tag(count)}", f"modes_kl_{tag(count)}"
    return [
        inputs.result(covered, "modes", found, "higher", n, floor=floor, note=note),
        inputs.result(divergence, "modes", kl, "lower", n, floor=floor_kl, note=note),
    ]


def modes_and_kl(found: IntArray, total: int) -> tuple[int, float]:
    """(modes hit, KL to the uniform in nats) of mode numbers in [0, total), int64 (N,), N > 0."""
    shares = np.bincount(found, minlength=total) / len(found)
    shares = shares[shares > 0]
    return len(shares), float((shares * np.log(shares * total)).sum())


def mode_extractor(train: LabelledImages, trainer: ClassifierTrainer, seed: int) -> Extractor | None:
    """The mode of each image, float32 (N, 1), for a stacked set; None for any other.

    One grey classifier, trained on the channels of `train`, serves all three channels. It is trained when first used,
    a user's own at once: its fingerprint is that of its weights.
    """
    if channel_classes(train.class_names) is None:
        return None
    own = seed_for(seed, "modes")
    fitted = cache(lambda: trainer.fit(channels_apart(train), own))

    def embed(pixels: UInt8Array) -> Features:
        return modes_of(fitted(), pixels).astype(np.float32)[:, None]

    fingerprint = trainer.key(train, own) or f"{fitted().fingerprint}-{trainer.context.precision}"
    return Extractor("modes", fingerprint, embed)


def modes_of(classifier: FittedClassifier, pixels: UInt8Array) -> IntArray:
    """Mode of each RGB image, m^2 a + m b + c from the grey classifier's predictions for its channels, int64 (N,)."""
    m = len(classifier.class_names)
    red, green, blue = classifier.predict(grey(pixels)).reshape(3, -1)
    modes: IntArray = (m * red + green) * m + blue
    return modes
