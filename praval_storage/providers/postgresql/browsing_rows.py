"""Pages of somebody else's table or view: by its key, or by address where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from psycopg.sql import Identifier

from praval_storage.display import counted_text
from praval_storage.filters import Order
from praval_storage.paging import Batch, Entry, Sift, Source, collect, in_any_order, whole
from praval_storage.places import Look, Seen, bad_token, from_token
from praval_storage.providers.postgresql.browsing_pages import LARGEST, Pages, both, shown
from praval_storage.providers.postgresql.browsing_sorted import SORTABLE, Sorted, is_position
from praval_storage.providers.postgresql.connections import Connections
from praval_storage.providers.postgresql.existing_catalog import describe
from praval_storage.providers.postgresql.existing_filters import RowFilter
from praval_storage.providers.postgresql.existing_keys import RowAddresses, RowDigests, keys_of
from praval_storage.providers.postgresql.existing_order import ordering, stretches
from praval_storage.providers.postgresql.existing_pages import fetch, to_sort
from praval_storage.providers.postgresql.existing_sql import Sql, compose, name, value
from praval_storage.providers.postgresql.existing_statements import Select, reading
from praval_storage.records import Stored

_BLOCKS = 256
"""Blocks of a table read at a time, of one that is paged by address."""
_TEXT = name("pg_catalog", "text")
_TID = name("pg_catalog", "tid")
_UNPAGED = "only the first {} rows can be shown, as there is no key to page by; a filter shows others"
_OTHER_ORDER = "PostgreSQL has no such order, and there are too many rows to sort them here"
_WOULD_SORT = "PostgreSQL would sort about {} rows for each page; an index on the column makes it quick"
_BY_ADDRESS = "It has no primary key, so rows are paged by where they are, and a changed row moves"


def bounded_count(connections: Connections, table: Sql, most: int) -> int:
    """How many rows there are, ``most`` + 1 if there are more."""
    rows = compose("SELECT FROM {} LIMIT {}", table, value(most + 1, name("pg_catalog", "int8")))
    text, parameters = compose("SELECT count(*) FROM ({}) AS counted", rows)
    with connections.connection() as connection:
        row = connection.execute(text, parameters).fetchone()
    return row[0] if row is not None else 0


def caseless_like(key: Sql, text: str) -> Sql:
    """The condition for keys that hold a text, ASCII letters in either case; of other letters any number."""
    letters = "".join(_like(letter) for letter in text)
    return compose('lower({} COLLATE "C") LIKE {}', key, value(f"%{letters}%", _TEXT))


class Rows:
    """A relation that somebody else made.

    Args:
        connections: Where connections come from.
        schema: Its schema.
        table: Its name.
    """

    def __init__(self, connections: Connections, schema: str, table: str) -> None:
        self._connections, self._schema, self._table = connections, schema, table

    def look(self, source: Source, request: Look) -> Seen:
        """One page of its rows."""
        with reading(self._connections) as connection:
            relation = describe(connection, self._schema, self._table)
        keys = keys_of(relation)
        compiled = RowFilter(relation, keys).compile(request.where)
        text = caseless_like(keys.text, request.text) if request.text else None
        select = Select(relation, keys, both(compiled.condition, text))
        sift = whole(source, compiled.residual)
        if request.order is not None:
            return self._in_order(source, select, sift, request.order, request)
        return _page(_pages_of(self._connections, select), sift, request)

    def _in_order(self, source: Source, select: Select, sift: Sift, order: Order, request: Look) -> Seen:
        """A page in an order if PostgreSQL can make it, or if there are few enough rows to sort here."""
        position = from_token(request.token)
        parts = None if isinstance(select.keys, RowDigests) else stretches(select.relation, order)
        pages = None if parts is None else Sorted(self._connections, select, parts)
        if pages is not None and is_position(position):
            return _page(pages, sift, request)
        is_small = self._is_small(select.relation.sql, request.budget)
        rows = 0 if pages is None or is_small else pages.to_sort()
        if pages is not None and position is None and rows <= SORTABLE:
            return _page(pages, sift, request)
        if is_small:
            with reading(self._connections) as connection:
                found = fetch(connection, select)
            return in_any_order(source, found, sift, "", order, request)
        return self._unordered(select, sift, order, request, rows)

    def _unordered(self, select: Select, sift: Sift, order: Order, request: Look, rows: int) -> Seen:
        """A page as it comes; of what has no pages the first rows in the order, if PostgreSQL makes it."""
        if isinstance(select.keys, RowDigests):
            with reading(self._connections) as connection:
                by = ordering(connection, select.relation, select.keys, order)
                if by is not None and to_sort(connection, replace(select, order=by)) <= SORTABLE:
                    return _page(_First(self._connections, replace(select, order=by)), sift, request)
        seen = _page(_pages_of(self._connections, select), sift, request)
        return seen.unordered(order, _WOULD_SORT.format(counted_text(rows)) if rows else _OTHER_ORDER)

    def _is_small(self, table: Sql, budget: int) -> bool:
        return bounded_count(self._connections, table, budget) <= budget


def _page(pages: Pages, sift: Sift, request: Look) -> Seen:
    batches = pages.batches(from_token(request.token), request.limit + 1)
    page = collect(request, "", batches, pages.position, sift)
    return shown(page, pages.statement).noted(pages.note)


class _ByKey(Pages):
    def __init__(self, connections: Connections, select: Select) -> None:
        super().__init__(connections, select)
        self._places: dict[str, list[Any]] = {}

    def batches(self, position: Any, size: int) -> Iterator[Batch]:
        select = self.select
        last = None if position is None else select.row_at(_texts(position, len(select.keys.order)))
        while True:
            rows = self.run(select.after(last), size)
            self._places = {row[0]: list(select.place(row)) for row in rows}
            last = rows[-1] if len(rows) == size else None
            yield Batch([*select.stored(rows)], len(rows), last and self._places[last[0]])
            if last is None:
                return
            size = min(4 * size, LARGEST)

    def position(self, entry: Entry) -> Any:
        assert isinstance(entry, Stored)  # noqa: S101 - there are no places in a table
        return self._places[entry.key]


class _ByAddress(Pages):
    """A few blocks at a time: an ordered scan from an address on would sort all of the rest."""

    note = _BY_ADDRESS

    def batches(self, position: Any, size: int) -> Iterator[Batch]:
        block, item = (0, 0) if position is None else _address(position)
        end, step = self._blocks(), 1 + size // 100
        while block < end:
            bounds = compose(
                "t.ctid > {} AND t.ctid < {}",
                value(f"({block},{item})", _TID),
                value(f"({block + step},0)", _TID),
            )
            rows = self.run(replace(self.select, where=both(self.select.where, bounds)), None)
            found = sorted(self.select.stored(rows), key=lambda row: _place_of(row.key))
            block, item = block + step, 0
            yield Batch(found, len(found), [block, item] if block < end else None)
            step = min(2 * step, _BLOCKS)

    def position(self, entry: Entry) -> Any:
        assert isinstance(entry, Stored)  # noqa: S101 - there are no places in a table
        return list(_place_of(entry.key))

    def _blocks(self) -> int:
        text, parameters = compose(
            "SELECT pg_relation_size(to_regclass({})) / current_setting('block_size')::int8",
            value(Identifier(self.select.relation.schema, self.select.relation.name).as_string(None), _TEXT),
        )
        with self.connections.connection() as connection:
            row = connection.execute(text, parameters).fetchone()
        return row[0] if row is not None else 0


class _First(Pages):
    """Rows that no key and no address tells apart: what comes first, and no more."""

    def batches(self, position: Any, size: int) -> Iterator[Batch]:
        if position is not None:
            raise bad_token()
        rows = self.run(self.select, size)
        if len(rows) == size:
            self.note = _UNPAGED.format(size - 1)
        yield Batch([*self.select.stored(rows[: size - 1])], len(rows), None)

    def position(self, entry: Entry) -> Any:
        return None


def _pages_of(connections: Connections, select: Select) -> Pages:
    if select.keys.order:
        return _ByKey(connections, select)
    return (_ByAddress if isinstance(select.keys, RowAddresses) else _First)(connections, select)


def _like(letter: str) -> str:
    if not letter.isascii():
        return "%"
    return f"\\{letter}" if letter in "%_\\" else letter.lower()


# Positions


def _texts(position: Any, number: int) -> list[str]:
    is_one = isinstance(position, list) and len(position) == number
    if not is_one or not all(isinstance(text, str) and "\0" not in text for text in position):
        raise bad_token()
    texts: list[str] = position
    return texts


def _address(position: Any) -> tuple[int, int]:
    match position:
        case [int(block), int(item)] if 0 <= block < 2**32 and 0 <= item < 2**16:
            return block, item
        case _:
            raise bad_token()


def _place_of(key: str) -> tuple[int, int]:
    block, _, item = key.split("/")[2].partition("-")
    return int(block), int(item)
