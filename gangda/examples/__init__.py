"""Example shell scripts, printed by `gangda examples NAME`."""

from importlib import resources

from gangda.config.hints import suggestion
from gangda.errors import UsageError

SUFFIX = ".sh"


def names() -> list[str]:
    """Of the scripts."""
    files = resources.files(__package__).iterdir()
    return sorted(file.name.removesuffix(SUFFIX) for file in files if file.name.endswith(SUFFIX))


def text(name: str) -> str:
    """A script; a UsageError where there is none of this name."""
    if name not in names():
        near = suggestion(name, names())
        raise UsageError(f"{name}: no such example; {near}choose from {', '.join(names())}")
    return resources.files(__package__).joinpath(name + SUFFIX).read_text(encoding="utf-8")


def summary(name: str) -> str:
    """What a script does: its first comment."""
    return next(line[2:] for line in text(name).splitlines() if line.startswith("# "))
