"""Files with the SHA-256 of their content: a file that was damaged after it was written is noticed, never used.

    - A binary file ends with the 32 bytes of its digest; PyTorch, NumPy and unzip ignore what follows their data.
    - A JSON object has the digest of its other values under `content`.
    - The files of a sample set or a model have theirs in the JSON file that lists them: `read_listed`.

All are written as `files.py` writes: after a crash there is the old file or the new one, never a part of one.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gangda.errors import DataError
from gangda.runtime.files import being_written, read_json, write_json

CURE = "remove it and make it again"
_DIGEST = hashlib.sha256().digest_size
_NOT_CONTENT = ("format_version", "content")


def sha256(data: bytes | memoryview) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Hex SHA-256 of a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_hashed(path: Path, data: bytes) -> None:
    """Write data and their digest, atomically and durably; raises RunError."""
    with being_written(path) as file:
        file.write(data)
        file.write(hashlib.sha256(data).digest())


def read_hashed(path: Path, cure: str = CURE) -> bytes:
    """The data that `write_hashed` was given.

    Raises DataError: missing, unreadable or damaged; the message ends with `cure`, what to do.
    """
    data = _read(path, cure)
    return verified(data[:-_DIGEST], data[-_DIGEST:].hex(), path, cure)


def read_listed(path: Path, digest: str, cure: str = CURE) -> bytes:
    """The content of a file whose hex SHA-256 is listed elsewhere; raises as `read_hashed`."""
    return verified(_read(path, cure), digest, path, cure)


def write_hashed_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object with `format_version` and `content`, atomically and durably."""
    plain = json.loads(json.dumps({key: values[key] for key in values if key not in _NOT_CONTENT}))
    write_json(path, {**plain, "content": sha256(canonical(plain))})


def read_hashed_json(path: Path, cure: str = CURE) -> dict[str, Any]:
    """The values that `write_hashed_json` was given; raises as `read_json`, and DataError where damaged."""
    values = read_json(path)
    plain = {key: value for key, value in values.items() if key not in _NOT_CONTENT}
    try:
        data = canonical(plain)
    except RecursionError:
        data = b""
    verified(data, values.get("content"), path, cure)
    return plain


def canonical(plain: Mapping[str, Any]) -> bytes:
    """Compact JSON: the same bytes whatever the order of the keys."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()


def _read(path: Path, cure: str) -> bytes:
    try:
        return path.read_bytes()
    except PermissionError:
        raise DataError(f"{path}: cannot be read; check its permissions") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}){cure and f'; {cure}'}") from None


def verified(data: bytes, digest: object, path: Path | str, cure: str = CURE) -> bytes:
    """The data themselves, read from `path`; DataError where `digest` is not their hex SHA-256."""
    if sha256(data) != digest:
        raise DataError(f"{path}: its hash does not match{cure and f'; {cure}'}")
    return data
