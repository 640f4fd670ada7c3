"""The value of a key: one JSON object a person can read with ``GET``, and what we read back exactly.

    {"praval":1,"created_at":"...Z","updated_at":"...Z","version":"...","size":7,"expires_at":null,
     "format":"json","encoding":"json","spans":[4,2],"types":null,"metadata":{},"data":{"n":1}}

all in one line and in this order. ``data`` is the JSON text of the data, a JSON string of it (``"encoding":
"text"``) or base64; ``spans`` are the bytes of ``types`` and ``metadata``, so that nothing has to be parsed
to find the data. A string that differs from this by one byte was written by somebody else.

Scripts on the server read and write ``created_at``, which is therefore at a fixed place.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from hashlib import sha1
from typing import Any, NamedTuple

import orjson

from praval_storage.errors import SerializationError
from praval_storage.records import Draft, Stored
from praval_storage.serialization import Content

MARK = b'{"praval":1,"created_at":"'
HEAD = len(MARK) + 27
"""Bytes up to the end of ``created_at``."""
MAX_VALUE = 512 << 20
"""The longest string Redis holds (proto-max-bulk-len)."""

_TIME = rb"([0-9T:.\-]{26}Z)"
_ENVELOPE = re.compile(
    re.escape(MARK)
    + _TIME
    + rb'","updated_at":"'
    + _TIME
    + rb'","version":"([0-9a-f]{16})","size":(\d+),"expires_at":(?:null|"'
    + _TIME
    + rb'"),"format":"(\w+)","encoding":"(json|text|base64)","spans":\[(\d+),(\d+)\],"types":'
)
_MESSAGE = re.compile(
    rb'\{"praval_message":1,"format":"(\w+)","encoding":"(json|text|base64)","span":(\d+),"types":'
)
_METADATA, _DATA = b',"metadata":', b',"data":'
_TEXTUAL = frozenset({"json", "text", "csv", "tsv", "ndjson"})


class Envelope(NamedTuple):
    """A value about to be written.

    Attributes:
        value: The whole string.
        size: Bytes of the body.
        version: Digest of the data.
    """

    value: bytes
    size: int
    version: str


def envelope(draft: Draft, content: Content, metadata: bytes) -> Envelope:
    """The value of a record.

    Raises:
        SerializationError: It is longer than Redis can hold.
    """
    encoding, body, data = _encoded(content)
    types = orjson.dumps(content.types) if content.types else b""
    version = sha1(body + types, usedforsecurity=False).hexdigest()[:16]
    expires_at = "null" if draft.expires_at is None else f'"{time_text(draft.expires_at)}"'
    head = (
        f'{time_text(draft.created_at or draft.written_at)}","updated_at":"{time_text(draft.written_at)}"'
        f',"version":"{version}","size":{len(body)},"expires_at":{expires_at}'
        f',"format":"{content.format}","encoding":"{encoding}","spans":[{len(types) or 4},{len(metadata)}]'
        f',"types":'
    )
    value = b"".join((MARK, head.encode(), types or b"null", _METADATA, metadata, _DATA, data, b"}"))
    if len(value) >= MAX_VALUE:
        raise SerializationError(
            f"The record takes {len(value):,} bytes as JSON, and Redis holds {MAX_VALUE - 1:,} in one string",
            hint="Keep large objects on filesystem or s3 and store their reference",
        )
    return Envelope(value, len(body), version)


def head_size(value: bytes) -> int | None:
    """Bytes before the data of a record of which ``value`` is the beginning; ``None``: it is no record."""
    found = _ENVELOPE.match(value)
    if found is None:
        return None
    return found.end() + int(found[8]) + len(_METADATA) + int(found[9]) + len(_DATA)


def parse(key: str, value: bytes, *, whole: bool) -> Stored | None:
    """The record a value is; ``None`` when somebody else wrote it.

    Args:
        key: Key of the record.
        value: The string, or its beginning up to the data or beyond.
        whole: Whether it is the whole string; otherwise the record comes without its body.
    """
    found = _ENVELOPE.match(value)
    if found is None:
        return None
    created_at, updated_at, version, size, expires_at, format, encoding, types_size, metadata_size = (
        found.groups()
    )
    types_end = found.end() + int(types_size)
    start = types_end + len(_METADATA)
    end = start + int(metadata_size)
    if not (value.startswith(_METADATA, types_end) and value.startswith(_DATA, end)):
        return None
    body = _body(encoding, value, end + len(_DATA)) if whole else None
    if whole and (body is None or len(body) != int(size)):
        return None
    types = value[found.end() : types_end]
    created = _time(created_at)
    return Stored(
        key,
        format.decode(),
        body,
        None if types == b"null" else orjson.loads(types),
        value[start:end],
        created,
        created if updated_at == created_at else _time(updated_at),
        _time(expires_at) if expires_at else None,
        int(size),
        version.decode(),
    )


def message(content: Content) -> bytes:
    """What is published."""
    encoding, _, data = _encoded(content)
    types = orjson.dumps(content.types)
    form = f'"format":"{content.format}","encoding":"{encoding}","span":{len(types)}'
    return b"".join((b'{"praval_message":1,', form.encode(), b',"types":', types, _DATA, data, b"}"))


def parse_message(payload: bytes) -> Content | None:
    """The content of a message of ours; ``None`` when somebody else published it."""
    found = _MESSAGE.match(payload)
    if found is None:
        return None
    end = found.end() + int(found[3])
    body = _body(found[2], payload, end + len(_DATA))
    if not payload.startswith(_DATA, end) or body is None:
        return None
    types: dict[str, Any] | None = orjson.loads(payload[found.end() : end])
    return Content(found[1].decode(), body, types)


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC to the microsecond: always 27 characters, and their order is the order in time."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _time(text: bytes) -> datetime:
    return datetime.fromisoformat(text.decode())


def _encoded(content: Content) -> tuple[str, bytes, bytes]:
    """How the body is written, the body, and what stands for it in the JSON."""
    made_here = isinstance(content.body, bytes)
    body = content.read()
    if content.format == "json" and (made_here or _is_json(body)):
        return "json", body, body
    if content.format in _TEXTUAL:
        try:
            return "text", body, orjson.dumps(body.decode())
        except UnicodeDecodeError:
            pass  # a file somebody called text
    return "base64", body, b'"' + base64.b64encode(body) + b'"'


def _body(encoding: bytes, value: bytes, start: int) -> bytes | None:
    """The body of a whole value whose data begins at ``start``; ``None`` if it is not what we write."""
    if not value.endswith(b"}"):
        return None
    data = value[start:-1]
    if encoding == b"json":
        return data
    try:
        text: str = orjson.loads(data)
        return text.encode() if encoding == b"text" else base64.b64decode(text, validate=True)
    except (ValueError, AttributeError):
        return None


def _is_json(body: bytes) -> bool:
    """Whether a file is what its name says."""
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True
