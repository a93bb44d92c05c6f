"""Where the images come from that an arm adds to the real ones: a cell's generators, or what stands in for one."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gangda import specs
from gangda.configs import Recipe, TrainConfig
from gangda.data.images import TRADITIONAL, IntArray, LabelledImages, UInt8Array, generated_images
from gangda.data.loading import load_splits
from gangda.data.splits import DataSplits
from gangda.engines.comparing.arms import most_made
from gangda.engines.comparing.plan import Cell, Plan
from gangda.engines.comparing.telling import GENERATOR_SHARE, Phase, Tell
from gangda.engines.training import fit_generator
from gangda.errors import UsageError
from gangda.moves.filtered import Sieve, filtering_shares
from gangda.moves.leaks import check_run
from gangda.moves.model import Model, load_model
from gangda.moves.sorting import fit_sorter
from gangda.moves.supply import draw_images, needs_sorter, supply_of
from gangda.moves.watch import samples_of_each
from gangda.runtime.device import Machine
from gangda.runtime.seeding import numpy_stream

LEAKY = "leaky"  # the key of a generator that saw everything
SMOTE_NEIGHBOURS = 5  # Chawla 2002


@dataclass(eq=False)
class Pools:
    """The pools of one cell, each made once, when an arm asks for it.

    Attributes:
        splits: the cell's subset.
        work: the cell's own folder, for generators.
        made: what made each generator's pool, by architecture: plain values for the cell's file.
        each: of an ensemble, ten samples of each generator, by architecture: uint8 (10 K, H, W, C).
    """

    plan: Plan
    cell: Cell
    splits: DataSplits
    machine: Machine
    work: Path
    tell: Tell
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    each: dict[str, UInt8Array] = field(default_factory=dict)
    _kept: dict[tuple[str, str], LabelledImages] = field(default_factory=dict)

    def of(self, added: str, arch: str | None = None) -> LabelledImages:
        """The pool: of each class as many images as the hungriest ratio needs; the first of each class are taken.

        `arch`: another architecture than the experiment's, with the options it has by default.
        """
        key = (added, arch or self.plan.config.arch)
        if key not in self._kept:
            self._kept[key] = SOURCES[added](self, key[1])
        return self._kept[key]

    def kept(self, key: tuple[str, str]) -> LabelledImages | None:
        """A pool that an arm has asked for, by where its images come from and which architecture; else None."""
        return self._kept.get(key)

    def folder(self, key: str) -> Path:
        """The run folder of a generator, by its key in `made`."""
        if key != self.plan.config.arch:
            return self.work / f"gan-{key}"
        return self.work / "gan" if self.plan.run is None else self.plan.run

    @property
    def wanted(self) -> IntArray:
        """Images of each class, int64 (K,): enough for every ratio, and for replacing all."""
        compare, real = self.plan.config.compare, self.splits.train
        most = compare.fresh * most_made(compare.mode, compare.ratios, real, compare.ratio_for)
        return np.asarray(np.maximum(most, real.counts()), dtype=np.int64)

    @property
    def drawn(self) -> LabelledImages | None:
        """The experiment's own generator's pool, if an arm asked for it."""
        return self._kept.get(("generator", self.plan.config.arch))

    def _rng(self, purpose: str) -> np.random.Generator:
        return numpy_stream(self.cell.seed, "pool", purpose)

    def _copied_rows(self) -> IntArray:
        """Rows of real images, those of a class one after the other, again and again, as many as are wanted."""
        labels = self.splits.train.labels
        rows = [
            np.resize(np.flatnonzero(labels == label), count) if count else np.zeros(0, dtype=np.int64)
            for label, count in enumerate(self.wanted)
        ]
        return np.concatenate(rows).astype(np.int64)


def _generated(pools: Pools, arch: str) -> LabelledImages:
    """Samples of the cell's generator of this architecture, trained on the cell's own images."""
    plan = pools.plan
    began = time.monotonic()
    if arch == plan.config.arch and plan.run is not None:
        model = load_model(plan.run, plan.config.compare.checkpoint)
        check_run(plan.run, model, pools.splits)
    else:
        model = _trained(pools, arch, pools.splits, arch)
    return _samples(pools, model, arch, time.monotonic() - began)


def _leaked(pools: Pools, arch: str) -> LabelledImages:
    """Samples of a generator that saw the whole training split: a mistake, to be seen for what it is.

    Source: report R3 replaced real images by those of a GAN that had been trained on all of them.
    """
    whole = dataclasses.replace(pools.plan.config.data, per_class=None, class_counts=None)
    began = time.monotonic()
    model = _trained(pools, arch, load_splits(whole, pools.cell.seed), LEAKY)
    return _samples(pools, model, LEAKY, time.monotonic() - began)


def _trained(pools: Pools, arch: str, splits: DataSplits, key: str) -> Model:
    folder = pools.folder(key)
    return fit_generator(
        train_config(pools.plan, arch, pools.cell.seed),
        splits.train,
        folder,
        fingerprint=splits.fingerprint,
        validation=splits.validation,
        checkpoint=pools.plan.config.compare.checkpoint,
        reporter=Phase(pools.tell, 0.0, GENERATOR_SHARE, folder.name.replace("gan", "generator")),
    )


def _samples(pools: Pools, model: Model, key: str, train_seconds: float) -> LabelledImages:
    """As many samples as are wanted, sorted into classes where the generator has none; `key` names them."""
    began = time.monotonic()
    seed, machine, splits = pools.cell.seed, pools.machine, pools.splits
    sorter = None
    if needs_sorter(model):
        listener = Phase(pools.tell, GENERATOR_SHARE, 0.0, "sorter")
        sorter = fit_sorter(splits.train, splits.validation, seed=seed, machine=machine, reporter=listener)
    listener = Phase(pools.tell, GENERATOR_SHARE, 0.0, "filters")
    supply = supply_of(
        model,
        seed=seed,
        machine=machine,
        sorter=sorter,
        filters=pools.plan.config.compare.filter,
        images=(splits.train, splits.validation),
        reporter=listener,
    )
    sieve, listener = Sieve(), Phase(pools.tell, GENERATOR_SHARE, 0.0, "samples")
    pool = draw_images(supply, pools.wanted, splits.train.class_names, listener, sieve)
    if model.generator.num_generators > 1:
        pools.each[key] = samples_of_each(model.generator, seed=seed, machine=machine)
    pools.made[key] = {
        "arch": model.card.arch,
        "steps": model.steps,
        "checkpoint": model.checkpoint,
        "shared": pools.plan.run is not None,
        "labels": supply.as_dict(),
        "filtering": filtering_shares(sieve.tallies(pool.num_classes), pool.class_names),
        "made": pools.wanted.tolist(),
        "content": pool.content_hash(),
        "train_seconds": train_seconds,
        "draw_seconds": time.monotonic() - began,
    }
    return pool


def train_config(plan: Plan, arch: str, seed: int) -> TrainConfig:
    """How a cell trains: as the experiment says, or, for another architecture, as that one does by default."""
    config = plan.config
    runtime = dataclasses.replace(config.runtime, seed=seed)
    if arch == config.arch:
        return TrainConfig(config.data, arch, config.spec, config.recipe, config.budget, runtime)
    kind = specs.spec_class(arch)
    return TrainConfig(config.data, arch, kind(), Recipe(**kind.recipe), config.budget, runtime)


def _permuted(pools: Pools, arch: str) -> LabelledImages:
    """Generated images, each under the name of the next class."""
    pool = pools.of("generator", arch)
    labels = (pool.labels + 1) % pool.num_classes
    return _in_order(dataclasses.replace(pool, labels=labels))


def _wrong_range(pools: Pools, arch: str) -> LabelledImages:
    """Generated images whose [-1, 1] was taken for [0, 1]: the darker half is black, the rest is stretched."""
    return _changed(pools.of("generator", arch), lambda x: np.clip(2 * x.astype(np.int16) - 255, 0, 255))


def _wrong_size(pools: Pools, arch: str) -> LabelledImages:
    """Generated images at half their size, in the corner of a black square."""

    def shrink(pixels: UInt8Array) -> UInt8Array:
        small = pixels[:, ::2, ::2]
        canvas = np.zeros_like(pixels)
        canvas[:, : small.shape[1], : small.shape[2]] = small
        return canvas

    return _changed(pools.of("generator", arch), shrink)


def _copies(pools: Pools, arch: str) -> LabelledImages:
    """The real images again."""
    real = pools.splits.train.take(pools._copied_rows())
    return _as_added(real, TRADITIONAL)


def _shuffled(pools: Pools, arch: str) -> LabelledImages:
    """The real images again, their labels shuffled."""
    copies = pools.of("copies", arch)
    labels = pools._rng("shuffled").permutation(copies.labels)
    return _in_order(dataclasses.replace(copies, labels=labels))


def _held_back(pools: Pools, arch: str) -> LabelledImages:
    """Other real images of the source's training split, none of them in the subset.

    Raises:
        UsageError: there are too few.
    """
    plan, splits = pools.plan, pools.splits
    whole = dataclasses.replace(plan.config.data, per_class=None, class_counts=None)
    everything = load_splits(whole, pools.cell.seed)
    used = np.concatenate([splits.train.row_id, splits.validation.row_id, splits.test.row_id])
    rows = np.flatnonzero(~np.isin(everything.train.row_id, used))
    spare = everything.train.take(pools._rng("held back").permutation(rows))
    for name, have, want in zip(spare.class_names, spare.counts(), pools.wanted, strict=True):
        if have < want:
            raise UsageError(
                f"--arms held-back: class '{name}' has {have} images outside the subset, {want} are needed; "
                "give a smaller --per-class or ratio"
            )
    return _as_added(spare, TRADITIONAL)


def _smote(pools: Pools, arch: str) -> LabelledImages:
    """Points on the lines between neighbours of one class, in pixels (Chawla 2002; imbalanced-learn's).

    Raises:
        UsageError: imbalanced-learn is not installed, or a class has a single image.
    """
    smote = _smote_class()
    real = pools.splits.train
    least = int(real.counts().min())
    if least < 2:
        raise UsageError("--arms smote: every class needs two images or more; give more --per-class")
    target = real.counts() + pools.wanted
    sampler = smote(
        sampling_strategy=dict(enumerate(target.tolist())),
        k_neighbors=min(SMOTE_NEIGHBOURS, least - 1),
        random_state=int(pools._rng("smote").integers(2**31)),
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


# Keyed by what `Arm.added` says; a test holds the two together.
SOURCES: Mapping[str, Callable[[Pools, str], LabelledImages]] = {
    "generator": _generated,
    "generator only": lambda pools, arch: pools.of("generator", arch),
    "leaked": _leaked,
    "permuted labels": _permuted,
    "wrong range": _wrong_range,
    "wrong size": _wrong_size,
    "smote": _smote,
    "copies": _copies,
    "shuffled": _shuffled,
    "held back": _held_back,
}

NEEDS: Mapping[str, Callable[[], Any]] = {"smote": _smote_class}  # asked for when the plan is made
