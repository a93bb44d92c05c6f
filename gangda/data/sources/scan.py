"""Image files below a folder: which they are, what is passed over and why.

A file is an image by its extension, or by its first bytes. Others are skipped and counted; so are images of kinds that
Pillow cannot read here, hidden files, what systems leave behind (`JUNK`), links to nothing, and folders that gangda
wrote. Names that are not UTF-8 are refused.
"""

import os
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gangda.data.class_names import first_of
from gangda.data.own_output import is_own_output
from gangda.data.sources.image_kinds import EXTENSIONS, UNREADABLE, kind_by_content
from gangda.errors import DataError

# What file managers, notebooks and file systems leave behind.
JUNK = frozenset(
    {"__MACOSX", "Thumbs.db", "ehthumbs.db", "desktop.ini", "@eaDir", "lost+found", "$RECYCLE.BIN"}
)
PARTS = {
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


Skipped = list[tuple[str, Path]]  # why, and what


class Content(NamedTuple):
    """What lies directly in a folder, sorted by name."""

    folders: list[Path]
    images: Files
    skipped: Skipped


def scan(folder: Path) -> Content:
    """What lies directly in a folder. Raises DataError: it cannot be read, or names that are not UTF-8."""
    found: tuple[list[str], list[str]] = ([], [])
    skipped: Skipped = []
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
        raw = os.fsencode(min(foreign))
        shown, cure = raw.decode("utf-8", "backslashreplace"), "rename them"
        if sys.getfilesystemencoding() != "utf-8":
            cure = "set a UTF-8 locale, such as LC_ALL=C.UTF-8, or PYTHONUTF8=1"
        what = f"{len(foreign):,} names are not {sys.getfilesystemencoding().upper()}"
        raise DataError(f"{folder}: {what}, such as {shown}; {cure}")
    folders, images = (sorted(names) for names in found)
    return Content(
        [folder / name for name in folders],
        Files(((folder, "\0".join(images)),) if images else ()),
        sorted(skipped),
    )


def scan_all(root: Path) -> tuple[Files, Skipped]:
    """The image files at or below a folder, whatever the folders mean; links to folders are not followed."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}); check its permissions")

    if not root.is_dir():
        raise DataError(f"{root}: no such folder; check the path")
    packed: list[tuple[Path, str]] = []
    skipped: Skipped = []
    for place, folders, _ in os.walk(root, onerror=refuse):
        content = scan(Path(place))
        folders[:] = [path.name for path in content.folders if not path.is_symlink()]
        packed += content.images.packed
        skipped += content.skipped
    files = Files(tuple(packed))
    if not len(files):
        known = f"their names end in {', '.join(EXTENSIONS[:4])}, ..."
        raise DataError(f"{root}: no images at or below it; {known}{reasons(skipped)}")
    return files, skipped


def below(root: Path, path: Path) -> str:
    """The path of a file from `root`, with slashes; of a file elsewhere, its whole path."""
    start = "" if root == Path() else os.path.join(root, "")  # noqa: PTH118  (a Path each costs more than the call)
    return str(path).removeprefix(start).replace(os.sep, "/")


def skipped_notes(skipped: Skipped) -> Iterator[str]:
    """What was passed over, counted by the reason; of images that cannot be read, how many of each folder."""
    for reason in dict.fromkeys(reason for reason, _ in skipped):
        paths = [path for why, path in skipped if why == reason]
        if reason in UNREADABLE.values():
            yield f"ALARM: skipped {len(paths):,}: {reason} ({by_folder(paths)})"
        else:
            yield f"skipped {len(paths):,}: {reason}, such as {paths[0].name}"


def reasons(skipped: Skipped) -> str:
    """In words, behind "no images": what else there is."""
    counts = Counter(reason for reason, _ in skipped)
    return (
        f" (skipped: {', '.join(f'{count:,} {reason}' for reason, count in counts.items())})"
        if counts
        else ""
    )


def by_folder(paths: Sequence[Path]) -> str:
    """How many of these files lie in which folder, as in "a: 3, b: 12"."""
    counts = Counter(path.parent.name for path in paths)
    return first_of([f"{name}: {count:,}" for name, count in sorted(counts.items())])


def _why_skipped(folder: Path, entry: os.DirEntry[str]) -> str | None:
    """Why an entry is passed over; None for images and folders."""
    if entry.name in JUNK or entry.name.startswith("."):
        return "hidden files, or left behind by the system"
    # Not os.path.splitext, nor a Path: with 10^5 files each microsecond counts.
    suffix = entry.name[entry.name.rfind(".") :].lower()
    if suffix in EXTENSIONS and not entry.is_symlink() and entry.is_file():
        return None
    # For a link, ask the Path: an endless link is then neither a file nor a folder.
    real = folder / entry.name if entry.is_symlink() else entry
    if real.is_dir():
        return "folders that gangda wrote" if is_own_output(folder / entry.name) else None
    if not real.is_file():
        return "links to nothing" if entry.is_symlink() else "neither files nor folders"
    if suffix in EXTENSIONS:
        return None
    kind = suffix if suffix in UNREADABLE else kind_by_content(folder / entry.name)
    return "files that are not images" if kind is None else UNREADABLE.get(kind)
