"""Progress of a cell: the share of it that is done, and what it is at."""

from collections.abc import Callable

from gangda.runtime.progress import Reporter

Progress = Callable[[float, str], None]

GENERATOR_SHARE = 0.7  # of a cell's time, for the progress bar


class Phase(Reporter):
    """Reports the steps of one phase, such as training, as progress of its cell."""

    def __init__(self, progress: Progress, start: float, share: float, name: str) -> None:
        self._progress, self._start, self._share, self._name = progress, start, share, name

    def step(self, task: str, done: float, total: float | None, info: str = "") -> None:
        """Report the share of the cell that is done when `done` of `total` of this phase are."""
        if total:
            self._progress(self._start + self._share * min(1.0, done / total), self._name)
