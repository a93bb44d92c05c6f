"""From finished variants to what the experiment found: `experiment.json` and `report.html`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gangda.engines.comparing.results import versions
from gangda.engines.experimenting.measures import Measure, Setting
from gangda.engines.experimenting.scored import read_score
from gangda.experiments import Experiment
from gangda.runtime.files import FORMAT_VERSION, read_json, write_bytes, write_json
from gangda.statistics.differences import Difference, against
from gangda.statistics.signflip import sign_flip, smallest_p


@dataclass(frozen=True)
class Findings:
    """What an experiment found.

    Attributes:
        figure: what variants are compared in: an arm's accuracy, or a metric.
        rows: per variant plain values: name, scores of the seeds, mean, sd, interval, other figures, cost.
        differences: every variant against the first; empty where they cannot be compared.
        notes: what a reader must know.
        headline: the answer in a sentence.
    """

    figure: str
    alpha: float
    rows: tuple[dict[str, Any], ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    headline: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "figure": self.figure,
            "alpha": self.alpha,
            "headline": self.headline,
            "notes": list(self.notes),
            "rows": list(self.rows),
            "differences": [difference.as_dict() for difference in self.differences],
        }


def find(asked: Experiment, settings: Sequence[Setting], measure: Measure) -> Findings:
    """Read all variants, and judge how they differ from the first."""
    figure = measure.figures[0]
    alpha = settings[0].config.compare.alpha
    values = {setting.name: measure.read(setting, figure).tolist() for setting in settings}
    rows = [_row(setting, values[setting.name], measure, alpha) for setting in settings]
    notes: list[str] = []
    differences: list[Difference] = []
    if len({setting.plan.fingerprint for setting in settings}) > 1:
        notes.append("The variants have different images: no difference between them is tested.")
    elif asked.between and len(settings) > 1:
        differences = against(settings[0].name, values, alpha)
    n = settings[0].config.compare.seeds
    if differences and smallest_p(n) > alpha / len(differences):
        notes.append(
            f"{n} seeds give no p below {smallest_p(n):.3g}, and {len(differences)} differences need "
            f"{alpha / len(differences):.3g}: too few seeds for a verdict; add --seeds."
        )
    return Findings(
        figure, alpha, tuple(rows), tuple(differences), tuple(notes), _headline(rows, differences)
    )


def _row(setting: Setting, scores: Sequence[float], measure: Measure, alpha: float) -> dict[str, Any]:
    interval = sign_flip(scores).interval(alpha)
    spread = float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0
    return {
        "name": setting.name,
        "folder": str(setting.folder.name),
        "scores": list(scores),
        "mean": float(np.mean(scores)),
        "sd": spread,
        "interval": interval,
        "figures": {name: float(np.mean(measure.read(setting, name))) for name in measure.figures},
        **_EXTRAS[setting_kind(setting)](setting, measure),
    }


def setting_kind(setting: Setting) -> str:
    """Which files a variant has left: those of a comparison, or scores."""
    return "compare" if (setting.folder / "comparison.json").exists() else "score"


def _of_comparison(setting: Setting, measure: Measure) -> dict[str, Any]:
    """The variant's own verdict and arms."""
    document = read_json(setting.folder / "comparison.json")
    arms = [
        {"name": arm["name"], "mean": arm["mean"], "sd": arm["sd"], "scores": arm["scores"]}
        for arm in document["comparison"]["arms"]
    ]
    seconds = [row["generator_seconds"] + row["classifier_seconds"] for row in document["arms"]]
    return {
        "headline": document["headline"],
        "notes": document["notes"],
        "arms": arms,
        "seconds": max(seconds),
        "report": f"variants/{setting.folder.name}/report.html",
    }


def _of_scores(setting: Setting, measure: Measure) -> dict[str, Any]:
    """Floors, alarms and the course of training, over the seeds."""
    cells = [read_score(setting.folder, cell, measure.figures) for cell in setting.plan.cells]
    there = [cell for cell in cells if cell is not None]
    notes = [
        metric["note"] for cell in there for metric in cell["metrics"] if metric["note"].startswith("ALARM")
    ]
    return {
        "floors": {
            name: _mean([cell["values"][name]["floor"] for cell in there]) for name in measure.figures
        },
        "notes": sorted(set(notes)),
        "looks": [cell["looks"] for cell in there],
        "steps": there[0]["generator"]["steps"],
        "seconds": float(np.mean([cell["seconds"] for cell in there])),
    }


_EXTRAS = {"compare": _of_comparison, "score": _of_scores}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _headline(rows: Sequence[Mapping[str, Any]], differences: Sequence[Difference]) -> str:
    """What differs from the reference, or that nothing was shown to."""
    best = max(rows, key=lambda row: row["mean"])
    lead = f"Highest mean: {best['name']}, {best['mean']:.4f}."
    decided = [d for d in differences if d.verdict in ("higher", "lower")]
    if not differences:
        return lead
    if not decided:
        return f"{lead} No variant was shown to differ from {rows[0]['name']}."
    words = [f"{d.name} is {d.verdict} by {abs(d.mean):.4f} (adjusted p {d.adjusted_p:.3g})" for d in decided]
    return f"{lead} Against {rows[0]['name']}: {'; '.join(words)}."


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
