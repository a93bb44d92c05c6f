"""What a filter is: a class with the methods of `Filter`, and one line of `catalog.FILTERS`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gangda.data.images import UInt8Array
from gangda.data.splits import DataSplits
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import SILENT, Reporter
from gangda.training.saved_model import Model
from gangda.zoo.draw import SampleBatch

Reasons = npt.NDArray[np.object_]  # of text: why an image is rejected, in a word or two; "" where it may stay
Predicate = Callable[[UInt8Array], Reasons]


@dataclass(frozen=True, eq=False)
class FilterContext:
    """What a filter may go by: never a test image."""

    model: Model
    # (label, block) -> the samples of a class before any filter, attempt by attempt
    attempts: Callable[[int, int], Iterator[SampleBatch]]
    # gives the training images, the validation images of the same subset, and unlabelled ones where there are any
    splits: Callable[[], DataSplits]
    seed: int  # seed, fit_seed: of the samples, and of what the filter trains itself
    fit_seed: int
    context: DeviceContext
    # Run folder in which what was trained is kept for the next time; None keeps nothing.
    home: Path | None = None
    reporter: Reporter = SILENT


@dataclass(frozen=True)
class FilterTarget:
    """What is known of a generator before any work is done."""

    arch: str
    loss: str  # the adversarial loss it is trained with; empty where there is none
    num_classes: int
    named: str  # what messages call it
    smallest: int | None = None  # training images of the smallest class; None where they are not known yet


class Filter(Protocol):
    """Says which samples may stay, and why the others may not."""

    @staticmethod
    def check(target: FilterTarget) -> None:
        """Raise UsageError for generators whose samples it cannot be used on, before any work is done."""

    @staticmethod
    def build(filter_context: FilterContext) -> "Filter":
        """Set it up: train, or measure, what it needs; raises RunError where something is missing."""

    def predicate(self, label: int, block: int) -> Predicate:
        """What all images drawn for a block are passed to, attempt by attempt; it may remember the earlier ones.

        It takes uint8 (n, H, W, C) images of the class, n from 0 to `BLOCK`.
        """

    def as_dict(self) -> dict[str, Any]:
        """How it was set, in plain values; one that asks classifiers names them as `classifiers`."""
