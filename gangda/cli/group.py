"""Typer's classes with errors of one line, help as plain text, and fast completion. Nothing here knows a command."""

import contextlib
import errno
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn, TextIO

import typer
from typer.core import TyperCommand, TyperGroup

from gangda.errors import (
    GangdaError,
    InterruptedByUserError,
    RunError,
    StoppedError,
    UsageError,
    is_out_of_memory,
)
from gangda.runtime.launch import worker_rank
from gangda.runtime.signals import stop_request

# What to do when memory runs out, by the name of the parameter that a command must have for it.
SAVES_MEMORY = {
    "recipe_batch_size": "a smaller --batch-size",
    "classifier_classifier_batch": "a smaller --classifier-batch",
    "jobs": "fewer --jobs",
    "data_image_size": "a smaller --image-size",
}
RAISED_ON_ALL_RANKS = (UsageError, StoppedError, InterruptedByUserError)
INTERRUPTED = 130  # Typer's exit code after Ctrl-C
STOPPED = "stopped before it was done; run the same command again to go on"
ALL_OPTIONS = "--help-all"
COMPLETING = "_GANGDA_COMPLETE"  # set by the shells' completion functions


class Command(TyperCommand):
    """One subcommand."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The command's options and --help."""
        return deferred(super().get_params(ctx))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Examples and most used options (`ctx.obj`), or all under their headings.

        As plain text: importing rich takes longer than all the rest.
        """
        asked, rows = ctx.obj, self.help_rows(ctx)
        if asked.examples:
            with formatter.section(typer.style("Examples", bold=True)):
                formatter.write_dl(asked.examples)
        if asked.shown:
            options = [row for heading, panel in rows.items() if heading != "Arguments" for row in panel]
            by_flag = {typed.partition(" ")[0].partition("/")[0]: (typed, help) for typed, help in options}
            count, shown = len(options), [by_flag[flag] for flag in asked.shown]
            rows = {name: rows[name] for name in ("Arguments",) if name in rows}
            rows |= {"Most used options": shown, f"All {count} options": [by_flag[ALL_OPTIONS]]}
        for heading, panel in rows.items():
            with formatter.section(typer.style(heading, bold=True)):
                formatter.write_dl(panel)

    def help_rows(self, ctx: Any) -> dict[str, list[tuple[str, str]]]:
        """Each option as typed and its help, by heading."""
        rows: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                heading = "Arguments" if param.param_type_name == "argument" else "Options"
                typed, help = record
                rows.setdefault(param.rich_help_panel or heading, []).append(
                    (typed, help.replace("\\[", "["))
                )
        return rows

    def invoke(self, ctx: Any) -> Any:
        """Run the command; where memory runs out, the error names the options of this command that save some."""
        try:
            return super().invoke(ctx)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            own = {param.name for param in self.params}
            advice = ", or ".join(words for name, words in SAVES_MEMORY.items() if name in own)
            raise RunError(
                f"out of memory: use {advice or 'another machine, or free some memory'}"
            ) from error


class Group(TyperGroup):
    """Prints an error as one line on stderr and exits with its code, under a test runner too."""

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        *,
        standalone_mode: bool = True,
        whole_process: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Run; ends with the exit code unless `standalone_mode` is off, and with it the `whole_process`."""
        if COMPLETING in os.environ:
            # In a narrow terminal Typer wraps descriptions, and the shells take the lines for candidates.
            os.environ.setdefault("TERMINAL_WIDTH", "1000")
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **kwargs)
        try:
            with stop_request(last=whole_process) as stop, stop.at_once(STOPPED):
                code = super().main(args, standalone_mode=False, **kwargs) or 0
            if code == INTERRUPTED:
                print_error("interrupted", on_all_ranks=True)
        except GangdaError as error:
            code = error.exit_code
            print_error(str(error), on_all_ranks=isinstance(error, RAISED_ON_ALL_RANKS))
        except typer.TyperException as error:
            code = error.exit_code
            print_error(self.usage_message(error), on_all_ranks=True)
        if whole_process and os.environ.get("WORLD_SIZE", "1") != "1":
            _exit_rank(code)
        sys.exit(code)

    def usage_message(self, error: Any) -> str:
        """Typer's message, and which help to read."""
        context = getattr(error, "ctx", None)
        text: str = error.format_message()
        return text if context is None else f"{text} (see '{context.command_path} --help')"

    def get_params(self, ctx: Any) -> list[Any]:
        """Options before the subcommand."""
        return deferred(super().get_params(ctx))

    def invoke(self, ctx: Any) -> None:
        """Run the command; end without a message where the reader of stdout has gone (`| head`).

        Raises RunError: stdout cannot be written, as on a full disk.
        """
        try:
            super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _write_nowhere(sys.stdout, sys.stderr)
            raise typer.Exit(0) from None
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EIO, errno.EFBIG) or error.filename is not None:
                raise
            _write_nowhere(sys.stdout)
            raise RunError(
                f"standard output cannot be written ({error.strerror}); send it elsewhere"
            ) from None


def _write_nowhere(*streams: TextIO) -> None:
    """Discard what is still to be written, or Python's flush at exit fails, with a message."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())


class _Deferred:
    """Converts a parameter's value once there is one."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """None stays None (or an empty tuple), as in Typer; other values get the real conversion."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        param._runtime_param = None
        return param.get_runtime_param().coerce(value, param=param, ctx=ctx)


def _exit_rank(code: int) -> NoReturn:
    """End one of several ranks, whose work and files are finished, without finalising the interpreter.

    A thread of gloo that still lets go of a tensor would abort the process meanwhile (PyTorch's pull request 179291),
    and Slurm would call a finished training failed.
    """
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def deferred(params: list[Any]) -> list[Any]:
    """The same options, which import pydantic (0.1 s) only where they are typed, not for --help and completion."""
    for param in params:
        param._runtime_param = _Deferred()
    return params


def print_error(message: str, on_all_ranks: bool) -> None:
    """Print one line on stderr, wrapped on a terminal; nothing where it is empty: another rank has reported the error.

    What happens on all ranks is printed by rank 0 alone; other errors with the number of their rank.
    """
    rank = worker_rank(os.environ)
    if message and not (rank and on_all_ranks):
        words = f"gangda: {f'rank {rank}: ' if rank else ''}{' '.join(message.split())}"
        if sys.stderr.isatty():  # or the terminal breaks its lines inside words
            width = shutil.get_terminal_size().columns
            words = textwrap.fill(words, width, break_long_words=False, break_on_hyphens=False)
        print(words, file=sys.stderr, flush=True)
