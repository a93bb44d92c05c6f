"""Cache of decoded image folders: pixels in KEY.npy, which is memory-mapped, the rest in KEY.json.

It lies in `images/` of the cache folder (`paths.cache_root`). KEY is a hash of the manifest (names, sizes, times,
inodes) and the image size. The JSON is written last and lists the SHA-256 of the pixels; a damaged or incomplete entry
is made again. A cache that cannot be written costs time, never the result.
"""

import base64
import contextlib
import hashlib
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.data.confounds import FileFacts
from gangda.data.paths import cache_root
from gangda.data.sources.raw import RawSource
from gangda.data.values import ValueRange
from gangda.errors import GangdaError
from gangda.runtime.files import being_written
from gangda.runtime.hashed_file import read_hashed_json, sha256_of_file, write_hashed_json
from gangda.runtime.plain import from_plain, to_plain

RULES = 8  # raise it when decoding changes: entries of before are then not found

_COLUMNS = ("labels", "test_rows", "broken")  # of a `RawSource`


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
    columns = {
        name: column for name, column in vars(decoded).items() if name in _COLUMNS and column is not None
    }
    if decoded.facts is not None:
        columns |= {name: column for name, column in vars(decoded.facts).items() if name != "formats"}
    rest = {
        "sha256": sha256_of_file(pixels),
        "class_names": decoded.class_names,
        "notes": decoded.notes,
        "value_range": to_plain(decoded.value_range),
        "formats": None if decoded.facts is None else decoded.facts.formats,
        "columns": {name: _packed(column) for name, column in columns.items()},
    }
    write_hashed_json(place.with_suffix(".json"), rest)


def _read(place: Path) -> RawSource | None:
    """The entry, or None if it is missing or damaged."""
    pixels = place.with_suffix(".npy")
    try:
        rest = read_hashed_json(place.with_suffix(".json"))
        if sha256_of_file(pixels) != rest["sha256"]:
            return None
        columns = {name: _unpacked(*kept) for name, kept in rest["columns"].items()}
        own: dict[str, Any] = {name: columns.pop(name) for name in _COLUMNS if name in columns}
        return RawSource(
            pixels=np.load(pixels, mmap_mode="r", allow_pickle=False),
            class_names=tuple(rest["class_names"]),
            notes=tuple(rest["notes"]),
            value_range=from_plain(ValueRange, rest["value_range"]) if rest["value_range"] else None,
            facts=None if rest["formats"] is None else FileFacts(tuple(rest["formats"]), **columns),
            **own,
        )
    except Exception:  # whatever damaged bytes make NumPy raise: the folder is decoded again
        return None


def _packed(column: npt.NDArray[Any]) -> tuple[str, str]:
    """Type and compressed values in base64: as JSON numbers, those of 10^5 files take a second to read."""
    return column.dtype.str, base64.b64encode(zlib.compress(column.tobytes(), 1)).decode()


def _unpacked(dtype: str, text: str) -> npt.NDArray[Any]:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype).copy()
