"""The HTML report of an experiment over settings: one file, from `experiment.json`'s content alone."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gangda.comparing.report.dot_plots import settings_figure
from gangda.report.page import environment
from gangda.report.svg import ACCENT, CALM, INK, drawing, figure, to_svg

TEMPLATE = "experiment.html"
LOOKED_AT = {
    "gan_test": "GAN-test on validation images",
    "diversity": "diversity inside classes, ratio to real",
    "distance": "distance to real images",
}
BETTER = {
    "higher": "higher is better",
    "lower": "lower is better",
    "target": "nearest to the floor, which real images reach, is best",
}


def render(document: Mapping[str, Any]) -> str:
    """The page of `experiment.json`'s content."""
    template = environment("gangda.comparing").get_template(TEMPLATE)
    seen = [key for key in LOOKED_AT if _seen(document, key)]
    spread = [row for row in document["rows"] if row.get("spread")]
    differences = [{**difference, "scores": difference["deltas"]} for difference in document["differences"]]
    text: str = template.render(
        document=document,
        notes=document["notes"],
        better=BETTER[document["direction"]],
        contents=_contents(document, bool(seen), bool(spread)),
        spread=spread,
        figure=settings_figure(_drawn(document["rows"]), document["figure"], document["share"]),
        differences=settings_figure(differences, "difference", document["share"], zero=True)
        if differences
        else None,
        courses=[course(document["rows"], key, LOOKED_AT[key]) for key in seen],
    )
    return text


def _contents(document: Mapping[str, Any], looked: bool, spread: bool) -> list[tuple[str, str]]:
    """Anchors and titles of the sections that are there."""
    scored = document["measure"] == "score"
    sections = (
        ("variants", "Variants", True),
        ("spread", "Where the spread comes from", spread),
        ("differences", f"Differences from {document['rows'][0]['name']}", bool(document["differences"])),
        ("found", "What each variant found", not scored),
        ("training", "In the course of training", looked),
        ("alarms", "Alarms", scored and any(row["notes"] for row in document["rows"])),
    )
    return [(anchor, title) for anchor, title, there in sections if there]


def _drawn(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with NaN, which draws nothing, for a mean that has no value."""
    return [{**row, "mean": math.nan if row["mean"] is None else row["mean"]} for row in rows]


def _seen(document: Mapping[str, Any], key: str) -> bool:
    return any(
        look.get(key) is not None
        for row in document["rows"]
        for looks in row.get("looks", ())
        for look in looks
    )


def course(rows: Sequence[Mapping[str, Any]], key: str, words: str) -> str:
    """A figure seen in the course of training, over steps: one line for each variant, the mean over its seeds."""
    with drawing(f"course-{key}"):
        fig, axes = figure(7.2, 3.2)
        shades = np.linspace(0.35, 1.0, max(1, len(rows)))
        for number, row in enumerate(rows):
            steps, means = _course(row["looks"], key)
            colour = ACCENT if number == 0 else CALM
            axes.plot(steps, means, "o-", ms=4, lw=1.5, color=colour, alpha=shades[number])
            if len(steps):
                axes.annotate(
                    row["name"],
                    (steps[-1], means[-1]),
                    (6, 0),
                    textcoords="offset points",
                    color=INK,
                    fontsize=8,
                )
        axes.set_xlabel("generator steps")
        axes.set_ylabel(words)
        axes.grid(axis="y", alpha=0.15, color=INK)
        return to_svg(fig, f"{words} in the course of training, one line for each variant.")


def _course(looks: Sequence[Sequence[Mapping[str, Any]]], key: str) -> tuple[list[int], list[float]]:
    """Steps at which every seed was looked at, and the mean over the seeds."""
    seen = [{look["step"]: look[key] for look in one if look.get(key) is not None} for one in looks]
    steps = sorted(set.intersection(*map(set, seen))) if seen else []
    return steps, [float(np.mean([one[step] for one in seen])) for step in steps]
