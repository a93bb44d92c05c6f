"""Images of a class on demand, from a trained generator, block by block, whatever kind of generator it is."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from gangda.data.images import IntArray, LabelledImages, UInt8Array, generated_images
from gangda.data.set_pieces import make_piece
from gangda.data.shards import SetWriter
from gangda.errors import RunError, UsageError
from gangda.moves.draw import BLOCK, draw_block, generator_of_rows
from gangda.moves.model import Model
from gangda.moves.sorting import TALLIES, Sorter, sorter_of_run
from gangda.runtime.device import Machine
from gangda.runtime.progress import SILENT, Reporter
from gangda.zoo.base import Generator, Truncated

MOST_ATTEMPTS = 64  # blocks drawn to fill one of a class, where there are up to eight classes
ATTEMPTS_PER_CLASS = (
    8  # with more classes: a class may have an eighth of its even share before sampling gives up
)


@dataclass(frozen=True, eq=False)
class Drawn:
    """n images of one class.

    Attributes:
        pixels: uint8 (n, H, W, C).
        generator: int64 (n,), which generator of the run made each.
        confidence: float32 (n,) of the sorter, NaN where none chose the label.
        tally: int64 (4,), `TALLIES`; zeros without a sorter.
        parent: int64 (n,), row ids of the training images that these rebuild; None for new ones.
    """

    pixels: UInt8Array
    generator: IntArray
    confidence: npt.NDArray[np.float32]
    tally: IntArray
    parent: IntArray | None = None


class Supply(Protocol):
    """Where images come from. Image j of a block depends on (seed, class, block) alone, not on `count`."""

    @property
    def generator(self) -> Generator:
        """What makes them."""

    def draw(self, label: int, block: int, count: int) -> Drawn:
        """The first `count` (at most `BLOCK`) images of a class's block."""

    def as_dict(self) -> dict[str, Any]:
        """How the labels are made, in plain values."""


@dataclass(frozen=True, eq=False)
class Direct:
    """A class-conditional generator (or unlabelled data of one class): what is asked for is what is drawn."""

    generator: Generator
    seed: int
    machine: Machine
    which: int | None = None

    def draw(self, label: int, block: int, count: int) -> Drawn:
        """See `Supply.draw`."""
        pixels = draw_block(
            self.generator, label, block, seed=self.seed, machine=self.machine, which=self.which
        )
        made_by = generator_of_rows(self.generator.num_generators, self.which)
        unsorted = np.full(count, np.nan, dtype=np.float32)
        parents = self.generator.parents_of(label, block * BLOCK, count)
        return Drawn(
            pixels[:count],
            made_by[:count],
            unsorted,
            np.zeros(len(TALLIES), dtype=np.int64),
            None if parents is None else parents.numpy(),
        )

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
    sorter: Sorter
    class_names: tuple[str, ...]
    seed: int
    machine: Machine
    which: int | None = None
    min_confidence: float = 0.0
    run: str = "the run"

    def draw(self, label: int, block: int, count: int) -> Drawn:
        """See `Supply.draw`.

        Raises:
            RunError: too few images are taken for the class.
        """
        made_by = generator_of_rows(self.generator.num_generators, self.which)
        kept: list[tuple[UInt8Array, IntArray, npt.NDArray[np.float32]]] = []
        tally = np.zeros(len(TALLIES), dtype=np.int64)
        for attempt in range(self.most_attempts):
            pixels = self._attempt(label, block, attempt)
            chosen, confidence, agrees = self.sorter.sort(pixels)
            taken = (chosen == label) & (confidence >= self.min_confidence)
            kept.append((pixels[taken], made_by[taken], confidence[taken]))
            tally += (len(pixels), (chosen == label).sum(), taken.sum(), agrees[taken].sum())
            if tally[2] >= count:
                images, makers, sure = (np.concatenate(column)[:count] for column in zip(*kept, strict=True))
                return Drawn(images, makers, sure, tally)
        raise RunError(self._too_few(label, int(tally[2])))

    def _attempt(self, label: int, block: int, attempt: int) -> UInt8Array:
        return draw_block(
            self.generator,
            label,
            block,
            seed=self.seed,
            machine=self.machine,
            which=self.which,
            attempt=attempt,
        )

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
        return {**self.sorter.as_dict(), "min_confidence": self.min_confidence}


def supply_of(
    model: Model,
    *,
    seed: int,
    machine: Machine,
    run: Path | None = None,
    sorter: Sorter | None = None,
    which: int | None = None,
    min_confidence: float = 0.0,
    truncation: float | None = None,
    reporter: Reporter = SILENT,
) -> Supply:
    """The supply that fits the model: direct, or sorted by `sorter` (default: the run folder's own).

    `truncation` keeps the noise within these bounds.

    Raises:
        UsageError: `which` is not one of the run's generators; a least confidence where nothing is sorted.
        RunError: the images that a sorter needs are not there any more.
    """
    check_choice(model, which, min_confidence)
    layout = torch.channels_last if machine.channels_last else torch.contiguous_format
    generator: Generator = model.generator.to(machine.device, memory_format=layout)  # type: ignore[call-overload]
    if truncation is not None:
        generator = Truncated(generator, truncation)
    if not needs_sorter(model):
        return Direct(generator, seed, machine, which)
    if sorter is None:
        if run is None:
            raise RunError(
                f"{model.card.run}: makes images without labels, and there is no run folder to sort them by"
            )
        sorter = sorter_of_run(run, model, machine, reporter)
    return Sorted(
        generator, sorter, model.card.class_names, seed, machine, which, min_confidence, model.card.run
    )


def needs_sorter(model: Model) -> bool:
    """Whether a classifier must choose the labels: several classes, which the generator does not know."""
    return not model.conditional and len(model.card.class_names) > 1


def check_choice(model: Model, which: int | None, min_confidence: float) -> None:
    """Refuse what the model cannot do.

    Raises:
        UsageError: no such generator, or nothing to be confident about.
    """
    has = model.generator.num_generators
    if which is not None and which >= has:
        numbers = f"{has} generators, 0 to {has - 1}" if has > 1 else "one generator, number 0"
        raise UsageError(f"--generator {which}: {model.card.run} has {numbers}")
    if min_confidence > 0 and not needs_sorter(model):
        raise UsageError(
            f"--min-confidence {min_confidence:g}: {model.card.run} needs no sorting; leave it out"
        )


def blocks_of(counts: IntArray) -> list[tuple[int, int, int]]:
    """All (label, block, images) of per-class counts, classes in order; a last block may be smaller."""
    return [
        (label, block, min(BLOCK, int(count) - block * BLOCK))
        for label, count in enumerate(counts)
        for block in range(-(-int(count) // BLOCK))
    ]


def draw_images(
    supply: Supply, counts: IntArray, class_names: tuple[str, ...], reporter: Reporter = SILENT
) -> LabelledImages:
    """`counts` (K,) generated images in memory, classes in order; counts may all be 0."""
    channels, height, width = supply.generator.image_shape
    pixels = [np.zeros((0, height, width, channels), dtype=np.uint8)]
    done, total = 0, int(counts.sum())
    for label, block, count in blocks_of(counts):
        reporter.step("sampling", done, total)
        pixels.append(supply.draw(label, block, count).pixels)
        done += count
    labels = np.repeat(np.arange(len(counts)), counts)
    return generated_images(np.concatenate(pixels), labels, class_names)


def write_generated(
    writer: SetWriter,
    supply: Supply,
    units: Sequence[tuple[int, int, int]],
    first: IntArray,
    reporter: Reporter = SILENT,
) -> None:
    """Draw units of `blocks_of` into a set, one block in memory at a time.

    The images of class k stand in the set from `first[k]` on; `first` is int64 (K,).
    """
    tally = np.zeros((len(TALLIES), len(first)), dtype=np.int64)
    total, done, start = sum(count for _, _, count in units), 0, time.perf_counter()
    for label, block, count in units:
        drawn = supply.draw(label, block, count)
        place = int(first[label]) + block * BLOCK
        piece = make_piece(
            drawn.pixels,
            label,
            place,
            parent=drawn.parent,
            generator=drawn.generator,
            confidence=drawn.confidence,
        )
        writer.write(piece)
        tally[:, label] += drawn.tally
        done += count
        rate = done / (time.perf_counter() - start)
        reporter.step("sampling", done, total, f"{rate:,.0f} images/s")
    if tally.any():
        writer.sorting = dict(zip(TALLIES, tally.tolist(), strict=True))


def model_summary(run: Path, model: Model) -> dict[str, Any]:
    """Which generator it is, in plain values; `weights` is a hex hash (16 digits) of them."""
    card = model.card
    with (run / "model" / model.weights_file).open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return {
        "run": card.run,
        "arch": card.arch,
        "spec": card.spec,
        "checkpoint": model.checkpoint,
        "steps": model.steps,
        "train_seed": card.seed,
        "weights": weights,
        "generators": model.generator.num_generators,
    }
