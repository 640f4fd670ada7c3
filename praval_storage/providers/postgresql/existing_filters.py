"""Filters as SQL conditions on somebody else's columns.

Conditions compare columns themselves with typed parameters, so that the columns' own indexes serve them, and
what a type class cannot equal is false without asking. NULL makes a condition unknown, which is as good as
false until it is negated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from praval_storage.filters import Compare, Kind, Node, classify
from praval_storage.providers.postgresql import existing_comparisons as comparisons
from praval_storage.providers.postgresql.existing_catalog import Column, Relation
from praval_storage.providers.postgresql.existing_catalog import Kind as ColumnKind
from praval_storage.providers.postgresql.existing_keys import NEVER, Keys
from praval_storage.providers.postgresql.existing_operands import fitted
from praval_storage.providers.postgresql.existing_sql import Sql, compose, joined, value
from praval_storage.pushdown import Compiler, Native, Pushdown
from praval_storage.records import Record, Stored

FORMAT = "object"
"""The format of rows: values with nothing to decode."""

MANY = 100
"""Conditions in one ``OR``; a list of texts, integers or UUIDs is one condition."""

_EMPTY = Record(Stored("", FORMAT, data={}), lambda stored: stored.data)
"""A row as far as a filter that looks at no column of it can tell."""
_CONTAINERS = frozenset((ColumnKind.ARRAY, ColumnKind.JSON, ColumnKind.JSONB))


class RowFilter(Compiler[Sql]):
    """Compiles filters to conditions on the rows of a relation.

    Args:
        relation: Whose rows they are.
        keys: What their keys are.
    """

    def __init__(self, relation: Relation, keys: Keys) -> None:
        self._relation = relation
        self._keys = keys

    def compile(self, node: Node) -> Pushdown[Sql]:
        """As always, of the filter fitted to the columns."""
        return super().compile(fitted(node, self._relation))

    def compare(self, node: Compare) -> Native[Sql] | None:
        if not self._relation.utf8 and _holds_text(node.operand):
            return None  # other encodings have another order, and not every text
        if node.path.root == "key":
            return self._on_key(node)
        if node.path.root != "data":
            return _constant(node.matches(_EMPTY))
        if not node.path.parts:
            return None
        column = self._relation.by_name.get(node.path.parts[0])
        if column is None:
            return _constant(node.matches(_EMPTY))
        if len(node.path.parts) == 1:
            return _on_column(node, column)
        return _below(node, column)

    def all_of(self, conditions: Sequence[Sql]) -> Sql:
        return joined(" AND ", conditions)

    def any_of(self, conditions: Sequence[Sql]) -> Sql:
        return joined(" OR ", conditions)

    def negate(self, condition: Sql) -> Sql:
        # True where the condition is unknown.
        return compose("({}) IS NOT TRUE", condition)

    def _on_key(self, node: Compare) -> Native[Sql] | None:
        match node.op:
            case "exists":
                return _constant(node.operand)
            case "eq" | "in":
                operands = node.operand if node.op == "in" else [node.operand]
                texts = [text for text in operands if text is not None and comparisons.is_bindable(text)]
                return Native(self._keys.are(texts) if texts else NEVER)
            case "prefix" if comparisons.is_bindable(node.operand):
                return Native(self._keys.begin_with(node.operand))
            case _:
                return None


def _on_column(node: Compare, column: Column) -> Native[Sql] | None:
    match node.op:
        case "exists":
            return _constant(node.operand)
        case "eq":
            return _equality(column, node.operand)
        case "in":
            return _membership(column, node.operand)
        case "gt" | "gte" | "lt" | "lte":
            return comparisons.compared(column, node.op, *classify(node.operand))
        case "prefix":
            return comparisons.beginning(column, node.operand)
        case "contains":
            return comparisons.containing(column, node.operand)
        case _:
            return comparisons.perhaps_text(column)


def _equality(column: Column, operand: Any) -> Native[Sql] | None:
    kind, plain = classify(operand)
    if kind is not Kind.NULL:
        return comparisons.compared(column, "eq", kind, plain)
    # A list with a null in it matches as well, and so does a null inside of JSON.
    return None if column.kind in _CONTAINERS else Native(compose("{} IS NULL", column.sql))


def _membership(column: Column, operands: Sequence[Any]) -> Native[Sql] | None:
    listed = [comparisons.literal(column, operand) for operand in operands]
    if operands and None not in listed:
        texts = value([each for each in listed if each is not None], compose("{}[]", column.type.sql))
        return Native(compose("{} = ANY ({})", column.sql, texts))
    if len(operands) > MANY:
        return None
    natives = [_equality(column, operand) for operand in operands]
    known = [native for native in natives if native is not None]
    if len(known) < len(natives):
        return None
    conditions = [native.condition for native in known]
    return Native(joined(" OR ", conditions) if known else NEVER, all(native.exact for native in known))


def _below(node: Compare, column: Column) -> Native[Sql] | None:
    """A path below a column: into JSON, or an array of it; there is nothing below anything else."""
    if column.kind not in _CONTAINERS:
        return _constant(node.matches(_EMPTY))
    if column.kind is not ColumnKind.JSONB or node.op != "eq" or any(map(_is_number, node.path.parts)):
        return None
    return comparisons.inside(column, node.path.parts[1:], node.operand)


def _holds_text(operand: Any) -> bool:
    return any(isinstance(each, str) for each in (operand if isinstance(operand, tuple) else (operand,)))


def _is_number(part: str) -> bool:
    return re.fullmatch("[0-9]+", part) is not None


def _constant(answer: bool) -> Native[Sql]:
    return Native(compose("TRUE") if answer else NEVER)
