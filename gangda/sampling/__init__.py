"""`gangda sample`: images from a trained generator, in exact numbers per class, as a sample set.

The work is dealt out in units, (class, block), to the shards in turn. An image depends on (seed, class,
generator, block) alone, so any number of shards gives the same images at the same places of the set.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gangda.config.schema import Runtime, SampleConfig, SamplerOptions
from gangda.data.class_values import read_counts
from gangda.data.images import IntArray, LabelledImages
from gangda.data.sample_set import SetHeader, SetIndex, finished_index
from gangda.data.sample_set.index import request_key
from gangda.errors import UsageError
from gangda.runtime.device import DeviceContext, prepare
from gangda.runtime.part import read_shard
from gangda.runtime.progress import SILENT, Reporter
from gangda.sampling.build import check_request, make_sampler, model_summary
from gangda.sampling.filters import in_order
from gangda.sampling.sampler import Sampler
from gangda.sampling.writing import SetResult, blocks_of, draw_images, timed_set, write_samples
from gangda.training.leaks import check_counts
from gangda.training.result import read_data_alarms
from gangda.training.saved_model import Model, load_model

PROTOCOL = 2  # raised when the same options would give other images


class SampleResult(SetResult):
    """A sample set, or one shard of it."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values; counts by class name: `counts` of this shard, `total` of the whole set."""
        index = self.index
        return {
            **super().as_dict(),
            "shard": list(index.shard),
            "counts": dict(zip(index.class_names, index.counts, strict=True)),
            "total": dict(zip(index.class_names, index.total, strict=True)),
        }


def sample(
    run: Path,
    config: SampleConfig,
    runtime: Runtime,
    out: Path | None,
    *,
    sampler: SamplerOptions = SamplerOptions(),  # noqa: B008  (frozen)
    dry_run: bool = False,
    reporter: Reporter = SILENT,
) -> SampleResult:
    """Draw a sample set from the generator of a run folder; `out` defaults to samples/<run>-<hash>.

    Raises UsageError: counts, shard, generator or options of the sampler that the run cannot serve; RunError: no
    generator in `run`, too few samples of a class, `out` holds something else, a full disk.
    """
    model = load_model(run, config.checkpoint)
    reporter.line(f"generator: {model.described()}")
    for alarm in read_data_alarms(run):
        reporter.line(alarm)
    counts = _counts(config, model)
    check_counts(model, counts)
    check_request(model, sampler, config.filter, which=config.generator, min_confidence=config.min_confidence)
    context = prepare(runtime)
    header = _header(model, config, runtime.seed, context, sampler, counts)
    out = out or Path("samples") / f"{model.card.run}-{header.key[:8]}"
    i, n = header.shard
    units = blocks_of(counts)[i - 1 :: n]
    index = finished_index(out, header)
    reprinted = index is not None
    if dry_run and not reprinted:
        planned = tuple(sum(count for label, _, count in units if label == k) for k in range(len(counts)))
        index = SetIndex(**vars(header), counts=planned)
    if index is None:
        source = _sampler(model, config, runtime.seed, context, sampler, reporter)
        header = replace(header, provenance={**header.provenance, "labels": source.as_dict()})
        with timed_set(out, header) as writer:
            write_samples(writer, source, units, np.cumsum(counts) - counts, reporter)
        index = writer.index
    return SampleResult(out=out, index=index, dry_run=dry_run, reprinted=reprinted)


def _header(
    model: Model,
    config: SampleConfig,
    seed: int,
    context: DeviceContext,
    sampler: SamplerOptions,
    counts: IntArray,
) -> SetHeader:
    made_by = {
        **model_summary(model, sampler),
        "seed": seed,
        "generator": config.generator,
        "min_confidence": config.min_confidence,
        "device": context.device.type,
        "precision": context.precision,
    }
    if config.filter:
        made_by["filter"] = list(in_order(config.filter))
    card, total = model.card, counts.tolist()
    # What determines the images: the weights, for one, and not the path of the run.
    asked = {"kind": "samples", "protocol": PROTOCOL, "format": config.format, "total": total, **made_by}
    return SetHeader(
        kind="samples",
        format=config.format,
        key=request_key(asked),
        class_names=card.class_names,
        image_shape=card.image_shape,
        total=tuple(total),
        shard=read_shard(config.shard),
        data={"config": card.data, "seed": card.seed, "fingerprint": card.fingerprint},
        provenance=made_by,
    )


def draw(
    run: Path,
    config: SampleConfig,
    runtime: Runtime,
    *,
    sampler: SamplerOptions = SamplerOptions(),  # noqa: B008  (frozen)
    reporter: Reporter = SILENT,
) -> LabelledImages:
    """The images that `sample` would write, in memory; `config.format` and `config.shard` mean nothing here."""
    source, counts = open_sampler(run, config, runtime, sampler=sampler, reporter=reporter)
    return draw_images(source, counts, source.class_names, reporter)


def open_sampler(
    run: Path,
    config: SampleConfig,
    runtime: Runtime,
    *,
    sampler: SamplerOptions = SamplerOptions(),  # noqa: B008  (frozen)
    reporter: Reporter = SILENT,
) -> tuple[Sampler, IntArray]:
    """The sampler of a run, and how many images of each class are wanted, int64 (K,); raises as `sample`."""
    model = load_model(run, config.checkpoint)
    counts = _counts(config, model)
    check_counts(model, counts)
    context = prepare(runtime)
    return _sampler(model, config, runtime.seed, context, sampler, reporter), counts


def _sampler(
    model: Model,
    config: SampleConfig,
    seed: int,
    context: DeviceContext,
    options: SamplerOptions,
    reporter: Reporter,
) -> Sampler:
    return make_sampler(
        model,
        seed=seed,
        context=context,
        which=config.generator,
        min_confidence=config.min_confidence,
        options=options,
        filters=config.filter,
        reporter=reporter,
    )


def _counts(config: SampleConfig, model: Model) -> IntArray:
    names = model.card.class_names
    if config.counts is not None:
        return read_counts(config.counts, names)
    if config.per_class is not None:
        return np.full(len(names), config.per_class, dtype=np.int64)
    if model.available is None:
        raise UsageError("say how many samples: --per-class N, or --counts NAME=50,#3=200")
    return model.available
