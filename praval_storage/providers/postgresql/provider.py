"""Records as rows of a PostgreSQL table, and other people's tables for reading."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import psycopg
from psycopg import sql

from praval_storage.base import (
    BaseStorageProvider,
    CanBrowse,
    CanPurge,
    CanQuery,
    CanTransact,
    ErrorMap,
    HasCollections,
    Item,
    RecordProvider,
    StorageResult,
)
from praval_storage.diagnosis import Checkup
from praval_storage.errors import (
    ConfigurationError,
    StorageConnectionError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
)
from praval_storage.filters import EVERYTHING
from praval_storage.places import Look, Measured, Seen, from_token
from praval_storage.providers.postgresql import browsing
from praval_storage.providers.postgresql.browsing import Bounded
from praval_storage.providers.postgresql.browsing_records import Records
from praval_storage.providers.postgresql.browsing_rows import Rows
from praval_storage.providers.postgresql.checkup import examine
from praval_storage.providers.postgresql.connections import Connections
from praval_storage.providers.postgresql.existing import ExistingTable
from praval_storage.providers.postgresql.layout import Layout
from praval_storage.providers.postgresql.names import collection_of, dotted, parts_of, schema_and_table
from praval_storage.providers.postgresql.settings import DEFAULT_TABLE, PostgreSQLSettings
from praval_storage.providers.postgresql.statements import COLUMNS, MARK, Statements
from praval_storage.providers.postgresql.table import CHANGED, RecordTable
from praval_storage.providers.postgresql.transactions import Held, transaction
from praval_storage.records import Stored
from praval_storage.scan import Scan, Scanned

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

_FIND = """
SELECT n.nspname, obj_description(c.oid, 'pg_class'), ARRAY(
    SELECT a.attname::text || ' ' || format_type(a.atttypid, NULL) FROM pg_attribute AS a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass(%s)
"""
_TABLES = """
SELECT n.nspname, c.relname, n.nspname = coalesce(%s, current_schema())
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%%'
  AND has_table_privilege(c.oid, 'SELECT')
ORDER BY 3 DESC, 1, 2
"""

_CURES: dict[type[BaseException], str] = {
    psycopg.errors.InsufficientPrivilege: "Ask the owner of the table to GRANT this role what it needs;"
    " dm.doctor() says what is missing",
    psycopg.errors.ReadOnlySqlTransaction: "This server or database takes no writes: connect to the primary",
    psycopg.errors.QueryCanceled: "Ask for less at once, make an index, or raise statement_timeout=",
    psycopg.errors.LockNotAvailable: "Somebody holds a lock on the table: try again, or raise lock_timeout",
    psycopg.errors.DiskFull: "Free some space on the disk of the server",
    psycopg.errors.InsufficientResources: "The server has no room for this now: try again, or ask for less",
    psycopg.errors.ProgramLimitExceeded: "This is too large for PostgreSQL (a text in JSON holds 256 MB, a"
    " row 1 GB, an index entry 2.7 kB): store it on filesystem or s3, and its reference here",
    psycopg.errors.DeadlockDetected: "Try again: two writers were waiting for each other",
}

T = TypeVar("T")


class PostgreSQLProvider(RecordProvider, CanQuery, CanPurge, CanTransact, CanBrowse, HasCollections):
    """Keeps each record as a row: ``key``, ``data`` and ``metadata`` as JSONB, ``created_at`` and more.

    The table is made by the first write. A table (or view) that is there and is not of this layout is read
    only: its rows are dicts, its primary key is the key.

    A collection is a table: ``"customers"`` of the provider's schema, ``"sales.customers"`` of another.

    Args:
        host: Server.
        port: Its port.
        database: Database.
        user: Role; what libpq takes when left out.
        password: Its password.
        dsn: Connection URI or keyword string instead of these five.
        table: Table of the records.
        schema: Its schema, made by the first write if it is missing; the first of the search path when left
            out.
        sslmode: libpq's ``sslmode``, for example ``"require"``.
        timeout: Seconds to wait for a connection.
        statement_timeout: Seconds after which the server gives up a statement; ``None`` = as it is set up.
        max_connections: How many there may be at the same time.
        prepare_threshold: Executions after which a statement is prepared on the server; ``None`` = never, as
            PgBouncer before 1.22 needs.
        client: A ready ``psycopg_pool.ConnectionPool`` or ``psycopg.Connection`` in autocommit mode to use
            instead; it is never closed here.
        allow_pickle: Whether pickled data may be written and read. Reading pickles runs code.
    """

    libraries = ("psycopg", "psycopg-pool")
    cures: ClassVar[Mapping[type[BaseException], str]] = _CURES
    errors: ClassVar[ErrorMap] = {
        psycopg.errors.InsufficientPrivilege: StoragePermissionError,
        psycopg.errors.InvalidAuthorizationSpecification: StoragePermissionError,
        psycopg.errors.ReadOnlySqlTransaction: StoragePermissionError,
        psycopg.errors.QueryCanceled: StorageTimeoutError,
        psycopg.errors.LockNotAvailable: StorageTimeoutError,
        psycopg.errors.InsufficientResources: StorageError,
        psycopg.errors.ProgramLimitExceeded: StorageError,
        psycopg.OperationalError: StorageConnectionError,
        psycopg.InterfaceError: StorageConnectionError,
        psycopg.Error: StorageError,
        **RecordProvider.errors,
    }

    def __init__(
        self,
        host: str = "localhost",
        port: int = 5432,
        database: str = "praval",
        user: str | None = None,
        password: str | None = None,
        *,
        dsn: str | None = None,
        table: str = DEFAULT_TABLE,
        schema: str | None = None,
        sslmode: str | None = None,
        timeout: float = 5.0,
        statement_timeout: float | None = None,
        max_connections: int = 4,
        prepare_threshold: int | None = 5,
        client: ConnectionPool[Any] | psycopg.Connection[Any] | None = None,
        allow_pickle: bool = False,
    ) -> None:
        super().__init__("postgresql", allow_pickle=allow_pickle)
        settings = PostgreSQLSettings(
            host,
            port,
            database,
            user,
            password,
            dsn,
            table,
            schema,
            sslmode,
            timeout,
            max_connections,
            prepare_threshold,
            statement_timeout,
        )
        if client is not None and settings != PostgreSQLSettings(table=table, schema=schema):
            raise ConfigurationError(
                "client is given together with other settings", hint="It brings its own place"
            )
        self._bind(settings, Connections(settings, client), schema)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        provider = cls()
        settings = PostgreSQLSettings.from_env(environ)
        provider._bind(settings, Connections(settings), settings.schema)
        return provider

    def _bind(self, settings: PostgreSQLSettings, connections: Connections, home: str | None) -> None:
        self.settings = settings
        self._home = home
        self._connections = connections
        self._known: RecordTable | None = None
        self._statements = Statements(tuple(filter(None, (settings.schema, settings.table))))

    # Records

    def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
        return self._on_table(lambda table: (table or self._own()).put(items, overwrite=overwrite))

    def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
        return self._on_table(
            lambda table: [None] * len(keys) if table is None else table.read(keys, bodies=bodies)
        )

    def remove(self, keys: Sequence[str]) -> list[bool]:
        return self._on_table(lambda table: [False] * len(keys) if table is None else table.remove(keys))

    def scan(self, request: Scan) -> Scanned:
        nothing = Scanned((), request.where, ordered=True)
        return self._on_table(lambda table: nothing if table is None else table.scan(request))

    def purge_expired(self) -> int:
        return self._on_table(lambda table: 0 if table is None else table.purge_expired())

    # Collections

    @property
    def collection(self) -> str:
        """The table; with its schema when it is not the one the provider was made for."""
        schema, table = self.settings.schema, self.settings.table
        return collection_of(None if schema == self._home else schema, table)

    def collections(self) -> list[str]:
        """Tables and views that can be read: those of this schema by name, others as ``schema.table``."""
        with self._connections.connection() as connection:
            rows = connection.execute(_TABLES, (self._home,)).fetchall()
        return [collection_of(None if is_own else schema, table) for schema, table, is_own in rows]

    def in_collection(self, name: str) -> Self:
        """The same connections bound to another table: ``"table"`` or ``"schema.table"``.

        A table whose name holds a dot or a quote is quoted as in SQL: ``sales."a.b"``.
        """
        if name == self.collection:
            return self._through(self._connections, self.settings)
        schema, table = schema_and_table(name)
        settings = replace(self.settings, table=table, schema=schema or self._home)
        return self._through(self._connections, settings)

    # Transactions

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        with transaction(self._connections) as held:
            yield self._through(held, self.settings)

    def joining(self, other: BaseStorageProvider) -> Self | None:
        if not isinstance(other, PostgreSQLProvider):
            return None
        held = other._connections  # noqa: SLF001 - one of ours
        if isinstance(held, Held) and held.leads_where(self._connections):
            return self._through(held, self.settings)
        return None

    def _through(self, connections: Connections, settings: PostgreSQLSettings) -> Self:
        bound = type(self)(allow_pickle=self.allow_pickle)
        bound._bind(settings, connections, self._home)  # noqa: SLF001 - one of ours
        return bound

    # Looking around

    def home(self) -> str:
        return dotted(self._own_schema(), self.settings.table)

    def look(self, request: Look) -> Seen:
        from_token(request.token)
        connections = Bounded(self._connections)
        match parts_of(request.path):
            case []:
                return browsing.schemas(connections, request)
            case [schema]:
                return browsing.relations(connections, request, schema)
            case [schema, table]:
                return self._rows(connections, schema, table, request)
            case _:
                return Seen(note="There is no such place")

    def measure(self, path: str) -> Iterator[Measured]:
        connections = Bounded(self._connections, browsing.COUNTS)
        return browsing.measure(connections, browsing.tables(connections, parts_of(path)))

    def _rows(self, connections: Connections, schema: str, table: str, request: Look) -> Seen:
        own = (schema, table) == (self._own_schema(), self.settings.table)
        collection = None if own else collection_of(schema, table)
        with connections.connection() as connection:
            facts = browsing.facts(connection, schema, table)
        if facts is None:
            return Seen(note="There is no such table, or it may not be read")
        source = self if collection is None else self.in_collection(collection)
        if facts.is_ours:
            statements = Statements((schema, table))
            seen = Records(connections, statements, source.load).look(source, request)
        else:
            seen = Rows(connections, schema, table).look(source, request)
        is_whole = request.where == EVERYTHING and not request.text
        return replace(
            seen,
            collection=collection,
            total=facts.rows if is_whole else None,
            columns=facts.columns,
            read_only=facts.read_only,
        )

    def _own_schema(self) -> str:
        if self.settings.schema is not None:
            return self.settings.schema
        with self._connections.connection() as connection:
            row = connection.execute("SELECT current_schema()").fetchone()
        return (row and row[0]) or "public"

    # Life cycle

    def health(self) -> str:
        with self._connections.connection() as connection:
            version = connection.info.parameter_status("server_version") or ""
            connection.execute("SELECT 1")
        return f"PostgreSQL {version.partition(' ')[0]} at {self.settings.place}"

    def diagnose(self) -> Checkup:
        with self._connections.connection() as connection:
            return examine(connection, self._statements, self.settings.schema, read_only=self.read_only)

    def close(self) -> None:
        self._known = None
        self._connections.close()

    def secrets(self) -> Iterable[str]:
        return self.settings.secrets()

    @property
    def place(self) -> str:
        server = "client" if self._connections.given is not None else self.settings.place
        return f"{self.collection!r} at {server}"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._connections.given is not None:
            raise ConfigurationError(
                "A provider made with client= cannot be pickled", hint="Make it with dsn="
            )
        return _restored, (type(self), self.settings, self._home, self.allow_pickle)

    # The table

    def _on_table(self, work: Callable[[Layout | None], T]) -> T:
        try:
            return work(self._layout())
        except CHANGED:
            # Somebody has dropped or replaced it since we looked.
            self._known = None
            return work(self._layout())

    def _layout(self) -> Layout | None:
        """What the table is; ``None`` when it is not there. Only of our own it is remembered."""
        if self._known is not None:
            return self._known
        with self._connections.connection() as connection:
            row = connection.execute(_FIND, (self._statements.table.as_string(connection),)).fetchone()
        if row is None:
            return None
        schema, comment, columns = row
        if comment != MARK and not set(columns) >= COLUMNS:
            return ExistingTable(self._connections, schema, self.settings.table)
        self._known = self._own()
        return self._known

    def _own(self) -> RecordTable:
        return RecordTable(self, self._connections, self._statements, self.load, self._make)

    def _make(self) -> None:
        """Make the table; of several who do so at once, the others wait for the first and find it there."""
        name = f"{self.settings.schema}.{self.settings.table}"
        lock = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        with self._connections.connection() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock,))
            if self.settings.schema is not None:
                _make_schema(connection, self.settings.schema)
            if connection.execute(_FIND, (self._statements.table.as_string(connection),)).fetchone() is None:
                for statement in self._statements.create():
                    connection.execute(statement)


def _make_schema(connection: psycopg.Connection[Any], schema: str) -> None:
    # Even IF NOT EXISTS needs the right to make one.
    there = connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone()
    if there is None:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))


def _restored(
    kind: type[PostgreSQLProvider], settings: PostgreSQLSettings, home: str | None, allow_pickle: bool
) -> PostgreSQLProvider:
    provider = kind(allow_pickle=allow_pickle)
    provider._bind(settings, Connections(settings), home)  # noqa: SLF001 - one of ours
    return provider
