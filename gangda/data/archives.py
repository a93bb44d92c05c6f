"""zip and tar files as `--data`: unpacked into the cache folder, then read as the folder that they hold.

They lie in `archives/` of the cache folder, named by the hash of the archive's content: the same archive is unpacked
once, and again where files are gone from there. Only ordinary files are unpacked; links and devices are left out and
counted. Refused: names that lead out of the archive, encrypted files, more than `MOST_FILES`, and bombs (`damaged.py`).
A single folder around all is entered.
"""

import contextlib
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from gangda.data.damaged import MALFORMED, refuse_bomb
from gangda.data.paths import cache_root
from gangda.data.sources.scan import JUNK, PARTS
from gangda.errors import DataError, RunError
from gangda.runtime.files import is_full_disk
from gangda.runtime.hashed_file import sha256_of_file

MOST_FILES = 5_000_000
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
PACKED = (*SUFFIXES, ".gz", ".bz2", ".xz", ".7z", ".rar")  # with those that are not read
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")  # first bytes, also of an empty one
_SAYS_UTF8 = 0x800  # a bit of the flags of a file in a zip
_DONE = "unpacked"  # a file beside the folder `content`: how many files and bytes are there, and notes
RULES = 3  # raise it when an archive is unpacked otherwise: those of before are then not found


def is_archive(path: Path) -> bool:
    """Whether a file is called as archives are, or is one by its content."""
    if path.name.lower().endswith(SUFFIXES):
        return True
    try:
        return _is_zip(path) or tarfile.is_tarfile(path)
    except MALFORMED:
        return False


def name_of(path: Path) -> str:
    """The name of a file without its suffix, or without the two of a compressed tar."""
    known = (suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix))
    return path.name[: len(path.name) - len(max(known, key=len, default=path.suffix))]


def _is_zip(path: Path) -> bool:
    """By the first bytes: `zipfile` looks at the end, and takes a tar around a zip for that zip."""
    with path.open("rb") as file:
        return file.read(4) in _ZIP


@contextlib.contextmanager
def unpacked(path: Path, cache: bool) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The folder that an archive holds, and notes; without `cache` it is removed at the end.

    Raises DataError: damaged, or refused by the rules above.
    """
    try:
        key = sha256_of_file(path)[:32]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    place = cache_root() / "archives" / f"{key}-{RULES}"
    if cache and _is_whole(place):
        yield _inside(place / "content"), _notes(place)
        return
    try:
        (cache_root() / "archives").mkdir(parents=True, exist_ok=True)
        parent: Path | None = cache_root() / "archives"
    except OSError:  # a read-only home
        parent = None
    folder = Path(tempfile.mkdtemp(dir=parent, prefix="new-"))
    try:
        _unpack(path, folder)
        if cache and parent is not None:
            if not _is_whole(place):
                shutil.rmtree(place, ignore_errors=True)
            with contextlib.suppress(OSError):  # another process was first: this copy is as good
                folder = folder.rename(place)
        yield _inside(folder / "content"), _notes(folder)
    finally:
        if folder != place:
            shutil.rmtree(folder, ignore_errors=True)


def _is_whole(place: Path) -> bool:
    """Whether all that was unpacked is still there, by the number of files and their sizes."""
    try:
        return (place / _DONE).read_text(encoding="utf-8").splitlines()[0] == _size(place / "content")
    except (OSError, IndexError):
        return False


def _size(folder: Path) -> str:
    """Number of files below a folder, and of bytes in them."""
    sizes = [os.stat(f"{inner}/{name}").st_size for inner, _, names in os.walk(folder) for name in names]  # noqa: PTH116
    return f"{len(sizes)} {sum(sizes)}"


def _notes(place: Path) -> tuple[str, ...]:
    return tuple((place / _DONE).read_text(encoding="utf-8").splitlines()[1:])


def _inside(folder: Path) -> Path:
    """The folder itself, or a single one in it that is around everything."""
    entries = [path for path in folder.iterdir() if path.name not in JUNK and not path.name.startswith(".")]
    if len(entries) == 1 and entries[0].is_dir() and entries[0].name.lower() not in PARTS:
        return _inside(entries[0])
    return folder


def _unpack(path: Path, place: Path) -> None:
    """All ordinary files into `place`/content, and notes into the file that says that they are there."""
    left_out = 0
    try:
        for name, source in _members(path):
            if source is None:
                left_out += 1
                continue
            target = place / "content" / _checked(name, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with source, target.open("xb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
    except FileExistsError:
        raise DataError(f"{path}: holds '{name}' twice, or in two spellings; pack it again") from None
    except MALFORMED as error:
        if is_full_disk(error):
            raise RunError(
                f"{place.parent}: the disk is full; free some space, or set GANGDA_CACHE"
            ) from None
        raise DataError(
            f"{path}: truncated, damaged or no archive ({str(error)[:80]}); pack it again"
        ) from None
    (place / "content").mkdir(exist_ok=True)
    note = f"{path.name}: {left_out:,} links or devices in the archive are left out" if left_out else ""
    (place / _DONE).write_text(f"{_size(place / 'content')}\n{note}", encoding="utf-8")


def _checked(name: str, path: Path) -> PurePosixPath:
    """The name of a file as a path inside. Raises DataError: it leads out."""
    inside = PurePosixPath(name.replace("\\", "/"))
    if (
        not inside.parts
        or inside.is_absolute()
        or ".." in inside.parts
        or ":" in inside.parts[0]
        or "\0" in name
    ):
        raise DataError(f"{path}: holds '{name[:60]}', a name that leads out of the archive; do not trust it")
    return inside


def _members(path: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    """Names and contents of the files in an archive; None for what is no ordinary file. Checks sizes first."""
    if _is_zip(path):
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check_sizes(path, len(entries), sum(entry.file_size for entry in entries))
            for entry in entries:
                if entry.flag_bits & 1:
                    raise DataError(f"{path}: is encrypted; unpack it yourself")
                kind = entry.external_attr >> 28  # of a Unix mode: 8 is an ordinary file, 0 not said
                yield _name_in_zip(entry), archive.open(entry) if kind in (0, 8) else None
        return
    count = size = 0
    with tarfile.open(path) as tar:
        for member in tar:
            count, size = count + 1, size + member.size
            _check_sizes(path, count, size)
            if not member.isdir():
                yield member.name, tar.extractfile(member) if member.isreg() else None
        rest: Any = tar.fileobj
        rest.seek(tar.offset)
        if len(rest.read(tarfile.BLOCKSIZE)) < tarfile.BLOCKSIZE:
            raise EOFError("the mark of its end is missing")


def _name_in_zip(entry: zipfile.ZipInfo) -> str:
    """The name of a file, also where the archive does not say that it is UTF-8, as those of macOS do not.

    `zipfile` then reads it as code page 437.
    """
    if entry.flag_bits & _SAYS_UTF8:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def _check_sizes(path: Path, count: int, size: int) -> None:
    if count > MOST_FILES:
        raise DataError(f"{path}: holds more than {MOST_FILES:,} files; unpack it yourself")
    refuse_bomb(path, size, "unpack it yourself")
