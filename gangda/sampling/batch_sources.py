"""Images of a class, block by block, from a generator that knows classes or from one whose samples are sorted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gangda.data.images import IntArray, UInt8Array
from gangda.errors import OutcomeError
from gangda.runtime.device import DeviceContext
from gangda.sampling.pseudo_labels import TALLIES, PseudoLabeler
from gangda.zoo.base import Generator
from gangda.zoo.draw import BLOCK, draw_block, generator_of_rows

MOST_ATTEMPTS = 64  # blocks drawn to fill one of a class, where there are up to eight classes
ATTEMPTS_PER_CLASS = 8  # with more: a class may have an eighth of its even share before sampling gives up


@dataclass(frozen=True, eq=False)
class Sifted:
    """What filters did to the images that were drawn for one block.

    Attributes:
        drawn, kept: images that came to the filters, and those that all of them let pass.
        rejected: by filter; an image counts for the first that rejects it.
        examples: some rejected images, uint8 (n, H, W, C), and the reason for each.
    """

    drawn: int
    kept: int
    rejected: dict[str, int]
    examples: UInt8Array
    reasons: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class SampleBatch:
    """n images of one class.

    Attributes:
        pixels: uint8 (n, H, W, C).
        generator: int64 (n,), which generator of the run made each.
        confidence: float32 (n,) of the sorter, NaN where none chose the label.
        tally: int64 (4,), `TALLIES`; zeros without a sorter.
        parent: int64 (n,), row ids of the training images that these rebuild; None for new ones.
        sifted: None without filters.
    """

    pixels: UInt8Array
    generator: IntArray
    confidence: npt.NDArray[np.float32]
    tally: IntArray
    parent: IntArray | None = None
    sifted: Sifted | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: slice | npt.NDArray[np.bool_]) -> "SampleBatch":
        """These of the images; the tally stays that of all."""
        return replace(
            self,
            pixels=self.pixels[rows],
            generator=self.generator[rows],
            confidence=self.confidence[rows],
            parent=None if self.parent is None else self.parent[rows],
        )


def join(parts: Sequence[SampleBatch]) -> SampleBatch:
    """New images one after the other, with their tallies added up."""
    pixels, generator, confidence = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("pixels", "generator", "confidence")
    )
    tally: IntArray = np.stack([part.tally for part in parts]).sum(axis=0)
    return SampleBatch(pixels, generator, confidence, tally)


class Sampler(Protocol):
    """Where images come from. Image j of a block depends on (seed, class, block) alone, not on `count`."""

    @property
    def generator(self) -> Generator:
        """What makes them."""

    def draw(self, label: int, block: int, count: int) -> SampleBatch:
        """The first `count` (at most `BLOCK`) images of a class's block."""

    def as_dict(self) -> dict[str, Any]:
        """How the labels are made, in plain values."""


class Source(Sampler, Protocol):
    """A supply that can be asked again and again for the same block."""

    @property
    def most_attempts(self) -> int:
        """Attempts at most to fill a block."""

    def attempt(self, label: int, block: int, number: int) -> SampleBatch:
        """What the attempt of this number (from 0) gives: between none and `BLOCK` images of the class."""


@dataclass(frozen=True, eq=False)
class Direct:
    """A class-conditional generator (or unlabelled data of one class): what is asked for is what is drawn."""

    generator: Generator
    seed: int
    context: DeviceContext
    which: int | None = None
    most_attempts: int = MOST_ATTEMPTS

    def draw(self, label: int, block: int, count: int) -> SampleBatch:
        """See `Sampler.draw`."""
        drawn = self.attempt(label, block, 0).take(slice(count))
        parents = self.generator.parents_of(label, block * BLOCK, count)
        return drawn if parents is None else replace(drawn, parent=parents.numpy())

    def attempt(self, label: int, block: int, number: int) -> SampleBatch:
        """See `Source.attempt`: always a whole block."""
        pixels = draw_block(
            self.generator,
            label,
            block,
            seed=self.seed,
            context=self.context,
            which=self.which,
            attempt=number,
        )
        made_by = generator_of_rows(self.generator.num_generators, self.which)
        unsorted = np.full(BLOCK, np.nan, dtype=np.float32)
        return SampleBatch(pixels, made_by, unsorted, np.zeros(len(TALLIES), dtype=np.int64))

    def as_dict(self) -> dict[str, Any]:
        """How the labels are made."""
        if self.generator.available is not None:
            return {"made": "rebuilt from training images"}
        return {"made": "conditional" if self.generator.conditional else "unlabelled"}


@dataclass(frozen=True, eq=False)
class Sorted:
    """An unconditional generator: blocks are drawn until enough images are taken for the class.

    `run` names it in messages.
    """

    generator: Generator
    labeler: PseudoLabeler
    class_names: tuple[str, ...]
    seed: int
    context: DeviceContext
    which: int | None = None
    min_confidence: float = 0.0
    run: str = "the run"

    def draw(self, label: int, block: int, count: int) -> SampleBatch:
        """See `Sampler.draw`.

        Raises:
            OutcomeError: too few images are taken for the class.
        """
        parts: list[SampleBatch] = []
        taken = 0
        for number in range(self.most_attempts):
            parts.append(self.attempt(label, block, number))
            taken += len(parts[-1])
            if taken >= count:
                return join(parts).take(slice(count))
        raise OutcomeError(self._too_few(label, taken))

    def attempt(self, label: int, block: int, number: int) -> SampleBatch:
        """See `Source.attempt`: the images of one block that are taken for the class."""
        whole = Direct(self.generator, self.seed, self.context, self.which).attempt(label, block, number)
        chosen, confidence, agrees = self.labeler.sort(whole.pixels)
        taken = (chosen == label) & (confidence >= self.min_confidence)
        tally = np.array(
            [len(whole), (chosen == label).sum(), taken.sum(), agrees[taken].sum()], dtype=np.int64
        )
        return replace(whole, confidence=confidence, tally=tally).take(taken)

    @property
    def most_attempts(self) -> int:
        """Blocks drawn at most to fill one."""
        return max(MOST_ATTEMPTS, ATTEMPTS_PER_CLASS * len(self.class_names))

    def _too_few(self, label: int, accepted: int) -> str:
        drawn = self.most_attempts * BLOCK
        least = f" with confidence of at least {self.min_confidence:g}" if self.min_confidence else ""
        cure = "lower --min-confidence, " if self.min_confidence else ""
        return (
            f"{self.run}: only {accepted} of {drawn:,} samples ({accepted / drawn:.2%}) are taken for class "
            f"'{self.class_names[label]}'{least}; mode collapse? "
            f"{cure}train longer, or use a class-conditional architecture"
        )

    def as_dict(self) -> dict[str, Any]:
        """How the labels are made."""
        return {**self.labeler.as_dict(), "min_confidence": self.min_confidence}
