"""Counts of images as blocks, drawn into memory or into a sample set."""

import time
from collections.abc import Sequence

import numpy as np

from gangda.data.images import IntArray, LabelledImages, generated_images
from gangda.data.memmap import empty
from gangda.data.sample_set import SetWriter
from gangda.report.filter_figures import kept_and_rejected
from gangda.runtime.progress import SILENT, Reporter
from gangda.sampling.sample_statistics import SampleStatistics
from gangda.sampling.sampler import Sampler
from gangda.zoo.draw import BLOCK


def blocks_of(counts: IntArray) -> list[tuple[int, int, int]]:
    """All (label, block, images) of per-class counts, classes in order; a last block may be smaller."""
    return [
        (label, block, min(BLOCK, int(count) - block * BLOCK))
        for label, count in enumerate(counts)
        for block in range(-(-int(count) // BLOCK))
    ]


def draw_images(
    sampler: Sampler,
    counts: IntArray,
    class_names: tuple[str, ...],
    reporter: Reporter = SILENT,
    statistics: SampleStatistics | None = None,
) -> LabelledImages:
    """`counts` (K,) generated images, classes in order; counts may all be 0. Many lie in a mapped file."""
    channels, height, width = sampler.generator.image_shape
    done, total = 0, int(counts.sum())
    pixels = empty((total, height, width, channels))
    for label, block, count in blocks_of(counts):
        reporter.step("sampling", done, total)
        pixels[done : done + count] = sampler.draw(label, block, count, statistics).pixels
        done += count
    labels = np.repeat(np.arange(len(counts)), counts)
    return generated_images(pixels, labels, class_names)


def write_samples(
    writer: SetWriter,
    sampler: Sampler,
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
        images = generated_images(
            batch.pixels,
            label,
            sampler.class_names,
            parent=batch.parent,
            generator=batch.generator,
            confidence=batch.confidence,
        )
        writer.write(images, int(first[label]) + block * BLOCK)
        done += count
        reporter.step("sampling", done, total, f"{done / (time.perf_counter() - start):,.0f} images/s")
    writer.sorting = statistics.label_counts(len(first))
    writer.filtering = statistics.filter_counts(len(first))
    writer.contact_sheet = kept_and_rejected(
        sampler.class_names, statistics.kept, statistics.rejected, statistics.reasons
    )
