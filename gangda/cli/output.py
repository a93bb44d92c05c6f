"""Results on stdout (tables, or one JSON document); progress and messages on stderr."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gangda.runtime.launch import worker_rank
from gangda.runtime.progress import Reporter, TimeLeft, duration, share_text, sparkline
from gangda.runtime.signals import announced_stops

if TYPE_CHECKING:  # importing rich takes longer than --help and completion do
    from rich.console import Console
    from rich.progress import Progress, TaskID
    from rich.table import Table

__all__ = ["Render", "Reporter", "Screen", "Terminal", "duration", "interval", "number", "percent", "points"]

TONES: Mapping[str, str] = {  # how a text begins -> its colour, where the terminal has any
    "ALARM": "bold red",
    "FAILED": "bold red",
    "better": "green",
    "worse": "red",
    "equivalent": "cyan",
    "inconclusive": "yellow",
    "underpowered": "yellow",
    "pass": "green",
    "not measured": "yellow",
    "What to do now": "bold",
}
LINE_EVERY = 20.0  # seconds between progress lines where there is no terminal
REDIRECTED_WIDTH = 120
RESULT_VERSION = 1  # of `result.schema.json`: raised when a key goes or changes its meaning
FIELDS = ("share", "info", "curve", "left")  # of a task's bar
NO_FIELDS: dict[str, Any] = dict.fromkeys(FIELDS, "")


def tone_of(text: str) -> str:
    """The colour of a cell or sentence, also after "NAME: "; empty for none. It repeats what the words say."""
    alarm = "ALARM" if ": ALARM" in text else text
    return next((style for begins, style in TONES.items() if alarm.startswith(begins)), "")


class Screen:
    """Tables and sentences on stdout."""

    def __init__(self, console: "Console") -> None:
        self._console = console

    @property
    def draws_blocks(self) -> bool:
        """Whether this is a terminal that has the characters of `sparkline`."""
        return self._console.is_terminal and "utf" in self._console.encoding.lower()

    def draw(
        self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, left: int = 1
    ) -> None:
        """Print a table, unless it has no rows; the first `left` columns are left-aligned. Empty names: no head."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        cells, heads = [[str(cell) for cell in row] for row in rows], [str(column) for column in columns]
        if not cells:
            return
        head = any(heads)
        style = box.SIMPLE_HEAD if head else None
        table = Table(title=Text(title, style="bold"), title_justify="left", box=style, show_header=head)
        for position, column in enumerate(heads):
            table.add_column(Text(column), justify="left" if position < left else "right")
        for row in cells:
            table.add_row(*(Text(cell, style=tone_of(cell)) for cell in row))
        if self._fits(table, [[head, *column] for head, *column in zip(heads, *cells, strict=True)]):
            self._console.print(table)
        else:
            self._draw_records(title, heads, cells)
        self._console.print()

    def _fits(self, table: "Table", columns: Sequence[Sequence[str]]) -> bool:
        """Whether the table fits without a broken word; its widest column is made as narrow as need be."""
        from rich.measure import Measurement

        natural = Measurement.get(
            self._console, self._console.options.update(max_width=10_000), table
        ).maximum
        if natural <= self._console.width:
            return True
        widths = [max(map(len, column)) for column in columns]
        widest = max(range(len(widths)), key=widths.__getitem__)
        room = self._console.width - (natural - widths[widest])
        for position, column in enumerate(table.columns):
            column.no_wrap = position != widest
        table.columns[widest].width = room
        return room >= max(len(word) for text in columns[widest] for word in text.split() or [""])

    def _draw_records(self, title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A wide table in a narrow terminal: a paragraph for each row."""
        from rich.padding import Padding
        from rich.text import Text

        self._console.print(Text(title, style="bold"))
        for first, *rest in rows:
            self._console.print(Text(f"  {first}"))
            pairs = [
                Text(f"{head} {cell}" if head else cell, style=tone_of(cell))
                for head, cell in zip(heads[1:], rest, strict=True)
            ]
            self._console.print(Padding(Text("; ").join(pairs), (0, 0, 0, 4)))

    def say(self, *sentences: str) -> None:
        """Print sentences, each on a line of its own, without markup and highlighting."""
        for text in sentences:
            # On a terminal lines end between words; a command to type stays in one piece, for copying.
            whole = not self._console.is_terminal or text.startswith("  ")
            style = tone_of(text) or None
            self._console.print(text, markup=False, highlight=False, soft_wrap=whole, style=style)


Render = Callable[[Screen, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Terminal:
    """How a command prints: `json` prints one document of `result.schema.json`, `quiet` silences stderr."""

    json: bool = False
    quiet: bool = False
    command: str = ""  # named in the document

    def result(self, values: Mapping[str, Any], render: Render) -> None:
        """Print a result as JSON, or by `render`."""
        if self.json:
            head = {"format_version": RESULT_VERSION, "subcommand": self.command}
            text = json.dumps({**head, **values}, default=str)
            finite = json.loads(text, parse_constant=lambda _: None)  # JSON has no NaN and no infinity
            print(json.dumps(finite, indent=2, allow_nan=False), flush=True)
        else:
            from rich.console import Console

            class Tables(Console):
                def on_broken_pipe(self) -> None:
                    # Called where that is handled; Rich would exit with 1. `Group.invoke` knows that it is no failure.
                    raise

            width = None if sys.stdout.isatty() else REDIRECTED_WIDTH
            render(Screen(Tables(width=width, highlight=False)), values)
            sys.stdout.flush()

    @contextmanager
    def reporter(self, remark: str = "") -> Iterator[Reporter]:
        """A reporter of progress: bars on a terminal, plain lines elsewhere, nothing when quiet.

        `remark`: printed before the first bar or line of progress, if there is any.
        """
        if self.quiet:
            yield Reporter()
            return
        with announced_stops(_say_stopping):
            yield from self._shown_reporter(remark)

    def _shown_reporter(self, remark: str) -> Iterator[Reporter]:
        if sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            # Bar, how much is done, the task's own information (images/s), a small picture of the loss, time left.
            with progress.Progress(
                progress.TextColumn("{task.description}", markup=False),
                progress.BarColumn(bar_width=None),
                *(progress.TextColumn(f"{{task.fields[{name}]}}", markup=False) for name in FIELDS),
                console=Console(stderr=True),
                transient=True,
            ) as bar:
                yield BarReporter(bar, remark)
        else:
            yield LineReporter(remark)


def _say_stopping() -> None:
    """At once: called by the signal's handler, where Python's own streams may be in use."""
    if not worker_rank(os.environ):
        os.write(2, b"\nstopping, saving ... (another Ctrl-C ends it at once)\n")


class LineReporter(Reporter):
    """Prints messages at once, progress as a plain line every `LINE_EVERY` seconds, and what a longer task took.

    On stderr; in a job of Slurm's with the node: a task that was requeued goes on in the same log on another.
    """

    shown = True

    def __init__(self, remark: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._remark, self._clock = remark, clock
        node = os.environ.get("SLURMD_NODENAME")
        self._node = f" {node}" if node else ""
        self._printed: dict[str, float] = {}  # when a task's last line was printed
        self._began: dict[str, float] = {}
        self._left: dict[str, TimeLeft] = {}

    def line(self, text: str) -> None:
        """Print a message."""
        print(text, file=sys.stderr, flush=True)

    def step(
        self, task: str, done: float, total: float | None, info: str = "", finished: int | None = None
    ) -> None:
        """Print the time and how much of a task is done, at most every `LINE_EVERY` seconds, and when it ends."""
        now = self._clock()
        left = self._left.setdefault(task, TimeLeft(self._clock)).update(done, total)
        took, ended = now - self._began.setdefault(task, now), total is not None and 0 < total <= done
        if ended:
            del self._began[task]
        last = ended and took >= LINE_EVERY
        if now - self._printed.setdefault(task, now) < LINE_EVERY and not last:
            return
        self._printed[task] = now
        if self._remark:
            self.line(self._remark)
            self._remark = ""
        parts = [share_text(done, total, finished) if total else f"{done:,.0f}", info]
        if left is not None:
            parts.append(f"{duration(left)} left")
        if last:
            parts.append(f"took {duration(took)}")
        begins = f"{time.strftime('%H:%M:%S')}{self._node} {task}"
        self.line(f"{begins}: " + ", ".join(part for part in parts if part))


class BarReporter(Reporter):
    """Bars on a terminal, one for each task, and messages above them."""

    shown = True

    def __init__(
        self, bar: "Progress", remark: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bar, self._remark, self._clock = bar, remark, clock
        self._left: dict[str, TimeLeft] = {}
        self._tasks: dict[str, TaskID] = {}

    def line(self, text: str) -> None:
        """Print a message above the bars."""
        self._bar.console.print(text, markup=False, highlight=False, style=tone_of(text) or None)

    def step(
        self, task: str, done: float, total: float | None, info: str = "", finished: int | None = None
    ) -> None:
        """Update a task's bar."""
        if self._remark:
            self.line(self._remark)
            self._remark = ""
        left = self._left.setdefault(task, TimeLeft(self._clock)).update(done, total)
        shown: dict[str, Any] = {
            "share": share_text(done, total, finished) if total else f"{done:,.0f}",
            "info": info,
            "left": "" if left is None else f"{duration(left)} left",
        }
        self._bar.update(self._task(task, total), completed=done, total=total, **shown)

    def curve(self, task: str, name: str, values: Sequence[float]) -> None:
        """Draw it beside the task's bar, where the terminal has the characters."""
        if "utf" in self._bar.console.encoding.lower():
            self._bar.update(self._task(task, None), curve=f"{name} {sparkline(values)}")

    def _task(self, task: str, total: float | None) -> "TaskID":
        if task not in self._tasks:
            self._tasks[task] = self._bar.add_task(task, total=total, **NO_FIELDS)
        return self._tasks[task]


def number(value: Any, digits: int = 3) -> str:
    """A value of a table: `digits` decimals, one above 100, as many significant digits below 0.1; "-" for None, NaN."""
    if value is None or value != value:
        return "-"
    if isinstance(value, float) and 0 < abs(value) < 0.1:
        return f"{value:.{digits}g}"
    if isinstance(value, float):
        return f"{value:,.{digits if abs(value) < 100 else 1}f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def percent(value: Any, digits: int = 1) -> str:
    """A fraction as a percentage; "-" for None and NaN."""
    return "-" if value is None or value != value else f"{100 * value:.{digits}f}%"


def points(difference: float) -> str:
    """A difference of scores in points, with its sign."""
    return f"{100 * difference:+.2f}"


def interval(pair: Sequence[float] | None, show: Callable[[Any], str] = number) -> str:
    """An interval such as "0.91 to 0.95"; "-" for None."""
    return "-" if pair is None else f"{show(pair[0])} to {show(pair[1])}"
