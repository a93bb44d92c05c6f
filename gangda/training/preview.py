"""Watching a training run: samples of fixed noise. What is measured of samples lies in `moves/watching`."""

import numpy as np
import torch

from gangda.data.images import UInt8Array
from gangda.runtime.device import DeviceContext, evaluating
from gangda.runtime.seeding import torch_stream
from gangda.zoo.base import Generator
from gangda.zoo.draw import draw_block, to_uint8

COLUMNS = ROWS = 10  # of the grids


def fixed_samples(generator: Generator, *, seed: int, context: DeviceContext) -> UInt8Array:
    """The same noise each time: ten samples of each of the first ten classes, uint8 (N, H, W, C)."""
    labels = range(min(ROWS, generator.num_classes) if generator.conditional else ROWS)
    blocks = [draw_block(generator, label, 0, seed=seed, context=context)[:COLUMNS] for label in labels]
    return np.concatenate(blocks)


def samples_of_each(generator: Generator, *, seed: int, context: DeviceContext) -> UInt8Array:
    """A row of ten samples for each generator of an ensemble, uint8 (10 K, H, W, C).

    All rows have the same noise and, where there are classes, the first ten in turn: what differs down a column is
    the generators.
    """
    k = generator.num_generators
    z = generator.noise(COLUMNS, torch_stream(seed, "samples of each")).repeat(k, 1).to(context.device)
    y = (torch.arange(COLUMNS) % generator.num_classes).repeat(k).to(context.device)
    with evaluating(generator), context.autocast():
        return to_uint8(generator(z, y))
