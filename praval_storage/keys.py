"""What a key may look like, and keys for data that was given none."""

from __future__ import annotations

import re
import unicodedata

import uuid_utils

from praval_storage.errors import InvalidKeyError

MAX_KEY_BYTES = 512
RESERVED_PREFIX = ".praval"
"""No key has a segment that starts like this: indexes, temporary files and companions live there."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def validate_key(key: object) -> str:
    """The key itself when it is legal on every backend; keys are never rewritten.

    A key is a ``str`` in Unicode normal form C of 1 to 512 UTF-8 bytes: segments separated by ``/``,
    none of them empty, ``.`` or ``..``, none starting with ``.praval``; no backslash, control
    character or lone surrogate.

    Raises:
        InvalidKeyError: Says which rule the key breaks.
    """
    if not isinstance(key, str):
        raise InvalidKeyError(f"A key must be a str, not {type(key).__name__}", hint="Use str(key)")
    problem = _problem(key)
    if problem is not None:
        raise InvalidKeyError(f"Key {_shown(key)} {problem}")
    return key


def new_key() -> str:
    """A unique key that sorts by the time it was made (UUID version 7, RFC 9562)."""
    return str(uuid_utils.uuid7())


def _problem(key: str) -> str | None:
    if not key:
        return "is empty"
    if found := _CONTROL.search(key):
        return f"holds the control character or surrogate {found.group()!r} at position {found.start()}"
    if (size := len(key.encode())) > MAX_KEY_BYTES:
        return f"has {size} bytes in UTF-8, more than {MAX_KEY_BYTES}"
    if "\\" in key:
        return "holds a backslash; separate segments with '/'"
    if not unicodedata.is_normalized("NFC", key):
        return "is not in Unicode normal form C; use unicodedata.normalize('NFC', key)"
    for segment in key.split("/"):
        if segment in {"", ".", ".."}:
            return f"has the segment {segment!r}; segments must not be empty, '.' or '..'"
        if segment.startswith(RESERVED_PREFIX):
            return f"has the segment {segment!r}; names that start with {RESERVED_PREFIX!r} are reserved"
    return None


def _shown(key: str) -> str:
    text = repr(key)
    return text if len(text) <= 80 else f"{text[:77]}...'"
