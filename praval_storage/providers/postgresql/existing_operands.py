"""Filters fitted to the columns they ask about: operands are read as what the column holds.

JSON has no dates, a notebook often has naive ones, and nobody writes ``Decimal("1.43")``. As for the times
of a record, a text is read as ISO 8601, a naive datetime as UTC, a date as its first moment; a float is the
decimal that it is written as, a text a UUID. What cannot be read so stays as it is, and matches nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from praval_storage.filters import And, Compare, Node, Not, Or, Path
from praval_storage.filters.operands import instant, moment
from praval_storage.providers.postgresql.existing_catalog import Kind, Relation

_BOUNDS = frozenset({"gt", "gte", "lt", "lte"})
_READ = frozenset({"eq", "in"}) | _BOUNDS


def fitted(node: Node, relation: Relation) -> Node:
    """The filter with its operands as the columns of a relation have them, and names with dots found."""
    match node:
        case And():
            return And(tuple(fitted(child, relation) for child in node.children))
        case Or():
            return Or(tuple(fitted(child, relation) for child in node.children))
        case Not():
            return Not(fitted(node.child, relation))
        case Compare():
            return _compare(node, relation)
        case _:
            return node


def addressed(path: Path, relation: Relation) -> Path:
    """The path, whose first part is a whole name of a column where one has dots in it."""
    if path.root != "data" or not path.parts or path.parts[0] in relation.by_name:
        return path
    for count in range(len(path.parts), 1, -1):
        if (name := ".".join(path.parts[:count])) in relation.by_name:
            return Path("data", (name, *path.parts[count:]))
    return path


def _compare(node: Compare, relation: Relation) -> Compare:
    path = addressed(node.path, relation)
    column = relation.by_name.get(path.parts[0]) if path.root == "data" and len(path.parts) == 1 else None
    read = _READERS.get(column.kind) if column else None
    if read is None or node.op not in _READ:
        return Compare(path, node.op, node.operand)
    if node.op == "in":
        return Compare(path, "in", tuple(map(read, node.operand)))
    operand = read(node.operand)
    if read is _date and node.op in _BOUNDS and isinstance(operand, datetime) and operand.tzinfo is None:
        # A date is before all that is within its day.
        return Compare(path, "gt" if node.op in {"gt", "gte"} else "lte", operand.date())
    return Compare(path, node.op, operand)


def _aware(operand: Any) -> Any:
    found = instant(operand)
    return operand if found is None else found


def _naive(operand: Any) -> Any:
    found = moment(operand)
    return operand if found is None or found.tzinfo else found


def _date(operand: Any) -> Any:
    found = _naive(operand)
    is_midnight = isinstance(found, datetime) and found.tzinfo is None and found.time() == time()
    return found.date() if is_midnight else found


def _decimal(operand: Any) -> Any:
    return Decimal(repr(operand)) if type(operand) is float and math.isfinite(operand) else operand


def _uuid(operand: Any) -> Any:
    if type(operand) is str:
        with suppress(ValueError):
            return UUID(operand)
    return operand


def _unpadded(operand: Any) -> Any:
    return operand.rstrip(" ") if type(operand) is str else operand


_READERS: dict[Kind, Callable[[Any], Any]] = {
    Kind.TIMESTAMPTZ: _aware,
    Kind.TIMESTAMP: _naive,
    Kind.DATE: _date,
    Kind.NUMERIC: _decimal,
    Kind.UUID: _uuid,
    Kind.PADDED: _unpadded,
}
