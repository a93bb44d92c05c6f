"""Images that are there twice: exactly (by a hash of their pixels), or nearly (another shot, another encoding).

Nearly: the root mean square difference is at most `NEAR` of either image's own contrast. Such pairs are looked for
among images whose difference hashes are neighbours when sorted, which finds most of them in N log N; nearly constant
images are left out. Source: Krawetz 2013, "Kind of like that" (dHash: 64 comparisons of neighbours on a 9x8 grid).
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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

RULES = 1  # raise it when other images count as twins
NEAR = 0.1  # of an image's own contrast
_BITS = 10  # of 64 that may differ between candidates
_NEIGHBOURS = 4  # in sorted order that are candidates
_CHUNK = 4096
_WORTH_CACHING = 1_000  # images


@dataclass(frozen=True, eq=False)
class Twins:
    """Groups of equal and of similar images among all images of a source; a group is called by its first position."""

    exact: IntArray  # int64 (N,)
    near: IntArray  # int64 (N,), equal ones included


def find_twins(pixels: UInt8Array, others: UInt8Array | None = None) -> Twins:
    """The groups among uint8 images (N, H, W, C), and `others` of the same shape behind them."""
    parts = [pixels] if others is None else [pixels, others]
    exact = find_exact(*parts)
    return Twins(exact, joined(exact, _near(parts, np.unique(exact))))


def cached_twins(key: str, find: Callable[[], Twins], count: int) -> Twins:
    """The twins of `count` images with the content hash `key`, cached where finding them takes long."""
    if count < _WORTH_CACHING:
        return find()
    path = cache_root() / "images" / f"{key}-twins-{RULES}.json"
    with contextlib.suppress(GangdaError, OSError, KeyError, TypeError, ValueError, IndexError):
        kept = read_hashed_json(path)
        if kept["count"] == count:
            return Twins(*(_from_pairs(kept[name], count) for name in ("exact", "near")))
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
    return Twins(np.arange(len(kept), dtype=np.int64), first_positions(twins.near[kept]))


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


def _near(parts: list[UInt8Array], different: IntArray) -> IntArray:
    """Groups of similar images among those at these positions of the parts; all others are alone."""
    hashes, means, contrasts = (np.concatenate(column) for column in zip(*map(_traits, parts), strict=True))
    places = different[contrasts[different] >= CONSTANT]
    edges = [np.zeros((2, 0), np.int64)]
    for turn in range(0, 8, 2):
        turned = np.roll(hashes[places], turn, axis=1).copy().view(">u8")[:, 0]
        order = places[np.argsort(turned, kind="stable")]
        for step in range(1, _NEIGHBOURS + 1):
            pair = np.stack([order[:-step], order[step:]])
            # The root mean square difference is never below that of the means, nor below that of the contrasts.
            most = NEAR * contrasts[pair].min(axis=0)
            for trait in (means, contrasts):
                close = np.abs(np.subtract(*trait[pair])) <= most
                pair, most = pair[:, close], most[close]
            bits = np.unpackbits(hashes[pair[0]] ^ hashes[pair[1]], axis=1).sum(axis=1)
            edges.append(np.sort(pair[:, bits <= _BITS], axis=0))
    pairs = np.unique(np.concatenate(edges, axis=1), axis=1)
    return _components(len(hashes), pairs[:, _are_similar(parts, pairs, contrasts)])


def _traits(pixels: UInt8Array) -> tuple[UInt8Array, FloatArray, FloatArray]:
    """Of each image its dHash, uint8 (N, 8), and the mean and standard deviation of its values, (N,)."""
    hashes, means, contrasts = np.zeros((len(pixels), 8), np.uint8), *np.zeros((2, len(pixels)))
    for start in range(0, len(pixels), _CHUNK):
        here = slice(start, start + _CHUNK)
        values = torch.tensor(pixels[here]).float()
        grid = F.adaptive_avg_pool2d(values.mean(dim=3), (8, 9)).numpy()
        bits = grid[:, :, 1:] > grid[:, :, :-1]
        hashes[here] = np.packbits(bits.reshape(len(bits), 64), axis=1)
        spread, mean = torch.std_mean(values.flatten(1), dim=1, correction=0)
        means[here], contrasts[here] = mean.numpy(), spread.numpy()
    return hashes, means, contrasts


def _are_similar(parts: list[UInt8Array], pairs: IntArray, contrasts: FloatArray) -> npt.NDArray[np.bool_]:
    """Which pairs of positions (2, P) are of images that are nearly the same, bool (P,)."""
    similar = np.zeros(pairs.shape[1], dtype=bool)
    for start in range(0, len(similar), _CHUNK):
        chosen = pairs[:, start : start + _CHUNK]
        first, second = (images_at(parts, places).astype(np.int16) for places in chosen)
        difference = (first - second).reshape(chosen.shape[1], -1)
        distance = np.sqrt(np.square(difference, dtype=np.float32).mean(axis=1))
        similar[start : start + _CHUNK] = distance <= NEAR * contrasts[chosen].min(axis=0)
    return similar


def images_at(parts: list[UInt8Array], places: IntArray) -> UInt8Array:
    """The images at these positions of all parts."""
    if len(parts) == 1:
        return parts[0][places]
    found = np.empty((len(places), *parts[0].shape[1:]), np.uint8)
    late = places >= len(parts[0])
    found[~late], found[late] = parts[0][places[~late]], parts[1][places[late] - len(parts[0])]
    return found
