"""``InMemoryProvider``: the smallest provider that keeps whole records, to read, to copy and to test with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from threading import RLock

from praval_storage.base import CanPurge, CanQuery, Item, RecordProvider, StorageResult
from praval_storage.records import Stored
from praval_storage.scan import Scan, Scanned


class InMemoryProvider(RecordProvider, CanQuery, CanPurge):
    """Encoded records in a dict: every type, expiry and filter, no pushdown, gone with the process.

    Args:
        name: What it is called in messages.
        allow_pickle: Whether pickled data may be written and read.
    """

    def __init__(self, name: str = "memory", *, allow_pickle: bool = False) -> None:
        super().__init__(name, allow_pickle=allow_pickle)
        self._rows: dict[str, Stored] = {}
        self._lock = RLock()

    def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
        """Keep the bodies, one item after the other under one lock."""
        with self._lock:
            return self.put_each(items, overwrite, self._live, self._keep)

    def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
        """The rows as they are; the bodies are at hand anyway."""
        with self._lock:
            return [self._live(key) for key in keys]

    def remove(self, keys: Sequence[str]) -> list[bool]:
        """Drop rows; a key that comes twice is there only once."""
        with self._lock:
            return [self._pop(key) for key in keys]

    def scan(self, request: Scan) -> Scanned:
        """Every row, in the order of the first writes; the whole filter is left to the caller."""
        with self._lock:
            return Scanned(list(self._rows.values()), residual=request.where)

    def purge_expired(self) -> int:
        """Drop expired rows."""
        with self._lock:
            return sum(not self._pop(key) for key in list(self._rows) if self._live(key) is None)

    def _pop(self, key: str) -> bool:
        there = self._live(key) is not None
        self._rows.pop(key, None)
        return there

    def _live(self, key: str) -> Stored | None:
        row = self._rows.get(key)
        return None if row is None or row.expired(datetime.now(UTC)) else row

    def _keep(self, row: Stored) -> None:
        self._rows[row.key] = row
