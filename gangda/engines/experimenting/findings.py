"""From finished variants to what the experiment found: `experiment.json` and `report.html`."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gangda.data.images import FloatArray
from gangda.engines.comparing.results import versions
from gangda.engines.experimenting.measures import Measure, Setting
from gangda.experiments import Experiment
from gangda.runtime.files import FORMAT_VERSION, without_nan, write_bytes, write_json
from gangda.statistics.differences import Difference, against
from gangda.statistics.signflip import sign_flip, smallest_p

SHARES = ("gan_test", "cas")  # metrics that are accuracies


@dataclass(frozen=True)
class Findings:
    """What an experiment found.

    Attributes:
        figure: what variants are compared in: an arm's accuracy, or a metric.
        direction: of it, "higher" or "lower" is better, or "target": the floor is the ideal.
        share: whether the figure is a share, to be shown in per cent and its differences in points.
        rows: per variant plain values: name, scores of the seeds, mean, sd, interval, other figures, cost.
        differences: every variant against the first; empty where they cannot be compared.
        notes: what a reader must know.
        headline: the answer in a sentence.
    """

    figure: str
    direction: str
    share: bool
    alpha: float
    rows: tuple[dict[str, Any], ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    headline: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, None where a figure has no value."""
        plain: dict[str, Any] = without_nan(
            {
                "figure": self.figure,
                "direction": self.direction,
                "share": self.share,
                "alpha": self.alpha,
                "headline": self.headline,
                "notes": list(self.notes),
                "rows": list(self.rows),
                "differences": [difference.as_dict() for difference in self.differences],
            }
        )
        return plain


def find(asked: Experiment, settings: Sequence[Setting], measure: Measure) -> Findings:
    """Read all variants, and judge how they differ from the first."""
    figure, direction = measure.figures[0], measure.direction(settings)
    alpha = settings[0].config.compare.alpha
    values = {setting.name: measure.read(setting, figure) for setting in settings}
    rows = [_row(setting, values[setting.name], measure, alpha) for setting in settings]
    notes: list[str] = []
    differences: list[Difference] = []
    if len({setting.plan.fingerprint for setting in settings}) > 1:
        notes.append("The variants have different images: no difference between them is tested.")
    elif asked.between and len(settings) > 1:
        differences = _tested(settings[0].name, values, alpha)
        notes += _untested(figure, values)
    n = settings[0].config.compare.seeds
    if differences and smallest_p(n) > alpha / len(differences):
        notes.append(
            f"{n} seeds give no p below {smallest_p(n):.3g}, and {len(differences)} differences need "
            f"{alpha / len(differences):.3g}: too few seeds for a verdict; add --seeds."
        )
    share = asked.measure == "compare" or figure in SHARES
    headline = _headline(rows, figure, direction, share, differences)
    return Findings(figure, direction, share, alpha, tuple(rows), tuple(differences), tuple(notes), headline)


def _row(setting: Setting, scores: FloatArray, measure: Measure, alpha: float) -> dict[str, Any]:
    known = bool(np.isfinite(scores).all())
    return {
        "name": setting.name,
        "folder": str(setting.folder.name),
        "scores": scores.tolist(),
        "mean": float(np.mean(scores)),
        "sd": float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0,
        "interval": sign_flip(scores).interval(alpha) if known else None,
        "figures": {name: float(np.mean(measure.read(setting, name))) for name in measure.figures},
        **measure.extras(setting),
    }


def _tested(reference: str, values: Mapping[str, FloatArray], alpha: float) -> list[Difference]:
    """The variants that can be paired with the reference in every seed, against it."""
    known = {name: scores.tolist() for name, scores in values.items() if np.isfinite(scores).all()}
    return against(reference, known, alpha) if reference in known and len(known) > 1 else []


def _untested(figure: str, values: Mapping[str, FloatArray]) -> list[str]:
    """A note on the variants without a value in some seed."""
    lacking = [name for name, scores in values.items() if not np.isfinite(scores).all()]
    if not lacking:
        return []
    what = "no difference is tested" if lacking[0] == next(iter(values)) else "they are not tested"
    return [f"{figure} has no value in some seed of {'; '.join(lacking)}: {what}."]


def _headline(
    rows: Sequence[Mapping[str, Any]],
    figure: str,
    direction: str,
    share: bool,
    differences: Sequence[Difference],
) -> str:
    """What differs from the reference, or that nothing was shown to."""
    lead = _best(rows, figure, direction, share)
    decided = [d for d in differences if d.verdict in ("higher", "lower")]
    if not differences:
        return lead
    if not decided:
        return f"{lead} No variant was shown to differ from {rows[0]['name']}."
    by = {d.name: f"{100 * abs(d.mean):.2f} points" if share else f"{abs(d.mean):.4f}" for d in decided}
    words = [f"{d.name} is {d.verdict} by {by[d.name]} (adjusted p {d.adjusted_p:.3g})" for d in decided]
    return f"{lead} Against {rows[0]['name']}: {'; '.join(words)}."


def _best(rows: Sequence[Mapping[str, Any]], figure: str, direction: str, share: bool) -> str:
    """The variant with the best mean, in a sentence."""
    off, words = BADNESS[direction]
    known = [row for row in rows if math.isfinite(off(row, figure))]
    if not known:
        return f"No variant can be called best in {figure}: it has no value, or no floor to be measured by."
    best = min(known, key=lambda row: off(row, figure))
    value = f"{best['mean']:.2%}" if share else f"{best['mean']:.4f}"
    return f"Best mean: {best['name']}, {value} ({words})."


def _off_floor(row: Mapping[str, Any], figure: str) -> float:
    floor = row["floors"][figure]
    return math.nan if floor is None else abs(row["mean"] - floor)


BADNESS: Mapping[str, tuple[Callable[[Mapping[str, Any], str], float], str]] = {
    "higher": (lambda row, _: -row["mean"], "higher is better"),
    "lower": (lambda row, _: row["mean"], "lower is better"),
    "target": (_off_floor, "nearest to the floor, what real images reach, is better"),
}


def publish(out: Path, about: Mapping[str, Any], findings: Findings) -> None:
    """Write `experiment.json` and `report.html`."""
    from gangda.report.experiment import render

    document = {
        "format_version": FORMAT_VERSION,
        "kind": "experiment findings",
        **about,
        **findings.as_dict(),
        "versions": versions(),
    }
    write_json(out / "experiment.json", document)
    write_bytes(out / "report.html", render(document).encode())
