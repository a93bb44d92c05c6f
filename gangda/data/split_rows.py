"""Which rows are for testing, in the subset, for validation: by the rules of `splits.py`."""

from collections import Counter

import numpy as np

from gangda.data.images import REAL, IntArray, LabelledImages
from gangda.errors import DataError
from gangda.runtime.seeding import numpy_stream

TEST_SHARE = 0.2


def fixed_test_rows(images: LabelledImages, groups: IntArray | None = None) -> IntArray:
    """Positions of the fixed, stratified test split: a fifth of the real images, int64, ascending.

    ceil(N / 5) in all, shared by the largest-remainder method (earlier classes first), at least one of each class that
    has two, and none of one that has one. Depends on the labels (and `groups`, int64 (N,), which stay whole) alone,
    never on a seed. Raises DataError: a class has one group only.
    """
    real = np.flatnonzero(images.origin == REAL)
    have = np.bincount(images.labels[real], minlength=images.num_classes)
    exact = have * TEST_SHARE
    counts = np.floor(exact).astype(np.int64)
    left = int(np.ceil(exact.sum() - 1e-9)) - int(counts.sum())
    counts[np.argsort(-(exact - counts).round(9), kind="stable")[:left]] += 1
    counts = np.maximum(counts, np.minimum(have // 2, 1)).clip(max=np.maximum(have - 1, 0))
    rows = _first_of_each_class(images.labels, real, counts, "test split", groups=groups)
    several = images.labels[real][have[images.labels[real]] > 1]
    if groups is not None and len(lacking := np.setdiff1d(several, images.labels[rows])):
        what = f"all images of class '{images.class_names[lacking[0]]}' are in one group (identical, or --group-by)"
        own = images.pixels[images.labels == lacking[0]]
        blank = "; they are blank: white drawings on a transparent ground vanish, as that becomes white"
        raise DataError(f"{what}; it takes two, one of them for testing{blank * bool((own == 255).all())}")
    return rows


def subset_rows(train: LabelledImages, counts: IntArray, seed: int) -> IntArray:
    """Positions of `counts[c]` images of each class c, drawn by seed, int64, ascending."""
    return _first_of_each_class(train.labels, np.arange(len(train)), counts, seed, "subset")


def validation_rows(
    train: LabelledImages, share: float, seed: int, groups: IntArray | None = None
) -> IntArray:
    """Positions of the real images held back for validation, stratified, drawn by seed, int64, ascending."""
    real = np.flatnonzero(train.origin == REAL)
    have = np.bincount(train.labels[real], minlength=train.num_classes)
    counts = np.floor(have * share + 0.5).astype(np.int64)
    counts = np.maximum(counts, (have >= 5) & (share > 0)).clip(max=np.maximum(have - 1, 0))
    return _first_of_each_class(train.labels, real, counts, seed, "validation", groups=groups)


def _first_of_each_class(
    labels: IntArray, candidates: IntArray, counts: IntArray, *key: int | str, groups: IntArray | None = None
) -> IntArray:
    """The first `counts[c]` candidates of each class c in a random order of the stream `key`, ascending."""
    shuffled = candidates[numpy_stream(*key).permutation(len(candidates))]
    if groups is not None and len(np.unique(groups[shuffled])) < len(shuffled):
        return _whole_groups(labels, shuffled, counts, groups)
    grouped = shuffled[np.argsort(labels[shuffled], kind="stable")]
    of_class = labels[grouped]
    rank = np.arange(len(grouped)) - np.searchsorted(of_class, of_class)
    return np.sort(grouped[rank < counts[of_class]])


def _whole_groups(labels: IntArray, shuffled: IntArray, counts: IntArray, groups: IntArray) -> IntArray:
    """The same in whole groups, at most `counts[c]` of each class c but at least one group; some of each class stay."""
    members: dict[int, list[int]] = {}
    for row, group in zip(shuffled.tolist(), groups[shuffled].tolist(), strict=True):
        members.setdefault(group, []).append(row)
    sizes = {group: Counter(labels[rows].tolist()) for group, rows in members.items()}
    have = Counter(labels[shuffled].tolist())
    taken: Counter[int] = Counter()
    chosen: set[int] = set()

    def take(group: int) -> None:
        chosen.add(group)
        taken.update(sizes[group])

    for group, size in sizes.items():
        if all(taken[label] + more <= counts[label] for label, more in size.items()):
            take(group)
    for label in np.flatnonzero(counts).tolist():
        rest = [
            group
            for group, size in sizes.items()
            if size[label] and all(taken[other] + more < have[other] for other, more in size.items())
        ]
        if not taken[label] and rest:
            take(min(rest, key=lambda group: len(members[group])))
    return np.sort(np.array([row for group in chosen for row in members[group]], dtype=np.int64))
