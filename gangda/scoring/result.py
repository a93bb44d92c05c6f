"""`ScoreResult`, and reading it from its folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gangda.metrics.result import MetricResult
from gangda.runtime.plain import from_plain, to_plain
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
        """Plain values for JSON."""
        return {
            "metrics": to_plain(self.metrics),
            **self.about,
            "out": str(self.out),
            "dry_run": self.dry_run,
            "reprinted": self.reprinted,
        }


def read_finished(out: Path, identity: str) -> ScoreResult | None:
    """The result that `out` holds already, None where there is none.

    Raises:
        RunError: `out` holds something else.
    """
    values = finished_values(out, "scores.json", identity, "score", "samples")
    if values is None:
        return None
    metrics = tuple(from_plain(MetricResult, metric) for metric in values.pop("metrics"))
    return ScoreResult(metrics, values, out, reprinted=True)
