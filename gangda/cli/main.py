"""The command line: `gangda COMMAND`. Engines are imported inside the commands: --help and Tab stay fast."""

from typing import Annotated

import typer

from gangda import __version__
from gangda.cli.augment import augment
from gangda.cli.classify import classify
from gangda.cli.compare import compare
from gangda.cli.doctor import doctor
from gangda.cli.group import Group
from gangda.cli.options import register
from gangda.cli.sample import sample
from gangda.cli.score import score
from gangda.cli.train import train

app = typer.Typer(cls=Group, name="gangda", pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Does generative data augmentation help this classifier on this data, and how much of it?"""
    if version:
        print(f"gangda {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


register(app, train, ["data", "arch", "recipe", "budget", "runtime"], together=True)
register(app, sample, ["sample", "runtime"])
register(app, augment, ["data", "augment", "transforms", "classifier", "runtime"])
register(app, classify, ["data", "classifier", "transforms", "runtime"], without=["data.source"])
register(app, score, ["data", "score", "classifier", "runtime"])
register(app, compare, ["data", "compare", "arch", "recipe", "budget", "transforms", "classifier", "runtime"])
register(app, doctor, ["data", "arch", "runtime"])


def main() -> None:
    """Entry point of the `gangda` script."""
    app(prog_name="gangda")
