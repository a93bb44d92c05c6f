"""The images that arms add to the real ones: samples of a cell's generators, or what `controls.py` makes."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gangda.augmenting.selection import Filters, same_steps
from gangda.classifying.self_training import SelfTrained, self_train
from gangda.comparing import controls
from gangda.comparing.arm_sets import fixed_filters, train_config, wanted
from gangda.comparing.cell_result import (
    LEAKY,
    UNLABELLED,
    FilterShares,
    GeneratorRecord,
    SampleRecord,
    generator_key,
)
from gangda.comparing.plan import Cell, ComparisonPlan
from gangda.data.images import IntArray, LabelledImages, UInt8Array, concatenate
from gangda.data.loading import load_splits
from gangda.data.splits import DataSplits
from gangda.errors import FilterError, UsageError
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import Reporter
from gangda.sampling.build import make_sampler, needs_pseudo_labels, sampler_options_of
from gangda.sampling.pseudo_labels import PseudoLabeler, fit_pseudo_labeler
from gangda.sampling.sample_statistics import SampleStatistics, filter_shares, table
from gangda.sampling.sampler import Sampler
from gangda.sampling.writing import draw_as_they_come, draw_images
from gangda.training import fit_generator
from gangda.training.leaks import check_run
from gangda.training.preview import samples_of_each
from gangda.training.saved_model import Model, load_model
from gangda.training.semi_supervised import needs_self_training, training_images

Progress = Callable[[float, str], None]

GENERATOR_SHARE = 0.7  # of a cell's time, for the progress bar


@dataclass(eq=False)
class AddedImages:
    """The added images of one cell, each set made once, when an arm asks for it.

    `records`, `ensembles` (ten samples of each generator, uint8 (10 K, H, W, C)) and `statistics` (of filtering) are by
    the generator's key (`generator_key`).
    """

    plan: ComparisonPlan
    cell: Cell
    splits: DataSplits
    context: DeviceContext
    work: Path  # the cell's own folder, for generators
    progress: Progress
    exact: bool = True  # as many of each class as wanted; else as many of each as come
    records: dict[str, GeneratorRecord] = field(default_factory=dict)
    ensembles: dict[str, UInt8Array] = field(default_factory=dict)
    statistics: dict[tuple[str, Filters], SampleStatistics] = field(default_factory=dict)
    _images: dict[tuple[str, str, Filters], LabelledImages | FilterError] = field(default_factory=dict)
    _models: dict[str, tuple[Model, float]] = field(default_factory=dict)
    _samplers: dict[tuple[str, Filters], tuple[Sampler, PseudoLabeler | None]] = field(default_factory=dict)

    def of(self, added: str, arch: str | None = None, filters: Filters | None = None) -> LabelledImages:
        """As many images of each class as any ratio needs, from `added`, a key of `SOURCES`; arms take the first ones.

        `arch`: another architecture than the comparison's, with its default options; `filters`: others than those of
        all arms, where an arm has a choice. Raises FilterError: too few images pass.
        """
        key = generator_key(added, arch or self.plan.config.arch)
        place = (added, key, self.filters if filters is None else filters)
        if place not in self._images:
            try:
                self._images[place] = SOURCES[added](self, *place[1:])
            except FilterError as error:  # thousands of samples were drawn: not once more for the next arm
                self._images[place] = error
        found = self._images[place]
        if isinstance(found, FilterError):
            raise FilterError(*found.args)
        return found

    def exactly(self, arch: str | None, filters: Filters, counts: IntArray) -> LabelledImages:
        """`counts` (K,) images of the generator, classes in order; the first of each class are those of `of`."""
        key = arch or self.plan.config.arch
        self.of("generator", key, filters)
        sampler, _ = self.sampler(key, filters)
        return draw_images(sampler, counts, self.splits.train.class_names, self._phase("samples"))

    @cached_property
    def self_trained(self) -> SelfTrained:
        """The unlabelled images, labelled by the comparison's own classifier with the traditional transforms."""
        config, splits = self.plan.config, self.splits
        assert splits.unlabelled is not None
        return self_train(
            splits.train,
            splits.unlabelled,
            same_steps(config.classifier, len(splits.train)),
            seed=self.cell.seed,
            context=self.context,
            transforms=config.transforms,
            reporter=self._phase("pseudo-labels"),
        )

    def already_made(self, added: str, arch: str | None = None) -> LabelledImages | None:
        """The images that an arm has asked for, without filters of its own choice; None where none has."""
        found = self._images.get((added, generator_key(added, arch or self.plan.config.arch), self.filters))
        return None if isinstance(found, FilterError) else found

    def samples_of(self, key: str) -> LabelledImages | None:
        """The samples of a generator, by its key, that an arm has asked for without filters of its own choice."""
        places = ((source, key, self.filters) for source, make in SOURCES.items() if make is _samples)
        found = next((self._images[place] for place in places if place in self._images), None)
        return None if isinstance(found, FilterError) else found

    @property
    def filters(self) -> Filters:
        """What generated images must pass where no arm has a choice."""
        return fixed_filters(self.plan.config.compare)

    def wanted(self, *, generated: bool = True) -> IntArray:
        """Images of each class, int64 (K,): enough for every ratio, and for replacing all."""
        return wanted(self.plan.config, self.splits.train, generated=generated)

    def folder(self, key: str) -> Path:
        """The run folder of a generator."""
        if key != self.plan.config.arch:
            return self.work / f"gan-{key}"
        return self.work / "gan" if self.plan.run is None else self.plan.run

    def sampler(self, key: str, filters: Filters) -> tuple[Sampler, PseudoLabeler | None]:
        """The sampler of a trained generator, with its filters, and its pseudo-labeler, if it needs one."""
        if (key, filters) in self._samplers:
            return self._samplers[key, filters]
        model = self._models[key][0]
        how: dict[str, Any] = {"seed": self.cell.seed, "context": self.context}
        labeler = next((known for (other, _), (_, known) in self._samplers.items() if other == key), None)
        if needs_pseudo_labels(model) and labeler is None:
            known = self.splits.train
            if key.endswith(UNLABELLED):
                known = concatenate(known, self.self_trained.certain)
            labeler = fit_pseudo_labeler(
                known, self.splits.validation, **how, reporter=self._phase("pseudo-labeler")
            )
        sampler = make_sampler(
            model,
            **how,
            labeler=labeler,
            options=self.plan.config.sampler.only(sampler_options_of(model)),
            filters=filters,
            splits=self.splits,
            reporter=self._phase("filters"),
        )
        self._samplers[key, filters] = sampler, labeler
        return sampler, labeler

    def model(self, key: str) -> tuple[Model, float]:
        """The generator, trained on the cell's own images where it is not shared, and the seconds that took."""
        if key not in self._models:
            began = time.monotonic()
            run = self.plan.run
            if key == self.plan.config.arch and run is not None:
                model = load_model(run, self.plan.config.compare.checkpoint)
                check_run(run, model, self.splits)
            else:
                model = self._train(key)
            self._models[key] = model, time.monotonic() - began
        return self._models[key]

    def _train(self, key: str) -> Model:
        """Train a generator; `LEAKY` on the whole training split: a mistake made on purpose, after report R3."""
        config, arch, splits = self.plan.config, key.removesuffix(UNLABELLED), self.splits
        if key == LEAKY:
            arch, splits = config.arch, load_splits(config.data.whole, self.cell.seed)
        name = "generator" if key == config.arch else f"generator {key}"
        train, images = train_config(config, arch, self.cell.seed), splits.train
        if key.endswith(UNLABELLED):
            found = self.self_trained if needs_self_training(train.spec) else None
            images = training_images(train.spec, splits, found)
        return fit_generator(
            train,
            images,
            self.folder(key),
            fingerprint=splits.fingerprint,
            validation=splits.validation,
            checkpoint=config.compare.checkpoint,
            reporter=Phase(self.progress, 0.0, GENERATOR_SHARE, name),
        )

    def _phase(self, name: str) -> Reporter:
        return Phase(self.progress, GENERATOR_SHARE, 0.0, name)


def _samples(added: AddedImages, key: str, filters: Filters) -> LabelledImages:
    """Samples of a generator, which is trained first, and the record of both."""
    model, train_seconds = added.model(key)
    began = time.monotonic()
    sampler, labeler = added.sampler(key, filters)
    statistics = SampleStatistics()
    names = added.splits.train.class_names
    if labeler is None or added.exact:
        images = draw_images(sampler, added.wanted(), names, added._phase("samples"), statistics)
    else:
        if added.plan.config.compare.filter:
            raise UsageError(
                "--filter: samples without a class are scored as they come; choose another --arch"
            )
        total = int(added.wanted().sum())
        images = draw_as_they_come(sampler, labeler, total, names, added._phase("samples"))
    if statistics.filters:
        added.statistics[key, filters] = statistics
    shares = filter_shares(table(statistics.filters, images.num_classes), images.class_names)
    record = SampleRecord(
        labels=sampler.as_dict(),
        filtering={name: FilterShares(**of_class) for name, of_class in shares.items()},
        made=tuple(images.counts().tolist()),
        content=images.content_hash(),
        draw_seconds=time.monotonic() - began,
    )
    if filters != added.filters:  # an arm's choice
        known = added.records[key]
        filtered = {**known.filtered, ",".join(filters): record}
        added.records[key] = dataclasses.replace(known, filtered=filtered)
        return images
    if model.generator.num_generators > 1:
        added.ensembles[key] = samples_of_each(model.generator, seed=added.cell.seed, context=added.context)
    added.records[key] = GeneratorRecord(
        arch=model.card.arch,
        steps=model.steps,
        checkpoint=model.checkpoint,
        shared=added.plan.run is not None and key == added.plan.config.arch,
        train_seconds=train_seconds,
        samples=record,
        filtered={},
    )
    return images


Source = Callable[[AddedImages, str, Filters], LabelledImages]

# By `Arm.source`: images from the cell, the generator's key, and filters. A test holds the two together.
SOURCES: Mapping[str, Source] = {
    "generator": _samples,
    "leaked": _samples,
    "semi-supervised": _samples,
    "permuted labels": lambda added, key, _: controls.next_label(
        added.exactly(key, added.filters, np.roll(added.wanted(), -1))
    ),
    "wrong range": lambda added, key, _: controls.wrong_range(added.of("generator", key)),
    "wrong size": lambda added, key, _: controls.wrong_size(added.of("generator", key)),
    "smote": lambda added, *_: controls.smote(
        added.splits.train, added.wanted(generated=False), added.cell.seed
    ),
    "copies": lambda added, *_: controls.copies(added.splits.train, added.wanted(generated=False)),
    "shuffled": lambda added, *_: controls.shuffled(added.of("copies"), added.cell.seed),
    "held back": lambda added, *_: controls.held_back(added.plan.config, added.splits, added.cell.seed),
}


class Phase(Reporter):
    """Reports the steps of one phase, such as training, as progress of its cell."""

    def __init__(self, progress: Progress, start: float, share: float, name: str) -> None:
        self._progress, self._start, self._share, self._name = progress, start, share, name

    def step(
        self, task: str, done: float, total: float | None, info: str = "", finished: int | None = None
    ) -> None:
        """Report the share of the cell that is done when `done` of `total` of this phase are."""
        if total:
            self._progress(self._start + self._share * min(1.0, done / total), self._name)
