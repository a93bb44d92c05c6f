"""How commands report their progress: only the command line prints, through the reporter that it passes."""

from collections.abc import Callable


class Reporter:
    """Reports nothing. The command line's subclass draws bars on a terminal and prints lines elsewhere."""

    def line(self, text: str) -> None:
        """A sentence for the user: what was chosen, an alarm."""

    def step(self, task: str, done: float, total: float | None, info: str = "") -> None:
        """`done` of `total` units of a task; `info` is a short text such as "2,100 images/s"."""


SILENT = Reporter()


Callback = Callable[[str, float, float | None], object]


class CallbackReporter(Reporter):
    """Calls a function with the task, how much of it is done, and its total; messages come with 0 and None."""

    def __init__(self, callback: Callback) -> None:
        self._callback = callback

    def line(self, text: str) -> None:
        """Pass a message on."""
        self._callback(text, 0, None)

    def step(self, task: str, done: float, total: float | None, info: str = "") -> None:
        """Pass progress on."""
        self._callback(task, done, total)
