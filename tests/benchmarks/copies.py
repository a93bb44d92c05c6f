"""How many copies are found through noise, and how long that takes. Run by hand:

python tests/benchmarks/copies.py

Of the first 30,000 training images of Fashion-MNIST, 2,000 are replaced by copies of others with normal noise, as they
are or mirrored and turned; of the latter, symmetric ones are no copies by `LOPSIDED`, so fewer can be found: the most
is counted by comparing each copy with its own original. The same with copies in other light, as JPEG and resized, and
with crops of 64x64 pixels from scikit-learn's two photographs. Then near copies among the images as they are, found by
the search and by comparing every pair. And files decoded by one and by two threads, by size.
"""

import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from gangda.config.schema import DataConfig
from gangda.data import twins
from gangda.data.images import UInt8Array
from gangda.data.loading import load_splits
from gangda.data.sources.decode import decode_files
from gangda.data.values import CONSTANT

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
    contrasts = pixels[:COPIES].reshape(COPIES, -1).std(axis=1)
    first, second = (twins._coarse(images, contrasts) for images in (pixels[:COPIES], laid))
    most = (np.sqrt(np.square(first - second).mean(axis=1)) >= twins.LOPSIDED).mean()
    for noise in (0, 1, 2, 4):
        shares = []
        for name, originals in (("near", pixels[:COPIES]), ("turned", laid)):
            changed = pixels.copy()
            changed[place] = noisy(originals, noise, rng)
            shares.append((getattr(twins.find_twins(changed), name)[place] == own).mean())
        print(f"noise {noise}: near {shares[0]:.1%}, turned {shares[1]:.1%} (of at most {most:.1%})")


def as_jpeg(image: UInt8Array, quality: int) -> UInt8Array:
    """An image (S, S, C) through a JPEG of this quality."""
    buffer = io.BytesIO()
    Image.fromarray(image.squeeze()).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer)).reshape(image.shape)


def resized(image: UInt8Array, share: float) -> UInt8Array:
    """An image (S, S, C) made smaller, to this share of its side, and larger again."""
    small = Image.fromarray(image.squeeze()).resize((int(len(image) * share),) * 2, Image.Resampling.BILINEAR)
    return np.asarray(small.resize((len(image),) * 2, Image.Resampling.BILINEAR)).reshape(image.shape)


CHANGES: dict[str, Callable[[UInt8Array], UInt8Array]] = {
    "other light (0.8 v + 10)": lambda image: np.rint(image * 0.8 + 10).astype(np.uint8),
    "JPEG of quality 90": lambda image: as_jpeg(image, 90),
    "JPEG of quality 60": lambda image: as_jpeg(image, 60),
    "JPEG of quality 30": lambda image: as_jpeg(image, 30),
    "resized by 3/4 and back": lambda image: resized(image, 0.75),
    "resized by 1/2 and back": lambda image: resized(image, 0.5),
}


def photographs() -> UInt8Array:
    """300 crops of 90 to 200 pixels a side from two photographs, at 64 pixels."""
    rng, found = np.random.default_rng(0), []
    for image in load_sample_images().images:
        for _ in range(150):
            side = int(rng.integers(90, 200))
            top, left = (int(rng.integers(0, most - side)) for most in image.shape[:2])
            crop = Image.fromarray(image[top : top + side, left : left + side])
            found.append(np.asarray(crop.resize((64, 64), Image.Resampling.BILINEAR)))
    return np.stack(found)


def remade(name: str, pixels: UInt8Array, count: int) -> None:
    """Shares of remade copies of the first `count` images that are found near their originals."""
    for words, change in CHANGES.items():
        near = twins.find_twins(pixels, np.stack([change(image) for image in pixels[:count]])).near
        print(f"{name}, {words}: {(near[len(pixels) :] == near[:count]).mean():.0%}")


def pairs(pixels: UInt8Array) -> None:
    """Images with an earlier near copy: found, and there."""
    began = time.perf_counter()
    found = int((twins.find_twins(pixels).near != np.arange(len(pixels))).sum())
    took = time.perf_counter() - began
    contrasts = pixels.reshape(len(pixels), -1).std(axis=1)
    kept = np.flatnonzero(contrasts >= CONSTANT)
    flat, there = torch.tensor(twins._coarse(pixels[kept], contrasts[kept])), 0
    for start in range(0, len(flat), 2000):
        near = torch.cdist(flat[start : start + 2000], flat) / flat.shape[1] ** 0.5 <= twins.NEAR
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
    remade("Fashion-MNIST", np.ascontiguousarray(images), COPIES)
    remade("photographs", photographs(), 300)
    pairs(np.ascontiguousarray(images))
    threads()
