"""`gangda sample`: draw images from a trained generator."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gangda.cli.filtering import show_filtering
from gangda.cli.options import Call
from gangda.cli.output import draw, number, percent, say

if TYPE_CHECKING:
    from rich.console import Console


def sample(
    call: Call,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="run folder that `gangda train` wrote")],
    out: Annotated[
        Path | None, typer.Option("--out", help="folder of the sample set \\[default: samples/RUN-HASH]")
    ] = None,
) -> None:
    """Draw class-labelled samples from a trained generator; writes a sample set."""
    config = call.settings.sample
    from gangda import sampling

    with call.terminal.reporter() as reporter:
        result = sampling.sample(
            run,
            config,
            call.settings.runtime,
            out,
            sampler=call.settings.sampler,
            dry_run=call.dry_run,
            reporter=reporter,
        )
    call.terminal.result(result.as_dict(), show_result)


def show_result(out: "Console", values: Mapping[str, Any]) -> None:
    """How many images of each class, and where they are."""
    counts, sorting = values["counts"], values["sorting"]
    columns = ("class", "images", *(("acceptance", "agreement") if sorting else ()))
    rows = [(name, number(count), *sorting_cells(sorting, name)) for name, count in counts.items()]
    part, parts = values["shard"]
    title = "Would draw" if values["dry_run"] else "Samples"
    draw(out, title if parts == 1 else f"{title}, part {part} of {parts}", columns, rows)
    verb = "would write" if values["dry_run"] else "sample set"
    show_filtering(out, values)
    say(out, f"{verb}: {values['out']} ({number(sum(counts.values()))} images, {values['format']})")


def sorting_cells(sorting: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Shares of the drawn images that the labeler accepted as this class, and that the verifier agreed on."""
    shares = sorting.get(name)
    return (percent(shares["acceptance"]), percent(shares["agreement"])) if shares else ()
