"""The payload of a point: what a person reads in the Qdrant dashboard, and what we read back exactly.

    key, data, metadata, created_at, updated_at, expires_at, format, size   natural JSON: people, filters
    version, body | bytes, types, exact_metadata, loose, _praval            for us

The engine is not trusted with values: it reads back floats one unit in the last place off (its JSON parser
rounds twice), and may reorder keys. So the exact JSON text is kept beside the natural form (``body``; other
formats base64 in ``bytes``), and ``loose`` names the fields whose natural form must not be filtered on.

A point without ``_praval`` was written by somebody else: its key is the id, its metadata empty, its data the
payload plus the vector, or the named vectors, under ``vector``; a payload that has a field of this name keeps
it, and the vectors go under ``_vector``.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

import orjson
from uuid_utils.compat import uuid5  # twice as fast as the standard library's

from praval_storage.base import Item
from praval_storage.errors import SerializationError
from praval_storage.providers.qdrant.engine import DEFAULT_VECTOR, PointId, Row, Selector
from praval_storage.providers.qdrant.vectors import FIELD, POINTER, beside
from praval_storage.records import NO_METADATA, Stored
from praval_storage.serialization import TYPES_KEY

LAYOUT: Final = "_praval"
LAYOUT_1: Final = "praval_storage/1"
"""Nobody writes this by accident."""
LOOSE: Final = "loose"
NONCE: Final = "nonce"
"""Tells who won when several writers insert the same record; only on servers."""

RECORD: Final = Selector(without=("data", "metadata"))
"""Everything a record needs: the natural forms are only for people and filters."""
ENTRY: Final = Selector(without=("data", "metadata", "body", "bytes", "types"))
"""A record without its body."""
STATE: Final = Selector(only=("created_at", "expires_at", LAYOUT))
WHOLE: Final = Selector(vectors=True)

_NAMESPACE = UUID("5f1d7a60-3b7c-5d0e-9a55-6d1c0f6e8f21")
_MAX_NATURAL = 1 << 20
"""A larger body is kept as text only: nobody reads it in a dashboard."""
_MAX_DEPTH = 64
"""The engine writes deeper payloads to its log (up to 122 levels go well) and then cannot open it again."""
_MAX_LOOSE = 32
_EMPTY_LIST = re.compile(rb"\[\s*\]")
_TEXTUAL = frozenset({"json", "text", "csv", "ndjson", "markdown"})


# Ids


def id_of(key: str) -> UUID:
    """The id of the point of a key, the same for every provider and collection."""
    return uuid5(_NAMESPACE, key)


def foreign_id(key: str) -> PointId | None:
    """The id a key stands for when somebody else wrote the point: ``str(id) == key``."""
    if key.isascii() and key.isdecimal() and len(key) <= 20:
        number = int(key)
        return number if str(number) == key and number < 2**64 else None
    if len(key) != 36:
        return None
    try:
        found = UUID(key)
    except ValueError:
        return None
    return found if str(found) == key else None


def is_ours(row: Row) -> bool:
    """Whether the point has our layout."""
    return row.payload.get(LAYOUT) == LAYOUT_1


def key_of(row: Row) -> str:
    """The key of a point of either kind."""
    return str(row.payload["key"]) if is_ours(row) else str(row.id)


# Writing


def payload_of(item: Item, created_at: datetime, max_body: int) -> dict[str, Any]:
    """The payload of a record.

    Raises:
        SerializationError: The body is larger than one point may be.
    """
    draft, content, metadata = item
    body = content.read()
    _check_size(body, max_body)
    types = orjson.dumps(content.types) if content.types else b""
    natural, loose = _natural(content.format, body, content.types or {})
    payload = {"key": draft.key, "data": natural}
    if metadata != NO_METADATA:
        payload["metadata"], loose_metadata = _natural_metadata(metadata)
        payload["exact_metadata"] = metadata.decode()
        loose = loose + loose_metadata
    payload["created_at"] = time_text(created_at)
    payload["updated_at"] = time_text(draft.written_at)
    if draft.expires_at is not None:
        payload["expires_at"] = time_text(draft.expires_at)
    payload |= {"format": content.format, "size": len(body), "version": _digest(body, types)}
    payload |= _body(content.format, body)
    if types:
        payload["types"] = types.decode()
    if loose:
        payload[LOOSE] = loose
    payload[LAYOUT] = LAYOUT_1
    return payload


@lru_cache(64)  # the records of a batch are written at one time
def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC to the microsecond, in a form whose text order is the order in time."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _digest(body: bytes, types: bytes) -> str:
    digest = blake2b(body, digest_size=8)
    digest.update(types)
    return digest.hexdigest()


def _body(format: str, body: bytes) -> dict[str, str]:
    if format in _TEXTUAL:
        try:
            return {"body": body.decode()}
        except UnicodeDecodeError:
            pass  # a file somebody called text
    return {"bytes": base64.b64encode(body).decode()}


def _check_size(body: bytes, max_body: int) -> None:
    if len(body) > max_body:
        raise SerializationError(
            f"The body has {len(body):,} bytes, more than the {max_body:,} one Qdrant point may carry here",
            hint="Keep large objects on filesystem or s3 and store their reference",
        )


# The natural form, and where it does not say what the value is


def _natural(format: str, body: bytes, types: Mapping[str, Any]) -> tuple[Any, list[str]]:
    if format == "text" and len(body) <= _MAX_NATURAL:
        return _text(body), []
    natural = _parsed(body) if format == "json" else None
    if natural is None:
        return None, [] if body == b"null" else ["data"]
    if POINTER in types and types[POINTER][0] == "packed":
        del natural[FIELD]  # null, and the numbers are in the point itself
        types = {pointer: tag for pointer, tag in types.items() if pointer != POINTER}
    return natural, _loose("data", natural, body, types)


def _natural_metadata(text: bytes) -> tuple[Any, list[str]]:
    natural = _parsed(text)
    if natural is None:
        return None, ["metadata"]
    types = natural.pop(TYPES_KEY, {})
    return natural, _loose("metadata", natural, text, types)


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _parsed(text: bytes) -> Any:
    """The JSON value, or None for what the engine cannot hold or nobody would read."""
    if len(text) > _MAX_NATURAL:
        return None
    try:
        natural = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    may_be_deep = text.count(b"[") + text.count(b"{") > _MAX_DEPTH
    return None if may_be_deep and _too_deep(natural, _MAX_DEPTH) else natural


def _loose(root: str, natural: Any, text: bytes, pointers: Collection[str]) -> list[str]:
    """Names of the fields filters must not trust: typed ones, and lists that look like missing fields."""
    found = {_field(root, pointer) for pointer in pointers} if pointers else set()
    if isinstance(natural, list):
        found.add(root)
    elif b"]" in text and isinstance(natural, dict) and _EMPTY_LIST.search(text):
        # To the engine an empty list and a missing field are both "empty".
        found |= {f"{root}.{name}" for name, value in natural.items() if _holds_empty_list(value)}
    if not found:
        return []
    return [root] if root in found or len(found) > _MAX_LOOSE else sorted(found)


def _field(root: str, pointer: str) -> str:
    first = pointer[1:].split("/", 1)[0]
    if not pointer or "*" in first:
        return root
    return f"{root}.{first.replace('~2', '*').replace('~1', '/').replace('~0', '~')}"


def _holds_empty_list(value: Any) -> bool:
    if isinstance(value, list):
        return not value or any(map(_holds_empty_list, value))
    return isinstance(value, dict) and any(map(_holds_empty_list, value.values()))


def _too_deep(value: Any, levels: int) -> bool:
    if not isinstance(value, (list, dict)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_too_deep(item, levels - 1) for item in inner)


# Reading


def stored_of(row: Row, *, bodies: bool = True) -> Stored:
    """The record of a point of ours."""
    payload = row.payload
    types = payload.get("types")
    metadata = payload.get("exact_metadata")
    return Stored(
        payload["key"],
        payload["format"],
        _read_body(payload) if bodies else None,
        orjson.loads(types) if types else None,
        metadata.encode() if metadata else NO_METADATA,
        _time(payload.get("created_at")),
        _time(payload.get("updated_at")),
        _time(payload.get("expires_at")),
        payload.get("size"),
        payload.get("version"),
    )


def stored_of_foreign(row: Row) -> Stored:
    """The record of somebody else's point, read as a whole."""
    vector = _plain_vector(row.vector)
    data = row.payload if vector is None else beside(row.payload, vector)
    return Stored(str(row.id), "json", orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY))


def is_expired(row: Row, now: datetime) -> bool:
    """Whether the record no longer exists; what others wrote never expires."""
    expires_at = row.payload.get("expires_at") if is_ours(row) else None
    return expires_at is not None and expires_at <= time_text(now)


def created_at(row: Row) -> datetime | None:
    """First write of the record."""
    return _time(row.payload.get("created_at"))


def size_of(row: Row) -> int:
    """Bytes of the body, as far as known."""
    size = row.payload.get("size")
    return size if isinstance(size, int) and is_ours(row) else 1_000


def is_loose(row: Row) -> bool:
    """Whether filters may have answered for the record without knowing."""
    return LOOSE in row.payload or not is_ours(row)


def _read_body(payload: Mapping[str, Any]) -> bytes:
    body: str | None = payload.get("body")
    return base64.b64decode(payload["bytes"]) if body is None else body.encode()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _plain_vector(vector: Any) -> Any:
    if not vector:
        return None
    if isinstance(vector, dict) and vector.keys() == {DEFAULT_VECTOR}:
        return _plain_vector(vector[DEFAULT_VECTOR])
    return dict(sorted(vector.items())) if isinstance(vector, dict) else vector
