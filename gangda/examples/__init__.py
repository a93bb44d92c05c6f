"""Example shell scripts, printed by `gangda examples NAME`."""

from gangda.config.shipped import Shipped

FILES = Shipped(__name__, ".sh", "example")
names = FILES.names


def text(name: str) -> str:
    """A script; a UsageError where there is none of this name."""
    return FILES.find(name)[1]


def summary(name: str) -> str:
    """What a script does: its first comment."""
    return next(line[2:] for line in text(name).splitlines() if line.startswith("# "))
