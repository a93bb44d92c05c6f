"""The HTML report of a comparison: one file, no network, from `comparison.json`'s content alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gangda.data.images import FloatArray
from gangda.report.page import environment
from gangda.report.pictures import arms_figure, contrasts_figure, decode_images, strip
from gangda.statistics.wording import bounds_text

MOST_CLASSES = 20  # beyond, matrices are no longer read but looked up: they are in comparison.json
BASE, AGAINST = "real", "generated+traditional"

TEMPLATE = "template.html"
RATIO_WORDS = {
    "add": "generated images added per real one",
    "replace": "share of each class that is generated in place of real",
    "balance": "generated images per real one, spent on the smallest classes first",
}


def render(document: Mapping[str, Any], pictures: Sequence[Mapping[str, Any]], config_yaml: str) -> str:
    """The page.

    Args:
        document: the content of `comparison.json`.
        pictures: of the first cells: shape, and per class base64 images, real and generated.
        config_yaml: the experiment's configuration.
    """
    template = environment().get_template(TEMPLATE)
    return str(template.render(**page_of(document, pictures, config_yaml)))


def page_of(
    document: Mapping[str, Any], pictures: Sequence[Mapping[str, Any]], config_yaml: str
) -> dict[str, Any]:
    """Everything the template names."""
    judged, cells, fixed = document["comparison"], document["cells"], document["plan"]["fixed"]
    arms = [{**arm, **row} for arm, row in zip(judged["arms"], document["arms"], strict=True)]
    primary = [contrast for contrast in judged["contrasts"] if contrast["primary"]]
    main = primary[0] if primary else None
    return {
        "document": document,
        "judged": judged,
        "fixed": fixed,
        "arms": arms,
        "main": main,
        "word": main["verdict"] if main else "no verdict",
        "bounds": bounds_text(judged["n"], judged["n_test"], judged["test_se"]),
        "data": fixed["data"]["source"],
        "counts": cells[0]["rows"],
        "shape": cells[0]["image_shape"],
        "seeds": [cell["seed"] for cell in cells],
        "arms_figure": arms_figure(judged["arms"]),
        "contrasts_figure": contrasts_figure(judged["contrasts"], judged["margin"]),
        "grids": [grid_of(pictures[index], cells[index]["seed"]) for index in range(len(pictures))],
        "recall": recall_table(cells, [arm["name"] for arm in arms]),
        "confusion": confusion_tables(cells),
        "generator": generator_row(cells),
        "ratio_words": RATIO_WORDS[fixed["compare"]["mode"]],
        "config_yaml": config_yaml,
    }


def grid_of(pictures: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Strips of real and generated images of each class."""
    shape = pictures["shape"]
    rows = [
        {
            "name": row["name"],
            "real": strip(decode_images(row["real"], shape)) if row["real"] else None,
            "generated": strip(decode_images(row["generated"], shape)) if row["generated"] else None,
        }
        for row in pictures["classes"]
    ]
    return {"seed": seed, "rows": rows}


def recall_table(cells: Sequence[Mapping[str, Any]], arms: Sequence[str]) -> dict[str, Any] | None:
    """Mean recall per class of each arm, and what it gains on the first arm; None with too many classes."""
    names = cells[0]["class_names"]
    if len(names) > MOST_CLASSES:
        return None
    means = {arm: _mean_recall(cells, arm) for arm in arms}
    base = means[arms[0]]
    scale = max(0.01, *(float(np.nanmax(np.abs(means[arm] - base))) for arm in arms))
    rows = [
        {
            "name": name,
            "values": [
                {
                    "recall": float(means[arm][k]),
                    "gain": float(means[arm][k] - base[k]),
                    **_shade(means[arm][k] - base[k], scale),
                }
                for arm in arms
            ],
        }
        for k, name in enumerate(names)
    ]
    return {"arms": list(arms), "rows": rows}


def _mean_recall(cells: Sequence[Mapping[str, Any]], arm: str) -> FloatArray:
    rows = np.array(
        [cell["arms"][arm]["test"]["recall"] for cell in cells], dtype=np.float64
    )  # None becomes NaN
    mean: FloatArray = rows.mean(axis=0)
    return mean


def confusion_tables(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Real-only's confusion (mean images per seed), and what changed with generated+traditional, where both ran."""
    names = cells[0]["class_names"]
    if len(names) > MOST_CLASSES or BASE not in cells[0]["arms"]:
        return []
    base = _mean_confusion(cells, BASE)
    tables = [_matrix("Real only: images per seed", names, base, signed=False)]
    if AGAINST in cells[0]["arms"]:
        change = _mean_confusion(cells, AGAINST) - base
        tables.append(_matrix("What changed with generated + traditional", names, change, signed=True))
    return tables


def _mean_confusion(cells: Sequence[Mapping[str, Any]], arm: str) -> FloatArray:
    mean: FloatArray = np.mean([cell["arms"][arm]["test"]["confusion"] for cell in cells], axis=0)
    return mean


def _matrix(title: str, names: Sequence[str], values: FloatArray, *, signed: bool) -> dict[str, Any]:
    """Cells with their text and shade. A gain is more on the diagonal and less off it."""
    off = values[~np.eye(len(values), dtype=bool)]
    scale = max(0.5, float(np.abs(values if signed else off).max(initial=0.0)))
    rows = []
    for true, name in enumerate(names):
        row = []
        for predicted, value in enumerate(values[true]):
            right = true == predicted
            good = float(value if right else -value)
            shade = _shade(good, scale) if signed or not right else {"tone": "none", "shade": 0}
            text = "" if abs(value) < 0.05 else f"{value:+.1f}" if signed else f"{value:.1f}"
            row.append({"text": text, "right": right, **shade})
        rows.append({"name": name, "cells": row})
    return {"title": title, "names": list(names), "rows": rows}


def _shade(gain: float, scale: float) -> dict[str, Any]:
    """Background of a table cell: tone good or bad, strength 0 to 60 per cent."""
    if np.isnan(gain) or abs(gain) < 1e-9:
        return {"tone": "none", "shade": 0}
    return {"tone": "good" if gain > 0 else "bad", "shade": round(60 * min(1.0, abs(gain) / scale))}


def generator_row(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The generators over the seeds, in means; None where no arm used one."""
    made = [cell["generator"] for cell in cells if cell["generator"]]
    if not made:
        return None
    seen = [cell["recognised"] for cell in cells if cell["recognised"]]
    return {
        "arch": made[0]["arch"],
        "steps": made[0]["steps"],
        "labels": made[0]["labels"]["made"],
        "train_seconds": float(np.mean([one["train_seconds"] for one in made])),
        "draw_seconds": float(np.mean([one["draw_seconds"] for one in made])),
        "recognised": float(np.mean([one["generated"] for one in seen])) if seen else None,
        "recognised_real": float(np.mean([one["real"] for one in seen])) if seen else None,
    }
