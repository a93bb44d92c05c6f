"""The course of a run by its logged steps: a dead discriminator, losses that grow without end."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gangda.training.monitor.alarms import DEAD, DIVERGING, Alarm

WINDOW = 20  # logged steps: 1,000 steps of training
VANISHED = 0.01  # of the gradient norm at the beginning
NO_GRADIENT = 1e-6  # nothing, whatever there was at the beginning
GUESSING, CERTAIN = 0.05, 0.99  # so close to 0.5 it guesses; above this it is never wrong
GROWN = 100.0  # times the size of the loss terms at the beginning
NAMES = ("d_accuracy", "d_gradient", "g_gradient", "size")


@dataclass(eq=False)
class Course:
    """The first and the last `WINDOW` of `count` logged steps: d_accuracy, both gradient norms, the largest loss term.

    Plain lists of rows, so that a checkpoint can hold them.
    """

    first: list[list[float]] = field(default_factory=list)
    last: list[list[float]] = field(default_factory=list)
    count: int = 0

    def add(self, figures: Mapping[str, float]) -> None:
        """Take note of a logged step: its loss terms and the other names in `NAMES`."""
        size = max(abs(value) for name, value in figures.items() if name not in NAMES)
        row = [*(figures.get(name, float("nan")) for name in NAMES[:3]), size]
        if len(self.first) < WINDOW:
            self.first.append(row)
        self.last = [*self.last, row][-WINDOW:]
        self.count += 1

    def alarms(self) -> list[Alarm]:
        """What is wrong: the last window against the first. Of a short course they are the two halves."""
        window = min(WINDOW, self.count // 2)
        if not window:
            return []
        first, last = _medians(self.first[:window]), _medians(self.last[-window:])
        accuracy = statistics.fmean(row[0] for row in self.last[-window:])
        found = []
        if abs(accuracy - 0.5) < GUESSING and _vanished(first, last, "d_gradient"):
            found.append(_dead(f"it guesses (accuracy {accuracy:.2f})", first, last, "d_gradient"))
        if accuracy > CERTAIN and _vanished(first, last, "g_gradient"):
            found.append(_dead(f"it is never wrong (accuracy {accuracy:.2f})", first, last, "g_gradient"))
        size, before = last["size"], max(1.0, first["size"])
        if size > GROWN * before:
            text = (
                f"diverging: loss terms are {size / before:.0f} times as large as at the beginning, above {GROWN:g}; "
                "lower --lr or raise --r1"
            )
            found.append(Alarm(DIVERGING, (), text))
        return found

    def dump(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {"first": self.first, "last": self.last, "count": self.count}

    def load(self, values: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.first, self.last = list(values["first"]), list(values["last"])
        self.count = int(values["count"])


def _medians(rows: list[list[float]]) -> dict[str, float]:
    return {
        name: statistics.median(column) for name, column in zip(NAMES, zip(*rows, strict=True), strict=True)
    }


def _vanished(first: dict[str, float], last: dict[str, float], name: str) -> bool:
    return last[name] < max(NO_GRADIENT, VANISHED * first[name])


def _dead(what: str, first: dict[str, float], last: dict[str, float], name: str) -> Alarm:
    player = {"d_gradient": "its own", "g_gradient": "the generator's"}[name]
    text = (
        f"dead discriminator: {what} and {player} gradient has vanished ({last[name] / max(first[name], 1e-30):.1g} of "
        f"that at the beginning, below {VANISHED:g}); lower --lr, or try --loss nonsaturating with --r1"
    )
    return Alarm(DEAD, (), text)
