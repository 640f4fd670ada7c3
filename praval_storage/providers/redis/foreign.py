"""What others keep in Redis: strings by their key's suffix, and the other types as plain Python values.

    string         the format the suffix of the key names; without one text, or bytes if it is not UTF-8
    hash           dict
    list           list
    set            set
    sorted set     list of {"member": ..., "score": float}, by score
    stream         list of {"id": "1-0", field: value, ...}; a field named id is called id_

Names and values are text where they are UTF-8, else bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import redis

from praval_storage.serialization import Content, encode, foreign


def text_or_bytes(value: bytes) -> str | bytes:
    """Text if it is UTF-8, else the bytes."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def format_of(key: str, value: bytes, *, whole: bool, allow_pickle: bool) -> str:
    """Format of a string, by the suffix of its key and, without one, by whether it is UTF-8.

    Of a long string only the beginning is known here: it may turn out to be bytes after all.
    """
    format = foreign(key, b"", allow_pickle=allow_pickle).format
    if format != "bytes":
        return format
    # The last character of a part may be cut in two.
    ends = range(1 if whole else 4)
    return "text" if any(_is_text(value[: len(value) - cut]) for cut in ends) else "bytes"


def containers(client: Any, types: Mapping[bytes, str]) -> dict[bytes, Content]:
    """The contents of keys that hold no strings, in one round trip; what has gone meanwhile is left out.

    Args:
        client: Where they are.
        types: Type of each key, one of ``TYPES``.
    """
    if not types:
        return {}
    pipeline = client.pipeline(transaction=False)
    for name, type_ in types.items():
        pipeline.execute_command(*_COMMANDS[type_](name))
    replies = pipeline.execute(raise_on_error=False)
    contents: dict[bytes, Content] = {}
    for (name, type_), reply in zip(types.items(), replies, strict=True):
        if isinstance(reply, redis.ResponseError) and not str(reply).startswith("WRONGTYPE"):
            raise reply
        # Of the containers only a stream can be there and be empty.
        if not isinstance(reply, Exception) and (reply or type_ == "stream"):
            # As JSON whatever the key's suffix says: it is not the file of that name.
            contents[name] = encode(_VALUES[type_](reply), format="json")
    return contents


_COMMANDS: dict[str, Callable[[bytes], tuple[Any, ...]]] = {
    "hash": lambda name: ("HGETALL", name),
    "list": lambda name: ("LRANGE", name, 0, -1),
    "set": lambda name: ("SMEMBERS", name),
    # An option would have the driver make pairs of the reply, in one way or another by its version.
    "zset": lambda name: ("ZRANGE", name, 0, -1, "WITHSCORES"),
    "stream": lambda name: ("XRANGE", name, "-", "+"),
}
TYPES = frozenset(_COMMANDS)


def _hash(reply: Mapping[bytes, bytes]) -> Any:
    return {text_or_bytes(name): text_or_bytes(value) for name, value in reply.items()}


def _list(reply: Iterable[bytes]) -> Any:
    return [text_or_bytes(value) for value in reply]


def _set(reply: Iterable[bytes]) -> Any:
    return {text_or_bytes(value) for value in reply}


def _sorted_set(reply: list[Any]) -> Any:
    flat = reply if isinstance(reply[0], bytes) else [part for pair in reply for part in pair]
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return [{"member": text_or_bytes(member), "score": float(score)} for member, score in pairs]


def _stream(reply: Iterable[tuple[bytes, Mapping[bytes, bytes]]]) -> Any:
    return [{"id": id_.decode(), **_fields(fields or {})} for id_, fields in reply]


def _fields(fields: Mapping[bytes, bytes]) -> dict[str | bytes, str | bytes]:
    named = _hash(fields)
    return {"id_" if name == "id" else name: value for name, value in named.items()}


_VALUES: dict[str, Callable[[Any], Any]] = {
    "hash": _hash,
    "list": _list,
    "set": _set,
    "zset": _sorted_set,
    "stream": _stream,
}


def _is_text(value: bytes) -> bool:
    return isinstance(text_or_bytes(value), str)
