"""Connections to one database: a pool that says why it has none, and survives restarts and forks."""

from __future__ import annotations

import logging
import os
import weakref
from collections import Counter
from collections.abc import Iterator
from threading import Lock, get_ident
from time import monotonic
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from praval_storage.errors import (
    ConfigurationError,
    StorageConnectionError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
)
from praval_storage.providers._contact import FirstContact
from praval_storage.providers.postgresql.interrupts import contextmanager
from praval_storage.providers.postgresql.settings import PostgreSQLSettings

Connection = psycopg.Connection[Any]

IDLE_SECONDS = 60.0
"""How long a connection that nobody uses is kept; servers have few of them."""
FRESH_SECONDS = 1.0
"""A connection used so recently is not asked whether it is still there."""

LOCK_SECONDS = 10
"""How long what is part of a transaction, or beside one in its thread, waits for a lock."""
_HOLDERS: Counter[int] = Counter()
"""How many transactions a thread has open."""

_REASONS = {
    "password authentication failed": (StoragePermissionError, "Check user and password"),
    "no password supplied": (StoragePermissionError, "Pass password=, or set POSTGRES_PASSWORD"),
    "pg_hba.conf": (StoragePermissionError, "The server's pg_hba.conf does not let this user in from here"),
    "does not exist": (StorageConnectionError, "Check the names of database and user"),
    "too many": (StorageConnectionError, "The server has no connection left; close some, or raise its limit"),
    "timeout": (StorageConnectionError, "Check host and port, and whether a firewall is between"),
}
_ADVICE = "Check that PostgreSQL is running there, and host and port"

# Its workers report each failed attempt; the error that is raised says it once, and with what to do.
logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())
logging.getLogger("psycopg.pool").propagate = False


class Connections:
    """Autocommit connections of one database, shared by all threads of a process.

    Args:
        settings: Where they lead.
        given: A pool or a connection of the user, which is never closed here.
    """

    def __init__(
        self, settings: PostgreSQLSettings, given: ConnectionPool[Any] | Connection | None = None
    ) -> None:
        self.settings = settings
        self.given = given
        self._lock = Lock()
        self._one = Lock()
        self._holder: int | None = None
        self._contact = FirstContact(settings.timeout)
        self._pool: ConnectionPool[Connection] | None = None
        self._owner = os.getpid()
        self._used: weakref.WeakKeyDictionary[Connection, float] = weakref.WeakKeyDictionary()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection for one piece of work.

        Raises:
            StorageConnectionError: There is none to be had, and why.
            StoragePermissionError: The server refuses this user.
            StorageTimeoutError: All connections are in use; or a transaction of this thread is in the way.
        """
        if not _HOLDERS[get_ident()]:
            with self._taken() as connection:
                yield connection
            return
        # What waits for a transaction of its own thread would wait for ever.
        with self._taken() as connection, patience(), connection.transaction():
            be_patient(connection)
            yield connection

    @contextmanager
    def held(self) -> Iterator[Connection]:
        """A connection for a transaction of this thread."""
        holder = get_ident()
        with self._taken() as connection:
            self._holder = holder if connection is self.given else None
            _HOLDERS[holder] += 1
            try:
                yield connection
            finally:
                self._holder = None
                _HOLDERS[holder] -= 1

    @contextmanager
    def _taken(self) -> Iterator[Connection]:
        if isinstance(self.given, psycopg.Connection):
            if self._holder == get_ident():
                raise StorageTimeoutError(
                    "The connection that was passed in is held by a transaction of this thread",
                    hint="Use the transaction, or pass in a pool",
                )
            with self._one:
                yield self._checked(self.given)
            return
        pool = self._ready() if self.given is None else self.given
        connection, taker = self._take(pool), os.getpid()
        try:
            yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError):
            if connection.closed and pool is self._pool:
                self.close()  # the others have lost their server as well
            raise
        finally:
            if taker == os.getpid():  # in a forked child it is the parent's
                self._used[connection] = monotonic()
                pool.putconn(connection)

    def close(self) -> None:
        """Close the connections made here; the next use makes new ones."""
        self._contact.forget()
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None and self._owner == os.getpid():
            pool.close()

    def _ready(self) -> ConnectionPool[Connection]:
        with self._lock:
            if self._owner != os.getpid():  # a fork: the connections are the parent's
                self._pool, self._owner = None, os.getpid()
            if self._pool is not None:
                return self._pool
        self._probe()
        with self._lock:
            if self._pool is None:
                self._pool = self._open()
            return self._pool

    def _open(self) -> ConnectionPool[Connection]:
        settings = self.settings
        pool: ConnectionPool[Connection] = ConnectionPool(
            kwargs={
                **settings.options(),
                "autocommit": True,
                "prepare_threshold": settings.prepare_threshold,
            },
            min_size=0,
            max_size=settings.max_connections,
            max_idle=IDLE_SECONDS,
            timeout=settings.timeout,
            check=self._check,
            open=False,
            name="praval_storage",
        )
        pool.open()
        weakref.finalize(self, _close, pool, os.getpid())
        return pool

    def _take(self, pool: ConnectionPool[Any]) -> Connection:
        try:
            return self._checked(pool.getconn())
        except PoolTimeout as error:
            if self.given is None:
                self._contact.forget()
                self._probe()
            raise StorageTimeoutError(
                f"All connections to PostgreSQL at {self.settings.place} are in use",
                hint="Raise max_connections=, or finish what holds them, such as an iter_query",
            ) from error

    def _probe(self) -> None:
        """Connect once, to have the reason when that fails: the pool only says that it took too long."""
        options = self.settings.options()
        try:
            self._contact.ensure(lambda: psycopg.connect(**options).close())
        except TimeoutError as error:
            reason = f"timeout: no answer within {self.settings.timeout:g} s"
            raise self._lost(reason) from error
        except psycopg.OperationalError as error:
            raise self._lost(str(error)) from error

    def _lost(self, reason: str) -> StorageError:
        self.close()  # a second attempt need not wait for what the pool has
        return _explained(self.settings.place, reason)

    def _check(self, connection: Connection) -> None:
        if monotonic() - self._used.get(connection, 0.0) > FRESH_SECONDS:
            ConnectionPool.check_connection(connection)

    def _checked(self, connection: Connection) -> Connection:
        if not connection.autocommit:
            raise ConfigurationError(
                "A connection that is passed in must be in autocommit mode",
                hint="psycopg.connect(..., autocommit=True), or ConnectionPool(kwargs={'autocommit': True})",
            )
        return connection


def be_patient(connection: Connection) -> None:
    """Let what the transaction of a connection waits for not be waited for for ever."""
    connection.execute("SELECT set_config('lock_timeout', %s, true)", (f"{LOCK_SECONDS}s",))


@contextmanager
def patience() -> Iterator[None]:
    """Say what to do when a lock was waited for in vain."""
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        raise StorageTimeoutError(
            f"Another transaction has held what this call needs for more than {LOCK_SECONDS} s",
            hint="Inside a transaction's block, use only that transaction for its records",
        ) from error


def _explained(place: str, reason: str) -> StorageError:
    kind, hint = next((found for words, found in _REASONS.items() if words in reason), (None, _ADVICE))
    error = (kind or StorageConnectionError)(f"Could not connect to PostgreSQL at {place}: {_brief(reason)}")
    error.hint = hint
    return error


def _brief(reason: str) -> str:
    """libpq's reason in one line, without its advice."""
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    return "; ".join(line for line in lines if not line.endswith("?"))


def _close(pool: ConnectionPool[Any], owner: int) -> None:
    if owner == os.getpid():
        pool.close()
