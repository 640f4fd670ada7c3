"""Whether a copy is what was sent: its data with their types, its format, metadata and expiry.

Bytes are compared where both sides keep bytes. JSON may come back with other spacing and another order of
keys, so of JSON the exact values are compared: type for type, whatever the spelling.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import md5, sha256
from typing import Any

from praval_storage.base import BaseStorageProvider
from praval_storage.errors import SerializationError
from praval_storage.filters import equal
from praval_storage.records import MISSING, Stored
from praval_storage.serialization import (
    Content,
    decode_json,
    decode_metadata,
    encode,
    encode_json,
    is_json_body,
)

EXPIRY_PRECISION = timedelta(milliseconds=1)
"""Servers that expire records themselves count in milliseconds."""


def difference(source: BaseStorageProvider, sent: Stored, found: Stored) -> str | None:
    """Which part of a record is not what was sent: ``"metadata"`` for example; ``None`` when all are.

    ``created_at`` is kept by copies but does not count: two records are the same without it.
    """
    return difference_in_facts(sent, found) or (None if _same_data(source, sent, found) else "data")


def difference_in_facts(sent: Stored, found: Stored) -> str | None:
    """:func:`difference` in all but the data."""
    if found.data is not MISSING:  # a provider that sees plain values gives nothing else back
        return None
    if sent.data is MISSING and sent.format != found.format:
        return "format"
    if not _same_metadata(sent.metadata, found.metadata):
        return "metadata"
    return None if _same_expiry(sent.expires_at, found.expires_at) else "expiry"


def is_proven(sent: Stored, found: Stored) -> bool:
    """Whether the version of a record whose body was not fetched says that its data are the same.

    A version that is the SHA-256 of the body (files) or its MD5 (most S3 objects) is no coincidence.
    """
    if sent.body is None or found.version is None or _types(sent) != _types(found):
        return False
    digest = md5(sent.body, usedforsecurity=False).hexdigest()
    return found.version in {digest, sha256(sent.body).hexdigest()}


def fingerprint(stored: Stored) -> str:
    """SHA-256 of format, body, types, metadata and expiry, for messages."""
    content = stored.content if stored.data is MISSING else _encoded(stored.data)
    canonical = _canonical(content)
    facts = (canonical.format, canonical.types, _metadata(stored.metadata), stored.expires_at)
    return sha256(canonical.read() + repr(facts).encode()).hexdigest()


def _same_data(source: BaseStorageProvider, sent: Stored, found: Stored) -> bool:
    if found.data is not MISSING:
        return _same_values(source.load(sent), found.data)
    content = sent.content if sent.data is MISSING else _encoded(sent.data, found.format)
    return _same_content(content, found.content)


def _same_values(left: Any, right: Any) -> bool:
    try:
        return _same_content(encode(left), encode(right))
    except SerializationError:  # what only providers of plain values hold
        return equal(left, right)


def _same_content(left: Content, right: Content) -> bool:
    if left.body == right.body and left.format == right.format and _types(left) == _types(right):
        return True
    return is_json_body(left.format) and _canonical(left) == _canonical(right)


def _encoded(value: Any, format: str | None = None) -> Content:
    # Nothing is unpickled here: the body is only compared.
    return encode(value, format=format, allow_pickle=True)


def _canonical(content: Content) -> Content:
    if not is_json_body(content.format):
        return content
    try:
        value = decode_json(content.read(), content.types)
    except SerializationError:  # not JSON at all: compared as it is
        return content
    return Content(content.format, *encode_json(_ordered(value)))


def _ordered(value: Any) -> Any:
    if type(value) is dict:
        keys = sorted(value, key=lambda key: (type(key).__name__, repr(key)))
        return {key: _ordered(value[key]) for key in keys}
    if type(value) is list or type(value) is tuple:
        return type(value)(map(_ordered, value))
    return value


def _same_metadata(left: bytes, right: bytes) -> bool:
    return left == right or _metadata(left) == _metadata(right)


def _metadata(text: bytes) -> tuple[bytes, dict[str, Any] | None]:
    try:
        return encode_json(_ordered(decode_metadata(text)))
    except SerializationError:  # broken: the same as nothing but itself
        return text, None


def _same_expiry(left: datetime | None, right: datetime | None) -> bool:
    if left is None or right is None:
        return left is right
    return abs(left - right) <= EXPIRY_PRECISION


def _types(described: Stored | Content) -> dict[str, Any] | None:
    return described.types or None
