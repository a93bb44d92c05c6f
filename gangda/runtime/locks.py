"""Locks between processes. The operating system releases them when the process ends, however it ends."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import lock_descriptor

from gangda.errors import RunError
from gangda.runtime.files import clear_disk_errors


@contextlib.contextmanager
def lock_folder(folder: Path, wait: bool = False) -> Iterator[None]:
    """Hold `folder/.lock`; the folder is created if needed.

    Args:
        folder: what to lock.
        wait: until another process that holds the lock has released it; otherwise that is an error.

    Raises:
        RunError: another process holds the lock, or the file system has no locks.
    """
    with clear_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    with file:
        try:
            locked = lock_descriptor(file.fileno(), blocking=wait)
        except OSError as error:  # some network file systems
            raise RunError(
                f"{folder}: cannot be locked against other processes ({error.strerror or error}); "
                "choose an --out on another file system"
            ) from error
        if not locked:
            raise RunError(f"{folder}: another process is working in this folder; wait for it")
        yield
