"""The result of a command in its output folder, found again when the same command runs again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from gangda.errors import DataError, RunError
from gangda.runtime.files import is_free, whole_folder, write_bytes
from gangda.runtime.hashed_file import read_hashed_json, write_hashed_json


@dataclass(frozen=True)
class FolderResult:
    """What a command found out: a JSON file in a folder of its own, with pictures."""

    # file_name, what, of: name of the file; the result and its input in messages, as in "score" and "samples"
    file_name: ClassVar[str]
    what: ClassVar[str]
    of: ClassVar[str]

    values: dict[str, Any]  # plain values, whose `id` is a hash of the request
    out: Path
    dry_run: bool = False  # dry_run, reprinted: nothing was written; the result was there already
    reprinted: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        own = {"out": str(self.out), "dry_run": self.dry_run, "reprinted": self.reprinted}
        return {**self.values, **own}

    def write(self, pictures: Mapping[str, bytes]) -> Self:
        """Write the whole folder at once; raises RunError if it is not empty."""
        with whole_folder(self.out) as folder:
            for name, picture in pictures.items():
                write_bytes(folder / name, picture)
            write_hashed_json(folder / self.file_name, self.values)
        return self

    @classmethod
    def find(cls, out: Path, identity: str) -> Self | None:
        """The result in `out` if its `id` is `identity`; None where `out` is empty or missing.

        Raises RunError: `out` holds something else, the result of another request, or a damaged one.
        """
        if is_free(out):
            return None
        path = out / cls.file_name
        if not path.is_file():
            raise RunError(f"{out}: exists and is not a {cls.what} of gangda's; choose another --out")
        try:
            values = read_hashed_json(path, cure="remove that folder")
        except DataError as error:
            raise RunError(f"{error}, or choose another --out, and run the same command again") from None
        if values.get("id") != identity:
            raise RunError(f"{out}: holds the {cls.what} of other {cls.of} or options; choose another --out")
        return cls(values, out, reprinted=True)
