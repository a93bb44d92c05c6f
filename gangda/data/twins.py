"""Images that are there twice: exactly (by a hash of pixels), nearly (another shot or encoding), mirrored or turned.

Nearly: of both images, each with mean 0 and standard deviation 1, so that brightness and contrast do not count, the
root mean square difference is at most `NEAR`; from `FINE` pixels a side on of means over 2x2 pixels, which encoding and
resizing change less than pixels. Such pairs are looked for among images whose difference hashes are neighbours when
sorted, which finds most of them in N log N; nearly constant images are left out. Source: Krawetz 2013, "Kind of like
that" (dHash: 64 comparisons of neighbours on a 9x8 grid). Done for each of `RISES`: where a neighbour is brighter only
from there on, noise on a plain background changes no bits.
Mirrored or turned by quarters: the same, with each image laid as its hash is smallest, which is the same for a copy
however it is laid. Only where an image differs from itself in the copy's place by `LOPSIDED` or more: symmetric images
are alike, and no copies.
"""

import contextlib
import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch.nn import functional as F

from gangda.data.images import FloatArray, IntArray, UInt8Array
from gangda.data.paths import cache_root
from gangda.data.values import CONSTANT
from gangda.errors import GangdaError
from gangda.runtime.hashed_file import read_hashed_json, write_hashed_json

RULES = 4  # raise it when other images count as twins
NEAR, LOPSIDED = 0.1, 0.35  # of the standard deviation
FINE = 16  # pixels a side
RISES = (0.0, 0.05)  # of the contrast of a grid: from which a neighbour counts as brighter, tried in turn
# The eight ways to lay a square image: whether it is transposed, then whether its rows and its columns are reversed.
_WAYS = tuple(itertools.product((False, True), repeat=3))
# Bytes of a hash that sorting begins with, in turn: bits that differ may be the first ones.
_STARTS = range(0, 8, 2)
_BITS = 10  # of 64 that may differ between candidates
_NEIGHBOURS = 4  # in sorted order that are candidates
_CHUNK = 1024
_WORTH_CACHING = 1_000  # images


@dataclass(frozen=True, eq=False)
class Twins:
    """Groups of equal and of similar images among all images of a source; a group is called by its first position."""

    exact: IntArray  # int64 (N,)
    near: IntArray  # int64 (N,), equal ones included
    turned: IntArray  # int64 (N,), mirrored or turned copies of each other; equal ones included


def find_twins(pixels: UInt8Array, others: UInt8Array | None = None) -> Twins:
    """The groups among uint8 images (N, S, S, C), and `others` of the same shape behind them."""
    parts = [pixels] if others is None else [pixels, others]
    exact = find_exact(*parts)
    return Twins(exact, *(joined(exact, groups) for groups in _similar(parts, np.unique(exact))))


def cached_twins(key: str, find: Callable[[], Twins], count: int) -> Twins:
    """The twins of `count` images with the content hash `key`, cached where finding them takes long."""
    if count < _WORTH_CACHING:
        return find()
    path = cache_root() / "images" / f"{key}-twins-{RULES}.json"
    with contextlib.suppress(GangdaError, OSError, KeyError, TypeError, ValueError, IndexError):
        kept = read_hashed_json(path)
        if kept["count"] == count:
            return Twins(**{column.name: _from_pairs(kept[column.name], count) for column in fields(Twins)})
    found = find()
    with contextlib.suppress(GangdaError, OSError):  # read-only home or full disk
        pairs = {name: _to_pairs(groups) for name, groups in vars(found).items()}
        write_hashed_json(path, {"count": count, **pairs})
    return found


def _to_pairs(groups: IntArray) -> list[list[int]]:
    later = np.flatnonzero(groups != np.arange(len(groups)))
    return [later.tolist(), groups[later].tolist()]


def _from_pairs(pairs: Any, count: int) -> IntArray:
    groups, (later, first) = np.arange(count, dtype=np.int64), pairs
    groups[np.array(later, dtype=np.int64)] = np.array(first, dtype=np.int64)
    return groups


def joined(*groupings: IntArray) -> IntArray:
    """The finest grouping in which whatever is together in one of these is together: int64 (N,), first positions."""
    count = len(groupings[0])
    edges = [np.stack([np.arange(count, dtype=np.int64), groups]) for groups in groupings]
    return _components(count, np.concatenate(edges, axis=1))


def first_positions(values: IntArray) -> IntArray:
    """The first position of each value, for all of them: int64 (N,)."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)


def without_copies(twins: Twins) -> Twins:
    """The groups of the images that are left where the first of each identical ones is kept."""
    kept = np.unique(twins.exact)
    near, turned = (first_positions(groups[kept]) for groups in (twins.near, twins.turned))
    return Twins(np.arange(len(kept), dtype=np.int64), near, turned)


def _components(count: int, edges: IntArray) -> IntArray:
    """Connected components of a graph of edges (2, E): the first position of each one's, int64 (N,)."""
    graph = coo_array((np.ones(edges.shape[1], dtype=bool), (edges[0], edges[1])), (count, count))
    _, labels = connected_components(graph, directed=False)
    return first_positions(labels)


def equal_images(images: UInt8Array, others: UInt8Array) -> npt.NDArray[np.bool_]:
    """Which images equal one of the others, bool (N,); none where the shapes differ."""
    if images.shape[1:] != others.shape[1:]:
        return np.zeros(len(images), dtype=bool)
    exact = find_exact(others, images)
    return exact[len(others) :] < len(others)


def find_exact(*parts: UInt8Array) -> IntArray:
    """The first position of an equal image, of all images of the parts in order, int64 (N,)."""
    seen: dict[bytes, int] = {}
    digests = (hashlib.blake2b(row.data, digest_size=16).digest() for part in parts for row in _rows(part))
    return np.array([seen.setdefault(digest, at) for at, digest in enumerate(digests)], dtype=np.int64)


def _rows(pixels: UInt8Array) -> Iterator[UInt8Array]:
    for start in range(0, len(pixels), _CHUNK):
        yield from np.ascontiguousarray(pixels[start : start + _CHUNK]).reshape(-1, pixels[0].size)


def _similar(parts: list[UInt8Array], different: IntArray) -> tuple[IntArray, IntArray]:
    """Groups of similar and of turned images among those at these positions of the parts; all others are alone."""
    columns = zip(*map(_traits, parts), strict=True)
    hashes, laid, ways, means, contrasts = (np.concatenate(column) for column in columns)
    count, places = len(means), different[contrasts[different] >= CONSTANT]
    near, turned = [], []
    for rise, (number, start) in itertools.product(range(len(RISES)), enumerate(_STARTS)):
        near.append(_candidates(hashes[:, rise], start, means, places))
        way = ways[:, rise, number]
        pairs = _candidates(laid[:, rise, number], start, means, places)
        pairs = pairs[:, way[pairs[0]] != way[pairs[1]]]
        pairs = pairs[:, _differences(parts, pairs, contrasts, way[pairs]) <= NEAR]
        moved = _differences(parts, pairs[[0, 0]], contrasts, way[pairs])
        turned.append(pairs[:, moved >= LOPSIDED])
    # As a * count + b, which sort faster.
    numbers = np.unique(np.concatenate([first * count + second for first, second in near]))
    pairs = np.stack(np.divmod(numbers, count))
    pairs = pairs[:, _differences(parts, pairs, contrasts) <= NEAR]
    return _components(count, pairs), _components(count, np.concatenate(turned, axis=1))


def _candidates(hashes: UInt8Array, start: int, means: FloatArray, places: IntArray) -> IntArray:
    """Pairs of these positions (2, P), lower first, whose images may be similar by their hashes, uint8 (N, 8)."""
    found = [np.zeros((2, 0), np.int64)]
    order = places[np.lexsort((means[places], _numbers(hashes[places], start)))]
    for step in range(1, _NEIGHBOURS + 1):
        pair = np.stack([order[:-step], order[step:]])
        bits = np.unpackbits(hashes[pair[0]] ^ hashes[pair[1]], axis=1).sum(axis=1)
        found.append(np.sort(pair[:, bits <= _BITS], axis=0))
    return np.concatenate(found, axis=1)


def _numbers(hashes: UInt8Array, start: int) -> npt.NDArray[np.uint64]:
    """Hashes (..., 8) as numbers (...) whose first byte is the one at `start`."""
    return np.roll(hashes, -start, axis=-1).view(">u8")[..., 0]


def _traits(pixels: UInt8Array) -> tuple[UInt8Array, UInt8Array, UInt8Array, FloatArray, FloatArray]:
    """Of each image, for each of `RISES` (R): dHash, uint8 (N, R, 8); mean and standard deviation of values, (N,).

    Between them, for each of `_STARTS`: the smallest dHash of all ways to lay it, uint8 (N, R, 4, 8), and that way's
    position in `_WAYS`, uint8 (N, R, 4).
    """
    shape = (len(pixels), len(RISES), len(_STARTS))
    hashes, laid, ways = (np.zeros(one, np.uint8) for one in ((*shape[:2], 8), (*shape, 8), shape))
    means, contrasts = np.zeros((2, len(pixels)))
    for first in range(0, len(pixels), _CHUNK):
        here = slice(first, first + _CHUNK)
        values = torch.tensor(pixels[here]).float()
        spread, mean = torch.std_mean(values.flatten(1), dim=1, correction=0)
        means[here], contrasts[here] = mean.numpy(), spread.numpy()
        grey = values.mean(3) if values.shape[3] > 1 else values[..., 0]
        # Of the image and of the transposed one; the mean over both ways commutes with reversing.
        grids = [F.adaptive_avg_pool2d(one, (8, 9)).numpy() for one in (grey, grey.mT)]
        every = np.stack([_hashed(_reversed(grids[way[0]], *way[1:])) for way in _WAYS], axis=2)
        hashes[here] = every[:, :, 0]
        for number, start in enumerate(_STARTS):
            best = _numbers(every, start).argmin(axis=2)
            ways[here, :, number] = best
            laid[here, :, number] = np.take_along_axis(every, best[..., None, None], axis=2)[:, :, 0]
    return hashes, laid, ways, means, contrasts


def _hashed(grids: npt.NDArray[Any]) -> UInt8Array:
    """dHash of grids (N, 8, 9) for each of `RISES`: uint8 (N, R, 8)."""
    differences, contrast = np.diff(grids, axis=2), grids.std(axis=(1, 2), keepdims=True)
    brighter = np.stack([differences > rise * contrast for rise in RISES], axis=1)
    return np.packbits(brighter.reshape(len(grids), len(RISES), 64), axis=2)


def _reversed(images: npt.NDArray[Any], rows: bool, columns: bool) -> npt.NDArray[Any]:
    return images[:, :: -1 if rows else 1, :: -1 if columns else 1]


def _laid(images: UInt8Array, ways: UInt8Array) -> UInt8Array:
    """Images (N, S, S, C), each in its way."""
    found = np.empty_like(images)
    for number, (transposed, *reverse) in enumerate(_WAYS):
        chosen = images[ways == number]
        found[ways == number] = _reversed(chosen.swapaxes(1, 2) if transposed else chosen, *reverse)
    return found


def _differences(
    parts: list[UInt8Array], pairs: IntArray, contrasts: FloatArray, ways: UInt8Array | None = None
) -> FloatArray:
    """How far the images of each pair of positions (2, P), laid in these ways (2, P), are from similar, (P,).

    contrasts: standard deviations of the images at all positions.
    """
    found = np.zeros(pairs.shape[1])
    for start in range(0, len(found), _CHUNK):
        here = slice(start, start + _CHUNK)
        images = [images_at(parts, places) for places in pairs[:, here]]
        if ways is not None:
            images = [_laid(one, way) for one, way in zip(images, ways[:, here], strict=True)]
        first, second = map(_coarse, images, contrasts[pairs[:, here]])
        found[here] = np.sqrt(np.square(first - second).mean(axis=1))
    return found


def _coarse(images: UInt8Array, contrasts: FloatArray) -> npt.NDArray[np.float32]:
    """Images (N, S, S, C) with mean 0 and standard deviation 1, then means over 2x2 of their pixels: (N, V)."""
    values, pixels = images, 1
    if (side := images.shape[1] // 2 * 2) >= FINE:
        even, pixels = images[:, :side, :side].astype(np.uint16), 4
        rows = even[:, ::2] + even[:, 1::2]
        values = rows[:, :, ::2] + rows[:, :, 1::2]
    flat = values.reshape(len(images), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= pixels * contrasts[:, None]
    return flat


def images_at(parts: list[UInt8Array], places: IntArray) -> UInt8Array:
    """The images at these positions of all parts."""
    if len(parts) == 1:
        return parts[0][places]
    found = np.empty((len(places), *parts[0].shape[1:]), np.uint8)
    late = places >= len(parts[0])
    found[~late], found[late] = parts[0][places[~late]], parts[1][places[late] - len(parts[0])]
    return found
