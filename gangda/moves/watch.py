"""Watching a training run: samples of fixed noise, and an alarm for what must not pass unnoticed."""

import math
from collections.abc import Mapping

import numpy as np
import torch

from gangda.data.images import LabelledImages, UInt8Array
from gangda.moves.draw import draw_block
from gangda.runtime.device import Machine
from gangda.zoo.base import Generator

COLUMNS = ROWS = 10  # of the grids
COLLAPSED = 0.5  # pixel diversity below this share of the real one raises the alarm


def fixed_samples(generator: Generator, *, seed: int, machine: Machine) -> UInt8Array:
    """The same noise each time: ten samples of each of the first ten classes, uint8 (N, H, W, C)."""
    labels = range(min(ROWS, generator.num_classes) if generator.conditional else ROWS)
    blocks = [draw_block(generator, label, 0, seed=seed, machine=machine)[:COLUMNS] for label in labels]
    return np.concatenate(blocks)


def real_spread(images: LabelledImages, conditional: bool) -> dict[int, float]:
    """Mean pairwise pixel distance of up to 128 real images: of each class, or of all of them under key 0."""
    groups = range(images.num_classes) if conditional else [None]
    spreads = {}
    for key, label in enumerate(groups):
        rows = np.arange(len(images)) if label is None else np.flatnonzero(images.labels == label)
        if len(rows) >= 2:
            spreads[key] = mean_distance(images.pixels[rows[:: max(1, len(rows) // 128)][:128]])
    return spreads


def diversity_ratios(
    generator: Generator, real: Mapping[int, float], *, seed: int, machine: Machine
) -> dict[int, float]:
    """Spread of one block of samples over that of the real images, per class (key 0 where unconditional)."""
    return {
        label: mean_distance(draw_block(generator, label, 0, seed=seed, machine=machine)) / max(spread, 1e-9)
        for label, spread in real.items()
    }


def mean_distance(pixels: UInt8Array) -> float:
    """Mean Euclidean distance over all pairs of (N, H, W, C) images, N >= 2."""
    flat = torch.from_numpy(np.ascontiguousarray(pixels)).flatten(1).float()
    return float(torch.pdist(flat).mean())


def collapse_alarm(
    ratios: Mapping[int, float], class_names: tuple[str, ...], conditional: bool
) -> str | None:
    """A line naming the classes whose samples are nearly alike, or None."""
    collapsed = [label for label, ratio in ratios.items() if ratio < COLLAPSED]
    if not collapsed:
        return None
    which = ", ".join(class_names[label] for label in collapsed) if conditional else "all images"
    worst = min(ratios[label] for label in collapsed)
    return f"ALARM: mode collapse ({which}): samples differ only {worst:.2f} times as much as real images"


def diverged(terms: Mapping[str, float]) -> str | None:
    """The name of the first loss term that is not a finite number, or None."""
    return next((name for name, value in terms.items() if not math.isfinite(value)), None)
