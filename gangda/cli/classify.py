"""`gangda classify`: train a classifier on a set and test it on held-out real images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from gangda import api
from gangda.cli.options import Call
from gangda.cli.output import Screen, number, percent

MEASURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "train_accuracy": "accuracy on its own training images",
}
WIDEST_MATRIX = 12  # classes whose confusion matrix fits a terminal


def classify(
    call: Call,
    set_path: Annotated[str, Argument(metavar="SET", help="augmented set, sample set, or what --data takes")],
    test: Annotated[str | None, Option(help="test images \\[default: the set's held-out split]")] = None,
    transforms: Annotated[
        bool, Option("--transforms", help="apply the traditional transforms to each batch")
    ] = False,
    repeats: Annotated[int, Option(min=1, help="training runs with different seeds")] = 1,
    out: Annotated[Path | None, Option(help="result folder \\[default: classifications/SET-HASH]")] = None,
) -> None:
    """Train a classifier on SET and test it on held-out real images."""
    call.run(api.classify, _show_result, set_path, test=test, transforms=transforms, repeats=repeats, out=out)


def _show_result(out: Screen, values: Mapping[str, Any]) -> None:
    sizes = f"{number(values['n_train'])} images, {number(values['steps'])} steps"
    tested = f"{number(values['n_test'])} test images"
    if values["dry_run"]:
        what = f"would train on {values['set']} ({sizes}) and test on {values['test']} ({tested})"
        out.say(what, f"would write: {values['out']}")
        return
    spread, names = values["spread"], values["class_names"]
    rows = [(words, percent(values[name]), percent(spread[name])) for name, words in MEASURES.items()]
    out.draw(f"Trained on {sizes}; {tested}", ("", "mean", f"sd over {len(values['runs'])}"), rows)
    recalls = zip(names, map(percent, values["recall"]), map(number, values["test_counts"]), strict=True)
    out.draw("Recall by class", ("class", "recall", "test images"), recalls)
    if len(names) <= WIDEST_MATRIX:
        heads = [f"#{index}" for index in range(len(names))]
        rows = [(f"#{index} {name}", *values["confusion"][index]) for index, name in enumerate(names)]
        out.draw("Confusion (rows: true class, columns: predicted)", ("", *heads), rows)
    out.say(*values["notes"], f"result: {values['out']}")
