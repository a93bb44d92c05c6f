"""What `gangda sample` and `gangda augment` give back: a set, its statistics and its cost."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from gangda.data.sample_set import SetHeader, SetIndex, SetWriter, contact_sheet, set_being_written
from gangda.sampling.sample_statistics import filter_shares, label_shares


@dataclass(frozen=True, kw_only=True)
class SetResult:
    """A set, or one shard of it.

    Attributes:
        out: folder of the set.
        header: what the set says of itself.
        sorting: `SampleStatistics.label_counts`.
        filtering: `SampleStatistics.filter_counts`.
        cost: seconds and images per second; empty in a dry run.
        dry_run, reprinted: nothing was written; the set was there already.
    """

    out: Path
    header: SetHeader
    sorting: Mapping[str, list[int]] = field(default_factory=dict)
    filtering: Mapping[str, list[int]] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool = False
    reprinted: bool = False

    def recorded(self, index: SetIndex) -> Self:
        """With what the index of the finished set says."""
        header = replace(self.header, provenance=index.provenance)
        found = {name: getattr(index, name) for name in ("sorting", "filtering", "cost")}
        return replace(self, header=header, reprinted=True, **found)

    def written(self, writer: SetWriter) -> Self:
        """With what was found out in writing."""
        return replace(self, sorting=writer.sorting, filtering=writer.filtering, cost=writer.cost)

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        names = self.header.class_names
        return {
            "out": str(self.out),
            "format": self.header.format,
            "image_shape": list(self.header.image_shape),
            "provenance": self.header.provenance,
            "sorting": label_shares(self.sorting, names),
            "filtering": filter_shares(self.filtering, names),
            "contact_sheet": str(contact_sheet(self.out, self.header)) if self.filtering else None,
            "cost": dict(self.cost),
            "dry_run": self.dry_run,
            "reprinted": self.reprinted,
        }


@contextlib.contextmanager
def timed_set(out: Path, header: SetHeader) -> Iterator[SetWriter]:
    """See `set_being_written`; the time that it took is the set's cost."""
    start = time.perf_counter()
    with set_being_written(out, header) as writer:
        yield writer
        seconds = time.perf_counter() - start
        writer.cost = {"seconds": round(seconds, 3), "images_per_second": round(writer.count / seconds, 1)}
