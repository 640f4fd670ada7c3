"""Filters on a JSON column as jsonpath, exact for fields that are not loose.

A lax path steps into the elements of lists on its way, and its filter looks at the elements of a list, one
level each: as our filters do. The type is asked for in every test, because a comparison would otherwise step
into the lists inside of a list. Texts compare by code point, numbers as exact decimals.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import orjson

from praval_storage.filters import Kind, classify

_UNBINDABLE = re.compile(r"[\x00\ud800-\udfff]")
_NUMERIC = re.compile(r"[0-9]+")
_SYMBOLS = {"eq": "==", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_BEYOND = 2**64
"""No number that is not loose is as far from zero."""
_MANY = 1_000


class Test(NamedTuple):
    """A jsonpath predicate on ``@``.

    Attributes:
        predicate: ``None`` is false for every value that is not loose.
        exact: Whether it is true for no other values.
    """

    predicate: str | None
    exact: bool = True

    @property
    def filter(self) -> str:
        """The predicate behind a path; nothing when every value will do."""
        return f" ? ({self.predicate})" if self.predicate else ""


NEVER = Test(None)
ANY = Test("", exact=False)


def is_bindable(text: str) -> bool:
    """Whether PostgreSQL holds such a text."""
    return _UNBINDABLE.search(text) is None


def path_of(parts: Sequence[str]) -> str | None:
    """The path to a field; ``None``: a number is a position in a list as well."""
    if any(map(_NUMERIC.fullmatch, parts)):
        return None
    return "$" + "".join([f".{quoted(part)}" for part in parts])


def test_of(op: str, operand: Any) -> Test | None:
    """An operator with its operand; ``None`` when only Python can tell."""
    match op:
        case "eq":
            return equality(operand)
        case "in":
            return _membership(operand)
        case "gt" | "gte" | "lt" | "lte":
            return _range(op, operand)
        case "prefix":
            return _text(f"@ starts with {quoted(operand)}") if is_bindable(operand) else NEVER
        case "contains":
            return _part(operand)
        case _:
            return None


def equality(operand: Any) -> Test:
    """The value, or an element of it, is equal."""
    kind, plain = classify(operand)
    match kind:
        case Kind.NULL:
            return Test('@.type() == "null"')
        case Kind.BOOL:
            return Test(f'@.type() == "boolean" && @ == {"true" if plain else "false"}')
        case Kind.TEXT:
            return _text(f"@ == {quoted(plain)}") if is_bindable(plain) else NEVER
        case Kind.NUMBER:
            return _number("eq", plain) or NEVER
        case Kind.MAPPING:
            return Test('@.type() == "object"', exact=False)
        case Kind.LIST:
            return ANY
        case _:
            return NEVER  # values of other types are loose


def is_deep(operand: Any) -> bool:
    """Whether the operand is a list or a mapping."""
    return classify(operand)[0] in {Kind.LIST, Kind.MAPPING}


def document(operand: Any) -> str | None:
    """A list or mapping as JSON that contains every value equal to it; ``None``: none can be said."""
    try:
        text = orjson.dumps(operand)
    except (TypeError, ValueError, RecursionError):
        return None
    plain = _is_plain(operand) and b"\\u0000" not in text
    return text.decode() if plain else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(name, str) for name in value) and all(map(_is_plain, value.values()))
    is_number = (
        isinstance(value, float) and abs(value) < _BEYOND and value.is_integer() <= (abs(value) < 1e15)
    )
    return value is None or is_number or isinstance(value, str | int)


def _membership(operands: Sequence[Any]) -> Test | None:
    if len(operands) > _MANY:
        return None
    tests = [equality(operand) for operand in operands]
    if any(test.predicate == "" for test in tests):
        return ANY
    predicates = [f"({test.predicate})" for test in tests if test.predicate]
    return Test(" || ".join(predicates) or None, all(test.exact for test in tests))


def _range(op: str, operand: Any) -> Test | None:
    kind, plain = classify(operand)
    if kind is Kind.TEXT:
        return _text(f"@ {_SYMBOLS[op]} {quoted(plain)}") if is_bindable(plain) else None
    return _number(op, plain) if kind is Kind.NUMBER else NEVER


def _part(operand: Any) -> Test | None:
    """``contains``: looks at elements where only a whole text is meant, so more is selected."""
    if not isinstance(operand, str):
        return Test(equality(operand).predicate, exact=False)
    if not is_bindable(operand):
        return NEVER
    return _text(f'@ like_regex {quoted(operand)} flag "q"' if operand else "", exact=False)


def _text(predicate: str, *, exact: bool = True) -> Test:
    return Test(f'@.type() == "string"{" && " if predicate else ""}{predicate}', exact)


def _number(op: str, number: Any) -> Test | None:
    if abs(number) >= _BEYOND:
        beyond = op in {"lt", "lte"} if number > 0 else op in {"gt", "gte"}
        return Test('@.type() == "number"') if beyond else NEVER
    text = _digits(number)
    if text is None:
        # A float is never equal to such a Decimal; in between, the decimals of the two would decide.
        return NEVER if op == "eq" else None
    return Test(f'@.type() == "number" && @ {_SYMBOLS[op]} {text}')


def _digits(number: Any) -> str | None:
    """The number as PostgreSQL reads it: whole ones exactly, others as a float is written."""
    if number == math.floor(number):
        return str(math.floor(number))
    value = float(number)
    if isinstance(number, Decimal) and Decimal(value) != number:
        return None
    return repr(value)


def quoted(text: str) -> str:
    """A text or name in a path, as a JSON string."""
    return orjson.dumps(text).decode()
