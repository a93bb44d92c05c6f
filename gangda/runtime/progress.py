"""How engines tell of their progress. Engines never print: the command line passes a reporter that does."""


class Reporter:
    """Says nothing. The command line's subclass draws bars on a terminal and plain lines elsewhere."""

    def line(self, text: str) -> None:
        """A sentence worth reading: what was chosen, an alarm."""

    def step(self, task: str, done: float, total: float | None, info: str = "") -> None:
        """`done` of `total` units of a task; `info` is a short text such as "2,100 images/s"."""


SILENT = Reporter()
