"""Images of a class from a trained generator, block by block, whatever kind of generator it is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gangda.config.sampler_options import SamplerOptions
from gangda.errors import FilterError, OutcomeError
from gangda.runtime.device import DeviceContext
from gangda.sampling.filters.base import Filter, Predicate, Reasons
from gangda.sampling.pseudo_labels import PseudoLabeler
from gangda.sampling.sample_statistics import EXAMPLES, SampleStatistics
from gangda.zoo.base import DEFAULT_OPTIONS, Generator
from gangda.zoo.draw import BLOCK, SampleBatch, draw_block

MAX_ATTEMPTS = 64  # blocks drawn to fill one of a class, where there are up to eight classes
ATTEMPTS_PER_CLASS = 8  # with more: a class may have an eighth of its even share before sampling gives up


@dataclass(frozen=True, eq=False)
class Sampler:
    """Draws images of a class.

    Image j of a block depends on (seed, class, block) alone, not on how many are drawn: blocks of `BLOCK` images are
    drawn, of which the labeler and the filters take some, until one is full. Filters are fitted before the first image,
    and keep no state beyond a block.
    """

    generator: Generator  # on the device of `context`
    class_names: tuple[str, ...]
    seed: int
    context: DeviceContext
    options: SamplerOptions = DEFAULT_OPTIONS
    which: int | None = None  # the one generator of an ensemble that draws; None for all
    # puts images into classes, for a generator that does not know them; None for others
    labeler: PseudoLabeler | None = None
    min_confidence: float = 0.0  # the labeler's least confidence, in [0, 1]
    filters: Mapping[str, Filter] = field(default_factory=dict)  # by name; an image must pass all of them
    run: str = "the run"  # named in messages

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.generator.image_shape

    def draw(
        self, label: int, block: int, count: int, statistics: SampleStatistics | None = None
    ) -> SampleBatch:
        """The first `count` (at most `BLOCK`) images of a class's block; what was drawn is added to `statistics`.

        Raises FilterError: too few images pass the filters; OutcomeError: too few images are taken for the class.
        """
        own = SampleStatistics()
        predicates = {name: chosen.predicate(label, block) for name, chosen in self.filters.items()}
        parts: list[SampleBatch] = []
        for batch in self.attempts(label, block, own):
            parts.append(_passing(batch, label, predicates, own) if predicates else batch)
            if sum(map(len, parts)) >= count:
                break
        else:
            raise self._too_few(label, sum(map(len, parts)), own)
        taken = _join(parts).take(slice(count))
        if statistics is not None:
            own.kept = {label: taken.pixels[:EXAMPLES].copy()} if predicates else {}
            statistics.add(own)
        return taken

    def attempts(
        self, label: int, block: int, statistics: SampleStatistics | None = None
    ) -> Iterator[SampleBatch]:
        """The images of a class, before any filter, that drawing a block again and again gives; 0 to `BLOCK` each."""
        for attempt in range(self.max_attempts):
            batch = draw_block(
                self.generator,
                label,
                block,
                seed=self.seed,
                context=self.context,
                options=self.options,
                which=self.which,
                attempt=attempt,
            )
            yield batch if self.labeler is None else self._labelled(batch, label, self.labeler, statistics)

    @property
    def max_attempts(self) -> int:
        """How often a block is drawn at most."""
        per_class = 0 if self.labeler is None else ATTEMPTS_PER_CLASS
        return max(MAX_ATTEMPTS, per_class * len(self.class_names))

    def _labelled(
        self, batch: SampleBatch, label: int, labeler: PseudoLabeler, statistics: SampleStatistics | None
    ) -> SampleBatch:
        """The images that the labeler takes for the class."""
        chosen, confidence, agrees = labeler.label(batch.pixels)
        taken = (chosen == label) & (confidence >= self.min_confidence)
        if statistics is not None:
            statistics.labels[label].update(
                drawn=len(batch),
                chosen=int((chosen == label).sum()),
                accepted=int(taken.sum()),
                agreed=int(agrees[taken].sum()),
            )
        return replace(batch, confidence=confidence).take(taken)

    def _too_few(self, label: int, taken: int, statistics: SampleStatistics) -> OutcomeError:
        name = self.class_names[label]
        if self.filters:
            counts = dict(statistics.filters[label])
            drawn, kept = counts.pop("drawn"), counts.pop("kept")
            rejected = ", ".join(f"{by} {count:,}" for by, count in counts.items())
            return FilterError(
                f"{self.run}: only {kept:,} of {drawn:,} samples ({kept / max(1, drawn):.2%}) of class '{name}' pass "
                f"--filter {','.join(self.filters)} (rejected by {rejected}); leave out the strictest filter, or "
                "train longer"
            )
        drawn, least, lower = self.max_attempts * BLOCK, "", ""
        if self.min_confidence:
            least, lower = f" with confidence of at least {self.min_confidence:g}", "lower --min-confidence, "
        return OutcomeError(
            f"{self.run}: only {taken} of {drawn:,} samples ({taken / drawn:.2%}) are taken for class '{name}'{least}; "
            f"mode collapse? {lower}train longer, or use a class-conditional architecture"
        )

    def as_dict(self) -> dict[str, Any]:
        """How the labels are made, and what the images must pass, in plain values."""
        if self.labeler is not None:
            labels = {**self.labeler.as_dict(), "min_confidence": self.min_confidence}
        elif self.generator.available is not None:
            labels = {"made": "rebuilt from training images"}
        else:
            labels = {"made": "conditional" if self.generator.conditional else "unlabelled"}
        filters = {name: chosen.as_dict() for name, chosen in self.filters.items()}
        return {**labels, "filters": filters} if filters else labels


def _passing(
    batch: SampleBatch, label: int, predicates: Mapping[str, Predicate], statistics: SampleStatistics
) -> SampleBatch:
    """What passes. Every filter sees all of the batch: what one says does not depend on the others."""
    reasons: Reasons = np.full(len(batch), "", dtype=object)
    rejected = {}
    for name, predicate in predicates.items():
        own = predicate(batch.pixels)
        first = (reasons == "") & (own != "")
        reasons[first] = own[first]
        rejected[name] = int(first.sum())
    statistics.count_filters(label, batch.pixels, reasons, rejected)
    return batch.take((reasons == "").astype(np.bool_))


def _join(parts: Sequence[SampleBatch]) -> SampleBatch:
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return SampleBatch(*(None if column[0] is None else np.concatenate(column) for column in columns))  # type: ignore[arg-type]
