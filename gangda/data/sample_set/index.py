"""What a sample set or augmented set says about itself: `index.json`, or `index-i-of-n.json` of each shard.

Readers trust only what an index lists, by SHA-256. Shards of one set agree in everything but their own
counts, files, sorting and filtering tallies and cost; `unite` refuses the rest.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gangda.errors import DataError
from gangda.runtime.files import read_json
from gangda.runtime.hashed_file import read_listed, sha256

KINDS = ("samples", "augmented")
LARGEST = 1024  # pixels a side, in an index that is believed
SHARED = (
    "format_version",
    "kind",
    "format",
    "key",
    "class_names",
    "image_shape",
    "total",
    "data",
    "provenance",
)
_INDEX = re.compile(r"index(?:-([1-9]\d*)-of-([1-9]\d*))?\.json")
_FIELDS: Mapping[str, type] = {
    "kind": str,
    "format": str,
    "key": str,
    "shard": list,
    "class_names": list,
    "image_shape": list,
    "total": list,
    "counts": list,
    "files": dict,
    "data": dict,
    "provenance": dict,
    "sorting": dict,
    "cost": dict,
}


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
        data: `config` (the `DataConfig` as plain values), `seed` and `fingerprint` of the real images behind
            it.
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
        """What a shard's own files have in their names: nothing where there is only one."""
        return "" if self.shard[1] == 1 else f"-{self.shard[0]}-of-{self.shard[1]}"

    @property
    def index_name(self) -> str:
        """Name of the index that this shard writes."""
        return f"index{self.suffix}.json"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they go into the index."""
        return {
            "kind": self.kind,
            "format": self.format,
            "key": self.key,
            "shard": list(self.shard),
            "class_names": list(self.class_names),
            "image_shape": list(self.image_shape),
            "total": list(self.total),
            "data": self.data,
            "provenance": self.provenance,
        }


def request_key(request: Mapping[str, Any]) -> str:
    """Hex SHA-256 (first 16 digits) of plain values: the `key` of the set that they determine."""
    text = json.dumps(request, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode())[:16]


def index_paths(folder: Path) -> list[Path]:
    """The files in a folder that are named like an index."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.glob("index*.json") if _INDEX.fullmatch(path.name))


def is_set(path: Path) -> bool:
    """Whether a folder is a set of gangda's own: whole, with shards missing, or with a damaged index.

    A folder with a damaged index counts, so that the reader refuses it: taken for class folders, its
    synthetic images would pass for real ones.
    """
    for candidate in index_paths(path):
        try:
            value = json.loads(candidate.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return True
        if isinstance(value, dict) and value.get("kind") in KINDS and "format_version" in value:
            return True
    return False


def read_index(path: Path) -> dict[str, Any]:
    """One index file, checked field by field.

    Raises:
        DataError: missing, damaged, of a newer format, or listing files outside the set.
    """
    index = read_json(path)
    for name, kind in _FIELDS.items():
        if not isinstance(index.get(name), kind):
            raise DataError(f"{path}: '{name}' is missing or damaged; make the set again")
    filtering = index.setdefault("filtering", {})  # sets without filters have none
    if not isinstance(filtering, dict) or (filtering and not {"drawn", "kept"} <= filtering.keys()):
        raise DataError(f"{path}: 'filtering' is damaged; make the set again")
    _check_values(path, index)
    for name, digest in index["files"].items():
        inside(path.parent, name)
        if not isinstance(digest, str):
            raise DataError(f"{path}: the hash of '{name}' is damaged; make the set again")
    return index


def _check_values(path: Path, index: Mapping[str, Any]) -> None:
    names, shape, shard = index["class_names"], index["image_shape"], index["shard"]
    columns = [index["total"], index["counts"], *index["sorting"].values(), *index["filtering"].values()]
    if not all(isinstance(column, list) and len(column) == len(names) for column in columns):
        raise DataError(f"{path}: its counts do not fit its classes; make the set again")
    whole = [*shape, *shard, *(number for column in columns for number in column)]
    right = (
        index["kind"] in KINDS
        and names
        and all(isinstance(name, str) for name in names)
        and all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in whole)
        and all(map(_is_text, [*names, *index["files"]]))
        and len(shape) == 3
        and shape[0] in (1, 3)
        and 0 < min(shape) <= max(shape) <= LARGEST
        and len(shard) == 2
        and 1 <= shard[0] <= shard[1]
    )
    if not right:
        raise DataError(f"{path}: classes, counts, shape or shard numbers are damaged; make the set again")


def _is_text(name: str) -> bool:
    """Whether a name can be printed and can be a file's: JSON also holds halves of characters."""
    try:
        return "\0" not in name and bool(name.encode())
    except UnicodeEncodeError:
        return False


def inside(folder: Path, name: str) -> Path:
    """The file called `name` in a set's folder.

    Raises:
        DataError: the name leads out of the folder, by `..`, an absolute path or a link.
    """
    path = folder / name
    parts = Path(name).parts
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
    return read_listed(inside(folder, name), digest, cure="make the set again")


def read_indices(folder: Path) -> list[dict[str, Any]]:
    """The indices of all shards of a set, in shard order.

    Raises:
        DataError: none there, shards missing, or shards of different sets.
    """
    paths = index_paths(folder)
    if not paths:
        raise DataError(f"{folder}: holds no index.json; not a sample set or augmented set of gangda's")
    indices = sorted((read_index(path) for path in paths), key=lambda index: int(index["shard"][0]))
    first = indices[0]
    for other in indices[1:]:
        differing = [name for name in SHARED if other.get(name) != first.get(name)]
        if differing or other["shard"][1] != first["shard"][1]:
            what = ", ".join(differing) or "number of shards"
            raise DataError(
                f"{folder}: its shards come from different commands (they differ in {what}); make them again"
            )
    _check_gaps(folder, [int(index["shard"][0]) for index in indices], int(first["shard"][1]))
    return indices


def _check_gaps(folder: Path, present: Sequence[int], of: int) -> None:
    missing = [str(i) for i in range(1, of + 1) if i not in present]
    if missing:
        shown = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
        raise DataError(
            f"{folder}: shards {shown} of {of} are not there yet; run the command again with --shard i/{of}"
        )
    if len(present) != of:
        raise DataError(f"{folder}: a shard is there twice; remove the folder and make the set again")


def unite(indices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One index for all shards: counts, sorting and filtering tallies added up, files together.

    Raises:
        DataError: the counts do not add up to the total.
    """
    first = indices[0]
    counts = [sum(column) for column in zip(*(index["counts"] for index in indices), strict=True)]
    if counts != first["total"]:
        raise DataError(
            f"the set's shards hold {counts} images per class instead of {first['total']}; make it again"
        )
    files = {name: digest for index in indices for name, digest in index["files"].items()}
    united = {name: first[name] for name in SHARED}
    return {
        **united,
        "shards": len(indices),
        "counts": counts,
        "files": files,
        "sorting": _added(indices, "sorting"),
        "filtering": _added(indices, "filtering"),
    }


def _added(indices: Sequence[Mapping[str, Any]], tallies: str) -> dict[str, list[int]]:
    """The sorting or filtering tallies, each per class, of all shards. Empty where nothing was sorted or filtered."""
    added: dict[str, list[int]] = {}
    for index in indices:
        for name, values in index.get(tallies, {}).items():
            before = added.get(name, [0] * len(values))
            added[name] = [a + b for a, b in zip(before, values, strict=True)]
    return added
