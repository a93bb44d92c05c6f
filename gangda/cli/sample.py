"""`gangda sample`: draw images from a trained generator."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gangda.cli.options import Call
from gangda.cli.output import draw, number, say
from gangda.errors import UsageError

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
    if config.per_class is None and config.counts is None:
        raise UsageError("say how many samples: --per-class N, or --counts NAME=50,#3=200")
    from gangda.engines import sampling

    with call.terminal.reporter() as reporter:
        result = sampling.sample(
            run, config, call.settings.runtime, out, dry_run=call.dry_run, reporter=reporter
        )
    call.terminal.result(result.as_dict(), show_result)


def show_result(out: "Console", values: Mapping[str, Any]) -> None:
    """How many images of each class, and where they are."""
    counts = values["counts"]
    rows = [*((name, number(count)) for name, count in counts.items()), ("all", number(sum(counts.values())))]
    draw(out, "Would draw" if values.get("dry_run") else "Samples", ("class", "images"), rows)
    say(out, f"out: {values['out']}")
