"""zip and tar files as `--data`: unpacked into the cache folder, then read as the folder that they hold.

They lie in `archives/` of the cache folder, named by the hash of the archive's content, so that the same archive is
unpacked once. Only ordinary files are unpacked. Refused: names that lead out of the archive, encrypted files, more than
`MOST_FILES`, and what unpacks to more than `BOMB_BYTES` and `BOMB_RATIO` times its own size. Links and devices are left
out and counted. A single folder around everything is entered.
"""

import contextlib
import lzma
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from gangda.data.paths import cache_root
from gangda.data.sources.scan import JUNK, PARTS
from gangda.errors import DataError
from gangda.runtime.hashed_file import sha256_of_file

MOST_FILES = 5_000_000
BOMB_BYTES, BOMB_RATIO = 1 << 30, 200
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_DAMAGED = (
    OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, tarfile.TarError,
    zlib.error, lzma.LZMAError,
)  # fmt: skip
_DONE = "unpacked"  # a file beside the folder `content`: all is there


def is_archive(path: Path) -> bool:
    """Whether a file is called as archives are, or is one by its content."""
    if path.name.lower().endswith(SUFFIXES):
        return True
    try:
        return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    except _DAMAGED:
        return False


@contextlib.contextmanager
def unpacked(path: Path, cache: bool) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The folder that an archive holds, and notes; without `cache` it is removed at the end.

    Raises DataError: damaged, or refused by the rules above.
    """
    try:
        key = sha256_of_file(path)[:32]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    place = cache_root() / "archives" / key
    if cache and (place / _DONE).is_file():
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
            with contextlib.suppress(OSError):  # another process was first: this copy is as good
                folder = folder.rename(place)
        yield _inside(folder / "content"), _notes(folder)
    finally:
        if folder != place:
            shutil.rmtree(folder, ignore_errors=True)


def _notes(place: Path) -> tuple[str, ...]:
    return tuple((place / _DONE).read_text(encoding="utf-8").splitlines())


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
    except _DAMAGED as error:
        raise DataError(
            f"{path}: truncated, damaged or no archive ({str(error)[:80]}); pack it again"
        ) from None
    (place / "content").mkdir(exist_ok=True)
    note = f"{path.name}: {left_out:,} links or devices in the archive are left out" if left_out else ""
    (place / _DONE).write_text(note, encoding="utf-8")


def _checked(name: str, path: Path) -> PurePosixPath:
    """The name of a file as a path inside. Raises DataError: it leads out."""
    inside = PurePosixPath(name.replace("\\", "/"))
    if inside.is_absolute() or ".." in inside.parts or ":" in inside.parts[0] or "\0" in name:
        raise DataError(f"{path}: holds '{name[:60]}', a name that leads out of the archive; do not trust it")
    return inside


def _members(path: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    """Names and contents of the files in an archive; None for what is no ordinary file. Checks sizes first."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check_sizes(path, len(entries), sum(entry.file_size for entry in entries))
            for entry in entries:
                if entry.flag_bits & 1:
                    raise DataError(f"{path}: is encrypted; unpack it yourself")
                kind = entry.external_attr >> 28  # of a Unix mode: 8 is an ordinary file, 0 not said
                yield entry.filename, archive.open(entry) if kind in (0, 8) else None
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


def _check_sizes(path: Path, count: int, size: int) -> None:
    packed = path.stat().st_size
    if count > MOST_FILES:
        raise DataError(f"{path}: holds more than {MOST_FILES:,} files; unpack it yourself")
    if size > BOMB_BYTES and size > BOMB_RATIO * packed:
        what = f"unpacks to {size >> 20:,} MB from {packed >> 10:,} kB, as no images do"
        raise DataError(f"{path}: {what}; unpack it yourself if it is meant")
