"""What the logged steps of a run tell: a dead discriminator, losses that grow without end."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gangda.training.monitor.alarms import DEAD, DIVERGING, Alarm

WINDOW = 20  # logged steps: 1,000 steps of training
VANISHED = 0.01  # of the gradient norm at the beginning
NO_GRADIENT = 1e-6  # vanished, whatever it was at the beginning
GUESSING, CERTAIN = 0.05, 0.99  # so close to 0.5 the discriminator guesses; above this it is never wrong
GROWN = 100.0  # times the largest loss term at the beginning
BESIDE_LOSS = ("_accuracy", "_gradient")  # endings of the values that are no loss terms
LARGEST = "largest loss term"

Values = dict[str, float]


@dataclass(eq=False)
class TrainingCurve:
    """The first and the last `WINDOW` of `count` logged steps: accuracy, gradient norms, the largest loss term."""

    first: list[Values] = field(default_factory=list)
    last: list[Values] = field(default_factory=list)
    count: int = 0

    def add(self, values: Mapping[str, float]) -> None:
        """Keep what matters of the loss terms and metrics of a logged step."""
        row = {name: value for name, value in values.items() if name.endswith(BESIDE_LOSS)}
        losses = [abs(value) for name, value in values.items() if name not in row]
        row[LARGEST] = max(losses, default=0.0)  # a closed form has none
        if len(self.first) < WINDOW:
            self.first.append(row)
        self.last = [*self.last, row][-WINDOW:]
        self.count += 1

    def alarms(self, advice: str) -> list[Alarm]:
        """What is wrong in the last window, compared with the first; of a short run, in its second half.

        `advice`: what to do against divergence.
        """
        window = min(WINDOW, self.count // 2)
        if not window:
            return []
        first, last = _medians(self.first[:window]), _medians(self.last[-window:])
        found = []
        if "d_accuracy" in last:
            accuracy = statistics.fmean(row["d_accuracy"] for row in self.last[-window:])
            found = _dead_discriminator(accuracy, first, last)
        before = max(1.0, first[LARGEST])
        if last[LARGEST] > GROWN * before:
            text = (
                f"diverging: loss terms are {last[LARGEST] / before:.0f} times as large as at the beginning, above "
                f"{GROWN:g}; {advice}"
            )
            found.append(Alarm(DIVERGING, (), text))
        return found

    def dump(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return dict(vars(self))

    def load(self, values: Mapping[str, Any]) -> None:
        """Take over what `dump` gave."""
        self.first, self.last, self.count = values["first"], values["last"], values["count"]


def _medians(rows: list[Values]) -> Values:
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def _dead_discriminator(accuracy: float, first: Values, last: Values) -> list[Alarm]:
    """It guesses and its gradient has vanished, or it is never wrong and the generator's gradient has."""
    cases = (
        (abs(accuracy - 0.5) < GUESSING, "it guesses", "its own", "discriminator_gradient"),
        (accuracy > CERTAIN, "it is never wrong", "the generator's", "generator_gradient"),
    )
    found = []
    for applies, what, whose, name in cases:
        if applies and last[name] < max(NO_GRADIENT, VANISHED * first[name]):
            share = last[name] / max(first[name], 1e-30)
            text = (
                f"dead discriminator: {what} (accuracy {accuracy:.2f}) and {whose} gradient has vanished ({share:.1g} "
                f"of that at the beginning, below {VANISHED:g}); lower --lr, or try --loss nonsaturating with --r1"
            )
            found.append(Alarm(DEAD, (), text))
    return found
