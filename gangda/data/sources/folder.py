"""Folders of image files: one folder per class, with or without train/ and test/ above; or no classes.

The rules:
    - ROOT/CLASS/image, or ROOT/train/CLASS/image with ROOT/test/CLASS/image (also training, testing; val, valid and
      validation are merged into train). ROOT is split if its train/ holds folders, or if it holds nothing but folders
      of these names; else "train" is a class like any other.
    - Images directly in ROOT (or in ROOT/train and ROOT/test), and no folders: unlabelled. Images beside folders are
      refused, and so are images further down.
    - Labels from a table beside the images, or from file names: see `labelled_files.py`.
    - Classes are in natural order (1, 2, 10), images in the order of their sorted names. Class names are brought to
      Unicode's composed form; two that differ only in case or blanks are refused, and names that are not UTF-8.
    - Symbolic links are followed, to files and to class folders, wherever they lead. The depth is fixed, so a loop
      cannot be entered; a link inside a class to a folder with images is refused as any such folder is.
What is an image: see `scan.py`. How a file becomes pixels: see `decode.py`.
"""

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gangda.config.schema import DataConfig
from gangda.data.archives import PACKED
from gangda.data.cache import cached
from gangda.data.class_names import check_class_names, in_natural_order, normalised, order_note, refuse_alike
from gangda.data.images import IntArray
from gangda.data.sources import file_names, labelled_files
from gangda.data.sources.decode import decode_all
from gangda.data.sources.raw import UNLABELLED, RawSource
from gangda.data.sources.scan import (
    PARTS,
    Content,
    Files,
    Skipped,
    reasons,
    scan,
    scan_all,
    skipped_notes,
)
from gangda.errors import DataError


@dataclass(frozen=True, eq=False)
class Listing:
    """The image files of a source: training images, by class, then test images; a file's position is its row id."""

    files: Files
    labels: IntArray  # int64 (N,)
    class_names: tuple[str, ...]
    num_train: int
    notes: tuple[str, ...]  # what was skipped or merged


def read(root: Path, config: DataConfig) -> RawSource:
    """The images of a folder, cached, read as `config` says.

    Raises DataError: none, too deep, an empty class, a broken file, labels that do not fit; UsageError: `group_by` or
    `labels` fit no name.
    """
    listing = list_images(root, config.labels)
    found = _read(root, listing, config)
    groups, notes = None, (*listing.notes, *found.notes)
    if config.group_by is None:
        notes += tuple(file_names.versions(listing.files, listing.num_train < len(listing.files)))
    else:
        groups = file_names.group_files(root, listing.files, config.group_by)
        groups = groups if found.broken is None else np.delete(groups, found.broken)
    return replace(found, notes=notes, groups=groups)


def read_unlabelled(root: Path, config: DataConfig) -> tuple[RawSource, Collection[Path]]:
    """All images at or below a folder, as `read`, in the order of their paths, and their files."""
    files, _ = scan_all(root)
    listing = Listing(files, np.zeros(len(files), dtype=np.int64), (UNLABELLED,), len(files), ())
    found = _read(root, listing, config)
    if found.broken is None:
        return found, files
    broken = set(found.broken.tolist())
    return found, [path for place, path in enumerate(files) if place not in broken]


def _read(root: Path, listing: Listing, config: DataConfig) -> RawSource:
    def decode() -> RawSource:
        found = decode_all(
            listing.files,
            config.image_size,
            listing.num_train,
            config.value_range,
            fit=config.fit,
            skip_broken=config.skip_broken,
        )
        broken = found.broken if len(found.broken) else None
        labels = listing.labels if broken is None else np.delete(listing.labels, broken)
        num_train = listing.num_train - int((found.broken < listing.num_train).sum())
        tested = np.arange(num_train, len(labels)) if num_train < len(labels) else None
        parts = (found.pixels, labels, listing.class_names, tested, found.notes, found.value_range)
        return RawSource(*parts, found.facts, broken=broken)

    how = repr((config.value_range, config.fit, config.skip_broken))
    return cached((*_manifest(root, listing), how), config.image_size, decode, not config.no_cache)


def _manifest(root: Path, listing: Listing) -> Iterator[str]:
    """Texts that change whenever the folder does: root, and name, label, size, times and inode of each file."""
    yield str(root.resolve())
    yield repr((listing.class_names, listing.num_train))
    labels = iter(listing.labels.tolist())
    for folder, names in listing.files.folders():
        lines = ["" if folder == root else str(folder.relative_to(root))]
        for name, label in zip(names, labels, strict=False):
            try:
                state = os.stat(f"{folder}/{name}")  # noqa: PTH116  (a Path each costs more than the call)
            except OSError as error:
                raise DataError(f"{folder / name}: cannot be read ({error.strerror}); run again") from None
            # Nobody can set the time of a change of state (ctime); archives set the others.
            times = f"{state.st_mtime_ns}\t{state.st_ctime_ns}\t{state.st_ino}"
            lines.append(f"{name}\t{label}\t{state.st_size}\t{times}")
        yield "\n".join(lines)


def list_images(root: Path, labels: str | None = None) -> Listing:
    """Find the images, their classes and their parts; `labels`: see `DataConfig`.

    Raises DataError: as `read`, except for decoding.
    """
    if labels not in (None, labelled_files.FOLDERS):
        return _listing(root, *labelled_files.by_labels(root, labels))
    found, unused = (None, []) if labels else labelled_files.find_table(root)
    if found is None:
        listing = _listing(root, *_by_folders(root))
        if unused and len(listing.class_names) == 1 and listing.class_names != (UNLABELLED,):
            raise DataError(
                f"{root}: has one class folder only ('{listing.class_names[0]}'), and {unused[0]}"
            )
        alarm = "ALARM: " * (listing.class_names == (UNLABELLED,))
        return replace(listing, notes=(*listing.notes, *(f"{alarm}{reason}" for reason in unused)))
    table, parts, notes = found
    beside = _listing(root, parts, notes)
    try:
        listing = _listing(root, *_by_folders(root))
    except DataError:
        return beside
    if len(listing.class_names) < 2 or table.name == labelled_files.STYLEGAN:
        return beside
    theirs = dict(zip(beside.files, (beside.class_names[label] for label in beside.labels), strict=True))
    for path, label in zip(listing.files, listing.labels, strict=True):
        own = listing.class_names[label]
        if theirs.get(path, own) != own:
            what = f"is of class '{own}' by its folder, but of '{theirs[path]}' in {table.name}"
            raise DataError(f"{path}: {what}; choose with --labels {table.name} or --labels folders")
    return listing


def _by_folders(root: Path) -> tuple[labelled_files.Parts, list[str]]:
    """The images of each class of each part, by the folders that they lie in; and notes."""
    content = scan(root)
    split = not content.images and _is_split(content.folders)
    skipped = list(content.skipped) if split else []
    parts: labelled_files.Parts = {}
    spellings: dict[str, set[str]] = {}
    notes = _several_folders(content.folders) if split else []
    for folder in content.folders if split else [root]:
        kind = PARTS[folder.name.lower()] if split else "train"
        part = parts.setdefault(kind, {})
        for own, files in _classes(folder, scan(folder) if split else content, skipped, kind).items():
            name = normalised(own)
            spellings.setdefault(name, set()).add(own)
            part[name] = part.get(name, Files()) + files
    several = [name for name, own in spellings.items() if own != {name}]
    notes += [f"class '{name}': its Unicode spellings are taken as one" for name in several]
    return parts, [*skipped_notes(skipped), *notes, *labelled_files.hint(parts)]


def _several_folders(folders: list[Path]) -> list[str]:
    """Which folders are taken together as one part, where they are two names for it."""
    names: dict[str, list[str]] = {}
    for folder in folders:
        names.setdefault(PARTS[folder.name.lower()], []).append(folder.name)
    return [f"{' and '.join(each)} are taken together" for each in names.values() if len(each) > 1]


def _listing(root: Path, parts: labelled_files.Parts, found: list[str]) -> Listing:
    """All parts in one list. Raises DataError: classes of the parts that do not fit together."""
    _check_parts(root, parts)
    names = check_class_names(in_natural_order(parts["train"]), str(root))
    kinds = ("train", "validation", "test")
    groups = [[parts.get(kind, {}).get(name, Files()) for name in names] for kind in kinds]
    counts = np.array([[len(files) for files in group] for group in groups])
    notes = [*order_note(names), *found]
    if counts[1].any():
        notes.append(f"{counts[1].sum():,} validation images were merged into train")
    files = Files(tuple(packed for group in groups for part in group for packed in part.packed))
    notes += file_names.doubts(files, bool(counts[2].any()))
    return Listing(
        files=files,
        labels=np.repeat(np.tile(np.arange(len(names), dtype=np.int64), len(groups)), counts.ravel()),
        class_names=names,
        num_train=int(counts[:2].sum()),
        notes=tuple(notes),
    )


def _check_parts(root: Path, parts: labelled_files.Parts) -> None:
    """A DataError where the parts' classes do not fit together."""
    refuse_alike((name for part in parts.values() for name in part), str(root))
    if "train" not in parts:
        raise DataError(f"{root}: holds no training images; give --data the folder above, or other labels")
    for kind in ("validation", "test"):
        for name in sorted(parts.get(kind, {}).keys() - parts["train"].keys()):
            if name == UNLABELLED:
                cure = f"to leave them out, give --data {root / 'train'}; labels in a table: --labels FILE"
                raise DataError(f"{root}: its {kind} images have no class folders, so no labels; {cure}")
            raise DataError(f"{root}: class '{name}' has {kind} images but no training images")


def _is_split(folders: list[Path]) -> bool:
    """Whether the folders are train/, test/ and the like, rather than classes."""
    training = [folder for folder in folders if PARTS.get(folder.name.lower()) == "train"]
    strangers = [folder.name for folder in folders if folder.name.lower() not in PARTS]
    if not training or (strangers and not any(scan(folder).folders for folder in training)):
        return False
    if strangers:
        what = f"holds folders, so it is a training split, but '{strangers[0]}' lies beside it"
        raise DataError(f"{training[0]}: {what}; keep only train, validation and test there")
    return True


def _classes(folder: Path, content: Content, skipped: Skipped, kind: str) -> dict[str, Files]:
    """The images of a folder by class name; what is passed over is added to `skipped`."""
    skipped += content.skipped
    if not content.folders and not content.images:
        what = f"no images{reasons(content.skipped)}"
        packed = [path for _, path in content.skipped if path.name.lower().endswith(PACKED)]
        cure = f"unpack {packed[0].name}, or " if packed else ""
        raise DataError(
            f"{folder}: {what}; {cure}give class folders, images or {{train,test}}/CLASS/ folders"
        )
    if not content.folders:
        return {UNLABELLED: content.images}
    if content.images:
        what = (
            f"beside folders lie images ({len(content.images):,}, such as {next(iter(content.images)).name})"
        )
        raise DataError(f"{folder}: {what}; move them into a class folder or away")
    classes: dict[str, Files] = {}
    for own in content.folders:
        inside = scan(own)
        deep = next((inner for inner in inside.folders if _holds_images(inner)), None)
        if deep is not None:
            raise DataError(f"{deep}: images lie one folder too deep; {_cure(folder, own, deep)}")
        if not inside.images and kind == "train":
            what = f"class '{own.name}' has no images{reasons(inside.skipped)}"
            raise DataError(f"{own}: {what}; fill the folder or remove it")
        classes[own.name] = inside.images
        skipped += inside.skipped
    return classes


def _cure(folder: Path, own: Path, deep: Path) -> str:
    """What to do about images in a folder `deep` inside what was taken for the class folder `own`."""
    if deep.is_symlink():
        return f"it is a link to {deep.resolve()}: remove it"
    if deep.name.lower() in PARTS:
        wanted = folder / deep.name / own.name
        return f"train and test go above the classes: move them to {wanted}, and so all others"
    if own.name.lower() in PARTS:
        return f"{folder} has no folder train beside {own.name}; call that of the training images train"
    cure = f"move them up into {own}, or give --data {own} if its folders are the classes"
    if part := re.match(r"(train|test|val)(?![a-z])|.*[^a-z](train|test|val)$", own.name.lower()):
        called = part[1] or part[2]
        return f"rename {own.name} to {called} if it holds the {called} images of all classes; else {cure}"
    return cure


def _holds_images(folder: Path) -> bool:
    """Whether an image lies anywhere below; links to folders are not followed here."""
    content = scan(folder)
    return bool(content.images) or any(
        _holds_images(inner) for inner in content.folders if not inner.is_symlink()
    )
