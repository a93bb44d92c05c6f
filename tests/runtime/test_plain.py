import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pytest
from typing_extensions import TypeAliasType

from gangda.errors import DataError
from gangda.runtime.arrays import BoolArray, FloatArray, IntArray, UInt8Array, UInt16Array
from gangda.runtime.plain import from_plain, to_plain


@dataclass(frozen=True)
class Part:
    name: str
    values: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Whole:
    count: int
    share: float
    limit: float | None
    pair: tuple[int, str]
    parts: Mapping[str, Part]
    part: Part | None
    images: UInt8Array
    labels: UInt16Array
    right: BoolArray
    confusion: IntArray
    recall: FloatArray
    png: bytes


WHOLE = Whole(
    count=3,
    share=math.nan,
    limit=-math.inf,
    pair=(1, "a"),
    parts={"x": Part("p", (0.1, math.inf, 1.0))},
    part=None,
    images=np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1),
    labels=np.array([0, 258, 65535], dtype=np.uint16),
    right=np.arange(11) % 3 == 0,
    confusion=np.arange(4).reshape(2, 2),
    recall=np.array([0.5, np.nan]),
    png=b"\x89PNG",
)


def test_what_is_written_as_json_is_read_back():
    read = from_plain(Whole, json.loads(json.dumps(to_plain(WHOLE), allow_nan=False)))
    for field in dataclasses.fields(Whole):
        before, after = getattr(WHOLE, field.name), getattr(read, field.name)
        if isinstance(before, np.ndarray):
            assert after.dtype == before.dtype
            assert np.array_equal(after, before, equal_nan=before.dtype == np.float64)
        elif field.name != "share":
            assert after == before
    assert math.isnan(read.share)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"count": "3"}, r"Whole\.count is not of the type int"),
        ({"count": True}, r"Whole\.count"),
        ({"share": "much"}, r"Whole\.share is not of the type float"),
        ({"pair": [1]}, r"Whole\.pair"),
        ({"parts": {"x": {"name": "p"}}}, r"Whole\.parts\.x: missing or unknown: values"),
        ({"part": 3}, r"Whole\.part is not an object"),
        ({"more": 1}, "missing or unknown: more"),
        ({"images": {"shape": [9], "base64": "AA=="}}, r"Whole\.images is not an array of uint8"),
        ({"right": {"shape": [2], "bits": "zz"}}, r"Whole\.right is not an array of bool"),
        ({"confusion": [[1, 2], [3]]}, r"Whole\.confusion is not an array of int64"),
        ({"png": "\u00e9"}, r"Whole\.png is not of the type bytes"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(change, said):
    with pytest.raises(DataError, match=said):
        from_plain(Whole, {**to_plain(WHOLE), **change})


def test_arrays_are_read_where_numpys_type_is_an_alias_of_the_type_statement():
    """As NumPy 2.5 has it on Python 3.12 and later."""
    scalar = TypeVar("scalar", bound=np.generic)
    alias = TypeAliasType("NDArray", np.ndarray[tuple[Any, ...], np.dtype[scalar]], type_params=(scalar,))
    kind = dataclasses.make_dataclass("Kept", [("flags", alias[np.bool_]), ("numbers", alias[np.float64])])
    value = kind(np.array([True, False]), np.array([1.5, np.nan]))
    read = from_plain(kind, to_plain(value))
    np.testing.assert_array_equal(read.flags, value.flags)
    np.testing.assert_array_equal(read.numbers, value.numbers)


@dataclass(frozen=True, eq=False)
class Matrix:
    confusion: IntArray


@pytest.mark.parametrize(("classes", "sparse"), [(100, False), (101, True)])
def test_large_matrices_that_are_mostly_0_are_written_without_them(classes, sparse):
    confusion = np.diag(np.arange(classes))
    confusion[3, 5] = 7
    plain = json.loads(json.dumps(to_plain({"confusion": confusion})))["confusion"]
    assert isinstance(plain, dict) == sparse
    assert len(json.dumps(plain)) < (2_500 if sparse else 40_000)
    np.testing.assert_array_equal(from_plain(Matrix, {"confusion": plain}).confusion, confusion)
    full = np.ones((classes, classes), dtype=np.int64)
    assert isinstance(to_plain(full), list)
