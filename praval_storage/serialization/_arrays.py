"""numpy scalars and arrays inside JSON.

An array is nested lists with the tag ``["ndarray", dtype, shape]``. What lists cannot say (bytes, records,
extended precision) is the base64 of its C-order bytes instead, the dtype then being a NumPy ``descr``.
"""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
from numpy.lib.format import descr_to_dtype, dtype_to_descr

from praval_storage.serialization._scalars import INT_MAX, is_safe, nonfinite_text, read_base64
from praval_storage.serialization._types import Tag, UnstorableError


def write(value: Any) -> tuple[Any, Tag]:
    """Natural form and tag of a numpy scalar or array."""
    if isinstance(value, np.generic):
        return _write_scalar(value)
    if type(value) in (np.ndarray, np.memmap):
        return _write_array(np.asarray(value))
    raise UnstorableError(f"a numpy {type(value).__name__}", "Convert it with numpy.asarray")


def read_scalar(natural: Any, dtype: Any) -> Any:
    """The numpy scalar a ``numpy`` tag stands for."""
    array = _from_bytes(natural, dtype) if _is_packed(dtype) else _from_lists(natural, dtype)
    return array.reshape(())[()]


def read_array(natural: Any, dtype: Any, shape: list[int]) -> Any:
    """The array an ``ndarray`` tag stands for."""
    array = _from_bytes(natural, dtype) if _is_packed(dtype) else _from_lists(natural, dtype)
    return array.reshape(shape)


def pack(value: Any) -> Tag | None:
    """The ``packed`` tag of an array of numbers; ``None`` when it is something else."""
    if type(value) is not np.ndarray or value.dtype.kind not in "fiu" or value.dtype.itemsize > 8:
        return None
    raw = value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes()
    return ("packed", "ndarray", value.dtype.str, value.shape, base64.b64encode(raw).decode())


def from_little_endian(raw: bytes, dtype: str, shape: list[int]) -> Any:
    """The array whose little-endian C-order bytes these are."""
    exact = np.dtype(dtype)
    return np.frombuffer(raw, exact.newbyteorder("<")).astype(exact).reshape(shape)


def _write_scalar(value: np.generic) -> tuple[Any, Tag]:
    natural, dtype = _natural(np.asarray(value))
    return natural, ("numpy", dtype)


def _write_array(array: np.ndarray[Any, Any]) -> tuple[Any, Tag]:
    natural, dtype = _natural(array)
    return natural, ("ndarray", dtype, array.shape)


def _natural(array: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    """Lists (one number for 0 dimensions) and the dtype they are to be read with."""
    dtype = array.dtype
    if dtype.hasobject:
        raise UnstorableError(
            "a numpy array of Python objects", "Convert it with .tolist() or to a numeric dtype"
        )
    if dtype.kind in "fc" and dtype.itemsize <= (8 if dtype.kind == "f" else 16):
        return _floats(array), dtype.str
    if dtype.kind in "iu":
        return _integers(array), dtype.str
    if dtype.kind == "m":
        return array.astype("<i8").tolist(), dtype.str
    if dtype.kind == "M":
        # numpy (2.4) spells NaT of the other byte order as a year.
        return np.datetime_as_string(array.astype(dtype.newbyteorder("="))).tolist(), dtype.str
    if dtype.kind == "b" or (dtype.kind == "U" and _all_safe(array)):
        return array.tolist(), dtype.str
    return base64.b64encode(array.tobytes()).decode(), (_hashable(dtype_to_descr(dtype)),)


def _floats(array: np.ndarray[Any, Any]) -> Any:
    if array.dtype.kind == "c":
        parts = np.stack([array.real, array.imag], axis=-1)
        return _floats(parts)
    if np.isfinite(array).all() and not (np.signbit(array) & (array == 0)).any():
        return array.tolist()
    return _spelled(array.tolist())


def _spelled(value: Any) -> Any:
    """Nested lists of floats with those JSON cannot say, or JSONB would change, as strings."""
    if isinstance(value, list):
        return [_spelled(item) for item in value]
    if not math.isfinite(value):
        return nonfinite_text(value)
    return "-0.0" if value == 0 and math.copysign(1, value) < 0 else value


def _integers(array: np.ndarray[Any, Any]) -> Any:
    if array.dtype.kind == "u" and array.size and array.max() > INT_MAX:
        return array.astype(str).tolist()
    return array.tolist()


def _all_safe(array: np.ndarray[Any, Any]) -> bool:
    return all(is_safe(str(text)) for text in array.flat)


def _is_packed(dtype: Any) -> bool:
    return not isinstance(dtype, str)


def _from_lists(natural: Any, text: str) -> np.ndarray[Any, Any]:
    dtype = np.dtype(text)
    if dtype.kind == "c":
        part = np.dtype(f"{dtype.byteorder}f{dtype.itemsize // 2}")
        return np.array(natural, part).reshape(-1, 2).view(dtype)
    if dtype.kind == "m":
        return np.array(natural, "<i8").astype(dtype)
    if dtype.kind not in "fiubMU":
        raise ValueError(f"dtype {text!r} is not stored as lists")
    return np.array(natural, dtype)


def _from_bytes(text: str, packed: Any) -> np.ndarray[Any, Any]:
    (descr,) = packed
    dtype = descr_to_dtype(_as_descr(descr))
    if dtype.hasobject:
        raise ValueError("a dtype with Python objects is never read")
    return np.frombuffer(read_base64(text), dtype).copy()


def _hashable(descr: Any) -> Any:
    return tuple(map(_hashable, descr)) if isinstance(descr, (list, tuple)) else descr


def _as_descr(descr: Any) -> Any:
    """A descr that went through JSON with its lists as tuples again: fields are tuples in a list."""
    if isinstance(descr, str):
        return descr
    if len(descr) == 2 and isinstance(descr[0], (list, tuple)) and _is_shape(descr[1]):
        return _as_descr(descr[0]), tuple(descr[1])
    return [_field(field) for field in descr]


def _field(field: Any) -> Any:
    name, kind, *shape = field
    label = name if isinstance(name, str) else tuple(name)
    return (label, _as_descr(kind), *(tuple(part) for part in shape))


def _is_shape(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(type(item) is int for item in value)
