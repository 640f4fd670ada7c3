"""Reading many records: what is asked of a backend, what it answers, and how that went.

A backend pushes down what it can and returns rows that include every match; the rest of the work is that of
:mod:`praval_storage.selection`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from praval_storage.display import Table, as_html, as_text, counted, facts, listed
from praval_storage.filters import EVERYTHING, Node, Order
from praval_storage.options import options
from praval_storage.records import Stored


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
        unreadable: Keys of records that the backend had to decide on by their data and could not decode; it
            passes over them, and adds them here while rows are read.
    """

    rows: Iterable[Stored]
    pushed: Node = EVERYTHING
    residual: Node = EVERYTHING
    ordered: bool = False
    index: str | None = None
    hint: str | None = None
    left_out: Callable[[], str] = str
    unreadable: list[str] = field(default_factory=list)


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
