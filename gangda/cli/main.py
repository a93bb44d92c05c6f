"""The command line: `gangda COMMAND`. A command is imported when it is asked for, torch when it runs."""

import functools
import importlib
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from gangda import __version__, experiments
from gangda.cli.group import Command, Group
from gangda.config import catalog, hints, renamed
from gangda.config.commands import COMMANDS


class LazyGroup(Group):
    """Lists `COMMANDS` by their summaries, and builds only the one that is asked for."""

    suggest_commands = False  # `usage_message` does

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that the first of `args` names, with all its options."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else command(name), rest

    def usage_message(self, error: Any) -> str:
        """What the user may have meant: another command, flag or word (`config/hints.py`); else Typer's message."""
        text, context = error.format_message(), getattr(error, "ctx", None)
        for pattern, explain in MISTAKES:
            if context is not None and (found := pattern.match(text)):
                return explain(found[1], context)
        return super().usage_message(error)


def _no_command(word: str, context: Any) -> str:
    return f"no command is called '{word}': {hints.suggestion(word, COMMANDS)}see '{context.command_path} --help'"


def _no_flag(flag: str, context: Any) -> str:
    name = context.info_name
    if name not in COMMANDS:
        return f"no such option: {flag} (see '{context.command_path} --help')"
    flags = {each: [flag for param in command(each).params for flag in param.opts] for each in COMMANDS}
    return renamed.flag_message(flag, flags[name]) or hints.of_flag(flag, name, flags)


def _extra_word(word: str, context: Any) -> str:
    # The names that a flag takes; none for --data: any folder.
    run = [word] if (Path(word) / "run.json").is_file() else [""]
    names = {"--experiment": experiments.names(), "--arch": catalog.ARCHITECTURES, "--run": run, "--data": ()}
    flags = [flag for param in context.command.params for flag in param.opts]
    return hints.of_word(word, context.info_name, names, flags)


# How Typer's messages begin, and what is said instead.
MISTAKES: Sequence[tuple[re.Pattern[str], Callable[[str, Any], str]]] = (
    (re.compile(r"No such command '(.*?)'\."), _no_command),
    (re.compile(r"No such option: (\S+)"), _no_flag),
    (re.compile(r"Got unexpected extra argument\(s\) \((\S+?)[ )]"), _extra_word),
)


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
    app(prog_name="gangda", whole_process=True)


def prepare_streams() -> None:
    """Let stdout and stderr take any text: what their encoding lacks is escaped, and a closed one swallows it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
