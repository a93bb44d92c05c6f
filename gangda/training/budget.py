"""When a run saves and when it is done, from its budget; and how long it has trained."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from gangda.config.schema import TrainConfig


@dataclass(frozen=True)
class Schedule:
    """Steps of a run over `images` training images.

    Attributes:
        wanted: steps of the budget; None where the clock decides.
        limit: training seconds of the budget; infinite where the steps decide.
        every: steps between checkpoints.
    """

    wanted: int | None
    limit: float
    every: int

    def done(self, step: int, seconds: float) -> bool:
        """Whether the budget is spent."""
        return seconds >= self.limit if self.wanted is None else step >= self.wanted

    def regular(self, step: int) -> bool:
        """Whether every run of these options has a checkpoint at this step, wherever it was stopped."""
        return step > 0 and step % self.every == 0

    def progress(self, step: int, seconds: float) -> tuple[float, float]:
        """How much of how much is done, in steps or in seconds."""
        return (seconds, self.limit) if self.wanted is None else (step, self.wanted)


def make_schedule(config: TrainConfig, images: int) -> Schedule:
    """The schedule of a configuration whose budget is filled in."""
    budget, per_step = config.budget, config.recipe.images_per_step
    number = int(budget.checkpoint_every.rstrip("se"))
    every = max(1, number * images // per_step) if budget.checkpoint_every[-1] == "e" else number
    if budget.minutes is not None:
        return Schedule(None, 60 * budget.minutes, every)
    if budget.epochs is not None:
        return Schedule(max(1, round(budget.epochs * images / per_step)), float("inf"), every)
    return Schedule(budget.steps, float("inf"), every)


@dataclass(eq=False)
class Stopwatch:
    """Training time in seconds, over all sittings; looking at samples does not count."""

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
