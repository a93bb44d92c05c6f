"""Dataclasses to plain JSON values and back, by the types of their fields.

Floats that are not finite are written as null (NaN) or as "inf" and "-inf". An array of integers or floats is a nested
list, one of booleans is packed eight to a byte; images (uint8), labels (uint16) and bytes are base64. A large matrix of
integers that is mostly 0, as a confusion of thousands of classes, is its shape with the rows, columns and values that
are not.
"""

import base64
import contextlib
import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from gangda.errors import DataError

T = TypeVar("T")

BASE64 = (np.uint8, np.uint16)
SPARSE = 10_000  # elements of a matrix of integers above which one that is mostly 0 is written without them
INFINITE = {"inf": math.inf, "-inf": -math.inf}


def to_plain(value: Any) -> Any:
    """JSON values of a dataclass, a mapping, a sequence, an array or a single value."""
    if dataclasses.is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray) and value.dtype == np.bool_:
        return {"shape": list(value.shape), "bits": np.packbits(value).tobytes().hex()}
    if isinstance(value, np.ndarray) and value.dtype in BASE64:
        data = value.astype(value.dtype.newbyteorder("<")).tobytes()
        return {"shape": list(value.shape), "base64": base64.b64encode(data).decode()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.ndim == 2 and value.size > SPARSE:
        rows, columns = np.nonzero(value)
        if 4 * len(rows) < value.size:
            parts = {"rows": rows, "columns": columns, "values": value[rows, columns]}
            return {"shape": list(value.shape), **{name: part.tolist() for name, part in parts.items()}}
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist())
    if isinstance(value, list | tuple):
        return [to_plain(entry) for entry in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def from_plain(kind: type[T], plain: Any) -> T:
    """A value of this type from what `to_plain` made of it.

    A field that has a default may be missing, as in files from before it was kept.

    Raises DataError: `plain` is not of this type; another field is missing, or one is unknown.
    """
    value: T = _read(kind, plain, kind.__name__)
    return value


def _read(kind: Any, plain: Any, where: str) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if hasattr(origin, "__value__"):  # a `type` statement's alias, as NumPy's NDArray is from Python 3.12 on
        return _read(origin.__value__[args], plain, where)
    if origin in (types.UnionType, typing.Union):  # only `X | None`
        other = next(arg for arg in args if arg is not type(None))
        return None if plain is None else _read(other, plain, where)
    if dataclasses.is_dataclass(kind):
        cls: Any = kind
        hints = _hints(cls)
        if not isinstance(plain, dict):
            raise DataError(f"{where} is not an object")
        optional = {one.name for one in dataclasses.fields(cls) if _has_default(one)}
        if wrong := (set(plain) - set(hints)) | (set(hints) - set(plain) - optional):
            raise DataError(f"{where}: missing or unknown: {', '.join(sorted(wrong))}")
        return cls(**{name: _read(hints[name], plain[name], f"{where}.{name}") for name in plain})
    if origin in (tuple, list) and isinstance(plain, list):
        kinds = [args[0]] * len(plain) if origin is list or args[-1] is Ellipsis else args
        if len(kinds) == len(plain):
            return origin(_read(one, entry, where) for one, entry in zip(kinds, plain, strict=True))
    elif origin is Mapping and isinstance(plain, dict):
        return {key: _read(args[1], entry, f"{where}.{key}") for key, entry in plain.items()}
    elif origin is np.ndarray:
        return _read_array(typing.get_args(args[1])[0], plain, where)
    elif kind is bytes and isinstance(plain, str):
        with contextlib.suppress(ValueError):
            return base64.b64decode(plain, validate=True)
    elif kind is float and plain is None:
        return math.nan
    elif kind is float and isinstance(plain, str) and plain in INFINITE:
        return INFINITE[plain]
    elif kind is float and type(plain) in (int, float):
        return float(plain)
    elif kind is Any or type(plain) is kind:
        return plain
    raise DataError(f"{where} is not of the type {getattr(kind, '__name__', kind)}")


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _read_array(dtype: Any, plain: Any, where: str) -> npt.NDArray[Any]:
    try:
        if dtype is np.bool_:
            packed = np.frombuffer(bytes.fromhex(plain["bits"]), dtype=np.uint8)
            return np.unpackbits(packed, count=math.prod(plain["shape"])).astype(bool).reshape(plain["shape"])
        if dtype in BASE64:
            little = np.dtype(dtype).newbyteorder("<")
            flat = np.frombuffer(base64.b64decode(plain["base64"]), dtype=little).astype(dtype)
            return flat.reshape(plain["shape"])
        if isinstance(plain, dict):
            matrix = np.zeros(plain["shape"], dtype=dtype)
            matrix[plain["rows"], plain["columns"]] = plain["values"]
            return matrix
        return np.array(plain, dtype=dtype)  # None becomes NaN
    except (KeyError, TypeError, ValueError, IndexError, MemoryError) as error:
        raise DataError(f"{where} is not an array of {np.dtype(dtype)} ({error})") from None
