"""Counts and examples of the images that were drawn: accepted for a class or not, kept by filters or not."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gangda.data.images import UInt8Array
from gangda.sampling.filters.base import Reasons

EXAMPLES = 10  # images of each class, kept and rejected ones, for the contact sheet


@dataclass(eq=False)
class SampleStatistics:
    """Counts and examples by class, of a block or of a whole set."""

    # images drawn; of these, those that the labeler puts into the class ("chosen"); of these, those with enough
    # confidence ("accepted"); of these, those that the verifier puts there too ("agreed"). Empty where no classifier
    # chose labels
    labels: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    # images that came to the filters ("drawn"), images that all of them let pass ("kept"), and those that each filter
    # rejected (an image counts for the first that rejects it); empty without filters
    filters: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    # kept, rejected: the first images of each class, uint8 (n <= `EXAMPLES`, H, W, C)
    kept: dict[int, UInt8Array] = field(default_factory=dict)
    rejected: dict[int, UInt8Array] = field(default_factory=dict)
    reasons: dict[int, tuple[str, ...]] = field(default_factory=dict)  # why the rejected ones were

    def count_filters(
        self, label: int, pixels: UInt8Array, reasons: Reasons, rejected: Mapping[str, int]
    ) -> None:
        """Add images that came to the filters, with the reason of each, and how many each filter rejected."""
        out = np.flatnonzero(reasons != "")
        self.filters[label].update({"drawn": len(pixels), "kept": len(pixels) - len(out), **rejected})
        self._add_rejected(label, pixels[out[:EXAMPLES]], tuple(reasons[out[:EXAMPLES]].tolist()))

    def add(self, other: "SampleStatistics") -> None:
        """Add those of another block."""
        for label, labels in other.labels.items():
            self.labels[label].update(labels)
        for label, filters in other.filters.items():
            self.filters[label].update(filters)
            self._add_rejected(label, other.rejected[label], other.reasons[label])
        self.kept = {**other.kept, **self.kept}

    def _add_rejected(self, label: int, pixels: UInt8Array, reasons: tuple[str, ...]) -> None:
        before = self.rejected.get(label, pixels[:0])
        self.rejected[label] = np.concatenate([before, pixels])[:EXAMPLES]
        self.reasons[label] = (*self.reasons.get(label, ()), *reasons)[:EXAMPLES]


def table(counts: Mapping[int, Mapping[str, int]], num_classes: int) -> dict[str, list[int]]:
    """Counts by class as one list by name, each with one number per class; empty where nothing was counted."""
    names = next(iter(counts.values()), {})
    return {name: [counts.get(label, {}).get(name, 0) for label in range(num_classes)] for name in names}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def label_shares(
    counts: Mapping[str, Sequence[int]], class_names: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """By class, from a `table` of labels: its share of what was drawn, acceptance, and the verifier's agreement.

    Empty where no classifier chose labels; None for a class of which nothing was drawn.
    """
    pairs = {
        "share": ("chosen", "drawn"),
        "acceptance": ("accepted", "drawn"),
        "agreement": ("agreed", "accepted"),
    }
    return {
        class_name: {
            name: _share(counts[part][label], counts[whole][label]) for name, (part, whole) in pairs.items()
        }
        for label, class_name in enumerate(class_names if counts else ())
    }


def filter_shares(
    counts: Mapping[str, Sequence[int]], class_names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """By class, from a `table` of filters: the share kept of what was drawn, and that rejected by each filter.

    Empty where nothing was filtered; None for a class of which nothing was drawn.
    """
    filters = [name for name in counts if name not in ("drawn", "kept")]
    return {
        name: {
            "acceptance": _share(counts["kept"][label], drawn),
            "rejected": {by: _share(counts[by][label], drawn) for by in filters},
        }
        for label, (name, drawn) in enumerate(zip(class_names, counts.get("drawn", ()), strict=bool(counts)))
    }
