"""One SQLite file: opened when it is first used, and again when it was exchanged."""

from __future__ import annotations

import itertools
import os
import secrets
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import RLock

from praval_storage.errors import StorageError, StoragePermissionError, StorageTimeoutError
from praval_storage.keys import RESERVED_PREFIX

PATIENCE = 60.0
"""Seconds to wait for another process that is writing."""

_REBUILD = "Nothing was changed. rebuild_index() of the provider sets it aside and saves what can be read"
_REFUSED = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})


class Database:
    """A connection to one SQLite file in WAL mode, shared by the threads of a process.

    A thread that uses two databases at once takes the one made first before the other.

    Args:
        path: The file.
        schema: SQL that makes the tables of a new file; ends with its ``PRAGMA user_version``.
        version: The ``user_version`` this code reads and writes.
    """

    def __init__(self, path: str, schema: str, version: int) -> None:
        self.path = path
        self._schema = schema
        self._version = version
        self._lock = RLock()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._disconnect: Callable[[], object] = lambda: None
        _DATABASES[next(_NUMBERS)] = self

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """The connection, for this thread alone; ``None`` when there is no file."""
        with self._lock, explained(self.path):
            identity = _identity(self.path)
            if identity is None:
                self.close()
                yield None
            else:
                with self._connected(identity) as connection:
                    yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone; the file is made when there is none."""
        with self._lock, explained(self.path):
            if (identity := _identity(self.path)) is None:
                make(self.path, self._schema)
                identity = _identity(self.path) or (0, 0)
            with self._connected(identity) as connection:
                yield connection

    def close(self) -> None:
        """Let go of the file."""
        with self._lock, explained(self.path):
            self._connection = self._identity = None
            self._disconnect()

    def hold(self) -> None:
        """Close, and let nobody connect until :meth:`release`."""
        self._lock.acquire()
        self.close()

    def release(self) -> None:
        """Let others connect again."""
        self._lock.release()

    @contextmanager
    def _connected(self, identity: tuple[int, int]) -> Iterator[sqlite3.Connection]:
        if identity == self._identity and self._connection is not None:
            yield self._connection
            return
        self.close()
        connection, lasting = connect(self.path)
        with ExitStack() as stack:
            stack.callback(connection.close)
            self._check_version(connection)
            if lasting:
                stack.pop_all()
                self._connection, self._identity = connection, identity
                self._disconnect = weakref.finalize(self, connection.close)
            yield connection

    def _check_version(self, connection: sqlite3.Connection) -> None:
        [found] = connection.execute("PRAGMA user_version").fetchone()
        if found != self._version:
            raise StorageError(
                f"The index {self.path} has version {found}, this release reads version {self._version}",
                hint="Use the release of praval_storage that wrote it",
            )


# SQLite keeps the locks of a process in its memory, where a forked child finds them as they were: with an
# open connection the child would wait for a thread that is not there, or believe to have locks that only
# its parent has (https://www.sqlite.org/howtocorrupt.html, section 2.6). So nothing is open during a fork.

_NUMBERS = itertools.count()
_DATABASES: weakref.WeakValueDictionary[int, Database] = weakref.WeakValueDictionary()
_held: list[Database] = []


def _before_fork() -> None:
    for _, database in sorted(_DATABASES.items()):
        database.hold()
        _held.append(database)


def _after_fork() -> None:
    while _held:
        _held.pop().release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def make(path: str, schema: str) -> None:
    """Make the file with its tables, in one step: nobody ever sees it without them."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    temporary = f"{folder}/{RESERVED_PREFIX}-{secrets.token_hex(8)}.tmp"
    try:
        with closing(sqlite3.connect(temporary, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(schema)
        _publish(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def connect(path: str) -> tuple[sqlite3.Connection, bool]:
    """A connection, and whether it may be kept.

    Where nothing can be written, SQLite may be unable to share a WAL file. Then the file is read as it is,
    and opened anew each time because such a connection does not see changes.
    """
    try:
        return _connect(path, "mode=rw"), True
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _REFUSED or is_allowed(os.path.dirname(path), os.W_OK):
            raise
    try:
        return _connect(path, "mode=ro"), True
    except sqlite3.OperationalError:
        return _connect(path, "immutable=1"), False


@contextmanager
def explained(path: str) -> Iterator[None]:
    """SQLite's errors as ours, with what to do about them."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        what = f"The index {path}: {error}"
        if code in _BUSY:
            raise StorageTimeoutError(what, hint="Another process has been writing for a minute") from error
        if code in _REFUSED:
            raise StoragePermissionError(what, hint="Check the permissions of its directory") from error
        raise StorageError(what, hint=_REBUILD if code in _BROKEN else None) from error


def is_allowed(path: str, mode: int) -> bool:
    """Whether this user may do that (``os.R_OK | os.W_OK | os.X_OK``) with a path."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def sync_folder(path: str) -> None:
    """Make names that were given or taken in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _connect(path: str, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{Path(path).as_uri()}?{mode}",
        uri=True,
        timeout=PATIENCE,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        # Syncing a WAL file that grows costs twice as much as one that is written anew: keep it small.
        connection.execute("PRAGMA wal_autocheckpoint = 256")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _publish(temporary: str, path: str) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:  # another process was first
        return
    except OSError:  # a file system without hard links
        os.rename(temporary, path)
    sync_folder(os.path.dirname(path))
    sync_folder(os.path.dirname(os.path.dirname(path)))


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
