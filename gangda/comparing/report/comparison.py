"""The HTML report of a comparison: one file, no network, from `comparison.json`'s content alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from gangda.comparing.report.courses import ratio_figure, trainings
from gangda.comparing.report.exchange import exchange_figure
from gangda.comparing.report.filtering import filter_rows
from gangda.comparing.report.pictures import DECIDED, arms_figure, contrasts_figure
from gangda.comparing.report.sheets import grids
from gangda.comparing.report.tables import (
    added_table,
    confusion_tables,
    cost_rows,
    generator_row,
    recall_table,
)
from gangda.report.page import environment
from gangda.statistics.wording import bounds_text

TEMPLATE = "template.html"
RATIO_WORDS = {
    "add": "generated images added per real one",
    "replace": "share of each class that is generated in place of real",
    "balance": "generated images per real one, spent on the smallest classes first",
}
# Sections in their order: anchor, title, and the value of the page without which there is none.
SECTIONS = (
    ("arms", "Arms", "arms"),
    ("differences", "Differences", "judged"),
    ("tuned", "With steps chosen for each arm", "tuned"),
    ("calibration", "Is the judge to be trusted?", "calibration"),
    ("exchange", "What added images are worth", "exchange"),
    ("ratios", "Ratios", "ratios"),
    ("filters", "Filters", "filters"),
    ("recall", "Recall per class", "recall"),
    ("confusion", "Confusion", "confusion"),
    ("images", "Real and generated images", "grids"),
    ("training", "How the generators were trained", "trainings"),
    ("memory", "Nearest training images", "nearest"),
    ("cost", "What it cost", "arms"),
    ("method", "How it was done", "arms"),
    ("again", "Make it again", "arms"),
    ("limits", "Limits and intended use", "arms"),
)


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
    page = {
        **_found(document),
        **_looked_at(document, pictures),
        "document": document,
        "ratio_words": RATIO_WORDS[document["plan"]["fixed"]["compare"]["mode"]],
        "config_yaml": config_yaml,
    }
    return {**page, "contents": [(anchor, title) for anchor, title, needs in SECTIONS if page[needs]]}


def _found(document: Mapping[str, Any]) -> dict[str, Any]:
    """What was judged: arms, differences, the verdict in a word."""
    judged, cells, fixed = document["comparison"], document["cells"], document["plan"]["fixed"]
    arms = [{**arm, **row} for arm, row in zip(judged["arms"], document["arms"], strict=True)]
    main = next((contrast for contrast in judged["contrasts"] if contrast["primary"]), None)
    names, counts = cells[0]["class_names"], cells[0]["rows"]
    return {
        "judged": judged,
        "fixed": fixed,
        "arms": arms,
        "main": main,
        "word": word_of(main, document.get("second")),
        "bounds": bounds_text(
            judged["n"], judged["n_test"], judged["test_se"], judged["resolution"], judged["score"]
        ),
        "data": fixed["data"]["source"],
        "counts": counts,
        "shape": cells[0]["image_shape"],
        "seeds": [cell["seed"] for cell in cells],
        "second": document.get("second"),
        "tuned": document.get("tuned"),
        "calibration": document.get("calibration", []),
        "exchange": document.get("exchange"),
        "added": added_table(arms, names, counts["train"]["per_class"]),
        "costs": cost_rows(arms, cells, fixed["classifier"]["classifier_batch"]),
        "filters": filter_rows(cells),
        "recall": recall_table(cells, [arm["name"] for arm in arms]),
        "confusion": confusion_tables(cells),
        "generator": generator_row(cells),
    }


def _looked_at(document: Mapping[str, Any], pictures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Figures and images."""
    judged, cells = document["comparison"], document["cells"]
    exchange = document.get("exchange")
    seen = grids(pictures, [cell["seed"] for cell in cells])
    ratios = ratio_figure(cells, [arm["name"] for arm in judged["arms"]], judged["score"])
    return {
        "arms_figure": arms_figure(judged["arms"], judged["score"]),
        "contrasts_figure": contrasts_figure(judged["contrasts"], judged["margin"], judged["score"]),
        "exchange_figure": exchange_figure(exchange, judged["score"])
        if exchange and exchange["worth"]
        else None,
        "ratios": ratios or any(len(set(arm["ratios"] or ())) > 1 for arm in document["arms"]),
        "ratio_figure": ratios,
        "grids": seen,
        "nearest": any(grid["nearest"] for grid in seen),
        "trainings": trainings(cells),
    }


def word_of(main: Mapping[str, Any] | None, second: Mapping[str, Any] | None) -> str:
    """The verdict in a few words. A second classifier of another sign takes a decided one back."""
    if main is None:
        return "no verdict"
    verdict = str(main["verdict"])
    if second is None or second["agrees"] or not verdict.startswith(DECIDED):
        return verdict
    return f"{verdict}, but not with {second['classifier']}"
