"""`gangda classify`: train a classifier on a set and test it on held-out real images."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gangda.cli.options import Call
from gangda.cli.output import draw, percent, say

if TYPE_CHECKING:
    from rich.console import Console


def classify(
    call: Call,
    set_path: Annotated[
        str,
        typer.Argument(metavar="SET", help="an augmented or sample set, or anything --data takes elsewhere"),
    ],
    test: Annotated[
        str | None,
        typer.Option("--test", help="test images \\[default: the held-out split of the set's own data]"),
    ] = None,
    transforms: Annotated[
        bool, typer.Option("--transforms", help="with the traditional transforms, drawn anew for each batch")
    ] = False,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, help="training runs, each with its own seed")
    ] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", help="folder of the result \\[default: classifications/SET-HASH]")
    ] = None,
) -> None:
    """Train a classifier on SET and test it on held-out real images."""
    from gangda.engines import classifying

    chosen = call.settings
    with call.terminal.reporter() as reporter:
        result = classifying.classify(
            set_path,
            test,
            chosen.data,
            chosen.classifier,
            chosen.transforms if transforms else None,
            repeats,
            chosen.runtime,
            out,
            dry_run=call.dry_run,
            reporter=reporter,
        )
    call.terminal.result(result.as_dict(), show_result)


def show_result(out: "Console", values: Mapping[str, Any]) -> None:
    """Accuracies, recall of each class, and the confusion matrix."""
    draw(out, "", ("", ""), [(str(key), percent(value)) for key, value in values.items()])
    say(out, f"out: {values['out']}")
