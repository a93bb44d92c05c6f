"""CAS: what can a classifier learn from the samples alone?"""

from gangda.classifying.evaluation import class_recalls
from gangda.metrics.inputs import MetricInputs, matched_rows
from gangda.metrics.intervals import wilson
from gangda.metrics.result import MetricResult


def cas(inputs: MetricInputs) -> list[MetricResult]:
    """Accuracy on held-out images after training from scratch on samples only; nothing if unlabelled.

    As many samples as training images in each class (fewer where there are fewer). The floor is the ceiling:
    the same classifier trained for the same steps on as many real training images of each class.

    Source: Ravuri and Vinyals 2019 (classification accuracy score); Shmelkov 2018 (GAN-train).
    """
    if inputs.retrain is None:
        return []
    samples, train = inputs.samples.images, inputs.train.images
    fake_rows, real_rows = matched_rows([samples, train], inputs.seed)
    reference = inputs.reference.images
    predicted = inputs.retrain(samples.take(fake_rows))
    value, ceiling = (
        float((answer == reference.labels).mean())
        for answer in (predicted, inputs.retrain(train.take(real_rows)))
    )
    side = "below" if value < ceiling else "above"
    note = (
        f"{100 * abs(ceiling - value):.1f} points {side} the ceiling (trained on real); one classifier seed"
    )
    if len(fake_rows) < len(train):
        note += f"; {len(fake_rows)} samples against {len(train)} training images"
    return [
        inputs.result(
            f"cas_{inputs.scorer}",
            "",
            value,
            "higher",
            n_real=len(reference),
            n_fake=len(fake_rows),
            interval=wilson(value, len(reference)),
            floor=ceiling,
            per_class=tuple(class_recalls(reference.labels, predicted, reference.num_classes).tolist()),
            note=note,
        )
    ]
