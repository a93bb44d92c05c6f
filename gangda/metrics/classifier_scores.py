"""What a classifier of real images says of samples, and one trained on samples of real images."""

import numpy as np
import torch

from gangda.classifying.evaluation import class_recalls
from gangda.metrics.inputs import Features, MetricInputs, matched_rows
from gangda.metrics.result import MetricResult, gap_error, wilson

HEALTHY = 0.01  # accuracy this far from real held-out images', on either side, is as it should be
# Share of a class's samples that look like one other class; recall of a class that the scorer knows.
MOSTLY = 0.5
SHOWN = 5  # such classes
PER_SPLIT = 1000  # images a split needs for its mean of p(y|x) to be worth the name


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
    recalls = tuple(class_recalls(images.labels, predicted, images.num_classes).tolist())
    n, interval = (len(inputs.reference), len(images)), wilson(value, len(images))
    more = {
        "interval": interval,
        "floor": floor,
        "per_class": recalls,
        "note": _look_alikes(inputs) + _gap_note(value, floor, inputs),
    }
    return [inputs.result(f"gan_test_{inputs.scorer}", inputs.scorer, value, "target", n, **more)]


def heldout_accuracy(inputs: MetricInputs) -> float:
    """The scorer's accuracy on held-out real images, with the samples' class shares (of classes held out)."""
    reference = inputs.reference
    real = class_recalls(reference.images.labels, reference.predicted(), reference.images.num_classes)
    shares = inputs.samples.images.counts() * ~np.isnan(real)
    return float(np.nansum(real * shares) / shares.sum()) if shares.sum() else float("nan")


def _gap_note(value: float, floor: float, inputs: MetricInputs) -> str:
    if inputs.circular:
        return "circular: a classifier labelled or filtered the samples"
    gap = value - floor
    unsure = HEALTHY + gap_error(value, len(inputs.samples), floor, len(inputs.reference))
    gap_text = f"{abs(100 * gap):.1f} points {'above' if gap > 0 else 'below'} real held-out images"
    if gap < -unsure:
        return f"ALARM {gap_text}: too few steps (train longer), else wrong labels, or images of no class"
    if gap > unsure:
        return f"ALARM {gap_text}: memorised, collapsed inside classes, or too typical"
    return gap_text


def _look_alikes(inputs: MetricInputs) -> str:
    """Classes whose samples the scorer mostly takes for one other class, though it knows real images of theirs."""
    real, images = inputs.reference, inputs.samples.images
    known = class_recalls(real.images.labels, real.predicted(), images.num_classes)
    told, pairs = [], {}
    for label in np.flatnonzero(images.counts()):
        seen = np.bincount(inputs.samples.predicted()[images.labels == label], minlength=images.num_classes)
        other = int(seen.argmax())
        if other != label and seen[other] > MOSTLY * seen.sum() and known[label] > MOSTLY:
            pairs[int(label)] = other
            names = images.class_names[label], images.class_names[other]
            told.append(f"samples of '{names[0]}' look like '{names[1]}' ({seen[other]:,} of {seen.sum():,})")
    rest = len(told) - SHOWN
    more = f" and {rest:,} more {'class' if rest == 1 else 'classes'}" if rest > 0 else ""
    # Classes that only trade places are wrong labels; images that are poor fall to a class that is none of them.
    traded = set(pairs) == set(pairs.values())
    cause = "are labels permuted?" if traded else "too few steps (train longer), else permuted labels"
    return f"ALARM {', '.join(told[:SHOWN])}{more}: {cause}; " if told else ""


def cas(inputs: MetricInputs) -> list[MetricResult]:
    """Accuracy on held-out images after training from scratch on samples only; nothing if unlabelled.

    As many samples as training images in each class (fewer where there are fewer). The floor is the ceiling:
    the same classifier trained for the same steps on as many real training images of each class.

    Source: Ravuri and Vinyals 2019 (classification accuracy score); Shmelkov 2018 (GAN-train).
    """
    if inputs.retrain is None:
        return []
    samples, train, reference = (side.images for side in (inputs.samples, inputs.train, inputs.reference))
    fake_rows, real_rows = matched_rows([samples, train], inputs.seed)
    predicted = inputs.retrain(samples.take(fake_rows))
    answers = (predicted, inputs.retrain(train.take(real_rows)))
    value, ceiling = (float((answer == reference.labels).mean()) for answer in answers)
    gap = f"{100 * abs(ceiling - value):.1f} points {'below' if value < ceiling else 'above'} the ceiling"
    note = f"{gap} (trained on real); one classifier seed"
    if len(fake_rows) < len(train):
        note += f"; {len(fake_rows)} samples against {len(train)} training images"
    recalls = tuple(class_recalls(reference.labels, predicted, reference.num_classes).tolist())
    n, interval = (len(reference), len(fake_rows)), wilson(value, len(reference))
    more = {"interval": interval, "floor": ceiling, "per_class": recalls, "note": note}
    return [inputs.result(f"cas_{inputs.scorer}", "", value, "higher", n, **more)]


def inception_score(inputs: MetricInputs) -> list[MetricResult]:
    """exp E KL(p(y|x) || p(y)) with the scorer in the place of Inception, in [1, K]; nothing for unlabelled data.

    Mean over at most 10 shuffled splits of 1,000. The floor is that of the held-out images (the scorer is
    over-sure of its training images). Blind to collapse inside a class.

    Source: Salimans 2016, section 4.
    """
    if not inputs.scorer:
        return []
    value, floor = (score_of_logits(side.features("logits")) for side in (inputs.fake, inputs.real))
    note = f"of the {inputs.scorer}, not Inception; floor: held-out images; blind inside classes"
    return [inputs.result("is", inputs.scorer, value, "target", floor=floor, note=note)]


def score_of_logits(logits: Features) -> float:
    """Inception score of logits float32 (N, K)."""
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

    splits = min(10, max(1, len(logits) // PER_SPLIT))
    return float(isc_features_to_metric(torch.from_numpy(logits), splits)[KEY_METRIC_ISC_MEAN])
