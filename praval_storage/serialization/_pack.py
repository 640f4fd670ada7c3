"""Vectors kept as exact bytes in their tag, for a backend that holds the numbers elsewhere itself.

The natural form of a packed value is ``null``. Its tag is ``["packed", container, dtype, shape, base64]``
with the items in little-endian C order, whatever the byte order of ``dtype``.
"""

from __future__ import annotations

import base64
import sys
from array import array
from collections.abc import Callable, Container
from typing import Any

from praval_storage.serialization._paths import escape
from praval_storage.serialization._rich import family, library
from praval_storage.serialization._scalars import is_safe
from praval_storage.serialization._types import Tag, Types

_CODES = {"<f4": "f", "<f8": "d", "<i8": "q"}
_CONTAINERS: dict[str, Callable[[list[Any]], Any]] = {"list": list, "tuple": tuple}


def extract(value: Any, pointers: Container[str], path: str = "") -> tuple[Any, Types]:
    """``value`` with the vectors at ``pointers`` replaced by ``None``, and their tags.

    Only dicts are looked into. What is there but is no vector stays as it is.
    """
    if path in pointers and (tag := _pack(value)) is not None:
        return None, {path: tag}
    if type(value) is not dict:
        return value, {}
    changed: dict[Any, Any] = {}
    types: Types = {}
    for key, child in value.items():
        if type(key) is not str or type(child) in _NEVER or not is_safe(key):
            continue
        rest, tags = extract(child, pointers, f"{path}/{escape(key)}")
        if tags:
            changed[key] = rest
            types.update(tags)
    return ({**value, **changed} if changed else value), types


def read(natural: None, container: str, dtype: str, shape: list[int], text: str) -> Any:
    """The value a ``packed`` tag holds."""
    raw = base64.b64decode(text, validate=True)
    if container == "ndarray":
        return library("_arrays").from_little_endian(raw, dtype, shape)
    numbers = array(_CODES[dtype], raw)
    if sys.byteorder == "big":
        numbers.byteswap()
    if list(shape) != [len(numbers)]:
        raise ValueError(f"{len(numbers)} packed numbers do not have the shape {shape}")
    return _CONTAINERS[container](numbers.tolist())


_NEVER = frozenset({str, int, float, bool, type(None)})


def _pack(value: Any) -> Tag | None:
    kind = type(value)
    if kind is list or kind is tuple:
        return _pack_list(value, kind.__name__)
    if family(kind) == "numpy":  # type: ignore[arg-type]  # mypy doubts that types hash
        packed: Tag | None = library("_arrays").pack(value)
        return packed
    return None


def _pack_list(values: list[Any] | tuple[Any, ...], container: str) -> Tag | None:
    kinds = set(map(type, values))
    if kinds == {float}:
        return _packed(container, *_floats(list(values)))
    if kinds == {int}:
        try:
            return _packed(container, "<i8", array("q", values))
        except OverflowError:
            return None
    return None


def _floats(values: list[float]) -> tuple[str, array[float]]:
    try:
        single = array("f", values)
    except OverflowError:
        return "<f8", array("d", values)
    return ("<f4", single) if single.tolist() == values else ("<f8", array("d", values))


def _packed(container: str, dtype: str, numbers: array[Any]) -> Tag:
    if sys.byteorder == "big":
        numbers.byteswap()
    return ("packed", container, dtype, (len(numbers),), base64.b64encode(numbers).decode())
