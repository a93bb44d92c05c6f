"""The index of a sample set or augmented set: `index.json`, or `index-i-of-n.json` of each shard.

Readers trust only the files that an index lists, by SHA-256. Shards of one set agree in everything but their own
number, counts, files, tallies and cost; `unite` refuses the rest.
"""

import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from gangda.errors import DataError
from gangda.runtime.files import read_json
from gangda.runtime.hashed_file import canonical, read_listed, sha256
from gangda.runtime.plain import from_plain

KINDS = ("samples", "augmented")
MAX_SIDE = 1024  # pixels; an index that says more is damaged
_INDEX = re.compile(r"index(?:-([1-9]\d*)-of-([1-9]\d*))?\.json")
_AGAIN = "make the set again"


@dataclass(frozen=True)
class SetHeader:
    """What is known of a set before its first image."""

    kind: str  # one of `KINDS`
    format: str  # one of the catalog's `FORMATS`
    key: str  # hex hash of everything that determines the images; one key, one set
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    total: tuple[int, ...]  # images per class in the whole set, over all shards
    shard: tuple[int, int] = (1, 1)  # (i, n), counting from 1
    # `config` (the `DataConfig` as plain values), `seed` and `fingerprint` of the real images behind it
    data: Mapping[str, Any] = field(default_factory=dict)
    # run, model, seeds, and how the labels were made; plain values
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def suffix(self) -> str:
        """What a shard's own files have in their names; empty if there is only one."""
        return "" if self.shard[1] == 1 else f"-{self.shard[0]}-of-{self.shard[1]}"

    @property
    def index_name(self) -> str:
        """Name of the index that this shard writes."""
        return f"index{self.suffix}.json"


@dataclass(frozen=True)
class SetIndex(SetHeader):
    """The header, and what was written: of one shard, or of the whole set."""

    counts: tuple[int, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)  # hex SHA-256 by relative name
    sorting: Mapping[str, list[int]] = field(default_factory=dict)  # pseudo-labels per class
    filtering: Mapping[str, list[int]] = field(default_factory=dict)  # samples by filter per class
    cost: Mapping[str, Any] = field(default_factory=dict)


_SHARED = tuple(column.name for column in fields(SetHeader) if column.name != "shard")


def request_key(request: Mapping[str, Any]) -> str:
    """Hex SHA-256 (first 16 digits) of plain values: the `key` of the set that they determine."""
    return sha256(canonical(request))[:16]


def index_paths(folder: Path) -> list[Path]:
    """The files in a folder that are named like an index."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in entries if _INDEX.fullmatch(entry.name))
    return []


def is_set(path: Path) -> bool:
    """Whether a folder is a set that gangda wrote: whole, with shards missing, or with a damaged index.

    The last counts so that the reader refuses it: as class folders, its synthetic images would pass for real ones.
    """
    for candidate in index_paths(path):
        try:
            value = json.loads(candidate.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return True
        if isinstance(value, dict) and value.get("kind") in KINDS and "format_version" in value:
            return True
    return False


def read_index(path: Path) -> SetIndex:
    """One index file; a DataError: missing, damaged, of another version of gangda, or listing files outside the set."""
    values = read_json(path)
    try:
        known = {column.name: values[column.name] for column in fields(SetIndex)}
        index = from_plain(SetIndex, known)
    except KeyError as error:
        raise DataError(f"{path}: {error} is missing; {_AGAIN}") from None
    except DataError as error:
        raise DataError(f"{path}: damaged ({error}); {_AGAIN}") from None
    _check_values(path, index)
    for name in index.files:
        _inside(path.parent, name)
    return index


def _check_values(path: Path, index: SetIndex) -> None:
    names, shape, shard = index.class_names, index.image_shape, index.shard
    if index.filtering and not {"drawn", "kept"} <= index.filtering.keys():
        raise DataError(f"{path}: 'filtering' is damaged; {_AGAIN}")
    columns = [index.total, index.counts, *index.sorting.values(), *index.filtering.values()]
    if any(len(column) != len(names) for column in columns):
        raise DataError(f"{path}: its counts do not fit its classes; {_AGAIN}")
    right = (
        index.kind in KINDS
        and names
        and all(map(_is_text, (*names, *index.files)))
        and all(min(column) >= 0 for column in columns)
        and shape[0] in (1, 3)
        and 0 < min(shape) <= max(shape) <= MAX_SIDE
        and 1 <= shard[0] <= shard[1]
    )
    if not right:
        raise DataError(f"{path}: classes, counts, shape or shard numbers are damaged; {_AGAIN}")


def _is_text(name: str) -> bool:
    """Whether a name can be printed and be a file's: JSON also holds halves of characters."""
    try:
        return "\0" not in name and bool(name.encode())
    except UnicodeEncodeError:
        return False


def _inside(folder: Path, name: str) -> Path:
    """The file called `name` in a set's folder."""
    path, parts = folder / name, Path(name).parts
    if parts and "\0" not in name and not Path(name).is_absolute() and ".." not in parts:
        with contextlib.suppress(OSError, RuntimeError):  # links in a circle, or a name too long
            if path.resolve().is_relative_to(folder.resolve()):
                return path
    raise DataError(f"{folder}: '{name}' is not inside the set, or a link out of it; do not use it")


def read_bytes(folder: Path, name: str, digest: str) -> bytes:
    """A file that an index lists; DataError where it is missing, unreadable, changed, or outside the set."""
    return read_listed(_inside(folder, name), digest, cure=_AGAIN)


def read_indices(folder: Path) -> list[SetIndex]:
    """The indices of all shards of a set, in shard order; a DataError where one is missing or foreign."""
    paths = index_paths(folder)
    if not paths:
        raise DataError(f"{folder}: holds no index.json; not a sample set or augmented set of gangda's")
    indices = sorted((read_index(path) for path in paths), key=lambda index: index.shard[0])
    first, shards = indices[0], indices[0].shard[1]
    for other in indices[1:]:
        differing = [name for name in _SHARED if getattr(other, name) != getattr(first, name)]
        if differing or other.shard[1] != shards:
            what = ", ".join(differing) or "number of shards"
            cause = f"its shards come from different commands (they differ in {what})"
            raise DataError(f"{folder}: {cause}; make them again")
    present = {index.shard[0] for index in indices}
    missing = [str(i) for i in range(1, shards + 1) if i not in present]
    if missing:
        shown = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
        raise DataError(
            f"{folder}: shards {shown} of {shards} are missing; make them with --shard i/{shards}"
        )
    if len(indices) != shards:
        raise DataError(f"{folder}: a shard is there twice; remove the folder and make the set again")
    return indices


def unite(indices: Sequence[SetIndex]) -> SetIndex:
    """One index for all shards, without their cost; a DataError where their counts do not add up to the total."""
    first = indices[0]
    counts = tuple(sum(column) for column in zip(*(index.counts for index in indices), strict=True))
    if counts != first.total:
        raise DataError(f"shards of {list(counts)} images per class, not {list(first.total)}; make it again")
    return replace(
        first,
        counts=counts,
        files={name: digest for index in indices for name, digest in index.files.items()},
        sorting=_sums([index.sorting for index in indices]),
        filtering=_sums([index.filtering for index in indices]),
        cost={},
    )


def _sums(tallies: Sequence[Mapping[str, list[int]]]) -> dict[str, list[int]]:
    """The sum over shards of each tally."""
    sums: dict[str, list[int]] = {}
    for name, values in (item for tally in tallies for item in tally.items()):
        sums[name] = [a + b for a, b in zip(sums.get(name, [0] * len(values)), values, strict=True)]
    return sums
