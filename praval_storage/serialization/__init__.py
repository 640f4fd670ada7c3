"""Every type on every backend, exactly as it went in.

:func:`encode` turns a value into a :class:`Content` (format, body, side map of types) and :func:`decode`
turns it back; :func:`foreign` is for what somebody else wrote. Values that are not whole files of their
own (frames, arrays, images, text, bytes) are *natural JSON*: what a person expects to read in ``psql`` or
``redis-cli``, and what the backends index. What JSON cannot say is in the side map, JSON pointer to type
tag, and nothing in it is ever imported or executed.
"""

from praval_storage.serialization._content import Content
from praval_storage.serialization._formats import FORMATS, decode, encode, foreign
from praval_storage.serialization._json import (
    TYPES_KEY,
    decode_json,
    decode_metadata,
    dumps,
    encode_json,
    encode_metadata,
    loads,
)
from praval_storage.serialization._suffixes import format_of_key, suffix
from praval_storage.serialization._walk import MAX_DEPTH

__all__ = [
    "FORMATS",
    "MAX_DEPTH",
    "TYPES_KEY",
    "Content",
    "decode",
    "decode_json",
    "decode_metadata",
    "dumps",
    "encode",
    "encode_json",
    "encode_metadata",
    "foreign",
    "format_of_key",
    "is_json_body",
    "loads",
    "suffix",
]


def is_json_body(format: str) -> bool:
    """Whether a body in this format is one JSON value, which a JSON column can hold as it is."""
    return format == "json"
