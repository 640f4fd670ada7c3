"""What others keep in Redis as the server itself writes it down: any type, with its time to live."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import redis

from praval_storage.base import BaseStorageProvider, StorageResult, boundary
from praval_storage.errors import KeyExistsError, StorageError
from praval_storage.providers.redis.connection import Connection
from praval_storage.providers.redis.keyspace import Keyspace
from praval_storage.providers.redis.writing import lifetime
from praval_storage.records import Stored

FORMAT = "redis"


def dump(connection: Connection, keyspace: Keyspace, keys: Iterable[str]) -> dict[str, Stored]:
    """What is under those of the keys where there is something, of whatever type."""
    names = {keyspace.name(key): key for key in keys}
    there = _ask(connection, names, lambda pipeline, name: pipeline.exists(name))
    present = [name for name, is_there in zip(names, there, strict=True) if is_there]
    bodies = _ask(connection, present, lambda pipeline, name: pipeline.dump(name))
    left = _ask(connection, present, lambda pipeline, name: pipeline.pttl(name))
    now = datetime.now(UTC)
    return {
        names[name]: Stored(names[name], FORMAT, body, expires_at=_end(now, ms), size=len(body))
        for name, body, ms in zip(present, bodies, left, strict=True)
        if body is not None
    }


def restore(
    provider: BaseStorageProvider,
    connection: Connection,
    keyspace: Keyspace,
    rows: Sequence[Stored],
    *,
    overwrite: bool,
) -> list[StorageResult]:
    """Put back what :func:`dump` gave."""
    now = datetime.now(UTC)
    by_name = {keyspace.name(row.key): row for row in rows}

    def send(pipeline: Any, name: bytes) -> None:
        row = by_name[name]
        pipeline.restore(name, lifetime(row.expires_at, now), row.body, replace=overwrite)

    replies = _ask(connection, by_name, send, raising=False)
    return [
        _result(provider, connection, row, reply)
        for row, reply in zip(by_name.values(), replies, strict=True)
    ]


def _ask(
    connection: Connection,
    names: Iterable[bytes],
    send: Callable[[Any, bytes], object],
    *,
    raising: bool = True,
) -> list[Any]:
    with connection.calling() as client:
        pipeline = client.pipeline(transaction=False)
        for name in names:
            send(pipeline, name)
        replies: list[Any] = pipeline.execute(raise_on_error=raising)
        return replies


def _end(now: datetime, milliseconds: int) -> datetime | None:
    return now + timedelta(milliseconds=milliseconds) if milliseconds >= 0 else None


def _result(
    provider: BaseStorageProvider, connection: Connection, row: Stored, reply: object
) -> StorageResult:
    try:
        with boundary(provider, "store", row.key), connection.translated():
            if isinstance(reply, redis.ResponseError) and "BUSYKEY" in str(reply):
                raise KeyExistsError("The key exists")
            if isinstance(reply, Exception):
                raise reply
    except StorageError as error:
        return StorageResult(success=False, key=row.key, error=error)
    return StorageResult(success=True, key=row.key, size=row.size)
