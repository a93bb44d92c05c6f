"""Cache of decoded image folders: pixels in KEY.npy, which is memory-mapped, the rest in KEY.json.

It lies in `images/` of the cache folder (`paths.cache_root`). KEY is a hash of the manifest (names, sizes, times,
inodes) and the image size. The JSON is written last and lists the SHA-256 of the pixels; a damaged or incomplete entry
is made again. A cache that cannot be written costs time, never the result.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from gangda.data.confounds import FileFacts
from gangda.data.paths import cache_root
from gangda.data.sources.raw import RawSource
from gangda.data.values import ValueRange
from gangda.errors import GangdaError
from gangda.runtime.files import being_written
from gangda.runtime.hashed_file import read_hashed_json, sha256_of_file, write_hashed_json
from gangda.runtime.plain import from_plain, to_plain

RULES = 3  # raise it when decoding changes: entries of before are then not found


def cached(
    manifest: Iterable[str], image_size: int | None, decode: Callable[[], RawSource], use: bool = True
) -> RawSource:
    """The decoded images for these lines of a manifest: from the cache, else from `decode`, and then cached.

    Without `use` the cache is neither read nor written.
    """
    if not use:
        return decode()
    key = hashlib.sha256(f"{RULES}\n{image_size}".encode())
    for line in manifest:
        key.update(f"\n{line}".encode("utf-8", "surrogateescape"))
    place = cache_root() / "images" / key.hexdigest()[:32]
    kept = _read(place)
    if kept is not None:
        return kept
    decoded = decode()
    with contextlib.suppress(GangdaError, OSError):  # read-only home or full disk
        _write(place, decoded)
        return _read(place) or decoded  # mapped from the file, so that the decoded array can be freed
    return decoded


def _write(place: Path, decoded: RawSource) -> None:
    """The pixels first: an entry exists when its JSON does."""
    pixels = place.with_suffix(".npy")
    with being_written(pixels) as file:
        np.lib.format.write_array(file, np.asarray(decoded.pixels), allow_pickle=False)
    rest = to_plain({name: value for name, value in vars(decoded).items() if name != "pixels"})
    write_hashed_json(place.with_suffix(".json"), {"sha256": sha256_of_file(pixels), **rest})


def _read(place: Path) -> RawSource | None:
    """The entry, or None if it is missing or damaged."""
    pixels = place.with_suffix(".npy")
    try:
        rest = read_hashed_json(place.with_suffix(".json"))
        if sha256_of_file(pixels) != rest["sha256"]:
            return None
        return RawSource(
            pixels=np.load(pixels, mmap_mode="r", allow_pickle=False),
            labels=np.array(rest["labels"], dtype=np.int64),
            class_names=tuple(rest["class_names"]),
            test_rows=None if rest["test_rows"] is None else np.array(rest["test_rows"], dtype=np.int64),
            notes=tuple(rest["notes"]),
            value_range=from_plain(ValueRange, rest["value_range"]) if rest["value_range"] else None,
            facts=from_plain(FileFacts, rest["facts"]) if rest["facts"] else None,
            broken=None if rest["broken"] is None else np.array(rest["broken"], dtype=np.int64),
        )
    except Exception:  # whatever damaged bytes make NumPy raise: the folder is decoded again
        return None
