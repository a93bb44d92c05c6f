"""Where the images come from that an arm adds to the real ones: a cell's generators (or `stand_ins.py`)."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gangda.augmenting.candidates import Filters
from gangda.comparing import controls
from gangda.comparing.arm_sets import fixed_filters, train_config, wanted
from gangda.comparing.plan import Cell, Plan
from gangda.comparing.progress import GENERATOR_SHARE, Phase, Tell
from gangda.data.images import IntArray, LabelledImages, UInt8Array, generated_images
from gangda.data.loading import load_splits
from gangda.data.splits import DataSplits
from gangda.errors import FilterError, UsageError
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import Reporter
from gangda.sampling.build import make_sampler, needs_pseudo_labels, sampler_options_of
from gangda.sampling.pseudo_labels import PseudoLabeler, fit_pseudo_labeler
from gangda.sampling.sample_statistics import SampleStatistics, filter_shares
from gangda.sampling.sampler import Sampler
from gangda.sampling.writing import draw_images
from gangda.training import fit_generator
from gangda.training.leaks import check_run
from gangda.training.preview import samples_of_each
from gangda.training.saved_model import Model, load_model

LEAKY = "leaky"  # the key of a generator that saw everything


@dataclass(eq=False)
class AddedImages:
    """The pools of one cell, each made once, when an arm asks for it.

    Attributes:
        splits: the cell's subset.
        work: the cell's own folder, for generators.
        made: what made each generator's pool, by architecture: plain values for the cell's file.
        sieves: what filters did to a generator's pool, by architecture and filters.
        exact: whether an unconditional generator gives so many images of each class, or as many of each as come.
        each: of an ensemble, ten samples of each generator, by architecture: uint8 (10 K, H, W, C).
    """

    plan: Plan
    cell: Cell
    splits: DataSplits
    context: DeviceContext
    work: Path
    tell: Tell
    exact: bool = True
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    each: dict[str, UInt8Array] = field(default_factory=dict)
    sieves: dict[tuple[str, Filters], SampleStatistics] = field(default_factory=dict)
    _kept: dict[tuple[str, str, Filters], LabelledImages] = field(default_factory=dict)
    _refused: dict[tuple[str, str, Filters], str] = field(default_factory=dict)
    _models: dict[str, tuple[Model, float]] = field(default_factory=dict)
    _supplies: dict[tuple[str, Filters], tuple[Sampler, PseudoLabeler | None]] = field(default_factory=dict)

    def of(self, added: str, arch: str | None = None, filters: Filters | None = None) -> LabelledImages:
        """The pool: of each class as many images as the hungriest ratio needs; the first of each class are taken.

        `arch`: another architecture than the experiment's, with the options it has by default. `filters`: others than
        those of all arms, where an arm has a choice.
        """
        key = (added, arch or self.plan.config.arch, self.filters if filters is None else filters)
        if key in self._refused:
            raise FilterError(self._refused[key])
        if key not in self._kept:
            try:
                self._kept[key] = SOURCES[added](self, *key[1:])
            except (
                FilterError
            ) as error:  # thousands of samples were looked at: not once more for the next arm
                self._refused[key] = str(error)
                raise
        return self._kept[key]

    def exactly(self, arch: str | None, filters: Filters, counts: IntArray) -> LabelledImages:
        """`counts` (K,) images of the generator, classes in order; the first of each class are those of `of`."""
        key = arch or self.plan.config.arch
        self.of("generator", key, filters)
        listener = Phase(self.tell, GENERATOR_SHARE, 0.0, "samples")
        supply, _ = self.supply(key, filters)
        return draw_images(supply, counts, self.splits.train.class_names, listener)

    @property
    def filters(self) -> Filters:
        """What generated images must pass where no arm has a choice."""
        return fixed_filters(self.plan.config.compare)

    def kept(self, key: tuple[str, str]) -> LabelledImages | None:
        """A pool that an arm has asked for, by where its images come from and which architecture; else None."""
        return self._kept.get((*key, self.filters))

    def folder(self, key: str) -> Path:
        """The run folder of a generator, by its key in `made`."""
        if key != self.plan.config.arch:
            return self.work / f"gan-{key}"
        return self.work / "gan" if self.plan.run is None else self.plan.run

    @property
    def wanted(self) -> IntArray:
        """Generated images of each class, int64 (K,): enough for every ratio, and for replacing all."""
        return wanted(self.plan.config, self.splits.train, generated=True)

    @property
    def wanted_otherwise(self) -> IntArray:
        """The same of images that no generator makes."""
        return wanted(self.plan.config, self.splits.train, generated=False)

    @property
    def drawn(self) -> LabelledImages | None:
        """The experiment's own generator's pool, if an arm asked for it."""
        return self.kept(("generator", self.plan.config.arch))

    def supply(self, key: str, filters: Filters) -> tuple[Sampler, PseudoLabeler | None]:
        """The images of a generator, by its key in `made`, behind filters; and what sorts them, if anything does."""
        if (key, filters) not in self._supplies:
            labeler = next((known for (other, _), (_, known) in self._supplies.items() if other == key), None)
            self._supplies[key, filters] = self._new_supply(self._models[key][0], filters, labeler)
        return self._supplies[key, filters]

    def _new_supply(
        self, model: Model, filters: Filters, labeler: PseudoLabeler | None
    ) -> tuple[Sampler, PseudoLabeler | None]:
        seed, context, splits = self.cell.seed, self.context, self.splits
        if needs_pseudo_labels(model) and labeler is None:
            listener = Phase(self.tell, GENERATOR_SHARE, 0.0, "sorter")
            labeler = fit_pseudo_labeler(
                splits.train, splits.validation, seed=seed, context=context, reporter=listener
            )
        supply = make_sampler(
            model,
            seed=seed,
            context=context,
            labeler=labeler,
            options=self.plan.config.sampler.only(sampler_options_of(model)),
            filters=filters,
            images=(splits.train, splits.validation),
            reporter=Phase(self.tell, GENERATOR_SHARE, 0.0, "filters"),
        )
        return supply, labeler


def _generated(pools: AddedImages, arch: str, filters: Filters) -> LabelledImages:
    """Samples of the cell's generator of this architecture, trained on the cell's own images."""
    plan = pools.plan
    began = time.monotonic()
    if arch not in pools._models:
        if arch == plan.config.arch and plan.run is not None:
            model = load_model(plan.run, plan.config.compare.checkpoint)
            check_run(plan.run, model, pools.splits)
        else:
            model = _trained(pools, arch, pools.splits, arch)
        pools._models[arch] = (model, time.monotonic() - began)
    return _samples(pools, arch, filters)


def _leaked(pools: AddedImages, arch: str, filters: Filters) -> LabelledImages:
    """Samples of a generator that saw the whole training split: a mistake, to be seen for what it is.

    Source: report R3 replaced real images by those of a GAN that had been trained on all of them.
    """
    began = time.monotonic()
    if LEAKY not in pools._models:
        whole = dataclasses.replace(pools.plan.config.data, per_class=None, class_counts=None, validation=0.0)
        model = _trained(pools, arch, load_splits(whole, pools.cell.seed), LEAKY)
        pools._models[LEAKY] = (model, time.monotonic() - began)
    return _samples(pools, LEAKY, filters)


def _trained(pools: AddedImages, arch: str, splits: DataSplits, key: str) -> Model:
    folder = pools.folder(key)
    return fit_generator(
        train_config(pools.plan.config, arch, pools.cell.seed),
        splits.train,
        folder,
        fingerprint=splits.fingerprint,
        validation=splits.validation,
        checkpoint=pools.plan.config.compare.checkpoint,
        reporter=Phase(pools.tell, 0.0, GENERATOR_SHARE, folder.name.replace("gan", "generator")),
    )


def _samples(pools: AddedImages, key: str, filters: Filters) -> LabelledImages:
    """As many samples as are wanted, sorted into classes where the generator has none; `key` names them."""
    began = time.monotonic()
    seed, context, names = pools.cell.seed, pools.context, pools.splits.train.class_names
    supply, labeler = pools.supply(key, filters)
    model, train_seconds = pools._models[key]
    sieve, listener = SampleStatistics(), Phase(pools.tell, GENERATOR_SHARE, 0.0, "samples")
    if labeler is None or pools.exact:
        pool = draw_images(supply, pools.wanted, names, listener, sieve)
    else:
        pool = _as_they_come(pools, supply, labeler, listener)
    if sieve.filters:
        pools.sieves[key, filters] = sieve
    told = {
        "labels": supply.as_dict(),
        "filtering": filter_shares(sieve.filter_counts(pool.num_classes), pool.class_names),
        "made": pool.counts().tolist(),
        "content": pool.content_hash(),
    }
    if filters != pools.filters:  # one that an arm may choose
        own = {**told, "draw_seconds": time.monotonic() - began}
        pools.made[key].setdefault("filtered", {})[",".join(filters)] = own
        return pool
    if model.generator.num_generators > 1:
        pools.each[key] = samples_of_each(model.generator, seed=seed, context=context)
    pools.made[key] = {
        "arch": model.card.arch,
        "steps": model.steps,
        "checkpoint": model.checkpoint,
        "shared": pools.plan.run is not None and key == pools.plan.config.arch,
        **told,
        "train_seconds": train_seconds,
        "draw_seconds": time.monotonic() - began,
    }
    return pool


def _as_they_come(
    pools: AddedImages, sampler: Sampler, labeler: PseudoLabeler, reporter: Reporter
) -> LabelledImages:
    """As many samples as are wanted in all, each under the class that the labeler sees in it: a collapse stays one.

    Raises:
        UsageError: filters, which judge samples of a class.
    """
    if pools.plan.config.compare.filter:
        raise UsageError("--filter: samples without a class are scored as they come; choose another --arch")
    total = pools.wanted.sum(keepdims=True)
    unlabelled = dataclasses.replace(sampler, labeler=None)
    pixels = draw_images(unlabelled, total, ("all",), reporter).pixels
    labels = labeler.label(pixels)[0]
    order = np.argsort(labels, kind="stable")
    return generated_images(pixels[order], labels[order], pools.splits.train.class_names)


def _plain(
    make: Callable[[AddedImages, str], LabelledImages],
) -> Callable[[AddedImages, str, Filters], LabelledImages]:
    """A source that nobody filters by choice."""
    return lambda pools, arch, filters: make(pools, arch)


# Keyed by what `Arm.added` says; a test holds the two together.
SOURCES: Mapping[str, Callable[[AddedImages, str, Filters], LabelledImages]] = {
    "generator": _generated,
    "generator only": lambda pools, arch, filters: pools.of("generator", arch, filters),
    "leaked": _leaked,
    "permuted labels": _plain(controls.permuted),
    "wrong range": _plain(controls.wrong_range),
    "wrong size": _plain(controls.wrong_size),
    "smote": _plain(controls.smote),
    "copies": _plain(controls.copies),
    "shuffled": _plain(controls.shuffled),
    "held back": _plain(controls.held_back),
    "held back only": lambda pools, arch, _: pools.of("held back", arch),
}
