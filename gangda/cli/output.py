"""Results on stdout (tables, or one JSON document); progress and messages on stderr."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gangda.runtime.progress import Reporter

if TYPE_CHECKING:  # importing rich takes longer than --help and completion do
    from rich.console import Console
    from rich.progress import Progress, TaskID

LINE_EVERY = 20.0  # seconds between progress lines where there is no terminal
REDIRECTED_WIDTH = 120
RESULT_VERSION = 1  # of `result.schema.json`: raised when a key goes or changes its meaning


class Screen:
    """Tables and sentences on stdout."""

    def __init__(self, console: "Console") -> None:
        self._console = console

    def draw(
        self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, left: int = 1
    ) -> None:
        """Print a table, unless it has no rows; the first `left` columns are left-aligned. Empty names: no head."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        head = any(columns)
        style = box.SIMPLE_HEAD if head else None
        table = Table(title=Text(title, style="bold"), title_justify="left", box=style, show_header=head)
        for position, column in enumerate(columns):
            # On a narrow screen a name goes on in the next line, and is not cut short.
            table.add_column(Text(column), justify="left" if position < left else "right", overflow="fold")
        for row in rows:
            table.add_row(*(Text(str(cell)) for cell in row))
        if table.row_count:
            self._console.print(table)
            self._console.print()

    def say(self, *sentences: str) -> None:
        """Print sentences, each on a line of its own, without markup and highlighting."""
        for text in sentences:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)


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

            width = None if sys.stdout.isatty() else REDIRECTED_WIDTH
            render(Screen(Console(width=width, highlight=False)), values)
            sys.stdout.flush()

    @contextmanager
    def reporter(self, remark: str = "") -> Iterator[Reporter]:
        """A reporter of progress: bars on a terminal, plain lines elsewhere, nothing when quiet.

        `remark`: printed before the first bar or line of progress, if there is any.
        """
        if self.quiet:
            yield Reporter()
        elif sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            # Bar, percentage, the task's own information (images/s) and time left.
            with progress.Progress(
                progress.TextColumn("{task.description}", markup=False),
                progress.BarColumn(bar_width=None),
                progress.TaskProgressColumn(),
                progress.TextColumn("{task.fields[info]}", markup=False),
                progress.TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            ) as bar:
                yield BarReporter(bar, remark)
        else:
            yield LineReporter(remark)


class LineReporter(Reporter):
    """Prints messages at once and progress as a plain line every `LINE_EVERY` seconds, on stderr."""

    def __init__(self, remark: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._remark, self._clock = remark, clock
        self._printed: dict[str, float] = {}  # when a task's last line was printed
        self._began: dict[str, tuple[float, float]] = {}  # a task's first report: when, and how much was done

    def line(self, text: str) -> None:
        """Print a message."""
        print(text, file=sys.stderr, flush=True)

    def step(self, task: str, done: float, total: float | None, info: str = "") -> None:
        """Print the time and how much of a task is done, at most every `LINE_EVERY` seconds."""
        now = self._clock()
        began, before = self._began.setdefault(task, (now, done))
        if now - self._printed.setdefault(task, now) < LINE_EVERY:
            return
        self._printed[task] = now
        if self._remark:
            self.line(self._remark)
            self._remark = ""
        parts = [f"{done:,.0f} of {total:,.0f} ({done / total:.0%})" if total else f"{done:,.0f}", info]
        if total and before < done < total:  # a continued run: what was done before took no time here
            parts.append(f"{duration((now - began) * (total - done) / (done - before))} left")
        self.line(f"{time.strftime('%H:%M:%S')} {task}: " + ", ".join(part for part in parts if part))


class BarReporter(Reporter):
    """Bars on a terminal, one for each task, and messages above them."""

    def __init__(self, bar: "Progress", remark: str = "") -> None:
        self._bar, self._remark = bar, remark
        self._tasks: dict[str, TaskID] = {}

    def line(self, text: str) -> None:
        """Print a message above the bars."""
        self._bar.console.print(text, markup=False, highlight=False)

    def step(self, task: str, done: float, total: float | None, info: str = "") -> None:
        """Update a task's bar."""
        if self._remark:
            self.line(self._remark)
            self._remark = ""
        if task not in self._tasks:
            self._tasks[task] = self._bar.add_task(task, total=total, info="")
        self._bar.update(self._tasks[task], completed=done, total=total, info=info)


def number(value: Any, digits: int = 3) -> str:
    """A value of a table: `digits` decimals below 100, one above; "-" for None and NaN."""
    if value is None or value != value:
        return "-"
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


def duration(seconds: float | None) -> str:
    """Seconds in words: "42 s", "3 min 20 s", "2 h 5 min"; "-" for None."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
