"""Archives of PNGs, for file systems that hate small files: tar shards as WebDataset reads them, and a zip.

A tar holds, for each image, `00000012.png`, `00000012.cls` (the label) and `00000012.json` (its line of metadata). A
zip holds what the PNG format has as files: class folders and `metadata.jsonl`. Both are the same bytes whenever they
are made.
"""

import contextlib
import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gangda.data.damaged import MALFORMED
from gangda.data.images import IntArray, LabelledImages
from gangda.data.sample_set.format import Format
from gangda.data.sample_set.index import SetHeader, SetIndex, read_bytes
from gangda.data.sample_set.metadata import LINES, columns_of, decoded, encoded, rows_of
from gangda.data.sample_set.png import class_folders, encode_png, file_name, images_of
from gangda.errors import DataError
from gangda.runtime.hashed_file import sha256_of_file

FILE_BYTES = 64 * 2**20  # of a tar
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)  # that a zip can hold


class TarWriter:
    """Writes `images[-i-of-n]-00000.tar` and so on."""

    def __init__(self, folder: Path, header: SetHeader, open_files: contextlib.ExitStack) -> None:
        self._folder, self._header, self._open_files = folder, header, open_files
        self._file: BinaryIO | None = None
        self._files: list[str] = []

    def write(self, images: LabelledImages, first: int) -> None:
        """Add images; begin another tar when one is large."""
        rows = rows_of(self._header, images, first)
        for row, data in zip(rows, encode_png(images.pixels, images.origin), strict=True):
            file = self._file
            if file is None or file.tell() >= FILE_BYTES:
                file = self._next()
            _add(file, f"{row['index']:08d}.png", data)
            _add(file, f"{row['index']:08d}.cls", str(row["label"]).encode())
            _add(file, f"{row['index']:08d}.json", encoded(row).encode())

    def _next(self) -> BinaryIO:
        self._finish()
        self._files.append(f"images{self._header.suffix}-{len(self._files):05d}.tar")
        path = self._folder / self._files[-1]
        self._file = self._open_files.enter_context(path.open("wb"))
        return self._file

    def _finish(self) -> None:
        """Two empty blocks end a tar."""
        if self._file is not None:
            self._file.write(bytes(2 * tarfile.BLOCKSIZE))
            self._file.close()

    def close(self) -> dict[str, str]:
        """Close the last tar."""
        self._finish()
        return {name: sha256_of_file(self._folder / name) for name in self._files}


def _add(file: BinaryIO, name: str, data: bytes) -> None:
    """A member of a tar; `tarfile.TarFile` keeps a list of them, and memory would grow with the set."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    file.write(member.tobuf(tarfile.USTAR_FORMAT))
    file.write(data + bytes(-len(data) % tarfile.BLOCKSIZE))


def read_tar(folder: Path, index: SetIndex) -> Iterator[tuple[IntArray, LabelledImages]]:
    """The images of one shard, a thousand at a time."""
    for name, digest in index.files.items():
        packed = io.BytesIO(read_bytes(folder, name, digest))
        members: dict[str, bytes] = {}
        try:
            with tarfile.open(fileobj=packed, mode="r:") as tar:
                for member in tar:
                    file = tar.extractfile(member)
                    members[member.name] = b"" if file is None else file.read()
        except MALFORMED as error:
            raise DataError(f"{folder / name}: damaged ({str(error)[:80]}); make the set again") from None
        stems = [key.removesuffix(".json") for key in members if key.endswith(".json")]
        for start in range(0, len(stems), LINES):
            some = stems[start : start + LINES]
            rows = decoded([members[f"{stem}.json"] for stem in some], folder / name)
            data = [members.get(f"{stem}.png", b"") for stem in some]
            yield images_of(columns_of(rows, folder / name), data, index, folder / name)


class ZipWriter:
    """Writes `images[-i-of-n].zip`, not compressed any further than its PNGs are."""

    def __init__(self, folder: Path, header: SetHeader, open_files: contextlib.ExitStack) -> None:
        self._header, self._path = header, folder / f"images{header.suffix}.zip"
        self._folders = class_folders(header.class_names)
        self._zip = open_files.enter_context(zipfile.ZipFile(self._path, "w"))
        self._lines: list[str] = []

    def write(self, images: LabelledImages, first: int) -> None:
        """Add images."""
        files = encode_png(images.pixels, images.origin)
        rows = rows_of(self._header, images, first)
        for row, data, origin in zip(rows, files, images.origin.tolist(), strict=True):
            name = f"{self._folders[row['label']]}/{file_name(row['index'], origin)}"
            self._zip.writestr(zipfile.ZipInfo(name, _FIRST_DATE), data)
            self._lines.append(encoded({"file_name": name, **row}))

    def close(self) -> dict[str, str]:
        """Add the metadata, and finish the file."""
        text = "".join(f"{line}\n" for line in self._lines).encode()
        self._zip.writestr(zipfile.ZipInfo("metadata.jsonl", _FIRST_DATE), text)
        self._zip.close()
        return {self._path.name: sha256_of_file(self._path)}


def read_zip(folder: Path, index: SetIndex) -> Iterator[tuple[IntArray, LabelledImages]]:
    """The images of one shard, a thousand at a time."""
    folders = class_folders(index.class_names)
    for name, digest in index.files.items():
        path = folder / name
        try:
            with zipfile.ZipFile(io.BytesIO(read_bytes(folder, name, digest))) as archive:
                lines = archive.read("metadata.jsonl").splitlines()
                for start in range(0, len(lines), LINES):
                    columns = columns_of(decoded(lines[start : start + LINES], path), path)
                    # From checked columns, not from the line's own name.
                    places = zip(
                        *(columns[key].tolist() for key in ("labels", "index", "origin")), strict=True
                    )
                    data = [archive.read(f"{folders[label]}/{file_name(*at)}") for label, *at in places]
                    yield images_of(columns, data, index, path)
        except MALFORMED as error:
            raise DataError(f"{path}: damaged ({str(error)[:80]}); make the set again") from None


TAR, ZIP = Format(TarWriter, read_tar), Format(ZipWriter, read_zip)
