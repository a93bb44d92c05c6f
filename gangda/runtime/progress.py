"""How commands report their progress: only the command line prints, through the reporter that it passes."""


class Reporter:
    """Reports nothing. The command line's subclass draws bars on a terminal and prints lines elsewhere."""

    def line(self, text: str) -> None:
        """A sentence for the user: what was chosen, an alarm."""

    def step(self, task: str, done: float, total: float | None, info: str = "") -> None:
        """`done` of `total` units of a task; `info` is a short text such as "2,100 images/s"."""


SILENT = Reporter()
