import os

import numpy as np
import pytest

from gangda.runtime.feature_cache import FeatureCache, prune


class Counting:
    """Computes an array, and counts how often."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return np.arange(3.0)


@pytest.fixture
def compute():
    return Counting()


def test_computed_once_for_each_key(tmp_path, compute):
    cache = FeatureCache(tmp_path / "new")
    for key in (("a", 1), ("a", 1), ("a", 2)):
        assert cache.get(key, compute).tolist() == [0, 1, 2]
    assert compute.calls == 2
    assert FeatureCache(tmp_path / "new").get(("a", 1), compute).tolist() == [0, 1, 2]
    assert compute.calls == 2


def test_without_a_folder_nothing_is_kept(compute):
    FeatureCache(None).get(("a",), compute)
    FeatureCache(None).get(("a",), compute)
    assert compute.calls == 2


def flipped(data):
    """One bit of the second number is another."""
    at = data.index(np.float64(1).tobytes())
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [lambda data: b"", lambda data: b"no array", lambda data: data[:-9], flipped],
    ids=["empty", "other", "cut", "flipped"],
)
def test_a_damaged_file_is_made_again(tmp_path, compute, damage):
    cache = FeatureCache(tmp_path)
    cache.get(("a",), compute)
    (path,) = tmp_path.glob("*.npy")
    good = path.read_bytes()
    path.write_bytes(damage(good))
    assert cache.get(("a",), compute).tolist() == [0, 1, 2]
    assert compute.calls == 2
    assert np.load(path, allow_pickle=False).tolist() == [0, 1, 2]


def test_without_write_permission_nothing_is_kept(tmp_path, compute):
    (tmp_path / "file").write_text("in the way")
    assert FeatureCache(tmp_path / "file").get(("a",), compute).tolist() == [0, 1, 2]


def test_prune_deletes_the_least_recently_used(tmp_path):
    for age, name in enumerate(("a.npy", "b.npz", "c.npy")):  # .npz: of older versions
        path = tmp_path / name
        path.write_bytes(b"x" * 10)
        os.utime(path, (1000 - age, 1000 - age))
    prune(tmp_path, 25)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "b.npz"]
