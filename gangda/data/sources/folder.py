"""Folders of image files: one folder per class, with or without train/ and test/ above; or no classes.

The rules:
    - ROOT/CLASS/image, or ROOT/train/CLASS/image with ROOT/test/CLASS/image (also training, testing; val, valid and
      validation are merged into train). ROOT is split if its train/ holds folders, or if it holds nothing but folders
      of these names; else "train" is a class like any other.
    - Images directly in ROOT (or in ROOT/train and ROOT/test), and no folders: unlabelled. Images beside folders are
      refused, and so are images further down.
    - Classes are in the order of their sorted names, images in the order of theirs.
    - Hidden files and folders are ignored; files without an image's extension are skipped and counted.
    - Symbolic links are followed, to files and to class folders, wherever they lead. The depth is fixed, so a loop
      cannot be entered; a link inside a class to a folder with images is refused as any such folder is.
How a file becomes pixels: see `decode.py`.
"""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gangda.data.cache import cached
from gangda.data.images import IntArray
from gangda.data.sources.decode import EXTENSIONS, decode_all
from gangda.data.sources.raw import UNLABELLED, RawSource
from gangda.data.splits import check_class_names
from gangda.errors import DataError

_PARTS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "validation", "valid": "validation", "validation": "validation",
}  # fmt: skip


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
    """What lies directly in a folder, sorted by name; hidden files and folders are left out."""

    folders: list[Path]
    images: Files
    others: list[Path]


@dataclass(frozen=True, eq=False)
class Listing:
    """The image files of a source: training images, by class, then test images; a file's position is its row id."""

    files: Files
    labels: IntArray  # int64 (N,)
    class_names: tuple[str, ...]
    num_train: int
    notes: tuple[str, ...]  # what was skipped or merged


def read(root: Path, image_size: int | None) -> RawSource:
    """The images of a folder, cached; a DataError: none, too deep, an empty class, or a file that cannot be decoded."""
    return _read(root, list_images(root), image_size)


def read_unlabelled(root: Path, image_size: int) -> tuple[RawSource, Files]:
    """All images at or below a folder, cached, in the order of their paths, and their files; a DataError as `read`."""
    listing = _list_all(root)
    return _read(root, listing, image_size), listing.files


def _read(root: Path, listing: Listing, image_size: int | None) -> RawSource:
    def decode() -> RawSource:
        pixels, notes = decode_all(listing.files, image_size)
        tested = np.arange(listing.num_train, len(pixels)) if listing.num_train < len(pixels) else None
        return RawSource(pixels, listing.labels, listing.class_names, tested, (*listing.notes, *notes))

    return cached(_manifest(root, listing), image_size, decode)


def _manifest(root: Path, listing: Listing) -> Iterator[str]:
    """Lines that change whenever the folder does: root, and name, label, size and time of each file."""
    yield str(root.resolve())
    yield repr((listing.class_names, listing.num_train, listing.notes))
    labels = iter(listing.labels)
    for folder, names in listing.files.folders():
        inside = "" if folder == root else f"{folder.relative_to(root)}/"
        for name in names:
            try:
                state = os.stat(f"{folder}/{name}")  # noqa: PTH116  (a Path each costs more than the call)
            except OSError as error:
                raise DataError(f"{folder / name}: cannot be read ({error.strerror}); run again") from None
            yield f"{inside}{name}\t{next(labels)}\t{state.st_size}\t{state.st_mtime_ns}"


def list_images(root: Path) -> Listing:
    """Find the images, their classes and their parts. Raises DataError: as `read`, except for decoding."""
    content = _scan(root)
    split = not content.images and _is_split(content.folders)
    skipped = list(content.others) if split else []
    parts: dict[str, dict[str, Files]] = {}
    for folder in content.folders if split else [root]:
        part = parts.setdefault(_PARTS[folder.name.lower()] if split else "train", {})
        for name, files in _classes(folder, _scan(folder) if split else content, skipped).items():
            part[name] = part.get(name, Files()) + files
    names = check_class_names(sorted(parts["train"]), "folder")
    for kind in ("validation", "test"):
        for name in sorted(parts.get(kind, {}).keys() - set(names)):
            raise DataError(f"{root}: class '{name}' has {kind} images but no training images")
    kinds = ("train", "validation", "test")
    groups = [[parts.get(kind, {}).get(name, Files()) for name in names] for kind in kinds]
    counts = np.array([[len(files) for files in group] for group in groups])
    notes = []
    if counts[1].any():
        notes.append(f"{counts[1].sum():,} validation images were merged into train")
    if skipped:
        notes.append(f"skipped {len(skipped):,} files that are not images, such as {skipped[0].name}")
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
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        packed += _scan(Path(place)).images.packed
    files = Files(tuple(packed))
    if not len(files):
        raise DataError(
            f"{root}: no images at or below it; their names end in {', '.join(EXTENSIONS[:4])}, ..."
        )
    return Listing(files, np.zeros(len(files), dtype=np.int64), (UNLABELLED,), len(files), ())


def _scan(folder: Path) -> _Content:
    found: tuple[list[str], list[str], list[str]] = ([], [], [])
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name == "__MACOSX":
                    continue
                # For a link, ask the Path: an endless link is then neither a file nor a folder.
                real = folder / entry.name if entry.is_symlink() else entry
                kind = 0 if real.is_dir() else 1 if entry.name.lower().endswith(EXTENSIONS) else 2
                if kind == 1 and not real.is_file():
                    raise DataError(f"{folder / entry.name}: a link to nothing, or not a file; remove it")
                found[kind].append(entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from None
    folders, images, others = (sorted(names) for names in found)
    return _Content(
        [folder / name for name in folders],
        Files(((folder, "\0".join(images)),) if images else ()),
        [folder / name for name in others],
    )


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


def _classes(folder: Path, content: _Content, skipped: list[Path]) -> dict[str, Files]:
    """The images of a folder by class name; files that are not images are added to `skipped`."""
    skipped += content.others
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
        if not inside.images:
            raise DataError(f"{own}: class '{own.name}' has no images; fill the folder or remove it")
        classes[own.name] = inside.images
        skipped += inside.others
    return classes


def _holds_images(folder: Path) -> bool:
    """Whether an image lies anywhere below; links to folders are not followed here."""
    names = (name for _, _, names in os.walk(folder) for name in names)
    return any(name.lower().endswith(EXTENSIONS) and not name.startswith(".") for name in names)
