"""From finished variants to what the experiment found: `experiment.json` and `report.html`."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gangda.comparing.cell_result import FailedCell
from gangda.comparing.notes import failure_note, failure_words
from gangda.comparing.results import versions
from gangda.comparing.sweeps.measures import Measure, Setting
from gangda.data.images import FloatArray
from gangda.experiments import Experiment
from gangda.runtime.files import FORMAT_VERSION, without_nan, write_bytes, write_json
from gangda.runtime.plain import to_plain
from gangda.statistics.differences import TOO_FEW, against
from gangda.statistics.signflip import sign_flip, smallest_p
from gangda.statistics.values import Difference

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
                "differences": [asdict(difference) for difference in self.differences],
            }
        )
        return plain


def find(asked: Experiment, settings: Sequence[Setting], measure: Measure) -> Findings:
    """Read all variants, and judge how they differ from the first."""
    figure, direction = measure.figures[0], measure.direction(settings)
    alpha, n = settings[0].config.compare.alpha, settings[0].config.compare.seeds
    values = {setting.name: measure.read(setting, figure) for setting in settings}
    rows = [_row(setting, values[setting.name], measure, alpha) for setting in settings]
    failed = {setting.name: measure.failed(setting) for setting in settings}
    notes = [f"{name}: {note}" for name, lost in failed.items() if (note := failure_note(lost, n))]
    differences: list[Difference] = []
    if len({setting.plan.fingerprint for setting in settings}) > 1:
        notes.append("The variants have different images: no difference between them is tested.")
    elif asked.between and len(settings) > 1:
        lacking = [name for name, scores in values.items() if not _complete(scores, failed[name])]
        differences = _tested(settings[0].name, values, lacking, alpha)
        notes += _untested(figure, settings[0].name, lacking)
    notes += _too_few(differences, alpha)
    share = asked.measure == "compare" or figure in SHARES
    words = [f" {name}:{lost}" for name in failed if (lost := failure_words(failed[name]))]
    headline = _headline(rows, figure, direction, share, differences, between=asked.between) + "".join(words)
    return Findings(figure, direction, share, alpha, tuple(rows), tuple(differences), tuple(notes), headline)


def _row(setting: Setting, scores: FloatArray, measure: Measure, alpha: float) -> dict[str, Any]:
    lost = measure.failed(setting)
    known = scores[np.isfinite(scores)]
    complete = len(known) > 0 and _complete(scores, lost)
    return {
        "name": setting.name,
        "folder": str(setting.folder.name),
        "scores": scores.tolist(),
        "mean": float(np.mean(known)) if complete else math.nan,
        "sd": (float(np.std(known, ddof=1)) if len(known) > 1 else 0.0) if complete else math.nan,
        "interval": sign_flip(known).interval(alpha) if complete else None,
        "figures": {name: _mean_of(measure.read(setting, name), lost) for name in measure.figures},
        "failed": to_plain(lost),
        **measure.extras(setting),
    }


def _complete(scores: FloatArray, failed: Sequence[FailedCell]) -> bool:
    """Whether every seed whose cell has not failed has a value."""
    return int(np.isfinite(scores).sum()) == len(scores) - len(failed)


def _mean_of(scores: FloatArray, failed: Sequence[FailedCell]) -> float:
    """Over the seeds whose cells have not failed; NaN where one of these has no value, or there are none."""
    known = scores[np.isfinite(scores)]
    return float(np.mean(known)) if len(known) and _complete(scores, failed) else math.nan


def _tested(
    reference: str, values: Mapping[str, FloatArray], lacking: Sequence[str], alpha: float
) -> list[Difference]:
    """The variants with a value in every seed that has not failed, against the reference."""
    known = {name: scores.tolist() for name, scores in values.items() if name not in lacking}
    return against(reference, known, alpha) if reference in known and len(known) > 1 else []


def _too_few(differences: Sequence[Difference], alpha: float) -> list[str]:
    """A note on the differences that so few seeds cannot decide, whatever they are."""
    short = [difference for difference in differences if difference.verdict == TOO_FEW]
    if not short:
        return []
    n = min(len(difference.deltas) for difference in short)
    some = "" if len(short) == len(differences) else f" ({'; '.join(one.name for one in short)})"
    several = len(differences) > 1
    tested = f"{len(differences)} differences are" if several else "one difference is"
    return [
        f"{n} seeds give no p below {smallest_p(n):.3g}, which is not enough where {tested} tested at {alpha:g}"
        f"{' (Holm)' if several else ''}: too few seeds for a verdict{some}; add --seeds."
    ]


def _untested(figure: str, reference: str, lacking: Sequence[str]) -> list[str]:
    """A note on the variants without a value in some seed."""
    if not lacking:
        return []
    what = "no difference is tested" if reference in lacking else "they are not tested"
    return [f"{figure} has no value in some seed of {'; '.join(lacking)}: {what}."]


def _headline(
    rows: Sequence[Mapping[str, Any]],
    figure: str,
    direction: str,
    share: bool,
    differences: Sequence[Difference],
    *,
    between: bool,
) -> str:
    """What differs from the reference, or that nothing was shown to; where that is not the question, the verdicts.

    Variants that are not compared with each other (`between`, or only one) each have a verdict of their own, if arms
    were compared.
    """
    if (not between or len(rows) == 1) and all("verdict" in row for row in rows):
        return " ".join(
            row["verdict"] if len(rows) == 1 else f"{row['name']}: {row['verdict']}" for row in rows
        )
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
    from gangda.comparing.report.experiment import render

    document = {
        "format_version": FORMAT_VERSION,
        "kind": "experiment findings",
        **about,
        **findings.as_dict(),
        "versions": versions(),
    }
    write_json(out / "experiment.json", document)
    write_bytes(out / "report.html", render(document).encode())
