"""Arrays kept between commands, found by a hash of everything they were computed from."""

import contextlib
import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.errors import RunError
from gangda.runtime.hashed_file import read_hashed, write_hashed

LIMIT = 2 << 30  # bytes; the least recently used go first

Array = npt.NDArray[Any]


class FeatureCache:
    """A folder with one .npy file per key; without one, or where it cannot be written, nothing is kept.

    A damaged file is computed again.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def get(self, key: tuple[str | int, ...], compute: Callable[[], Array]) -> Array:
        """The array of this key, computed if it is not there.

        `key` must name everything the array depends on: hashes of weights and data, and the preprocessing.
        """
        if self.folder is None:
            return compute()
        path = self.folder / (hashlib.sha256("/".join(map(str, key)).encode()).hexdigest()[:32] + ".npy")
        with contextlib.suppress(Exception):  # missing, or damaged in any way: it is computed again
            kept: Array = np.load(io.BytesIO(read_hashed(path)), allow_pickle=False)
            os.utime(path)
            return kept
        array = compute()
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        with contextlib.suppress(OSError, RunError):
            write_hashed(path, buffer.getvalue())
            prune(self.folder, LIMIT)
        return array


def prune(folder: Path, limit: int) -> None:
    """Delete the least recently used files until at most `limit` bytes are left."""
    files = sorted(folder.glob("*.np[yz]"), key=lambda path: path.stat().st_mtime, reverse=True)
    total = 0
    for path in files:
        total += path.stat().st_size
        if total > limit:
            path.unlink(missing_ok=True)
