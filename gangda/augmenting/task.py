"""What is asked for, checked, with the images and the generator that it takes; and the header of the set."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from gangda.augmenting.plan import AugmentPlan, kept_rows, make_plan, split_by_method
from gangda.augmenting.selection import Filters
from gangda.classifying import custom
from gangda.classifying.self_training import self_train
from gangda.config.fields import recorded
from gangda.config.schema import AUTO, AugmentationConfig
from gangda.data.images import TRADITIONAL, IntArray, LabelledImages, generated_images
from gangda.data.loading import load_splits
from gangda.data.paths import located
from gangda.data.sample_set import SetHeader, SetWriter
from gangda.data.sample_set.index import request_key
from gangda.data.splits import DataSplits
from gangda.errors import UsageError
from gangda.runtime.device import DeviceContext, prepare
from gangda.runtime.part import read_shard
from gangda.runtime.plain import to_plain
from gangda.runtime.progress import Reporter
from gangda.runtime.runs import find_run
from gangda.runtime.seeding import numpy_stream, torch_stream
from gangda.sampling.build import check_request, make_sampler, model_summary
from gangda.sampling.filters import in_order
from gangda.sampling.stored import ImageSource, StoredSamples, stored_samples
from gangda.sampling.writing import blocks_of, write_samples
from gangda.traditional.transforms import batch_transform
from gangda.training.leaks import check_run, refuse_synthetic
from gangda.training.saved_model import Model, load_model
from gangda.zoo.draw import BLOCK

PROTOCOL = 4  # raised when the same options would give other images
CHUNK = 4096  # real images written at once


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be done, with what."""

    config: AugmentationConfig
    splits: DataSplits
    context: DeviceContext
    model: Model | None  # None where nothing is generated, or the images are `stored`
    unseen: LabelledImages  # the validation images that the generator was not trained on
    reporter: Reporter
    stored: StoredSamples | None = None
    _samplers: dict[Filters, ImageSource] = field(default_factory=dict)

    def sampler(self, filters: Filters) -> ImageSource:
        """The generator's sampler with these filters, which are fitted once; or the stored samples."""
        if self.stored is not None:
            return self.stored
        if filters not in self._samplers:
            self._samplers[filters] = make_sampler(
                cast(Model, self.model),
                seed=self.config.runtime.seed,
                context=self.context,
                options=self.config.sampler,
                filters=filters,
                splits=self.splits,  # the run's own may be others
                reporter=self.reporter,
            )
        return self._samplers[filters]

    def header(self) -> SetHeader:
        """All but the number of images of each class, which may not be decided yet."""
        splits, made_by, method = self.splits, to_plain(self._provenance()), self.config.augment
        used = to_plain(recorded(replace(self.config.data, download=False)))  # it has been downloaded by now
        real = {"config": used, "seed": self.config.runtime.seed, "fingerprint": splits.fingerprint}
        rows = hashlib.sha256(np.sort(splits.train.row_id).tobytes()).hexdigest()[:16]
        asked = {"kind": "augmented", "protocol": PROTOCOL, "data": real, "rows": rows, "made_by": made_by}
        return SetHeader(
            kind="augmented",
            format=method.format,
            key=request_key(asked),
            class_names=splits.train.class_names,
            image_shape=splits.train.image_shape,
            total=(),
            shard=read_shard(method.shard),
            data={**real, "config": {**used, "source": located(self.config.data).source}},
            provenance=made_by,
        )

    def _provenance(self) -> dict[str, Any]:
        """How the images are made; with a choice on validation images, or pseudo-labels, also the classifier of it."""
        config, context, classifier = self.config.augment, self.context, self.config.classifier
        left_open = (AUTO,) if AUTO in config.filter else ()
        asked = dict(vars(replace(config, filter=(*left_open, *in_order(config.filter)))))
        del asked["shard"]  # the images do not depend on it
        where = {"device": context.device.type, "precision": context.precision}
        made_by: dict[str, Any] = {"run": None, "seed": self.config.runtime.seed, "augment": asked}
        if self.model is not None:
            made_by |= model_summary(self.model, self.config.sampler) | where
        if self.stored is not None:
            index, content = self.stored.index, self.stored.images.content_hash()
            made_by["samples"] = {"key": index.key, "content": content, **index.provenance}
        code = custom.code_of(classifier.classifier)
        asks = {**vars(classifier), "code": code, "threads": context.threads, **where}
        if asked.pop("pseudo_label"):
            made_by["labeler"] = {**asks, "unlabelled": self.splits.unlabelled_folder}
        if config.is_open:
            made_by["judge"] = asks
            transformed = config.method != "generated"
        else:
            del asked["score_by"]
            plan = make_plan(self.splits.train, config)
            transformed = bool(split_by_method(plan.make, config.method)[1].any())
        transformed |= config.pseudo_label
        return made_by | ({"transforms": self.config.transforms} if transformed else {})

    def pseudo_labelled(self) -> LabelledImages:
        """Unlabelled images under the classes of self-training, or none; each shard trains the same classifiers."""
        splits = self.splits
        if not self.config.augment.pseudo_label or splits.unlabelled is None:
            return splits.train.take(np.zeros(0, dtype=np.int64))
        return self_train(
            splits.train,
            splits.unlabelled,
            self.config.classifier,
            seed=self.config.runtime.seed,
            context=self.context,
            transforms=self.config.transforms,
            reporter=self.reporter,
        ).certain


def load_task(config: AugmentationConfig, run: Path | None, samples: Path | None, reporter: Reporter) -> Task:
    """Check the request before any work is done; load the images, and the generator if some may be generated."""
    if run is not None and samples is not None:
        raise UsageError("--run and --samples exclude each other: give one of them")
    asked, splits = config.augment, load_splits(config.data, config.runtime.seed)
    refuse_synthetic(splits)
    for note in splits.notes:
        reporter.line(note)
    if asked.pseudo_label and splits.unlabelled is None:
        raise UsageError(
            "--pseudo-label: there is nothing to label; give --unlabelled NUMBER or --unlabelled FOLDER"
        )
    config.transforms.ranges()  # a policy that only compare chooses is refused
    if config.transforms.mixup:
        raise UsageError(
            f"--mixup {config.transforms.mixup:g}: blends the batches of a classifier, a set holds single images; "
            "leave it out (--mixup 0 where a configuration has it) and give it to classify --transforms, or to compare"
        )
    idle = ("--filter",) * bool(asked.filter) + tuple(config.sampler.given())
    if idle and asked.method == "traditional":
        raise UsageError(f"{idle[0]}: --method traditional makes no generated images; leave one of them out")
    plans = [make_plan(splits.train, asked.at(ratio)) for ratio in asked.ratios]
    if idle and samples is not None:
        raise UsageError(f"{idle[0]}: the images of --samples are made already; leave one of them out")
    context, model, stored = prepare(config.runtime), None, None
    if any(split_by_method(plan.make, asked.method)[0].any() for plan in plans):
        if samples is None:
            model = _load_generator(splits, run, config, reporter)
        else:
            stored = stored_samples(samples, splits)
    unseen = splits.validation
    if asked.is_open:
        unseen = _unseen_validation(splits, stored or model)
    return Task(config, splits, context, model, unseen, reporter, stored)


def _load_generator(
    splits: DataSplits, run: Path | None, config: AugmentationConfig, reporter: Reporter
) -> Model:
    """That of the run given, or of the newest one that fits; checked for leaks, and for what filters need."""
    if run is None:
        allowed = splits.usable_rows
        run = find_run(splits.fingerprint, allowed)
        reporter.line(f"generator: {run} (the newest finished run for these images)")
    model = load_model(run, config.augment.checkpoint)
    reporter.line(f"{run}: {model.described()}")
    check_run(run, model, splits)
    smallest = int(splits.train.counts().min())
    check_request(model, config.sampler, config.augment.filter, smallest=smallest)
    seen = int(np.isin(splits.train.row_id, model.row_ids).sum())
    if seen < len(splits.train):
        reporter.line(f"{run}: saw {seen:,} of these {len(splits.train):,} training images only")
    return model


def _unseen_validation(splits: DataSplits, used: Model | StoredSamples | None) -> LabelledImages:
    """The validation images that the generator, if any, was not trained on; a UsageError for none or one class."""
    asked = "--ratio, --filter auto and --allocate choose by validation images"
    if splits.train.num_classes < 2:
        raise UsageError(f"{asked} of two classes or more; {splits.name} has one")
    if not len(splits.validation):
        raise UsageError(f"{asked}, and there are none; give --validation above 0, or one --ratio")
    if used is None:
        return splits.validation
    rows, named = (used.seen, used.path) if isinstance(used, StoredSamples) else (used.row_ids, used.named)
    seen = np.isin(splits.validation.row_id, rows)
    if seen.all():
        raise UsageError(
            f"{asked}, and {named} was trained on all of them; train with --validation above 0, or give "
            "one --ratio"
        )
    return splits.validation.take(np.flatnonzero(~seen))


def fill(
    writer: SetWriter, task: Task, plan: AugmentPlan, source: ImageSource | None, found: LabelledImages
) -> None:
    """Write the images of a plan and those `found` into a set, or those of one shard.

    `source` may be None where none are generated. Chunks of real images and blocks of made ones are dealt out to the
    shards in turn; their place does not change.
    """
    train, (i, n) = task.splits.train, read_shard(task.config.augment.shard)
    generated, traditional = split_by_method(plan.make, task.config.augment.method)
    kept = kept_rows(train.labels, plan.keep, task.config.runtime.seed)
    for start in range(0, len(kept), CHUNK)[i - 1 :: n]:
        writer.write(train.take(kept[start : start + CHUNK]), start)
    if source is not None:
        first = len(kept) + np.cumsum(generated) - generated
        write_samples(writer, source, blocks_of(generated)[i - 1 :: n], first, task.reporter)
    first = len(kept) + generated.sum() + np.cumsum(traditional) - traditional
    units = blocks_of(traditional)[i - 1 :: n]
    for (label, block, _), made in zip(units, transformed_images(task, traditional, units), strict=True):
        writer.write(made, int(first[label]) + block * BLOCK)
    end = int(len(kept) + generated.sum() + traditional.sum())
    for start in range(0, len(found), CHUNK)[i - 1 :: n]:
        writer.write(found.take(np.arange(start, min(start + CHUNK, len(found)))), end + start)


def transformed_images(
    task: Task, counts: IntArray, units: Sequence[tuple[int, int, int]] | None = None
) -> Iterator[LabelledImages]:
    """Transformed copies of real images, `counts` (K,): each class's in turn, in an order drawn by seed.

    `units`: only these of `blocks_of(counts)`.
    """
    train, seed = task.splits.train, task.config.runtime.seed
    transform = batch_transform(task.config.transforms)
    units = blocks_of(counts) if units is None else units
    done, total = 0, sum(count for _, _, count in units)
    order = {
        label: numpy_stream(seed, "traditional", label).permutation(np.flatnonzero(train.labels == label))
        for label in np.flatnonzero(counts).tolist()
    }
    for label, block, count in units:
        places = np.arange(count) + block * BLOCK
        parents = order[label][places % len(order[label])]
        originals = torch.tensor(train.pixels[parents]).permute(0, 3, 1, 2)
        changed = transform(originals, torch_stream(seed, "traditional", label, block)).permute(0, 2, 3, 1)
        pixels, row_ids = changed.contiguous().numpy(), train.row_id[parents]
        yield generated_images(pixels, label, train.class_names, TRADITIONAL, parent=row_ids)
        done += count
        task.reporter.step("transforming", done, total)
