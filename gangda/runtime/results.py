"""Results of a command as JSON files that carry a hash of their content: of one flipped digit nobody would know."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gangda.errors import DataError, RunError
from gangda.runtime.files import clear_disk_errors, read_json, write_json

Digest = Callable[[Mapping[str, Any]], str]

ASIDE = ("format_version", "content")  # of a file, what is no content
CURE = "remove it and make it again"


def sha256_of(plain: Mapping[str, Any]) -> str:
    """Hex SHA-256 of plain values, whatever the order of their keys."""
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def write_result(path: Path, values: Mapping[str, Any], digest: Digest = sha256_of) -> None:
    """Write a JSON object with `format_version` and, as `content`, a hash of the rest; atomically."""
    plain = json.loads(json.dumps({key: values[key] for key in values if key not in ASIDE}))
    write_json(path, {**plain, "content": digest(plain)})


def read_result(path: Path, digest: Digest = sha256_of, cure: str = CURE) -> dict[str, Any]:
    """What `write_result` was given.

    Args:
        path: the file.
        digest: as it was written with.
        cure: what to do where the hash is missing or does not match.

    Raises:
        DataError: missing, damaged, of a newer format, or without a hash.
    """
    values = read_json(path)
    plain = {key: value for key, value in values.items() if key not in ASIDE}
    if "content" not in values:
        raise DataError(f"{path}: has no hash of its content (made by an older gangda, or damaged); {cure}")
    try:
        whole = values["content"] == digest(plain)
    except RecursionError:
        whole = False
    if not whole:
        raise DataError(f"{path}: damaged (its hash does not match); {cure}")
    return plain


def finished_values(out: Path, name: str, identity: str, what: str, of: str) -> dict[str, Any] | None:
    """The content of `out/name`, a result under the `id` of this very request; None where `out` is empty or missing.

    `what` says what such a folder holds, and `of` of what, as in "score" and "samples".

    Raises:
        RunError: `out` holds something else, the result of another request, or a damaged one.
    """
    with clear_disk_errors(out):
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            return None
    if not (out / name).is_file():
        raise RunError(f"{out}: exists and is not a {what} of gangda's; choose another --out")
    try:
        values = read_result(out / name, cure="remove that folder")
    except DataError as error:
        raise RunError(f"{error}, or choose another --out, and run the same command again") from None
    if values.get("id") != identity:
        raise RunError(f"{out}: holds the {what} of other {of} or options; choose another --out")
    return values
