"""`MetricResult`: what every metric returns."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MetricResult:
    """One number with what is needed to read it.

    Attributes:
        name: metric and protocol, such as `fid_lenet_10k`.
        value: the estimate (accuracies and shares are fractions).
        direction: "higher" or "lower" is better, or "target" where the floor is the ideal.
        n_real, n_fake: images used on either side.
        interval: 95% interval where the metric has one.
        floor: the same computation with real training images in place of samples, at the same n.
        extractor: hash of the network that gave features or logits; "" where none did.
        per_class: the value of each class, where it makes sense.
        note: what a reader must know, in a few words; an alarm begins with "ALARM".
    """

    name: str
    value: float
    direction: str
    n_real: int
    n_fake: int
    interval: tuple[float, float] | None = None
    floor: float | None = None
    extractor: str = ""
    per_class: tuple[float, ...] | None = None
    note: str = ""
