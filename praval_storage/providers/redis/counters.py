"""Atomic helpers: counting, replacing what has not changed, locking."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING

import orjson
import redis

from praval_storage.errors import ConfigurationError, StorageError, StorageTimeoutError
from praval_storage.providers.redis import layout
from praval_storage.providers.redis.connection import Connection
from praval_storage.providers.redis.scripts import INCREMENT, SWAP
from praval_storage.records import NO_METADATA, Draft, Stored
from praval_storage.serialization import Content, encode

if TYPE_CHECKING:
    from redis.lock import Lock

_WHY = {
    b"type": "The data is no int or float that was stored here, so nothing can be added",
    b"range": "The sum is out of range: integers must be below 2^53, where they are exact, and floats finite",
}


def increment(connection: Connection, name: bytes, key: str, by: float) -> int | float:
    """Add to the number under a key; one that is not there counts as 0.

    Raises:
        StorageError: There is something else, or the sum is out of range.
    """
    given: object = by  # notebooks are not type-checked
    if isinstance(given, bool) or not isinstance(given, int | float) or not isfinite(given):
        raise ConfigurationError(f"by must be a finite int or float, not {by!r}")
    draft = Draft(key, by, {}, datetime.now(UTC))
    fresh = layout.envelope(draft, encode(by), NO_METADATA).value
    reply: bytes = connection.run(INCREMENT, [name], [repr(by), layout.time_text(draft.written_at), fresh])
    if reply in _WHY:
        raise StorageError(_WHY[reply], key=key)
    return int(reply) if reply.lstrip(b"-").isdigit() else float(reply)


def compare_and_set(
    connection: Connection, parse: Callable[[bytes], Stored], name: bytes, expected: Content, new: Content
) -> bool:
    """Replace the data under a name if it is what is expected; metadata, creation and expiry stay.

    Args:
        connection: Where it is.
        parse: The record a value is.
        name: Name of the key.
        expected: Data it must have.
        new: Data it gets.
    """
    while True:
        with connection.calling() as client:
            before = client.get(name)
        if not isinstance(before, bytes):
            return False
        stored = parse(before)
        if not _is_same(stored.content, expected):
            return False
        draft = Draft(
            stored.key, None, {}, datetime.now(UTC), stored.expires_at, created_at=stored.created_at
        )
        fresh = layout.envelope(draft, new, stored.metadata).value
        # What came between may have been a write of the same data, or of metadata alone: look again.
        if connection.run(SWAP, [name], [before, fresh]):
            return True


def acquire(connection: Connection, name: bytes, timeout: float, wait: float | None) -> Lock:
    """Take a lock.

    Raises:
        StorageTimeoutError: Somebody else held it all the time.
    """
    with connection.calling() as client:
        # Not per thread: this object alone is who holds it.
        lock: Lock = client.lock(name.decode(), timeout=timeout, blocking_timeout=wait, thread_local=False)
        if not lock.acquire():
            raise StorageTimeoutError(f"The lock was not free within {wait:g} s", hint="Raise wait=")
    return lock


def release(connection: Connection, lock: Lock) -> bool:
    """Give a lock back; whether it was still held."""
    with connection.calling():
        try:
            lock.release()
        except redis.exceptions.LockError:
            return False
        return True


def _is_same(one: Content, other: Content) -> bool:
    """Whether two contents are the same value, but for the order in dicts."""
    if (one.format, one.types) != (other.format, other.types):
        return False
    if one.body == other.body:
        return True
    return one.format == "json" and _sorted(one.read()) == _sorted(other.read())


def _sorted(text: bytes) -> bytes:
    return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS)
