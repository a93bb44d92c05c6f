"""Sample sets and augmented sets on disk: write one, find it again, read it.

A set is a folder with `index.json` (or an `index-i-of-n.json` per shard) and images in one of the formats of the
catalog. A shard is written in a temporary folder and then moved into the set, its index last; readers trust only what
an index lists.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gangda.config import catalog
from gangda.config.fields import from_plain
from gangda.config.schema import DataConfig
from gangda.data.images import ORIGINS, LabelledImages, concatenate, generated_images
from gangda.data.sample_set.card import data_card
from gangda.data.sample_set.format import Format
from gangda.data.sample_set.index import SetHeader as SetHeader
from gangda.data.sample_set.index import SetIndex as SetIndex
from gangda.data.sample_set.index import index_paths, read_index, read_indices, unite
from gangda.data.sample_set.index import is_set as is_set
from gangda.data.sample_set.metadata import unite_metadata
from gangda.errors import DataError, RunError
from gangda.runtime import files
from gangda.runtime.files import FormatVersionError, clear_disk_errors, sync_folder
from gangda.runtime.signals import stop_request
from gangda.runtime.staging import folder_beside


def format_of(name: str) -> Format:
    """The format of this name; a UsageError where it needs a package that is not installed."""
    found: Format = catalog.load_target(catalog.lookup("format", catalog.FORMATS, name).target)
    return found


@dataclass(frozen=True, eq=False)
class SetOnDisk:
    """A set as it was read: its images in order, and the united index of all shards."""

    images: LabelledImages
    index: SetIndex

    @property
    def data_config(self) -> DataConfig | None:
        """The real data behind the set; None if unknown."""
        values = self.index.data.get("config")
        return from_plain(DataConfig, values) if isinstance(values, dict) else None

    @property
    def data_seed(self) -> int:
        """The seed that the real data's subset was drawn with."""
        return int(self.index.data.get("seed", 0))

    @property
    def fingerprint(self) -> str:
        """Content hash of the real source behind the set; empty if unknown."""
        return str(self.index.data.get("fingerprint", ""))


def contact_sheet(out: Path, header: SetHeader) -> Path:
    """The picture of what filters kept and rejected: beside the set, as it is not part of it."""
    return out.parent / f"{out.name}-filters{header.suffix}.png"


class SetWriter:
    """Writes images; `sorting`, `filtering` and `cost` go into the index, a PNG `contact_sheet` beside the set."""

    def __init__(self, folder: Path, header: SetHeader, open_files: contextlib.ExitStack) -> None:
        self._folder, self._header = folder, header
        self._writer = format_of(header.format).write(folder, header, open_files)
        self._counts = np.zeros(len(header.class_names), dtype=np.int64)
        self.sorting: dict[str, list[int]] = {}
        self.filtering: dict[str, list[int]] = {}
        self.cost: dict[str, Any] = {}
        self.contact_sheet = b""

    def write(self, images: LabelledImages, first: int) -> None:
        """Add images, number `first`, `first` + 1, ... of the whole set."""
        self._counts += images.counts()
        self._writer.write(images, first)

    @property
    def count(self) -> int:
        """Images written so far."""
        return int(self._counts.sum())

    def finish(self) -> None:
        """Close the files and write the index."""
        self.index = SetIndex(
            **vars(self._header),
            counts=tuple(self._counts.tolist()),
            files=self._writer.close(),
            sorting=self.sorting,
            filtering=self.filtering,
            cost=self.cost,
        )
        files.write_bytes(self._folder / "README.md", data_card(self._header).encode())
        files.write_json(
            self._folder / self.index.index_name, {**asdict(self.index), "origins": list(ORIGINS)}
        )


def finished_index(out: Path, header: SetHeader) -> SetIndex | None:
    """The index of this shard if `out` holds it, complete; None if it is still to be made.

    If the last shard's process ended just before it united the metadata, that is done here.
    Raises RunError: `out` holds something else.
    """
    if files.is_free(out):
        return None
    paths = index_paths(out)
    if not paths:
        raise RunError(f"{out}: exists and is not a set of gangda's; choose another --out")
    index = _index_of(out, paths[0])
    if index.key != header.key or index.shard[1] != header.shard[1]:
        raise RunError(f"{out}: holds a set made with other options; choose another --out, or remove it")
    own = out / header.index_name
    if not own.is_file():
        return None
    index = _index_of(out, own)
    if not all((out / name).is_file() for name in index.files):
        return None
    if not (out / "metadata.jsonl").exists():
        _complete(out, header)
    return index


def _index_of(out: Path, path: Path) -> SetIndex:
    try:
        return read_index(path)
    except FormatVersionError:
        raise
    except DataError as error:
        raise RunError(f"{out}: its index is not of this command ({error}); choose another --out") from None


@contextlib.contextmanager
def set_being_written(out: Path, header: SetHeader) -> Iterator[SetWriter]:
    """A writer for one shard; when the block ends the shard is in `out`, when it fails nothing is.

    The first shard to be finished creates the folder, the others move their files into it. The same shard submitted
    twice writes the same files twice, which only wastes time.
    Raises RunError: `out` holds something else, or cannot be written; or by a signal, as `StopRequest.at_once`.
    """
    finished_index(out, header)
    stopped = f"{out}: stopped, nothing written there; run the same command again"
    with clear_disk_errors(out), stop_request() as stop, folder_beside(out) as temporary:
        with stop.at_once(stopped), contextlib.ExitStack() as open_files:
            writer = SetWriter(temporary, header, open_files)
            yield writer
            writer.finish()
        files.sync_file_system(temporary)
        if writer.contact_sheet:
            files.write_bytes(contact_sheet(out, header), writer.contact_sheet)
        _move_in(temporary, out, header)
        sync_folder(out.parent)
        _complete(out, header)


def _move_in(temporary: Path, out: Path, header: SetHeader) -> None:
    try:
        temporary.rename(out)
        return
    except OSError:
        finished_index(out, header)  # refuses a folder that another command has created meanwhile
    images = [path for path in temporary.rglob("*") if path.is_file() and path.name != header.index_name]
    for path in [*images, temporary / header.index_name]:
        place = out / path.relative_to(temporary)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)
    sync_folder(out)


def _complete(out: Path, header: SetHeader) -> None:
    """If all of several shards are there, write the metadata file that other readers look for."""
    if header.shard[1] > 1 and len(index_paths(out)) == header.shard[1]:
        unite_metadata(out, read_indices(out))


def read_set(path: Path) -> SetOnDisk:
    """Read a whole set, its shards united; a DataError where it is no set, or shards or files are lost or changed."""
    indices = read_indices(path)
    index = unite(indices)
    if index.format not in catalog.FORMATS:
        raise DataError(f"{path}: unknown format '{index.format}'; update gangda")
    read, (channels, height, width) = format_of(index.format).read, index.image_shape
    none = generated_images(np.zeros((0, height, width, channels), np.uint8), [], index.class_names)
    parts = [(np.zeros(0, np.int64), none), *(part for shard in indices for part in read(path, shard))]
    positions = np.concatenate([position for position, _ in parts])
    order = np.argsort(positions, kind="stable")
    if not np.array_equal(positions[order], np.arange(len(order))):
        raise DataError(f"{path}: its images do not count up from 0 without gaps; make it again")
    images = concatenate(*(images for _, images in parts)).take(order)
    if tuple(images.counts().tolist()) != index.total:
        there = images.counts().tolist()
        raise DataError(f"{path}: holds {there} images per class, not {list(index.total)}; make it again")
    return SetOnDisk(images, index)
