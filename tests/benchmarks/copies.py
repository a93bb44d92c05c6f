"""How many copies are found through noise, and how long that takes. Run by hand:

python tests/benchmarks/copies.py

Of the first 30,000 training images of Fashion-MNIST, 2,000 are replaced by copies of others with normal noise, as they
are or mirrored and turned; of the latter, symmetric ones are no copies by `LOPSIDED`, so fewer can be found: the most
is counted by comparing each copy with its own original. Then near copies among the images as they are, found by the
search and by comparing every pair. And files decoded by one and by two threads, by size.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gangda.config.schema import DataConfig
from gangda.data import twins
from gangda.data.images import UInt8Array
from gangda.data.loading import load_splits
from gangda.data.sources.decode import decode_files

COUNT, COPIES = 30_000, 2_000


def noisy(images: UInt8Array, noise: float, rng: np.random.Generator) -> UInt8Array:
    """With normal noise of this standard deviation, in levels."""
    return (images + rng.normal(0, noise, images.shape)).clip(0, 255).round().astype(np.uint8)


def copies(pixels: UInt8Array) -> None:
    """Shares of copies found, near and turned, by noise."""
    rng = np.random.default_rng(0)
    own, place = np.arange(COPIES), slice(COUNT - COPIES, COUNT)
    ways = rng.integers(1, 8, COPIES).astype(np.uint8)
    laid = twins._laid(pixels[:COPIES], ways)
    contrast = pixels[:COPIES].reshape(COPIES, -1).std(axis=1)
    change = (laid.astype(int) - pixels[:COPIES]).reshape(COPIES, -1)
    most = (np.sqrt(np.square(change).mean(axis=1)) >= twins.LOPSIDED * contrast).mean()
    for noise in (0, 1, 2, 4):
        shares = []
        for name, originals in (("near", pixels[:COPIES]), ("turned", laid)):
            changed = pixels.copy()
            changed[place] = noisy(originals, noise, rng)
            shares.append((getattr(twins.find_twins(changed), name)[place] == own).mean())
        print(f"noise {noise}: near {shares[0]:.1%}, turned {shares[1]:.1%} (of at most {most:.1%})")


def pairs(pixels: UInt8Array) -> None:
    """Images with an earlier near copy: found, and there."""
    began = time.perf_counter()
    found = int((twins.find_twins(pixels).near != np.arange(len(pixels))).sum())
    took = time.perf_counter() - began
    flat = torch.tensor(pixels).float().flatten(1)
    contrast = flat.std(dim=1, correction=0)
    there = 0
    for start in range(0, len(flat), 2000):
        rows = slice(start, start + 2000)
        distance = torch.cdist(flat[rows], flat) / flat.shape[1] ** 0.5
        near = distance <= twins.NEAR * torch.minimum(contrast[rows, None], contrast)
        there += int(near.tril(diagonal=start - 1).any(dim=1).sum())
    print(f"near copies among the images: {found} found of {there}, in {took:.1f} s")


def threads() -> None:
    """Milliseconds a file, median of three rounds."""
    rng = np.random.default_rng(0)
    for side in (28, 64, 96, 128, 512):
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / f"{number}.png" for number in range(400)]
            for path in files:
                coarse = Image.fromarray(rng.integers(0, 256, (side // 8 + 1, side // 8 + 1, 3), np.uint8))
                coarse.resize((side, side)).save(path)
            took: dict[int, list[float]] = {1: [], 2: []}
            for _ in range(3):
                for count in took:
                    began = time.perf_counter()
                    decode_files(files, 32, "crop", count)
                    took[count].append((time.perf_counter() - began) / len(files) * 1000)
        one, two = (np.median(times) for times in took.values())
        print(f"PNG of {side}x{side}: {one:.2f} ms with one thread, {two:.2f} ms with two")


if __name__ == "__main__":
    images = load_splits(DataConfig(source="fashion-mnist", validation=0.0), 0).train.pixels[:COUNT]
    copies(np.ascontiguousarray(images))
    pairs(np.ascontiguousarray(images))
    threads()
