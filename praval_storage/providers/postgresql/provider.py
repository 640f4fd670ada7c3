"""Records as rows of a PostgreSQL table, and other people's tables for reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

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
from praval_storage.errors import ConfigurationError
from praval_storage.places import Look, Measured, Seen, from_token
from praval_storage.providers.postgresql import browsing, catalog
from praval_storage.providers.postgresql.browsing import Bounded
from praval_storage.providers.postgresql.checkup import examine
from praval_storage.providers.postgresql.connections import Connections
from praval_storage.providers.postgresql.existing import ExistingTable
from praval_storage.providers.postgresql.failures import CURES, ERRORS
from praval_storage.providers.postgresql.interrupts import contextmanager
from praval_storage.providers.postgresql.layout import Layout
from praval_storage.providers.postgresql.names import collection_of, dotted, parts_of, schema_and_table
from praval_storage.providers.postgresql.settings import DEFAULT_TABLE, PostgreSQLSettings
from praval_storage.providers.postgresql.statements import Statements
from praval_storage.providers.postgresql.table import CHANGED, RecordTable
from praval_storage.providers.postgresql.transactions import Held, transaction
from praval_storage.records import Stored
from praval_storage.scan import Scan, Scanned

if TYPE_CHECKING:
    import psycopg
    from psycopg_pool import ConnectionPool

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
    cures: ClassVar[Mapping[type[BaseException], str]] = CURES
    errors: ClassVar[ErrorMap] = {**ERRORS, **RecordProvider.errors}

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
            return catalog.collections(connection, self._home)

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

    def place_of(self, keys: str) -> str | None:
        return None if keys else self.home()  # a table has no places in it

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
        return browsing.measure(Bounded(self._connections, browsing.COUNTS), path)

    def _rows(self, connections: Connections, schema: str, table: str, request: Look) -> Seen:
        with connections.connection() as connection:
            known = catalog.facts(connection, schema, table)
        if known is None:
            return Seen(note="There is no such table, or it may not be read")
        own = (schema, table) == (self._own_schema(), self.settings.table)
        collection = None if own else collection_of(schema, table)
        source = self if collection is None else self.in_collection(collection)
        seen = browsing.rows(connections, (schema, table), known, source, request)
        return replace(seen, collection=collection)

    def _own_schema(self) -> str:
        if self.settings.schema is not None:
            return self.settings.schema
        with self._connections.connection() as connection:
            return catalog.current_schema(connection)

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
            found = catalog.find(connection, self._statements.table)
        if found is None:
            return None
        if not found.is_ours:
            return ExistingTable(self._connections, found.schema, self.settings.table)
        self._known = self._own()
        return self._known

    def _own(self) -> RecordTable:
        return RecordTable(self, self._connections, self._statements)


def _restored(
    kind: type[PostgreSQLProvider], settings: PostgreSQLSettings, home: str | None, allow_pickle: bool
) -> PostgreSQLProvider:
    provider = kind(allow_pickle=allow_pickle)
    provider._bind(settings, Connections(settings), home)  # noqa: SLF001 - one of ours
    return provider
