"""Whether a generator may be used with a subset of real images: it must not have seen others, nor rebuild its own."""

from pathlib import Path

import numpy as np

from gangda.data.images import REAL, IntArray, size_words
from gangda.data.splits import DataSplits
from gangda.errors import DataError, RunError, UsageError
from gangda.training.saved_model import Model


def check_run(run: Path, model: Model, splits: DataSplits) -> None:
    """A RunError for a generator that only rebuilds images, does not fit these, or saw others than these splits'."""
    card, train = model.card, splits.train
    if model.available is not None:
        what = "only rebuilds its own training images (--reconstruct)"
        raise RunError(f"{run}: {what}; name another --run, or train one without --reconstruct")
    if card.class_names != train.class_names:
        ours, theirs = _some(train.class_names), _some(card.class_names)
        what = f"trained on other classes ({theirs}) than this set's ({ours})"
        raise RunError(f"{run}: {what}; choose another --run or --data")
    if card.image_shape != train.image_shape:
        ours, theirs = size_words(train.image_shape), size_words(card.image_shape)
        what = f"makes {theirs} images, this set's are {ours}"
        raise RunError(f"{run}: {what}; choose another --run or set --image-size")
    if card.fingerprint != splits.fingerprint:
        theirs, ours = (
            f"{card.data.get('source')} as of then ({card.fingerprint[:8]})",
            splits.fingerprint[:8],
        )
        raise RunError(
            f"{run}: trained on other images: {theirs}, not {splits.name} ({ours}); choose another --run"
        )
    if tested := int(np.isin(model.row_ids, splits.test.row_id).sum()):
        raise RunError(f"{run}: saw {tested} of this set's test images in training; choose another --run")
    outside = ~np.isin(model.row_ids, splits.usable_rows)
    if outside.any():
        unlabelled = card.data.get("unlabelled")
        own = "--per-class or --class-counts" + (f" and --unlabelled {unlabelled}" if unlabelled else "")
        raise RunError(
            f"{run}: saw {int(outside.sum())} images outside this subset of {splits.name}; give the --seed "
            f"({card.seed}) and {own} of its training, or train one on this subset"
        )


def refuse_synthetic(splits: DataSplits) -> None:
    """A DataError where images are not all real: beside synthetic ones to compare with, their origin would be lost."""
    if made := sum(int((part.origin != REAL).sum()) for part in (splits.train, splits.validation)):
        what = f"{made:,} of its images are synthetic"
        raise DataError(f"--data {splits.name}: {what}; give the real images it was made from")


def check_counts(model: Model, counts: IntArray) -> None:
    """A UsageError where a generator rebuilds its training images and has fewer of a class than asked, int64 (K,)."""
    available = model.available
    if available is not None and (counts > available).any():
        label = int(np.argmax(counts > available))
        there = f"the {available[label]:,} training images of class '{model.card.class_names[label]}'"
        raise UsageError(
            f"{model.named} rebuilds {there}, not {counts[label]:,}; ask for fewer, or for all of them by giving "
            "neither --per-class nor --counts"
        )


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (f", ... {len(names)} in all" if len(names) > 4 else "")
