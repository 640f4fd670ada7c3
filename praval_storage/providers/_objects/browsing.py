"""Looking around in an object store: one level of a listing, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

from praval_storage.filters import EVERYTHING, Order, paths
from praval_storage.keys import Passed, is_legal
from praval_storage.paging import Batch, Entry, Source, collect, in_any_order, named
from praval_storage.places import Count, Look, Measured, Place, Seen, as_folder, bad_token, folder, from_token
from praval_storage.providers._objects.store import PAGE, Level, ObjectStore
from praval_storage.records import Stored

REQUESTS_PER_NAME = 10
"""A request for an object's metadata takes that much of the budget."""
_TOO_MANY = f"a listing comes by name, and no more than {PAGE} names are sorted"
_NOT_LISTED = "the listing does not tell it, and each object would have to be asked"


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
    levels = _Levels(store, start, request, format_of)
    order = request.order
    if order is None or str(order) == "key":
        return levels.page(source)
    entries = None if _is_by_name(request) else levels.whole()
    if entries is None:
        return levels.page(source).unordered(order, _TOO_MANY)
    is_told = order.path.root in _told(store, request)
    asks = not is_told or {path.root for path in paths(request.where)} - store.listed
    if order.path.root == "data" or (asks and len(entries) > request.budget // REQUESTS_PER_NAME):
        return levels.page(source).unordered(order, _NOT_LISTED)
    if is_told:
        return levels.seen(_by_listing(source, store, levels.prefix, entries, order, request), entries)
    sift = named(source, replace(request, metadata=True), store.listed)
    return levels.seen(in_any_order(source, entries, sift, levels.prefix, order, request), entries)


def _told(store: ObjectStore, request: Look) -> frozenset[str]:
    """What a listing says of records as they are shown."""
    return store.listed if request.metadata else store.listed | {"size", "updated_at", "format"}


def _is_by_name(request: Look) -> bool:
    """Whether the page before was not in the order that is asked for."""
    match from_token(request.token):
        case [_]:
            return True
        case _:
            return False


def _by_listing(
    source: Source, store: ObjectStore, prefix: str, entries: Sequence[Entry], order: Order, request: Look
) -> Seen:
    """A page in an order that the listing tells: only its own rows are asked for."""
    listing = replace(request, metadata=False, bodies=False)
    seen = in_any_order(source, entries, named(source, listing, store.listed), prefix, order, request)
    asked = named(source, replace(request, where=EVERYTHING), store.listed)
    return replace(seen, rows=list(asked(seen.rows)))


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
        self, store: ObjectStore, start: str, request: Look, format_of: Callable[[str], str]
    ) -> None:
        self.prefix = as_folder(request.path)
        self.statement = ""
        self._store, self._start, self._request = store, start, request
        self._format_of = format_of
        self._passed = Passed()

    def page(self, source: Source) -> Seen:
        """The entries after the token, as they are listed."""
        request, listed = self._request, self._store.listed
        budget = request.budget
        if {path.root for path in paths(request.where)} - listed:
            budget = max(request.limit, budget // REQUESTS_PER_NAME)
        sift = named(source, request, listed)
        page = collect(request, self.prefix, self.batches(), _position, sift, budget=budget)
        return page.seen(self.prefix, self.statement).noted(self._store.price, self._passed.note())

    def whole(self) -> list[Entry] | None:
        """All entries, if one listing has them."""
        level = self._store.level(self._start + self.prefix, None, PAGE)
        self.statement = level.statement
        return None if level.last is not None else self._entries(level, None)

    def seen(self, seen: Seen, entries: Sequence[Entry]) -> Seen:
        """A page out of all entries with what was asked for it."""
        seen = replace(seen, scanned=len(entries), statement=self.statement)
        return seen.noted(self._store.price, self._passed.note())

    def batches(self) -> Iterator[Batch]:
        is_whole = self._request.where == EVERYTHING and not self._request.text
        size, last = self._request.limit if is_whole else PAGE, _last(self._request)
        self.statement = ""
        while True:
            level = self._store.level(self._start + self.prefix, last and self._start + last, size)
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
        # A listing that goes on after a folder may begin with this folder.
        begin, skip, legal = last or "", len(self._start), self._passed.legal
        folders = (name for each in level.folders if (name := each[skip:]) > begin)
        places: list[tuple[str, Entry]] = [
            (name, folder(name)) for name in folders if legal(name[:-1], is_place=True)
        ]
        rows: list[tuple[str, Entry]] = [
            (
                key,
                Stored(key, self._format_of(key), size=entry.size, updated_at=entry.modified),
            )
            for entry in level.entries
            if (key := entry.name[skip:]) > begin and legal(key)
        ]
        return [entry for _, entry in sorted([*places, *rows], key=itemgetter(0))]


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
