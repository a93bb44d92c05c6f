"""What a format of sets is: something that writes a shard, and something that reads one."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gangda.data.images import IntArray, LabelledImages
from gangda.data.sample_set.index import SetHeader, SetIndex


class Writer(Protocol):
    """Writes one shard in one format, into a folder that nobody reads yet."""

    def write(self, images: LabelledImages, first: int) -> None:
        """Add images, number `first`, `first` + 1, ... of the set; they need not come in order."""

    def close(self) -> dict[str, str]:
        """Finish all files; relative name -> hex SHA-256 of those that the index lists."""


@dataclass(frozen=True)
class Format:
    """A line of the catalog's FORMATS."""

    write: Callable[[Path, SetHeader, contextlib.ExitStack], Writer]
    # Images with the position of each in the set, int64 (n,); a DataError for what is missing, changed or damaged.
    read: Callable[[Path, SetIndex], Iterator[tuple[IntArray, LabelledImages]]]
