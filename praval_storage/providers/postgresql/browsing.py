"""Looking around in a database: schemas, tables and views, their rows, as far as this user may see them.

Nothing is counted but by the planner's own estimates, nothing is skipped with ``OFFSET``, and a statement
that takes too long is given up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

import psycopg
from psycopg import sql

from praval_storage.errors import StorageTimeoutError
from praval_storage.filters import EVERYTHING
from praval_storage.paging import Batch, Entry, Source, collect
from praval_storage.places import Count, Look, Measured, Place, Seen, bad_token, from_token
from praval_storage.providers.postgresql.browsing_records import Records
from praval_storage.providers.postgresql.browsing_rows import Rows
from praval_storage.providers.postgresql.catalog import VIEWS, Facts, tables, why_read_only
from praval_storage.providers.postgresql.connections import Connections
from praval_storage.providers.postgresql.interrupts import contextmanager
from praval_storage.providers.postgresql.names import dotted, parts_of
from praval_storage.providers.postgresql.statements import Statements

if TYPE_CHECKING:
    from psycopg import Connection

SECONDS = 5
"""How long a statement of a page may take."""

_SETTINGS = """
SELECT set_config('statement_timeout', %s, true), set_config('transaction_read_only', 'on', true)
"""
_SCHEMAS = """
SELECT n.nspname::text AS name
FROM pg_catalog.pg_namespace AS n
WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%%'
  AND has_schema_privilege(n.oid, 'USAGE') AND (%s::text IS NULL OR n.nspname::text COLLATE "C" > %s::text)
ORDER BY n.nspname::text COLLATE "C" LIMIT %s
"""
_RELATIONS = """
SELECT c.relname::text AS name, c.relkind::text AS kind, c.reltuples::int8 AS rows,
    CASE WHEN c.relkind IN ('r', 'm') THEN pg_total_relation_size(c.oid) END AS bytes,
    obj_description(c.oid, 'pg_class') AS comment,
    ARRAY(SELECT a.attname::text || ' ' || format_type(a.atttypid, NULL) FROM pg_catalog.pg_attribute AS a
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
  AND (%s::text IS NULL OR c.relname::text COLLATE "C" > %s::text)
ORDER BY c.relname::text COLLATE "C" LIMIT %s
"""
_NOTES = {"m": "materialized", "p": "partitioned", "f": "foreign table"}


class Purpose(NamedTuple):
    """What statements are for, and what to do where they take too long."""

    work: str
    hint: str


PAGES = Purpose("page", "A filter on an indexed column makes it faster; dm.query() has no such limit")
COUNTS = Purpose("count", "The planner's estimate, which ANALYZE renews, is in the listing of its schema")


class Bounded(Connections):
    """The same connections, for statements that only read and do not take long.

    Args:
        inner: The connections.
        purpose: What statements are for, and what helps where they take too long.
    """

    def __init__(self, inner: Connections, purpose: Purpose = PAGES) -> None:
        self.given = inner.given
        self.settings = inner.settings
        self._inner = inner
        self._purpose = purpose

    @contextmanager
    def connection(self) -> Iterator[Connection[Any]]:
        """A connection in a transaction that only reads.

        Raises:
            StorageTimeoutError: A statement took too long.
        """
        try:
            with self._inner.connection() as connection, connection.transaction():
                connection.execute(_SETTINGS, (f"{SECONDS}s",))
                yield connection
        except psycopg.errors.QueryCanceled as error:
            raise StorageTimeoutError(
                f"PostgreSQL was given {SECONDS} s for this {self._purpose.work} and needed more",
                hint=self._purpose.hint,
            ) from error


def schemas(connections: Connections, request: Look) -> Seen:
    """The schemas this user may use."""

    def place(row: Mapping[str, Any]) -> Place:
        return Place(dotted(row["name"]), row["name"], "schema", parent=True, records=False)

    return _page(connections, request, _SCHEMAS, (), place)


def relations(connections: Connections, request: Look, schema: str) -> Seen:
    """The tables and views of a schema that this user may read."""

    def place(row: Mapping[str, Any]) -> Place:
        kind, rows, size = row["kind"], row["rows"], row["bytes"]
        return Place(
            dotted(schema, row["name"]),
            row["name"],
            "view" if kind in VIEWS else "table",
            parent=False,
            records=True,
            # Minus one where nobody has counted yet.
            count=Count(rows, "estimate") if rows > 0 else None,
            size=None if size is None else Count(size),
            read_only=why_read_only(kind, row["comment"], row["columns"]),
            note=_NOTES.get(kind, ""),
        )

    return _page(connections, request, _RELATIONS, (schema,), place)


def rows(
    connections: Connections, names: tuple[str, str], known: Facts, source: Source, request: Look
) -> Seen:
    """The rows of a table or view that a provider is bound to."""
    if known.is_ours:
        seen = Records(connections, Statements(names), source.load).look(source, request)
    else:
        seen = Rows(connections, *names).look(source, request)
    return replace(
        seen,
        total=known.rows if request.where == EVERYTHING and not request.text else None,
        columns=known.columns,
        read_only=known.read_only,
    )


def measure(connections: Connections, path: str) -> Iterator[Measured]:
    """Count the rows of the tables at a path, one after the other."""
    records = size = 0
    named: list[tuple[str, str]] = []
    if (parts := parts_of(path)) is not None:
        with connections.connection() as connection:
            named = tables(connection, *parts)
    for schema, table in named:
        statement = sql.SQL("SELECT count(*), pg_total_relation_size({}::regclass) FROM {}").format(
            sql.Literal(sql.Identifier(schema, table).as_string(None)), sql.Identifier(schema, table)
        )
        with connections.connection() as connection:
            row = connection.execute(statement).fetchone()
        if row is not None:
            records, size = records + row[0], size + row[1]
        yield Measured(Count(records), Count(size), done=False)
    yield Measured(Count(records), Count(size), done=True)


def _page(
    connections: Connections,
    request: Look,
    statement: LiteralString,
    parameters: tuple[Any, ...],
    place: Any,
) -> Seen:
    after = _after(request)
    given: list[Any] = []

    def batches() -> Iterator[Batch]:
        last, size = after, request.limit + 1
        while True:
            given[:] = [*parameters, last, last, size]
            with (
                connections.connection() as connection,
                connection.cursor(row_factory=psycopg.rows.dict_row) as cursor,
            ):
                rows = cursor.execute(statement, given).fetchall()
            last = rows[-1]["name"] if len(rows) == size else None
            yield Batch([place(row) for row in rows], len(rows), last and [last])
            if last is None:
                return

    def position(entry: Entry) -> Any:
        assert isinstance(entry, Place)  # noqa: S101 - there are no others
        return [entry.label]

    page = collect(request, "", batches(), position, lambda rows: rows)
    return replace(page.seen("", statement.strip()), parameters=tuple(given))


def _after(request: Look) -> str | None:
    match from_token(request.token):
        case None:
            return None
        case [str(last)] if "\0" not in last:
            return last
        case _:
            raise bad_token()
