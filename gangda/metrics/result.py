"""`MetricResult`, what every metric returns, and intervals of shares."""

import math
from dataclasses import dataclass

Z95 = 1.959963984540054


@dataclass(frozen=True)
class MetricResult:
    """One number with what is needed to read it."""

    name: str  # metric and protocol, such as `fid_lenet_10k`
    value: float  # the estimate (accuracies and shares are fractions)
    direction: str  # "higher" or "lower" is better, or "target" where the floor is the ideal
    n_real: int  # n_real, n_fake: images used on either side
    n_fake: int
    interval: tuple[float, float] | None = None  # 95% interval where the metric has one
    # The same computation with real training images in place of samples, at the same n.
    floor: float | None = None
    extractor: str = ""  # hash of the network that gave features or logits; "" where none did
    per_class: tuple[float, ...] | None = None  # the value of each class, where it makes sense
    note: str = ""  # what a reader must know, in a few words; an alarm begins with "ALARM"


def wilson(share: float, count: int) -> tuple[float, float] | None:
    """95% interval of a share of `count` independent cases; None without cases. Source: Wilson 1927."""
    if count == 0:
        return None
    z2 = Z95**2 / count
    centre = (share + z2 / 2) / (1 + z2)
    half = Z95 * math.sqrt(share * (1 - share) / count + z2 / (4 * count)) / (1 + z2)
    # Rounding must not leave 7e-18 where the bound is 0.
    return 0.0 if share == 0 else centre - half, 1.0 if share == 1 else centre + half


def gap_error(share: float, count: int, other: float, other_count: int) -> float:
    """Half width of the 95% interval of the difference of two independent shares (plus-one smoothed)."""
    variance = 0.0
    for value, n in ((share, count), (other, other_count)):
        smoothed = (value * n + 1) / (n + 2)
        variance += smoothed * (1 - smoothed) / (n + 2)
    return Z95 * math.sqrt(variance)
