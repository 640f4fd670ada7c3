"""Keys and their names in Redis, and which names a filter on keys leaves to look at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from praval_storage.errors import InvalidKeyError
from praval_storage.filters import And, Compare, Node
from praval_storage.keys import validate_key

SEPARATOR = ":"

_GLOB = re.compile(rb"[*?\[\]\\^-]")
_LEGAL = re.compile(rb"[0-9A-Za-z_:=@-]{1,512}")
"""Most keys; the others are looked at more closely."""


class Keyspace:
    """The keys of one collection.

    Args:
        prefix: What every name in Redis starts with.
        collection: Collection; ``""`` = all keys below the prefix.

    Attributes:
        start: What every name in this collection starts with.
    """

    def __init__(self, prefix: str, collection: str = "") -> None:
        self.collection = collection
        self.start = f"{prefix}{collection}{SEPARATOR if collection else ''}".encode()

    def name(self, key: str) -> bytes:
        """The name of a key in Redis."""
        return self.start + key.encode()

    def keys(self, names: Iterable[bytes]) -> Iterator[str]:
        """The keys of those names that have a legal one; others cannot be ours and are skipped."""
        skip = len(self.start)
        for name in names:
            key = name[skip:]
            if _LEGAL.fullmatch(key):
                yield key.decode()
            elif (odd := _legal(key)) is not None:
                yield odd

    def pattern(self, prefix: str = "", rest: bytes = b"*") -> bytes:
        """The glob pattern of the names of keys that start with ``prefix``."""
        return escaped(self.start + prefix.encode()) + rest


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The keys that may pass a filter.

    Attributes:
        keys: These and no others, or ``None``.
        prefix: What they start with.
        exact: Whether all of them pass.
    """

    keys: tuple[str, ...] | None = None
    prefix: str = ""
    exact: bool = False


def narrow(condition: Node | None) -> Narrowed:
    """Where to look for the keys that pass a filter on nothing but the key."""
    match condition:
        case None:
            return Narrowed(exact=True)
        case Compare(op="eq", operand=operand):
            return Narrowed(_possible([operand]))
        case Compare(op="in", operand=operands):
            return Narrowed(_possible(operands))
        case Compare(op="prefix", operand=str(prefix)) if _possible([prefix]):
            return Narrowed(prefix=prefix, exact=True)
        case And(children=children):
            parts = [narrow(child) for child in children]
            listed = next((part.keys for part in parts if part.keys is not None), None)
            return Narrowed(listed, max((part.prefix for part in parts), key=len, default=""))
        case _:
            return Narrowed()


def escaped(name: bytes) -> bytes:
    """A glob pattern that only this name matches."""
    return _GLOB.sub(rb"\\\g<0>", name)


def caseless_glob(text: str) -> bytes:
    """A pattern for the names that hold a text, ASCII letters in either case; of other letters any number."""
    return b"".join([b"*", *map(_glob, text), b"*" if text else b""])


def _glob(letter: str) -> bytes:
    if not letter.isascii():
        return b"*"
    return f"[{letter.lower()}{letter.upper()}]".encode() if letter.isalpha() else escaped(letter.encode())


def _possible(operands: Iterable[object]) -> tuple[str, ...]:
    """Those operands that are legal keys or beginnings of one, each once."""
    texts = dict.fromkeys(operand for operand in operands if isinstance(operand, str))
    return tuple(text for text in texts if _encodable(text))


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _legal(name: bytes) -> str | None:
    try:
        return validate_key(name.decode())
    except (UnicodeDecodeError, InvalidKeyError):
        return None
