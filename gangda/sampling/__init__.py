"""`gangda sample`: images from a trained generator, in exact numbers per class, as a sample set.

The work is dealt out in units, (class, block), to the shards in turn. An image depends on (seed, class,
generator, block) alone, so any number of shards gives the same images at the same places of the set.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from gangda.config.schema import Runtime, SampleConfig
from gangda.data.class_values import read_counts
from gangda.data.images import IntArray
from gangda.data.sample_set import SetHeader, SetWriter, contact_sheet, finished_index, set_being_written
from gangda.data.sample_set.index import request_key
from gangda.errors import UsageError
from gangda.report.filter_figures import kept_and_rejected
from gangda.runtime.device import DeviceContext, prepare
from gangda.runtime.progress import SILENT, Reporter
from gangda.sampling.batch_sources import Sampler
from gangda.sampling.filtered import check_filters, filtering_shares, in_order
from gangda.sampling.pseudo_labels import sorting_shares
from gangda.sampling.sampler import blocks_of, check_choice, make_sampler, model_summary, write_generated
from gangda.training.reconstructions import available, check_counts
from gangda.training.saved_model import Model, load_model

PROTOCOL = 1  # raised when the same options would give other images


@dataclass(frozen=True)
class SampleResult:
    """A sample set, or one shard of it.

    Attributes:
        out: folder of the set.
        header: what the set says of itself.
        counts: images per class in this shard.
        sorting: per class, images drawn, accepted and agreed on; empty where labels were not chosen by a
            classifier.
        filtering: per class, images drawn, kept, and rejected by each filter; empty without filters.
        cost: seconds and images per second; empty in a dry run.
        dry_run, reprinted: nothing was written; the set was there already.
    """

    out: Path
    header: SetHeader
    counts: tuple[int, ...]
    sorting: Mapping[str, list[int]]
    cost: Mapping[str, Any]
    filtering: Mapping[str, list[int]] = field(default_factory=dict)
    dry_run: bool = False
    reprinted: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values; counts by class name."""
        names = self.header.class_names
        return {
            "out": str(self.out),
            "format": self.header.format,
            "shard": list(self.header.shard),
            "counts": dict(zip(names, self.counts, strict=True)),
            "total": dict(zip(names, self.header.total, strict=True)),
            "image_shape": list(self.header.image_shape),
            "provenance": self.header.provenance,
            "sorting": sorting_shares(self.sorting, names),
            "filtering": filtering_shares(self.filtering, names),
            "contact_sheet": str(contact_sheet(self.out, self.header)) if self.filtering else None,
            "cost": dict(self.cost),
            "dry_run": self.dry_run,
            "reprinted": self.reprinted,
        }


def sample(
    run: Path,
    config: SampleConfig,
    runtime: Runtime,
    out: Path | None,
    *,
    dry_run: bool = False,
    reporter: Reporter = SILENT,
) -> SampleResult:
    """Draw a sample set from the generator of a run folder; `out` defaults to samples/<run>-<hash>.

    Raises:
        UsageError: counts, shard or generator that the run cannot serve.
        RunError: no generator in `run`, too few samples of a class, `out` of somebody else's, a full disk.
    """
    model = load_model(run, config.checkpoint)
    reporter.line(f"generator: {model.described()}")
    counts = _counts(config, model)
    shard = read_shard(config.shard)
    _check(model, config, counts)
    context = prepare(runtime)
    header = _header(run, model, config, counts, shard, runtime.seed, context)
    out = out or Path("samples") / f"{model.card.run}-{header.key[:8]}"
    units = blocks_of(counts)[shard[0] - 1 :: shard[1]]
    planned = tuple(sum(count for label, _, count in units if label == k) for k in range(len(counts)))
    finished = finished_index(out, header)
    if finished is not None:
        header = replace(header, provenance=finished["provenance"])
        told = (finished["sorting"], finished["cost"], finished["filtering"])
        return SampleResult(out, header, planned, *told, dry_run, reprinted=True)
    if dry_run:
        return SampleResult(out, header, planned, {}, {}, dry_run=True)
    supply = make_sampler(
        model,
        seed=runtime.seed,
        context=context,
        run=run,
        which=config.generator,
        min_confidence=config.min_confidence,
        truncation=config.truncation,
        filters=config.filter,
        reporter=reporter,
    )
    header = replace(header, provenance={**header.provenance, "labels": supply.as_dict()})
    writer = _write(out, header, supply, units, np.cumsum(counts) - counts, reporter)
    return SampleResult(out, header, planned, writer.sorting, writer.cost, writer.filtering)


def _check(model: Model, config: SampleConfig, counts: IntArray) -> None:
    """Refuse what this generator cannot give."""
    check_counts(model, counts, config.truncation)
    check_choice(model, config.generator, config.min_confidence)
    check_filters(model, config.filter)


def _write(
    out: Path,
    header: SetHeader,
    supply: Sampler,
    units: Sequence[tuple[int, int, int]],
    first: IntArray,
    reporter: Reporter,
) -> SetWriter:
    """Draw the units into the set, with its contact sheet and cost; units and `first` as for `write_generated`."""
    start = time.perf_counter()
    with set_being_written(out, header) as writer:
        sieve = write_generated(writer, supply, units, first, reporter)
        writer.contact_sheet = kept_and_rejected(
            header.class_names, sieve.kept, sieve.rejected, sieve.reasons
        )
        seconds = time.perf_counter() - start
        writer.cost = {"seconds": round(seconds, 3), "images_per_second": round(writer.count / seconds, 1)}
    return writer


def read_shard(text: str) -> tuple[int, int]:
    """`i/n` (the configuration has checked its form) as (i, n), 1 <= i <= n.

    Raises:
        UsageError: i is beyond n, or n beyond all sense.
    """
    i, _, n = text.partition("/")
    if max(len(i), len(n)) > 6 or int(i) > int(n):
        raise UsageError(f"--shard {text[:40]}: i runs from 1 to n, and n to 999999")
    return int(i), int(n)


def _header(
    run: Path,
    model: Model,
    config: SampleConfig,
    counts: IntArray,
    shard: tuple[int, int],
    seed: int,
    context: DeviceContext,
) -> SetHeader:
    """The key is made of what determines the images: the weights, for one, and not the path of the run."""
    card = model.card
    made_by = {
        **model_summary(run, model),
        "seed": seed,
        "generator": config.generator,
        "min_confidence": config.min_confidence,
        "device": context.device.type,
        "precision": context.precision,
    }
    if config.truncation is not None:  # without it, a set keeps the key it always had
        made_by["truncation"] = config.truncation
    if config.filter:
        made_by["filter"] = list(in_order(config.filter))
    asked = {
        "kind": "samples",
        "protocol": PROTOCOL,
        "format": config.format,
        "total": counts.tolist(),
        **made_by,
    }
    return SetHeader(
        kind="samples",
        format=config.format,
        key=request_key(asked),
        class_names=card.class_names,
        image_shape=card.image_shape,
        total=tuple(counts.tolist()),
        shard=shard,
        data={"config": card.data, "seed": card.seed, "fingerprint": card.fingerprint},
        provenance=made_by,
    )


def _counts(config: SampleConfig, model: Model) -> IntArray:
    names = model.card.class_names
    everything = available(model)
    if config.per_class is None and config.counts is None and everything is not None:
        return everything
    if config.per_class is None and config.counts is None:
        raise UsageError("say how many samples: --per-class N, or --counts NAME=50,#3=200")
    if config.counts is not None:
        return read_counts(config.counts, names)
    return np.full(len(names), config.per_class, dtype=np.int64)
