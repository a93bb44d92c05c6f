"""The index of a sample set or augmented set: `index.json`, or `index-i-of-n.json` of each shard.

Readers trust only the files that an index lists, by SHA-256. Shards of one set agree in everything but their own
number, counts, files, tallies and cost; `unite` refuses the rest.
"""

import json
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from gangda.config.fields import from_plain
from gangda.errors import DataError
from gangda.runtime.files import read_json
from gangda.runtime.hashed_file import read_listed, sha256

KINDS = ("samples", "augmented")
MAX_SIDE = 1024  # pixels; an index that says more is damaged
_INDEX = re.compile(r"index(?:-([1-9]\d*)-of-([1-9]\d*))?\.json")
_AGAIN = "make the set again"


@dataclass(frozen=True)
class SetHeader:
    """What is known of a set before its first image.

    Attributes:
        kind: "samples" or "augmented".
        format: "png", "npz" or "idx".
        key: hex hash of everything that determines the images; one key, one set.
        class_names: in label order.
        image_shape: (C, H, W).
        total: images per class in the whole set, over all shards.
        shard: (i, n), counting from 1.
        data: `config` (the `DataConfig` as plain values), `seed` and `fingerprint` of the real images behind it.
        provenance: run, model, seeds, and how the labels were made; plain values.
    """

    kind: str
    format: str
    key: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    total: tuple[int, ...]
    shard: tuple[int, int] = (1, 1)
    data: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

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
    """The header, and what was written: of one shard, or of the whole set.

    Attributes:
        counts: images per class.
        files: hex SHA-256 by relative name.
        sorting, filtering: tallies of pseudo-labels and filters, each with a number per class.
        cost: what the images have cost; plain values.
    """

    counts: tuple[int, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    sorting: dict[str, list[int]] = field(default_factory=dict)
    filtering: dict[str, list[int]] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)


_JSON_TYPES = {
    name: {tuple: list}.get(typing.get_origin(kind) or kind, typing.get_origin(kind) or kind)
    for name, kind in typing.get_type_hints(SetIndex).items()
}
_SHARED = tuple(column.name for column in fields(SetHeader) if column.name != "shard")


def request_key(request: Mapping[str, Any]) -> str:
    """Hex SHA-256 (first 16 digits) of plain values: the `key` of the set that they determine."""
    return sha256(json.dumps(request, sort_keys=True, separators=(",", ":")).encode())[:16]


def index_paths(folder: Path) -> list[Path]:
    """The files in a folder that are named like an index."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.glob("index*.json") if _INDEX.fullmatch(path.name))


def is_set(path: Path) -> bool:
    """Whether a folder is a set that gangda wrote: whole, with shards missing, or with a damaged index.

    A folder with a damaged index counts, so that the reader refuses it: read as class folders, its synthetic images
    would pass for real ones.
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
    """One index file, checked field by field.

    Raises:
        DataError: missing, damaged, of another version of gangda, or listing files outside the set.
    """
    values = read_json(path)
    for name, kind in _JSON_TYPES.items():
        if not isinstance(values.get(name), kind):
            raise DataError(f"{path}: '{name}' is missing or damaged; {_AGAIN}")
    index = from_plain(SetIndex, {name: values[name] for name in _JSON_TYPES})
    _check_values(path, index)
    for name, digest in index.files.items():
        _inside(path.parent, name)
        if not isinstance(digest, str):
            raise DataError(f"{path}: the hash of '{name}' is damaged; {_AGAIN}")
    return index


def _check_values(path: Path, index: SetIndex) -> None:
    names, shape, shard = index.class_names, index.image_shape, index.shard
    if index.filtering and not {"drawn", "kept"} <= index.filtering.keys():
        raise DataError(f"{path}: 'filtering' is damaged; {_AGAIN}")
    tallies: list[Any] = [*index.sorting.values(), *index.filtering.values()]
    columns = [list(index.total), list(index.counts), *tallies]
    if not all(isinstance(column, list) and len(column) == len(names) for column in columns):
        raise DataError(f"{path}: its counts do not fit its classes; {_AGAIN}")
    numbers = [*shape, *shard, *(number for column in columns for number in column)]
    right = (
        index.kind in KINDS
        and names
        and all(isinstance(name, str) and _is_text(name) for name in (*names, *index.files))
        and all(type(number) is int and number >= 0 for number in numbers)
        and len(shape) == 3
        and shape[0] in (1, 3)
        and 0 < min(shape) <= max(shape) <= MAX_SIDE
        and len(shard) == 2
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
    """The file called `name` in a set's folder.

    Raises:
        DataError: the name leads out of the folder, by `..`, an absolute path or a link.
    """
    path, parts = folder / name, Path(name).parts
    if not parts or "\0" in name or Path(name).is_absolute() or ".." in parts:
        raise DataError(
            f"{folder}: the index lists '{name}', which is not inside the set; do not use this set"
        )
    try:
        within = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle, or a name too long
        within = False
    if not within:
        raise DataError(f"{folder}: '{name}' is a link that leads out of the set; do not use this set")
    return path


def read_bytes(folder: Path, name: str, digest: str) -> bytes:
    """A file that an index lists, its content checked against its hash.

    Raises:
        DataError: missing, unreadable, changed, or outside the set.
    """
    return read_listed(_inside(folder, name), digest, cure=_AGAIN)


def read_indices(folder: Path) -> list[SetIndex]:
    """The indices of all shards of a set, in shard order.

    Raises:
        DataError: none there, shards missing, or shards of different sets.
    """
    paths = index_paths(folder)
    if not paths:
        raise DataError(f"{folder}: holds no index.json; not a sample set or augmented set of gangda's")
    indices = sorted((read_index(path) for path in paths), key=lambda index: index.shard[0])
    first, shards = indices[0], indices[0].shard[1]
    for other in indices[1:]:
        differing = [name for name in _SHARED if getattr(other, name) != getattr(first, name)]
        if differing or other.shard[1] != shards:
            what = ", ".join(differing) or "number of shards"
            raise DataError(
                f"{folder}: its shards come from different commands (they differ in {what}); make them again"
            )
    present = {index.shard[0] for index in indices}
    missing = [str(i) for i in range(1, shards + 1) if i not in present]
    if missing:
        shown = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
        raise DataError(
            f"{folder}: shards {shown} of {shards} are not there yet; run the command again with --shard i/{shards}"
        )
    if len(indices) != shards:
        raise DataError(f"{folder}: a shard is there twice; remove the folder and make the set again")
    return indices


def unite(indices: Sequence[SetIndex]) -> SetIndex:
    """One index for all shards: counts and tallies added up, files together, without their cost.

    Raises:
        DataError: the counts do not add up to the total.
    """
    first = indices[0]
    counts = tuple(sum(column) for column in zip(*(index.counts for index in indices), strict=True))
    if counts != first.total:
        raise DataError(
            f"the set's shards hold {list(counts)} images per class instead of {list(first.total)}; make it again"
        )
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
    for tally in tallies:
        for name, values in tally.items():
            sums[name] = [a + b for a, b in zip(sums.get(name, [0] * len(values)), values, strict=True)]
    return sums
