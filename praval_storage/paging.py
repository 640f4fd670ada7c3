"""One page out of what a backend lists: text, filter, limit and budget applied while it is read on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import Any, NamedTuple, Protocol

from praval_storage import bookmarks
from praval_storage.errors import SerializationError
from praval_storage.filters import EVERYTHING, Node, Order, rank
from praval_storage.labels import containing, natural
from praval_storage.places import MOST, Look, Place, Seen, bad_token, from_token, to_token
from praval_storage.pushdown import restrict
from praval_storage.records import Record, Stored
from praval_storage.selection import Filler, matching

Entry = Place | Stored
Sift = Callable[[Iterable[Stored]], Iterable[Stored]]

_FIRST, _LAST = 64, 512
"""Rows looked at together: few first, so that a page that fills early stops early."""


class Batch(NamedTuple):
    """What a backend lists at a time.

    Attributes:
        entries: Places and rows in the order of the listing.
        scanned: Keys or rows that were looked at for them.
        next: Position after the batch; ``None`` = there is no more.
    """

    entries: Sequence[Entry]
    scanned: int
    next: Any


@dataclass(frozen=True, slots=True)
class Page:
    """The entries of one page, and where the next one begins.

    Attributes:
        places: In natural order.
        rows: In the order of the listing.
        next: Token of the next page.
        scanned: Keys or rows that were looked at.
        stopped: Whether the budget was used up.
    """

    places: list[Place]
    rows: list[Stored]
    next: str | None
    scanned: int
    stopped: bool

    def seen(self, prefix: str, statement: str = "") -> Seen:
        """The page as an answer."""
        return Seen(
            self.places,
            self.rows,
            prefix=prefix,
            next=self.next,
            scanned=self.scanned,
            stopped=self.stopped,
            statement=statement,
        )


class Source(Filler, Protocol):
    """The part of a provider that a page needs."""

    def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
        """See ``BaseStorageProvider.read``."""


def collect(
    request: Look,
    prefix: str,
    batches: Iterable[Batch],
    position: Callable[[Entry], Any],
    sift: Sift,
    *,
    budget: int | None = None,
) -> Page:
    """Entries until the page is full, the listing has ended or the budget is used up.

    Args:
        request: What was asked.
        prefix: What the keys of the rows begin with and their labels do not.
        batches: The listing from the token on.
        position: What a token says for going on after an entry.
        sift: Those of some rows that belong on the page, in their order.
        budget: Instead of that of the request.
    """
    taken: list[Entry] = []
    scanned, following = 0, None
    for batch in batches:
        scanned, following = scanned + batch.scanned, batch.next
        for number, entry in _fitting(batch.entries, request.text, len(prefix), sift):
            taken.append(entry)
            if len(taken) == request.limit:
                is_last = number + 1 == len(batch.entries)
                return _page(taken, batch.next if is_last else position(entry), scanned)
        if following is not None and scanned >= (budget or request.budget):
            return _page(taken, following, scanned, stopped=True)
    return _page(taken, following, scanned)


def named(source: Source, request: Look, listed: frozenset[str]) -> Sift:
    """Reads the rows of a listing that only knows some of their attributes."""
    split = restrict(request.where, listed)

    def sift(rows: Iterable[Stored]) -> Iterator[Stored]:
        now = datetime.now(UTC)
        rows = (row for row in rows if _passes(split.condition, row, source))
        if not (request.metadata or request.bodies) and split.residual == EVERYTHING:
            yield from rows
            return
        for chunk in _chunks(rows):
            found = source.read([row.key for row in chunk], bodies=request.bodies)
            yield from matching(source, [row for row in found if row is not None], split.residual, now)

    return sift


def whole(source: Filler, where: Node) -> Sift:
    """For rows that came with all but their bodies."""
    return lambda rows: matching(source, rows, where, datetime.now(UTC))


def in_any_order(
    source: Filler, entries: Iterable[Entry], sift: Sift, prefix: str, order: Order, request: Look
) -> Seen:
    """A page in any order, out of all entries there are; places are on the first page."""
    fits = containing(request.text)
    places: dict[str, Place] = {}

    def here() -> Iterator[Stored]:
        for entry in entries:
            if isinstance(entry, Stored):
                if fits(entry.key[len(prefix) :]):
                    yield entry
            elif request.token is None and len(places) < MOST and fits(entry.label):
                places.setdefault(entry.path, entry)

    ranked = ((rank(_value(source, row, order)), row) for row in sift(here()))
    rows, token, note = bookmarks.page(order, ranked, request.limit, request.token)
    return Seen(naturally(places.values()), rows, prefix=prefix, next=token, note=note)


def _value(source: Filler, row: Stored, order: Order) -> Any:
    """The value to sort by; that of a record which cannot be decoded is missing."""
    try:
        return order.path.value(Record(row, source.load))
    except SerializationError:
        return None


def in_places(request: Look, places: Sequence[Place], statement: str = "", note: str = "") -> Seen:
    """A page out of a few places that are all known, in natural order."""
    fits = containing(request.text)
    match from_token(request.token):
        case None:
            after = None
        case [str(last)]:
            after = natural(last)
        case _:
            raise bad_token()
    found = naturally(
        place for place in places if fits(place.label) and (after is None or natural(place.label) > after)
    )
    page = found[: request.limit]
    token = to_token([page[-1].label]) if len(found) > len(page) else None
    return Seen(page, next=token, scanned=len(places), statement=statement, note=note)


def naturally(places: Iterable[Place]) -> list[Place]:
    """The places in natural order."""
    return sorted(places, key=lambda place: natural(place.label))


def _fitting(entries: Sequence[Entry], text: str, skip: int, sift: Sift) -> Iterator[tuple[int, Entry]]:
    """The entries that belong on a page, each with its number in the batch."""
    fits = containing(text)
    numbered = enumerate(entries)
    for are_places, group in groupby(numbered, key=lambda each: isinstance(each[1], Place)):
        if are_places:
            yield from ((number, place) for number, place in group if fits(place.label))  # type: ignore[union-attr]
            continue
        chosen = [(number, row) for number, row in group if fits(row.key[skip:])]  # type: ignore[union-attr]
        numbers: dict[str, deque[int]] = {}
        for number, row in chosen:  # equal rows of a view share a key
            numbers.setdefault(row.key, deque()).append(number)  # type: ignore[union-attr]
        yield from ((numbers[row.key].popleft(), row) for row in sift(row for _, row in chosen))  # type: ignore[misc]


def _page(taken: Sequence[Entry], following: Any, scanned: int, *, stopped: bool = False) -> Page:
    return Page(
        naturally(entry for entry in taken if isinstance(entry, Place)),
        [entry for entry in taken if isinstance(entry, Stored)],
        None if following is None else to_token(following),
        scanned,
        stopped,
    )


def _passes(condition: Node | None, row: Stored, source: Source) -> bool:
    return condition is None or condition.matches(Record(row, source.load))


def _chunks(rows: Iterable[Stored]) -> Iterator[list[Stored]]:
    iterator, size = iter(rows), _FIRST
    while chunk := list(islice(iterator, size)):
        yield chunk
        size = min(size * 2, _LAST)
