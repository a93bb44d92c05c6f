"""Counts and examples of the images that were drawn: accepted for a class or not, kept by filters or not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gangda.data.images import IntArray, UInt8Array
from gangda.sampling.filters.base import Reasons

EXAMPLES = 10  # images of each class, kept and rejected ones, for the contact sheet

# What is counted of each class where a classifier chooses labels: images drawn; those it puts into the class; those of
# them with enough confidence; those of these that the second classifier puts there too.
LABEL_COUNTS = ("drawn", "chosen", "accepted", "agreed")


@dataclass(eq=False)
class SampleStatistics:
    """Counts and examples by class, of a block or of a whole set.

    Attributes:
        labels: int64 (4,) by class, see `LABEL_COUNTS`; empty where no classifier chose labels.
        filters: by class, images that came to the filters ("drawn"), images that all of them let pass ("kept"), and
            those that each filter rejected (an image counts for the first that rejects it); empty without filters.
        kept, rejected: the first images of each class, uint8 (n <= `EXAMPLES`, H, W, C).
        reasons: why the rejected ones were.
    """

    labels: dict[int, IntArray] = field(default_factory=dict)
    filters: dict[int, dict[str, int]] = field(default_factory=dict)
    kept: dict[int, UInt8Array] = field(default_factory=dict)
    rejected: dict[int, UInt8Array] = field(default_factory=dict)
    reasons: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def count_labels(self, label: int, counts: IntArray) -> None:
        """Add the four `LABEL_COUNTS` of images that were drawn for a class."""
        self.labels[label] = self.labels.get(label, 0) + counts

    def count_filters(
        self, label: int, pixels: UInt8Array, reasons: Reasons, rejected: Mapping[str, int]
    ) -> None:
        """Add images that came to the filters, with the reason of each, and how many each filter rejected."""
        out = np.flatnonzero(reasons != "")
        self._add_filters(label, {"drawn": len(pixels), "kept": len(pixels) - len(out), **rejected})
        self._add_rejected(label, pixels[out[:EXAMPLES]], tuple(reasons[out[:EXAMPLES]].tolist()))

    def add(self, other: "SampleStatistics") -> None:
        """Add those of another block."""
        for label, labels in other.labels.items():
            self.count_labels(label, labels)
        for label, filters in other.filters.items():
            self._add_filters(label, filters)
            self._add_rejected(label, other.rejected[label], other.reasons[label])
        self.kept = {**other.kept, **self.kept}

    def _add_filters(self, label: int, counts: Mapping[str, int]) -> None:
        before = self.filters.get(label, {})
        self.filters[label] = {name: before.get(name, 0) + count for name, count in counts.items()}

    def _add_rejected(self, label: int, pixels: UInt8Array, reasons: tuple[str, ...]) -> None:
        before = self.rejected.get(label, pixels[:0])
        self.rejected[label] = np.concatenate([before, pixels])[:EXAMPLES]
        self.reasons[label] = (*self.reasons.get(label, ()), *reasons)[:EXAMPLES]

    def label_counts(self, num_classes: int) -> dict[str, list[int]]:
        """`LABEL_COUNTS` by name, each with one number per class; empty where no classifier chose labels."""
        if not self.labels:
            return {}
        none = np.zeros(len(LABEL_COUNTS), dtype=np.int64)
        table = np.stack([self.labels.get(label, none) for label in range(num_classes)], axis=1)
        return dict(zip(LABEL_COUNTS, table.tolist(), strict=True))

    def filter_counts(self, num_classes: int) -> dict[str, list[int]]:
        """Images drawn, kept, and rejected by each filter, each with one number per class; empty without filters."""
        names = next(iter(self.filters.values()), {})
        return {
            name: [self.filters.get(label, {}).get(name, 0) for label in range(num_classes)] for name in names
        }


def label_shares(
    counts: Mapping[str, Sequence[int]], class_names: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """By class, from `label_counts`: its share of what was drawn, acceptance, and the second classifier's agreement.

    Empty where no classifier chose labels; None for a class of which nothing was drawn.
    """
    if not counts:
        return {}
    columns = zip(class_names, *(counts[name] for name in LABEL_COUNTS), strict=True)
    return {
        name: {
            "share": chosen / drawn if drawn else None,
            "acceptance": accepted / drawn if drawn else None,
            "agreement": agreed / accepted if accepted else None,
        }
        for name, drawn, chosen, accepted, agreed in columns
    }


def filter_shares(
    counts: Mapping[str, Sequence[int]], class_names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """By class, from `filter_counts`: the share kept of what was drawn, and that rejected by each filter.

    Empty where nothing was filtered; None for a class of which nothing was drawn.
    """
    if not counts:
        return {}

    def share(name: str, label: int) -> float | None:
        return counts[name][label] / drawn if (drawn := counts["drawn"][label]) else None

    return {
        class_name: {
            "acceptance": share("kept", label),
            "rejected": {name: share(name, label) for name in counts if name not in ("drawn", "kept")},
        }
        for label, class_name in enumerate(class_names)
    }
