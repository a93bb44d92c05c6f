"""GAN-test: does a classifier trained on real images see the intended classes in the samples?"""

import numpy as np

from gangda.classifying.evaluation import class_recalls
from gangda.metrics.inputs import MetricInputs
from gangda.metrics.intervals import gap_error, wilson
from gangda.metrics.result import MetricResult

HEALTHY = 0.01  # accuracy this far from real held-out images', on either side, is as it should be


def gan_test(inputs: MetricInputs) -> list[MetricResult]:
    """Accuracy of the real-trained scorer on the samples' intended labels; nothing for unlabelled data.

    The floor is its accuracy on held-out real images, weighted to the samples' class shares. Below it,
    samples are of the wrong class or no class; above it, they are too typical or memorised. On samples that a
    classifier has labelled or filtered it is circular.

    Source: Shmelkov 2018, section 3.2 (report R3 calls it inception score).
    """
    if not inputs.scorer:
        return []
    images, predicted = inputs.samples.images, inputs.samples.predicted()
    value = float((predicted == images.labels).mean())
    floor = heldout_accuracy(inputs)
    return [
        inputs.result(
            f"gan_test_{inputs.scorer}",
            inputs.scorer,
            value,
            "target",
            n_real=len(inputs.reference),
            n_fake=len(images),
            interval=wilson(value, len(images)),
            floor=floor,
            per_class=tuple(class_recalls(images.labels, predicted, images.num_classes).tolist()),
            note=_note(value, floor, inputs),
        )
    ]


def heldout_accuracy(inputs: MetricInputs) -> float:
    """The scorer's accuracy on held-out real images, with the samples' class shares (of classes held out)."""
    reference = inputs.reference
    real = class_recalls(reference.images.labels, reference.predicted(), reference.images.num_classes)
    shares = inputs.samples.images.counts() * ~np.isnan(real)
    if shares.sum() == 0:
        return float("nan")
    return float(np.nansum(real * shares) / shares.sum())


def _note(value: float, floor: float, inputs: MetricInputs) -> str:
    if inputs.circular:
        return "circular: a classifier labelled or filtered the samples"
    gap = value - floor
    unsure = HEALTHY + gap_error(value, len(inputs.samples), floor, len(inputs.reference))
    points = f"{abs(100 * gap):.1f} points"
    if gap < -unsure:
        return f"ALARM {points} below real held-out images: wrong labels, or images of no class"
    if gap > unsure:
        return (
            f"ALARM {points} above real held-out images: memorised, collapsed inside classes, or too typical"
        )
    return f"{points} {'above' if gap > 0 else 'below'} real held-out images"
