"""`gangda augment`: add generated or transformed images to the real training images."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from gangda import api
from gangda.cli.options import Call
from gangda.cli.output import draw, number, percent, say
from gangda.cli.sample import show_filtering

if TYPE_CHECKING:
    from rich.console import Console


def augment(
    call: Call,
    run: Annotated[Path | None, Option(help="run folder \\[default: the newest for this data]")] = None,
    out: Annotated[Path | None, Option(help="set folder \\[default: augmented/DATA-METHOD-HASH]")] = None,
) -> None:
    """Add synthetic images to the real training images; writes an augmented set."""
    call.run(api.augment, _show_result, run=run, out=out)


def _show_result(out: "Console", values: Mapping[str, Any]) -> None:
    """The plan per class, how it was chosen, and where the set is."""
    chosen = values["chosen"]
    if chosen:
        _show_candidates(out, chosen)
    keys = ("have", "want", "make", "keep")
    rows = [(row["class"], *(number(row[key]) for key in keys)) for row in values["plan"]]
    sums = [number(sum(row[key] for row in values["plan"])) for key in keys]
    title = "Would augment" if values["dry_run"] else "Augmented"
    columns = ("class", "have (real)", "want (all)", "make (synthetic)", "keep (real)")
    draw(out, title, columns, [*rows, ("all", *sums)])
    show_filtering(out, values)
    if chosen and chosen["sentence"]:
        say(out, chosen["sentence"])
    if values["run"] is not None:
        say(out, f"generator: {values['run']}")
    say(out, f"{'would write' if values['dry_run'] else 'augmented set'}: {values['out']}")


def _show_candidates(out: "Console", chosen: Mapping[str, Any]) -> None:
    picked = (chosen["ratio"], chosen["filter"])
    rows = [
        (
            ",".join(row["filter"]) or "none",
            "-" if row["ratio"] is None else f"{row['ratio']:g}",
            number(row["made"]),
            percent(row["validation"], 2),
            "chosen" if (row["ratio"], row["filter"]) == picked else row["reason"],
        )
        for row in chosen["candidates"]
    ]
    title = f"Candidates on {number(chosen['validation_images'])} validation images"
    draw(out, title, ("filter", "ratio", "make (synthetic)", chosen["score"], ""), rows)
