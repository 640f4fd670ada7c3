"""The metadata index of a directory: one row for each version of each record.

A row is written, and durable, before the file it describes gets its name; the file's signature (size and
a modification time we make unique) says which row is true. So rows may be left over, and never lie.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import orjson

from praval_storage.providers.filesystem.database import Database, connect, is_allowed
from praval_storage.providers.filesystem.rows import Row, Span, Sql
from praval_storage.providers.filesystem.tree import Signature

FOLDER = ".praval"
FIRST_PAGE, LAST_PAGE = 64, 4_096

_VERSION = 1
_SCHEMA = """
CREATE TABLE versions (
    key TEXT NOT NULL,
    mtime_ns INTEGER NOT NULL,
    size INTEGER NOT NULL,
    place TEXT,
    format TEXT NOT NULL,
    types TEXT,
    metadata TEXT NOT NULL,
    opaque TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    digest TEXT NOT NULL,
    PRIMARY KEY (key, mtime_ns)
) WITHOUT ROWID;
CREATE INDEX special ON versions (key) WHERE place IS NOT NULL OR expires_at IS NOT NULL;
PRAGMA user_version = 1;
"""
_SELECT = (
    "SELECT key, mtime_ns, size, place, format, types, metadata, opaque,"
    " created_at, updated_at, expires_at, digest, 1 FROM versions"
)
_SELECT_MARKED = (
    "SELECT key, mtime_ns, size, place, format, types, metadata, opaque,"
    " created_at, updated_at, expires_at, digest,"
)
_INSERT = "INSERT OR IGNORE INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Index:
    """The rows of one directory. Reading makes no file; two connections, so that readers never wait.

    Args:
        root: Absolute path of the directory.
        durable: Whether what was added outlives a power failure.
    """

    def __init__(self, root: str, *, durable: bool = True) -> None:
        self.path = f"{root}/{FOLDER}/index.sqlite"
        self._durable = durable
        # In this order: who writes may have to read.
        self._writer = Database(self.path, _SCHEMA, _VERSION)
        self._reader = Database(self.path, _SCHEMA, _VERSION)

    def rows(self, keys: Sequence[str]) -> dict[str, list[Row]]:
        """Every row of each of the keys, diverted ones first; keys without any are left out."""
        with self._reader.reading() as connection:
            return {} if connection is None else rows_of(connection, keys)

    def pages(self, where: Sql, span: Span, *, descending: bool = False) -> Iterator[list[Row]]:
        """The rows of a span that meet a condition, by key: each page as it is when it is asked for."""
        after: tuple[Any, ...] = ()
        size = FIRST_PAGE
        while True:
            page = self._page(where, span, after, size, descending)
            if page:
                yield page
            if len(page) < size:
                return
            after, size = page[-1][:2], min(size * 4, LAST_PAGE)

    def marked(self, mark: Sql, span: Span) -> list[Row]:
        """Every row of a span by key, ``selected`` where it meets a condition."""
        limits = _limits(span)
        texts = (_SELECT_MARKED, mark.text, "FROM versions WHERE", limits.text, "ORDER BY key, mtime_ns")
        with self._reader.reading() as connection:
            if connection is None:
                return []
            found = connection.execute(" ".join(texts), mark.parameters + limits.parameters).fetchall()
        return [*map(Row._make, found)]

    def diverted(self, span: Span, limit: int) -> list[str]:
        """Keys of a span that have a file of another name, in order."""
        return self._special("place IS NOT NULL", span, limit)

    def expiring(self, span: Span) -> bool:
        """Whether a record of a span was given an end."""
        return bool(self._special("expires_at IS NOT NULL", span, 1))

    def add(self, rows: Iterable[Row]) -> None:
        """Write rows; when this returns they are durable."""
        with self._writer.writing() as connection:
            if self._durable:
                connection.execute("PRAGMA synchronous = FULL")
            try:
                with _transaction(connection):
                    connection.executemany(_INSERT, [row[:-1] for row in rows])
            finally:
                connection.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def exclusive(self) -> Iterator[Exclusive]:
        """No other writer of this directory, in any process, does anything meanwhile."""
        with self._writer.writing() as connection, _transaction(connection):
            yield Exclusive(connection)

    def exists(self) -> bool:
        """Whether there is an index."""
        return os.path.exists(self.path)

    def is_writable(self) -> bool:
        """Whether there is an index that may be changed."""
        return is_allowed(self.path, os.W_OK) and is_allowed(os.path.dirname(self.path), os.W_OK)

    def set_aside(self) -> list[Row]:
        """Give the file another name; every row that can still be read from it."""
        self.close()
        if not self.exists():
            return []
        broken = f"{self.path}.broken-{time.time_ns()}"
        for suffix in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                os.rename(self.path + suffix, broken + suffix)
        return _salvaged(broken)

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()
        self._writer.close()

    def _special(self, condition: str, span: Span, limit: int) -> list[str]:
        limits = _limits(span)
        texts = (
            "SELECT DISTINCT key FROM versions WHERE",
            condition,
            "AND",
            limits.text,
            "ORDER BY key LIMIT ?",
        )
        with self._reader.reading() as connection:
            if connection is None:
                return []
            found = connection.execute(" ".join(texts), (*limits.parameters, limit)).fetchall()
        return [key for (key,) in found]

    def _page(self, where: Sql, span: Span, after: tuple[Any, ...], size: int, descending: bool) -> list[Row]:
        limits = _limits(span)
        texts = [_SELECT, "WHERE", limits.text, "AND (", where.text, ")"]
        if after:
            texts.append("AND (key, mtime_ns) < (?, ?)" if descending else "AND (key, mtime_ns) > (?, ?)")
        texts.append(
            "ORDER BY key DESC, mtime_ns DESC LIMIT ?" if descending else "ORDER BY key, mtime_ns LIMIT ?"
        )
        values = (*limits.parameters, *where.parameters, *after, size)
        with self._reader.reading() as connection:
            if connection is None:
                return []
            return [*map(Row._make, connection.execute(" ".join(texts), values).fetchall())]


class Exclusive:
    """What may be done to the index while nobody else writes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, keys: Sequence[str]) -> dict[str, list[Row]]:
        """As :meth:`Index.rows`."""
        return rows_of(self._connection, keys)

    def keep_only(self, rows: Iterable[Row]) -> None:
        """Remove every other row of the keys of these rows."""
        self._connection.executemany(
            "DELETE FROM versions WHERE key = ? AND mtime_ns <> ?", [row[:2] for row in rows]
        )

    def drop(self, rows: Iterable[Row]) -> None:
        """Remove these rows."""
        self._connection.executemany(
            "DELETE FROM versions WHERE key = ? AND mtime_ns = ?", [row[:2] for row in rows]
        )

    def relink(self, row: Row, signature: Signature) -> None:
        """Say that a row describes the file with this signature from now on."""
        self._connection.execute(
            "UPDATE OR REPLACE versions SET mtime_ns = ? WHERE key = ? AND mtime_ns = ?",
            (signature.mtime_ns, row.key, row.mtime_ns),
        )


def rows_of(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, list[Row]]:
    """Every row of each of the keys, diverted ones first."""
    if len(keys) == 1:
        found = connection.execute(" ".join((_SELECT, "WHERE key = ?")), (keys[0],)).fetchall()
    else:
        every = " ".join((_SELECT, "WHERE key IN (SELECT value FROM json_each(?))"))
        found = connection.execute(every, (orjson.dumps(keys).decode(),)).fetchall()
    rows: dict[str, list[Row]] = {}
    for row in map(Row._make, found):
        rows.setdefault(row.key, []).append(row)
    for versions in rows.values():
        if len(versions) > 1:
            versions.sort(key=lambda row: row.place is None)
    return rows


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    if connection.in_transaction:  # this thread's own
        yield
    else:
        yield from _began(connection)


def _began(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # Some errors have rolled it back already.
        with suppress(sqlite3.OperationalError):
            connection.execute("ROLLBACK")
        raise


def _limits(span: Span) -> Sql:
    limits = [("key >= ?", span.first), ("key < ?", span.beyond)]
    given = [(text, value) for text, value in limits if value is not None]
    return Sql(" AND ".join([text for text, _ in given]) or "1", tuple(value for _, value in given))


def _salvaged(path: str) -> list[Row]:
    """What can be read of a broken file: from its beginning and from its end, up to where it is broken."""
    rows: dict[tuple[str, int], Row] = {}
    for order in ("ORDER BY key, mtime_ns", "ORDER BY key DESC, mtime_ns DESC"):
        with suppress(sqlite3.DatabaseError), closing(connect(path)[0]) as connection:
            for values in connection.execute(" ".join((_SELECT, order))):
                row = Row._make(values)
                rows[row.key, row.mtime_ns] = row
    return [*rows.values()]
