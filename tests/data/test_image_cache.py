import json

import numpy as np
import pytest

from gangda.data.cache import cached
from gangda.data.sources.raw import RawSource

PIXELS = np.arange(6 * 64, dtype=np.uint8).reshape(6, 8, 8, 1)
SOURCE = RawSource(PIXELS, np.array([0, 1] * 3), ("a", "ü/b"), np.array([4, 5]), ("skipped 2",))


class Decoder:
    """Counts how often it had to work."""

    calls = 0

    def __call__(self) -> RawSource:
        self.calls += 1
        return SOURCE


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("GANGDA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


def check(decoded: RawSource) -> None:
    np.testing.assert_array_equal(decoded.pixels, PIXELS)
    assert decoded.labels.tolist() == [0, 1] * 3
    assert decoded.test_rows.tolist() == [4, 5]
    assert (decoded.class_names, decoded.notes) == (SOURCE.class_names, SOURCE.notes)


def test_decodes_once_and_maps_into_memory(place):
    decode = Decoder()
    first = cached(["manifest"], 8, decode)
    again = cached(["manifest"], 8, decode)
    check(first)
    check(again)
    assert decode.calls == 1
    assert isinstance(first.pixels, np.memmap)  # what was decoded is not kept in memory either
    assert isinstance(again.pixels, np.memmap)
    assert sorted(path.suffix for path in place.iterdir()) == [".json", ".npy"]


def test_another_manifest_or_size_is_another_entry(place):
    decode = Decoder()
    for manifest, size in (("a", 8), ("b", 8), ("a", 9), ("a", None)):
        cached([manifest], size, decode)
    assert decode.calls == 4


def flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def newer(path):
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 99}))


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".npy", lambda path: path.unlink()),
        (".npy", lambda path: path.write_bytes(b"")),
        (".npy", lambda path: path.write_bytes(path.read_bytes()[:-9])),
        (".npy", lambda path: path.write_bytes(b"\x93NUMPY" + bytes(200))),
        (".npy", flip),
        (".json", lambda path: path.unlink()),
        (".json", lambda path: path.write_text("{")),
        (".json", lambda path: path.write_text('{"format_version": 2}')),
        (".json", newer),
    ],
)
def test_a_damaged_entry_is_made_again(place, suffix, damage):
    decode = Decoder()
    cached(["manifest"], 8, decode)
    (path,) = place.glob(f"*{suffix}")
    damage(path)
    check(cached(["manifest"], 8, decode))
    assert decode.calls == 2
    check(cached(["manifest"], 8, decode))
    assert decode.calls == 2


def test_without_a_cache_folder_it_still_decodes(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANGDA_CACHE", str(tmp_path / "file"))
    check(cached(["manifest"], 8, Decoder()))
