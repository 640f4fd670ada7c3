"""What the metadata index holds and is asked: rows, times, conditions and spans of keys."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from praval_storage.providers.filesystem.tree import Signature

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LAST_CHARACTER = "\U0010ffff"


class Row(NamedTuple):
    """One version of one record. Times are microseconds since 1970, UTC.

    Attributes:
        key: Key of the record.
        mtime_ns: Modification time of its file, different for each version of a key.
        size: Size of its file.
        place: Name of its file when the key cannot be one.
        format: Stored format.
        types: Side map of the body, JSON text.
        metadata: Metadata, JSON text.
        opaque: Names of metadata fields that SQLite may read differently than we do.
        created_at: First write of the key.
        updated_at: This write.
        expires_at: End of its life.
        digest: Digest of the body.
        selected: Whether it met the condition of the query that read it; not stored.
    """

    key: str
    mtime_ns: int
    size: int
    place: str | None
    format: str
    types: str | None
    metadata: str
    opaque: str
    created_at: int
    updated_at: int
    expires_at: int | None
    digest: str
    selected: int = 1

    @property
    def signature(self) -> Signature:
        """The signature of the file this row describes."""
        return Signature(self.mtime_ns, self.size)


class Sql(NamedTuple):
    """A condition and its parameters."""

    text: str
    parameters: tuple[Any, ...] = ()


ALWAYS = Sql("1")


class Span(NamedTuple):
    """Keys from the first up to one that is beyond; ``None`` = no limit."""

    first: str | None = None
    beyond: str | None = None

    @classmethod
    def of_prefix(cls, prefix: str) -> Span:
        """Every key that starts with a prefix."""
        stem = prefix.rstrip(_LAST_CHARACTER)
        if not stem:
            return cls(prefix or None)
        following = ord(stem[-1]) + 1
        # The surrogates are no characters.
        return cls(prefix, stem[:-1] + chr(0xE000 if following == 0xD800 else following))


def microseconds(moment: datetime) -> int:
    """A time as the index keeps it."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(microseconds: int) -> datetime:
    """A time the index keeps, as a datetime."""
    return _EPOCH + _MICROSECOND * microseconds


def now() -> int:
    """The present as the index keeps it."""
    return time.time_ns() // 1_000
