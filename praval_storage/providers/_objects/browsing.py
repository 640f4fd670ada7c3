"""Looking around in an object store: one level of a listing, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from praval_storage.filters import EVERYTHING, paths
from praval_storage.paging import Batch, Entry, Source, collect, named
from praval_storage.places import Count, Look, Measured, Place, Seen, as_folder, bad_token, folder, from_token
from praval_storage.providers._objects.listing import is_legal
from praval_storage.providers._objects.store import PAGE, Level, ObjectStore
from praval_storage.records import Stored

REQUESTS_PER_NAME = 10
"""A request for an object's metadata takes that much of the budget."""


def look(
    source: Source, store: ObjectStore, start: str, request: Look, format_of: Callable[[str], str]
) -> Seen:
    """One page of a folder: a listing of this level alone, and metadata of the rows of the page alone.

    Args:
        source: The provider.
        store: Its store.
        start: The collection: what every name starts with and no key does.
        request: What was asked; its path is that of keys.
        format_of: Format of an object, by its name.
    """
    prefix = as_folder(request.path)
    by_key = request.order is None or (request.order.path.root == "key" and not request.order.descending)
    levels = _Levels(store, start, prefix, request, format_of)
    budget = request.budget
    if {path.root for path in paths(request.where)} - store.listed:
        budget = max(request.limit, budget // REQUESTS_PER_NAME)
    page = collect(
        request, prefix, levels.batches(), _position, named(source, request, store.listed), budget=budget
    )
    return replace(page.seen(prefix, levels.statement), ordered=by_key, note=store.price)


def measure(store: ObjectStore, start: str, path: str) -> Iterator[Measured]:
    """Count the objects below a folder, and their bytes."""
    records = size = 0
    skip = len(start)
    for number, entry in enumerate(store.entries(start + as_folder(path)), 1):
        if is_legal(entry.name[skip:]):
            records, size = records + 1, size + (entry.size or 0)
        if number % PAGE == 0:
            yield Measured(Count(records), Count(size), done=False)
    yield Measured(Count(records), Count(size), done=True)


class _Levels:
    """The listing of one level, from a token on."""

    def __init__(
        self, store: ObjectStore, start: str, prefix: str, request: Look, format_of: Callable[[str], str]
    ) -> None:
        self.statement = ""
        self._store, self._start, self._prefix, self._request = store, start, prefix, request
        self._format_of = format_of
        self._last = _last(request)

    def batches(self) -> Iterator[Batch]:
        is_whole = self._request.where == EVERYTHING and not self._request.text
        size, last = self._request.limit if is_whole else PAGE, self._last
        while True:
            level = self._store.level(self._start + self._prefix, last and self._start + last, size)
            self.statement = self.statement or level.statement
            following = level.last[len(self._start) :] if level.last is not None else None
            if last is not None and following is not None and following <= last:
                size = min(2 * size + 1, PAGE)  # nothing but what was listed before
                continue
            entries = self._entries(level, last)
            yield Batch(entries, len(level.entries) + len(level.folders), following and [following])
            if following is None:
                return
            last = following

    def _entries(self, level: Level, last: str | None) -> list[Entry]:
        skip = len(self._start)
        folders = (name[skip:] for name in level.folders)
        places: list[tuple[str, Entry]] = [(name, folder(name)) for name in folders if is_legal(name[:-1])]
        rows: list[tuple[str, Entry]] = [
            (
                key,
                Stored(key, self._format_of(key), size=entry.size, updated_at=entry.modified),
            )
            for entry in level.entries
            if is_legal(key := entry.name[skip:])
        ]
        found = sorted([*places, *rows], key=lambda pair: pair[0])
        # A listing that goes on after a folder may begin with this folder.
        return [entry for name, entry in found if last is None or name > last]


def _position(entry: Entry) -> Any:
    return [entry.path if isinstance(entry, Place) else entry.key]


def _last(request: Look) -> str | None:
    match from_token(request.token):
        case None:
            return None
        case [str(last)]:
            return last
        case _:
            raise bad_token()
