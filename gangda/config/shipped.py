"""Files that a package ships and users call by name: experiments, search spaces, example scripts."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from gangda.config.hints import suggestion
from gangda.errors import UsageError


@dataclass(frozen=True)
class Shipped:
    """The files of a package that end in `suffix`."""

    package: str
    suffix: str
    what: str  # one of them, in words
    flag: str = ""  # that takes a name, or the path of a file of the user's own; empty: names only

    def names(self) -> list[str]:
        """Their names, sorted."""
        files = resources.files(self.package).iterdir()
        return sorted(
            file.name.removesuffix(self.suffix) for file in files if file.name.endswith(self.suffix)
        )

    def starting(self, incomplete: str) -> list[str]:
        """The names that begin so, for completion."""
        return [name for name in self.names() if name.startswith(incomplete)]

    def find(self, name: str) -> tuple[str, str]:
        """What to call the file in messages, and its text; a UsageError where there is none, or it cannot be read."""
        if name in self.names():
            file = resources.files(self.package).joinpath(name + self.suffix)
            return name, file.read_text(encoding="utf-8")
        path, called = Path(name), f"{self.flag} {name}".lstrip()
        if not (self.flag and path.is_file()):
            known = f"{suggestion(name, self.names())}choose from {', '.join(self.names())}"
            raise UsageError(
                f"{called}: no such {self.what}; {known}{', or give a file' if self.flag else ''}"
            )
        try:
            return str(path), path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UsageError(f"{called}: cannot be read ({error})") from None
