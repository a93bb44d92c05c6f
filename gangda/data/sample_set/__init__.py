"""Sample sets and augmented sets on disk: write one, find it again, read it.

A set is a folder with `index.json` (or an `index-i-of-n.json` per shard) and images in one of three formats.
A shard is written beside its place and moved in with its index last; readers trust only what an index lists.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gangda.config.fields import from_plain
from gangda.config.schema import DataConfig
from gangda.data.images import LabelledImages
from gangda.data.sample_set.batches import ImageBatch, Writer, in_order, join, to_images
from gangda.data.sample_set.idx import IdxWriter, read_idx_set
from gangda.data.sample_set.index import SetHeader, index_paths, is_set, read_index, read_indices, unite
from gangda.data.sample_set.metadata import unite_metadata
from gangda.data.sample_set.npz import NpzWriter, read_npz
from gangda.data.sample_set.png import PngWriter, read_png
from gangda.errors import DataError, RunError
from gangda.runtime.files import clear_disk_errors, sync_all, sync_folder, write_bytes, write_json
from gangda.runtime.signals import stop_request
from gangda.runtime.staging import folder_beside

__all__ = ["SetHeader", "SetOnDisk", "SetWriter", "finished_index", "is_set", "read_set", "set_being_written"]


@dataclass(frozen=True)
class Format:
    """One way to store a set: `write(folder, header, open_files)` and `read(folder, index)` of one shard."""

    write: Callable[[Path, SetHeader, contextlib.ExitStack], Writer]
    read: Callable[[Path, Mapping[str, Any]], Iterator[ImageBatch]]


FORMATS: Mapping[str, Format] = {
    "png": Format(PngWriter, read_png),
    "npz": Format(NpzWriter, read_npz),
    "idx": Format(IdxWriter, read_idx_set),
}


@dataclass(frozen=True, eq=False)
class SetOnDisk:
    """A set as it was read: its images in the order of their index, and the united index of all shards."""

    images: LabelledImages
    index: dict[str, Any]

    @property
    def data_config(self) -> DataConfig | None:
        """The real data behind the set, or None where the index does not say."""
        values = self.index["data"].get("config")
        return from_plain(DataConfig, values) if isinstance(values, dict) else None

    @property
    def data_seed(self) -> int:
        """The seed that the real data's subset was drawn with."""
        return int(self.index["data"].get("seed", 0))

    @property
    def fingerprint(self) -> str:
        """Content hash of the real source behind the set; empty where the index does not say."""
        return str(self.index["data"].get("fingerprint", ""))


def contact_sheet(out: Path, header: SetHeader) -> Path:
    """Where the picture of what filters kept and rejected lies: beside the set, whose images it is none of."""
    return out.parent / f"{out.name}-filters{header.suffix}.png"


class SetWriter:
    """Takes pieces in and writes them in the header's format; see `set_being_written`.

    `sorting`, `filtering` and `cost` go into the index; `contact_sheet`, a PNG if any, beside the set.
    """

    def __init__(self, folder: Path, header: SetHeader, open_files: contextlib.ExitStack) -> None:
        self._folder, self._header = folder, header
        self._writer = FORMATS[header.format].write(folder, header, open_files)
        self._counts = [0] * len(header.class_names)
        self.sorting: dict[str, list[int]] = {}
        self.filtering: dict[str, list[int]] = {}
        self.cost: dict[str, Any] = {}
        self.contact_sheet = b""

    def write(self, piece: ImageBatch) -> None:
        """Add images."""
        for label in piece.labels.tolist():
            self._counts[label] += 1
        self._writer.write(piece)

    @property
    def count(self) -> int:
        """Images written so far."""
        return sum(self._counts)

    def finish(self) -> None:
        """Close the files and write the index."""
        files = self._writer.close()
        own = {"counts": self._counts, "files": files, "sorting": self.sorting, "cost": self.cost}
        if self.filtering:
            own["filtering"] = self.filtering
        write_json(self._folder / self._header.index_name, {**self._header.as_dict(), **own})


def finished_index(out: Path, header: SetHeader) -> dict[str, Any] | None:
    """The index of this very shard if it is in `out` already, complete; None if it is still to be made.

    A set whose last shard was ended just before it united the metadata is completed here.

    Raises:
        RunError: `out` holds something else.
    """
    with clear_disk_errors(out):
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            return None
    paths = index_paths(out)
    if not paths:
        raise RunError(f"{out}: exists and is not a set of gangda's; choose another --out")
    index = _owned(out, paths[0])
    if index["key"] != header.key or index["shard"][1] != header.shard[1]:
        raise RunError(f"{out}: holds a set made with other options; choose another --out, or remove it")
    own = out / header.index_name
    if not own.is_file():
        return None
    index = _owned(out, own)
    if not all((out / name).is_file() for name in index["files"]):
        return None
    if not (out / "metadata.jsonl").exists():
        _complete(out, header)
    return index


def _owned(out: Path, path: Path) -> dict[str, Any]:
    try:
        return read_index(path)
    except DataError as error:
        raise RunError(
            f"{out}: holds an index that is not of this command ({error}); choose another --out"
        ) from None


@contextlib.contextmanager
def set_being_written(out: Path, header: SetHeader) -> Iterator[SetWriter]:
    """A writer for one shard; when the block ends the shard is in `out`, when it fails nothing is.

    The first shard to come brings the folder, the others move their files into it. The same shard twice
    writes the same files twice, so a double submission only wastes time.

    Raises:
        RunError: `out` holds something else, or the disk refuses.
        StoppedError, InterruptedByUserError: a signal has come before the shard was whole.
    """
    finished_index(out, header)
    stopped = f"{out}: stopped, nothing written there; run the same command again"
    with clear_disk_errors(out), stop_request() as stop, folder_beside(out) as temporary:
        with stop.at_once(stopped), contextlib.ExitStack() as open_files:
            writer = SetWriter(temporary, header, open_files)
            yield writer
            writer.finish()
        sync_all()
        temporary.chmod(0o755)
        if writer.contact_sheet:
            write_bytes(contact_sheet(out, header), writer.contact_sheet)
        _move_in(temporary, out, header)
        sync_folder(out.parent)
        _complete(out, header)


def _move_in(temporary: Path, out: Path, header: SetHeader) -> None:
    try:
        temporary.rename(out)
        return
    except OSError:
        finished_index(out, header)  # refuses a folder that has become somebody else's meanwhile
    files = [path for path in temporary.rglob("*") if path.is_file() and path.name != header.index_name]
    for path in [*files, temporary / header.index_name]:
        place = out / path.relative_to(temporary)
        place.parent.mkdir(exist_ok=True)
        path.replace(place)
    sync_folder(out)


def _complete(out: Path, header: SetHeader) -> None:
    """When the last of several shards is in, make what other readers look for."""
    if header.shard[1] > 1 and len(index_paths(out)) == header.shard[1]:
        unite_metadata(out, read_indices(out))


def read_set(path: Path) -> SetOnDisk:
    """Read a whole set, all shards united, every file checked against its hash.

    Raises:
        DataError: not a set, shards missing or disagreeing, files missing or changed.
    """
    indices = read_indices(path)
    united = unite(indices)
    if united["format"] not in FORMATS:
        raise DataError(f"{path}: unknown format '{united['format']}'; update gangda")
    read = FORMATS[united["format"]].read
    piece = in_order(join([piece for index in indices for piece in read(path, index)], united["image_shape"]))
    images = to_images(piece, united["class_names"], united["provenance"])
    if images.counts().tolist() != united["total"]:
        raise DataError(
            f"{path}: holds {images.counts().tolist()} images per class instead of {united['total']}; "
            "make it again"
        )
    return SetOnDisk(images, united)
