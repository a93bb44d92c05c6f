import contextlib
import itertools
import math
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gangda.augmenting.plan import (
    AugmentPlan,
    apportion,
    balancing,
    error_rates,
    first_of_each,
    kept_rows,
    make_plan,
    share_of,
)
from gangda.config.schema import AugmentConfig
from gangda.data.class_values import read_counts
from gangda.errors import DataError, UsageError

NAMES = ("boot", "a=b", "x,y", "#1")
counts = st.lists(st.integers(0, 300), min_size=1, max_size=12).map(
    lambda values: np.array(values, dtype=np.int64)
)
ratios = st.floats(0, 5, allow_nan=False)


def whole_plan(have: np.ndarray, **options: object) -> AugmentPlan:
    names = [f"class {label}" for label in range(len(have))]
    return make_plan(images(have, names), AugmentConfig(**options))  # type: ignore[arg-type]


def images(counts, names):
    return SimpleNamespace(counts=lambda: counts, class_names=names)


def plan(have: list[int], **options: object) -> list[int]:
    return whole_plan(np.array(have), **options).make.tolist()


@pytest.mark.parametrize(
    ("have", "options", "make"),
    [
        ([45, 30, 7], {}, [45, 30, 7]),  # the ratio is 1 unless said
        ([45, 30, 7], {"ratio": 0.1}, [5, 3, 1]),  # rounded up, but 0.1 x 30 is 3
        ([45, 30, 7], {"ratio": 0.0}, [0, 0, 0]),
        ([45, 30, 7], {"balance": True}, [0, 15, 38]),
        ([45, 30, 7], {"fill": 1.0}, [0, 15, 38]),
        ([45, 30, 7], {"fill": 0.5}, [0, 0, 16]),  # up to 22.5, rounded up
        ([45, 30, 7], {"fill": 2.0}, [45, 60, 83]),
        ([45, 30, 7], {"fill": 0.0}, [0, 0, 0]),
        ([45, 30, 7], {"fill": 0.5, "ratio_for": ("#0=1", "#2=0")}, [45, 0, 0]),
        ([10, 4, 2], {"balance": True, "ratio": 0.25}, [0, 1, 3]),  # 4 images: both small ones reach 5
        ([10, 4, 2], {"balance": True, "ratio": 0.125}, [0, 0, 2]),  # 2 images: the smallest first
        (
            [10, 4, 2],
            {"balance": True, "ratio": 2.0},
            [6, 12, 14],
        ),  # 14 level them, 18 more are spread evenly
        ([5, 5, 5], {"balance": True, "ratio": 4 / 15}, [2, 1, 1]),  # what does not divide goes to low labels
        ([45, 30, 7], {"replace": 0.5}, [23, 15, 4]),
        ([45, 30, 7], {"replace": 1.0}, [45, 30, 7]),
        ([45, 30, 7], {"ratio": 0.1, "ratio_for": ("class 2=3",)}, [5, 3, 21]),
        ([45, 30, 7], {"balance": True, "ratio_for": ("#0=1", "#2=0")}, [45, 15, 0]),
        (
            [10, 4, 2],
            {"balance": True, "ratio": 0.5, "ratio_for": ("#0=0",)},
            [0, 1, 2],
        ),  # 3 of 6, over the others
        ([10, 4, 2], {"replace": 0.1, "ratio_for": ("class 0=0.4",)}, [4, 1, 1]),
    ],
)
def test_plans_mean_what_the_options_say(
    have: list[int], options: dict[str, object], make: list[int]
) -> None:
    assert plan(have, **options) == make


@given(counts, ratios)
def test_adding_gives_each_class_its_ratio_rounded_up(have: np.ndarray, ratio: float) -> None:
    made = whole_plan(have, ratio=ratio)
    assert ((made.make >= ratio * have - 1e-6) & (made.make < ratio * have + 1)).all()
    assert (made.keep == have).all()
    assert (made.want == have + made.make).all()


@given(counts, st.floats(0, 1))
def test_replacing_keeps_size_and_shares(have: np.ndarray, ratio: float) -> None:
    made = whole_plan(have, replace=ratio)
    assert (made.want == have).all()
    assert (made.keep >= 0).all()
    assert (made.keep + made.make == have).all()


def unfilled(have: np.ndarray) -> tuple[str, ...]:
    """Options that leave classes without images as they are."""
    return tuple(f"#{label}=0" for label in np.flatnonzero(have == 0))


@given(counts)
def test_balance_makes_all_classes_equal(have: np.ndarray) -> None:
    largest = int(have.max())
    assert set(whole_plan(have, balance=True, ratio_for=unfilled(have)).want[have > 0].tolist()) <= {largest}


@given(counts.filter(lambda have: have.min() > 0), st.floats(0, 3))
def test_filling_lifts_every_class_to_the_level_and_none_above_it(have: np.ndarray, share: float) -> None:
    made = whole_plan(have, fill=share)
    level = math.ceil(round(share * int(have.max()), 9))
    assert made.want.tolist() == [max(level, count) for count in have.tolist()]
    assert (made.keep == have).all()


@given(counts, ratios)
def test_a_balancing_budget_is_spent_whole_on_the_smallest_first(have: np.ndarray, ratio: float) -> None:
    make = balancing(have, ratio)
    assert make.sum() == share_of(have.sum(keepdims=True), ratio)[0]
    want = have + make
    filled, untouched = want[make > 0], want[make == 0]
    if len(filled):
        # Those that gained stand at one level (give or take the image that did not divide), no other below them.
        assert filled.max() - filled.min() <= 1
        assert not len(untouched) or untouched.min() >= filled.max() - 1


@given(counts, ratios)
def test_a_balancing_budget_is_the_greedy_one(have: np.ndarray, ratio: float) -> None:
    ratio = min(ratio, 2.0)
    level = have.copy()
    for _ in range(int(share_of(have.sum(keepdims=True), ratio)[0])):
        level[int(np.argmin(level))] += 1  # argmin takes the lowest label of several
    assert sorted((have + balancing(have, ratio)).tolist()) == sorted(level.tolist())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"replace": 0.5, "ratio": 1.0}, "--replace"),
        ({"replace": 0.5, "balance": True}, "--replace"),
        ({"fill": 0.5, "ratio": 0.5}, "--ratio and --fill exclude"),
        ({"fill": 0.5, "replace": 0.5}, "--fill and --replace exclude"),
        ({"fill": 0.5, "balance": True}, "--balance and --fill exclude"),
        ({"ratio_for": ("class 7=1",)}, "no class 'class 7'"),
        ({"ratio_for": ("clas 1=1",)}, "did you mean 'class 1'"),
        ({"ratio_for": ("#3=1",)}, "0 to 2"),
        ({"ratio_for": ("class 1",)}, "NAME=value"),
        ({"ratio_for": ("#0=-1",)}, "at least 0"),
        ({"ratio_for": ("#0=nan",)}, "at least 0"),
        ({"ratio_for": ("#0=inf",)}, "at least 0"),
        ({"ratio_for": ("#0=many",)}, "at least 0"),
        ({"ratio_for": ("#0=1", "class 0=2")}, "already"),
        ({"replace": 0.5, "ratio_for": ("#0=1.5",)}, "between 0 and 1"),
        ({"ratio": 1e300}, "choose a smaller one"),
        ({"ratio": math.inf}, "choose a smaller one"),
    ],
)
def test_bad_options_are_refused_in_one_line(options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        plan([45, 30, 7], **options)
    assert "\n" not in str(caught.value)


def test_a_class_without_real_images_is_refused_unless_left_out() -> None:
    with pytest.raises(DataError, match="class 'class 1' has no real training image"):
        plan([5, 0], balance=True)
    assert plan([5, 0], balance=True, ratio_for=("#1=0",)) == [0, 0]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("boot=5", [5, 0, 0, 0]),
        ("boot=5, #2=7", [5, 0, 7, 0]),
        ("a=b=3", [0, 3, 0, 0]),  # the last = divides
        ('"x,y=4",boot=1', [1, 0, 4, 0]),  # quotes around an item with a comma
        ("#1=2", [0, 0, 0, 2]),  # a class of that name goes before the index
        ("#0=0,#2=1", [0, 0, 1, 0]),
    ],
)
def test_counts_are_read_by_name_or_index(text: str, counts: list[int]) -> None:
    assert read_counts(text, NAMES).tolist() == counts


@pytest.mark.parametrize(
    "text", ["", ",", "boot", "boot=", "boot=-1", "boot=1.5", "boot=0", "#9=1", "sock=1"]
)
@pytest.mark.parametrize("also", ["", ",boot=1,boot=2"])
def test_bad_counts_are_refused(text: str, also: str) -> None:
    with pytest.raises(UsageError, match="--counts"):
        read_counts(text + also, NAMES)


@given(st.text(max_size=30))
def test_no_text_is_worse_than_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert read_counts(text, NAMES).sum() > 0


def test_the_real_images_that_stay_are_drawn_by_seed_and_nested():
    labels = np.array([0, 1] * 30)
    few, more = (kept_rows(labels, np.array(keep), 3) for keep in ([5, 2], [20, 30]))
    assert np.bincount(labels[few]).tolist() == [5, 2]
    assert (np.diff(more) > 0).all()
    assert np.isin(few, more).all()
    assert kept_rows(labels, np.array([5, 2]), 4).tolist() != few.tolist()


weights = st.lists(st.fractions(min_value=Fraction(1, 1000), max_value=1), min_size=1, max_size=12)
totals = st.integers(0, 10_000)


def test_error_rates_are_smoothed_by_one_right_and_one_wrong_answer() -> None:
    assert error_rates([3, 0, 98], [4, 0, 98]) == (Fraction(1, 3), Fraction(1, 2), Fraction(1, 100))


@pytest.mark.parametrize(
    ("total", "shares", "expected"),
    [
        (10, [1, 1, 1], [4, 3, 3]),  # what is left goes to the lowest of equals
        (7, [1, 2, 4], [1, 2, 4]),
        (10, [1, 2, 4], [1, 3, 6]),  # quotas 1.43, 2.86, 5.71: remainders .43, .86, .71
        (0, [1, 2], [0, 0]),
        (3, [1], [3]),
    ],
)
def test_apportioned_by_hand(total: int, shares: list[int], expected: list[int]) -> None:
    assert apportion(total, [Fraction(share, 10) for share in shares]).tolist() == expected


@given(totals, weights)
def test_shares_sum_up_are_within_one_of_their_quota_and_follow_the_weights(
    total: int, given_weights: list[Fraction]
) -> None:
    shares = apportion(total, given_weights).tolist()
    assert sum(shares) == total
    assert min(shares) >= 0
    whole = sum(given_weights)
    assert all(
        abs(share - total * weight / whole) < 1 for share, weight in zip(shares, given_weights, strict=True)
    )
    ordered = sorted(zip(given_weights, shares, strict=True))
    assert all(a[1] <= b[1] for a, b in itertools.pairwise(ordered) if a[0] < b[0])


@given(totals, st.integers(1, 12), st.fractions(min_value=Fraction(1, 50), max_value=1))
def test_equal_recalls_give_equal_shares(total: int, classes: int, rate: Fraction) -> None:
    shares = apportion(total, [rate] * classes)
    assert shares.max() - shares.min() <= 1


def test_allocating_keeps_the_total_and_gives_more_to_what_is_recalled_worse() -> None:
    """R3's reading: class 0 is misread. 9 of 18 right of it, all of the others: rates 10/20, 1/20, 1/20."""
    have, names = np.array([40, 30, 20, 0]), ["a", "b", "c", "d"]
    errors = error_rates([9, 18, 18, 0], [18, 18, 18, 0])
    config = AugmentConfig(ratio=0.5, allocate="recall")
    made = make_plan(images(have, names), config, errors)
    assert made.make.tolist() == [37, 4, 4, 0], (
        "quotas 37.5, 3.75, 3.75 of 45 images; d has nothing to learn from"
    )
    assert made.keep.tolist() == have.tolist()
    own = AugmentConfig(ratio=0.5, allocate="recall", ratio_for=("a=0.1",))
    assert make_plan(images(have, names), own, errors).make.tolist() == [4, 13, 12, 0], (
        "the other 25, shared equally"
    )


def test_a_class_that_is_short_is_refused_and_not_cut_short():
    labels = np.array([1, 0, 1, 0, 1])
    assert first_of_each(labels, np.array([1, 2, 0])).tolist() == [1, 0, 2]
    with pytest.raises(DataError, match="class #0: 2 images are there and 3 are needed"):
        first_of_each(labels, np.array([3, 3]))
    with pytest.raises(DataError, match="class #2: 0 images are there and 1 are needed"):
        first_of_each(labels, np.array([0, 0, 1]))
