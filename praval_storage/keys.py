"""What a key may look like, and keys for data that was given none."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import uuid_utils

from praval_storage.display import counted
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


def is_legal(name: str) -> bool:
    """Whether what others gave this name can be a record."""
    try:
        validate_key(name)
    except InvalidKeyError:
        return False
    return True


@dataclass(slots=True)
class Passed:
    """How many names of others were passed over because they are no legal keys."""

    over: int = 0

    def legal(self, name: str, *, is_place: bool = False) -> bool:
        """Whether a name, without the slash of a place, is legal; if not it counts, unless it says nothing.

        That is what lies below our own prefix, and the empty object that stands for a folder.
        """
        if is_legal(name):
            return True
        is_marker = not is_place and (not name or (name.endswith("/") and is_legal(name[:-1])))
        self.over += not (is_marker or f"/{RESERVED_PREFIX}" in f"/{name}")
        return False

    def hint(self) -> str:
        """The number in words, for a plan; nothing if there were none."""
        return f"{counted(self.over, 'name')} passed over: no legal key" if self.over else ""

    def note(self) -> str:
        """The number in words, for a page; nothing if there were none."""
        if not self.over:
            return ""
        names = "is no legal key and is" if self.over == 1 else "are no legal keys and are"
        return f"{counted(self.over, 'name')} {names} not shown"


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
