"""What stands in for a generator: controls, arms whose answer is known beforehand, and mistakes made on purpose."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gangda.comparing.arm_sets import wanted_by
from gangda.config.arms import find
from gangda.config.schema import ComparisonConfig
from gangda.data.images import TRADITIONAL, IntArray, LabelledImages, UInt8Array, generated_images
from gangda.data.loading import load_splits
from gangda.data.splits import DataSplits
from gangda.errors import UsageError
from gangda.runtime.seeding import numpy_stream

if TYPE_CHECKING:
    from gangda.comparing.added_images import AddedImages

SMOTE_NEIGHBOURS = 5  # Chawla 2002


def permuted(pools: "AddedImages", arch: str) -> LabelledImages:
    """Generated images, each under the name of the next class: of each as many as that one wants."""
    pool = pools.exactly(arch, pools.filters, np.roll(pools.wanted, -1))
    labels = (pool.labels + 1) % pool.num_classes
    return _in_order(dataclasses.replace(pool, labels=labels))


def wrong_range(pools: "AddedImages", arch: str) -> LabelledImages:
    """Generated images whose [-1, 1] was taken for [0, 1]: the darker half is black, the rest is stretched."""
    return _changed(pools.of("generator", arch), lambda x: np.clip(2 * x.astype(np.int16) - 255, 0, 255))


def wrong_size(pools: "AddedImages", arch: str) -> LabelledImages:
    """Generated images at half their size, in the corner of a black square."""

    def shrink(pixels: UInt8Array) -> UInt8Array:
        small = pixels[:, ::2, ::2]
        canvas = np.zeros_like(pixels)
        canvas[:, : small.shape[1], : small.shape[2]] = small
        return canvas

    return _changed(pools.of("generator", arch), shrink)


def copies(pools: "AddedImages", arch: str) -> LabelledImages:
    """The real images again."""
    real = pools.splits.train.take(_copied_rows(pools))
    return _as_added(real, TRADITIONAL)


def shuffled(pools: "AddedImages", arch: str) -> LabelledImages:
    """The real images again, their labels shuffled."""
    copies = pools.of("copies", arch)
    labels = _rng(pools, "shuffled").permutation(copies.labels)
    return _in_order(dataclasses.replace(copies, labels=labels))


def held_back(pools: "AddedImages", arch: str) -> LabelledImages:
    """Other real images of the source's training split, none of them in the subset.

    Raises:
        UsageError: there are too few.
    """
    seed, splits = pools.cell.seed, pools.splits
    whole, rows = outside(pools.plan.config, splits, seed)
    _refuse_too_few(pools.plan.config, splits.train, whole, rows)
    return _as_added(whole.take(_rng(pools, "held back").permutation(rows)), TRADITIONAL)


def outside(config: ComparisonConfig, splits: DataSplits, seed: int) -> tuple[LabelledImages, IntArray]:
    """All of the source's training images, and the rows, int64, of those that are not in the subset.

    How many there are of a class does not depend on the seed.
    """
    everything = dataclasses.replace(config.data, per_class=None, class_counts=None, validation=0.0)
    whole = load_splits(everything, seed).train
    used = np.concatenate([splits.train.row_id, splits.validation.row_id, splits.test.row_id])
    return whole, np.flatnonzero(~np.isin(whole.row_id, used))


def _refuse_too_few(
    config: ComparisonConfig, real: LabelledImages, whole: LabelledImages, rows: IntArray
) -> None:
    """Refuse the arms of other real images that need more of a class than these rows of the whole source have."""
    counts = np.bincount(whole.labels[rows], minlength=whole.num_classes)
    for arm in (name for name in config.compare.arms if find(name)[0].added.startswith("held back")):
        for name, have, want in zip(whole.class_names, counts, wanted_by(config, real, arm), strict=True):
            if have < want:
                raise UsageError(
                    f"--arms {arm}: class '{name}' has {have} images outside the subset, {want} are needed; "
                    f"give a smaller {_cause(config, arm)}"
                )


def _cause(config: ComparisonConfig, arm: str) -> str:
    """What an arm's need of other real images grows with."""
    if find(arm)[0].replaces:
        return "--per-class"
    return (
        "--per-class, ratio or --synthetic-passes"
        if config.compare.synthetic_passes > 1
        else "--per-class or ratio"
    )


def _enough_outside(config: ComparisonConfig, splits: DataSplits) -> None:
    _refuse_too_few(config, splits.train, *outside(config, splits, config.runtime.seed))


def smote(pools: "AddedImages", arch: str) -> LabelledImages:
    """Points on the lines between neighbours of one class, in pixels (Chawla 2002; imbalanced-learn's).

    Raises:
        UsageError: imbalanced-learn is not installed, or a class has a single image.
    """
    sampler_class = _smote_class()
    real = pools.splits.train
    least = int(real.counts().min())
    if least < 2:
        raise UsageError("--arms smote: every class needs two images or more; give more --per-class")
    target = real.counts() + pools.wanted_otherwise
    sampler = sampler_class(
        sampling_strategy=dict(enumerate(target.tolist())),
        k_neighbors=min(SMOTE_NEIGHBOURS, least - 1),
        random_state=int(_rng(pools, "smote").integers(2**31)),
    )
    flat = real.pixels.reshape(len(real), -1).astype(np.float32)
    pixels, labels = sampler.fit_resample(flat, real.labels)
    made = np.rint(pixels[len(real) :]).clip(0, 255).astype(np.uint8).reshape(-1, *real.pixels.shape[1:])
    return _as_added(generated_images(made, labels[len(real) :], real.class_names), TRADITIONAL)


def _smote_class() -> Any:
    try:
        from imblearn.over_sampling import SMOTE
    except ModuleNotFoundError:
        raise UsageError(
            "--arms smote needs imbalanced-learn: pip install 'gangda[smote]', or leave this arm out"
        ) from None
    return SMOTE


def _changed(pool: LabelledImages, change: Callable[[UInt8Array], Any]) -> LabelledImages:
    return dataclasses.replace(pool, pixels=np.ascontiguousarray(change(pool.pixels), dtype=np.uint8))


def _as_added(images: LabelledImages, origin: int) -> LabelledImages:
    """The same as added images: what is not the subset's own has no row of it."""
    count = len(images)
    return dataclasses.replace(
        images, row_id=np.full(count, -1, dtype=np.int64), origin=np.full(count, origin, dtype=np.uint8)
    )


def _in_order(images: LabelledImages) -> LabelledImages:
    """Sorted by label, as a pool is."""
    return images.take(np.argsort(images.labels, kind="stable").astype(np.int64))


def _rng(pools: "AddedImages", purpose: str) -> np.random.Generator:
    return numpy_stream(pools.cell.seed, "pool", purpose)


def _copied_rows(pools: "AddedImages") -> IntArray:
    """Rows of real images, those of a class one after the other, again and again, as many as are wanted."""
    labels = pools.splits.train.labels
    rows = [
        np.resize(np.flatnonzero(labels == label), count) if count else np.zeros(0, dtype=np.int64)
        for label, count in enumerate(pools.wanted_otherwise)
    ]
    return np.concatenate(rows).astype(np.int64)


# What an arm needs beside the data, by what `Arm.added` says: asked for when the plan is made.
NEEDS: Mapping[str, Callable[[ComparisonConfig, DataSplits], Any]] = {
    "smote": lambda config, splits: _smote_class(),
    "held back": _enough_outside,
    "held back only": _enough_outside,
}
