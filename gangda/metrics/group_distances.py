"""Distances within and between groups of images: group means, energy distances, distinct modes.

With D_ab the mean distance between groups a and b (of two different images), the energy distance 2 D_ab - D_aa - D_bb
is 0 if and only if both come from the same distribution. It needs no fitted model, and unlike a Frechet distance it has
no bias at the few dozen images of a class.

Source: Szekely and Rizzo 2013, equation 2.5, in its unbiased form.
"""

import numpy as np
import torch
from scipy.sparse.csgraph import connected_components

from gangda.data.images import FloatArray, IntArray
from gangda.metrics.diversity import LEAST
from gangda.metrics.inputs import Features
from gangda.metrics.neighbours import squared_distances, together

SAME_MODE = 0.5  # of the real images' distance to their nearest: closer samples count as one mode


def pairwise_distances(a: Features, b: Features) -> FloatArray:
    """Euclidean distances float64 (N, M) of features (N, F) to (M, F)."""
    parts = [part.sqrt().double() for _, part in squared_distances(*together(a, b))]
    distances: FloatArray = torch.cat(parts).numpy()
    return distances


def group_means(
    distances: FloatArray, rows: IntArray, columns: IntArray, groups: int, *, same: bool = False
) -> FloatArray:
    """Mean distance between two groups, (groups, groups); NaN without a pair.

    `rows` (N,) and `columns` (M,) are the group of each image. `same`: both are the same images, none of which is
    compared with itself.
    """
    row_of, column_of = np.eye(groups)[rows], np.eye(groups)[columns]
    if same:
        distances = distances.copy()
        np.fill_diagonal(distances, 0.0)
    sums = row_of.T @ distances @ column_of
    pairs = np.outer(row_of.sum(0), column_of.sum(0))
    if same:
        pairs -= np.diag(row_of.sum(0))
    means: FloatArray = sums / np.where(pairs > 0, pairs, np.nan)
    return means


def energy_distances(between: FloatArray, within: FloatArray, other: FloatArray) -> FloatArray:
    """Energy distance of each group (row) to each of the other side's (column), from mean distances."""
    return 2 * between - within[:, None] - other[None, :]


def nearest_other(distances: FloatArray) -> FloatArray:
    """Distance of each image to the nearest other one, (N,); `distances` (N, N) are those within one set."""
    nearest: FloatArray = (distances + np.diag(np.full(len(distances), np.inf))).min(axis=1)
    return nearest


def count_modes(distances: FloatArray, close: float) -> int:
    """How many distinct images there are: those closer than `close` are one mode, and so are chains of them."""
    return int(connected_components(distances <= close, directed=False)[0])


def distinct_mode_ratios(
    fake: FloatArray, fake_groups: IntArray, real: FloatArray, real_groups: IntArray, groups: int
) -> FloatArray:
    """Modes among the samples over those among as many real images, by group; NaN for groups with too few images.

    `fake` and `real` are the distances within the samples and within the real images.
    """
    ratios = np.full(groups, np.nan)
    for group in range(groups):
        theirs = np.flatnonzero(real_groups == group)
        ours = np.flatnonzero(fake_groups == group)[: len(theirs)]
        if min(len(ours), len(theirs)) < LEAST:
            continue
        theirs = theirs[: len(ours)]
        among_real = real[np.ix_(theirs, theirs)]
        close = SAME_MODE * float(np.median(nearest_other(among_real)))
        ratios[group] = count_modes(fake[np.ix_(ours, ours)], close) / count_modes(among_real, close)
    return ratios
