import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gangda.data.images import real_images
from gangda.metrics.inputs import Side, matched_rows, subsample, tag

COUNTS = st.lists(st.integers(0, 6), min_size=3, max_size=3)


def images(counts):
    labels = np.repeat(np.arange(3), counts)
    return real_images(np.zeros((len(labels), 8, 8, 1), dtype=np.uint8), labels, "abc")


@given(COUNTS, COUNTS, st.integers(0, 9))
def test_matched_sides_have_the_least_count_of_every_class(first, second, seed):
    size_range = [images(first), images(second)]
    rows = matched_rows(size_range, seed)
    for side, taken in zip(size_range, rows, strict=True):
        assert np.array_equal(np.unique(taken), taken)
        assert side.take(taken).counts().tolist() == np.minimum(first, second).tolist()


def test_features_are_computed_once_and_sliced():
    asked = []

    def lookup(kind):
        asked.append(kind)
        return np.arange(6, dtype=np.float32)[:, None]

    side = Side(images([2, 2, 2]), lookup)
    part = side.take(np.array([1, 3]))
    assert part.features("pca").ravel().tolist() == [1, 3]
    assert side.features("pca")[5, 0] == 5
    assert asked == ["pca"]


def test_subsample_is_whole_or_of_its_stream():
    assert subsample(5, 10, 0).tolist() == list(range(5))
    assert np.array_equal(subsample(100, 10, 3, "x"), subsample(100, 10, 3, "x"))
    assert not np.array_equal(subsample(100, 10, 3, "x"), subsample(100, 10, 4, "x"))


@pytest.mark.parametrize(("count", "name"), [(360, "360"), (1000, "1k"), (10000, "10k"), (1500, "1500")])
def test_tag(count, name):
    assert tag(count) == name
