"""Records as rows of our table, and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from praval_storage.base import Item
from praval_storage.errors import SerializationError
from praval_storage.records import Stored
from praval_storage.serialization import TYPES_KEY

NESTED = frozenset({"json", "ndjson", "pickle"})
"""Formats of values that have fields."""
MOST_BYTES = (1 << 30) - (1 << 20)
"""PostgreSQL's limit for a value is 1 GiB."""

BLOBS = 3
"""How many of the columns of a row, the last ones, hold bytes."""

_TYPES = f'"{TYPES_KEY}"'.encode()
_MOST_LOOSE = 32
# A float that JSONB spells out as an integer, and what it refuses.
_SPELLED_OUT = re.compile(rb"(?:^|[:,\[]\s*)-?[0-9.]+[eE]\+?[0-9]")
_REFUSED = b"\\u0000"


class Row(NamedTuple):
    """The columns of an upsert, in its order."""

    key: str
    data: str | None
    metadata: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    format: str
    size: int
    loose: str | None
    types: bytes | None
    body: bytes
    metadata_body: bytes


def row_of(item: Item) -> Row:
    """The row of an encoded record.

    Raises:
        SerializationError: The body is larger than a value can be.
    """
    draft, content, metadata = item
    body = content.read()
    if len(body) > MOST_BYTES:
        raise SerializationError(
            f"PostgreSQL holds at most 1 GiB in a value, not {len(body):,} bytes",
            hint="Store it on s3 or in the file system",
        )
    data, loose = _natural(content.format, body, content.types or {})
    return Row(
        draft.key,
        data,
        metadata.decode(),
        draft.created_at or draft.written_at,
        draft.written_at,
        draft.expires_at,
        content.format,
        len(body),
        _array([*loose, *_loose_metadata(metadata)]),
        None if content.types is None else orjson.dumps(content.types),
        body,
        metadata,
    )


def stored_row(row: Sequence[Any]) -> Stored:
    """The record of a row of ``Statements.select``."""
    key, format, size, version, created_at, updated_at, expires_at, metadata, *rest = row
    body, types = rest or (None, None)
    return Stored(
        key,
        format,
        body,
        None if types is None else orjson.loads(types),
        metadata,
        created_at.astimezone(UTC),
        updated_at.astimezone(UTC),
        None if expires_at is None else expires_at.astimezone(UTC),
        size,
        version,
    )


def _natural(format: str, body: bytes, types: Mapping[str, Any]) -> tuple[str | None, list[str]]:
    """The data as JSON text for people and filters, ``None`` where there is none that JSONB takes; and the
    names of its loose fields.
    """
    if format == "json":
        return _json(body, types)
    if format == "text" and b"\0" not in body:
        try:
            return orjson.dumps(body.decode()).decode(), []
        except UnicodeDecodeError:  # a file that is no text after all
            return None, []
    return None, ["data"] if format in NESTED else []


def _json(body: bytes, types: Mapping[str, Any]) -> tuple[str | None, list[str]]:
    try:
        value = orjson.loads(body)
        text = orjson.dumps(value)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None, ["data"]
    if _REFUSED in text:
        return None, ["data"]
    if types:
        return text.decode(), _fields("data", types) if isinstance(value, dict) else ["data"]
    # A foreign file may hold numbers that are others to Python than to JSONB; ours are typed then.
    return text.decode(), ["data"] if _SPELLED_OUT.search(text) else []


def _loose_metadata(text: bytes) -> list[str]:
    if _TYPES not in text:
        return []
    types = orjson.loads(text).get(TYPES_KEY)
    return _fields("metadata", types) if types else []


def _fields(root: str, types: Iterable[str]) -> list[str]:
    """The fields below a root that pointers lead to; the root itself for a pointer to all of them."""
    firsts = {pointer[1:].partition("/")[0] for pointer in types}
    if firsts & {"", "*"} or len(firsts) > _MOST_LOOSE:
        return [root]
    return [f"{root}.{_unescaped(first)}" for first in sorted(firsts)]


def _unescaped(segment: str) -> str:
    return segment.replace("~2", "*").replace("~1", "/").replace("~0", "~")


def _array(texts: Iterable[str]) -> str | None:
    """A ``text[]`` as text; ``None`` when it is empty."""
    quoted = ['"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts]
    return "{" + ",".join(quoted) + "}" if quoted else None
