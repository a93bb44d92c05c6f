"""Watching a training run: samples of fixed noise. What is measured of samples lies in `moves/watching`."""

import numpy as np

from gangda.data.images import UInt8Array
from gangda.moves.draw import draw_block
from gangda.runtime.device import Machine
from gangda.zoo.base import Generator

COLUMNS = ROWS = 10  # of the grids


def fixed_samples(generator: Generator, *, seed: int, machine: Machine) -> UInt8Array:
    """The same noise each time: ten samples of each of the first ten classes, uint8 (N, H, W, C)."""
    labels = range(min(ROWS, generator.num_classes) if generator.conditional else ROWS)
    blocks = [draw_block(generator, label, 0, seed=seed, machine=machine)[:COLUMNS] for label in labels]
    return np.concatenate(blocks)
