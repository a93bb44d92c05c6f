"""What a filter is, and what it may know."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gangda.data.images import LabelledImages, UInt8Array
from gangda.runtime.device import DeviceContext
from gangda.runtime.progress import SILENT, Reporter
from gangda.sampling.batch_sources import Source
from gangda.training.saved_model import Model

Reasons = npt.NDArray[np.object_]  # of text: a word or two for each image, none ("") where it may stay
Judge = Callable[[UInt8Array], Reasons]


@dataclass(frozen=True, eq=False)
class FilterContext:
    """What a filter may go by: never a test image.

    Attributes:
        model: the generator's; its folder may hold the discriminator.
        source: the samples before any filter.
        images: gives the training images, and the validation images of the same subset, that may be learned from.
        seed: of the samples.
        fit_seed: of what the filter trains itself.
        machine: where it runs.
        home: run folder in which what was trained is kept for the next time; None keeps nothing.
        reporter: who is told.
    """

    model: Model
    source: Source
    images: Callable[[], tuple[LabelledImages, LabelledImages]]
    seed: int
    fit_seed: int
    context: DeviceContext
    home: Path | None = None
    reporter: Reporter = SILENT


class Filter(Protocol):
    """Says which samples may stay, and why the others may not."""

    def judge(self, label: int, block: int) -> Judge:
        """One who judges all that is drawn for a block, attempt by attempt, and may remember what came before.

        It is asked for uint8 (n, H, W, C) images of the class, n from 0 to `BLOCK`.
        """

    def as_dict(self) -> dict[str, Any]:
        """How it was set, in plain values; one that asks classifiers names them as `classifiers`."""


class FilterKind(Protocol):
    """What `catalog.FILTERS` names: the class of a filter."""

    def check(self, arch: str, loss: str, num_classes: int, where: str, fewest: int | None = None) -> None:
        """Refuse generators that it cannot judge, before any work is done.

        Args:
            arch: the generator's architecture.
            loss: it was trained with.
            num_classes: of its images.
            where: names the run in the message.
            fewest: training images of the smallest class; None where they are not known yet.

        Raises:
            UsageError: with the reason.
        """

    def build(self, filter_context: FilterContext) -> Filter:
        """Set it up: train, or measure, what it needs.

        Raises:
            RunError: something that it needs is not there.
        """
