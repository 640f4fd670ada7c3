"""Reading many records: what is asked of a backend, what it answers, and the part of the work left to us.

A backend pushes down what it can and returns rows that include every match; :func:`select` and
:func:`search` apply the residual with ``matches`` while they read on, drop what has expired, order, and
stop at the limit. So pushdown + residual is exactly the reference answer on every backend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from time import perf_counter
from typing import Any, NamedTuple, Protocol

from praval_storage.display import Table, as_html, as_text, counted, facts, listed
from praval_storage.errors import SerializationError
from praval_storage.filters import EVERYTHING, Node, Order, sort_records
from praval_storage.filters.paths import ROOTS
from praval_storage.options import options
from praval_storage.pushdown import restrict
from praval_storage.records import Record, Stored

FIRST_CHUNK, LAST_CHUNK = 64, 2_048
CHUNK_BYTES = 8 << 20
"""How much data a chunk may have: a few large rows are as much work as many small ones."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What is asked of a backend.

    Attributes:
        where: Filter; the backend answers with a superset of its matches.
        order: Wanted order; ``None`` = the cheapest that is stable while the data does not change.
        limit: How many rows will be used at most: a hint for page sizes, never to be applied as a limit.
        bodies: Whether the caller wants the data of every row.
    """

    where: Node = EVERYTHING
    order: Order | None = None
    limit: int | None = None
    bodies: bool = True


@dataclass(frozen=True, slots=True)
class Scanned:
    """A backend's answer: rows, and what is left for the caller to do.

    Attributes:
        rows: Rows, read on while they are taken; may include expired ones.
        pushed: The part of the filter the backend applied.
        residual: The part the caller must still apply with ``matches``.
        ordered: Whether the rows come in the wanted order (ties by key).
        index: The index that helped, in the backend's words.
        hint: What would make this faster.
        left_out: Says, once rows were read, what was passed over because it can be no record.
    """

    rows: Iterable[Stored]
    pushed: Node = EVERYTHING
    residual: Node = EVERYTHING
    ordered: bool = False
    index: str | None = None
    hint: str | None = None
    left_out: Callable[[], str] = str


class Neighbour(NamedTuple):
    """A row with its score (higher is better) and the engine's own distance or similarity."""

    stored: Stored
    score: float
    raw: float


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The rows nearest to a vector, best first, and what is left for the caller to do.

    Attributes:
        rows: At most as many as asked for, best first; may include expired ones.
        pushed: The part of the filter the backend applied.
        residual: The part the caller must still apply with ``matches``.
        index: The index that helped.
        hint: What would make this faster.
    """

    rows: Sequence[Neighbour] = field(default_factory=tuple)
    pushed: Node = EVERYTHING
    residual: Node = EVERYTHING
    index: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """How a query or search was answered.

    Attributes:
        pushed: Filter the backend applied itself.
        residual: Filter applied here, row by row.
        scanned: Rows the backend handed over.
        returned: Rows in the result.
        order: ``"native"``, ``"sorted"`` here, or ``"any"`` when no order was asked for.
        index: The index that helped, in the backend's words.
        hint: What would make this faster, and what was passed over because it can be no record.
        unreadable: Keys of records whose data had to be looked at and could not be decoded: they are not
            what their names say, and match nothing.
        seconds: Time from asking to the last row.
    """

    pushed: dict[str, Any]
    residual: dict[str, Any]
    scanned: int
    returned: int
    order: str = "any"
    index: str | None = None
    hint: str | None = None
    unreadable: tuple[str, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    def __repr__(self) -> str:
        return as_text(self._table())

    def _repr_html_(self) -> str:
        return as_html(self._table(took="" if options.stable_repr else f"{self.seconds * 1e3:.0f} ms"))

    def _table(self, **more: str) -> Table:
        known = {
            "pushed down": self.pushed or "nothing",
            "applied here": self.residual or "nothing",
            "order": self.order,
            "index": self.index,
            "hint": self.hint,
            "unreadable": listed(map(repr, self.unreadable)),
            **more,
        }
        title = f"Plan: {counted(self.scanned, 'row')} read, {self.returned} returned"
        return facts(title, {name: value for name, value in known.items() if value})


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
    tally = Tally()
    found = _matches(source, scanned, now, tally)
    order = "any" if request.order is None else "native"
    # One more than wanted tells whether the limit cut anything off.
    wanted = None if request.limit is None else request.limit + 1
    if request.order is not None and not scanned.ordered:
        order, found = "sorted", _sorted(source, found, request.order, wanted, tally)
    rows = list(islice(found, wanted))
    truncated = wanted is not None and len(rows) == wanted
    rows = rows[: request.limit]
    return Selection(rows, truncated, _plan(scanned, tally, len(rows), started, order))


def stream(source: Source, request: Scan, now: datetime) -> tuple[Iterator[Stored], Tally]:
    """Every match, read on while it is taken: flat memory unless an order has to be made here."""
    scanned = source.scan(request)
    tally = Tally()
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
        rows = [row for row in answer.rows if _live(source, row.stored, answer.residual, now)]
        if exhausted or _settled(rows, limit, answer.rows[-1].score):
            break
        wanted *= 4
    rows.sort(key=lambda row: (-row.score, row.stored.key))
    found = rows[:limit]
    plan = _plan(answer, Tally(len(answer.rows)), len(found), started, "native")
    return SearchSelection(found, len(rows) > limit, plan)


@dataclass(slots=True)
class Tally:
    """What was met on the way: rows the backend handed over, and keys of those that could not be decoded."""

    rows: int = 0
    unreadable: list[str] = field(default_factory=list)


def _matches(source: Filler, scanned: Scanned, now: datetime, tally: Tally) -> Iterator[Stored]:
    # What needs no body is decided first, so that only bodies that may match are fetched.
    split = restrict(scanned.residual, ROOTS - {"data"})
    for chunk in _chunks(scanned.rows):
        tally.rows += len(chunk)
        rows = [row for row in chunk if not row.expired(now)]
        if split.condition is not None:
            rows = [row for row in rows if split.condition.matches(Record(row, source.load))]
        if split.residual == EVERYTHING:
            yield from rows
            continue
        for row in source.fill(rows):
            if row is not None and _satisfies(source, row, split.residual, tally):
                yield row


def _satisfies(source: Filler, row: Stored, residual: Node, tally: Tally) -> bool:
    try:
        return residual.matches(Record(row, source.load))
    except SerializationError:
        tally.unreadable.append(row.key)
        return False


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


def _live(source: SearchSource, row: Stored, residual: Node, now: datetime) -> bool:
    return not row.expired(now) and (residual == EVERYTHING or residual.matches(Record(row, source.load)))


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
