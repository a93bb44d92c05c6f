"""Counts of images as blocks, drawn into memory or into a set; and what `gangda sample` and `augment` give back."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gangda.data.images import ORIGINS, IntArray, LabelledImages, generated_images
from gangda.data.memmap import empty
from gangda.data.sample_set import SetHeader, SetIndex, SetWriter, contact_sheet, read_set, set_being_written
from gangda.report.figures import kept_and_rejected
from gangda.runtime.progress import SILENT, Reporter
from gangda.sampling.pseudo_labels import PseudoLabeler
from gangda.sampling.sample_statistics import SampleStatistics, filter_shares, label_shares, table
from gangda.sampling.sampler import Sampler
from gangda.sampling.stored import ImageSource
from gangda.zoo.draw import BLOCK


def blocks_of(counts: IntArray) -> list[tuple[int, int, int]]:
    """All (label, block, images) of per-class counts, classes in order; a last block may be smaller."""
    return [
        (label, block, min(BLOCK, int(count) - block * BLOCK))
        for label, count in enumerate(counts)
        for block in range(-(-int(count) // BLOCK))
    ]


def draw_images(
    sampler: ImageSource,
    counts: IntArray,
    class_names: tuple[str, ...],
    reporter: Reporter = SILENT,
    statistics: SampleStatistics | None = None,
) -> LabelledImages:
    """`counts` (K,) generated images, classes in order; counts may all be 0. Many lie in a mapped file."""
    channels, height, width = sampler.image_shape
    done, total = 0, int(counts.sum())
    pixels, parents = empty((total, height, width, channels)), np.full(total, -1, dtype=np.int64)
    for label, block, count in blocks_of(counts):
        reporter.step("sampling", done, total)
        batch = sampler.draw(label, block, count, statistics)
        pixels[done : done + count] = batch.pixels
        if batch.parent is not None:
            parents[done : done + count] = batch.parent
        done += count
    labels = np.repeat(np.arange(len(counts)), counts)
    return generated_images(pixels, labels, class_names, parent=parents)


def draw_as_they_come(
    sampler: Sampler,
    labeler: PseudoLabeler,
    total: int,
    class_names: tuple[str, ...],
    reporter: Reporter = SILENT,
) -> LabelledImages:
    """`total` images of an unconditional generator, each under its pseudo-label: a mode collapse stays one."""
    counts = np.array([total], dtype=np.int64)
    drawn = draw_images(replace(sampler, labeler=None), counts, ("all",), reporter)
    labels = labeler.label(drawn.pixels)[0]
    order = np.argsort(labels, kind="stable")
    return generated_images(drawn.pixels[order], labels[order], class_names, parent=drawn.parent[order])


def write_samples(
    writer: SetWriter,
    sampler: ImageSource,
    units: Sequence[tuple[int, int, int]],
    first: IntArray,
    reporter: Reporter = SILENT,
) -> None:
    """Draw units of `blocks_of` into a set, one block in memory at a time, with statistics and contact sheet.

    The images of class k stand in the set from `first[k]` on; `first` is int64 (K,).
    """
    statistics = SampleStatistics()
    total, done, start = sum(count for _, _, count in units), 0, time.perf_counter()
    for label, block, count in units:
        batch = sampler.draw(label, block, count, statistics)
        columns = {name: vars(batch)[name] for name in ("parent", "generator", "confidence")}
        images = generated_images(batch.pixels, label, sampler.class_names, **columns)
        writer.write(images, int(first[label]) + block * BLOCK)
        done += count
        reporter.step("sampling", done, total, f"{done / (time.perf_counter() - start):,.0f} images/s")
    writer.sorting = table(statistics.labels, len(first))
    writer.filtering = table(statistics.filters, len(first))
    writer.contact_sheet = kept_and_rejected(
        sampler.class_names, statistics.kept, statistics.rejected, statistics.reasons
    )


@contextlib.contextmanager
def timed_set(out: Path, header: SetHeader) -> Iterator[SetWriter]:
    """See `set_being_written`; the time that it took is the set's cost."""
    start = time.perf_counter()
    with set_being_written(out, header) as writer:
        yield writer
        seconds = time.perf_counter() - start
        writer.cost = {"seconds": round(seconds, 3), "images_per_second": round(writer.count / seconds, 1)}


@dataclass(frozen=True, kw_only=True)
class SetResult:
    """A set, or one shard of it, in the folder `out`."""

    out: Path
    index: SetIndex  # as it was written; in a dry run, as far as it is known before
    dry_run: bool = False  # dry_run, reprinted: nothing was written; the set was there already
    reprinted: bool = False

    def __fspath__(self) -> str:
        """The folder: a set can be given to whatever takes its path."""
        return str(self.out)

    def read(self) -> LabelledImages:
        """All images of the set, in memory; a DataError where it is not there, or shards are missing."""
        return read_set(self.out).images

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        index = self.index
        return {
            "out": str(self.out),
            "format": index.format,
            "class_names": list(index.class_names),
            "origins": list(ORIGINS),  # by the codes of NPZ files
            "image_shape": list(index.image_shape),
            "provenance": index.provenance,
            "sorting": label_shares(index.sorting, index.class_names),
            "filtering": filter_shares(index.filtering, index.class_names),
            "contact_sheet": str(contact_sheet(self.out, index)) if index.filtering else None,
            "cost": dict(index.cost),
            "dry_run": self.dry_run,
            "reprinted": self.reprinted,
        }
