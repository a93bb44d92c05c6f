"""When a run saves and ends, from its budget; and how long it has trained."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from gangda.config.schema import TrainConfig


@dataclass(frozen=True)
class StepBudget:
    """The budget of a run."""

    total_steps: int | None  # None where the time decides
    max_seconds: float  # of training; infinite where the steps decide
    checkpoint_every: int  # steps

    def spent(self, step: int, seconds: float) -> bool:
        """Whether training ends after this step."""
        return seconds >= self.max_seconds if self.total_steps is None else step >= self.total_steps

    def is_regular(self, step: int) -> bool:
        """Whether every run of these options has a checkpoint at this step, wherever it was stopped."""
        return step > 0 and step % self.checkpoint_every == 0

    def progress(self, step: int, seconds: float) -> tuple[float, float]:
        """How much of how much is done, in steps or in seconds."""
        return (seconds, self.max_seconds) if self.total_steps is None else (step, self.total_steps)


def step_budget(config: TrainConfig, images: int) -> StepBudget:
    """The budget of a configuration in which it is filled in, for so many training images."""
    budget, per_step = config.budget, max(1, config.images_per_step)
    number = int(budget.checkpoint_every.rstrip("se"))
    every = max(1, number * images // per_step) if budget.checkpoint_every[-1] == "e" else number
    if budget.minutes is not None:
        return StepBudget(None, 60 * budget.minutes, every)
    steps = budget.steps if budget.epochs is None else max(1, round(budget.epochs * images / per_step))
    return StepBudget(steps, float("inf"), every)


@dataclass(eq=False)
class Stopwatch:
    """Training time in seconds, over all processes that worked on a run; evaluation of samples does not count."""

    before: float = 0.0
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """So far."""
        return self.before + time.monotonic() - self.began

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside takes no training time."""
        self.before = self.seconds
        try:
            yield
        finally:
            self.began = time.monotonic()
