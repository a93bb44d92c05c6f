"""Whether a generator may be used with a subset of real images: it must not have seen others, nor rebuild its own."""

from pathlib import Path

import numpy as np

from gangda.data.images import REAL, IntArray
from gangda.data.splits import DataSplits
from gangda.errors import DataError, RunError, UsageError
from gangda.training.saved_model import Model


def check_run(run: Path, model: Model, splits: DataSplits) -> None:
    """Refuse a generator that does not fit the images, saw any outside the training and validation split, or copies.

    Raises:
        RunError: it rebuilds its training images, or was trained on other classes, another image size, other data,
            test images, or images outside the subset.
    """
    card, train = model.card, splits.train
    if model.available is not None:
        raise RunError(
            f"{run}: rebuilds its own training images (--reconstruct) and makes no new ones; name another --run, "
            "or train one without --reconstruct"
        )
    if card.class_names != train.class_names:
        raise RunError(
            f"{run}: trained on other classes ({_some(card.class_names)}) than this set's "
            f"({_some(train.class_names)}); choose another --run or --data"
        )
    if card.image_shape != train.image_shape:
        raise RunError(
            f"{run}: makes images of {_size(card.image_shape)}, this set's are {_size(train.image_shape)}; "
            "choose another --run or set --image-size"
        )
    if card.fingerprint != splits.fingerprint:
        raise RunError(
            f"{run}: trained on other images ({card.data.get('source')}, not {splits.name}); choose another --run"
        )
    tested = int(np.isin(model.row_ids, splits.test.row_id).sum())
    if tested:
        raise RunError(
            f"{run}: saw {tested} of this set's test images in training; a result with it would mean nothing"
        )
    outside = ~np.isin(model.row_ids, np.concatenate([train.row_id, splits.validation.row_id]))
    if outside.any():
        raise RunError(
            f"{run}: saw {int(outside.sum())} images outside this subset of {splits.name}; give the --seed "
            f"({card.seed}) and --per-class or --class-counts of its training, or train one on this subset"
        )


def refuse_synthetic(splits: DataSplits) -> None:
    """Refuse images that are not all real where they are compared with synthetic ones: their origin would be lost.

    Raises:
        DataError: some training or validation images are synthetic.
    """
    made = sum(int((part.origin != REAL).sum()) for part in (splits.train, splits.validation))
    if made:
        raise DataError(
            f"--data {splits.name}: {made:,} of its images are synthetic; give the real images it was made from"
        )


def check_counts(model: Model, counts: IntArray) -> None:
    """Check that there are so many samples of each class, int64 (K,), where a generator rebuilds its training images.

    Raises:
        UsageError: there are fewer.
    """
    available = model.available
    if available is None:
        return
    short = np.flatnonzero(counts > available)
    if len(short):
        label = int(short[0])
        raise UsageError(
            f"{model.named} rebuilds the {available[label]:,} training images of class "
            f"'{model.card.class_names[label]}', not {counts[label]:,}; ask for fewer, or for all of them by giving "
            "neither --per-class nor --counts"
        )


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (f", ... {len(names)} in all" if len(names) > 4 else "")


def _size(shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    return f"{height}x{width} {'grey' if channels == 1 else 'RGB'}"
