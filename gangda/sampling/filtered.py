"""A supply behind filters: of what is drawn for a block, only what every filter lets pass goes into it.

An image depends on (seed, class, block) alone, with filters as without: they are fitted before the first image, and
what they remember they forget at a block's end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from gangda.config import catalog
from gangda.data.images import UInt8Array
from gangda.errors import FilterError, UsageError
from gangda.sampling.batch_sources import SampleBatch, Sifted, Source, join
from gangda.sampling.filters.base import Filter, FilterKind, Judge, Reasons
from gangda.training.reconstructions import available
from gangda.training.saved_model import Model, loss_of
from gangda.zoo.base import Generator

EXAMPLES = 10  # rejected images of a block that are kept to be looked at
UNSORTED = ("conditional", "rebuilt from training images")  # samples whose labels no classifier chose


@dataclass(frozen=True, eq=False)
class Filtered:
    """A source behind filters, by name; attempts are made until a block is full. `run` names it in messages."""

    source: Source
    filters: Mapping[str, Filter]
    class_names: tuple[str, ...]
    run: str = "the run"

    @property
    def generator(self) -> Generator:
        """What makes the images."""
        return self.source.generator

    def draw(self, label: int, block: int, count: int) -> SampleBatch:
        """See `Sampler.draw`.

        Raises:
            FilterError: too few images pass.
        """
        judges = {name: chosen.judge(label, block) for name, chosen in self.filters.items()}
        parts: list[SampleBatch] = []
        for number in range(self.source.most_attempts):
            parts.append(_sift(self.source.attempt(label, block, number), judges))
            if sum(map(len, parts)) >= count:
                return replace(join(parts).take(slice(count)), sifted=_added(parts))
        raise FilterError(self._too_few(label, _added(parts)))

    def _too_few(self, label: int, sifted: Sifted) -> str:
        by = ", ".join(f"{name} {count:,}" for name, count in sifted.rejected.items())
        share = sifted.kept / max(1, sifted.drawn)
        return (
            f"{self.run}: only {sifted.kept:,} of {sifted.drawn:,} samples ({share:.2%}) of class "
            f"'{self.class_names[label]}' pass --filter {','.join(self.filters)} (rejected by {by}); leave out the "
            "strictest filter, or train longer"
        )

    def as_dict(self) -> dict[str, Any]:
        """How the labels are made, and what was filtered by."""
        return {
            **self.source.as_dict(),
            "filters": {name: chosen.as_dict() for name, chosen in self.filters.items()},
        }


def _sift(drawn: SampleBatch, judges: Mapping[str, Judge]) -> SampleBatch:
    """What passes of one attempt. Every filter sees all of it: what one says does not depend on the others."""
    reasons: Reasons = np.full(len(drawn), "", dtype=object)
    rejected = {}
    for name, judge in judges.items():
        said = judge(drawn.pixels)
        first = (reasons == "") & (said != "")
        reasons[first] = said[first]
        rejected[name] = int(first.sum())
    out = np.flatnonzero(reasons != "")[:EXAMPLES]
    passed = (reasons == "").astype(bool)
    sifted = Sifted(len(drawn), int(passed.sum()), rejected, drawn.pixels[out], tuple(reasons[out].tolist()))
    return replace(drawn.take(passed), sifted=sifted)


def _added(parts: Sequence[SampleBatch]) -> Sifted:
    """The tallies of several attempts."""
    all_ = [part.sifted for part in parts if part.sifted is not None]
    return Sifted(
        sum(one.drawn for one in all_),
        sum(one.kept for one in all_),
        {name: sum(one.rejected[name] for one in all_) for name in all_[0].rejected},
        np.concatenate([one.examples for one in all_])[:EXAMPLES],
        tuple(reason for one in all_ for reason in one.reasons)[:EXAMPLES],
    )


@dataclass(eq=False)
class FilterStatistics:
    """What the filters did to a set, or to a shard of it, by class.

    Attributes:
        counts: by class, images drawn, kept, and rejected by each filter.
        kept, rejected: some images of each class, uint8 (n <= `EXAMPLES`, H, W, C); `reasons` for the rejected.
    """

    counts: dict[int, dict[str, int]] = field(default_factory=dict)
    kept: dict[int, UInt8Array] = field(default_factory=dict)
    rejected: dict[int, UInt8Array] = field(default_factory=dict)
    reasons: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def add(self, label: int, drawn: SampleBatch) -> None:
        """Count a block; what came unfiltered does not count."""
        sifted = drawn.sifted
        if sifted is None:
            return
        counts = self.counts.setdefault(label, {})
        for name, count in {"drawn": sifted.drawn, "kept": sifted.kept, **sifted.rejected}.items():
            counts[name] = counts.get(name, 0) + count
        if label not in self.kept:
            self.kept[label] = drawn.pixels[:EXAMPLES].copy()
        before, reasons = self.rejected.get(label, sifted.examples[:0]), self.reasons.get(label, ())
        self.rejected[label] = np.concatenate([before, sifted.examples])[:EXAMPLES]
        self.reasons[label] = (*reasons, *sifted.reasons)[:EXAMPLES]

    def tallies(self, num_classes: int) -> dict[str, list[int]]:
        """Images drawn, kept, and rejected by each filter, of each class; empty where nothing was filtered."""
        names = next(iter(self.counts.values()), {})
        return {
            name: [self.counts.get(label, {}).get(name, 0) for label in range(num_classes)] for name in names
        }


def filtering_shares(
    filtering: Mapping[str, Sequence[int]], class_names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """What the tallies mean, by class: the share kept of what was drawn, and that rejected by each filter.

    Empty where nothing was filtered; None for a class of which nothing was drawn.
    """
    if not filtering:
        return {}
    filters = [name for name in filtering if name not in ("drawn", "kept")]

    def share(name: str, label: int) -> float | None:
        return filtering[name][label] / drawn if (drawn := filtering["drawn"][label]) else None

    return {
        class_name: {
            "acceptance": share("kept", label),
            "rejected": {name: share(name, label) for name in filters},
        }
        for label, class_name in enumerate(class_names)
    }


def is_circular(labels: Any) -> bool:
    """Whether a classifier sorted or filtered the samples, by what a cell says of their labels: so GAN-test is."""
    return labels["made"] not in UNSORTED or classifier_chose(labels)


def classifier_chose(labels: Any) -> bool:
    """Whether a filter asked classifiers, by what a set or a cell says of its labels (`Filtered.as_dict`).

    Then the accuracy of another classifier on the samples (GAN-test) is circular, as after sorting.
    """
    filters = labels.get("filters") if isinstance(labels, dict) else None
    return isinstance(filters, dict) and any(
        isinstance(about, dict) and "classifiers" in about for about in filters.values()
    )


def in_order(names: Sequence[str]) -> tuple[str, ...]:
    """The filters asked for, each once, in the catalog's order: the order typed changes nothing."""
    return tuple(name for name in catalog.FILTERS if name in names)


def kind_of(name: str) -> FilterKind:
    """The filter of a catalog name."""
    return cast(FilterKind, catalog.builder("filter", catalog.FILTERS, name))


def check_filters(model: Model, names: Sequence[str], fewest: int | None = None) -> None:
    """Refuse filters that have nothing to go by.

    Args:
        model: the generator's.
        names: of the filters.
        fewest: training images of the smallest class, where they are known already.

    Raises:
        UsageError: the run rebuilds training images, or is not of a kind that a filter can judge.
    """
    if names and available(model) is not None:
        raise UsageError(
            f"--filter {','.join(names)}: {model.named} rebuilds training images and makes no new ones; leave it out"
        )
    for name in in_order(names):
        num_classes = len(model.card.class_names)
        kind_of(name).check(model.card.arch, loss_of(model), num_classes, model.named, fewest)
