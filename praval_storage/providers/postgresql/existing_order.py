"""Orders that PostgreSQL makes of somebody else's rows exactly as ``filters.rank`` does, ties by key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from praval_storage.filters import Order
from praval_storage.providers.postgresql.existing_catalog import Column, Kind, Relation
from praval_storage.providers.postgresql.existing_comparisons import regular, unordered
from praval_storage.providers.postgresql.existing_keys import TEXT, Keys
from praval_storage.providers.postgresql.existing_operands import addressed
from praval_storage.providers.postgresql.existing_sql import Sql, compose, joined, listed, value

if TYPE_CHECKING:
    from psycopg import Connection

_AS_THEY_ARE = frozenset((Kind.BOOL, Kind.INTEGER, Kind.UUID))
_AS_TEXT = frozenset((Kind.TEXT, Kind.PADDED, Kind.SPELLED))
_CONTAINERS = frozenset((Kind.ARRAY, Kind.JSON, Kind.JSONB))


def ordering(connection: Connection[Any], relation: Relation, keys: Keys, order: Order) -> Sql | None:
    """What to put after ``ORDER BY``; ``None``: this order has to be made in Python."""
    by_key = compose('{} COLLATE "C"', keys.text)
    if order.path.root == "key":
        return _directed(by_key, order)
    path = addressed(order.path, relation)
    if path.root != "data" or len(path.parts) != 1:
        return None
    column = relation.by_name.get(path.parts[0])
    if column is None:
        return by_key  # missing everywhere: all tie
    by_column = _by_column(connection, relation, column)
    return None if by_column is None else listed(", ", [_with_nulls(by_column, column, order), by_key])


class Stretch(NamedTuple):
    """A part of an order that is one index scan, or one sort: nulls, what is odd, and the other values.

    Attributes:
        where: Which rows are in it; ``None`` = all.
        by: What they are ordered by before their keys; ``None`` = all tie.
        type: What the text of such a value is cast to.
        descending: Whether the greatest value comes first.
        keys_descending: Whether the greatest key does.
    """

    where: Sql | None
    by: Sql | None = None
    type: Sql = TEXT
    descending: bool = False
    keys_descending: bool = False

    def order(self, keys: Keys) -> Sql:
        """What to put after ``ORDER BY``; nulls stand where indexes have them, as there are none."""
        key = compose('{} COLLATE "C" DESC' if self.keys_descending else '{} COLLATE "C"', keys.text)
        if self.by is None:
            return key
        return listed(", ", [compose("{} DESC", self.by) if self.descending else self.by, key])

    def after(self, keys: Keys, text: str | None, key: str) -> Sql:
        """The condition for what comes after a row with this value and key."""
        bound = value(key, TEXT)
        later = compose(
            '{} COLLATE "C" < {}' if self.keys_descending else '{} COLLATE "C" > {}', keys.text, bound
        )
        if self.by is None or text is None:
            return later
        last = value(text, self.type)
        onward = compose("{} <= {}" if self.descending else "{} >= {}", self.by, last)
        beyond = compose("{} < {}" if self.descending else "{} > {}", self.by, last)
        return joined(" AND ", [onward, joined(" OR ", [beyond, later])])

    def again(self, beginning: str) -> Sql | None:
        """The condition for what begins like this, and all that comes later; ``None``: all of it."""
        if self.by is None or self.type is not TEXT:
            return None
        first = value(beginning, TEXT)
        if not self.descending:
            return compose("{} >= {}", self.by, first)
        return compose("{} <= {} OR starts_with({}, {})", self.by, first, self.by, first)


def stretches(relation: Relation, order: Order) -> list[Stretch] | None:
    """The parts of an order, first one first; ``None``: this order has to be made in Python."""
    path = addressed(order.path, relation)
    root, parts = path.root, path.parts
    if root == "key":
        return [Stretch(None, keys_descending=order.descending)]
    column = relation.by_name.get(parts[0]) if root == "data" and parts else None
    if root == "data" and not parts:
        return None
    if column is None or (len(parts) > 1 and column.kind not in _CONTAINERS):
        return [Stretch(None)]  # missing everywhere: all tie
    values = _values(relation, column) if len(parts) == 1 else None
    if values is None:
        return None
    nulls = [] if column.required else [Stretch(compose("{} IS NULL", column.sql))]
    ascending = [*nulls, *values]
    if not order.descending:
        return ascending
    return [each._replace(descending=True) for each in reversed(ascending)]


def _values(relation: Relation, column: Column) -> list[Stretch] | None:
    """The stretches of a column that are not null."""
    given = None if column.required else compose("{} IS NOT NULL", column.sql)
    as_text = compose('CAST({} AS text) COLLATE "C"', column.sql)
    if column.kind in _AS_THEY_ARE:
        return [Stretch(given, column.sql, column.type.sql)]
    if column.kind in _AS_TEXT:
        return [Stretch(given, as_text)] if relation.utf8 else None
    odd = unordered(column)
    if odd is None:
        return None
    is_number = column.kind in {Kind.FLOAT, Kind.NUMERIC}
    # NaN is less than every number; times that Python has no value for are texts, which come before times.
    first = Stretch(odd) if is_number else Stretch(odd, as_text)
    return [first, Stretch(regular(column), column.sql, column.type.sql)]


def _by_column(connection: Connection[Any], relation: Relation, column: Column) -> Sql | None:
    if column.kind in _AS_THEY_ARE:
        return column.sql
    if column.kind in _AS_TEXT:
        return compose('CAST({} AS text) COLLATE "C"', column.sql) if relation.utf8 else None
    odd = unordered(column)
    # NaN, infinite times and the like belong elsewhere; an index shows quickly that there are none.
    return None if odd is None or _exists(connection, relation, odd) else column.sql


def _exists(connection: Connection[Any], relation: Relation, condition: Sql) -> bool:
    text, parameters = compose("SELECT EXISTS (SELECT FROM {} WHERE {})", relation.sql, condition)
    row = connection.execute(text, parameters).fetchone()
    return row is not None and bool(row[0])


def _directed(by: Sql, order: Order) -> Sql:
    return compose("{} DESC", by) if order.descending else by


def _with_nulls(by: Sql, column: Column, order: Order) -> Sql:
    """Nulls are the smallest values; where there are none, saying so would keep an index from helping."""
    directed = _directed(by, order)
    if column.required:
        return directed
    return compose("{} NULLS LAST" if order.descending else "{} NULLS FIRST", directed)
