"""What the catalog says of tables and views: which there are for this user, and what each of them is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg import sql

from praval_storage.places import Column, Count
from praval_storage.providers.postgresql.names import collection_of
from praval_storage.providers.postgresql.statements import COLUMNS, MARK

if TYPE_CHECKING:
    from psycopg import Connection

NOT_OURS = "made by somebody else"
VIEWS = frozenset("vm")
"""The kinds of relations that are views."""

_FIND = """
SELECT n.nspname, obj_description(c.oid, 'pg_class'), ARRAY(
    SELECT a.attname::text || ' ' || format_type(a.atttypid, NULL) FROM pg_attribute AS a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass(%s)
"""
_COLLECTIONS = """
SELECT n.nspname, c.relname, n.nspname = coalesce(%s, current_schema())
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%%'
  AND has_table_privilege(c.oid, 'SELECT')
ORDER BY 3 DESC, 1, 2
"""
_ONE = """
SELECT c.relkind::text, c.reltuples::int8, obj_description(c.oid, 'pg_class'),
    ARRAY(SELECT a.attname::text || ' ' || format_type(a.atttypid, NULL) FROM pg_catalog.pg_attribute AS a
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
FROM pg_catalog.pg_class AS c
WHERE c.oid = to_regclass(%s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND has_table_privilege(c.oid, 'SELECT')
"""
_TABLES = """
SELECT n.nspname::text, c.relname::text
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%%'
  AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
  AND (%s::text IS NULL OR n.nspname = %s::text) AND (%s::text IS NULL OR c.relname = %s::text)
ORDER BY 1, 2
"""
_COLUMNS = """
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
    coalesce(bool_or(i.indisprimary), false), coalesce(bool_or(i.indkey[0] = a.attnum), false)
FROM pg_catalog.pg_attribute AS a
LEFT JOIN pg_catalog.pg_index AS i ON i.indrelid = a.attrelid AND a.attnum = ANY (i.indkey) AND i.indisvalid
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
GROUP BY a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull ORDER BY a.attnum
"""


class Found(NamedTuple):
    """Where a name leads to.

    Attributes:
        schema: Its schema.
        is_ours: Whether it has our layout.
    """

    schema: str
    is_ours: bool


def find(connection: Connection[Any], table: sql.Identifier) -> Found | None:
    """What has this name; ``None`` when nothing has."""
    row = connection.execute(_FIND, (table.as_string(connection),)).fetchone()
    return row and Found(row[0], _is_ours(row[1], row[2]))


def current_schema(connection: Connection[Any]) -> str:
    """The first schema of the search path that is there."""
    row = connection.execute("SELECT current_schema()").fetchone()
    return (row and row[0]) or "public"


def collections(connection: Connection[Any], home: str | None) -> list[str]:
    """The relations this user may read, first those of a schema; ``None`` = of the current one."""
    rows = connection.execute(_COLLECTIONS, (home,)).fetchall()
    return [collection_of(None if is_home else schema, table) for schema, table, is_home in rows]


class Facts(NamedTuple):
    """What the catalog says of a table or view.

    Attributes:
        is_ours: Whether it has our layout.
        rows: How many, by the planner's estimate.
        read_only: Why it cannot be written to.
        columns: Its columns.
    """

    is_ours: bool
    rows: Count | None
    read_only: str
    columns: Sequence[Column]


def facts(connection: Connection[Any], schema: str, table: str) -> Facts | None:
    """What the catalog says; ``None`` when this user sees no such relation."""
    name = sql.Identifier(schema, table).as_string(connection)
    row = connection.execute(_ONE, (name,)).fetchone()
    if row is None:
        return None
    kind, rows, comment, names = row
    reason = why_read_only(kind, comment, names)
    columns = [Column(*each) for each in connection.execute(_COLUMNS, (name,))]
    return Facts(not reason, Count(rows, "estimate") if rows > 0 else None, reason, columns)


def tables(
    connection: Connection[Any], schema: str | None = None, table: str | None = None
) -> list[tuple[str, str]]:
    """Schemas and names of the tables with these names; ``None`` = any."""
    return connection.execute(_TABLES, (schema, schema, table, table)).fetchall()


def why_read_only(kind: str, comment: str | None, columns: Sequence[str]) -> str:
    """Why a relation cannot be written to, ``""`` if it can."""
    if kind in VIEWS:
        return "a view"
    return "" if _is_ours(comment, columns) else NOT_OURS


def _is_ours(comment: str | None, columns: Sequence[str]) -> bool:
    return comment == MARK or set(columns) >= COLUMNS
