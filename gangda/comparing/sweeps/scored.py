"""One scored cell: draw the subset, train its generator, score its samples; its result is one JSON file."""

import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gangda.comparing.added_images import AddedImages
from gangda.comparing.arm_sets import check_filters, train_config
from gangda.comparing.cells import finish_cell, read_cell, splits_of, work_of
from gangda.comparing.plan import Cell, Plan, make_plan
from gangda.comparing.progress import GENERATOR_SHARE, Phase, Tell
from gangda.comparing.training_curves import looks_of
from gangda.config.schema import AUTO, ComparisonConfig
from gangda.data.loading import load_splits
from gangda.errors import DataError, UsageError
from gangda.experiments import RETRAINED
from gangda.metrics.judge import default_cache, measure, prepare_inputs
from gangda.runtime.device import prepare
from gangda.runtime.files import without_nan
from gangda.sampling.filters import is_circular
from gangda.training import check as check_training

KIND = "scores"  # the folder of scored cells


def score_plan(config: ComparisonConfig) -> Plan:
    """The cells of a scored variant, after everything was checked that can be checked before.

    Raises:
        UsageError, DataError: what cannot be trained.
    """
    splits = load_splits(config.data, config.runtime.seed)
    plan = make_plan(config, splits.fingerprint, None, None)
    if AUTO in config.compare.filter:
        raise UsageError("--filter auto: samples are scored here and no classifier chooses; name the filter")
    check_filters(config, splits.train.num_classes, int(splits.train.counts().min()))
    check_training(train_config(plan.config, config.arch, config.runtime.seed), splits.train, splits.labelled)
    return plan


def read_score(folder: Path, cell: Cell, metrics: Sequence[str], repeats: int = 1) -> dict[str, Any] | None:
    """A scored cell; None where it is missing, damaged, another's, or lacks one of the metrics or repeats."""
    values = read_cell(folder, cell, KIND)
    whole = (
        values is not None
        and set(metrics) <= set(values["values"])
        and (repeats == 1 or len(values.get("repeats", ())) == repeats)
    )
    return values if whole else None


def run_score(
    plan: Plan, cell: Cell, out: Path, tell: Tell, *, metrics: Sequence[str], repeats: int = 1
) -> None:
    """Train, draw and score; publish the result. The generator goes on where an earlier attempt stopped.

    `repeats`: classifiers that CAS trains; the first one's figures are the metric's.

    Raises:
        GangdaError: as its moves; the message names the cell.
    """
    finish_cell(cell, out, lambda: _result(plan, cell, out, tell, metrics, repeats), KIND)


def _result(
    plan: Plan, cell: Cell, out: Path, tell: Tell, metrics: Sequence[str], repeats: int
) -> dict[str, Any]:
    began = time.monotonic()
    config, context = plan.config, prepare(plan.config.runtime)
    splits = splits_of(plan, cell)
    pools = AddedImages(plan, cell, splits, context, work_of(out, cell), tell, exact=False)
    pool = pools.of("generator")
    labels = pools.made[config.arch]["labels"]
    listener = Phase(tell, GENERATOR_SHARE, 1 - GENERATOR_SHARE, "metrics")
    prepared = functools.partial(
        prepare_inputs,
        pool,
        splits,
        seed=cell.seed,
        context=context,
        classifier=config.classifier,
        cache=default_cache(),
        circular=is_circular(labels),
        reporter=listener,
    )
    inputs = prepared()
    found = {name: measure(inputs, [name], listener) for name in metrics}
    empty = [name for name, results in found.items() if not results]
    if empty:
        raise DataError(f"{empty[0]} cannot be measured of these samples; choose other metrics")
    again = [measure(prepared(repeat=number), [RETRAINED], listener)[0] for number in range(1, repeats)]
    return {
        **({"repeats": [one.value for one in (*found[RETRAINED][:1], *again)]} if again else {}),
        "kind": "scored cell",
        "fingerprint": splits.fingerprint,
        "n_train": len(splits.train),
        "generator": pools.made[config.arch],
        "values": {name: without_nan(results[0].as_dict()) for name, results in found.items()},
        "metrics": [without_nan(metric.as_dict()) for results in found.values() for metric in results],
        "looks": looks_of(pools.folder(config.arch) / "metrics.jsonl"),
        "seconds": time.monotonic() - began,
    }
