"""`gangda score`: compare samples with held-out real images."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gangda.cli.options import Call
from gangda.cli.output import draw, interval, number, say

if TYPE_CHECKING:
    from rich.console import Console


def score(
    call: Call,
    samples: Annotated[
        Path, typer.Argument(metavar="SAMPLES", help="sample set, augmented set or class folders")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="folder of the result \\[default: scores/SAMPLES-HASH]")
    ] = None,
) -> None:
    """Compare samples with held-out real images, metric by metric, each beside its real-versus-real floor.

    Without --data, with the images that the sample set says it was made from; --image-size and the like count
    for those too.
    """
    from gangda.engines import scoring

    chosen = call.settings
    with call.terminal.reporter() as reporter:
        result = scoring.score(
            samples,
            None if chosen.origins["data.source"] == "default" else chosen.data,
            chosen.classifier,
            chosen.runtime,
            out,
            metrics=chosen.score.metrics,
            changed=chosen.changed("data"),
            dry_run=call.dry_run,
            reporter=reporter,
        )
    call.terminal.result(result.as_dict(), show_result)


def show_result(out: "Console", values: Mapping[str, Any]) -> None:
    """One line for each metric, beside the same number for real images; then what a reader must know."""
    sizes = ", ".join(f"{number(count)} {name}" for name, count in values["n"].items())
    if values["dry_run"]:
        say(out, f"would compare {values['samples']} with held-out real images ({sizes})")
        say(out, f"would write: {values['out']}")
        return
    rows = [
        (row["name"], number(row["value"]), number(row["floor"]), interval(row["interval"]), row["direction"])
        for row in values["metrics"]
    ]
    draw(out, f"Scores ({sizes})", ("metric", "value", "real vs real", "95% interval", "better"), rows)
    for row in values["metrics"]:
        if row["note"]:
            say(out, f"{row['name']}: {row['note']}")
    for note in values["notes"]:
        say(out, note)
    say(out, f"scores: {values['out']}")
