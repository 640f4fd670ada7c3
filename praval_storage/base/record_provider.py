"""``RecordProvider``: whole records, by three batch hooks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from praval_storage.base.items import Item, StorageResult, raise_failure
from praval_storage.base.marks import changes
from praval_storage.base.provider import BaseStorageProvider, boundary
from praval_storage.errors import (
    KeyExistsError,
    KeyNotFoundError,
    StorageError,
)
from praval_storage.keys import validate_key
from praval_storage.records import MISSING, Draft, Stored
from praval_storage.serialization import Content, decode, encode, encode_metadata


class RecordProvider(BaseStorageProvider):
    """A provider that keeps whole records: metadata, times, expiry, format and types.

    Subclasses define three batch hooks, ``put``, ``read`` and ``remove``; the methods of
    :class:`BaseStorageProvider` follow from them. All three treat an expired record as absent.

    Args:
        name: What the backend is called in messages.
        allow_pickle: Whether pickled data may be written and read. Reading pickles runs code.
    """

    ability = "keep metadata and expiry"

    def __init__(self, name: str, *, allow_pickle: bool = False) -> None:
        super().__init__(name)
        self.allow_pickle = allow_pickle

    @abstractmethod
    @changes
    def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
        """Store encoded records with distinct keys, one result each, in order.

        A failing item does not stop the others. ``created_at`` of a key that exists stays as it is, unless
        the draft brings its own. With ``overwrite=False`` an existing key is a ``KeyExistsError``, atomically
        where the backend can.
        """

    @abstractmethod
    def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]: ...

    @abstractmethod
    def remove(self, keys: Sequence[str]) -> list[bool]: ...

    def put_each(
        self,
        items: Sequence[Item],
        overwrite: bool,
        find: Callable[[str], Stored | None],
        keep: Callable[[Stored], object],
    ) -> list[StorageResult]:
        """``put`` for a backend that writes one record at a time; atomic as far as the caller's lock is.

        Args:
            items: As in ``put``.
            overwrite: As in ``put``.
            find: The record under a key, unless it has expired.
            keep: Writes a record in the place of what was under its key.
        """
        return [self._put_one(item, overwrite, find, keep) for item in items]

    def _put_one(
        self,
        item: Item,
        overwrite: bool,
        find: Callable[[str], Stored | None],
        keep: Callable[[Stored], object],
    ) -> StorageResult:
        key = item.draft.key
        try:
            with boundary(self, "store", key):
                before = find(key)
                if before is not None and not overwrite:
                    raise KeyExistsError("The key exists and overwrite=False")
                new = item.stored(before)
                keep(new)
        except StorageError as error:
            return StorageResult(success=False, key=key, error=error)
        return StorageResult(True, key, None, new.size, new.version, new.created_at, new.format)

    def write(self, drafts: Sequence[Draft], *, overwrite: bool = True) -> list[StorageResult]:
        results: list[StorageResult | None] = [None] * len(drafts)
        items: dict[str, Item] = {}
        places: dict[str, list[int]] = {}
        for place, draft in enumerate(drafts):
            try:
                with boundary(self, "store", draft.key):
                    if draft.key in items and not overwrite:
                        raise KeyExistsError("The key is in this batch already and overwrite=False")
                    items[draft.key] = Item(draft, self.encode(draft), encode_metadata(draft.metadata))
                    places.setdefault(draft.key, []).append(place)
            except StorageError as error:
                results[place] = StorageResult(success=False, key=draft.key, error=error)
        if items:
            try:
                written = self.put(list(items.values()), overwrite=overwrite)
            finally:
                for item in items.values():
                    item.content.close()
            for result in written:
                for place in places[result.key]:
                    results[place] = result
        return [result for result in results if result is not None]

    def store(self, key: str, data: Any, metadata: dict[str, Any]) -> StorageResult:
        with boundary(self, "store", key):
            draft = Draft(validate_key(key), data, metadata, datetime.now(UTC))
            result = self.write([draft])[0]
            raise_failure(result)
            return result

    def retrieve(self, key: str) -> Any:
        with boundary(self, "retrieve", key):
            stored = self.read([validate_key(key)])[0]
            if stored is None:
                raise KeyNotFoundError("No such key")
            return self.load(stored)

    def delete(self, key: str) -> bool:
        with boundary(self, "delete", key):
            return self.remove([validate_key(key)])[0]

    def load(self, stored: Stored) -> Any:
        if stored.body is None and stored.data is MISSING:
            [found] = self.read([stored.key])
            if found is None:
                raise KeyNotFoundError(
                    "The record has gone since it was listed", provider=self.name, key=stored.key
                )
            stored = found
        if stored.data is not MISSING:
            return stored.data
        return decode(stored.content, allow_pickle=self.allow_pickle)

    def encode(self, draft: Draft) -> Content:
        """The body to write for a draft."""
        return encode(draft.data, key=draft.key, format=draft.format, allow_pickle=self.allow_pickle)
