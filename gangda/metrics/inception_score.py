"""Inception score, with the scorer in the place of Inception."""

import torch

from gangda.metrics.inputs import Features, MetricInputs, tag
from gangda.metrics.result import MetricResult

PER_SPLIT = 1000  # images a split needs for its mean of p(y|x) to be worth the name


def inception_score(inputs: MetricInputs) -> list[MetricResult]:
    """exp E KL(p(y|x) || p(y)), between 1 and K; nothing for unlabelled data.

    Mean over at most 10 shuffled splits of 1,000. The floor is that of the held-out images (the scorer is
    over-sure of its training images). Blind to collapse inside a class.

    Source: Salimans 2016, section 4.
    """
    if not inputs.scorer:
        return []
    return [
        inputs.result(
            f"is_{inputs.scorer}_{tag(inputs.n)}",
            inputs.scorer,
            score(inputs.fake.features("logits")),
            "target",
            floor=score(inputs.real.features("logits")),
            note=f"of the {inputs.scorer}, not Inception; floor: held-out images; blind inside classes",
        )
    ]


def score(logits: Features) -> float:
    """Inception score of logits float32 (N, K)."""
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

    splits = min(10, max(1, len(logits) // PER_SPLIT))
    return float(isc_features_to_metric(torch.from_numpy(logits), splits)[KEY_METRIC_ISC_MEAN])
