"""How much the generators of an ensemble differ from each other; of samples that say which generator made them."""

import itertools
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from gangda.metrics.artefact import FOLDS, out_of_fold
from gangda.metrics.inputs import Features, MetricInputs, subsample
from gangda.metrics.neighbours import squared_distances, together
from gangda.metrics.result import MetricResult, wilson

LEAST = 20  # samples of a generator below which there is no result
MOST = 400  # samples used of each generator


def generators(inputs: MetricInputs) -> list[MetricResult]:
    """Distance between the generators' samples, and how often a classifier tells whose a sample is.

    Both on label-free features, and neither is better high or low in itself: generators that do the same cost more than
    one for nothing; generators that each make a part of the data must all be sampled.
    The floor divides real training images into as many parts. Nothing for samples of one generator.

    Source: Székely and Rizzo 2013 for the distance (its normalised form); Lopez-Paz and Oquab 2017 for the classifier.
    """
    owner = inputs.samples.images.generator
    names, counts = np.unique(owner[owner >= 0], return_counts=True)
    size = min(MOST, int(counts.min()), len(inputs.train) // len(counts)) if len(names) > 1 else 0
    if size < LEAST:
        return []
    rows = []
    for name in names:
        own = np.flatnonzero(owner == name)
        rows.append(own[subsample(len(own), size, inputs.seed, "generators", int(name))])
    dealt = subsample(len(inputs.train), size * len(names), inputs.seed, "generators", "floor")
    ours = [inputs.samples.features("randconv")[part] for part in rows]
    real = [inputs.train.features("randconv")[dealt[k :: len(names)]] for k in range(len(names))]
    n, right = (size * len(names),) * 2, told_apart(ours)
    energy = {
        "floor": mean_energy(real),
        "note": f"energy coefficient between {len(names)} generators, 0 to 1",
    }
    apart = {
        "floor": told_apart(real),
        "interval": wilson(right, n[0]),
        "note": f"accuracy of naming the generator; chance {1 / len(names):.2f}",
    }
    return [
        inputs.result(
            f"generators_distance_randconv_{size}", "randconv", mean_energy(ours), "target", n, **energy
        ),
        inputs.result(f"generators_told_apart_{size}", "randconv", right, "target", n, **apart),
    ]


def mean_energy(parts: Sequence[Features]) -> float:
    """Mean energy coefficient over all pairs of (n, F) sets: 0 for the same distribution, up to 1.

    (2 E|X - Y| - E|X - X'| - E|Y - Y'|) / (2 E|X - Y|), each mean over different samples, so that it is near 0, and as
    often below, for samples of one distribution whatever n. Source: Székely and Rizzo 2013, equation 5.2.
    """
    points = together(*parts)
    within = [_mean_gap(part, part) * len(part) / (len(part) - 1) for part in points]
    pairs = []
    for a, b in itertools.combinations(range(len(points)), 2):
        across = _mean_gap(points[a], points[b])
        pairs.append((2 * across - within[a] - within[b]) / (2 * across) if across > 0 else 0.0)
    return float(np.mean(pairs))


def told_apart(parts: Sequence[Features]) -> float:
    """Out-of-fold share of right answers of a logistic regression on whose (n, F) rows are; chance is 1/K."""
    labels = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    folds = np.concatenate([np.arange(len(part)) % FOLDS for part in parts])
    predicted = out_of_fold(np.concatenate(parts).astype(np.float64), labels, folds, "predict")
    return float((predicted == labels).mean())


def _mean_gap(a: Tensor, b: Tensor) -> float:
    """Mean Euclidean distance over all pairs of rows."""
    total = sum(float(part.sqrt().double().sum()) for _, part in squared_distances(a, b))
    return total / (len(a) * len(b))
