"""Folders of image files: one folder per class, with or without train/ and test/ above; or no classes.

The rules:
    - ROOT/CLASS/image, or ROOT/train/CLASS/image with ROOT/test/CLASS/image (also training, testing; val, valid and
      validation are merged into train). ROOT is split if its train/ holds folders, or if it holds nothing but folders
      of these names; else "train" is a class like any other.
    - Images directly in ROOT (or in ROOT/train and ROOT/test), and no folders: unlabelled. Images beside folders are
      refused, and so are images further down.
    - Classes are in natural order (1, 2, 10), images in the order of their sorted names. Class names are brought to
      Unicode's composed form; two that differ only in case or blanks are refused, and names that are not UTF-8.
    - A file is an image by its extension, or by its first bytes. Others are skipped and counted; so are hidden files,
      what systems leave behind (`JUNK`), links to nothing, and folders that gangda wrote.
    - Symbolic links are followed, to files and to class folders, wherever they lead. The depth is fixed, so a loop
      cannot be entered; a link inside a class to a folder with images is refused as any such folder is.
How a file becomes pixels: see `decode.py`.
"""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gangda.data.cache import cached
from gangda.data.class_names import (
    check_class_names,
    in_natural_order,
    normalised,
    order_note,
    refuse_alike,
)
from gangda.data.images import IntArray
from gangda.data.own_output import is_own_output
from gangda.data.sources.decode import EXTENSIONS, decode_all, is_image
from gangda.data.sources.raw import UNLABELLED, RawSource
from gangda.data.values import Span
from gangda.errors import DataError, UsageError

_PARTS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "validation", "valid": "validation", "validation": "validation",
}  # fmt: skip
# What file managers, notebooks and file systems leave behind.
JUNK = frozenset(
    {"__MACOSX", "Thumbs.db", "ehthumbs.db", "desktop.ini", "@eaDir", "lost+found", "$RECYCLE.BIN"}
)


@dataclass(frozen=True)
class Files(Collection[Path]):
    """Image files in order, kept compactly: a million paths would take a gigabyte."""

    # each folder and its file names in one string, joined by NUL, which no name can hold
    packed: tuple[tuple[Path, str], ...] = ()

    def folders(self) -> Iterator[tuple[Path, list[str]]]:
        """Each folder and its file names."""
        return ((folder, names.split("\0")) for folder, names in self.packed)

    def __len__(self) -> int:
        return sum(names.count("\0") + 1 for _, names in self.packed)

    def __iter__(self) -> Iterator[Path]:
        return (folder / name for folder, names in self.folders() for name in names)

    def __contains__(self, path: object) -> bool:
        return any(path == own for own in self)

    def __add__(self, other: "Files") -> "Files":
        return Files(self.packed + other.packed)


class _Content(NamedTuple):
    """What lies directly in a folder, sorted by name."""

    folders: list[Path]
    images: Files
    skipped: list[tuple[str, Path]]  # why, and what


@dataclass(frozen=True, eq=False)
class Listing:
    """The image files of a source: training images, by class, then test images; a file's position is its row id."""

    files: Files
    labels: IntArray  # int64 (N,)
    class_names: tuple[str, ...]
    num_train: int
    notes: tuple[str, ...]  # what was skipped or merged


def read(
    root: Path,
    image_size: int | None,
    given: Span | None = None,
    group_by: str | None = None,
    cache: bool = True,
) -> RawSource:
    """The images of a folder, cached.

    `given`: values that become 0 and 255 in files of more than 8 bits; `group_by`: see `DataConfig`.
    Raises DataError: none, too deep, an empty class, a broken file; UsageError: `group_by` fits no name.
    """
    listing = list_images(root)
    found = _read(root, listing, image_size, given, cache)
    groups = None if group_by is None else group_files(listing.files, group_by)
    return replace(found, notes=(*listing.notes, *found.notes), groups=groups)


def read_unlabelled(root: Path, image_size: int) -> tuple[RawSource, Files]:
    """All images at or below a folder, cached, in the order of their paths, and their files; a DataError as `read`."""
    listing = _list_all(root)
    return _read(root, listing, image_size), listing.files


def _read(
    root: Path, listing: Listing, image_size: int | None, given: Span | None = None, cache: bool = True
) -> RawSource:
    def decode() -> RawSource:
        pixels, notes, value_range, facts = decode_all(listing.files, image_size, listing.num_train, given)
        tested = np.arange(listing.num_train, len(pixels)) if listing.num_train < len(pixels) else None
        return RawSource(pixels, listing.labels, listing.class_names, tested, notes, value_range, facts)

    return cached((*_manifest(root, listing), repr(given)), image_size, decode, cache)


def group_files(files: Iterable[Path], pattern: str) -> IntArray:
    """A number for each file, int64 (N,): equal where the first group of `pattern` is; the others have their own."""
    compiled, groups = re.compile(pattern), list[int]()
    numbers: dict[str | tuple[str, int], int] = {}
    for path in files:
        match = compiled.search(path.name)
        key = (path.name, len(groups)) if match is None or match[1] is None else match[1]
        groups.append(numbers.setdefault(key, len(numbers)))
    if all(isinstance(key, tuple) for key in numbers):
        raise UsageError(f"--group-by '{pattern}': fits no file name, such as {path.name}")
    return np.array(groups, dtype=np.int64)


def _manifest(root: Path, listing: Listing) -> Iterator[str]:
    """Lines that change whenever the folder does: root, and name, label, size, times and inode of each file."""
    yield str(root.resolve())
    yield repr((listing.class_names, listing.num_train))
    labels = iter(listing.labels)
    for folder, names in listing.files.folders():
        inside = "" if folder == root else f"{folder.relative_to(root)}/"
        for name in names:
            try:
                state = os.stat(f"{folder}/{name}")  # noqa: PTH116  (a Path each costs more than the call)
            except OSError as error:
                raise DataError(f"{folder / name}: cannot be read ({error.strerror}); run again") from None
            # Nobody can set the time of a change of state (ctime); archives set the others.
            times = f"{state.st_mtime_ns}\t{state.st_ctime_ns}\t{state.st_ino}"
            yield f"{inside}{name}\t{next(labels)}\t{state.st_size}\t{times}"


def list_images(root: Path) -> Listing:
    """Find the images, their classes and their parts. Raises DataError: as `read`, except for decoding."""
    content = _scan(root)
    split = not content.images and _is_split(content.folders)
    skipped = list(content.skipped) if split else []
    parts: dict[str, dict[str, Files]] = {}
    spellings: Counter[str] = Counter()
    for folder in content.folders if split else [root]:
        kind = _PARTS[folder.name.lower()] if split else "train"
        part = parts.setdefault(kind, {})
        for own, files in _classes(folder, _scan(folder) if split else content, skipped, kind).items():
            name = normalised(own)
            spellings[name] += name != own
            part[name] = part.get(name, Files()) + files
    _check_parts(root, parts)
    names = check_class_names(in_natural_order(parts["train"]), "folder")
    kinds = ("train", "validation", "test")
    groups = [[parts.get(kind, {}).get(name, Files()) for name in names] for kind in kinds]
    counts = np.array([[len(files) for files in group] for group in groups])
    notes = [*order_note(names), *_skipped_notes(skipped)]
    notes += [f"class '{name}': its Unicode spellings are taken as one" for name in +spellings]
    if counts[1].any():
        notes.append(f"{counts[1].sum():,} validation images were merged into train")
    return Listing(
        files=sum((files for group in groups for files in group), Files()),
        labels=np.repeat(np.tile(np.arange(len(names), dtype=np.int64), len(groups)), counts.ravel()),
        class_names=names,
        num_train=int(counts[:2].sum()),
        notes=tuple(notes),
    )


def _list_all(root: Path) -> Listing:
    """The image files at or below a folder, whatever the folders mean; links to folders are not followed."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}); check its permissions")

    if not root.is_dir():
        raise DataError(f"{root}: no such folder; check the path")
    packed: list[tuple[Path, str]] = []
    for place, folders, _ in os.walk(root, onerror=refuse):
        content = _scan(Path(place))
        folders[:] = [path.name for path in content.folders if not path.is_symlink()]
        packed += content.images.packed
    files = Files(tuple(packed))
    if not len(files):
        raise DataError(
            f"{root}: no images at or below it; their names end in {', '.join(EXTENSIONS[:4])}, ..."
        )
    return Listing(files, np.zeros(len(files), dtype=np.int64), (UNLABELLED,), len(files), ())


def _check_parts(root: Path, parts: dict[str, dict[str, Files]]) -> None:
    """A DataError where the parts' classes do not fit together."""
    refuse_alike((name for part in parts.values() for name in part), str(root))
    for kind in ("validation", "test"):
        for name in sorted(parts.get(kind, {}).keys() - parts["train"].keys()):
            if name == UNLABELLED:
                cure = "sort them into class folders, or leave them out: give the folder of training images"
                raise DataError(f"{root}: its {kind} images have no class folders, so no labels; {cure}")
            raise DataError(f"{root}: class '{name}' has {kind} images but no training images")


def _skipped_notes(skipped: list[tuple[str, Path]]) -> Iterator[str]:
    """What was passed over, counted by the reason."""
    for reason in dict.fromkeys(reason for reason, _ in skipped):
        paths = [path for why, path in skipped if why == reason]
        yield f"skipped {len(paths):,} {reason}, such as {paths[0].name}"


def _scan(folder: Path) -> _Content:
    found: tuple[list[str], list[str]] = ([], [])
    skipped: list[tuple[str, Path]] = []
    foreign: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.isprintable() and any("\udc80" <= char <= "\udcff" for char in entry.name):
                    foreign.append(entry.name)
                elif reason := _why_skipped(folder, entry):
                    skipped.append((reason, folder / entry.name))
                else:
                    found[0 if entry.is_dir() else 1].append(entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from None
    if foreign:
        shown = os.fsencode(min(foreign)).decode("utf-8", "backslashreplace")
        raise DataError(f"{folder}: {len(foreign):,} names are not UTF-8, such as {shown}; rename them")
    folders, images = (sorted(names) for names in found)
    return _Content(
        [folder / name for name in folders],
        Files(((folder, "\0".join(images)),) if images else ()),
        sorted(skipped),
    )


def _why_skipped(folder: Path, entry: os.DirEntry[str]) -> str | None:
    """Why an entry is passed over; None for images and folders."""
    path = folder / entry.name
    if entry.name in JUNK or entry.name.startswith("."):
        return "hidden files, or left behind by the system"
    # For a link, ask the Path: an endless link is then neither a file nor a folder.
    real = path if entry.is_symlink() else entry
    if real.is_dir():
        return "folders that gangda wrote" if is_own_output(path) else None
    if not real.is_file():
        return "links to nothing" if entry.is_symlink() else "that are not files"
    if entry.name.lower().endswith(EXTENSIONS) or is_image(path):
        return None
    return "files that are not images"


def _is_split(folders: list[Path]) -> bool:
    """Whether the folders are train/, test/ and the like, rather than classes."""
    training = [folder for folder in folders if _PARTS.get(folder.name.lower()) == "train"]
    strangers = [folder.name for folder in folders if folder.name.lower() not in _PARTS]
    if not training or (strangers and not any(_scan(folder).folders for folder in training)):
        return False
    if strangers:
        what = f"holds folders, so it is a training split, but '{strangers[0]}' lies beside it"
        raise DataError(f"{training[0]}: {what}; keep only train, validation and test there")
    return True


def _classes(folder: Path, content: _Content, skipped: list[tuple[str, Path]], kind: str) -> dict[str, Files]:
    """The images of a folder by class name; what is passed over is added to `skipped`."""
    skipped += content.skipped
    if not content.folders and not content.images:
        raise DataError(f"{folder}: no images; give class folders, images or {{train,test}}/CLASS/ folders")
    if not content.folders:
        return {UNLABELLED: content.images}
    if content.images:
        what = f"{len(content.images):,} images (such as {next(iter(content.images)).name})"
        raise DataError(f"{folder}: {what} lie beside folders; move them into a class folder or away")
    classes: dict[str, Files] = {}
    for own in content.folders:
        inside = _scan(own)
        deep = next((inner for inner in inside.folders if _holds_images(inner)), None)
        if deep is not None:
            cure = f"move them up into {own}, or give --data {own} if its folders are the classes"
            raise DataError(f"{deep}: images lie one folder too deep; {cure}")
        if not inside.images and kind == "train":
            raise DataError(f"{own}: class '{own.name}' has no images; fill the folder or remove it")
        classes[own.name] = inside.images
        skipped += inside.skipped
    return classes


def _holds_images(folder: Path) -> bool:
    """Whether an image lies anywhere below; links to folders are not followed here."""
    names = (name for _, _, names in os.walk(folder) for name in names)
    return any(name.lower().endswith(EXTENSIONS) and not name.startswith(".") for name in names)
