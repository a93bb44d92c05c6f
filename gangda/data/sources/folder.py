"""Folders of image files: one folder per class, with or without train/ and test/ above; or no classes.

The rules:
    - ROOT/CLASS/image, or ROOT/train/CLASS/image with ROOT/test/CLASS/image (also training, testing; val,
      valid and validation are merged into train). ROOT is split if its train/ holds folders, or if it holds
      nothing but folders of these names; else "train" is a class like any other.
    - Images straight in ROOT (or in ROOT/train and ROOT/test), and no folders: unlabelled. Images beside
      folders are refused, and so are images further down.
    - Classes are in the order of their sorted names, images in the order of theirs.
    - Hidden files and folders are passed over; files that do not end like an image are skipped and counted.
    - Symbolic links are followed, to files and to class folders, wherever they lead. The depth is fixed, so a
      loop cannot be entered; a link inside a class to a folder with images is refused as any such folder is.
    How pixels are made of a file is said in `pictures.py`.
"""

import itertools
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gangda.data.cache import cached
from gangda.data.images import IntArray
from gangda.data.sources.decode import EXTENSIONS, decode_all
from gangda.data.sources.raw import UNLABELLED, Decoded
from gangda.data.splits import check_class_names
from gangda.errors import DataError

_PARTS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "validation", "valid": "validation", "validation": "validation",
}  # fmt: skip
_ORDER = ("train", "validation", "test")


@dataclass(frozen=True)
class Group:
    """Image files of one folder, in order, their names in one text: a million paths would take a gigabyte.

    Attributes:
        folder: where they lie.
        count: how many they are; at least one.
        packed: their names, one after the other, with the one character between them that no name can hold.
    """

    folder: Path
    count: int
    packed: str

    @property
    def names(self) -> list[str]:
        """The names alone, made anew each time."""
        return self.packed.split("\0")


@dataclass(frozen=True)
class Files(Collection[Path]):
    """Image files by folder, in order."""

    groups: tuple[Group, ...] = ()

    def __len__(self) -> int:
        return sum(group.count for group in self.groups)

    def __iter__(self) -> Iterator[Path]:
        return (group.folder / name for group in self.groups for name in group.names)

    def __contains__(self, path: object) -> bool:
        return any(path == own for own in self)

    def __add__(self, other: "Files") -> "Files":
        return Files(self.groups + other.groups)

    @property
    def first(self) -> Path:
        """The first file; there must be one."""
        return next(iter(self))


@dataclass(frozen=True, eq=False)
class Listing:
    """The image files of a folder: training images first, by class, then test images.

    Attributes:
        files: all of them, in order; a file's position is its row id.
        labels: the class of each, int64 (N,).
        class_names: K names.
        num_train: how many of the files are for training; all of them where there is no test part.
        notes: what was skipped or merged.
    """

    files: Files
    labels: IntArray
    class_names: tuple[str, ...]
    num_train: int
    notes: tuple[str, ...]


def read(root: Path, image_size: int | None) -> Decoded:
    """The images of a folder at one size, decoded once and cached.

    Raises:
        DataError: no images, an empty class, images too deep, a file that cannot be decoded.
    """
    listing = list_images(root)

    def decode() -> Decoded:
        pixels, notes = decode_all(listing.files, image_size)
        tested = np.arange(listing.num_train, len(pixels)) if listing.num_train < len(pixels) else None
        return Decoded(pixels, listing.labels, listing.class_names, tested, (*listing.notes, *notes))

    return cached(manifest(root, listing), image_size, decode)


def manifest(root: Path, listing: Listing) -> Iterator[str]:
    """Lines that tell this folder's state from another: root, and name, label, size and time of each file."""
    yield str(root.resolve())
    yield repr((listing.class_names, listing.num_train, listing.notes))
    labels = iter(listing.labels)
    for group in listing.files.groups:
        folder = group.folder
        inside = "" if folder == root else f"{folder.relative_to(root)}/"
        for name in group.names:
            try:
                state = os.stat(f"{folder}/{name}")  # noqa: PTH116  (a Path each costs more than the call)
            except OSError as error:
                raise DataError(f"{folder / name}: cannot be read ({error.strerror}); run again") from None
            yield f"{inside}{name}\t{next(labels)}\t{state.st_size}\t{state.st_mtime_ns}"


def list_images(root: Path) -> Listing:
    """Find the images, their classes and their parts.

    Raises:
        DataError: as `read`, short of decoding.
    """
    folders, images, skipped = _look(root)
    if not folders:
        if not images:
            raise DataError(
                f"{root}: holds no images; expected class folders, images, or {{train,test}}/CLASS/ folders"
            )
        return _listing({"train": {UNLABELLED: images}}, skipped)
    _refuse_strays(root, images)
    if not _is_split(folders):
        classes, skipped_below = _classes(folders)
        return _listing({"train": classes}, skipped + skipped_below)
    parts: dict[str, dict[str, Files]] = {}
    for folder in folders:
        classes, skipped_below = _part(folder)
        skipped += skipped_below
        merged = parts.setdefault(_PARTS[folder.name.lower()], {})
        for name, files in classes.items():
            merged[name] = merged.get(name, Files()) + files
    return _listing(parts, skipped)


def _look(folder: Path) -> tuple[list[Path], Files, list[Path]]:
    """Folders, image files and other files straight inside, sorted by name; hidden ones left out."""
    found: tuple[list[str], list[str], list[str]] = ([], [], [])
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name == "__MACOSX":
                    continue
                # Of a link, the answers of a Path: to it, an endless one is neither file nor folder.
                real = folder / entry.name if entry.is_symlink() else entry
                kind = 0 if real.is_dir() else 1 if entry.name.lower().endswith(EXTENSIONS) else 2
                if kind == 1 and not real.is_file():
                    raise DataError(f"{folder / entry.name}: a link to nothing, or not a file; remove it")
                found[kind].append(entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from None
    folders, images, others = (sorted(names) for names in found)
    files = Files((Group(folder, len(images), "\0".join(images)),) if images else ())
    return [folder / name for name in folders], files, [folder / name for name in others]


def _is_split(folders: list[Path]) -> bool:
    """Whether the folders are train/, test/ and the like, rather than classes.

    Raises:
        DataError: train/ holds folders but has neighbours that are not splits.
    """
    training = [folder for folder in folders if _PARTS.get(folder.name.lower()) == "train"]
    strangers = [folder.name for folder in folders if folder.name.lower() not in _PARTS]
    if not training or (strangers and not any(_look(folder)[0] for folder in training)):
        return False
    if strangers:
        raise DataError(
            f"{training[0]}: holds folders, so it is a training split, but '{strangers[0]}' lies beside it; "
            "keep only train, validation and test there"
        )
    return True


def _refuse_strays(folder: Path, images: Files) -> None:
    if images:
        what = f"{len(images):,} images (such as {images.first.name})"
        raise DataError(f"{folder}: {what} lie beside folders; move them into a class folder or away")


def _part(folder: Path) -> tuple[dict[str, Files], list[Path]]:
    folders, images, skipped = _look(folder)
    if not folders:
        if not images:
            raise DataError(f"{folder}: holds no images; fill it or remove it")
        return {UNLABELLED: images}, skipped
    _refuse_strays(folder, images)
    classes, skipped_below = _classes(folders)
    return classes, skipped + skipped_below


def _classes(folders: list[Path]) -> tuple[dict[str, Files], list[Path]]:
    """Image files by class name, and what was skipped."""
    classes: dict[str, Files] = {}
    skipped: list[Path] = []
    for folder in folders:
        deeper, images, others = _look(folder)
        for inner in deeper:
            if _holds_images(inner):
                raise DataError(
                    f"{inner}: images lie one folder too deep; move them up into {folder}, "
                    f"or give --data {folder} if its folders are the classes"
                )
        if not images:
            raise DataError(f"{folder}: class '{folder.name}' has no images; fill the folder or remove it")
        classes[folder.name] = images
        skipped += others
    return classes, skipped


def _holds_images(folder: Path) -> bool:
    """Whether an image lies anywhere below; links to folders are not followed here."""
    return any(
        name.lower().endswith(EXTENSIONS) and not name.startswith(".")
        for _, _, names in os.walk(folder)
        for name in names
    )


def _listing(parts: dict[str, dict[str, Files]], skipped: list[Path]) -> Listing:
    names = check_class_names(sorted(parts["train"]), "folder")
    for part in ("validation", "test"):
        for name in parts.get(part, {}):
            if name not in parts["train"]:
                raise DataError(
                    f"{parts[part][name].first.parent}: class '{name}' has {part} images but no training images"
                )
    ordered = [[parts.get(part, {}).get(name, Files()) for name in names] for part in _ORDER]
    train, validation, _ = (sum(map(len, classes)) for classes in ordered)
    notes: tuple[str, ...] = ()
    if validation:
        notes += (f"{validation:,} validation images were merged into train",)
    if skipped:
        notes += (f"skipped {len(skipped):,} files that are not images, such as {skipped[0].name}",)
    everything = list(itertools.chain.from_iterable(ordered))
    counts = [len(files) for files in everything]
    return Listing(
        files=sum(everything, Files()),
        labels=np.repeat(np.tile(np.arange(len(names), dtype=np.int64), len(_ORDER)), counts),
        class_names=names,
        num_train=train + validation,
        notes=notes,
    )
