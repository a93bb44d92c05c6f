"""`gangda augment`: add generated or transformed images to the real training images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from gangda import api
from gangda.cli.options import Call, run_folders
from gangda.cli.output import Screen, number, percent
from gangda.cli.sample import show_filtering

COLUMNS = {"have": "have (real)", "want": "want (all)", "make": "make (synthetic)", "keep": "keep (real)"}


def augment(
    call: Call,
    run: Annotated[
        Path | None,
        Option(help="run folder \\[default: the newest for this data]", autocompletion=run_folders),
    ] = None,
    samples: Annotated[
        Path | None, Option(help="take the generated images of this set in place of a run's")
    ] = None,
    out: Annotated[Path | None, Option(help="set folder \\[default: augmented/DATA-METHOD-HASH]")] = None,
) -> None:
    """Add synthetic images to the real training images; writes an augmented set."""
    call.run(api.augment, _show_result, run=run, samples=samples, out=out)


def _show_result(out: Screen, values: Mapping[str, Any]) -> None:
    chosen = values["chosen"]
    if chosen:
        _show_candidates(out, chosen)
    columns = COLUMNS
    if any(row["pseudo_labelled"] for row in values["plan"]):
        columns = {**columns, "pseudo_labelled": "pseudo-labelled"}
    rows = [(row["class"], *(number(row[key]) for key in columns)) for row in values["plan"]]
    sums = [number(sum(row[key] for row in values["plan"])) for key in columns]
    part, parts = values["shard"]
    title = "Would augment" if values["dry_run"] else "Augmented"
    title = title if parts == 1 else f"{title}, all of {parts} parts (this is part {part})"
    out.draw(title, ("class", *columns.values()), [*rows, ("all", *sums)])
    show_filtering(out, values)
    if chosen and chosen["sentence"]:
        out.say(chosen["sentence"])
    if values["samples"] is not None:
        out.say(f"generated images: {values['samples']}")
    if values["run"] is not None:
        out.say(f"generator: {values['run']}")
    out.say(f"{'would write' if values['dry_run'] else 'augmented set'}: {values['out']}")


def _show_candidates(out: Screen, chosen: Mapping[str, Any]) -> None:
    picked = (chosen["ratio"], chosen["filter"])
    rows = []
    for row in chosen["candidates"]:
        filters, ratio = ",".join(row["filter"]) or "none", row["ratio"]
        note = "chosen" if (ratio, row["filter"]) == picked else row["reason"]
        shown = "-" if ratio is None else f"{ratio:g}"
        rows.append((filters, shown, number(row["made"]), percent(row["validation"], 2), note))
    title = f"Candidates on {number(chosen['validation_images'])} validation images"
    out.draw(title, ("filter", chosen["by"], "make (synthetic)", chosen["score"], ""), rows)
