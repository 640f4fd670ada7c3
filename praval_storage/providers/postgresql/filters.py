"""Filters as SQL conditions on the rows of our table.

Equality inside of ``data`` and ``metadata`` is asked with ``@?`` and ``@>``, which their GIN indexes answer;
anything else with a function, so that the planner does not read a whole GIN index for nothing. A condition
is never unknown: the columns compared are not null, and JSON conditions say what NULL means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString

from praval_storage.filters import Compare, Node
from praval_storage.providers.postgresql import jsonpath
from praval_storage.providers.postgresql.existing_sql import Sql, compose, joined, name, value
from praval_storage.providers.postgresql.jsonpath import is_bindable
from praval_storage.providers.postgresql.statements import SIZE
from praval_storage.pushdown import Compiler, Native
from praval_storage.records import Record, Stored

PRIMARY = "primary key"

_SYMBOLS: dict[str, LiteralString] = {
    "eq": "{} = {}",
    "gt": "{} > {}",
    "gte": "{} >= {}",
    "lt": "{} < {}",
    "lte": "{} <= {}",
}
_TYPES: dict[str, Sql] = {
    "key": name("text"),
    "format": name("text"),
    "size": name("numeric"),
    "created_at": name("timestamptz"),
    "updated_at": name("timestamptz"),
}
_TEXT = _TYPES["key"]
_COLUMNS = {"size": compose(SIZE)}
"""Columns that are not there by name."""
_LARGEST_CODE_POINT = 0x10FFFF
_EMPTY = Record(Stored("", "object", data={}), lambda stored: stored.data)
"""A record as far as a filter on a field that is nowhere can tell."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition, and the index that serves it, if one does."""

    sql: Sql
    index: str | None = None


_NOWHERE = Condition(compose("FALSE"))
_EVERYWHERE = Condition(compose("TRUE"))


@dataclass(frozen=True, slots=True)
class Compiled:
    """A filter for PostgreSQL.

    Attributes:
        condition: Selects what matches among the rows whose fields are not loose; ``None`` = all.
        loose: Names of fields: what has one of them among its loose ones is not decided by the condition.
        pushed: The part of the filter the condition stands for.
        residual: The part that is left.
    """

    condition: Condition | None
    loose: tuple[str, ...]
    pushed: Node
    residual: Node


def compile_filter(node: Node) -> Compiled:
    """A filter as a condition on the columns."""
    compiler = RecordFilter()
    found = compiler.compile(node)
    loose = tuple(sorted(compiler.loose)) if found.condition is not None else ()
    return Compiled(found.condition, loose, found.pushed, found.residual)


class RecordFilter(Compiler[Condition]):
    """Compiles filters; remembers which fields must not be loose for a condition to be true."""

    def __init__(self) -> None:
        self.loose: set[str] = set()

    def compare(self, node: Compare) -> Native[Condition] | None:
        root = node.path.root
        if root in _TYPES:
            return _on_column(node)
        native = _on_tree(node)
        if native is not None:
            self.loose |= set(filter(is_bindable, (root, f"{root}.{node.path.parts[0]}")))
        return native

    def all_of(self, conditions: Sequence[Condition]) -> Condition:
        served = [condition.index for condition in conditions if condition.index]
        return Condition(_joined(" AND ", conditions), _listed(served))

    def any_of(self, conditions: Sequence[Condition]) -> Condition:
        served = [condition.index for condition in conditions if condition.index]
        return Condition(
            _joined(" OR ", conditions), _listed(served) if len(served) == len(conditions) else None
        )

    def negate(self, condition: Condition) -> Condition:
        return Condition(compose("({}) IS NOT TRUE", condition.sql))


def _joined(word: LiteralString, conditions: Sequence[Condition]) -> Sql:
    return joined(word, [condition.sql for condition in conditions])


def _listed(indexes: Sequence[str]) -> str | None:
    parts = [part for index in indexes for part in index.split(", ")]
    return ", ".join(dict.fromkeys(parts)) or None


def _constant(answer: bool) -> Native[Condition]:
    return Native(_EVERYWHERE if answer else _NOWHERE)


# Columns


def _on_column(node: Compare) -> Native[Condition] | None:
    root, op, operand = node.path.root, node.op, node.operand
    column = _COLUMNS.get(root, name(root))
    match op:
        case "exists":
            return _constant(operand)
        case "in":
            return _one_of(root, operand)
        case "prefix" if is_bindable(operand):
            return Native(Condition(_begins(column, operand), _primary(root)))
        case "contains" if is_bindable(operand):
            return Native(Condition(compose("strpos({}, {}) > 0", column, value(operand, _TEXT))))
        case "prefix" | "contains" | "regex":
            return None
    if operand is None:
        return Native(_NOWHERE)
    bound = _bound(operand)
    if bound is None:
        return Native(_NOWHERE) if op == "eq" or _is_nan(operand) else None
    return Native(Condition(compose(_SYMBOLS[op], column, value(bound, _TYPES[root])), _primary(root)))


def _one_of(root: str, operands: Sequence[Any]) -> Native[Condition]:
    bounds = [_bound(operand) for operand in operands if operand is not None]
    known = [bound for bound in bounds if bound is not None]
    if not known:
        return Native(_NOWHERE)
    listed = value(known, compose("{}[]", _TYPES[root]))
    return Native(Condition(compose("{} = ANY ({})", _COLUMNS.get(root, name(root)), listed), _primary(root)))


def _primary(root: str) -> str | None:
    return PRIMARY if root == "key" else None


def _bound(operand: Any) -> Any:
    """The operand as a parameter; ``None`` when no value of the column can be equal to it."""
    if isinstance(operand, str):
        return operand if is_bindable(operand) else None
    if isinstance(operand, datetime):
        return operand
    if _is_nan(operand):
        return None
    # Sizes have 63 bits; what is further away may as well be a little nearer.
    return Decimal(max(-(2**64), min(operand, 2**64)))


def _is_nan(operand: Any) -> bool:
    return isinstance(operand, float | Decimal) and math.isnan(operand)


def _begins(column: Sql, prefix: str) -> Sql:
    """The texts from a prefix on, up to the first that does not begin like this."""
    lower = compose("{} >= {}", column, value(prefix, _TEXT))
    after = _after(prefix)
    if after is None:
        return lower
    return compose("({} AND {})", lower, compose("{} < {}", column, value(after, _TEXT)))


def _after(prefix: str) -> str | None:
    for end in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[end])
        if code < _LARGEST_CODE_POINT:
            # There are no characters between U+D7FF and U+E000.
            return prefix[:end] + (chr(code + 1) if code != 0xD7FF else "\ue000")
    return None


# Data and metadata


def _on_tree(node: Compare) -> Native[Condition] | None:
    root, parts = node.path.root, node.path.parts
    if not parts:
        return None
    if not all(map(is_bindable, parts)) or (root == "metadata" and parts[0].startswith("$")):
        return _constant(node.matches(_EMPTY))
    path = jsonpath.path_of(parts)
    if path is None:
        return None
    if node.op == "exists":
        return Native(_exists(root, path) if node.operand else _misses(root, path))
    return _compared(node, path)


def _compared(node: Compare, path: str) -> Native[Condition] | None:
    root, op, operand = node.path.root, node.op, node.operand
    if op == "eq" and jsonpath.is_deep(operand) and (found := _contains(root, node.path.parts, operand)):
        return Native(found, exact=False)
    test = jsonpath.test_of(op, operand)
    if test is None:
        return None
    served = op in {"eq", "in"} or (op == "contains" and not isinstance(operand, str))
    condition = _NOWHERE
    if test.predicate is not None:
        condition = _exists(root, path + test.filter, served=served and bool(test.predicate))
    if (op == "eq" and operand is None) or (op == "in" and None in operand):
        either = [condition.sql, _misses(root, path).sql]
        condition = Condition(joined(" OR ", either))
    return Native(condition, test.exact)


def _exists(root: str, path: str, *, served: bool = False) -> Condition:
    literal = value(path, name("jsonpath"))
    if served:
        return Condition(compose("{} @? {}", name(root), literal), f"gin({root})")
    return Condition(compose("jsonb_path_exists({}, {})", name(root), literal))


def _misses(root: str, path: str) -> Condition:
    return Condition(compose("({}) IS NOT TRUE", _exists(root, path).sql))


def _contains(root: str, parts: Sequence[str], operand: Any) -> Condition | None:
    """A list or mapping in a field, or in a list there: at least what contains it."""
    text = jsonpath.document(operand) if len(parts) == 1 else None
    if text is None:
        return None
    field = jsonpath.quoted(parts[0])
    kind = name("jsonb")
    either = [
        compose("{} @> {}", name(root), value(f"{{{field}:{inside}}}", kind))
        for inside in (text, f"[{text}]")
    ]
    return Condition(joined(" OR ", either), f"gin({root})")
