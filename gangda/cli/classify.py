"""`gangda classify`: train a classifier on a set and test it on held-out real images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gangda.cli.options import Call
from gangda.cli.output import draw, number, percent, say

if TYPE_CHECKING:
    from rich.console import Console

MEASURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "train_accuracy": "accuracy on its own training images",
}
WIDEST_MATRIX = 12  # classes whose confusion matrix fits a terminal


def classify(
    call: Call,
    set_path: Annotated[
        str,
        typer.Argument(
            metavar="SET", help="augmented set, sample set, or data as for --data of other commands"
        ),
    ],
    test: Annotated[
        str | None,
        typer.Option("--test", help="test images \\[default: the held-out split of the set's own data]"),
    ] = None,
    transforms: Annotated[
        bool, typer.Option("--transforms", help="apply the traditional transforms, drawn anew for each batch")
    ] = False,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, help="training runs, each with its own seed")
    ] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", help="folder of the result \\[default: classifications/SET-HASH]")
    ] = None,
) -> None:
    """Train a classifier on SET and test it on held-out real images."""
    from gangda import classifying

    settings = call.settings
    with call.terminal.reporter() as reporter:
        result = classifying.classify(
            set_path,
            test,
            settings.data,
            settings.classifier,
            settings.transforms if transforms else None,
            repeats,
            settings.runtime,
            out,
            dry_run=call.dry_run,
            reporter=reporter,
        )
    call.terminal.result(result.as_dict(), show_result)


def show_result(out: "Console", values: Mapping[str, Any]) -> None:
    """Accuracies, recall of each class, and the confusion matrix."""
    sizes = f"{number(values['n_train'])} images, {number(values['steps'])} steps"
    tested = f"{number(values['n_test'])} test images"
    if values["dry_run"]:
        say(out, f"would train on {values['set']} ({sizes}) and test on {values['test']} ({tested})")
        say(out, f"would write: {values['out']}")
        return
    spread, names = values["spread"], values["class_names"]
    rows = [(words, percent(values[name]), percent(spread[name])) for name, words in MEASURES.items()]
    draw(out, f"Trained on {sizes}; {tested}", ("", "mean", f"sd over {len(values['runs'])}"), rows)
    recalls = zip(names, map(percent, values["recall"]), map(number, values["test_counts"]), strict=True)
    draw(out, "Recall by class", ("class", "recall", "test images"), recalls)
    show_confusion(out, names, values["confusion"])
    for note in values["notes"]:
        say(out, note)
    say(out, f"result: {values['out']}")


def show_confusion(out: "Console", names: Sequence[str], confusion: Sequence[Sequence[int]]) -> None:
    """The confusion matrix of up to `WIDEST_MATRIX` classes; the figure and the JSON have it in any case."""
    if len(names) > WIDEST_MATRIX:
        return
    heads = [f"#{index}" for index in range(len(names))]
    rows = [(f"#{index} {name}", *confusion[index]) for index, name in enumerate(names)]
    draw(out, "Confusion (rows: true class, columns: predicted)", ("", *heads), rows)
