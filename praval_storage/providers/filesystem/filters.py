"""Filters as SQL conditions on the rows of the metadata index.

A condition speaks of fields that SQLite reads as we do: text, booleans, null, integers below 2**63, and
lists and objects of them. What to do about the others is said in ``opaque``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from praval_storage.filters import Compare, Kind, classify
from praval_storage.providers.filesystem.opaque import UNSPEAKABLE, quoted
from praval_storage.providers.filesystem.rows import Sql, microseconds
from praval_storage.pushdown import Compiler, Native

_UNBINDABLE = re.compile(r"[\x00\ud800-\udfff]")
_COLUMNS = {"size": "size", "format": "format", "created_at": "created_at", "updated_at": "updated_at"}
_MANY = 100
# How differently two programs may round a decimal fraction, with room to spare.
_SLACK = 1e-14

# Tests: `@` stands for the value.
_TESTS = {
    "eq": "@ = ?",
    "gt": "@ > ?",
    "gte": "@ >= ?",
    "lt": "@ < ?",
    "lte": "@ <= ?",
    "prefix": "substr(@, 1, length(?)) = ?",
    "contains": "instr(@, ?) > 0",
}
_ANY = Sql("1")
_NEVER = Sql("0")
_NUMBER = "('integer', 'real')"
_TEXT = "('text')"


class SqlFilter(Compiler[Sql]):
    """Compiles filters to conditions on index rows.

    Args:
        skip: Length of the collection's prefix, which is no part of its keys.
    """

    def __init__(self, skip: int = 0) -> None:
        self._key = Sql("substr(key, ?)", (skip + 1,)) if skip else Sql("key")

    def compare(self, node: Compare) -> Native[Sql] | None:
        if node.path.root == "metadata":
            return _on_metadata(node)
        if node.path.root == "key":
            return _on_column(node, self._key)
        column = _COLUMNS.get(node.path.root)
        return None if column is None else _on_column(node, Sql(column))

    def all_of(self, conditions: Sequence[Sql]) -> Sql:
        return _joined(conditions, " AND ")

    def any_of(self, conditions: Sequence[Sql]) -> Sql:
        return _joined(conditions, " OR ")

    def negate(self, condition: Sql) -> Sql:
        return Sql(" ".join(("NOT (", condition.text, ")")), condition.parameters)


# Columns: never null, so plain comparisons have two values


def _on_column(node: Compare, column: Sql) -> Native[Sql] | None:
    if node.op == "exists":
        return Native(_ANY if node.operand else _NEVER)
    operands = node.operand if node.op == "in" else [node.operand]
    tests = [_column_test("eq" if node.op == "in" else node.op, operand) for operand in operands]
    known = [test for test in tests if test is not None]
    if len(known) < len(tests) or len(tests) > _MANY:
        return None
    return Native(_joined([_applied(test, column) for test in known], " OR ") if known else _NEVER)


def _column_test(op: str, operand: Any) -> Sql | None:
    if operand is None:
        return _NEVER
    if isinstance(operand, datetime):
        operand = microseconds(operand)
    if isinstance(operand, str):
        return _test(op, operand) if _is_bindable(operand) else None
    is_number = isinstance(operand, int) and abs(operand) < 2**63
    is_number = is_number or (isinstance(operand, float) and not math.isnan(operand))
    return _test(op, operand) if is_number else None


# Metadata: a test on the type and content of a value, or of an element of a list


def _on_metadata(node: Compare) -> Native[Sql] | None:
    parts = node.path.parts
    if not parts or any(map(UNSPEAKABLE.search, parts)):
        return None
    native = _on_field(node, _json_path(parts))
    lists = [
        Sql("ifnull(json_type(metadata, ?), '') = 'array'", (_json_path(parts[:length]),))
        for length in range(1, len(parts))
    ]
    if native is None or not lists:
        return native
    # A list on the way fans out: such rows are selected, and the residual decides.
    return Native(_joined([native.condition, *lists], " OR "), exact=False)


def _on_field(node: Compare, where: str) -> Native[Sql] | None:
    match node.op:
        case "exists":
            text = "json_type(metadata, ?) IS NOT NULL" if node.operand else "json_type(metadata, ?) IS NULL"
            return Native(Sql(text, (where,)))
        case "eq":
            return _equality(where, node.operand)
        case "in":
            return _membership(where, node.operand)
        case "gt" | "gte" | "lt" | "lte":
            return _range(where, node.op, node.operand)
        case "prefix" if _is_bindable(node.operand):
            return Native(_value_or_element(where, _TEXT, _test("prefix", node.operand)))
        case "contains":
            return _part(where, node.operand)
        case _:
            return None


def _equality(where: str, operand: Any) -> Native[Sql] | None:
    kind, plain = classify(operand)
    match kind:
        case Kind.NULL:
            missing = Sql("json_type(metadata, ?) IS NULL", (where,))
            return Native(_joined([missing, _value_or_element(where, "('null')", _ANY)], " OR "))
        case Kind.BOOL:
            return Native(_value_or_element(where, "('true')" if plain else "('false')", _ANY))
        case Kind.TEXT:
            return (
                Native(_value_or_element(where, _TEXT, _test("eq", plain))) if _is_bindable(plain) else None
            )
        case Kind.NUMBER:
            return _numeric(where, "@ BETWEEN ? AND ?", _around(plain))
        case Kind.LIST | Kind.MAPPING:
            found = Sql("ifnull(json_type(metadata, ?), '') IN ('array', 'object')", (where,))
            return Native(found, exact=False)
        case _:
            # Everything else is a typed value, and the field opaque.
            return Native(_NEVER)


def _membership(where: str, operands: Sequence[Any]) -> Native[Sql] | None:
    texts = [operand for operand in operands if isinstance(operand, str)]
    others = [_equality(where, operand) for operand in operands if not isinstance(operand, str)]
    known = [native for native in others if native is not None]
    if len(known) < len(others) or len(others) > _MANY or not all(map(_is_bindable, texts)):
        return None
    if texts:
        listed = Sql("@ IN (SELECT value FROM json_each(?))", (orjson.dumps(texts).decode(),))
        known.append(Native(_value_or_element(where, _TEXT, listed)))
    conditions = [native.condition for native in known]
    return Native(_joined(conditions, " OR ") if known else _NEVER, all(native.exact for native in known))


def _range(where: str, op: str, operand: Any) -> Native[Sql] | None:
    kind, plain = classify(operand)
    if kind is Kind.TEXT:
        return Native(_value_or_element(where, _TEXT, _test(op, plain))) if _is_bindable(plain) else None
    if kind is not Kind.NUMBER:
        return Native(_NEVER)
    bounds = _around(plain)
    lower = op in {"gt", "gte"}
    return _numeric(where, "@ >= ?" if lower else "@ <= ?", bounds and (bounds[0] if lower else bounds[1],))


def _numeric(where: str, test: str, bounds: tuple[float, ...] | None) -> Native[Sql] | None:
    return (
        None if bounds is None else Native(_value_or_element(where, _NUMBER, Sql(test, bounds)), exact=False)
    )


def _part(where: str, operand: Any) -> Native[Sql] | None:
    """``contains``: a substring of a text, or an element of a list."""
    if isinstance(operand, str):
        if not _is_bindable(operand):
            return None
        inside = _applied(_test("contains", operand), Sql("json_extract(metadata, ?)", (where,)))
        return Native(_by_type(where, _TEXT, inside, _element(where, _TEXT, _test("eq", operand))))
    # A list with an equal element passes the test for equality, as does the element alone.
    found = None if classify(operand)[0] > Kind.NUMBER else _equality(where, operand)
    return found and Native(found.condition, exact=False)


def _value_or_element(where: str, types: str, test: Sql) -> Sql:
    inside = _applied(test, Sql("json_extract(metadata, ?)", (where,)))
    return _by_type(where, types, inside, _element(where, types, test))


def _by_type(where: str, types: str, inside: Sql, element: Sql) -> Sql:
    texts = (
        "CASE WHEN json_type(metadata, ?) IN",
        types,
        "THEN",
        inside.text,
        "WHEN json_type(metadata, ?) = 'array' THEN",
        element.text,
        "ELSE 0 END",
    )
    return Sql(" ".join(texts), (where, *inside.parameters, where, *element.parameters))


def _element(where: str, types: str, test: Sql) -> Sql:
    inside = _applied(test, Sql("value"))
    texts = ("EXISTS (SELECT 1 FROM json_each(metadata, ?) WHERE type IN", types, "AND", inside.text, ")")
    return Sql(" ".join(texts), (where, *inside.parameters))


# Words


def _test(op: str, operand: Any) -> Sql:
    text = _TESTS[op]
    return Sql(text, (operand,) * text.count("?"))


def _applied(test: Sql, value: Sql) -> Sql:
    """The test with the value in its place, which comes before every operand."""
    if "@" not in test.text:
        return test
    return Sql(test.text.replace("@", value.text), value.parameters + test.parameters)


def _joined(conditions: Sequence[Sql], word: str) -> Sql:
    text = word.join([" ".join(("(", condition.text, ")")) for condition in conditions])
    return Sql(text, tuple(value for condition in conditions for value in condition.parameters))


def _json_path(parts: Sequence[str]) -> str:
    return "$" + "".join([f".{quoted(part)}" for part in parts])


def _around(number: Any) -> tuple[float, float] | None:
    """Bounds a number lies between however it was rounded; ``None`` when floats do not reach it."""
    try:
        value = float(number)
    except OverflowError:
        return None
    if math.isinf(value):
        return (value, value) if isinstance(number, float) else None
    slack = abs(value) * _SLACK + 1e-300
    return value - slack, value + slack


def _is_bindable(text: str) -> bool:
    """Whether SQLite takes this text and means the same."""
    return _UNBINDABLE.search(text) is None
