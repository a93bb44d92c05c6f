"""How much the generators of an ensemble differ from each other; of samples that say which generator made them."""

import itertools
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from gangda.data.images import IntArray, LabelledImages
from gangda.metrics.inputs import Features, MetricInputs, Side, subsample
from gangda.metrics.intervals import wilson
from gangda.metrics.neighbours import squared_distances, together
from gangda.metrics.result import MetricResult

LEAST = 20  # samples of a generator below which nothing is said
MOST = 400  # samples of each generator that are looked at
FOLDS = 4


def generators(inputs: MetricInputs) -> list[MetricResult]:
    """Distance between the generators' samples, and how often a classifier tells whose a sample is.

    Both on label-free features, and neither is better high or low in itself: generators that do the same are one
    generator at a higher price; generators that share the data out between them must each be sampled in its turn.
    The floor deals real training images out to as many hands. Nothing for samples of one generator.

    Source: Székely and Rizzo 2013 for the distance (its normalised form); Lopez-Paz and Oquab 2017 for the classifier.
    """
    owner = owners(inputs.samples.images)
    names, counts = np.unique(owner[owner >= 0], return_counts=True)
    size = min(MOST, int(counts.min()), len(inputs.train) // len(counts)) if len(names) > 1 else 0
    if size < LEAST:
        return []
    rows = [_some_of(np.flatnonzero(owner == name), size, inputs.seed, int(name)) for name in names]
    dealt = subsample(len(inputs.train), size * len(names), inputs.seed, "generators", "floor")
    hands = [dealt[k :: len(names)] for k in range(len(names))]
    return _results(inputs, _parts(inputs.samples, rows), _parts(inputs.train, hands))


def owners(images: LabelledImages) -> IntArray:
    """Which generator made each image, int64 (N,); -1 where its provenance does not say."""
    owner = np.full(len(images), -1, dtype=np.int64)
    for row, record in images.provenance.items():
        made_by = record.get("generator")
        owner[row] = -1 if made_by is None else int(made_by)
    return owner


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
    from sklearn.linear_model import LogisticRegression

    features = np.concatenate(parts).astype(np.float64)
    labels = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    folds = np.concatenate([np.arange(len(part)) % FOLDS for part in parts])
    right = np.zeros(len(labels), dtype=bool)
    for fold in range(FOLDS):
        test = folds == fold
        mean, deviation = features[~test].mean(axis=0), features[~test].std(axis=0)
        scaled = (features - mean) / np.where(deviation > 0, deviation, 1.0)
        model = LogisticRegression(C=0.01, max_iter=200).fit(scaled[~test], labels[~test])
        right[test] = model.predict(scaled[test]) == labels[test]
    return float(right.mean())


def _mean_gap(a: Tensor, b: Tensor) -> float:
    """Mean Euclidean distance over all pairs of rows."""
    total = sum(float(part.sqrt().double().sum()) for _, part in squared_distances(a, b))
    return total / (len(a) * len(b))


def _some_of(rows: IntArray, size: int, seed: int, name: int) -> IntArray:
    return rows[subsample(len(rows), size, seed, "generators", name)]


def _parts(side: Side, rows: Sequence[IntArray]) -> list[Features]:
    features = side.features("randconv")
    return [features[part] for part in rows]


def _results(inputs: MetricInputs, ours: list[Features], real: list[Features]) -> list[MetricResult]:
    size, count = len(ours[0]), len(ours)
    right = told_apart(ours)
    extractor = inputs.extractors["randconv"]
    n = size * count
    return [
        MetricResult(
            name=f"generators_distance_randconv_{size}",
            value=mean_energy(ours),
            floor=mean_energy(real),
            note=f"energy coefficient between {count} generators, 0 to 1",
            direction="target",
            n_real=n,
            n_fake=n,
            extractor=extractor,
        ),
        MetricResult(
            name=f"generators_told_apart_{size}",
            value=right,
            interval=wilson(right, n),
            floor=told_apart(real),
            note=f"accuracy of naming the generator; chance {1 / count:.2f}",
            direction="target",
            n_real=n,
            n_fake=n,
            extractor=extractor,
        ),
    ]
