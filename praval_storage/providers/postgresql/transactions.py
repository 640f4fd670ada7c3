"""One transaction of the database, on one connection that is held from its beginning to its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from threading import RLock
from time import monotonic, sleep

import psycopg
from psycopg.pq import TransactionStatus

from praval_storage.errors import ConfigurationError, StorageError, TransactionError
from praval_storage.providers.postgresql.connections import Connection, Connections, be_patient, patience
from praval_storage.providers.postgresql.interrupts import contextmanager, has_open_block, unbroken
from praval_storage.providers.postgresql.settings import PostgreSQLSettings

_PAUSE = 0.05
_LOST = (psycopg.OperationalError, psycopg.InterfaceError)


class Held(Connections):
    """Connections as providers want them, which all are the one that holds the transaction.

    Each use is a savepoint: a statement that fails takes back what was done in this use, and the rest of the
    transaction stays. After the end they are those outside.

    Args:
        outside: The connections of the provider whose transaction it is.
        connection: Where the transaction is.
    """

    def __init__(self, outside: Connections, connection: Connection) -> None:
        super().__init__(outside.settings, outside.given)
        self._outside = outside
        self._connection = connection
        self._turn = RLock()
        self._is_over = False
        self._owner = os.getpid()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """The connection, for one piece of work.

        Raises:
            TransactionError: This process was forked off in the middle: the connection is its parent's.
            StorageError: An earlier piece of work was interrupted and is not ended.
        """
        if self._is_over:
            with self._outside.connection() as connection:
                yield connection
            return
        self._check_owner()
        with self._turn:
            self._check_blocks()
            with patience(), self._connection.transaction(), unbroken(self._connection):
                yield self._connection

    def leads_where(self, others: Connections) -> bool:
        """Whether other connections are to the same database, by the same role."""
        mine, theirs = self._outside, others
        if mine is theirs or mine.given is not None or theirs.given is not None:
            return mine is theirs
        return mine.settings.options() == theirs.settings.options()

    def close(self) -> None:
        """Leave the connection to the transaction."""

    def commit(self) -> None:
        """Commit.

        Raises:
            psycopg.Error: It has not.
            StorageError: It has not, as a piece of work was interrupted and is not ended.
            TransactionError: Nobody says whether it has: the connection was lost meanwhile, or something else
                had ended it there; or this process was forked off in the middle.
        """
        self._check_owner()
        self._check_blocks()
        [number] = self._connection.execute("SELECT txid_current_if_assigned()").fetchone() or [None]
        if self._connection.info.transaction_status != TransactionStatus.INTRANS:
            raise TransactionError(
                "Something else has ended the transaction on its connection, committed or rolled back",
                hint="Look whether the records are there",
            )
        try:
            self._connection.execute("COMMIT")
        except _LOST as error:
            if number is not None and not _has_committed(self._outside, number, error):
                raise

    def roll_back(self) -> None:
        """Roll back; a server that no longer hears us does so by itself. A forked child leaves it alone."""
        if self._owner != os.getpid():
            return
        try:
            self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self._connection.close()
        if has_open_block(self._connection):  # it would roll back whatever is going on when it is left
            self._connection.close()

    def end(self) -> None:
        """Let go of the connection."""
        self._is_over = True

    def _check_owner(self) -> None:
        if self._owner != os.getpid():
            raise TransactionError(
                "The transaction belongs to the process from which this one was forked off",
                hint="Begin another one here",
            )

    def _check_blocks(self) -> None:
        if has_open_block(self._connection):
            raise StorageError(
                "A call of the transaction was interrupted, and what it did cannot be told from the rest",
                hint="Leave the block; everything is undone then",
            )


@contextmanager
def transaction(outside: Connections) -> Iterator[Held]:
    """A transaction, committed at the end, and rolled back by an exception."""
    with outside.held() as connection:
        if connection.info.transaction_status != TransactionStatus.IDLE:
            raise ConfigurationError(
                "The connection that was passed in is in a transaction already",
                hint="Finish that one first, or pass in a pool",
            )
        held = Held(outside, connection)
        connection.execute("BEGIN")
        try:
            be_patient(connection)
            yield held
            held.commit()
        except BaseException:
            held.roll_back()
            raise
        finally:
            held.end()


def _status(settings: PostgreSQLSettings, number: int) -> str | None:
    """What became of it, as the database says; it may take a moment to notice a lost connection."""
    deadline = monotonic() + settings.timeout
    with psycopg.connect(**settings.options(), autocommit=True) as connection:
        while True:
            row = connection.execute("SELECT txid_status(%s)", (number,)).fetchone()
            said: str | None = row and row[0]
            if said != "in progress" or monotonic() > deadline:
                return said
            sleep(_PAUSE)


def _has_committed(connections: Connections, number: int, error: Exception) -> bool:
    """Ask the database over another connection what became of a transaction."""
    said = None
    with suppress(psycopg.Error):  # then it cannot be known
        if connections.given is None:
            said = _status(connections.settings, number)
    if said in {"committed", "aborted"}:
        return said == "committed"
    raise TransactionError(
        "The connection was lost during the commit, and whether the database has committed is not known",
        hint="Look whether the records are there once the server answers again",
    ) from error
