"""One operator on one of somebody else's columns as SQL, by the type of the column.

``None`` is for what only ``matches`` can decide. A column of times also holds what Python has no value for,
and shows it as text (see ``existing_values``): these odd ones match no time, and may match a text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import time, timedelta
from decimal import Decimal
from typing import Any, LiteralString, TypeAlias
from uuid import UUID

import orjson

from praval_storage.filters import Kind as Operand
from praval_storage.filters import classify
from praval_storage.providers.postgresql.existing_catalog import INTEGER_BITS, Column, Kind
from praval_storage.providers.postgresql.existing_keys import NEVER, TEXT
from praval_storage.providers.postgresql.existing_sql import Sql, compose, like, name, value
from praval_storage.pushdown import Native

Condition: TypeAlias = Native[Sql] | None

_UNBINDABLE = re.compile(r"[\x00\ud800-\udfff]")
_TESTS: dict[str, LiteralString] = {
    "eq": "{} = {}",
    "gt": "{} > {}",
    "gte": "{} >= {}",
    "lt": "{} < {}",
    "lte": "{} <= {}",
}
_TEXTS = frozenset((Kind.TEXT, Kind.PADDED, Kind.SPELLED))
_EXACT_DIGITS = 1_000
_LARGEST = 2**63


def compared(column: Column, op: str, kind: Operand, plain: Any) -> Condition:
    """The operators ``eq gt gte lt lte`` with an operand as ``classify`` sees it, other than null."""
    comparison = _COMPARISONS.get(column.kind)
    return None if comparison is None else comparison(column, op, kind, plain)


def beginning(column: Column, prefix: str) -> Condition:
    """The operator ``prefix``."""
    if column.kind not in _TEXTS:
        return perhaps_text(column)
    if not is_bindable(prefix):
        return None
    spelled = column.kind is not Kind.TEXT or not column.bytewise
    return Native(like(_bytewise(column) if spelled else column.sql, prefix))


def containing(column: Column, part: Any) -> Condition:
    """The operator ``contains``: a part of a text, or an element of an array."""
    kind, plain = classify(part)
    if column.kind is Kind.ARRAY:
        return _element(column, "eq", kind, plain)
    if column.kind not in _TEXTS:
        return perhaps_text(column) if kind is Operand.TEXT or column.kind in _UNKNOWN else Native(NEVER)
    if kind is not Operand.TEXT:
        return Native(NEVER)
    if not is_bindable(plain):
        return None
    return Native(compose("strpos({}, {}) > 0", _bytewise(column), value(plain, TEXT)))


def perhaps_text(column: Column) -> Condition:
    """What an operator on texts can match in a column of something else."""
    if column.kind in _RANGES:
        return Native(_odd(column), exact=False)
    return None if column.kind in _UNKNOWN | _TEXTS else Native(NEVER)


def inside(column: Column, parts: Sequence[str], operand: Any) -> Condition:
    """Equality with something inside of a ``jsonb``, at least: GIN indexes of it serve."""
    kind, plain = classify(operand)
    if kind not in {Operand.TEXT, Operand.BOOL} or (kind is Operand.TEXT and not is_bindable(plain)):
        return None
    if not all(map(is_bindable, parts)):
        return None
    steps = "".join(f".{orjson.dumps(part).decode()}" for part in parts)
    path = f"${steps} ? (@ == {orjson.dumps(plain).decode()})"
    # Lax, a path steps into the elements of lists on its way, as filters do, and sometimes further.
    found = compose("{} @? {}", column.sql, value(path, name("pg_catalog", "jsonpath")))
    return Native(found, exact=False)


def literal(column: Column, operand: Any) -> Any:
    """The operand as an element of an array to look a column up in; ``None``: it takes a condition."""
    kind, plain = classify(operand)
    if not column.bytewise:
        return None
    if column.kind is Kind.TEXT and kind is Operand.TEXT:
        return plain if is_bindable(plain) else None
    if column.kind is Kind.INTEGER and kind is Operand.NUMBER:
        return _integer_of(plain, column.type.name)
    return plain if column.kind is Kind.UUID and type(plain) is UUID else None


def is_bindable(text: str) -> bool:
    """Whether PostgreSQL holds such a text."""
    return _UNBINDABLE.search(text) is None


# Texts


def _bytewise(column: Column) -> Sql:
    return compose('CAST({} AS text) COLLATE "C"', column.sql)


def _text(column: Column, op: str, kind: Operand, plain: Any) -> Condition:
    if kind is not Operand.TEXT:
        return Native(NEVER)
    if not is_bindable(plain):
        return Native(NEVER) if op == "eq" else None
    if op != "eq" or column.kind is Kind.SPELLED or not column.bytewise:
        return _test(op, _bytewise(column), value(plain, TEXT))
    if column.kind is Kind.PADDED and plain.endswith(" "):
        return Native(NEVER)
    return _test(op, column.sql, value(plain, column.type.sql))


# Numbers


def _integer(column: Column, op: str, kind: Operand, plain: Any) -> Condition:
    if kind is not Operand.NUMBER:
        return Native(NEVER)
    if not -_LARGEST <= plain < _LARGEST:
        beyond = (op in {"lt", "lte"}) == (plain > 0) and op != "eq"
        return Native(compose("{} IS NOT NULL", column.sql) if beyond else NEVER)
    whole = math.floor(plain)
    if whole != plain:
        if op == "eq":
            return Native(NEVER)
        op = "gt" if op in {"gt", "gte"} else "lte"
    return _test(op, column.sql, value(whole, name("pg_catalog", "int8")))


def _float(column: Column, op: str, kind: Operand, plain: Any) -> Condition:
    double = column.type.sql
    if kind is not Operand.NUMBER:
        return _not_a_number(column, op, kind)
    nearest = _nearest(plain)
    if nearest != plain:
        if op == "eq":
            return Native(NEVER)
        # Nothing lies between the operand and the double next to it.
        above = nearest > plain
        op = ("gte" if above else "gt") if op in {"gt", "gte"} else ("lt" if above else "lte")
    return _below_nan(column, op, value(nearest, double))


def _numeric(column: Column, op: str, kind: Operand, plain: Any) -> Condition:
    if kind is not Operand.NUMBER:
        return _not_a_number(column, op, kind)
    exact = Decimal(plain)
    if not exact.is_finite() or abs(exact.adjusted()) > _EXACT_DIGITS or len(exact.as_tuple()[1]) > 2_000:
        return None
    return _below_nan(column, op, value(f"{exact:f}", column.type.sql))


def _not_a_number(column: Column, op: str, kind: Operand) -> Condition:
    if kind is not Operand.NAN or op != "eq":
        return Native(NEVER)
    return _test("eq", column.sql, value("NaN", column.type.sql))


def _below_nan(column: Column, op: str, bound: Sql) -> Condition:
    test = compose(_TESTS[op], column.sql, bound)
    if op in {"gt", "gte"}:  # to PostgreSQL, NaN is the greatest number
        test = compose("{} AND {} < {}", test, column.sql, value("NaN", column.type.sql))
    return Native(test)


def _nearest(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _integer_of(number: Any, type_name: str) -> int | None:
    limit = 2 ** INTEGER_BITS[type_name]
    is_held = -limit <= number < limit and math.floor(number) == number
    return int(number) if is_held else None


# Times

_RANGES: dict[Kind, tuple[Operand, str, str]] = {
    Kind.DATE: (Operand.DATE, "0001-01-01", "9999-12-31"),
    Kind.TIMESTAMP: (Operand.NAIVE, "0001-01-01", "9999-12-31 23:59:59.999999"),
    Kind.TIMESTAMPTZ: (Operand.AWARE, "0001-01-01 00:00:00Z", "9999-12-31 23:59:59.999999Z"),
}
"""What a column compares with, and the first and the last of its values that Python knows."""


def _time_line(column: Column, op: str, kind: Operand, plain: Any) -> Condition:
    expected, first, last = _RANGES[column.kind]
    if kind is Operand.TEXT:
        return Native(_odd(column), exact=False)
    if kind is not expected:
        return Native(NEVER)
    test = compose(_TESTS[op], column.sql, value(plain.isoformat(), column.type.sql))
    if op in {"gt", "gte"}:
        test = compose("{} AND {} <= {}", test, column.sql, value(last, column.type.sql))
    if op in {"lt", "lte"}:
        test = compose("{} AND {} >= {}", test, column.sql, value(first, column.type.sql))
    return Native(test)


def unordered(column: Column) -> Sql | None:
    """A condition for the values that Python orders otherwise; ``None`` for columns full of them."""
    if column.kind in {Kind.FLOAT, Kind.NUMERIC}:
        return compose(_TESTS["eq"], column.sql, value("NaN", column.type.sql))
    return _odd(column) if column.kind in _RANGES else None


def regular(column: Column) -> Sql:
    """A condition for those of its values that :func:`unordered` leaves, null aside."""
    if column.kind in _RANGES:
        return compose("{} BETWEEN {} AND {}", column.sql, *_bounds(column))
    return compose("{} < {}", column.sql, value("NaN", column.type.sql))


def _odd(column: Column) -> Sql:
    return compose("{} NOT BETWEEN {} AND {}", column.sql, *_bounds(column))


def _bounds(column: Column) -> tuple[Sql, Sql]:
    _, first, last = _RANGES[column.kind]
    return value(first, column.type.sql), value(last, column.type.sql)


# Everything else


def _bool(column: Column, op: str, kind: Operand, plain: Any) -> Condition:
    if kind is not Operand.BOOL or op != "eq":
        return Native(NEVER)
    return _test("eq", column.sql, value(plain, column.type.sql))


def _same_type(
    kind_of: type, *, exact: bool = True, odd_ones: bool = False
) -> Callable[[Column, str, Operand, Any], Condition]:
    """Equality with values of one Python type, and of no other that a filter may hold."""

    def test(column: Column, op: str, kind: Operand, plain: Any) -> Condition:
        if odd_ones and kind is Operand.TEXT:
            return None
        if op != "eq":
            return Native(NEVER)
        if type(plain) is kind_of and getattr(plain, "tzinfo", None) is None:
            return Native(compose(_TESTS["eq"], column.sql, value(plain, column.type.sql)), exact)
        return None if kind is Operand.OTHER else Native(NEVER)

    return test


def _element(column: Column, op: str, _kind: Operand, plain: Any) -> Condition:
    """An array with such an element, or with a list that holds it."""
    if op != "eq" or column.element is None or not column.bytewise:
        return None
    inner = Column(column.name, column.element, None, False, True)
    if (found := literal(inner, plain)) is None:
        return None
    array = compose("{}[]", column.element.sql)
    return Native(compose("{} @> {}", column.sql, value([found], array)), exact=False)


def _test(op: str, left: Sql, right: Sql) -> Native[Sql]:
    return Native(compose(_TESTS[op], left, right))


_UNKNOWN = frozenset((Kind.OTHER, Kind.JSON, Kind.JSONB, Kind.ARRAY, Kind.TIME, Kind.INTERVAL))
"""Kinds of columns whose values may be texts that only Python sees."""

_COMPARISONS: dict[Kind, Callable[[Column, str, Operand, Any], Condition]] = {
    **dict.fromkeys(_TEXTS, _text),
    Kind.BOOL: _bool,
    Kind.INTEGER: _integer,
    Kind.FLOAT: _float,
    Kind.NUMERIC: _numeric,
    **dict.fromkeys(_RANGES, _time_line),
    Kind.UUID: _same_type(UUID),
    Kind.BYTES: _same_type(bytes),
    Kind.TIME: _same_type(time, odd_ones=True),
    # An interval of a month equals one of 30 days to PostgreSQL.
    Kind.INTERVAL: _same_type(timedelta, exact=False, odd_ones=True),
    Kind.ARRAY: _element,
    Kind.JSONB: lambda column, op, kind, plain: inside(column, (), plain) if op == "eq" else None,
}
