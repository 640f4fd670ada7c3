"""What an object store must be able to do to keep records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import islice
from os.path import commonprefix
from typing import BinaryIO, ClassVar, NamedTuple

from praval_storage.base import Item
from praval_storage.errors import KeyNotFoundError, StorageError
from praval_storage.records import Stored

Guard = Callable[[str], AbstractContextManager[None]]
"""The error boundary of one write, by name."""
Outcome = Stored | StorageError

FEW = 8
"""Up to so many names are looked at one by one; for more a listing is asked first which are there."""
PAGE = 1_000


class Entry(NamedTuple):
    """An object in a listing: its name, and size and time of the last write where listings tell."""

    name: str
    size: int | None
    modified: datetime | None = None


class Level(NamedTuple):
    """A part of the listing of one folder, in code point order.

    Attributes:
        entries: Objects directly in it.
        folders: Names of the folders directly in it, each with its slash.
        last: The last name of the part, from which the next one goes on; ``None`` = that was all.
        statement: What was asked, in the backend's words.
    """

    entries: Sequence[Entry]
    folders: Sequence[str]
    last: str | None
    statement: str = ""


class ObjectStore(ABC):
    """Records as objects; names are keys with the provider's collection in front.

    What has expired is returned like any other record: the provider judges.
    """

    listed: ClassVar[frozenset[str]] = frozenset({"key"})
    """What a listing tells of every record: ``key``, and ``size`` where it is reliable."""

    price: ClassVar[str] = ""
    """What a page of a folder costs, where it is more than one request."""

    @abstractmethod
    def level(self, prefix: str, after: str | None, count: int) -> Level:
        """At most ``count`` objects and folders directly in a folder, those that come after a name.

        Args:
            prefix: Name of the folder, with its slash; ``""`` = the top.
            after: Name of an object or, with a slash, of a folder; may be listed again itself.
            count: How many.
        """

    @abstractmethod
    def entries(self, prefix: str, expected: int | None = None) -> Iterator[Entry]:
        """Objects whose name starts with ``prefix`` in code point order, also those with illegal names.

        Args:
            prefix: What names start with.
            expected: How many will probably be taken.
        """

    @abstractmethod
    def folders(self, prefix: str) -> list[str]:
        """Names up to the next slash after ``prefix``, without it."""

    @abstractmethod
    def fetch(self, names: Sequence[str], bodies: Collection[str] = ()) -> list[Stored | None]:
        """The records under these names, in order, with the bodies of those in ``bodies``."""

    @abstractmethod
    def write(self, items: Mapping[str, Item], guard: Guard, *, overwrite: bool) -> dict[str, Outcome]:
        """Write records by name; for each what is there now, or why it was not written."""

    @abstractmethod
    def delete(self, names: Sequence[str]) -> list[Stored | None]:
        """Delete what is under these names, and say what it was (metadata may be left out)."""

    @abstractmethod
    def open(self, stored: Stored) -> BinaryIO:
        """The body of a record that was fetched, for reading."""

    @abstractmethod
    def tidy(self) -> None:
        """Remove what interrupted writes left behind."""

    @abstractmethod
    def health(self) -> str:
        """Reach the store once: a few words about it."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections; the store may be used again."""

    def possible(self, names: Sequence[str]) -> list[str]:
        """The names that may be there: one page of a listing rules out those of new records."""
        if len(names) <= FEW:
            return list(names)
        page = [entry.name for entry in islice(self.entries(_common(names), PAGE), PAGE)]
        there, is_whole = set(page), len(page) < PAGE
        return [name for name in names if name in there or not (is_whole or name < page[-1])]


def _common(names: Sequence[str]) -> str:
    return commonprefix(names)  # noqa: RUF071 - of names, which are no paths


def gone(name: str) -> KeyNotFoundError:
    """The error of a body that is read after its record was deleted or replaced."""
    return KeyNotFoundError(
        f"{name!r} was deleted or replaced while it was read", hint="Open it again to read what is there now"
    )
