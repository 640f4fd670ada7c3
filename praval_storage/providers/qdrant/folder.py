"""One folder of embedded collections, shared by every provider of this process that names it.

The engine lets one opener hold a collection, whichever process or object that is. So within a process all
providers on the same real path share the open shards, and the last one to let go closes them; to another
process we say who holds the folder and what to do.

``Folder.lock`` may be held for long, by a thread that then takes ``_folders_lock``. So nobody waits for the
first, or calls what might, while holding the second.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from praval_storage.errors import StorageConnectionError, StorageError

BUILDING = ".building-"
_HOLDER = ".holder-{}.json"
_BUSY = "WouldBlock"
_CURE = (
    "Close the manager in the other notebook (dm.close() or provider.close()), or shut its kernel down; for "
    "several processes at once set QDRANT_URL to a Qdrant server"
)
_FORKED = (
    "Open it in the child only, start workers with the 'spawn' method, or set QDRANT_URL to a Qdrant server"
)

T = TypeVar("T")


class Folder(Generic[T]):
    """The open shards of one folder.

    Attributes:
        lock: Held by whoever uses a shard.
        leases: How many providers have a share of it.
        notes: What is known of each open shard, for the adapter.
    """

    def __init__(self, path: Path, close: Callable[[T], None]) -> None:
        self.path = path
        self.lock = threading.RLock()
        self.leases = 0
        self.notes: dict[str, Any] = {}
        self._close = close
        self._pid = os.getpid()
        self._shards: dict[str, T] = {}
        self._unflushed: dict[str, int] = {}

    def opened(self, name: str, load: Callable[[Path], T]) -> T:
        """The shard of a collection, opened if it is not yet."""
        if name not in self._shards:
            self._shards[name] = self._open(name, load)
        return self._shards[name]

    def wrote(self, name: str, points: int) -> int:
        """Count points written; how many there are since the last flush."""
        self._unflushed[name] = self._unflushed.get(name, 0) + points
        return self._unflushed[name]

    def flushed(self, name: str) -> None:
        """Start counting again."""
        self._unflushed[name] = 0

    @contextmanager
    def lent(self, name: str, load: Callable[[Path], T]) -> Iterator[None]:
        """Close a shard for as long as another process works on its files; we stay the holder."""
        self._close(self._shards.pop(name))
        try:
            yield
        finally:
            self._shards[name] = self._open(name, load)

    def forget(self, name: str) -> None:
        """Drop the handle of a shard whose files are gone."""
        self.notes.pop(name, None)
        if name in self._shards:
            with suppress(Exception):  # it cannot save what has no files
                self._close(self._shards.pop(name))

    def close(self) -> None:
        """Close every shard. In a forked child there is nothing to close: the files are the parent's."""
        if self._pid != os.getpid():
            return
        with self.lock:
            self._close_all()

    def close_unused(self, *, wait: bool) -> None:
        """Close every shard unless somebody has a share by then; a call under way may finish first.

        Args:
            wait: Whether to wait for that; who does not leaves it to somebody who does.
        """
        if self._pid != os.getpid() or not self.lock.acquire(blocking=wait):
            return
        try:
            if not self.leases:
                self._close_all()
        finally:
            self.lock.release()

    def _close_all(self) -> None:
        self._unflushed.clear()
        self.notes.clear()
        with ExitStack() as closing:  # one that cannot be closed keeps no other open
            while self._shards:
                name, shard = self._shards.popitem()
                closing.callback(self._holder(name).unlink, missing_ok=True)
                closing.callback(self._close, shard)

    def _open(self, name: str, load: Callable[[Path], T]) -> T:
        try:
            shard = load(self.path / name)
        except Exception as error:
            if _BUSY not in str(error):
                raise
            raise self._busy(name) from error
        _announce(self._holder(name))
        return shard

    def _busy(self, name: str) -> StorageError:
        try:
            holder = json.loads(self._holder(name).read_text(encoding="utf-8"))
            who = f"process {holder['pid']} on {holder['host']} ({holder['program']})"
        except (OSError, ValueError, LookupError):
            who = "another process"
        return StorageConnectionError(
            f"The embedded Qdrant collection {name!r} in {self.path} is in use by {who}", hint=_CURE
        )

    def _holder(self, name: str) -> Path:
        return self.path / _HOLDER.format(name)

    def check_fork(self) -> None:
        """Raise in a process that inherited the folder."""
        if self._pid != os.getpid():
            raise StorageConnectionError(
                f"The embedded Qdrant folder {self.path} was opened before this process was forked off",
                hint=_FORKED,
            )

    @property
    def is_abandoned(self) -> bool:
        """Whether a process inherited the folder and has let go of it: it may open it anew."""
        return self._pid != os.getpid() and not self.leases

    def keep_in_child(self) -> bool:
        """Never run the destructors of the parent's shards in a forked child: they would write.

        Returns:
            Whether there are any.
        """
        for shard in self._shards.values():
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(shard))
        return bool(self._shards)


class Lease:
    """One provider's share of a folder; taken on first use and again after :meth:`release`.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder: Folder[Any] | None = None
        self._finalizer: Any = None

    def folder(self, close: Callable[[T], None]) -> Folder[T]:
        """The shared folder."""
        folder = self._folder or self._taken(Folder(self._path.resolve(), close))
        folder.check_fork()  # before its lock, which another thread may have held while forking
        return folder

    def release(self) -> None:
        """Let go of the folder; the last one closes its shards."""
        with _folders_lock:
            folder, self._folder = self._folder, None
            if folder is None:
                return
            self._finalizer.detach()
            folder.leases -= 1
        folder.close_unused(wait=True)

    def _taken(self, new: Folder[T]) -> Folder[T]:
        with _folders_lock:
            if self._folder is None:
                path = str(new.path)
                if path not in _folders or _folders[path].is_abandoned:
                    _folders[path] = new
                folder = _folders[path]
                folder.leases += 1
                # A provider that is dropped without close() lets go as well.
                self._finalizer = weakref.finalize(self, _give_back, folder)
                self._folder = folder
            return self._folder


# A folder stays here when it is closed: a thread may be about to use it.
_folders: dict[str, Folder[Any]] = {}
# Collecting garbage, which may happen anywhere, gives leases back: hence one that is taken twice.
_folders_lock = threading.RLock()


def _give_back(folder: Folder[Any]) -> None:
    with _folders_lock:
        folder.leases -= 1
    # Who uses it without a lease has been deprived of it by release(), which waits.
    folder.close_unused(wait=False)


def _announce(path: Path) -> None:
    """Who we are, for the message another process shows; not needed for the lock itself."""
    program = " ".join(sys.argv[:2]) or sys.executable
    who = {"pid": os.getpid(), "host": socket.gethostname(), "program": program[:200]}
    with suppress(OSError):  # a read-only folder can still be read
        path.write_text(json.dumps(who), encoding="utf-8")


def _close_all() -> None:
    for folder in list(_folders.values()):
        folder.close()


def _forked() -> None:
    global _folders_lock  # noqa: PLW0603 - another thread may have held it while forking
    _folders_lock = threading.RLock()
    for path, folder in list(_folders.items()):
        if not folder.keep_in_child():
            del _folders[path]


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
