"""Arrays kept between runs, found by the content they were computed from; never by a name."""

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
from gangda.runtime.files import write_bytes

LIMIT = 2 << 30  # bytes; the least recently used go first

Array = npt.NDArray[Any]


class FeatureCache:
    """One .npz file per key in a folder, which holds a checksum; without a folder nothing is kept.

    A cache is a convenience: where its folder cannot be written, work goes on without; a damaged file is
    computed anew.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def get(self, key: tuple[str | int, ...], compute: Callable[[], Array]) -> Array:
        """The array of this key, computed if it is not there.

        `key` must name everything the array depends on: hashes of weights and data, and the preprocessing.
        """
        if self.folder is None:
            return compute()
        path = self.folder / (hashlib.sha256("/".join(map(str, key)).encode()).hexdigest()[:32] + ".npz")
        kept = _read(path)
        if kept is not None:
            return kept
        array = compute()
        buffer = io.BytesIO()
        np.savez(buffer, features=array)
        with contextlib.suppress(OSError, RunError):
            write_bytes(path, buffer.getvalue())
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


def _read(path: Path) -> Array | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            array: Array = arrays["features"]  # a wrong checksum raises
        os.utime(path)
    except Exception:  # whatever damaged bytes make NumPy raise: it is computed anew
        return None
    return array
