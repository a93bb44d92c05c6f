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

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gangda.data.cache import cached
from gangda.data.decoded import UNLABELLED, Decoded
from gangda.data.pictures import EXTENSIONS, decode_all
from gangda.data.splits import check_class_names
from gangda.errors import DataError

_PARTS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "validation", "valid": "validation", "validation": "validation",
}  # fmt: skip


@dataclass(frozen=True)
class Listing:
    """The image files of a folder: training images first, by class, then test images.

    Attributes:
        files: all of them, in order; a file's position is its row id.
        labels: the class of each.
        class_names: K names.
        num_train: how many of the files are for training; all of them where there is no test part.
        notes: what was skipped or merged.
    """

    files: tuple[Path, ...]
    labels: tuple[int, ...]
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
        labels = np.array(listing.labels, dtype=np.int64)
        return Decoded(pixels, labels, listing.class_names, tested, (*listing.notes, *notes))

    return cached(manifest(root, listing), image_size, decode)


def manifest(root: Path, listing: Listing) -> str:
    """What tells this folder's state from another: root, and name, label, size and time of each file."""
    lines = [str(root.resolve()), repr((listing.class_names, listing.num_train, listing.notes))]
    for path, label in zip(listing.files, listing.labels, strict=True):
        try:
            state = path.stat()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); run again") from None
        lines.append(f"{path.relative_to(root)}\t{label}\t{state.st_size}\t{state.st_mtime_ns}")
    return "\n".join(lines)


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
    parts: dict[str, dict[str, list[Path]]] = {}
    for folder in folders:
        classes, skipped_below = _part(folder)
        skipped += skipped_below
        merged = parts.setdefault(_PARTS[folder.name.lower()], {})
        for name, files in classes.items():
            merged.setdefault(name, []).extend(files)
    return _listing(parts, skipped)


def _look(folder: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """Folders, image files and other files straight inside, sorted by name; hidden ones left out."""
    found: tuple[list[Path], list[Path], list[Path]] = ([], [], [])
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name == "__MACOSX":
                    continue
                path = folder / entry.name
                is_folder = path.is_dir() if entry.is_symlink() else entry.is_dir()  # False for endless links
                kind = 0 if is_folder else 1 if entry.name.lower().endswith(EXTENSIONS) else 2
                if kind == 1 and not path.is_file():
                    raise DataError(f"{path}: a link to nothing, or not a file; remove it")
                found[kind].append(path)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from None
    for kind_found in found:
        kind_found.sort(key=lambda path: path.name)
    return found


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


def _refuse_strays(folder: Path, images: list[Path]) -> None:
    if images:
        what = f"{len(images):,} images (such as {images[0].name})"
        raise DataError(f"{folder}: {what} lie beside folders; move them into a class folder or away")


def _part(folder: Path) -> tuple[dict[str, list[Path]], list[Path]]:
    folders, images, skipped = _look(folder)
    if not folders:
        if not images:
            raise DataError(f"{folder}: holds no images; fill it or remove it")
        return {UNLABELLED: images}, skipped
    _refuse_strays(folder, images)
    classes, skipped_below = _classes(folders)
    return classes, skipped + skipped_below


def _classes(folders: list[Path]) -> tuple[dict[str, list[Path]], list[Path]]:
    """Image files by class name, and what was skipped."""
    classes: dict[str, list[Path]] = {}
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


def _listing(parts: dict[str, dict[str, list[Path]]], skipped: list[Path]) -> Listing:
    names = check_class_names(sorted(parts["train"]), "folder")
    for part in ("validation", "test"):
        for name in parts.get(part, {}):
            if name not in parts["train"]:
                raise DataError(
                    f"{parts[part][name][0].parent}: class '{name}' has {part} images but no training images"
                )
    ordered: dict[str, list[tuple[Path, int]]] = {part: [] for part in ("train", "validation", "test")}
    for part, classes in parts.items():
        ordered[part] = [(path, label) for label, name in enumerate(names) for path in classes.get(name, [])]
    notes: tuple[str, ...] = ()
    if ordered["validation"]:
        notes += (f"{len(ordered['validation']):,} validation images were merged into train",)
    if skipped:
        notes += (f"skipped {len(skipped):,} files that are not images, such as {skipped[0].name}",)
    everything = ordered["train"] + ordered["validation"] + ordered["test"]
    return Listing(
        files=tuple(path for path, _ in everything),
        labels=tuple(label for _, label in everything),
        class_names=names,
        num_train=len(ordered["train"]) + len(ordered["validation"]),
        notes=notes,
    )
