"""Paths: where in a record a filter or an ordering looks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, Self

from praval_storage.errors import InvalidFilterError

SCALAR_ROOTS = frozenset({"key", "created_at", "updated_at", "size", "format"})
TREE_ROOTS = frozenset({"metadata", "data"})
ROOTS = SCALAR_ROOTS | TREE_ROOTS

_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")


class Matchable(Protocol):
    """What a filter can look at: any object with these attributes, lazy or not."""

    @property
    def key(self) -> str:
        """Key of the record."""

    @property
    def data(self) -> Any:
        """The decoded value."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The user's metadata; empty when there is none."""

    @property
    def created_at(self) -> datetime | None:
        """First write, aware UTC."""

    @property
    def updated_at(self) -> datetime | None:
        """Last write, aware UTC."""

    @property
    def size(self) -> int | None:
        """Bytes of the stored body."""

    @property
    def format(self) -> str | None:
        """Stored format of the data."""


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path: ``metadata.a.b`` is root ``metadata`` with parts ``("a", "b")``.

    ``str(path)`` is the shortest text that parses back to it: ``user_id`` for the data field
    ``user_id``, ``data.key`` for a data field called ``key``. A field whose name holds a dot cannot
    be addressed.

    Attributes:
        root: ``key``, ``created_at``, ``updated_at``, ``size``, ``format``, ``metadata`` or ``data``.
        parts: Field names, or positions in a list, below ``metadata`` or ``data``.
    """

    root: str
    parts: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: object) -> Self:
        """The path a text names.

        Raises:
            InvalidFilterError: Not a ``str``, an empty segment, an operator, or parts below a scalar.
        """
        if not isinstance(text, str):
            raise InvalidFilterError(f"A path must be a str, not {type(text).__name__}: {text!r}")
        first, *rest = segments = text.split(".")
        if "" in segments:
            raise InvalidFilterError(f"Path {text!r} has an empty segment", hint="Write it as 'a.b.c'")
        if first.startswith("$"):
            raise InvalidFilterError(
                f"{text!r} is not a path", hint=f"For a data field of that name write 'data.{text}'"
            )
        if first in TREE_ROOTS:
            return cls(first, tuple(rest))
        if first in SCALAR_ROOTS and rest:
            raise InvalidFilterError(
                f"Path {text!r}: {first!r} of a record has no parts",
                hint=f"For a data field of that name write 'data.{text}'",
            )
        return cls(first) if first in SCALAR_ROOTS else cls("data", tuple(segments))

    def values(self, record: Matchable) -> Sequence[Any]:
        """All values found at this path: none, one, or several where a step fans out over a list.

        A step takes the field of a mapping. On a list it takes the field of every element that is a
        mapping (one level, as in MongoDB and lax jsonpath), and, when it is a number, also the
        element at that position. A scalar attribute that is ``None`` counts as missing.
        """
        value = getattr(record, self.root)
        if value is None and self.root in SCALAR_ROOTS:
            return ()
        for position, part in enumerate(self.parts):
            if type(value) is not dict:
                return _fan_out([value], self.parts[position:])
            if part not in value:
                return ()
            value = value[part]
        return (value,)

    def value(self, record: Matchable) -> Any:
        """The one value to sort by, by fields and list positions alone; ``None`` where there is nothing."""
        return self.descend(getattr(record, self.root))

    def descend(self, value: Any) -> Any:
        """:meth:`value`, given the data or metadata itself."""
        for part in self.parts:
            if isinstance(value, Mapping):
                value = value.get(part)
            elif isinstance(value, (list, tuple)) and _has_position(value, part):
                value = value[int(part)]
            else:
                return None
        return value

    def __str__(self) -> str:
        if self.root != "data" or not self.parts or self._is_ambiguous():
            return ".".join((self.root, *self.parts))
        return ".".join(self.parts)

    def _is_ambiguous(self) -> bool:
        return self.parts[0] in ROOTS or self.parts[0].startswith(("$", "-"))


def _fan_out(values: list[Any], parts: tuple[str, ...]) -> list[Any]:
    for part in parts:
        values = [inner for value in values for inner in _step(value, part)]
    return values


def _step(value: Any, part: str) -> list[Any]:
    if isinstance(value, Mapping):
        return [value[part]] if part in value else []
    if not isinstance(value, (list, tuple)):
        return []
    inner = [item[part] for item in value if isinstance(item, Mapping) and part in item]
    return [*inner, value[int(part)]] if _has_position(value, part) else inner


def _has_position(value: Sequence[Any], part: str) -> bool:
    return _INDEX.fullmatch(part) is not None and int(part) < len(value)
