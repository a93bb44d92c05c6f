"""Rows of a comparison's tables, over its cells: what each arm was and cost, and what filters did."""

from collections.abc import Iterator, Sequence

import numpy as np

from gangda.comparing.arm_sets import generator_key
from gangda.comparing.cell_result import CellResult, FilterShares
from gangda.comparing.comparison import ArmRow, FilterRow
from gangda.config.arms import find

Shares = dict[str, FilterShares]


def arm_row(cells: Sequence[CellResult], name: str, own_arch: str) -> ArmRow:
    """An arm over the seeds; `own_arch` is the comparison's architecture."""
    results = [cell.arms[name] for cell in cells]
    arm, arch = find(name)
    key = generator_key(arm.added, arch or own_arch)
    used = [cell.generators[key] for cell in cells if arm.sampled and key in cell.generators]
    chose = any(trial.filters for result in results for trial in result.candidates)
    rates = [sum(one.samples.made) / max(one.samples.draw_seconds, 1e-9) for one in used]
    return ArmRow(
        name=name,
        accuracy=float(np.mean([r.test.accuracy for r in results])),
        balanced_accuracy=float(np.mean([r.test.balanced_accuracy for r in results])),
        macro_f1=float(np.mean([r.test.macro_f1 for r in results])),
        train_accuracy=float(np.mean([r.test.train_accuracy for r in results])),
        n_train=float(np.mean([r.n_train for r in results])),
        n_generated=float(np.mean([r.n_generated for r in results])),
        ratios=tuple(r.ratio for r in results) if results[0].ratio is not None else None,
        filters=tuple(",".join(r.filters) or "none" for r in results) if chose else None,
        added_per_class=tuple(np.mean([r.added_per_class for r in results], axis=0).tolist()),
        classifier_steps=results[0].steps,
        classifier_seconds=float(np.mean([r.seconds for r in results])),
        generator_seconds=float(
            np.mean([one.train_seconds + one.samples.draw_seconds for one in used] or [0])
        ),
        draw_rate=float(np.mean(rates)) if rates else None,
    )


def filter_rows(cells: Sequence[CellResult], own_arch: str) -> tuple[FilterRow, ...]:
    """Of each generator and its filters: the share of each class that was kept, and that each filter rejected.

    Means are over the cells in which anything was drawn of the class; None where nothing was.
    """
    found: dict[tuple[str, str], list[Shares]] = {}
    for cell in cells:
        for key, filters, shares in _filtered(cell):
            found.setdefault((key, filters), []).append(shares)
    refused = {(key, filters): reason for cell in cells for key, filters, reason in _refused(cell, own_arch)}
    return (
        *(
            FilterRow(key, filters, {name: _mean_shares([one[name] for one in shares]) for name in shares[0]})
            for (key, filters), shares in found.items()
        ),
        *(
            FilterRow(key, filters, {}, reason)
            for (key, filters), reason in refused.items()
            if (key, filters) not in found
        ),
    )


def _filtered(cell: CellResult) -> Iterator[tuple[str, str, Shares]]:
    """Generator, filters, and shares by class."""
    for key, record in cell.generators.items():
        if record.samples.filtering:
            yield key, ",".join(record.samples.labels["filters"]), dict(record.samples.filtering)
        for filters, samples in record.filtered.items():
            yield key, filters, dict(samples.filtering)


def _refused(cell: CellResult, own_arch: str) -> Iterator[tuple[str, str, str]]:
    """Generator, filters and the reason, where an arm tried filters that let too little pass."""
    for name, result in cell.arms.items():
        for trial in result.candidates:
            if trial.reason:
                yield find(name)[1] or own_arch, ",".join(trial.filters), trial.reason


def _mean_shares(shares: Sequence[FilterShares]) -> FilterShares:
    return FilterShares(
        _mean([one.acceptance for one in shares]),
        {name: _mean([one.rejected[name] for one in shares]) for name in shares[0].rejected},
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
