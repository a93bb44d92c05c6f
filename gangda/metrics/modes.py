"""Modes covered, and the divergence from covering all alike: for stacked sets, whose modes can be counted."""

import numpy as np

from gangda.data.images import IntArray
from gangda.metrics.inputs import Features, MetricInputs, tag
from gangda.metrics.result import MetricResult
from gangda.runtime.seeding import numpy_stream


def modes(inputs: MetricInputs) -> list[MetricResult]:
    """Modes hit by at least one sample, and KL(samples' modes || uniform) in nats; nothing for other sets.

    All samples are counted: with 25,600 of them and 1,000 modes, independent draws from the uniform itself give
    1,000 modes and a KL of about 0.02. The floor is the same for as many training images, drawn with replacement.

    Source: Che 2017 and Metz 2017, section 3.3.1.
    """
    if "modes" not in inputs.extractors:
        return []
    total, count = inputs.reference.images.num_classes, len(inputs.samples)
    found, kl = modes_and_kl(_labels(inputs.samples.features("modes")), total)
    drawn = numpy_stream(inputs.seed, "modes").integers(0, len(inputs.train), count)
    floor, floor_kl = modes_and_kl(_labels(inputs.train.features("modes"))[drawn], total)
    note = "circular: a classifier chose the samples" if inputs.circular else ""

    values = ((f"modes_of_{total}", found, floor, "higher"), ("modes_kl", kl, floor_kl, "lower"))
    return [
        inputs.result(
            f"{name}_{tag(count)}",
            "modes",
            value,
            direction,
            floor=of_real,
            note=note,
            n_real=count,
            n_fake=count,
        )
        for name, value, of_real, direction in values
    ]


def modes_and_kl(found: IntArray, total: int) -> tuple[int, float]:
    """(modes hit, KL to the uniform in nats) of mode numbers in [0, total), int64 (N,), N > 0."""
    shares = np.bincount(found, minlength=total) / len(found)
    shares = shares[shares > 0]
    return len(shares), float((shares * np.log(shares * total)).sum())


def _labels(features: Features) -> IntArray:
    return features[:, 0].astype(np.int64)
