"""A table of our layout: made by the first write, records in and out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import psycopg
from psycopg import sql

from praval_storage.base import BaseStorageProvider, Item, StorageResult, boundary
from praval_storage.errors import KeyExistsError, StorageError
from praval_storage.providers.postgresql import arrays
from praval_storage.providers.postgresql.catalog import find
from praval_storage.providers.postgresql.connections import Connections
from praval_storage.providers.postgresql.reading import Question
from praval_storage.providers.postgresql.rows import BLOBS, Row, row_of, stored_row
from praval_storage.providers.postgresql.statements import Statements
from praval_storage.records import Stored
from praval_storage.scan import Scan, Scanned

CHUNK_ROWS, CHUNK_BYTES = 5_000, 16 << 20

CHANGED = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName)
"""The table is not there, or not as it was when it was looked at."""
_OF_ONE = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.RaiseException,
)
"""Failures that may be those of one item; any other would be that of each."""

Chunk = list[tuple[Item, Row]]


class RecordTable:
    """Reads and writes a table that has our layout.

    Args:
        provider: Decodes rows; its errors and name are used in batches.
        connections: Where connections come from.
        statements: The statements of the table.
    """

    def __init__(
        self, provider: BaseStorageProvider, connections: Connections, statements: Statements
    ) -> None:
        self._provider = provider
        self._connections = connections
        self._statements = statements
        # Rendered once: that takes as long as the server needs for a small statement.
        self._by_keys = {bodies: statements.by_keys(bodies=bodies).as_bytes(None) for bodies in (True, False)}
        self._inserts = {
            (overwrite, own_times): statements.insert(overwrite=overwrite, own_times=own_times).as_bytes(None)
            for overwrite in (True, False)
            for own_times in (True, False)
        }

    def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
        """Upsert in chunks; one that is refused is halved until the item is found that is to blame."""
        results: dict[str, StorageResult] = {}
        rows = self._rows(items, results)
        for own_times in (False, True):
            mine = ((item, row) for item, row in rows if (item.draft.created_at is not None) is own_times)
            for chunk in _chunks(mine):
                for result in self._put(chunk, overwrite=overwrite, own_times=own_times):
                    results[result.key] = result
        return [results[item.draft.key] for item in items]

    def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
        """The records under keys."""
        with self._connections.connection() as connection, connection.cursor(binary=True) as cursor:
            rows = cursor.execute(self._by_keys[bodies], (list(keys), datetime.now(UTC))).fetchall()
        found = {row[0]: stored_row(row[:-1]) for row in rows}
        return [found.get(key) for key in keys]

    def remove(self, keys: Sequence[str]) -> list[bool]:
        """Delete rows; whether each was there and had not expired."""
        with self._connections.connection() as connection:
            rows = connection.execute(self._statements.delete(), (list(keys), datetime.now(UTC))).fetchall()
        live = {key for key, is_live in rows if is_live}
        return [key in live for key in keys]

    def scan(self, request: Scan) -> Scanned:
        """Rows that include every match."""
        return Question(request, self._provider.load).answer(self._connections, self._statements)

    def purge_expired(self) -> int:
        """Delete expired rows; how many."""
        with self._connections.connection() as connection:
            return connection.execute(self._statements.purge(), (datetime.now(UTC),)).rowcount

    def _rows(self, items: Sequence[Item], results: dict[str, StorageResult]) -> Chunk:
        rows = []
        for item in items:
            try:
                with boundary(self._provider, "store", item.draft.key):
                    rows.append((item, row_of(item)))
            except StorageError as error:
                results[item.draft.key] = StorageResult(False, item.draft.key, error)
        return rows

    def _put(self, chunk: Chunk, *, overwrite: bool, own_times: bool) -> Iterator[StorageResult]:
        try:
            written = self._upsert(chunk, overwrite=overwrite, own_times=own_times)
        except _OF_ONE as error:
            yield from self._in_halves(chunk, error, overwrite=overwrite, own_times=own_times)
            return
        for item, row in chunk:
            if row.key in written:
                created_at, version = written[row.key]
                yield StorageResult(
                    True, row.key, None, row.size, version, created_at.astimezone(UTC), row.format
                )
            else:
                error_ = KeyExistsError("The key exists and overwrite=False")
                yield StorageResult(
                    False, row.key, error_.within(self._provider.name, "store", item.draft.key)
                )

    def _in_halves(
        self, chunk: Chunk, error: psycopg.Error, *, overwrite: bool, own_times: bool
    ) -> Iterator[StorageResult]:
        if middle := len(chunk) // 2:
            for half in (chunk[:middle], chunk[middle:]):
                yield from self._put(half, overwrite=overwrite, own_times=own_times)
            return
        [(_, row)] = chunk
        try:
            with boundary(self._provider, "store", row.key):
                raise error
        except StorageError as ours:
            yield StorageResult(False, row.key, ours)

    def _upsert(self, chunk: Chunk, *, overwrite: bool, own_times: bool) -> dict[str, tuple[datetime, str]]:
        statement = self._inserts[overwrite, own_times]
        columns = arrays.columns((row for _, row in chunk), BLOBS)
        now = [datetime.now(UTC)] * ((not own_times) + (not overwrite))
        for attempt in (1, 2):
            try:
                with self._connections.connection() as connection, connection.cursor() as cursor:
                    arrays.adapt(cursor)
                    rows = cursor.execute(statement, [*columns, *now]).fetchall()
                return {key: (created_at, version) for key, created_at, version in rows}
            except psycopg.errors.UndefinedTable:
                if attempt == 2:
                    raise
                self._make()
        raise AssertionError("unreachable")

    def _make(self) -> None:
        """Make the table; of several who do so at once, the others wait for the first and find it there."""
        name = ".".join(self._statements.names)
        lock = int.from_bytes(sha256(name.encode()).digest()[:8], "big", signed=True)
        with self._connections.connection() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock,))
            for schema in self._statements.names[:-1]:
                _make_schema(connection, schema)
            if find(connection, self._statements.table) is None:
                for statement in self._statements.create():
                    connection.execute(statement)


def _make_schema(connection: psycopg.Connection[Any], schema: str) -> None:
    # Even IF NOT EXISTS needs the right to make one.
    there = connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone()
    if there is None:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))


def _chunks(rows: Iterator[tuple[Item, Row]]) -> Iterator[Chunk]:
    chunk: Chunk = []
    size = 0
    for item, row in rows:
        if chunk and (len(chunk) >= CHUNK_ROWS or size + row.size > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append((item, row))
        size += row.size
    if chunk:
        yield chunk
