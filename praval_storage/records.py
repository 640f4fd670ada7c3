"""Records going in (``Draft``), as a backend keeps them (``Stored``), as a user reads them (``Record``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final, NamedTuple, Self

import orjson

from praval_storage.cells import in_cells
from praval_storage.display import as_html, facts, folded, printable, size_text, time_text
from praval_storage.errors import SerializationError
from praval_storage.serialization import Content, decode_metadata


class Missing(Enum):
    """The type of :data:`MISSING`, which stands where ``None`` would be a legal value."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING
NO_METADATA = b"{}"


@dataclass(frozen=True, slots=True)
class Draft:
    """A record about to be written.

    Attributes:
        key: A legal key.
        data: Any storable value, a binary file object or a ``Path`` whose content is the data, or a
            ``Content`` that was encoded already.
        metadata: The user's metadata.
        written_at: The time of this write, aware UTC: ``updated_at``, and ``created_at`` of a new key.
        expires_at: From then on the record does not exist, aware UTC.
        format: Stored format; chosen from key and type when ``None``.
        created_at: Set on copies that keep the time of the original.
    """

    key: str
    data: Any
    metadata: Mapping[str, Any]
    written_at: datetime
    expires_at: datetime | None = None
    format: str | None = None
    created_at: datetime | None = None


class Stored(NamedTuple):
    """A record as a backend returns it, nothing decoded yet: cheap to make by the hundred thousand.

    Attributes:
        key: Key of the record.
        format: Stored format of the body.
        body: The encoded data; ``None`` when it was not fetched (see ``CanQuery.fill``).
        types: Side map *path -> type* of a JSON body.
        metadata: JSON text as written by ``serialization.encode_metadata``.
        created_at: First write of the key, aware UTC, where known.
        updated_at: Last write, aware UTC, where known.
        expires_at: From then on the record does not exist.
        size: Bytes of the body.
        version: ETag, digest or row version.
        data: The value itself, from a provider that keeps Python objects and has nothing to decode.
    """

    key: str
    format: str
    body: bytes | None = None
    types: dict[str, Any] | None = None
    metadata: bytes = NO_METADATA
    created_at: datetime | None = None
    updated_at: datetime | None = None
    expires_at: datetime | None = None
    size: int | None = None
    version: str | None = None
    data: Any = MISSING

    @property
    def content(self) -> Content:
        """Format, body and types, ready for ``serialization.decode``; the body must have been fetched."""
        if self.body is None:
            raise ValueError(f"the body of {self.key!r} was not fetched")
        return Content(self.format, self.body, self.types)

    def expired(self, now: datetime) -> bool:
        """Whether the record no longer exists at ``now``."""
        return self.expires_at is not None and self.expires_at <= now

    def to_bytes(self) -> bytes:
        """All but the key as bytes, for backends that keep such: a line of JSON, then the body."""
        facts = {name: getattr(self, name) for name in _FACTS}
        head = {"praval": 1, **facts, "metadata": self.metadata.decode()}
        return orjson.dumps(head, option=orjson.OPT_APPEND_NEWLINE) + self.content.read()

    @classmethod
    def from_bytes(cls, key: str, text: bytes) -> Self:
        """The record that :meth:`to_bytes` wrote.

        Raises:
            SerializationError: It did not write this.
        """
        head, _, body = text.partition(b"\n")
        try:
            facts = orjson.loads(head)
            for name in _TIMES:
                facts[name] = facts[name] and datetime.fromisoformat(facts[name])
            metadata, kept = facts["metadata"].encode(), {name: facts[name] for name in _FACTS}
        except (ValueError, TypeError, LookupError, AttributeError):
            raise SerializationError(f"What is kept under {key!r} is no record of praval_storage") from None
        return cls(key, body=body, metadata=metadata, size=len(body), **kept)


_TIMES = ("created_at", "updated_at", "expires_at")
_FACTS = ("format", "types", "version", *_TIMES)


@dataclass(frozen=True, slots=True, repr=False)
class Record:
    """One stored record: ``key``, ``data``, ``metadata``, times, ``format``, ``size`` and ``version``.

    Data and metadata are decoded when they are first looked at, and the data of a large object is
    fetched only then.
    """

    stored: Stored
    load: Callable[[Stored], Any]
    _cache: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def key(self) -> str:
        """Key of the record."""
        return self.stored.key

    @property
    def data(self) -> Any:
        """The value that was stored."""
        if "data" not in self._cache:
            self._cache["data"] = self.load(self.stored)
        return self._cache["data"]

    @property
    def metadata(self) -> dict[str, Any]:
        """The user's metadata; empty for what others wrote."""
        if "metadata" not in self._cache:
            self._cache["metadata"] = decode_metadata(self.stored.metadata)
        metadata: dict[str, Any] = self._cache["metadata"]
        return metadata

    @property
    def created_at(self) -> datetime | None:
        """First write of the key, aware UTC."""
        return self.stored.created_at

    @property
    def updated_at(self) -> datetime | None:
        """Last write of the key, aware UTC."""
        return self.stored.updated_at

    @property
    def expires_at(self) -> datetime | None:
        """When the record ceases to exist, aware UTC; ``None`` = never."""
        return self.stored.expires_at

    @property
    def size(self) -> int | None:
        """Bytes of the stored body."""
        return self.stored.size

    @property
    def format(self) -> str:
        """Stored format of the data."""
        return self.stored.format

    @property
    def version(self) -> str | None:
        """ETag, digest or row version, where the backend has one."""
        return self.stored.version

    def __repr__(self) -> str:
        return f"Record({self.key!r}, format={self.format!r}, size={self.size})"

    def _repr_html_(self) -> str:
        # The data is not looked at: it may have to be fetched.
        known = {
            "format": self.format,
            "size": size_text(self.size),
            "created": time_text(self.created_at),
            "updated": time_text(self.updated_at),
            "expires": time_text(self.expires_at),
            "version": self.version or "-",
        }
        metadata = folded(f"metadata ({len(self.metadata)})", as_html(facts("", in_cells(self.metadata))))
        table = as_html(facts(f"Record {printable(self.key, 200)}", known))
        return table + (metadata if self.metadata else "")
