"""Typer's classes, made to fail in one line and to answer Tab quickly. Nothing here knows a command."""

import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from gangda.config import renamed
from gangda.errors import (
    GangdaError,
    InterruptedByUserError,
    RunError,
    StoppedError,
    UsageError,
    is_out_of_memory,
)
from gangda.runtime.launch import later_rank
from gangda.runtime.signals import stop_request

# What takes less memory, for the commands that have such an option: its parameter, and the advice.
SAVING = {
    "recipe_batch_size": "a smaller --batch-size",
    "classifier_classifier_batch": "a smaller --classifier-batch",
    "jobs": "fewer --jobs",
    "data_image_size": "a smaller --image-size",
}
EVERYWHERE = (UsageError, StoppedError, InterruptedByUserError)  # what all processes of a command meet alike
INTERRUPTED = 130  # what Typer makes of Ctrl-C
STOPPED = "stopped before it was done; run the same command again to go on"
COMPLETING = "_GANGDA_COMPLETE"  # set by the shells' completion functions


class Command(TyperCommand):
    """One subcommand."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Own options and --help."""
        return deferred(super().get_params(ctx))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Options under their headings, as plain text: importing rich takes longer than all the rest."""
        for heading, rows in self.help_rows(ctx).items():
            with formatter.section(typer.style(heading, bold=True)):
                formatter.write_dl(rows)

    def help_rows(self, ctx: Any) -> dict[str, list[tuple[str, str]]]:
        """Each option as typed and its help, under the heading of its panel."""
        rows: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                plain = "Arguments" if param.param_type_name == "argument" else "Options"
                panel = rows.setdefault(param.rich_help_panel or plain, [])
                panel.append((record[0], record[1].replace("\\[", "[")))
        return rows

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            RunError: out of memory; the message names the options of this command that save some.
        """
        try:
            return super().invoke(ctx)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise RunError(f"out of memory: use {self._less_memory()}") from error

    def _less_memory(self) -> str:
        own = {param.name for param in self.params}
        advice = [words for name, words in SAVING.items() if name in own]
        return ", or ".join(advice) or "another machine, or free some memory there"


class Group(TyperGroup):
    """Turns what goes wrong into one line on stderr and an exit code, also under a test runner."""

    def main(self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **kwargs: Any) -> Any:  # type: ignore[override]
        """Run; ends the process with the exit code unless `standalone_mode` is off."""
        if COMPLETING in os.environ:
            # Or Typer folds descriptions into bogus candidates.
            os.environ.setdefault("TERMINAL_WIDTH", "1000")
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **kwargs)
        try:
            with stop_request() as stop, stop.at_once(STOPPED):
                code = super().main(args, standalone_mode=False, **kwargs) or 0
            if code == INTERRUPTED:
                complain("interrupted", code, everywhere=True)
        except GangdaError as error:
            code = complain(str(error), error.exit_code, everywhere=isinstance(error, EVERYWHERE))
        except typer.TyperException as error:
            code = complain(_usage_message(error), error.exit_code, everywhere=True)
        sys.exit(code)

    def get_params(self, ctx: Any) -> list[Any]:
        """Options before the subcommand."""
        return deferred(super().get_params(ctx))

    def invoke(self, ctx: Any) -> None:
        """Run the command; a reader that has gone away (`| head`) ends it without a word."""
        try:
            super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            silence_streams()
            raise typer.Exit(0) from None  # the work is done; the reader had enough


class _Deferred:
    """Stands for a parameter's type conversion until there is a value to convert."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """None stays None (or an empty tuple), as in Typer; a value meets the real conversion."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        param._runtime_param = None
        return param.get_runtime_param().coerce(value, param=param, ctx=ctx)


def deferred(params: list[Any]) -> list[Any]:
    """The same options, no longer importing pydantic (0.1 s at each --help and Tab) unless typed."""
    for param in params:
        param._runtime_param = _Deferred()
    return params


def complain(message: str, code: int, everywhere: bool = False) -> int:
    """Print one line on stderr and return the exit code.

    Of several processes that train together only the first says what all of them meet `everywhere`; of anything else
    each says which one it is. An empty message says that another one has spoken.
    """
    rank = later_rank(os.environ)
    if message and not (rank and everywhere):
        words = " ".join(message.split())
        print(f"gangda: rank {rank}: {words}" if rank else f"gangda: {words}", file=sys.stderr, flush=True)
    return code


def silence_streams() -> None:
    """Point stdout and stderr at nothing, so that Python's flush at exit does not complain of a pipe."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def _usage_message(error: typer.TyperException) -> str:
    """The new name of an option that was renamed, or Typer's message and which help to read."""
    context = getattr(error, "ctx", None)
    if context is None:
        return error.format_message()
    flags = [flag for param in context.command.params for flag in param.opts]
    outdated = renamed.flag_message(getattr(error, "option_name", None) or "", flags)
    return outdated or f"{error.format_message()} (see '{context.command_path} --help')"
