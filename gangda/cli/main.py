"""The command line: `gangda COMMAND`. A command is imported when it is asked for, torch when it runs."""

import functools
import importlib
import io
import os
import sys
from typing import Annotated, Any

import typer

from gangda import __version__
from gangda.cli.group import Command, Group
from gangda.config.commands import COMMANDS


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
    register(alone, getattr(importlib.import_module(f"gangda.cli.{name}"), name), COMMANDS[name])
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
    prepare_streams()
    app(prog_name="gangda")


def prepare_streams() -> None:
    """Let stdout and stderr take any text: what their encoding lacks is escaped, and a closed one swallows it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
