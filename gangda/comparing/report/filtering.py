"""What filters did in a comparison: acceptance of each class, mean over the seeds. Plain values, for templates."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gangda.config.arms import find

Shares = Mapping[str, Mapping[str, Any]]  # by class: `acceptance`, and `rejected` by filter


def filter_rows(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each generator and its filters, a row for each class: the share kept, and that rejected by each filter.

    Filters that let too little pass in every cell have a `reason` and no classes. Means are over the cells in which
    anything was drawn of the class; None where nothing was.
    """
    found: dict[tuple[str, str], list[Shares]] = {}
    for cell in cells:
        for key, filters, shares in _filtered(cell):
            found.setdefault((key, filters), []).append(shares)
    rows = [
        {
            "key": key,
            "filter": filters,
            "reason": "",
            "classes": [_row(name, [one[name] for one in all_]) for name in all_[0]],
        }
        for (key, filters), all_ in found.items()
    ]
    failed = {(key, filters): reason for cell in cells for key, filters, reason in _failed(cell)}
    return rows + [
        {"key": key, "filter": filters, "reason": reason, "classes": []}
        for (key, filters), reason in failed.items()
        if (key, filters) not in found
    ]


def _failed(cell: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Generator, filters and the reason, where an arm tried filters that let too little pass."""
    own = (cell.get("generator") or {}).get("arch", "")
    for name, arm in cell["arms"].items():
        for candidate in arm["candidates"]:
            if candidate.get("reason"):
                yield find(name)[1] or own, ",".join(candidate["filter"]), candidate["reason"]


def _filtered(cell: Mapping[str, Any]) -> Iterator[tuple[str, str, Shares]]:
    """Generator, filters, and shares by class, of one cell."""
    for key, made in cell.get("generators", {}).items():
        if made.get("filtering"):
            yield key, ",".join(made["labels"]["filters"]), made["filtering"]
        for filters, own in made.get("filtered", {}).items():
            yield key, filters, own["filtering"]


def _row(name: str, shares: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    filters = list(shares[0]["rejected"])
    return {
        "class": name,
        "acceptance": _mean([one["acceptance"] for one in shares]),
        "rejected": {each: _mean([one["rejected"][each] for one in shares]) for each in filters},
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
