"""The result of a command in its output folder, found again when the same command runs again."""

from pathlib import Path
from typing import Any

from gangda.errors import DataError, RunError
from gangda.runtime.files import clear_disk_errors
from gangda.runtime.hashed_file import read_hashed_json


def finished_values(out: Path, name: str, identity: str, what: str, of: str) -> dict[str, Any] | None:
    """The content of `out/name` if its `id` is `identity`; None where `out` is empty or missing.

    `what` names the result and `of` its input in messages, as in "score" and "samples".

    Raises:
        RunError: `out` holds something else, the result of another request, or a damaged one.
    """
    with clear_disk_errors(out):
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            return None
    if not (out / name).is_file():
        raise RunError(f"{out}: exists and is not a {what} of gangda's; choose another --out")
    try:
        values = read_hashed_json(out / name, cure="remove that folder")
    except DataError as error:
        raise RunError(f"{error}, or choose another --out, and run the same command again") from None
    if values.get("id") != identity:
        raise RunError(f"{out}: holds the {what} of other {of} or options; choose another --out")
    return values
