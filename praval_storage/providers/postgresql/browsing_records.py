"""Pages of a table of ours: by key, or by a column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from praval_storage.filters import Order
from praval_storage.paging import Batch, Entry, Source, collect, in_any_order, whole
from praval_storage.places import Look, Seen, bad_token, from_token
from praval_storage.providers.postgresql.browsing_pages import LARGEST, shown
from praval_storage.providers.postgresql.browsing_rows import bounded_count, caseless_like
from praval_storage.providers.postgresql.connections import Connections
from praval_storage.providers.postgresql.existing_sql import Sql, name
from praval_storage.providers.postgresql.reading import SORTED_BY, Load, Question
from praval_storage.providers.postgresql.statements import Statements
from praval_storage.records import Stored
from praval_storage.scan import Scan

_TOO_MANY = "there are too many records; one by key, size, format or a time has pages of any number"


class Records:
    """A table of ours.

    Args:
        connections: Where connections come from.
        statements: The statements of the table.
        load: Decodes a row.
    """

    def __init__(self, connections: Connections, statements: Statements, load: Load) -> None:
        self._connections, self._statements, self._load = connections, statements, load

    def look(self, source: Source, request: Look) -> Seen:
        """One page of its records."""
        order = request.order
        if order is None or order.path.root in SORTED_BY:
            return self._paged(source, request)
        count = bounded_count(self._connections, Sql(self._statements.escaped), request.budget)
        if count <= request.budget:
            return self._in_any_order(source, order, request)
        return self._paged(source, replace(request, order=None)).unordered(order, _TOO_MANY)

    def _paged(self, source: Source, request: Look) -> Seen:
        also = caseless_like(name("key"), request.text) if request.text else None
        scan = Scan(request.where, request.order, request.limit, request.bodies)
        question = Question(scan, self._load, also)
        root = request.order.path.root if request.order is not None else "key"
        last = _as_row(root, from_token(request.token))

        def position(entry: Entry) -> Any:
            assert isinstance(entry, Stored)  # noqa: S101 - there are no places in a table
            return _position(root, entry.key, getattr(entry, root))

        def batches(last: Sequence[Any] | None, size: int) -> Iterator[Batch]:
            while True:
                rows = question.page(self._connections, self._statements, last, size)
                last = rows[-1] if len(rows) == size else None
                following = last and _position(root, last[0], last[SORTED_BY[root][2]])
                yield Batch(list(question.decided(rows)), len(rows), following)
                if last is None:
                    return
                size = min(4 * size, LARGEST)

        sift = whole(source, question.residual)
        page = collect(request, "", batches(last, request.limit + 1), position, sift)
        return shown(page, question.statement)

    def _in_any_order(self, source: Source, order: Order, request: Look) -> Seen:
        scan = Scan(request.where, bodies=request.bodies or order.path.root == "data")
        found = Question(scan, self._load).answer(self._connections, self._statements)
        return in_any_order(source, found.rows, whole(source, found.residual), "", order, request)


def _position(root: str, key: str, at: Any) -> list[Any]:
    if root == "key":
        return [key]
    return [key, at.isoformat() if isinstance(at, datetime) else at]


def _as_row(root: str, position: Any) -> list[Any] | None:
    """A raw row as far as the next page has to know the one before it."""
    match position:
        case None:
            return None
        case [str(key)] if root == "key" and "\0" not in key:
            return [key]
        case [str(key), str() | int() as at] if root != "key" and "\0" not in key:
            row: list[Any] = [None] * (1 + max(place for _, _, place in SORTED_BY.values()))
            row[0], row[SORTED_BY[root][2]] = key, at
            return row
        case _:
            raise bad_token()
