"""What goes into a batch of writes, and what comes of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha1
from typing import NamedTuple

from praval_storage.errors import StorageError
from praval_storage.records import Draft, Stored
from praval_storage.serialization import Content


class Item(NamedTuple):
    """A draft with its encoded body and its metadata as JSON text."""

    draft: Draft
    content: Content
    metadata: bytes

    def stored(self, before: Stored | None = None) -> Stored:
        """The record to keep, its body read; the one it replaces keeps the time of its first write."""
        draft, content, metadata = self
        body = content.read()
        version = sha1(body + repr(content.types).encode(), usedforsecurity=False).hexdigest()[:16]
        return Stored(
            draft.key,
            content.format,
            body,
            content.types,
            metadata,
            draft.created_at or (before and before.created_at) or draft.written_at,
            draft.written_at,
            draft.expires_at,
            len(body),
            version,
        )


@dataclass(frozen=True, slots=True)
class StorageResult:
    """What a provider says of one write.

    Attributes:
        success: Whether the record is stored. A provider may also raise; both mean the same.
        key: Key of the record.
        error: The failure, when ``success`` is false.
        size: Bytes stored, where known.
        version: ETag, digest or row version, where the backend has one.
        created_at: First write of the key, aware UTC.
        format: Stored format of the data.
    """

    success: bool
    key: str
    error: Exception | str | None = None
    size: int | None = None
    version: str | None = None
    created_at: datetime | None = None
    format: str | None = None


def raise_failure(result: StorageResult) -> None:
    """Raise what a result reports; nothing when it reports success."""
    if result.success:
        return
    if isinstance(result.error, Exception):
        raise result.error
    raise StorageError(result.error or "The provider reported a failure without a reason")
