"""`gangda score --rating-page` and `--ratings`: rating samples by eye."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gangda.cli.options import Call
from gangda.cli.output import draw, number, percent, say

if TYPE_CHECKING:
    from rich.console import Console


def write_page(call: Call, samples: Sequence[Path], page: Path) -> None:
    """Write the page that raters open."""
    from gangda.scoring.rating_page import make_page

    settings = call.settings
    result = make_page(
        samples,
        settings.given_data,
        settings.runtime,
        page,
        images=settings.score.rating_images,
        changed=settings.changed("data"),
        dry_run=call.dry_run,
    )
    call.terminal.result(asdict(result), show_page)


def evaluate(call: Call, files: Sequence[Path]) -> None:
    """Evaluate the files of raters."""
    from gangda.scoring.ratings import summarise_ratings

    call.terminal.result(asdict(summarise_ratings(files)), show_ratings)


def show_page(out: "Console", values: Mapping[str, Any]) -> None:
    """The number of images of each set, and what to do next."""
    draw(out, "Images to rate", ("set", "images"), [(one["name"], one["images"]) for one in values["sets"]])
    if values["dry_run"]:
        say(out, f"would write: {values['page']}")
        return
    say(out, f"page: {values['page']} (open it in a browser; no network is needed)")
    say(out, "then: gangda score --ratings FILE, with the CSV that it downloads")


def show_ratings(out: "Console", values: Mapping[str, Any]) -> None:
    """Ratings of each set, correct labels by class, agreement with the automatic scores, and notes."""
    files = len(values["files"])
    rows = [
        (
            row["name"],
            number(row["mean"], 2),
            number(row["sd"], 2),
            row["n"],
            percent(row["right"]) if row["labels"] else "-",
            row["labels"],
        )
        for row in values["sets"]
    ]
    columns = ("set", "mean of 10", "sd", "n", "label right", "labels")
    draw(out, f"Ratings of {files} rater{'s' if files != 1 else ''}", columns, rows)
    if values["classes"]:
        classes = [(row["name"], percent(row["right"]), row["labels"]) for row in values["classes"]]
        draw(out, "Labels judged right, without real images", ("class", "right", "labels"), classes)
    if values["agreement"]:
        ranks = [
            (row["metric"], number(row["spearman"], 2), row["better"], row["n"])
            for row in values["agreement"]
        ]
        head = ("metric", "Spearman with the mean rating", "better", "sets")
        draw(out, "Agreement with automatic scores", head, ranks)
    for note in values["notes"]:
        say(out, note)
