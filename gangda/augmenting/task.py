"""Inputs of one augmentation, checked, and the header of its set."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from gangda.augmenting.builder import check_transforms, split_by_method
from gangda.augmenting.plan import make_plan
from gangda.augmenting.selection import Filters
from gangda.classifying.networks import custom
from gangda.config.schema import (
    AUTO,
    AugmentConfig,
    ClassifierConfig,
    DataConfig,
    Runtime,
    SamplerOptions,
    TransformConfig,
)
from gangda.data.images import LabelledImages
from gangda.data.paths import located
from gangda.data.sample_set import SetHeader
from gangda.data.sample_set.index import request_key
from gangda.data.splits import DataSplits
from gangda.errors import UsageError
from gangda.runtime.device import DeviceContext, prepare
from gangda.runtime.progress import Reporter
from gangda.runtime.runs import find_run
from gangda.sampling.build import check_request, make_sampler, model_summary
from gangda.sampling.filters import in_order
from gangda.sampling.sampler import Sampler
from gangda.training.leaks import check_run
from gangda.training.saved_model import Model, load_model

PROTOCOL = 3  # raised when the same options would give other images


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be done, with what.

    Attributes:
        run, model: None where nothing is generated.
        unseen: the validation images that the generator was not trained on.
    """

    splits: DataSplits
    config: AugmentConfig
    transforms: TransformConfig
    classifier: ClassifierConfig
    options: SamplerOptions
    runtime: Runtime
    context: DeviceContext
    run: Path | None
    model: Model | None
    unseen: LabelledImages
    reporter: Reporter
    _samplers: dict[Filters, Sampler] = field(default_factory=dict)

    def sampler(self, filters: Filters) -> Sampler:
        """The generator's sampler with these filters, which are fitted once."""
        if filters not in self._samplers:
            self._samplers[filters] = make_sampler(
                cast(Model, self.model),
                seed=self.runtime.seed,
                context=self.context,
                run=self.run,
                options=self.options,
                filters=filters,
                images=(self.splits.train, self.splits.validation),  # the run's own may be others
                reporter=self.reporter,
            )
        return self._samplers[filters]


def task_of(
    splits: DataSplits,
    config: AugmentConfig,
    transforms: TransformConfig,
    classifier: ClassifierConfig,
    sampler: SamplerOptions,
    runtime: Runtime,
    run: Path | None,
    reporter: Reporter,
) -> Task:
    """Check the request before any work is done, and load the generator if images may be generated."""
    check_transforms(transforms)
    _check_method(config, sampler)
    counts, names = splits.train.counts(), splits.train.class_names
    plans = [make_plan(counts, names, replace(config, ratio=ratio)) for ratio in config.ratios]
    context, model = prepare(runtime), None
    if any(split_by_method(plan.make, config.method)[0].any() for plan in plans):
        run, model = _generator(splits, run, config, sampler, reporter)
    else:
        run = None
    unseen = _unseen_validation(splits, model) if config.is_open else splits.validation
    return Task(
        splits, config, transforms, classifier, sampler, runtime, context, run, model, unseen, reporter
    )


def _unseen_validation(splits: DataSplits, model: Model | None) -> LabelledImages:
    """The validation images that the generator, if any, was not trained on: its own split may be another.

    Raises:
        UsageError: there are none, or nothing to tell apart.
    """
    asked = "--ratio, --filter auto and --allocate choose by validation images"
    if splits.train.num_classes < 2:
        raise UsageError(f"{asked} of two classes or more; {splits.name} has one")
    if not len(splits.validation):
        raise UsageError(f"{asked}, and there are none; give --validation above 0, or one --ratio")
    seen = np.isin(splits.validation.row_id, [] if model is None else model.row_ids)
    if model is not None and seen.all():
        raise UsageError(
            f"{asked}, and {model.named} was trained on all of them; train with --validation above 0, or give "
            "one --ratio"
        )
    return splits.validation.take(np.flatnonzero(~seen))


def _check_method(config: AugmentConfig, sampler: SamplerOptions) -> None:
    """Refuse options of generated images where none are made.

    Raises:
        UsageError: naming the option.
    """
    for option in ("--filter",) * bool(config.filter) + tuple(sampler.given()):
        if config.method == "traditional":
            raise UsageError(
                f"{option}: --method traditional makes no generated images; leave one of them out"
            )


def _generator(
    splits: DataSplits, run: Path | None, config: AugmentConfig, sampler: SamplerOptions, reporter: Reporter
) -> tuple[Path, Model]:
    """The run given, or the newest one that fits; checked for leaks, and for what filters need."""
    allowed = np.concatenate([splits.train.row_id, splits.validation.row_id])
    if run is None:
        run = find_run(splits.fingerprint, allowed)
        reporter.line(f"generator: {run} (the newest finished run for these images)")
    model = load_model(run, config.checkpoint)
    reporter.line(f"{run}: {model.described()}")
    check_run(run, model, splits)
    check_request(model, sampler, config.filter, smallest=int(splits.train.counts().min()))
    seen = int(np.isin(splits.train.row_id, model.row_ids).sum())
    if seen < len(splits.train):
        reporter.line(f"{run}: saw {seen:,} of these {len(splits.train):,} training images only")
    return run, model


def provenance(task: Task) -> dict[str, Any]:
    """How the images are made, plain values; with a choice on validation images, also the classifier that decides."""
    config, context = task.config, task.context
    left_open = (AUTO,) if AUTO in config.filter else ()
    filters = (*left_open, *in_order(config.filter))
    asked = asdict(replace(config, filter=filters))
    made_by: dict[str, Any] = {"run": None, "seed": task.runtime.seed, "augment": asked}
    if task.run is not None and task.model is not None:
        made_by |= model_summary(task.run, task.model, task.options)
        made_by |= {"device": context.device.type, "precision": context.precision}
    if config.is_open:
        name = task.classifier.classifier
        code = custom.code_of(name) if ":" in name else ""
        where = {"threads": context.threads, "device": context.device.type, "precision": context.precision}
        made_by["judge"] = {**asdict(task.classifier), "code": code, **where}
    else:
        del asked["score_by"]
    if _transforms_some(task):
        made_by["transforms"] = asdict(task.transforms)
    plain: dict[str, Any] = json.loads(json.dumps(made_by))
    return plain


def _transforms_some(task: Task) -> bool:
    """Whether traditional images are made, or may be."""
    if task.config.is_open:
        return task.config.method != "generated"
    train = task.splits.train
    plan = make_plan(train.counts(), train.class_names, task.config)
    return bool(split_by_method(plan.make, task.config.method)[1].any())


def header_of(task: Task, data: DataConfig, made_by: dict[str, Any]) -> SetHeader:
    """All but the number of images of each class, which may not be decided yet."""
    splits = task.splits
    # The data has been downloaded by now.
    config_used = json.loads(json.dumps(asdict(replace(data, download=False))))
    real = {"config": config_used, "seed": task.runtime.seed, "fingerprint": splits.fingerprint}
    rows = hashlib.sha256(np.sort(splits.train.row_id).tobytes()).hexdigest()[:16]
    asked = {"kind": "augmented", "protocol": PROTOCOL, "data": real, "rows": rows, "made_by": made_by}
    return SetHeader(
        kind="augmented",
        format=task.config.format,
        key=request_key(asked),
        class_names=splits.train.class_names,
        image_shape=splits.train.image_shape,
        total=(),
        data={**real, "config": {**config_used, "source": located(data).source}},
        provenance=made_by,
    )
