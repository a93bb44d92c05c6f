"""Files and folders appear whole or not at all: written under a temporary name, synced, then renamed."""

import contextlib
import ctypes
import errno
import json
import math
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from gangda.errors import DataError, RunError
from gangda.runtime.staging import folder_beside, named_beside, temporary_name

FORMAT_VERSION = 2  # 1 was that of gangda 0.1


class FormatVersionError(DataError):
    """A file written by a newer or by an older gangda: it is not damaged, but cannot be read."""


def is_full_disk(error: BaseException) -> bool:
    """Whether the disk, or the user's quota of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def clear_disk_errors(path: Path) -> Iterator[None]:
    """Turn OSErrors of writing to `path` (full disk, read-only, no permission) into a RunError of one line."""
    try:
        yield
    except BrokenPipeError:
        raise  # from whatever reads our output, not from the disk
    except OSError as error:
        if is_full_disk(error):
            raise RunError(f"{path}: the disk is full; free some space and run it again") from error
        reason = error.strerror or str(error)
        raise RunError(f"{path}: cannot write there ({reason}); choose another --out") from error


@contextlib.contextmanager
def being_written(path: Path) -> Iterator[BinaryIO]:
    """A file to write to; it is renamed to `path`, atomically and durably, when the block ends without an error."""
    with clear_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_name(path)
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically and durably."""
    with being_written(path) as file:
        file.write(data)


def foreign_names(folder: Path, own: Collection[str], written: Collection[str]) -> set[str]:
    """Names in a folder (its own if it is a file) but our `own` and temporary ones of files `written`."""
    if not folder.is_dir():
        return {folder.name} if folder.exists() else set()
    temporary = named_beside(written)
    return {path.name for path in folder.iterdir() if not temporary.fullmatch(path.name)} - set(own)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object with `format_version`, atomically; see `without_nan`."""
    text = json.dumps({"format_version": FORMAT_VERSION, **value}, indent=2, allow_nan=False)
    write_bytes(path, text.encode() + b"\n")


def without_nan(value: Any) -> Any:
    """Plain values with None in place of NaN and infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {key: without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object written by `write_json`.

    Raises DataError: missing, not JSON, or of another version of gangda.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except PermissionError:
        raise DataError(f"{path}: cannot be read; check its permissions") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not readable JSON ({str(error)[:80]}); delete and remake it") from None
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected a JSON object")
    check_version(value.get("format_version"), path)
    return value


def check_version(version: Any, path: Path) -> None:
    """Raise FormatVersionError where another version of gangda wrote a file, DataError where it has no version."""
    if not isinstance(version, int) or version < 1:
        raise DataError(f"{path}: has no format_version; not a file of gangda's")
    if version > FORMAT_VERSION:
        raise FormatVersionError(f"{path}: format {version} is newer than this gangda; update gangda")
    if version < FORMAT_VERSION:
        raise FormatVersionError(f"{path}: is of gangda 0.{version}; make it again, or choose another --out")


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder durable, except on Windows, where folders cannot be opened."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file_system(folder: Path) -> None:
    """Flush all files of a folder's file system at once: an fsync of each of many costs fifty times as much."""
    library = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None
    syncfs = getattr(library, "syncfs", None)  # Linux alone has it
    if syncfs is None:
        getattr(os, "sync", lambda: None)()  # not on Windows
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        if syncfs(handle):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(handle)


def is_free(place: Path) -> bool:
    """Whether nothing is at a path, or an empty folder; raises as `clear_disk_errors`."""
    with clear_disk_errors(place):
        return not place.exists() or (place.is_dir() and not any(place.iterdir()))


def refuse_unwritable(folder: Path) -> None:
    """Raise a RunError where a folder cannot be made or filled: before the work that fills it. Leaves nothing there."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with clear_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    with contextlib.suppress(OSError):  # another process has put something there
        for path in made:
            path.rmdir()


@contextlib.contextmanager
def whole_folder(place: Path) -> Iterator[Path]:
    """A temporary folder that is renamed to `place` on success and removed on failure.

    Raises RunError: `place` holds something, or cannot be written.
    """
    if not is_free(place):
        raise RunError(f"{place}: already exists and is not empty; choose another --out or remove it")
    with clear_disk_errors(place):
        with folder_beside(place) as temporary:
            yield temporary
            sync_file_system(temporary)
            temporary.replace(place)
        sync_folder(place.parent)
