"""Samples from a generator, in whole blocks from named streams: (seed, class, generator, block).

A block is always drawn whole, so an image depends on its own key alone: not on how many were asked for, nor on how
the work was split into shards.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gangda.config.sampler_options import SamplerOptions
from gangda.data.images import IntArray, UInt8Array, to_uint8
from gangda.runtime.device import DeviceContext, evaluating
from gangda.runtime.seeding import torch_stream
from gangda.zoo.base import DEFAULT_OPTIONS, Generator

BLOCK = 128


@dataclass(frozen=True, eq=False)
class SampleBatch:
    """n samples of one class."""

    pixels: UInt8Array  # uint8 (n, H, W, C)
    generator: IntArray  # int64 (n,), which generator of the ensemble made each
    parent: IntArray | None = None  # int64 (n,), row ids of the training images that these are made of
    confidence: npt.NDArray[np.float32] | None = None  # (n,), of the classifier that chose the labels, if any

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: slice | npt.NDArray[np.bool_]) -> "SampleBatch":
        """These of the samples."""
        columns = (self.pixels, self.generator, self.parent, self.confidence)
        return SampleBatch(*(None if column is None else column[rows] for column in columns))  # type: ignore[arg-type]


def draw_block(
    generator: Generator,
    label: int,
    block: int,
    *,
    seed: int,
    context: DeviceContext,
    options: SamplerOptions = DEFAULT_OPTIONS,
    which: int | None = None,
    attempt: int = 0,
    count: int = BLOCK,
) -> SampleBatch:
    """The first `count` samples (rounding apart) of one block of `BLOCK` of a class.

    `which` takes one generator of an ensemble; None deals the rows out to all K in turn. `attempt` numbers further
    draws for the same block (rejection). The generator must be on `context.device`.
    """
    network = generator if which is None else generator.select(which)
    k = network.num_generators
    rng = torch_stream(seed, "sample", label, "all" if which is None else str(which), block, attempt)
    rows = -(-BLOCK // k) * k
    latents = network.latents(label, range(block * BLOCK, block * BLOCK + rows), rng, options)
    noise = latents.noise.unflatten(0, (k, -1))[:, : -(-count // k)].flatten(0, 1)
    y = torch.full((len(noise),), label, dtype=torch.int64, device=context.device)
    with evaluating(network), context.autocast():
        images = network.sample(y, noise.to(context.device), options)
    made_by = np.arange(count, dtype=np.int64) % k if which is None else np.full(count, which, dtype=np.int64)
    parents = None if latents.parents is None else _dealt(latents.parents, k)[:count].numpy()
    return SampleBatch(to_uint8(_dealt(images, k)[:count]), made_by, parents)


def draw_labels(
    generator: Generator, labels: IntArray, *key: int | str, context: DeviceContext
) -> UInt8Array:
    """One sample of each label, int64 (N,), all from the stream of this key: uint8 (N, H, W, C).

    For the monitor, not for a set. The generators of an ensemble take the labels in turn.
    """
    k = generator.num_generators
    y = torch.from_numpy(np.resize(labels, -(-len(labels) // k) * k))
    noise = generator.noise(len(y), torch_stream(*key)).to(context.device)
    with evaluating(generator), context.autocast():
        images = generator.sample(y.unflatten(0, (-1, k)).T.flatten().to(context.device), noise)
    return to_uint8(_dealt(images, k)[: len(labels)])


def _dealt(rows: Tensor, k: int) -> Tensor:
    """Rows generator after generator, (k n, ...), as rows of all generators in turn."""
    return rows.unflatten(0, (k, -1)).transpose(0, 1).flatten(0, 1)  # type: ignore[no-any-return]
