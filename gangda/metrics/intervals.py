"""Intervals of shares."""

import math

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


def gap_error(share: float, count: int, other: float, other_count: int) -> float:
    """Half width of the 95% interval of the difference of two independent shares (plus-one smoothed)."""
    variance = 0.0
    for value, n in ((share, count), (other, other_count)):
        smoothed = (value * n + 1) / (n + 2)
        variance += smoothed * (1 - smoothed) / (n + 2)
    return Z95 * math.sqrt(variance)
