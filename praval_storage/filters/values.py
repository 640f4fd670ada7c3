"""How two values compare: the type classes, equality and what each class is made of.

Filters and orderings rest on this one table, never on Python's ``==`` across types:

* ``True`` is not ``1``, at any depth; ``1 == 1.0 == Decimal(1)``, exactly, also beyond 2**53;
* a list equals a tuple with equal elements; sets and mappings compare without regard to order;
* NaN equals NaN and NaT equals NaT, and neither is greater or less than anything;
* aware datetimes are instants; a naive datetime never equals an aware one, nor a date a datetime;
* an Enum member stands for its value and a numpy scalar for its Python value (``.item()``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any


class Kind(IntEnum):
    """The type classes, in sort order."""

    NULL = 0
    BOOL = 1
    NAN = 2
    NUMBER = 3
    TEXT = 4
    NAT = 5
    DATE = 6
    NAIVE = 7
    AWARE = 8
    LIST = 9
    SET = 10
    MAPPING = 11
    OTHER = 12


COLLECTIONS = (list, tuple, set, frozenset)
"""What a scalar operand looks into: one level of elements."""

RANGED = frozenset({Kind.NAN, Kind.NUMBER, Kind.TEXT, Kind.DATE, Kind.NAIVE, Kind.AWARE})
"""Kinds an operand of ``$gt $gte $lt $lte`` may have; a NaN is legal there and matches nothing."""

_PLAIN: dict[type, Kind] = {
    type(None): Kind.NULL,
    bool: Kind.BOOL,
    int: Kind.NUMBER,
    str: Kind.TEXT,
    list: Kind.LIST,
    tuple: Kind.LIST,
    set: Kind.SET,
    frozenset: Kind.SET,
    dict: Kind.MAPPING,
}


def classify(value: Any) -> tuple[Kind, Any]:
    """The kind of a value and the value as compared within it; hashable for every scalar kind."""
    kind = _PLAIN.get(type(value))
    return _unusual(value) if kind is None else (kind, value)


def equal(left: Any, right: Any) -> bool:
    """Whether two values are the same to a filter."""
    return equals(*classify(left), right)


def equals(kind: Kind, operand: Any, value: Any) -> bool:
    """:func:`equal` for an operand that :func:`classify` has seen already."""
    found, plain = classify(value)
    if found is not kind:
        return False
    deep = DEEP.get(kind)
    return bool(plain == operand) if deep is None else deep(operand, plain)


def _unusual(value: Any) -> tuple[Kind, Any]:
    for types, settle in _SETTLERS:
        if isinstance(value, types):
            return settle(value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return _numpy_scalar(value)
    return Kind.OTHER, value


def _float(value: float) -> tuple[Kind, Any]:
    return (Kind.NAN, None) if math.isnan(value) else (Kind.NUMBER, float(value))


def _decimal(value: Decimal) -> tuple[Kind, Any]:
    return (Kind.NAN, None) if value.is_nan() else (Kind.NUMBER, value)


def _datetime(value: datetime) -> tuple[Kind, Any]:
    if value != value:  # pandas' NaT is a datetime
        return Kind.NAT, None
    if value.utcoffset() is None:
        return Kind.NAIVE, value
    return Kind.AWARE, utc(value)


def utc(value: datetime) -> datetime:
    """The instant of an aware datetime: Python compares wall clocks, fold ignored, within one zone."""
    try:
        return value if value.tzinfo is UTC else value.astimezone(UTC)
    except OverflowError:  # year 1 or 9999: still comparable as it is
        return value


def _numpy_scalar(value: Any) -> tuple[Kind, Any]:
    item = value.item()
    dtype = getattr(value.dtype, "kind", None)  # a tensor's has none
    if isinstance(item, int) and dtype in {"m", "M"}:  # nanoseconds, which Python cannot say
        item = value.astype(f"{dtype}8[us]").item()
    # Some (longdouble) return themselves.
    return (Kind.OTHER, value) if type(item) is type(value) else classify(item)


_SETTLERS: tuple[tuple[Any, Callable[[Any], tuple[Kind, Any]]], ...] = (
    (Enum, lambda value: classify(value.value)),
    (float, _float),
    (Decimal, _decimal),
    (datetime, _datetime),
    (date, lambda value: (Kind.DATE, value)),
    (str, lambda value: (Kind.TEXT, str.__str__(value))),
    (int, lambda value: (Kind.NUMBER, int(value))),
    ((list, tuple), lambda value: (Kind.LIST, value)),
    ((set, frozenset), lambda value: (Kind.SET, value)),
    (Mapping, lambda value: (Kind.MAPPING, value)),
)


def _lists_equal(left: Any, right: Any) -> bool:
    return len(left) == len(right) and all(map(equal, left, right))


def _sets_equal(left: Any, right: Any) -> bool:
    return len(left) == len(right) and all(any(equal(item, other) for other in right) for item in left)


def _mappings_equal(left: Mapping[Any, Any], right: Mapping[Any, Any]) -> bool:
    if len(left) != len(right):
        return False
    # Keys by kind: to Python, {1: x} == {True: x}.
    others = {classify(key): value for key, value in right.items()}
    return all(
        (name := classify(key)) in others and equal(value, others[name]) for key, value in left.items()
    )


def _others_equal(left: Any, right: Any) -> bool:
    """Python's ``==`` between related types; an array or a frame has no one answer and is never equal."""
    related = isinstance(left, type(right)) or isinstance(right, type(left))
    return left is right or (related and (left == right) is True)


DEEP: dict[Kind, Callable[[Any, Any], bool]] = {
    Kind.LIST: _lists_equal,
    Kind.SET: _sets_equal,
    Kind.MAPPING: _mappings_equal,
    Kind.OTHER: _others_equal,
}
"""Kinds whose values need more than ``==``, and may not be hashable."""
