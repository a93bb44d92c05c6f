"""How commands report their progress: only the command line prints, through the reporter that it passes."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

BLOCKS = "▁▂▃▄▅▆▇█"
SURE_AFTER = 2.0  # seconds, before which nothing is said of the time left
CALM = 0.25  # share of the time so far over which the expected end is smoothed
# Of the time that the average so far leaves: what is smoothed lags behind a task that slows down or speeds up.
LEAST, MOST = 0.7, 1.5


class Reporter:
    """Reports nothing. The command line's subclass draws bars on a terminal and prints lines elsewhere."""

    shown = False  # whether anybody sees it: what is only said need not be found out

    def line(self, text: str) -> None:
        """A sentence for the user: what was chosen, an alarm."""

    def step(
        self, task: str, done: float, total: float | None, info: str = "", finished: int | None = None
    ) -> None:
        """`done` of `total` units of a task; `info` is a short text such as "2,100 images/s".

        `finished`: whole units, where several are worked on at once: two halves are none.
        """

    def curve(self, task: str, name: str, values: Sequence[float]) -> None:
        """What a task's loss has been so far, for a small picture of it."""


SILENT = Reporter()


Callback = Callable[[str, float, float | None], object]


class CallbackReporter(Reporter):
    """Calls a function with the task, how much of it is done, and its total; messages come with 0 and None."""

    def __init__(self, callback: Callback) -> None:
        self._callback = callback

    def line(self, text: str) -> None:
        """Pass a message on."""
        self._callback(text, 0, None)

    def step(
        self, task: str, done: float, total: float | None, info: str = "", finished: int | None = None
    ) -> None:
        """Pass progress on."""
        self._callback(task, done, total)


@dataclass(eq=False)
class TimeLeft:
    """When a task will end, smoothed: its parts take different times, and a jump in it is no news of the whole."""

    clock: Callable[[], float]

    def __post_init__(self) -> None:
        # When, and how much was done: a continued run has begun before.
        self._began: tuple[float, float] | None = None
        self._done, self._last, self._end = 0.0, 0.0, math.nan

    def update(self, done: float, total: float | None) -> float | None:
        """Seconds left; None while it is not known, or nothing is left."""
        now = self.clock()
        # Less is done than before, but for rounding: it begins anew, such as the next variant of an experiment.
        anew, self._done = done < self._done * (1 - 1e-9), done
        if self._began is None or anew or done <= self._began[1]:
            self._began, self._last, self._end = (now, done), now, math.nan
        began, before = self._began
        if not total or not before < done < total or now - began < SURE_AFTER:
            return None
        end = began + (now - began) * (total - before) / (done - before)
        weight = 1.0 if math.isnan(self._end) else 1 - math.exp((self._last - now) / (CALM * (now - began)))
        self._end = end if math.isnan(self._end) else self._end + weight * (end - self._end)
        self._last = now
        return max(1.0, min(max(self._end - now, LEAST * (end - now)), MOST * (end - now)))


def share_text(done: float, total: float, finished: int | None = None) -> str:
    """ "0 of 1 (70%)": whole units and per cent, both rounded down, so that nothing looks finished before it is."""
    whole = math.floor(done + 1e-9) if finished is None else finished
    return f"{whole:,} of {total:,.0f} ({math.floor(100 * done / total + 1e-9)}%)"


def sparkline(values: Sequence[float], width: int = 24) -> str:
    """Values as a line of blocks, lowest to highest; of many, means of equal parts. Empty for fewer than two."""
    known = [value for value in values if math.isfinite(value)]
    if len(known) < 2:
        return ""
    count = min(width, len(known))
    edges = [round(i * len(known) / count) for i in range(count + 1)]
    means = [math.fsum(known[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    low, high = min(means), max(means)
    scale = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((mean - low) * scale)] for mean in means)


def duration(seconds: float | None) -> str:
    """Seconds in words: "42 s", "3 min 20 s", "2 h 5 min"; "-" for None."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def counted(n: int, word: str) -> str:
    """ "1 seed", "10 seeds"."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def size_text(size: float) -> str:
    """Bytes in words: "12.3 MiB"."""
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.1f} MiB"
