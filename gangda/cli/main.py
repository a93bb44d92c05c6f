"""The command line: `gangda COMMAND`. A command is imported when it is asked for, torch when it runs."""

import functools
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from gangda import __version__
from gangda.cli.group import Command, Group


@dataclass(frozen=True)
class Subcommand:
    """What the list of commands says of one, and which options it has.

    `summary` is the first line of its docstring; the other fields are arguments of `options.register`.
    """

    summary: str
    sections: tuple[str, ...]
    without: tuple[str, ...] = ()
    together: bool = False


COMMANDS: Mapping[str, Subcommand] = {
    "train": Subcommand(
        "Train a generator on real images; writes a run folder.",
        ("data", "arch", "recipe", "method", "budget", "runtime"),
        together=True,
    ),
    "sample": Subcommand(
        "Draw class-labelled samples from a trained generator; writes a sample set.",
        ("sample", "sampler", "runtime"),
    ),
    "augment": Subcommand(
        "Add synthetic images to the real training images; writes an augmented set.",
        ("data", "augment", "sampler", "transforms", "classifier", "runtime"),
    ),
    "classify": Subcommand(
        "Train a classifier on SET and test it on held-out real images.",
        ("data", "classifier", "transforms", "runtime"),
        without=("data.source",),
    ),
    "score": Subcommand(
        "Compare samples with held-out real images; each metric is shown beside its value for real images.",
        ("data", "score", "classifier", "runtime"),
    ),
    "compare": Subcommand(
        "Does generated data help, and how much? Paired seeds, a verdict and an HTML report.",
        (
            "data",
            "compare",
            "arch",
            "recipe",
            "method",
            "budget",
            "sampler",
            "transforms",
            "classifier",
            "runtime",
        ),
    ),
    "doctor": Subcommand(
        "Show what is installed and found here, what would be chosen, and why; with --data, what is in it.",
        ("data", "arch", "runtime"),
    ),
}


class LazyGroup(Group):
    """Lists `COMMANDS` by their summaries, and builds only the one that is asked for."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that the first of `args` names, with all its options."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else command(name), rest


@functools.cache
def command(name: str) -> Command:
    """A command with all its options."""
    from gangda.cli.options import register

    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    body, known = getattr(importlib.import_module(f"gangda.cli.{name}"), name), COMMANDS[name]
    register(alone, body, known.sections, known.without, known.together)
    built: Any = typer.main.get_command(alone)
    return built  # type: ignore[no-any-return]


app = typer.Typer(
    cls=LazyGroup,
    name="gangda",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 120},
)


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


for name, subcommand in COMMANDS.items():
    app.command(name, short_help=subcommand.summary)(lambda: None)


def main() -> None:
    """Entry point of the `gangda` script."""
    app(prog_name="gangda")
