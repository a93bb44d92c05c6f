"""`gangda augment`: the real training images with synthetic ones added or put in their place, as a set.

The set holds images of the train split and what was made from it, never a test or validation image; a
generator is taken only if it saw nothing but this set's training and validation images.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gangda.configs import AugmentConfig, DataConfig, Runtime, TransformConfig
from gangda.data.images import REAL, TRADITIONAL, IntArray, LabelledImages
from gangda.data.loading import load_splits
from gangda.data.places import located
from gangda.data.set_index import request_key
from gangda.data.set_pieces import make_piece
from gangda.data.shards import SetHeader, SetWriter, contact_sheet, finished_index, set_being_written
from gangda.data.splits import DataSplits
from gangda.moves.draw import BLOCK
from gangda.moves.filtered import check_filters, filtering_shares, in_order
from gangda.moves.leaks import check_run, refuse_synthetic
from gangda.moves.model import Model, load_model
from gangda.moves.plan import AugmentPlan, kept_rows, make_plan
from gangda.moves.sorting import sorting_shares
from gangda.moves.sources import Supply
from gangda.moves.supply import blocks_of, model_summary, supply_of, write_generated
from gangda.report.filter_figures import kept_and_rejected
from gangda.runtime.device import Machine, prepare
from gangda.runtime.progress import SILENT, Reporter
from gangda.runtime.runs import find_run
from gangda.runtime.seeding import numpy_stream, torch_stream
from gangda.traditional.transforms import batch_transform

PROTOCOL = 2  # raised when the same options would give other images
CHUNK = 4096  # real images written at once


@dataclass(frozen=True)
class AugmentResult:
    """An augmented set.

    Attributes:
        out: folder of the set.
        header: what the set says of itself.
        plan: per class: have, want, make.
        generated, traditional: synthetic images of each class by origin, (K,).
        run: the run folder whose generator was used, if one was.
        sorting, cost, filtering, dry_run, reprinted: as in `SampleResult`.
    """

    out: Path
    header: SetHeader
    plan: AugmentPlan
    generated: IntArray
    traditional: IntArray
    run: Path | None
    sorting: Mapping[str, list[int]]
    cost: Mapping[str, Any]
    filtering: Mapping[str, list[int]] = field(default_factory=dict)
    dry_run: bool = False
    reprinted: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values; one row of the plan per class."""
        names = self.header.class_names
        rows = self.plan.as_dict(names)
        for row, generated, traditional in zip(
            rows, self.generated.tolist(), self.traditional.tolist(), strict=True
        ):
            row |= {"generated": generated, "traditional": traditional}
        return {
            "out": str(self.out),
            "format": self.header.format,
            "plan": rows,
            "run": None if self.run is None else str(self.run),
            "image_shape": list(self.header.image_shape),
            "provenance": self.header.provenance,
            "sorting": sorting_shares(self.sorting, names),
            "filtering": filtering_shares(self.filtering, names),
            "contact_sheet": str(contact_sheet(self.out, self.header)) if self.filtering else None,
            "cost": dict(self.cost),
            "dry_run": self.dry_run,
            "reprinted": self.reprinted,
        }


def augment(
    data: DataConfig,
    config: AugmentConfig,
    transforms: TransformConfig,
    runtime: Runtime,
    *,
    run: Path | None,
    out: Path | None,
    dry_run: bool = False,
    reporter: Reporter = SILENT,
) -> AugmentResult:
    """Make the plan and fill it; `out` defaults to augmented/<data>-<method>-<hash>.

    `run` None takes the newest finished run for these images. The subset of real images is drawn by
    `runtime.seed`.

    Raises:
        UsageError: options that exclude each other, an unknown class.
        DataError: the real images cannot be read, or lack a class.
        RunError: no run for these images, one that saw others, `out` of somebody else's, a full disk.
    """
    splits = load_splits(data, runtime.seed)
    refuse_synthetic(splits)
    for note in splits.notes:
        reporter.line(note)
    plan = make_plan(splits.train.counts(), splits.train.class_names, config)
    generated, traditional = split_by_method(plan.make, config.method)
    machine = prepare(runtime)
    run, model = _generator(splits, run, config, reporter) if generated.any() else (None, None)
    made_by = _provenance(run, model, config, transforms if traditional.any() else None, runtime, machine)
    header = _header(splits, data, config, plan, made_by, runtime.seed)
    out = out or Path("augmented") / f"{splits.name}-{config.method}-{header.key[:8]}"
    result = AugmentResult(out, header, plan, generated, traditional, run, {}, {}, dry_run=dry_run)
    finished = finished_index(out, header)
    if finished is not None:
        header = replace(header, provenance=finished["provenance"])
        told = {name: finished[name] for name in ("sorting", "cost", "filtering")}
        return replace(result, header=header, reprinted=True, **told)
    if dry_run:
        return result
    supply = None
    if model is not None:
        supply = supply_of(
            model,
            seed=runtime.seed,
            machine=machine,
            run=run,
            filters=config.filter,
            images=(splits.train, splits.validation),  # the run's own validation images may be others
            reporter=reporter,
        )
    return _fill(result, splits.train, supply, transforms, runtime.seed, reporter)


def split_by_method(make: IntArray, method: str) -> tuple[IntArray, IntArray]:
    """How many of each class are generated, how many traditional; `both` halves, an odd one is generated."""
    shares = {"generated": make, "traditional": np.zeros_like(make), "both": (make + 1) // 2}
    return shares[method], make - shares[method]


def _generator(
    splits: DataSplits, run: Path | None, config: AugmentConfig, reporter: Reporter
) -> tuple[Path, Model]:
    """The run given, or the newest one that fits; checked for leaks, and for what filters need."""
    allowed = np.concatenate([splits.train.row_id, splits.validation.row_id])
    if run is None:
        run = find_run(splits.fingerprint, allowed)
        reporter.line(f"generator: {run} (the newest finished run for these images)")
    model = load_model(run, config.checkpoint)
    reporter.line(f"{run}: {model.described()}")
    check_run(run, model, splits)
    check_filters(model, config.filter)
    seen = int(np.isin(splits.train.row_id, model.row_ids).sum())
    if seen < len(splits.train):
        reporter.line(f"{run}: saw {seen:,} of these {len(splits.train):,} training images only")
    return run, model


def _provenance(
    run: Path | None,
    model: Model | None,
    config: AugmentConfig,
    transforms: TransformConfig | None,
    runtime: Runtime,
    machine: Machine,
) -> dict[str, Any]:
    asked = asdict(replace(config, filter=in_order(config.filter)))
    if not config.filter:  # without filters, a set keeps the key it always had
        del asked["filter"]
    made_by: dict[str, Any] = {"run": None, "seed": runtime.seed, "augment": asked}
    if run is not None and model is not None:
        made_by |= model_summary(run, model)
        made_by |= {"device": machine.device.type, "precision": machine.precision}
    if transforms is not None:
        made_by["transforms"] = asdict(transforms)
    plain: dict[str, Any] = json.loads(json.dumps(made_by))
    return plain


def _header(
    splits: DataSplits,
    data: DataConfig,
    config: AugmentConfig,
    plan: AugmentPlan,
    made_by: dict[str, Any],
    seed: int,
) -> SetHeader:
    # The data is there by now: no reason to fetch it.
    config_used = json.loads(json.dumps(asdict(replace(data, download=False))))
    real = {"config": config_used, "seed": seed, "fingerprint": splits.fingerprint}
    rows = hashlib.sha256(np.sort(splits.train.row_id).tobytes()).hexdigest()[:16]
    asked = {"kind": "augmented", "protocol": PROTOCOL, "data": real, "rows": rows, "made_by": made_by}
    return SetHeader(
        kind="augmented",
        format=config.format,
        key=request_key(asked),
        class_names=splits.train.class_names,
        image_shape=splits.train.image_shape,
        total=tuple(plan.want.tolist()),
        data={**real, "config": {**config_used, "source": located(data).source}},
        provenance=made_by,
    )


def _fill(
    result: AugmentResult,
    train: LabelledImages,
    supply: Supply | None,
    transforms: TransformConfig,
    seed: int,
    reporter: Reporter,
) -> AugmentResult:
    """Write the set: the real images that stay, then the generated ones, then the traditional ones."""
    header, start = result.header, time.perf_counter()
    if supply is not None:
        header = replace(header, provenance={**header.provenance, "labels": supply.as_dict()})
    kept = kept_rows(train.labels, result.plan.keep, seed)
    ends = len(kept) + np.cumsum(result.generated)
    with set_being_written(result.out, header) as writer:
        _write_real(writer, train, kept)
        if supply is not None:
            first_of_class = ends - result.generated
            sieve = write_generated(writer, supply, blocks_of(result.generated), first_of_class, reporter)
            writer.contact_sheet = kept_and_rejected(
                header.class_names, sieve.kept, sieve.rejected, sieve.reasons
            )
        first = len(kept) + int(result.generated.sum())
        write_traditional(
            writer, train, result.traditional, transforms, first=first, seed=seed, reporter=reporter
        )
        seconds = time.perf_counter() - start
        writer.cost = {"seconds": round(seconds, 3), "images_per_second": round(writer.count / seconds, 1)}
    told = replace(result, sorting=writer.sorting, cost=writer.cost, filtering=writer.filtering)
    return replace(told, header=header)


def _write_real(writer: SetWriter, train: LabelledImages, kept: IntArray) -> None:
    for start in range(0, len(kept), CHUNK):
        images = train.take(kept[start : start + CHUNK])
        writer.write(make_piece(images.pixels, images.labels, start, REAL, row_id=images.row_id))


def write_traditional(
    writer: SetWriter,
    train: LabelledImages,
    counts: IntArray,
    transforms: TransformConfig,
    *,
    first: int,
    seed: int,
    reporter: Reporter = SILENT,
) -> None:
    """Transformed copies of real images into a set: each class's images in turn, in an order drawn by seed.

    `counts` is int64 (K,); the first image stands at `first`. Parameters come from the stream (seed, class,
    block).
    """
    change = batch_transform(transforms)
    done, total = 0, int(counts.sum())
    order = {
        label: numpy_stream(seed, "traditional", label).permutation(np.flatnonzero(train.labels == label))
        for label in np.flatnonzero(counts).tolist()
    }
    for label, block, count in blocks_of(counts):
        turn = np.arange(count) + block * BLOCK
        parents = order[label][turn % len(order[label])]
        pixels = torch.tensor(train.pixels[parents]).permute(0, 3, 1, 2)
        changed = (
            change(pixels, torch_stream(seed, "traditional", label, block))
            .permute(0, 2, 3, 1)
            .contiguous()
            .numpy()
        )
        writer.write(make_piece(changed, label, first + done, TRADITIONAL, parent=train.row_id[parents]))
        done += count
        reporter.step("transforming", done, total)
