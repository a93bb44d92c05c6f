"""Images of a class on demand, from a trained generator, block by block, whatever kind of generator it is."""

import functools
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from gangda.data.images import IntArray, LabelledImages, generated_images
from gangda.data.memmap import empty
from gangda.data.sample_set import SetWriter
from gangda.data.sample_set.batches import make_piece
from gangda.errors import RunError, UsageError
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import SILENT, Reporter
from gangda.sampling.batch_sources import Direct, Sampler, Sorted, Source
from gangda.sampling.filtered import Filtered, FilterStatistics, check_filters, in_order, kind_of
from gangda.sampling.filters.base import FilterContext
from gangda.sampling.pseudo_labels import TALLIES, PseudoLabeler, images_of_run, sorter_of_run
from gangda.training.saved_model import Model
from gangda.zoo.base import Generator, Truncated
from gangda.zoo.draw import BLOCK

Images = tuple[LabelledImages, LabelledImages]  # for training and for validation


def make_sampler(
    model: Model,
    *,
    seed: int,
    context: DeviceContext,
    run: Path | None = None,
    labeler: PseudoLabeler | None = None,
    which: int | None = None,
    min_confidence: float = 0.0,
    truncation: float | None = None,
    filters: Sequence[str] = (),
    images: Images | None = None,
    reporter: Reporter = SILENT,
) -> Sampler:
    """The supply that fits the model: direct, or sorted by `sorter` (default: the run folder's own); behind `filters`.

    `truncation` keeps the noise within these bounds. `images`: what filters may learn from; by default the run's own
    images, and what is learned is kept in the run folder.

    Raises:
        UsageError: `which` is not one of the run's generators; a least confidence where nothing is sorted; a filter
            that cannot judge this model.
        RunError: what a sorter or filter needs is not there any more.
    """
    check_choice(model, which, min_confidence)
    check_filters(model, filters)
    layout = torch.channels_last if context.channels_last else torch.contiguous_format
    generator: Generator = model.generator.to(context.device, memory_format=layout)  # type: ignore[call-overload]
    if truncation is not None:
        generator = Truncated(generator, truncation)
    if not needs_pseudo_labels(model):
        source: Source = Direct(generator, seed, context, which)
    else:
        labeler = labeler or _own_sorter(model, run, context, reporter)
        names = model.card.class_names
        source = Sorted(generator, labeler, names, seed, context, which, min_confidence, model.named)
    if not filters:
        return source
    return _filtered(model, source, filters, images, seed=seed, context=context, run=run, reporter=reporter)


def _own_sorter(model: Model, run: Path | None, context: DeviceContext, reporter: Reporter) -> PseudoLabeler:
    if run is None:
        raise RunError(
            f"{model.named}: makes images without labels, and there is no run folder to sort them by"
        )
    return sorter_of_run(run, model, context, reporter)


def _filtered(
    model: Model,
    source: Source,
    names: Sequence[str],
    images: Images | None,
    *,
    seed: int,
    context: DeviceContext,
    run: Path | None,
    reporter: Reporter,
) -> Filtered:
    """The source behind filters: fitted on `images` with `seed`, or on the run's own with the run's, and kept there."""
    if images is None and run is None:
        raise RunError(f"{model.named}: there is no run folder whose images --filter could go by")
    filter_context = FilterContext(
        model,
        source,
        functools.cache(lambda: images or images_of_run(cast(Path, run), model)),
        seed=seed,
        fit_seed=model.card.seed if images is None else seed,
        context=context,
        home=run if images is None else None,
        reporter=reporter,
    )
    chosen = {name: kind_of(name).build(filter_context) for name in in_order(names)}
    return Filtered(source, chosen, model.card.class_names, model.named)


def needs_pseudo_labels(model: Model) -> bool:
    """Whether a classifier must choose the labels: several classes, which the generator does not know."""
    return not model.conditional and len(model.card.class_names) > 1


def check_choice(model: Model, which: int | None, min_confidence: float) -> None:
    """Refuse what the model cannot do.

    Raises:
        UsageError: no such generator, or nothing to be confident about.
    """
    has = model.generator.num_generators
    if which is not None and which >= has:
        numbers = f"{has} generators, 0 to {has - 1}" if has > 1 else "one generator, number 0"
        raise UsageError(f"--generator {which}: {model.named} has {numbers}")
    if min_confidence > 0 and not needs_pseudo_labels(model):
        raise UsageError(f"--min-confidence {min_confidence:g}: {model.named} needs no sorting; leave it out")


def blocks_of(counts: IntArray) -> list[tuple[int, int, int]]:
    """All (label, block, images) of per-class counts, classes in order; a last block may be smaller."""
    return [
        (label, block, min(BLOCK, int(count) - block * BLOCK))
        for label, count in enumerate(counts)
        for block in range(-(-int(count) // BLOCK))
    ]


def draw_images(
    supply: Sampler,
    counts: IntArray,
    class_names: tuple[str, ...],
    reporter: Reporter = SILENT,
    sieve: FilterStatistics | None = None,
) -> LabelledImages:
    """`counts` (K,) generated images, classes in order; counts may all be 0. Many lie in a mapped file.

    What filters did to them is counted in `sieve`.
    """
    channels, height, width = supply.generator.image_shape
    done, total = 0, int(counts.sum())
    pixels = empty((total, height, width, channels))
    for label, block, count in blocks_of(counts):
        reporter.step("sampling", done, total)
        drawn = supply.draw(label, block, count)
        if sieve is not None:
            sieve.add(label, drawn)
        pixels[done : done + count] = drawn.pixels
        done += count
    labels = np.repeat(np.arange(len(counts)), counts)
    return generated_images(pixels, labels, class_names)


def write_generated(
    writer: SetWriter,
    supply: Sampler,
    units: Sequence[tuple[int, int, int]],
    first: IntArray,
    reporter: Reporter = SILENT,
) -> FilterStatistics:
    """Draw units of `blocks_of` into a set, one block in memory at a time; gives what filters did to them.

    The images of class k stand in the set from `first[k]` on; `first` is int64 (K,).
    """
    sieve = FilterStatistics()
    tally = np.zeros((len(TALLIES), len(first)), dtype=np.int64)
    total, done, start = sum(count for _, _, count in units), 0, time.perf_counter()
    for label, block, count in units:
        drawn = supply.draw(label, block, count)
        place = int(first[label]) + block * BLOCK
        piece = make_piece(
            drawn.pixels,
            label,
            place,
            parent=drawn.parent,
            generator=drawn.generator,
            confidence=drawn.confidence,
        )
        writer.write(piece)
        tally[:, label] += drawn.tally
        sieve.add(label, drawn)
        done += count
        rate = done / (time.perf_counter() - start)
        reporter.step("sampling", done, total, f"{rate:,.0f} images/s")
    if tally.any():
        writer.sorting = dict(zip(TALLIES, tally.tolist(), strict=True))
    writer.filtering = sieve.tallies(len(first))
    return sieve


def model_summary(run: Path, model: Model) -> dict[str, Any]:
    """Which generator it is, in plain values; `weights` is a hex hash (16 digits) of them."""
    card = model.card
    with (run / "model" / model.weights_file).open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return {
        "run": card.run,
        "arch": card.arch,
        "spec": card.spec,
        "checkpoint": model.checkpoint,
        "steps": model.steps,
        "train_seed": card.seed,
        "weights": weights,
        "generators": model.generator.num_generators,
    }
