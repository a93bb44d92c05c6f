"""Images that are there twice: exactly (by a hash of pixels), nearly (another shot or encoding), mirrored or turned.

Nearly: the root mean square difference is at most `NEAR` of either image's own contrast. Such pairs are looked for
among images whose difference hashes are neighbours when sorted, which finds most of them in N log N; nearly constant
images are left out. Source: Krawetz 2013, "Kind of like that" (dHash: 64 comparisons of neighbours on a 9x8 grid).
Mirrored or turned by quarters: the same between an image and the other after that; of images that differ from
themselves after it by `LOPSIDED` of their contrast or more, so that symmetric ones, which are alike, are no copies.
"""

import contextlib
import hashlib
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

RULES = 2  # raise it when other images count as twins
NEAR, LOPSIDED = 0.1, 0.5  # of an image's own contrast
# Mirrored (2), half a turn, transposed (2), a quarter (one way: the pair is found from its other image, too): whether
# the image is transposed, then its rows and its columns reversed.
_TURNS = (
    (False, False, True), (False, True, False), (False, True, True),
    (True, False, False), (True, True, True), (True, True, False),
)  # fmt: skip
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
    hashes, means, contrasts, lopsided = (np.concatenate(column) for column in columns)
    count, places = len(means), different[contrasts[different] >= CONSTANT]
    near = _candidates(hashes[:, 0], means, contrasts, places)
    near = near[:, _are_similar(parts, near, contrasts)]
    found = [np.zeros((2, 0), np.int64)]
    for number, turn in enumerate(_TURNS):
        # The turned images stand behind all images; pairs of one and a turned other are wanted.
        own = places[lopsided[places, number]]
        both = np.concatenate([hashes[:, 0], hashes[:, 1 + number]])
        pairs = _candidates(both, np.tile(means, 2), np.tile(contrasts, 2), np.r_[own, own + count])
        pairs = pairs[:, (pairs[0] < count) & (pairs[1] >= count)] - np.array([[0], [count]])
        pairs = pairs[:, pairs[0] != pairs[1]]
        found.append(pairs[:, _are_similar(parts, pairs, contrasts, turn)])
    return _components(count, near), _components(count, np.concatenate(found, axis=1))


def _candidates(hashes: UInt8Array, means: FloatArray, contrasts: FloatArray, places: IntArray) -> IntArray:
    """Pairs of these positions (2, P), lower first, whose images may be similar by their traits."""
    found = [np.zeros(0, np.int64)]  # pairs (a, b) as a * count + b, which sort faster
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
            pair = pair[:, bits <= _BITS]
            found.append(pair.min(axis=0) * len(means) + pair.max(axis=0))
    return np.stack(np.divmod(np.unique(np.concatenate(found)), len(means)))


def _traits(pixels: UInt8Array) -> tuple[UInt8Array, FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    """Of each image: dHash, own and after each turn, uint8 (N, 1 + T, 8); mean and standard deviation of values, (N,).

    And whether each turn makes another image of it, bool (N, T).
    """
    count, turns = len(pixels), len(_TURNS)
    hashes, lopsided = np.zeros((count, 1 + turns, 8), np.uint8), np.zeros((count, turns), bool)
    means, contrasts = np.zeros((2, count))
    for start in range(0, count, _CHUNK):
        here = slice(start, start + _CHUNK)
        values = torch.tensor(pixels[here]).float()
        grey = values.mean(3) if values.shape[3] > 1 else values[..., 0]
        # Of the image and of the transposed one; the mean over both ways commutes with reversing.
        grids = [F.adaptive_avg_pool2d(one, (8, 9)).numpy() for one in (grey, grey.mT)]
        for number, (transposed, *reverse) in enumerate(((False, False, False), *_TURNS)):
            grid = _reversed(grids[transposed], *reverse)
            bits = grid[:, :, 1:] > grid[:, :, :-1]
            hashes[here, number] = np.packbits(bits.reshape(len(bits), 64), axis=1)
        spread, mean = torch.std_mean(values.flatten(1), dim=1, correction=0)
        means[here], contrasts[here] = mean.numpy(), spread.numpy()
        for number, turn in enumerate(_TURNS):
            difference = (values.numpy() - _turned(values.numpy(), turn)).reshape(len(values), -1)
            change = np.sqrt(np.einsum("np,np->n", difference, difference) / difference.shape[1])
            lopsided[here, number] = change >= LOPSIDED * contrasts[here]
    return hashes, means, contrasts, lopsided


def _turned(images: npt.NDArray[Any], turn: tuple[bool, bool, bool]) -> npt.NDArray[Any]:
    """Images (N, S, S, C), transposed or not, then with rows or columns reversed: a view."""
    return _reversed(images.swapaxes(1, 2) if turn[0] else images, *turn[1:])


def _reversed(images: npt.NDArray[Any], rows: bool, columns: bool) -> npt.NDArray[Any]:
    return images[:, :: -1 if rows else 1, :: -1 if columns else 1]


def _are_similar(
    parts: list[UInt8Array],
    pairs: IntArray,
    contrasts: FloatArray,
    turn: tuple[bool, bool, bool] = (False, False, False),
) -> npt.NDArray[np.bool_]:
    """Which pairs of positions (2, P) are of images that are nearly the same, the second after a turn, bool (P,)."""
    similar = np.zeros(pairs.shape[1], dtype=bool)
    for start in range(0, len(similar), _CHUNK):
        chosen = pairs[:, start : start + _CHUNK]
        first, second = (images_at(parts, places).astype(np.int16) for places in chosen)
        difference = (first - _turned(second, turn)).reshape(chosen.shape[1], -1)
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
