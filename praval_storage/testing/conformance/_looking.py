"""How tests look around: the pages of a place, what they show, and records to look at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from praval_storage.base import BaseStorageProvider, CanBrowse
from praval_storage.manager import DataManager
from praval_storage.places import Look, Place, Seen

HOSTILE = [
    *("a", "a/b", "a/b/c", "a0", "a/b-", "Z", "point-1", "point-2", "point-10", "-dash", "~", "a+b", "100%"),
    *("x:y", "x:y:z", "x:", "x::z", ":x", "sp ace/q?&#%41.txt", "quote's\"", "[glob]*?", "[glob]/x", "a_b"),
    *("<img src=x onerror=alert(1)>", "<b>/\u202e", "\u00e9/x", "\u65e5\u672c/\u8a9e", "\uffff", "\uffff/x"),
    *("\U0001f600", "\U0001f600/\U0001f600", "a.b.c/d.e", 'p"q.r', "$where", "{}", "aXb"),
    *("long/" + "n" * 300, "\u00fc" * 200),
]  # fmt: skip
"""Keys that mean something to a path, a pattern, a query or a page of HTML."""


def home(provider: BaseStorageProvider) -> str:
    """Path of the place that has the provider's own records."""
    return provider.home() if isinstance(provider, CanBrowse) else ""


def pages(dm: DataManager, storage_type: str, path: str, **options: Any) -> Iterator[Seen]:
    """All pages of a place."""
    return pages_of(dm, storage_type, Look(path, **options))


def pages_of(dm: DataManager, storage_type: str, first: Look) -> Iterator[Seen]:
    """A page and all that follow."""
    token = first.token
    while True:
        seen = dm.look(storage_type, replace(first, token=token))
        yield seen
        token = seen.next
        if token is None:
            return


def keys_on(answer: Iterable[Seen]) -> list[str]:
    """Keys of the records that pages show."""
    return [row.key for seen in answer for row in seen.rows]


def walk(
    dm: DataManager, storage_type: str, path: str, limit: int = 25, delimiter: str | None = None
) -> Iterator[str]:
    """Keys of all records in a place and below, as they are shown."""
    below: list[Place] = []
    for seen in pages(dm, storage_type, path, limit=limit, delimiter=delimiter):
        yield from (row.key for row in seen.rows)
        below += seen.places
    for place in below:
        yield from walk(dm, storage_type, place.path, limit, delimiter)


def labels(dm: DataManager, storage_type: str, path: str, **options: Any) -> list[str]:
    """What all pages of a place show."""
    shown: list[str] = []
    for seen in pages(dm, storage_type, path, **options):
        shown += [*map(seen.label, seen.rows), *(place.label for place in seen.places)]
    return shown


def has_delimiters(dm: DataManager, storage_type: str, provider: BaseStorageProvider) -> bool:
    """Whether any text can be what the places of a key stand between."""
    return bool(dm.look(storage_type, Look(home(provider), limit=1)).delimiter)


def store_numbers(dm: DataManager, storage_type: str, count: int) -> None:
    """Records with a number, tags, and metadata."""
    data = [{"n": n, "tags": ["x"] if n % 3 else []} for n in range(count)]
    metadata = [{"kind": "odd" if n % 2 else "even"} for n in range(count)]
    dm.store_many(data, storage_type, [f"k{n}" for n in range(count)], metadata).raise_for_errors()
