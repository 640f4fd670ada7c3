"""Orders that PostgreSQL makes of somebody else's rows exactly as ``filters.rank`` does, ties by key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from praval_storage.filters import Order
from praval_storage.providers.postgresql.existing_catalog import Column, Kind, Relation
from praval_storage.providers.postgresql.existing_comparisons import unordered
from praval_storage.providers.postgresql.existing_keys import Keys
from praval_storage.providers.postgresql.existing_sql import Sql, compose, listed

if TYPE_CHECKING:
    from psycopg import Connection

_AS_THEY_ARE = frozenset((Kind.BOOL, Kind.INTEGER, Kind.UUID))
_AS_TEXT = frozenset((Kind.TEXT, Kind.PADDED, Kind.SPELLED))


def ordering(connection: Connection[Any], relation: Relation, keys: Keys, order: Order) -> Sql | None:
    """What to put after ``ORDER BY``; ``None``: this order has to be made in Python."""
    by_key = compose('{} COLLATE "C"', keys.text)
    if order.path.root == "key":
        return _directed(by_key, order)
    if order.path.root != "data" or len(order.path.parts) != 1:
        return None
    column = relation.by_name.get(order.path.parts[0])
    if column is None:
        return by_key  # missing everywhere: all tie
    by_column = _by_column(connection, relation, column)
    return None if by_column is None else listed(", ", [_with_nulls(by_column, column, order), by_key])


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
