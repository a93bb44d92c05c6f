"""How a cell tells of its progress: the share of it that is done."""

from collections.abc import Callable

from gangda.runtime.progress import Reporter

Tell = Callable[[float, str], None]  # share of the cell that is done, and what it is at

GENERATOR_SHARE = 0.7  # of a cell's time, for the progress bar


class Phase(Reporter):
    """Turns a move's steps into a share of the cell."""

    def __init__(self, tell: Tell, start: float, share: float, name: str) -> None:
        self._tell, self._start, self._share, self._name = tell, start, share, name

    def step(self, task: str, done: float, total: float | None, info: str = "") -> None:
        """Pass on how far the move is."""
        if total:
            self._tell(self._start + self._share * min(1.0, done / total), self._name)
