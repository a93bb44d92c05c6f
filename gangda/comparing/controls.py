"""Added images that no trained generator makes: controls, arms with a known outcome, and mistakes made on purpose."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gangda.comparing.arm_sets import wanted_by
from gangda.config.arms import parse_arm
from gangda.config.schema import ComparisonConfig
from gangda.data.images import TRADITIONAL, IntArray, LabelledImages, generated_images
from gangda.data.loading import load_splits
from gangda.data.splits import DataSplits
from gangda.errors import UsageError
from gangda.runtime.seeding import numpy_stream

SMOTE_NEIGHBOURS = 5  # Chawla 2002


def next_label(images: LabelledImages) -> LabelledImages:
    """Images under the label of the next class."""
    return _sorted(dataclasses.replace(images, labels=(images.labels + 1) % images.num_classes))


def wrong_range(images: LabelledImages) -> LabelledImages:
    """Images whose [-1, 1] was taken for [0, 1]: the darker half is black, the rest is stretched."""
    pixels = np.clip(2 * images.pixels.astype(np.int16) - 255, 0, 255).astype(np.uint8)
    return dataclasses.replace(images, pixels=pixels)


def wrong_size(images: LabelledImages) -> LabelledImages:
    """Images at half their size, in the corner of a black square."""
    small = images.pixels[:, ::2, ::2]
    pixels = np.zeros_like(images.pixels)
    pixels[:, : small.shape[1], : small.shape[2]] = small
    return dataclasses.replace(images, pixels=pixels)


def copies(real: LabelledImages, counts: IntArray) -> LabelledImages:
    """The real images again, `counts` (K,) of each class, in turn."""
    rows = [np.resize(np.flatnonzero(real.labels == label), count) for label, count in enumerate(counts)]
    return _as_added(real.take(np.concatenate(rows).astype(np.int64)))


def shuffled(images: LabelledImages, seed: int) -> LabelledImages:
    """Images under shuffled labels."""
    return _sorted(dataclasses.replace(images, labels=_rng(seed, "shuffled").permutation(images.labels)))


def held_back(config: ComparisonConfig, splits: DataSplits, seed: int) -> LabelledImages:
    """Other real images of the source's training split, none in the subset; a UsageError where there are too few."""
    whole, rows = outside(config, splits, seed)
    _check_enough(config, splits.train, whole, rows)
    return _as_added(whole.take(_rng(seed, "held back").permutation(rows)))


def outside(config: ComparisonConfig, splits: DataSplits, seed: int) -> tuple[LabelledImages, IntArray]:
    """All of the source's training images, and the rows, int64, outside the subset: as many of a class for any seed."""
    whole = load_splits(config.data.whole, seed).train
    used = np.concatenate([splits.train.row_id, splits.validation.row_id, splits.test.row_id])
    return whole, np.flatnonzero(~np.isin(whole.row_id, used))


def _check_enough(
    config: ComparisonConfig, real: LabelledImages, whole: LabelledImages, rows: IntArray
) -> None:
    counts = np.bincount(whole.labels[rows], minlength=whole.num_classes)
    for arm in (name for name in config.compare.arms if parse_arm(name)[0].is_other_real):
        several = (config.compare.synthetic_passes or 1) > 1
        cause = "--per-class, ratio or --synthetic-passes" if several else "--per-class or ratio"
        cause = "--per-class" if parse_arm(arm)[0].replaces else cause
        for name, have, want in zip(whole.class_names, counts, wanted_by(config, real, arm), strict=True):
            if have < want:
                what = f"class '{name}' has {have} images outside the subset, {want} are needed"
                raise UsageError(f"--arms {arm}: {what}; give a smaller {cause}")


def smote(real: LabelledImages, counts: IntArray, seed: int) -> LabelledImages:
    """Points on the lines between neighbours of one class, in pixels. Source: Chawla 2002, imbalanced-learn's code.

    Raises UsageError: imbalanced-learn is not installed, or a class has a single image.
    """
    fewest = int(real.counts().min())
    if fewest < 2:
        raise UsageError("--arms smote: every class needs two images or more; give more --per-class")
    sampler = _smote_class()(
        sampling_strategy=dict(enumerate((real.counts() + counts).tolist())),
        k_neighbors=min(SMOTE_NEIGHBOURS, fewest - 1),
        random_state=int(_rng(seed, "smote").integers(2**31)),
    )
    flat = real.pixels.reshape(len(real), -1).astype(np.float32)
    pixels, labels = sampler.fit_resample(flat, real.labels)
    made = np.rint(pixels[len(real) :]).clip(0, 255).astype(np.uint8).reshape(-1, *real.pixels.shape[1:])
    return _as_added(generated_images(made, labels[len(real) :], real.class_names))


def _smote_class() -> Any:
    """imbalanced-learn's SMOTE; a UsageError where it is not installed."""
    try:
        from imblearn.over_sampling import SMOTE
    except ModuleNotFoundError:
        install = "pip install 'gangda[smote]', or leave this arm out"
        raise UsageError(f"--arms smote needs imbalanced-learn: {install}") from None
    return SMOTE


def _as_added(images: LabelledImages) -> LabelledImages:
    """The same as added images: what is not the subset's own has no row of it."""
    return generated_images(images.pixels, images.labels, images.class_names, TRADITIONAL)


def _sorted(images: LabelledImages) -> LabelledImages:
    return images.take(np.argsort(images.labels, kind="stable").astype(np.int64))


def _rng(seed: int, purpose: str) -> np.random.Generator:
    return numpy_stream(seed, "pool", purpose)


# What an arm needs beside the data, by what `Arm.added` says: checked when the plan is made.
CHECKS: Mapping[str, Callable[[ComparisonConfig, DataSplits], object]] = {
    "smote": lambda *_: _smote_class(),
    "held back": lambda config, splits: _check_enough(
        config, splits.train, *outside(config, splits, config.runtime.seed)
    ),
}
