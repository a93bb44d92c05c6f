"""A trained generator in Python: the result of training, and samples in memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gangda.api.options import settings_of, undoing
from gangda.data.images import IntArray, UInt8Array
from gangda.runtime.runs import RunFolder
from gangda.sampling import draw
from gangda.training.result import TrainResult
from gangda.training.saved_model import load_model

if TYPE_CHECKING:
    from gangda.api.stream import SampleDataset


class Samples(NamedTuple):
    """Samples in memory, classes in order."""

    images: UInt8Array  # uint8 (N, H, W, C)
    labels: IntArray  # int64 (N,)


@dataclass(frozen=True)
class Run(TrainResult):
    """A run folder: what training reported, and its generator."""

    def sample(self, **options: Any) -> Samples:
        """The images that `gangda.sample` writes with these options, in memory: `run.sample(per_class=100)`."""
        return draw_samples(self.run, **options)

    def dataset(self, **options: Any) -> SampleDataset:
        """The same as a torch Dataset that draws when it is read."""
        from gangda.api.stream import SampleDataset

        return SampleDataset(self.run, **options)

    @property
    def class_names(self) -> tuple[str, ...]:
        """In label order."""
        return load_model(self.run).card.class_names


def open_run(folder: str | os.PathLike[str]) -> Run:
    """A finished run by its folder; a RunError if it holds no trained generator."""
    path = Path(folder)
    load_model(path)
    return Run(**vars(TrainResult.from_recorded(path, RunFolder(path).state())))


@undoing
def draw_samples(run: Path, **options: Any) -> Samples:
    """See `Run.sample`."""
    chosen, how = settings_of("sample", options)
    images = draw(run, chosen.sample, chosen.runtime, sampler=chosen.sampler, **how)
    return Samples(images.pixels, images.labels)
