"""Ways to spoil a valid file, drawn by hypothesis; and small valid files of every kind that gangda reads."""

import json
import os
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

few = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
many = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.sampled_from([10**18, -(10**30), 10**400, 1e308, float("nan"), float("inf")]),
    st.sampled_from(
        ["", "..", "/etc/passwd", "../../x", "a\0b", "\ud800", "x" * 5000, "1", "real", "os:system"]
    ),
    st.text(max_size=5),
)
JUNK = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


# Where in a file, as a share of its length (no floats: denormal ones may be off).
PLACES = st.integers(0, 9999)
EDITS = st.lists(st.tuples(st.integers(0, 4), PLACES, PLACES, st.binary(max_size=8)), min_size=1, max_size=3)
NOTHING_LIKE_IT = st.binary(max_size=200)


def spoilt(data: bytes) -> st.SearchStrategy[bytes]:
    """Bytes near `data`: some overwritten, left out, repeated or put in; or cut off; or nothing like it."""
    return st.one_of(EDITS.map(lambda edits: edited(data, edits)), NOTHING_LIKE_IT)


def edited(data: bytes, edits: list[tuple[int, int, int, bytes]]) -> bytes:
    for kind, first, second, noise in edits:
        at, other = (place * len(data) // 10_000 for place in (first, second))
        data = (
            data[:at],
            data[:at] + noise + data[at + len(noise) :],
            data[:at] + noise + data[at:],
            data[:at] + data[at + len(noise) + 1 :],
            data[:at] + data[other:],
        )[kind]
    return data


@st.composite
def other_values(draw, value: object) -> object:
    """Nested plain values with one of them, anywhere, replaced by junk, taken away or given another neighbour."""
    if isinstance(value, dict) and value and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: draw(other_values(value[key]))}
    if isinstance(value, dict):
        key = draw(st.sampled_from([*sorted(value), "new"]))
        return {k: v for k, v in value.items() if k != key} | draw(st.sampled_from([{}, {key: draw(JUNK)}]))
    if isinstance(value, list) and value and draw(st.integers(0, 2)):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], draw(other_values(value[at])), *value[at + 1 :]]
    return draw(JUNK)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def write(path: Path, data: bytes) -> None:
    """In place: nothing of what was there is left, and links are not followed."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
