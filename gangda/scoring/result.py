"""What a score gives, and how it is read again."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gangda.metrics.result import MetricResult
from gangda.runtime.files import without_nan
from gangda.runtime.results import finished_values


@dataclass(frozen=True)
class ScoreResult:
    """The metrics of a set of samples.

    Attributes:
        metrics: in the catalog's order; empty in a dry run.
        about: what was compared: samples, data, counts, hashes, seed, classifier, notes; plain values.
        out: folder with scores.json and the pictures.
        dry_run, reprinted: nothing was written; the result was there already.
    """

    metrics: tuple[MetricResult, ...]
    about: dict[str, Any]
    out: Path
    dry_run: bool = False
    reprinted: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; None in place of NaN."""
        return {
            "metrics": [without_nan(metric.as_dict()) for metric in self.metrics],
            **self.about,
            "out": str(self.out),
            "dry_run": self.dry_run,
            "reprinted": self.reprinted,
        }


def read_finished(out: Path, identity: str) -> ScoreResult | None:
    """The result that is in `out` already, None where there is none.

    Raises:
        RunError: `out` holds something else.
    """
    values = finished_values(out, "scores.json", identity, "score", "samples")
    if values is None:
        return None
    metrics = tuple(_metric(metric) for metric in values.pop("metrics"))
    return ScoreResult(metrics, values, out, reprinted=True)


def _metric(values: dict[str, Any]) -> MetricResult:
    """A metric as `without_nan` wrote it."""
    interval, per_class = values["interval"], values["per_class"]
    number = {None: math.nan}
    return MetricResult(
        **{
            **values,
            "value": number.get(values["value"], values["value"]),
            "interval": None if interval is None else tuple(interval),
            "per_class": None
            if per_class is None
            else tuple(number.get(share, share) for share in per_class),
        }
    )
