"""Temporary files and folders beside the path they will be renamed to, and the removal of those of killed processes."""

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from filelock import lock_descriptor

SUFFIX = ".gangda-part"  # at the end of temporary names; must never match a user's own file


def named_beside(names: Collection[str]) -> re.Pattern[str]:
    """Matches the temporary names for files or folders of these names."""
    final = "|".join(map(re.escape, names))
    return re.compile(rf"\.({final})\.[a-z0-9_]{{8}}{re.escape(SUFFIX)}")


def temporary_name(place: Path) -> Path:
    """A new name beside `place`; unlike tempfile's, what is made there has the permissions that the umask gives."""
    return place.parent / f".{place.name}.{secrets.token_hex(4)}{SUFFIX}"


@contextlib.contextmanager
def folder_beside(place: Path) -> Iterator[Path]:
    """A hidden temporary folder beside `place`; at the end it is removed, unless it was renamed.

    Folders that killed processes left for the same `place` are removed first: a live process holds a lock on its own,
    which the operating system releases when the process ends. Where folders cannot be locked (Windows, some network
    file systems), they stay.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(place)
    temporary, handle = _own_folder(place)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _own_folder(place: Path) -> tuple[Path, int | None]:
    """A new folder and the handle that locks it; None if folders cannot be locked."""
    while True:
        temporary = temporary_name(place)
        temporary.mkdir()
        handle = None
        with contextlib.suppress(OSError):
            handle = os.open(temporary, os.O_RDONLY)
            lock_descriptor(handle)
        if temporary.is_dir():  # another process may have removed it before it was locked
            return temporary, handle
        if handle is not None:
            os.close(handle)


def _remove_abandoned(place: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there, and so not be locked
        return
    temporary = named_beside([place.name])
    for folder in [path for path in place.parent.iterdir() if temporary.fullmatch(path.name)]:
        with contextlib.suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if lock_descriptor(handle, blocking=False):
                    shutil.rmtree(folder)
            finally:
                os.close(handle)


def remove_temporaries(folder: Path) -> None:
    """Delete temporary files that a killed process left in this folder; no other process may be writing to it."""
    for path in folder.glob(f".*{SUFFIX}"):
        if path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)
