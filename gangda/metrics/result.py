"""`MetricResult`: what every metric returns."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gangda.runtime.files import without_nan


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

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; None in place of NaN."""
        plain: dict[str, Any] = without_nan(asdict(self))
        return plain

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> "MetricResult":
        """The result that `as_dict` wrote."""
        nan = math.nan
        interval, per_class = plain["interval"], plain["per_class"]
        return MetricResult(
            **{
                **plain,
                "value": nan if plain["value"] is None else plain["value"],
                "interval": None if interval is None else tuple(interval),
                "per_class": None
                if per_class is None
                else tuple(nan if value is None else value for value in per_class),
            }
        )
