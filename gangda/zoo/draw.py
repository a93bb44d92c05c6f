"""Samples from a generator, in whole blocks from named streams: (seed, class, generator, block).

A block is always drawn whole, so an image depends on its own key alone: not on how many were asked for, nor on how
the work was split into shards.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gangda.data.images import IntArray, UInt8Array
from gangda.runtime.device import DeviceContext, evaluating
from gangda.runtime.seeding import torch_stream
from gangda.zoo.base import Generator

BLOCK = 128


def to_uint8(images: Tensor) -> UInt8Array:
    """(B, C, H, W) in [-1, 1] -> uint8 (B, H, W, C): the inverse of `to_float`."""
    scaled = images.float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
    array: UInt8Array = scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return array


def to_float(pixels: Tensor) -> Tensor:
    """uint8 (B, C, H, W) in 0..255 -> float32 in [-1, 1]. The one place where pixels become numbers."""
    return pixels.float().div_(127.5).sub_(1.0)


def draw_block(
    generator: Generator,
    label: int,
    block: int,
    *,
    seed: int,
    context: DeviceContext,
    which: int | None = None,
    attempt: int = 0,
) -> UInt8Array:
    """One block of `BLOCK` samples of a class, uint8 (BLOCK, H, W, C).

    `which` takes one generator of an ensemble; None deals the rows out to all K in turn (`generator_of_rows`).
    `attempt` numbers further draws for the same block (rejection). The generator must be on `machine.device`.
    """
    player = generator if which is None else generator.select(which)
    key = "all" if which is None else str(which)
    rng = torch_stream(seed, "sample", label, key, block, attempt)
    rows = -(-BLOCK // player.num_generators) * player.num_generators
    z = player.noise_of(label, block * BLOCK, rows, rng).to(context.device)
    y = torch.full((rows,), label, dtype=torch.int64, device=context.device)
    with evaluating(player), context.autocast():
        images = player(z, y)
    dealt = images.unflatten(0, (player.num_generators, -1)).transpose(0, 1).flatten(0, 1)
    return to_uint8(dealt)[:BLOCK]


def draw_labels(
    generator: Generator, labels: IntArray, *key: int | str, context: DeviceContext
) -> UInt8Array:
    """One sample of each label, uint8 (N, H, W, C), all from the stream of this key: to be looked at, not kept.

    labels: int64 (N,). An ensemble's rows are dealt out in turn, so that every class has samples of every generator.
    """
    k = generator.num_generators
    y = torch.from_numpy(np.resize(labels, -(-len(labels) // k) * k))
    z = generator.noise(len(y), torch_stream(*key)).to(context.device)
    with evaluating(generator), context.autocast():
        images = generator(z, y.unflatten(0, (-1, k)).T.flatten().to(context.device))
    return to_uint8(images.unflatten(0, (k, -1)).transpose(0, 1).flatten(0, 1))[: len(labels)]


def generator_of_rows(num_generators: int, which: int | None = None) -> IntArray:
    """Which generator made each row of a block, int64 (BLOCK,)."""
    if which is not None:
        return np.full(BLOCK, which, dtype=np.int64)
    return np.arange(BLOCK, dtype=np.int64) % num_generators


def draw_class(
    generator: Generator,
    label: int,
    count: int,
    *,
    seed: int,
    context: DeviceContext,
    which: int | None = None,
) -> Iterator[UInt8Array]:
    """`count` samples of a class, block by block (constant memory)."""
    for block in range(-(-count // BLOCK)):
        images = draw_block(generator, label, block, seed=seed, context=context, which=which)
        yield images[: count - block * BLOCK]
