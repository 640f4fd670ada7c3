"""The part of reading that is left to us: from what a backend answered to exactly what was asked.

:func:`select` and :func:`search` apply the residual with ``matches`` while they read on, drop what has
expired, order, and stop at the limit. So pushdown + residual is exactly the reference answer on every
backend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from time import perf_counter
from typing import Any, NamedTuple, Protocol

from praval_storage.errors import SerializationError
from praval_storage.filters import EVERYTHING, Node, Order, sort_records
from praval_storage.filters.paths import ROOTS
from praval_storage.garbage import collection_paused
from praval_storage.pushdown import restrict
from praval_storage.records import Record, Stored
from praval_storage.scan import Neighbour, Neighbours, Plan, Scan, Scanned

FIRST_CHUNK, LAST_CHUNK = 64, 2_048
CHUNK_BYTES = 8 << 20
"""How much data a chunk may have: a few large rows are as much work as many small ones."""


class Selection(NamedTuple):
    """The rows of a query, whether the limit cut some off, and how it was done."""

    rows: list[Stored]
    truncated: bool
    plan: Plan


class SearchSelection(NamedTuple):
    """The rows of a search, whether the limit cut some off, and how it was done."""

    rows: list[Neighbour]
    truncated: bool
    plan: Plan


class Filler(Protocol):
    """The part of a provider that looking at rows needs."""

    def fill(self, rows: Sequence[Stored]) -> list[Stored | None]:
        """See ``CanQuery.fill``."""

    def load(self, stored: Stored) -> Any:
        """See ``BaseStorageProvider.load``."""


class Source(Filler, Protocol):
    """The part of a provider that reading needs."""

    def scan(self, request: Scan) -> Scanned:
        """See ``CanQuery.scan``."""


class SearchSource(Protocol):
    """The part of a provider that searching needs."""

    def load(self, stored: Stored) -> Any:
        """See ``BaseStorageProvider.load``."""

    def nearest(self, vector: Any, where: Node, limit: int) -> Neighbours:
        """See ``CanSearch.nearest``."""


def select(source: Source, request: Scan, now: datetime) -> Selection:
    """The first ``request.limit`` matches in the wanted order."""
    started = perf_counter()
    scanned = source.scan(request)
    tally = Tally(unreadable=scanned.unreadable)
    found = _matches(source, scanned, now, tally)
    order = "any" if request.order is None else "native"
    # One more than wanted tells whether the limit cut anything off.
    wanted = None if request.limit is None else request.limit + 1
    if request.order is not None and not scanned.ordered:
        order, found = "sorted", _sorted(source, found, request.order, wanted, tally)
    with collection_paused():
        rows = list(islice(found, wanted))
    truncated = wanted is not None and len(rows) == wanted
    rows = rows[: request.limit]
    return Selection(rows, truncated, _plan(scanned, tally, len(rows), started, order))


def stream(source: Source, request: Scan, now: datetime) -> tuple[Iterator[Stored], Tally]:
    """Every match, read on while it is taken: flat memory unless an order has to be made here."""
    scanned = source.scan(request)
    tally = Tally(unreadable=scanned.unreadable)
    found = _matches(source, scanned, now, tally)
    if request.order is not None and not scanned.ordered:
        found = _sorted(source, found, request.order, None, tally)
    return found, tally


def matching(source: Filler, rows: Iterable[Stored], where: Node, now: datetime) -> Iterator[Stored]:
    """Those of the rows that match and have not expired; bodies are fetched only where they decide."""
    return _matches(source, Scanned(rows, residual=where), now, Tally())


def search(source: SearchSource, vector: Any, where: Node, limit: int, now: datetime) -> SearchSelection:
    """The ``limit`` best matches, best first, ties by key.

    Asks for more whenever the residual, expiry or a tie at the cut could change the answer.
    """
    started = perf_counter()
    wanted = limit + 1
    while True:
        answer = source.nearest(vector, where, wanted)
        exhausted = len(answer.rows) < wanted
        tally = Tally(len(answer.rows))
        decides = deciding(answer.residual, source.load, tally.unreadable)
        rows = [row for row in answer.rows if not row.stored.expired(now) and decides(row.stored)]
        if exhausted or _settled(rows, limit, answer.rows[-1].score):
            break
        wanted *= 4
    rows.sort(key=lambda row: (-row.score, row.stored.key))
    found = rows[:limit]
    plan = _plan(answer, tally, len(found), started, "native")
    return SearchSelection(found, len(rows) > limit, plan)


@dataclass(slots=True)
class Tally:
    """What was met on the way: rows the backend handed over, and keys of those that could not be decoded."""

    rows: int = 0
    unreadable: list[str] = field(default_factory=list)


def _matches(source: Filler, scanned: Scanned, now: datetime, tally: Tally) -> Iterator[Stored]:
    if scanned.residual == EVERYTHING:
        yield from _unexpired(scanned.rows, now, tally)
        return
    # What needs no body is decided first, so that only bodies that may match are fetched.
    split = restrict(scanned.residual, ROOTS - {"data"})
    decides = deciding(split.residual, source.load, tally.unreadable)
    for chunk in _chunks(scanned.rows):
        tally.rows += len(chunk)
        rows = [row for row in chunk if not row.expired(now)]
        if split.condition is not None:
            rows = [row for row in rows if split.condition.matches(Record(row, source.load))]
        if split.residual == EVERYTHING:
            yield from rows
            continue
        yield from filter(decides, (row for row in source.fill(rows) if row is not None))


def deciding(where: Node, load: Callable[[Stored], Any], unreadable: list[str]) -> Callable[[Stored], bool]:
    """Tells of rows that have their bodies whether they match.

    Data is decoded only where it decides. A row whose data cannot be decoded then matches nothing, and its
    key is added to ``unreadable``.
    """
    if where == EVERYTHING:
        return lambda _: True
    split = restrict(where, ROOTS - {"data"})

    def matches(row: Stored) -> bool:
        record = Record(row, load)
        if split.condition is not None and not split.condition.matches(record):
            return False
        try:
            return split.residual.matches(record)
        except SerializationError:
            unreadable.append(row.key)
            return False

    return matches


def _unexpired(rows: Iterable[Stored], now: datetime, tally: Tally) -> Iterator[Stored]:
    for row in rows:
        tally.rows += 1
        if row.expires_at is None or not row.expired(now):
            yield row


def _chunks(rows: Iterable[Stored]) -> Iterator[list[Stored]]:
    """Small pieces first, so that a low limit stops early; larger ones later, so that a scan is cheap."""
    iterator, size = iter(rows), FIRST_CHUNK
    while chunk := list(_piece(islice(iterator, size))):
        yield chunk
        size = min(size * 2, LAST_CHUNK)


def _piece(rows: Iterator[Stored]) -> Iterator[Stored]:
    """Rows up to the one that makes it too much."""
    taken = 0
    for row in rows:
        yield row
        taken += row.size or 0
        if taken >= CHUNK_BYTES:
            return


def _sorted(
    source: Source, rows: Iterable[Stored], order: Order, limit: int | None, tally: Tally
) -> Iterator[Stored]:
    records = (Record(row, source.load) for row in rows)
    if order.path.root == "data":
        filled = source.fill([record.stored for record in records])
        records = (_readable(source, row, tally) for row in filled if row is not None)
    return (record.stored for record in sort_records(records, order, limit))


def _readable(source: Filler, row: Stored, tally: Tally) -> Record:
    """A record to sort by; one whose data cannot be decoded sorts as one that has none."""
    record = Record(row, source.load)
    try:
        record.data  # noqa: B018 - decodes it
    except SerializationError:
        tally.unreadable.append(row.key)
        return Record(row, lambda _: None)
    return record


def _settled(rows: list[Neighbour], limit: int, last_score: float) -> bool:
    """Whether rows not asked for yet can no longer enter the first ``limit``."""
    return len(rows) > limit and rows[limit - 1].score > last_score


def _plan(answer: Scanned | Neighbours, tally: Tally, returned: int, started: float, order: str) -> Plan:
    left_out = answer.left_out() if isinstance(answer, Scanned) else ""
    return Plan(
        pushed=answer.pushed.to_filters(),
        residual=answer.residual.to_filters(),
        scanned=tally.rows,
        returned=returned,
        order=order,
        index=answer.index,
        hint="; ".join(filter(None, [answer.hint, left_out])) or None,
        unreadable=tuple(tally.unreadable),
        seconds=perf_counter() - started,
    )
