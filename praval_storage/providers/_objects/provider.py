"""Records as objects: the provider over any object store."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, BinaryIO, Self

from praval_storage.base import (
    CanBrowse,
    CanPurge,
    CanQuery,
    CanStream,
    HasCollections,
    Item,
    RecordProvider,
    StorageResult,
    boundary,
)
from praval_storage.errors import KeyNotFoundError, StorageError
from praval_storage.keys import is_legal, validate_key
from praval_storage.places import Look, Measured, Seen
from praval_storage.providers._objects import browsing
from praval_storage.providers._objects.listing import chunks, scan
from praval_storage.providers._objects.store import ObjectStore, Outcome
from praval_storage.records import Stored
from praval_storage.scan import Scan, Scanned
from praval_storage.serialization import foreign


class ObjectProvider(RecordProvider, CanQuery, CanStream, CanPurge, CanBrowse, HasCollections):
    """Records as objects of a store; a subclass makes the store.

    Args:
        name: What the backend is called in messages.
        allow_pickle: Write and read pickles. Reading a pickle runs code.
    """

    def __init__(self, name: str, *, allow_pickle: bool = False) -> None:
        super().__init__(name, allow_pickle=allow_pickle)
        self._start = ""

    @abstractmethod
    def _make_store(self) -> ObjectStore:
        """The store; nothing is opened yet."""

    # Records

    def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
        named = {self._start + item.draft.key: item for item in items}
        outcomes = self._store.write(named, self._guarded, overwrite=overwrite)
        return [_result(item.draft.key, outcomes[name]) for name, item in named.items()]

    def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
        names = [self._start + key for key in keys]
        distinct = list(dict.fromkeys(names))
        fetched = self._store.fetch(distinct, set(distinct) if bodies else ())
        found = dict(zip(distinct, map(self._live, fetched), strict=True))
        return [found[name] for name in names]

    def remove(self, keys: Sequence[str]) -> list[bool]:
        deleted = self._store.delete([self._start + key for key in keys])
        return [self._live(stored) is not None for stored in deleted]

    def open(self, key: str) -> BinaryIO:
        [stored] = self._store.fetch([self._start + key])
        if stored is None or stored.expired(datetime.now(UTC)):
            raise KeyNotFoundError(f"No record under {key!r}", provider=self.name, key=key)
        return self._store.open(stored)

    # Queries

    def scan(self, request: Scan) -> Scanned:
        return scan(self._store, self._start, request, self.load)

    def home(self) -> str:
        return ""

    def look(self, request: Look) -> Seen:
        return browsing.look(self, self._store, self._start, request, self._foreign_format)

    def measure(self, path: str) -> Iterator[Measured]:
        return browsing.measure(self._store, self._start, path)

    # Collections

    @property
    def collection(self) -> str:
        """What every key of this provider has in front on the store; ``""`` = nothing."""
        return self._start.removesuffix("/")

    def collections(self) -> list[str]:
        found = (folder[len(self._start) :] for folder in self._store.folders(self._start))
        return [self._start + name for name in found if is_legal(name)]

    def in_collection(self, name: str) -> Self:
        """The same connection bound to one of its folders; ``""`` = where the provider itself began."""
        self._store  # noqa: B018 - one for all
        bound = copy(self)
        bound._start = f"{validate_key(name)}/" if name else ""  # noqa: SLF001 - a copy of ourselves
        return bound

    # Care

    def purge_expired(self) -> int:
        """Delete expired records, and what interrupted writes left behind; how many had expired.

        Asks every object for its metadata. Somebody who stores under an expired key in the same moment may
        lose what they stored.
        """
        count, skip = 0, len(self._start)
        entries = (entry for entry in self._store.entries(self._start) if is_legal(entry.name[skip:]))
        for chunk in chunks(entries):
            now = datetime.now(UTC)
            rows = self._store.fetch([entry.name for entry in chunk])
            expired = [row.key for row in rows if row is not None and row.expired(now)]
            self._store.delete(expired)
            count += len(expired)
        self._store.tidy()
        return count

    def health(self) -> str:
        return self._store.health()

    def close(self) -> None:
        self._store.close()

    @cached_property
    def _store(self) -> ObjectStore:
        return self._make_store()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_store"}

    @contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        with boundary(self, "store", name[len(self._start) :]):
            yield

    def _live(self, stored: Stored | None) -> Stored | None:
        """The record with the key it has in this collection, unless it has expired."""
        if stored is None or stored.expired(datetime.now(UTC)):
            return None
        return stored._replace(key=stored.key[len(self._start) :]) if self._start else stored

    def _foreign_format(self, name: str) -> str:
        return foreign(name, b"", allow_pickle=self.allow_pickle).format


def _result(key: str, outcome: Outcome) -> StorageResult:
    if isinstance(outcome, StorageError):
        return StorageResult(success=False, key=key, error=outcome)
    row = outcome
    return StorageResult(True, key, None, row.size, row.version, row.created_at, row.format)
