"""What each operator asks of one value that a path found.

Every test is a ``partial`` of module functions over a prepared operand: fast, and picklable.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from praval_storage.filters.values import COLLECTIONS, DEEP, Kind, classify, equals

Test = Callable[[Any], bool]


def _eq(operand: Any) -> Test:
    return partial(_self_or_element, partial(equals, *classify(operand)))


def _in(operands: Sequence[Any]) -> Test:
    kinds = [classify(operand) for operand in operands]
    scalars = frozenset(pair for pair in kinds if pair[0] not in DEEP)
    deep = tuple(pair for pair in kinds if pair[0] in DEEP)
    return partial(_self_or_element, partial(_is_one_of, scalars, deep))


def _range(compare: Callable[[Any, Any], bool], operand: Any) -> Test:
    kind, plain = classify(operand)
    return partial(_self_or_element, partial(_is_in_range, compare, kind, plain))


def _exists(operand: bool) -> Test:
    return partial(_constant, operand)


def _contains(operand: Any) -> Test:
    return partial(_has_part, *classify(operand))


def _prefix(operand: str) -> Test:
    return partial(_self_or_element, partial(_starts_with, operand))


def _regex(operand: str | re.Pattern[str]) -> Test:
    return partial(_self_or_element, partial(_is_found, re.compile(operand)))


TESTS: Mapping[str, Callable[[Any], Test]] = {
    "eq": _eq,
    "in": _in,
    "gt": partial(_range, operator.gt),
    "gte": partial(_range, operator.ge),
    "lt": partial(_range, operator.lt),
    "lte": partial(_range, operator.le),
    "exists": _exists,
    "contains": _contains,
    "prefix": _prefix,
    "regex": _regex,
}
"""Operand to test, for each operator of a ``Compare``."""


def matches_missing(op: str, operand: Any) -> bool:
    """What the operator answers where the path finds nothing."""
    if op == "in":
        return any(item is None for item in operand)
    return operand is None if op == "eq" else op == "exists" and not operand


def _constant(answer: bool, _value: Any) -> bool:
    return answer


def _self_or_element(test: Test, value: Any) -> bool:
    return test(value) or (isinstance(value, COLLECTIONS) and any(map(test, value)))


def _is_one_of(scalars: frozenset[Any], deep: tuple[tuple[Kind, Any], ...], value: Any) -> bool:
    pair = classify(value)
    if pair[0] in DEEP:
        return any(equals(kind, plain, value) for kind, plain in deep)
    return pair in scalars


def _is_in_range(compare: Callable[[Any, Any], bool], kind: Kind, operand: Any, value: Any) -> bool:
    found, plain = classify(value)
    return found is kind and kind is not Kind.NAN and compare(plain, operand)


def _has_part(kind: Kind, operand: Any, value: Any) -> bool:
    if isinstance(value, str):
        return kind is Kind.TEXT and operand in value
    return isinstance(value, COLLECTIONS) and any(equals(kind, operand, item) for item in value)


def _starts_with(prefix: str, value: Any) -> bool:
    return isinstance(value, str) and value.startswith(prefix)


def _is_found(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.search(value) is not None
