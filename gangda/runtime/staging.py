"""Temporary folders beside the place they are made for, and what killed processes leave of temporaries."""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from filelock import lock_descriptor

SUFFIX = ".gangda-part"  # ends the names of our temporaries: what users call their own files must never match


def named_beside(names: Collection[str]) -> re.Pattern[str]:
    """Matches the temporaries made for files or folders of these names."""
    made_for = "|".join(map(re.escape, names))
    drawn = "[a-z0-9_]{8}"  # by tempfile
    return re.compile(rf"\.({made_for})\.{drawn}{re.escape(SUFFIX)}")


@contextlib.contextmanager
def folder_beside(place: Path) -> Iterator[Path]:
    """Yield a hidden temporary folder beside `place`; at the end it is gone, unless it was moved away.

    Folders that killed processes left for the same place are removed first. A living process holds a lock on its own,
    which the system lets go when the process ends, however it ends. Where folders cannot be locked (some network file
    systems), what is left stays.

    Raises:
        OSError: the disk refuses.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    _remove_left(place)
    temporary, handle = _own_folder(place)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _own_folder(place: Path) -> tuple[Path, int | None]:
    """A fresh folder and the handle that locks it; None where folders cannot be locked."""
    while True:
        temporary = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}.", suffix=SUFFIX))
        handle = None
        with contextlib.suppress(OSError):
            handle = os.open(temporary, os.O_RDONLY)
            lock_descriptor(handle)
        if temporary.is_dir():  # nobody took it for a dead process's before it was locked
            return temporary, handle
        if handle is not None:
            os.close(handle)


def _remove_left(place: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there, and so not be locked
        return
    left = named_beside([place.name])
    for folder in [path for path in place.parent.iterdir() if left.fullmatch(path.name)]:
        with contextlib.suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if lock_descriptor(handle, blocking=False):
                    shutil.rmtree(folder)
            finally:
                os.close(handle)


def remove_temporaries(folder: Path) -> None:
    """Delete the temporary files of this folder that a killed process left of files it was writing whole.

    Only for a folder that nobody else writes to at the moment.
    """
    if folder.is_dir():
        for path in folder.iterdir():
            ours = path.name.startswith(".") and path.name.endswith(SUFFIX)
            if ours and path.is_file() and not path.is_symlink():
                path.unlink(missing_ok=True)
