"""Intervals of shares."""

import math

import numpy as np

from gangda.data.images import FloatArray, IntArray

Z95 = 1.959963984540054


def wilson(share: float, count: int) -> tuple[float, float] | None:
    """95% interval of a share of `count` independent cases; None without cases.

    Source: Wilson 1927.
    """
    if count == 0:
        return None
    z2 = Z95**2 / count
    centre = (share + z2 / 2) / (1 + z2)
    half = Z95 * math.sqrt(share * (1 - share) / count + z2 / (4 * count)) / (1 + z2)
    return max(0.0, centre - half), min(1.0, centre + half)


def recalls(labels: IntArray, predicted: IntArray, num_classes: int) -> FloatArray:
    """Share of right answers in each class, float64 (K,); NaN for a class without images."""
    counts = np.bincount(labels, minlength=num_classes)
    right = np.bincount(labels[labels == predicted], minlength=num_classes)
    shares: FloatArray = np.divide(right, counts, out=np.full(num_classes, np.nan), where=counts > 0)
    return shares


def gap_error(share: float, count: int, other: float, other_count: int) -> float:
    """Half width of the 95% interval of the difference of two independent shares (plus-one smoothed)."""
    return Z95 * math.sqrt(_variance(share, count) + _variance(other, other_count))


def _variance(share: float, count: int) -> float:
    smoothed = (share * count + 1) / (count + 2)
    return smoothed * (1 - smoothed) / (count + 2)
