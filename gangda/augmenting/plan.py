"""How many synthetic images each class gets. A ratio is synthetic images per real image; counts round up.

`--balance` without a ratio is `--fill 1`.
"""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from gangda.config.schema import AugmentConfig
from gangda.data.class_values import read_assignment
from gangda.data.images import IntArray, LabelledImages
from gangda.errors import DataError, UsageError
from gangda.runtime.seeding import numpy_stream

FEW = 5  # training images of a class of which hundreds are better not made
MOST_NAMES = 30  # classes that are listed
MAX_IMAGES = 1_000_000_000  # of one class: more than any disk holds, and far below the limit of int64


@dataclass(frozen=True, eq=False)
class AugmentPlan:
    """Per class, int64 (K,): real images there are, images wanted in all, synthetic images to make."""

    have: IntArray
    want: IntArray
    make: IntArray

    @property
    def keep(self) -> IntArray:
        """Real images that stay, int64 (K,): all of them but in a plan that replaces."""
        return self.want - self.make

    def as_dict(self, class_names: Sequence[str]) -> list[dict[str, Any]]:
        """One plain row per class, for tables and JSON."""
        columns = {name: getattr(self, name).tolist() for name in ("have", "want", "make", "keep")}
        rows = zip(class_names, *columns.values(), strict=True)
        return [dict(zip(("class", *columns), row, strict=True)) for row in rows]

    def too_few(self, class_names: Sequence[str]) -> str:
        """A sentence on classes of which images are made from fewer than `FEW`; empty without any."""
        few = np.flatnonzero((self.have > 0) & (self.have < FEW) & (self.make > 0)).tolist()
        if len(few) == 1:
            [label] = few
            name, have = class_names[label], int(self.have[label])
            images, them = ("1 training image", "it") if have == 1 else (f"{have} training images", "them")
            what = f"class '{name}' has {images}, and {self.make[label]:,} are made from {them}"
            return (
                f"{what}: hardly more than copies; add real ones, or leave it out with --ratio-for '{name}=0'"
            )
        if few:
            some = ", ".join(f"'{class_names[label]}' {self.have[label]}" for label in few[:MOST_NAMES])
            what = f"{len(few)} classes have fewer than {FEW} training images ({some})"
            return f"{what}: what is made from so few may be hardly more than copies"
        return ""


def share_of(counts: IntArray, ratio: npt.ArrayLike) -> IntArray:
    """ratio x counts, rounded up, int64 (K,), whatever a product's last bits; a UsageError above `MAX_IMAGES` of a
    class.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        product = np.asarray(counts, dtype=np.float64) * np.asarray(ratio, dtype=np.float64)
    if not np.all(product <= MAX_IMAGES):
        raise UsageError(
            f"a ratio of {np.max(ratio):g} asks for over {MAX_IMAGES:,} images of a class; choose a smaller one"
        )
    return np.ceil(np.round(product, 9)).astype(np.int64)


def split_by_method(make: IntArray, method: str) -> tuple[IntArray, IntArray]:
    """How many of each class are generated, how many traditional; `both` halves, an odd one is generated."""
    shares = {"generated": make, "traditional": np.zeros_like(make), "both": (make + 1) // 2}
    return shares[method], make - shares[method]


def filling(have: IntArray, share: float, largest: int) -> IntArray:
    """Images to make of each class, int64 (K,), that fill it up to `share` times the count `largest`, rounded up."""
    level = share_of(np.array([largest]), share)
    return np.asarray(np.maximum(level - have, 0), dtype=np.int64)


def balancing(have: IntArray, ratio: float) -> IntArray:
    """Images to make of each class, int64 (K,): ratio x N images that level up the smallest classes together.

    What is left after full balance is spread evenly, and single images that do not divide go to the lowest labels.
    """
    budget = int(share_of(have.sum(keepdims=True), ratio)[0])
    low, high = int(have.min()), int(have.min()) + budget
    while low < high:  # the highest level that the budget reaches
        level = (low + high + 1) // 2
        low, high = (level, high) if np.maximum(level - have, 0).sum() <= budget else (low, level - 1)
    make = np.maximum(low - have, 0)
    make[np.flatnonzero(have <= low)[: budget - int(make.sum())]] += 1
    return make


def error_rates(correct: Sequence[int], images: Sequence[int]) -> tuple[Fraction, ...]:
    """How much a classifier gets wrong of each class, from right answers and images: (wrong + 1) / (images + 2).

    Source: Laplace's rule of succession; recall on few validation images is uncertain, and without any it is 1/2.
    """
    return tuple(Fraction(n - c + 1, n + 2) for c, n in zip(correct, images, strict=True))


def apportion(total: int, weights: Sequence[Fraction]) -> IntArray:
    """`total` in whole shares proportional to the positive weights, int64 (K,); exact.

    Each is rounded down, and what is left goes to the largest remainders, of equal ones to the lowest label. Source:
    Hamilton's method.
    """
    whole = sum(weights, Fraction(0))
    quotas = [total * weight / whole for weight in weights]
    shares = [int(quota) for quota in quotas]
    largest_first = sorted(range(len(quotas)), key=lambda label: shares[label] - quotas[label])  # stable
    for label in largest_first[: total - sum(shares)]:
        shares[label] += 1
    return np.array(shares, dtype=np.int64)


def make_plan(
    real: LabelledImages, config: AugmentConfig, errors: Sequence[Fraction] | None = None
) -> AugmentPlan:
    """The plan that the options ask for; their ratio must be decided.

    `--ratio-for` takes its class out of the common rule: the class gets (or, with `--replace`, has replaced) its own
    ratio, and a budget of `--balance --ratio` is counted over, and spent on, the other classes.

    `errors`, of `--allocate recall`: as many images as the ratio gives the other classes together are shared out among
    them in proportion to their error rates; a class without real images gets none. Source: report R3. Departure:
    there by hand, for one class and by test images, here by validation images.

    Raises:
        UsageError: an unknown class, a ratio out of range.
        DataError: images are wanted of a class that has no real one.
    """
    have, class_names = real.counts(), real.class_names
    replaces = config.replace is not None
    overrides = read_ratios(config.ratio_for, class_names, largest=1.0 if replaces else math.inf)
    own = np.isin(np.arange(len(have)), list(overrides))
    (asked,) = config.ratios  # a ratio, or with `fill` a level
    fill = asked if config.fill is not None else 1.0 if config.balance and asked is None else None
    ratios = np.full(len(have), config.replace if replaces else 1.0 if asked is None else asked)
    ratios[list(overrides)] = list(overrides.values())
    make = share_of(have, ratios)
    if fill is not None:
        make[~own] = filling(have[~own], fill, int(have.max()))
    elif config.balance and asked is not None and not own.all():
        make[~own] = balancing(have[~own], asked)
    if errors is not None and len(labels := np.flatnonzero(~own & (have > 0))):
        make[labels] = apportion(int(make[labels].sum()), [errors[label] for label in labels.tolist()])
    for label in np.flatnonzero((have == 0) & (make > 0)).tolist():
        raise DataError(
            f"class '{class_names[label]}' has no real training image to learn from; "
            f"leave it out with --ratio-for '#{label}=0'"
        )
    return AugmentPlan(have, have if replaces else have + make, make)


def kept_rows(labels: IntArray, keep: IntArray, seed: int) -> IntArray:
    """Positions, int64, ascending, of the `keep[k]` real images of class k that stay: with fewer, some of the same."""
    order = numpy_stream(seed, "replace").permutation(len(labels))
    return np.sort(order[first_of_each(labels[order], keep)])


def first_of_each(labels: IntArray, counts: IntArray) -> IntArray:
    """Positions of the first `counts` (K,) images of each class, in label order; a DataError where there are fewer."""
    have = np.bincount(labels, minlength=len(counts))
    for label in np.flatnonzero(have[: len(counts)] < counts).tolist():
        raise DataError(
            f"class #{label}: {have[label]:,} images are there and {counts[label]:,} are needed; make more of it, or "
            "choose a smaller ratio"
        )
    return np.concatenate([np.flatnonzero(labels == label)[:count] for label, count in enumerate(counts)])


def read_ratios(items: Sequence[str], class_names: Sequence[str], largest: float) -> dict[int, float]:
    """`NAME=R` and `#i=R` items as label -> ratio.

    Raises UsageError: an unknown class, one named twice, or no number from 0 to `largest`.
    """
    ratios: dict[int, float] = {}
    for item in items:
        label, text = read_assignment(item, class_names, "--ratio-for")
        ratio = math.nan
        with contextlib.suppress(ValueError):
            ratio = float(text)
        if not 0 <= ratio <= largest or math.isinf(ratio):
            bounds = "at least 0" if math.isinf(largest) else f"between 0 and {largest:g}"
            raise UsageError(f"--ratio-for {item}: the ratio must be a number {bounds}")
        if label in ratios:
            raise UsageError(f"--ratio-for {item}: class '{class_names[label]}' is already given a ratio")
        ratios[label] = ratio
    return ratios
