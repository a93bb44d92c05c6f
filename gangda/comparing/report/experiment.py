"""The HTML report of an experiment over settings, from the content of `experiment.json`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gangda.comparing.analyses import rendered
from gangda.comparing.report.dot_plots import Dots, dots_figure
from gangda.report.svg import ACCENT, CALM, INK, drawing, to_svg
from gangda.report.svg import figure as new_figure

OF_SAMPLES = {
    "gan_test": "GAN-test on validation images",
    "diversity": "diversity inside classes, ratio to real",
    "distance": "distance to real images",
}


def render(document: Mapping[str, Any], better: str) -> str:
    """The page of `experiment.json`'s content; `better` says in words which values of the figure are better."""
    drawn = [training_curve(document["rows"], key, words) for key, words in OF_SAMPLES.items()]
    curves = [svg for svg in drawn if svg is not None]
    spread = [row for row in document["rows"] if row.get("spread")]
    rows = [_dots(row, "scores") for row in document["rows"]]
    differences = [_dots(row, "deltas") for row in document["differences"]]
    share, figure = document["share"], document["figure"]
    scale = 100 if share else 1
    return rendered(
        "experiment.html",
        contents=[],
        document=document,
        notes=document["notes"],
        better=better,
        spread=spread,
        figure=dots_figure(
            f"settings-{figure}",
            rows,
            figure + (", per cent" if share else ""),
            f"{figure} of each setting",
            scale=scale,
        ),
        differences=dots_figure(
            "settings-difference",
            differences,
            "difference" + (", points" if share else ""),
            "difference of each setting",
            scale=scale,
            margin=0.0,
        )
        if differences
        else None,
        curves=curves,
    )


def _dots(row: Mapping[str, Any], values: str) -> Dots:
    """NaN, which draws nothing, stands for a mean or a value that there is not."""
    mean = math.nan if row["mean"] is None else row["mean"]
    return Dots(row["name"], row[values], mean, row["interval"])


def training_curve(rows: Sequence[Mapping[str, Any]], key: str, words: str) -> str | None:
    """A figure of the samples over training steps: one line for each variant, the mean over its seeds.

    None where no seed has it.
    """
    curves = {row["name"]: _means(row.get("evaluations", ()), key) for row in rows}
    if not any(curves.values()):
        return None
    with drawing(f"course-{key}"):
        fig, axes = new_figure(7.2, 3.2)
        shades = np.linspace(0.35, 1.0, max(1, len(rows)))
        for number, (name, means) in enumerate(curves.items()):
            style = {"color": ACCENT if number == 0 else CALM, "alpha": shades[number]}
            axes.plot(list(means), list(means.values()), "o-", ms=4, lw=1.5, **style)
            if means:
                last = list(means.items())[-1]
                axes.annotate(name, last, (6, 0), textcoords="offset points", color=INK, fontsize=8)
        axes.set_xlabel("generator steps")
        axes.set_ylabel(words)
        axes.grid(axis="y", alpha=0.15, color=INK)
        return to_svg(fig, f"{words} during training, one line for each variant.")


def _means(seeds: Sequence[Sequence[Mapping[str, Any]]], key: str) -> dict[int, float]:
    """Mean over the seeds at each step at which all of them were evaluated."""
    found = [{one["step"]: one[key] for one in seed if one.get(key) is not None} for seed in seeds]
    steps = sorted(set.intersection(*map(set, found))) if found else []
    return {step: float(np.mean([one[step] for one in found])) for step in steps}
