"""The write side: records to values, and values to the server, many in one round trip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from praval_storage.base import BaseStorageProvider, Item, StorageResult, boundary
from praval_storage.errors import KeyExistsError, StorageError
from praval_storage.providers.redis.connection import Connection
from praval_storage.providers.redis.failures import refusal
from praval_storage.providers.redis.keyspace import Keyspace
from praval_storage.providers.redis.layout import Envelope, envelope
from praval_storage.providers.redis.scripts import REMOVE, STORE

_BATCH, _BATCH_BYTES = 1_000, 8 << 20
_MILLISECOND = timedelta(milliseconds=1)


class Made(NamedTuple):
    """A record ready to be sent."""

    item: Item
    envelope: Envelope


class Writer:
    """Writes records of one collection.

    Args:
        provider: Named in errors.
        connection: Where they go.
        keyspace: What they are called.
    """

    def __init__(self, provider: BaseStorageProvider, connection: Connection, keyspace: Keyspace) -> None:
        self._provider = provider
        self._connection = connection
        self._keyspace = keyspace

    def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
        """See ``RecordProvider.put``."""
        results: dict[str, StorageResult] = {}
        made = self._made(items, results)
        for chunk in _chunks(made):
            self._send(chunk, overwrite, results)
        return [results[item.draft.key] for item in items]

    def remove(self, keys: Sequence[str]) -> list[bool]:
        """See ``RecordProvider.remove``."""
        names = [self._keyspace.name(key) for key in keys]
        removed: list[bool] = []
        for start in range(0, len(names), _BATCH):
            reply: bytes = self._connection.run(REMOVE, names[start : start + _BATCH], [])
            removed += [answer == ord("1") for answer in reply]
        return removed

    def _made(self, items: Sequence[Item], results: dict[str, StorageResult]) -> Iterator[Made]:
        for item in items:
            try:
                with boundary(self._provider, "store", item.draft.key):
                    value = envelope(item.draft, item.content, item.metadata)
            except StorageError as error:
                results[item.draft.key] = StorageResult(success=False, key=item.draft.key, error=error)
            else:
                yield Made(item, value)

    def _send(self, chunk: Sequence[Made], overwrite: bool, results: dict[str, StorageResult]) -> None:
        names = [self._keyspace.name(made.item.draft.key) for made in chunk]
        notes = iter(self._connection.run(STORE, names, _arguments(chunk, overwrite)))
        said = {place - 1: note for place, note in zip(notes, notes, strict=True)}
        for place, made in enumerate(chunk):
            key = made.item.draft.key
            try:
                with boundary(self._provider, "store", key):
                    results[key] = self._result(made, said.get(place))
            except StorageError as error:
                results[key] = StorageResult(success=False, key=key, error=error)

    def _result(self, made: Made, note: bytes | None) -> StorageResult:
        if note == b"":
            raise KeyExistsError("The key exists and overwrite=False")
        if note is not None and note.startswith(b"-"):
            raise refusal(self._connection.place, note.decode(errors="replace"))
        draft = made.item.draft
        return StorageResult(
            success=True,
            key=draft.key,
            size=made.envelope.size,
            version=made.envelope.version,
            created_at=datetime.fromisoformat(note.decode())
            if note
            else draft.created_at or draft.written_at,
            format=made.item.content.format,
        )


def lifetime(expires_at: datetime | None, now: datetime) -> int:
    """Milliseconds to live, rounded up; 0 = for ever.

    What is over already lives as short as Redis can say: a write that succeeds replaces what was there.
    """
    return 0 if expires_at is None else max(1, -((now - expires_at) // _MILLISECOND))


def _arguments(chunk: Sequence[Made], overwrite: bool) -> list[Any]:
    """What the script is told of a chunk: see there."""
    drafts = [made.item.draft for made in chunk]
    lifetimes, given = "", ""
    if any(draft.expires_at for draft in drafts):
        now = datetime.now(UTC)
        lifetimes = " ".join(str(lifetime(draft.expires_at, now)) for draft in drafts)
    if any(draft.created_at for draft in drafts):
        given = "".join("1" if draft.created_at else "0" for draft in drafts)
    return ["1" if overwrite else "0", lifetimes, given, *(made.envelope.value for made in chunk)]


def _chunks(made: Iterator[Made]) -> Iterator[list[Made]]:
    """At most 1,000 records and about 8 MB each; a longer one goes alone."""
    chunk: list[Made] = []
    size = 0
    for each in made:
        if chunk and (len(chunk) == _BATCH or size + len(each.envelope.value) > _BATCH_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(each)
        size += len(each.envelope.value)
    if chunk:
        yield chunk
