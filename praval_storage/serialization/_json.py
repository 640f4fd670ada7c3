"""Exact JSON text: natural JSON plus the side map, the plain case at the speed of orjson."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping
from typing import Any

import orjson

from praval_storage.errors import SerializationError
from praval_storage.serialization import _pack
from praval_storage.serialization._restore import restore
from praval_storage.serialization._types import Types, UnstorableError
from praval_storage.serialization._walk import MAX_DEPTH, write

TYPES_KEY = "$types"
VALUE_KEY = "$value"

_PLAIN = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS
_SHAPE = bytes.maketrans(b"123456789", b"000000000")
_NEGATIVE_ZERO = re.compile(rb"-0\.0[,\]}]")


def encode_json(
    value: Any, *, pack: Container[str] = (), root: str = "data"
) -> tuple[bytes, dict[str, Any] | None]:
    """The value as JSON text, and the side map; ``None`` when the text says it all.

    Args:
        value: What to store.
        pack: Pointers of vectors that go into the side map (see :mod:`._pack`).
        root: What an error calls the value itself.

    Raises:
        SerializationError: Names the path of what cannot be stored.
    """
    packed: Types = {}
    try:
        if pack != ():
            value, packed = _pack.extract(value, pack)
        text = _plain(value)
        if text is not None:
            return text, _listed(packed) if packed else None
        natural, types = write(value)
        return orjson.dumps(natural), _listed({**types, **packed})
    except UnstorableError as exc:
        where = ".".join([root, *exc.path])
        raise SerializationError(f"{_shortened(where)} is {exc}", hint=exc.hint) from exc
    except (orjson.JSONEncodeError, RecursionError) as exc:
        reason = f"{root} is nested deeper than {MAX_DEPTH} levels"
        raise SerializationError(reason, hint="Flatten it") from exc


def decode_json(text: bytes, types: Mapping[str, Any] | None = None) -> Any:
    """The value of a JSON text and its side map, exact also for JSON that others wrote.

    Raises:
        SerializationError: The text is no JSON, or the side map does not belong to it.
    """
    natural = parse(text)
    return restore(natural, dict(types)) if types else natural


def parse(text: bytes) -> Any:
    """Plain JSON; integers of any size, ``NaN``, lone surrogates and a byte order mark are understood."""
    try:
        natural = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise SerializationError(f"The body is not JSON: {exc}") from exc
    # orjson reads integers beyond 64 bits as floats.
    return json.loads(text) if b"0" * 20 in text.translate(_SHAPE) else natural


def indented(text: bytes) -> bytes:
    """The same JSON over several lines."""
    return orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2)


def to_lines(text: bytes) -> bytes:
    """A JSON list as NDJSON: one item per line."""
    return b"".join(orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE) for item in orjson.loads(text))


def from_lines(body: bytes) -> bytes:
    """NDJSON as one JSON list; blank lines are skipped."""
    return b"[" + b",".join(line for line in body.splitlines() if line.strip()) + b"]"


def dumps(value: Any) -> bytes:
    """One JSON text that holds the value exactly; plain JSON whenever that is enough."""
    text, types = encode_json(value)
    if types is None and not (isinstance(value, dict) and TYPES_KEY in value):
        return text
    return orjson.dumps({TYPES_KEY: types or {}, VALUE_KEY: orjson.Fragment(text)})


def loads(text: bytes) -> Any:
    """The value :func:`dumps` wrote."""
    natural = parse(text)
    if isinstance(natural, dict) and natural.keys() == {TYPES_KEY, VALUE_KEY}:
        return _restored(natural[VALUE_KEY], natural[TYPES_KEY])
    return natural


def encode_metadata(metadata: Mapping[str, Any]) -> bytes:
    """Metadata as one JSON object; the side map, when there is one, is its member ``$types``.

    Raises:
        SerializationError: A key starts with ``$``, or a value cannot be stored.
    """
    if not isinstance(metadata, Mapping):
        raise SerializationError(f"metadata must be a dict, not {type(metadata).__name__}")
    for key in metadata:
        if str(key).startswith("$"):
            reason = f"metadata.{key}: keys that start with '$' are reserved"
            raise SerializationError(reason, hint="Rename it")
    text, types = encode_json(dict(metadata), root="metadata")
    if types is None:
        return text
    return orjson.dumps({**orjson.loads(text), TYPES_KEY: types})


def decode_metadata(text: bytes) -> dict[str, Any]:
    """The metadata :func:`encode_metadata` wrote, or any JSON object."""
    natural = parse(text)
    if not isinstance(natural, dict):
        raise SerializationError("The stored metadata is not a JSON object")
    types = natural.pop(TYPES_KEY, None)
    restored: dict[str, Any] = _restored(natural, types) if types is not None else natural
    return restored


def _restored(natural: Any, types: Any) -> Any:
    if not isinstance(types, dict):
        raise SerializationError(f"{TYPES_KEY!r} in the stored JSON is not an object")
    return restore(natural, types)


def _plain(value: Any) -> bytes | None:
    """The text if orjson alone keeps the value exactly on every backend, else ``None``."""
    if type(value) is not dict and type(value) is not list:
        return None
    try:
        text = orjson.dumps(value, option=_PLAIN)
        # Equality sees a lost tuple, UUID, Enum or NaN.
        if orjson.loads(text) != value:
            return None
    except (TypeError, RecursionError, ValueError):
        return None
    return None if _risky(text) else text


def _risky(text: bytes) -> bool:
    """Whether the text may hold what reads back equal here but is changed or refused by a backend."""
    if (b"\\" in text and b"\\u0000" in text) or (b"-0.0" in text and _NEGATIVE_ZERO.search(text)):
        return True
    # Every digit a 0: floats from 1e16 on have an exponent, integers that pass 63 bits have 19 digits.
    shape = text.translate(_SHAPE)
    return b"e+0" in shape or b"0" * 19 in shape


def _listed(types: Types) -> dict[str, Any] | None:
    """The side map with lists for tuples, as it is after a trip through JSON."""
    return {path: _lists(tag) for path, tag in types.items()} or None


def _lists(tag: Any) -> Any:
    return [_lists(part) for part in tag] if isinstance(tag, tuple) else tag


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:197]}..."
