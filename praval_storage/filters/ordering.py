"""One total order over values of any type, and over the records that hold them."""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import partial
from typing import Any, Self, TypeVar

from praval_storage.errors import InvalidFilterError
from praval_storage.filters.paths import Matchable, Path
from praval_storage.filters.values import Kind, classify

R = TypeVar("R", bound=Matchable)

Rank = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """Sort by one path; records that tie there come by key, ascending in both directions."""

    path: Path
    descending: bool = False

    def sort_key(self, record: Matchable) -> Rank:
        """Where the record's value stands in ascending order: without the direction, without the key."""
        return rank(self.path.value(record))

    def place(self, value: Any, key: str) -> tuple[Any, str]:
        """Where a record with this value and key stands, in the direction of this order."""
        return self.placed(rank(value), key)

    def placed(self, place: Rank, key: str) -> tuple[Any, str]:
        """Where a record stands whose value has this rank."""
        return (_Descending(place) if self.descending else place), key

    def __str__(self) -> str:
        return f"{'-' if self.descending else ''}{self.path}"


def parse_order(order_by: str | Order | None) -> Order | None:
    """The order a text names: a path, with ``-`` in front for descending.

    Raises:
        InvalidFilterError: The rest is not a path.
    """
    if order_by is None or isinstance(order_by, Order):
        return order_by
    text: object = order_by  # notebooks are not type-checked
    if not isinstance(text, str) or text in {"", "-"}:
        raise InvalidFilterError(
            f"order_by must be a path, not {order_by!r}", hint="For example 'key' or '-metadata.priority'"
        )
    return Order(Path.parse(order_by.removeprefix("-")), order_by.startswith("-"))


def sort_records(records: Iterable[R], order: Order | None, limit: int | None = None) -> list[R]:
    """The records in order, the first ``limit`` of them; without an order as they come."""
    if order is None:
        return list(records)[:limit]
    if limit is not None:
        return heapq.nsmallest(limit, records, key=partial(_place, order))
    # Two stable sorts are several times faster than comparing through _Descending.
    by_key = sorted(records, key=lambda record: record.key)
    return sorted(by_key, key=order.sort_key, reverse=order.descending)


def rank(value: Any) -> Rank:
    """Where a value stands among values of any type.

    Missing and ``None``; booleans; NaN; the other numbers; strings by code point; NaT; dates and
    datetimes on one line (a naive one taken as UTC, a date as its first moment UTC); then everything
    else by the name of its type (``dict``, ``list`` and so on) and its JSON or repr text.
    """
    kind, plain = classify(value)
    if kind in _TIMES:
        return Kind.AWARE.value, _moment(kind, plain)
    if kind <= Kind.NAT:
        return kind.value, plain
    return Kind.OTHER.value, _type_name(kind, plain), _text(kind, plain)


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_TIMES = frozenset({Kind.DATE, Kind.NAIVE, Kind.AWARE})


def _moment(kind: Kind, value: Any) -> datetime:
    if kind is Kind.DATE:
        value = datetime.combine(value, time())
    moment: datetime = value if kind is Kind.AWARE else value.replace(tzinfo=UTC)
    return moment


def _type_name(kind: Kind, value: Any) -> str:
    names = {Kind.LIST: "list", Kind.SET: "set", Kind.MAPPING: "dict"}
    return names.get(kind, type(value).__name__)


def _text(kind: Kind, value: Any) -> str:
    if kind is Kind.SET:
        return repr(sorted(map(_lasting, value)))
    if kind is Kind.OTHER:
        return _lasting(value)
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=_lasting)
    except (TypeError, ValueError):  # keys of several types, or a cycle
        return _lasting(value)


def _lasting(value: Any) -> str:
    """The repr without addresses: those of the same value, decoded again, are others."""
    return _ADDRESS.sub("", repr(value))


def _place(order: Order, record: Matchable) -> tuple[Any, str]:
    return order.place(order.path.value(record), record.key)


class _Descending:
    """A rank turned round."""

    __slots__ = ("_rank",)

    def __init__(self, rank: Rank) -> None:
        self._rank = rank

    def __lt__(self, other: Self) -> bool:
        return other._rank < self._rank

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and self._rank == other._rank

    def __hash__(self) -> int:
        return hash(self._rank)
