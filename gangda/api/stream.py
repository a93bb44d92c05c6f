"""A torch Dataset whose images a generator draws when they are read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from gangda.api.options import settings_of
from gangda.data.images import UInt8Array
from gangda.errors import UsageError
from gangda.runtime.torch_state import unchanged_torch
from gangda.sampling import open_sampler
from gangda.sampling.sampler import Sampler
from gangda.zoo.draw import BLOCK

BLOCKS_PER_CLASS = 2  # kept in memory


class SampleDataset(Dataset[tuple[Any, int]]):
    """Samples of a run, drawn when they are read: (uint8 (C, H, W), label), or what `transform` makes of the image.

    Image i is the same in every process and whatever was read before it: those of class k are the images that
    `gangda.sample` writes with the same options, and classes take turns. Images are drawn in blocks of 128 of a class;
    read in order, each block is drawn once by each worker, in random order nearly as often as it is read.
    """

    def __init__(
        self,
        run: str | os.PathLike[str],
        *,
        transform: Callable[[Tensor], Any] | None = None,
        **options: Any,
    ) -> None:
        chosen, how = settings_of("sample", options)
        if chosen.sample.shard != "1/1" or how:
            raise UsageError("shard, dry_run, reporter and progress: not of a Dataset; leave them out")
        self._asked = (Path(run), chosen.sample, chosen.runtime, chosen.sampler)
        self.transform = transform
        self._blocks: dict[tuple[int, int], UInt8Array] = {}
        with unchanged_torch():
            self._sampler, self.counts = self._open()
        self.class_names = self._sampler.class_names if self._sampler else ()
        labels = np.repeat(np.arange(len(self.counts)), self.counts)
        ranks = np.concatenate([np.arange(count) for count in self.counts])
        turns = np.lexsort((labels, ranks))
        self.labels, self._ranks = labels[turns], ranks[turns]

    def _open(self) -> tuple[Sampler | None, np.ndarray[Any, Any]]:
        run, sample, runtime, options = self._asked
        return open_sampler(run, sample, runtime, sampler=options)

    def __getstate__(self) -> dict[str, Any]:
        """Without the generator: a worker loads its own."""
        return {**self.__dict__, "_sampler": None, "_blocks": {}}

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        label, (block, place) = int(self.labels[index]), divmod(int(self._ranks[index]), BLOCK)
        image = torch.from_numpy(self._block(label, block)[place].copy()).permute(2, 0, 1)
        return image if self.transform is None else self.transform(image), label

    def _block(self, label: int, block: int) -> UInt8Array:
        """uint8 (n, H, W, C)."""
        key = (label, block)
        if key not in self._blocks:
            with unchanged_torch():
                if self._sampler is None:
                    self._sampler, _ = self._open()
                assert self._sampler is not None
                drawn = self._sampler.draw(label, block, min(BLOCK, int(self.counts[label]) - block * BLOCK))
            if len(self._blocks) >= BLOCKS_PER_CLASS * len(self.counts):
                del self._blocks[next(iter(self._blocks))]  # the oldest
            self._blocks[key] = drawn.pixels
        return self._blocks[key]
