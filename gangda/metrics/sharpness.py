"""How sharp samples are beside real images: the variance of the Laplacian, which blur lowers and noise raises."""

import math

import numpy as np

from gangda.data.images import FloatArray, UInt8Array
from gangda.metrics.diversity import LEAST, Ratio
from gangda.metrics.inputs import MetricInputs, Side, tag
from gangda.metrics.result import MetricResult


def sharpness(inputs: MetricInputs) -> list[MetricResult]:
    """Mean variance of the Laplacian in each class, over that of held-out images; 1 is as sharp as real images.

    Below 1 samples are blurred; above 1 they are noisy, or their edges are too hard.
    Source: Pech-Pacheco 2000 (the variance of the Laplacian as a measure of focus); the ratio to real images is ours.
    """
    found, floor = (_ratio(side, inputs.real) for side in (inputs.fake, inputs.floor))
    note = "below 1 blurred, above 1 noisy" if not math.isnan(found.value) else "too few images of each class"
    return [
        inputs.result(
            f"sharpness_ratio_{tag(inputs.n)}",
            "pixels",
            found.value,
            "target",
            (inputs.n, inputs.n),
            interval=found.interval,
            floor=floor.value,
            per_class=tuple(found.per_class.tolist()),
            note=note,
        )
    ]


def laplacian_variances(pixels: UInt8Array) -> FloatArray:
    """Variance, over the inner pixels, of the 4-neighbour Laplacian of grey values in [0, 1]; float64 (N,).

    pixels: (N, H, W, C); grey is the mean of the channels.
    """
    grey = pixels.mean(axis=3) / 255
    across = grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    down = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1]
    variances: FloatArray = (across + down - 4 * grey[:, 1:-1, 1:-1]).var(axis=(1, 2))
    return variances


def _ratio(side: Side, real: Side) -> Ratio:
    """Of the means over the images of each class, with standard errors by the delta method."""
    ours, theirs = (laplacian_variances(part.images.pixels) for part in (side, real))
    classes = real.images.num_classes
    ratios, errors = np.full(classes, math.nan), np.full(classes, math.nan)
    for label in range(classes):
        a, b = ours[side.of_class(label)], theirs[real.of_class(label)]
        if min(len(a), len(b)) < LEAST or not b.mean() > 0:
            continue
        ratios[label] = a.mean() / b.mean()
        parts = a.var(ddof=1) / len(a) + ratios[label] ** 2 * b.var(ddof=1) / len(b)
        errors[label] = math.sqrt(parts) / b.mean()
    return Ratio(ratios, errors)
