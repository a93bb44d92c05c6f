"""Nearest neighbours: exact, in chunks; and a search under small shifts on a shortlist."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gangda.data.images import FloatArray, IntArray, UInt8Array
from gangda.metrics.extractors import Features

CELLS = 1 << 21  # distances held at once: 8 MB, so that what follows finds them in the cache
CANDIDATES = 10  # of each of the two shortlists
VALUES = 1 << 22  # pixel values converted to float at once: 16 MB


def together(*sets: Features) -> list[Tensor]:
    """Feature sets as float32 tensors around a common origin.

    The origin is the first row of the first set: that keeps rounding small where all features have a large
    common part, and makes constant features exactly zero, so that `<=` between their distances holds.
    """
    origin = sets[0][:1].astype(np.float64)
    return [torch.from_numpy((part - origin).astype(np.float32)) for part in sets]


def squared_distances(a: Tensor, b: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Squared Euclidean distances of a (N, F) to b (M, F) in chunks: yields (first row, (rows, M))."""
    norms = b.square().sum(1)
    step = max(1, CELLS // max(1, len(b)))
    for start in range(0, len(a), step):
        part = a[start : start + step]
        product = torch.addmm(norms[None], part, b.T, alpha=-2.0)
        yield start, product.add_(part.square().sum(1, keepdim=True)).clamp_(min=0)


def squared_radii(features: Features, k: int) -> Tensor:
    """Squared distances of each of (N, F) points to its k nearest other points, ascending: (N, k).

    The point itself does not count; its copies do. N must be above k.
    """
    radii = []
    for start, distances in squared_distances(*together(features, features)):
        rows = torch.arange(len(distances))
        distances[rows, start + rows] = torch.inf
        radii.append(distances.topk(k, largest=False).values)
    return torch.cat(radii)


def nearest(queries: Features, points: Features, k: int = 1) -> tuple[FloatArray, IntArray]:
    """The k nearest points of each query: distances float64 (Q, k), ascending, and positions int64 (Q, k)."""
    pairs, k = together(queries, points), min(k, len(points))
    found = [distances.topk(k, largest=False) for _, distances in squared_distances(*pairs)]
    rows = torch.cat([part.indices for part in found]).numpy()
    # Distances again, exactly: the product form leaves about 1e-3 of the norm where a copy has 0.
    gaps = queries[:, None].astype(np.float64) - points[rows]
    return np.sqrt((gaps**2).sum(-1)), rows.astype(np.int64)


class Shortlist(NamedTuple):
    """The nearest training image of each query, over small shifts of the query."""

    # pixels, features: float64 (Q,), distance to the nearest training image, in pixels (root mean square, 0 to 255)
    # and in features
    pixels: FloatArray
    features: FloatArray
    unshifted: FloatArray  # float64 (Q,), feature distance without shifts; `nearest_features` int64 (Q,) its position
    rows: IntArray  # int64 (Q,), which images of the side were searched
    nearest_pixels: IntArray  # int64 (Q,), position of the nearest among the training images, by pixels
    nearest_features: IntArray


def shift_search(
    queries: UInt8Array,
    query_features: Features,
    train: UInt8Array,
    train_features: Features,
    train_spectrum: Features,
    embed: Callable[[UInt8Array], Features],
    rows: IntArray,
) -> Shortlist:
    """Nearest training image of each query, the query moved by up to 2 pixels (1 below 28) in each direction.

    All shifts against all training images would cost hours at 50,000; candidates are the nearest in features
    and in Fourier magnitudes (which a shift leaves alone where the border is plain), and these are compared
    exactly. The distance found is an upper bound, and exact for shifted copies.
    """
    distance, by_features = nearest(query_features, train_features, CANDIDATES)
    _, by_spectrum = nearest(spectrum(queries), train_spectrum, CANDIDATES)
    candidates = np.concatenate([by_features, by_spectrum], axis=1)
    pixels = np.empty(candidates.shape)
    features = np.empty(candidates.shape)
    flat_train = train.reshape(len(train), -1)
    for part, moved in _shifted_parts(queries):
        embedded = embed(moved.reshape(-1, *moved.shape[2:])).reshape(*moved.shape[:2], -1)
        pixels[part] = _closest(moved.reshape(*moved.shape[:2], -1), flat_train[candidates[part]])
        features[part] = _closest(embedded, train_features[candidates[part]])
    best = pixels.argmin(axis=1)
    return Shortlist(
        pixels=pixels.min(axis=1) / np.sqrt(flat_train.shape[1]),
        features=features.min(axis=1),
        unshifted=distance[:, 0],
        rows=rows,
        nearest_pixels=candidates[np.arange(len(best)), best],
        nearest_features=by_features[:, 0],
    )


class PixelSearch:
    """The nearest of fixed images, by pixels, over small shifts of the query; for many queries of the same images.

    As `shift_search`, but without features: candidates are the nearest in pixels and in Fourier magnitudes. The pixels
    stay uint8; a part of them is converted to float at a time.
    """

    def __init__(self, train: UInt8Array) -> None:
        self._flat = train.reshape(len(train), -1)
        self._spectrum = spectrum(train)

    def distances(self, queries: UInt8Array, own: IntArray | None = None) -> FloatArray:
        """Root mean square difference, 0 to 255, of each of uint8 (Q, H, W, C) to the nearest: float64 (Q,).

        `own` int64 (Q,): positions that do not count, one for each query (itself). Infinite where nothing is left.
        """
        if not len(queries):
            return np.zeros(0)
        wanted = CANDIDATES + (own is not None)  # one more: its own is among them
        by_pixels = _candidates(queries.reshape(len(queries), -1), self._flat, wanted)
        by_spectrum = _candidates(spectrum(queries), self._spectrum, wanted)
        rows = np.concatenate([by_pixels, by_spectrum], axis=1)
        least = np.empty(len(queries))
        for part, moved in _shifted_parts(queries):
            found = _closest(moved.reshape(*moved.shape[:2], -1), self._flat[rows[part]])
            if own is not None:
                found[rows[part] == own[part, None]] = np.inf
            least[part] = found.min(axis=1)
        return np.asarray(least / np.sqrt(self._flat.shape[1]))


def _candidates(queries: UInt8Array | Features, points: UInt8Array | Features, wanted: int) -> IntArray:
    """Positions of the nearest points, int64 (Q, `wanted`), fewer where there are not so many; in no set order."""
    origin = points[:1].astype(np.float32)
    a = torch.from_numpy(queries - origin)
    squared, rows = torch.empty(len(a), 0), torch.empty(len(a), 0, dtype=torch.int64)
    step = max(1, VALUES // points.shape[1])
    for start in range(0, len(points), step):
        b = torch.from_numpy(points[start : start + step] - origin)
        near = [part.topk(min(wanted, len(b)), largest=False) for _, part in squared_distances(a, b)]
        squared = torch.cat([squared, torch.cat([part.values for part in near])], dim=1)
        rows = torch.cat([rows, torch.cat([part.indices for part in near]) + start], dim=1)
        squared, kept = squared.topk(min(wanted, squared.shape[1]), largest=False)
        rows = rows.gather(1, kept)
    return rows.numpy()


def reach(side: int) -> int:
    """Largest shift in pixels for images of this side: 2 from 28 pixels on, 1 below."""
    return max(1, min(2, side // 14))


def shifts(pixels: UInt8Array) -> UInt8Array:
    """uint8 (N, H, W, C) moved by every whole number of pixels within `reach`, the border repeated: (N, S, H, W, C)."""
    most = reach(pixels.shape[1])
    padded = np.pad(pixels, ((0, 0), (most, most), (most, most), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, pixels.shape[1:3], axis=(1, 2))
    moved: UInt8Array = windows.transpose(0, 1, 2, 4, 5, 3).reshape(len(pixels), -1, *pixels.shape[1:])
    return moved


def _shifted_parts(queries: UInt8Array) -> Iterator[tuple[slice, UInt8Array]]:
    """A hundred queries at a time: their positions, and all their shifts, uint8 (q, S, H, W, C)."""
    for start in range(0, len(queries), 100):
        part = slice(start, start + 100)
        yield part, shifts(queries[part])


def spectrum(pixels: UInt8Array) -> Features:
    """Magnitudes of low Fourier frequencies, float32 (N, F): the same for circular shifts of an image."""
    low = min(8, pixels.shape[1] // 2)
    parts = []
    for start in range(0, len(pixels), 4096):
        batch = torch.from_numpy(pixels[start : start + 4096].astype(np.float32)).permute(0, 3, 1, 2)
        waves = torch.fft.rfft2(batch, norm="ortho").abs()[..., :low]
        parts.append(torch.cat([waves[..., :low, :], waves[..., -low:, :]], dim=2).flatten(1).numpy())
    return np.concatenate(parts)


def _closest(moved: npt.NDArray[np.generic], candidates: npt.NDArray[np.generic]) -> FloatArray:
    """Distance of (q, shifts, F) to (q, candidates, F), the least over shifts: float64 (q, candidates).

    In float64, where sums of products of bytes are exact: a copy has distance 0.
    """
    a = torch.from_numpy(moved.astype(np.float64))
    b = torch.from_numpy(candidates.astype(np.float64))
    squared = a.square().sum(2, keepdim=True) + b.square().sum(2)[:, None] - 2 * a @ b.transpose(1, 2)
    least: FloatArray = squared.clamp(min=0).sqrt().amin(dim=1).numpy()
    return least
