"""Pages of somebody else's table or view: by its key, or by address where there is none."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from psycopg.sql import Composed, Identifier

from praval_storage.paging import Batch, Entry, Page, Source, collect, in_any_order, whole
from praval_storage.places import Look, Seen, bad_token, from_token
from praval_storage.providers.postgresql.connections import Connections
from praval_storage.providers.postgresql.existing_catalog import describe
from praval_storage.providers.postgresql.existing_filters import RowFilter
from praval_storage.providers.postgresql.existing_keys import RowAddresses, keys_of
from praval_storage.providers.postgresql.existing_pages import fetch
from praval_storage.providers.postgresql.existing_sql import Sql, compose, joined, name, value
from praval_storage.providers.postgresql.existing_statements import Select, reading
from praval_storage.records import Stored

LARGEST = 2_000
"""Rows read at a time while few of them match."""
_BLOCKS = 256
"""Blocks of a table read at a time, of one that is paged by address."""
_TEXT = name("pg_catalog", "text")
_TID = name("pg_catalog", "tid")
_UNPAGED = "It has no key to page by: only the first rows are shown; a filter shows others"
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
        select = Select(relation, keys, _both(compiled.condition, text))
        sift = whole(source, compiled.residual)
        if request.order is not None and self._is_small(relation.sql, request.budget):
            with reading(self._connections) as connection:
                rows = fetch(connection, select)
            return in_any_order(source, rows, sift, "", request.order, request)
        pages = _pages_of(self._connections, select)
        batches = pages.batches(from_token(request.token), request.limit + 1)
        page = collect(request, "", batches, pages.position, sift)
        seen = shown(page, pages.statement)
        return replace(
            seen, ordered=request.order is None, note=pages.note, stopped=seen.stopped or pages.cut
        )

    def _is_small(self, table: Sql, budget: int) -> bool:
        return bounded_count(self._connections, table, budget) <= budget


class _Pages(ABC):
    """Pages of a relation, one way or the other.

    Attributes:
        note: What one should know of them.
        statement: The first one that ran.
        cut: Whether rows were left out that no page will show.
    """

    note = ""

    def __init__(self, connections: Connections, select: Select) -> None:
        self.statement: Sql | None = None
        self.cut = False
        self._connections, self._select = connections, select

    @abstractmethod
    def batches(self, position: Any, size: int) -> Iterator[Batch]:
        """What comes after a position, so many rows at first."""

    @abstractmethod
    def position(self, entry: Entry) -> Any:
        """The position of a row of the present batch."""

    def _run(self, select: Select, size: int | None) -> list[Sequence[Any]]:
        statement = select.statement(limit=size)
        self.statement = self.statement or statement
        with reading(self._connections) as connection, connection.cursor() as cursor:
            select.run(cursor, statement)
            return cursor.fetchall()


class _ByKey(_Pages):
    def __init__(self, connections: Connections, select: Select) -> None:
        super().__init__(connections, select)
        self._places: dict[str, list[Any]] = {}

    def batches(self, position: Any, size: int) -> Iterator[Batch]:
        select = self._select
        last = None if position is None else select.row_at(_texts(position, len(select.keys.order)))
        while True:
            rows = self._run(select.after(last), size)
            self._places = {row[0]: list(select.place(row)) for row in rows}
            last = rows[-1] if len(rows) == size else None
            yield Batch([*select.stored(rows)], len(rows), last and self._places[last[0]])
            if last is None:
                return
            size = min(4 * size, LARGEST)

    def position(self, entry: Entry) -> Any:
        assert isinstance(entry, Stored)  # noqa: S101 - there are no places in a table
        return self._places[entry.key]


class _ByAddress(_Pages):
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
            rows = self._run(replace(self._select, where=_both(self._select.where, bounds)), None)
            found = sorted(self._select.stored(rows), key=lambda row: _place_of(row.key))
            block, item = block + step, 0
            yield Batch(found, len(found), [block, item] if block < end else None)
            step = min(2 * step, _BLOCKS)

    def position(self, entry: Entry) -> Any:
        assert isinstance(entry, Stored)  # noqa: S101 - there are no places in a table
        return list(_place_of(entry.key))

    def _blocks(self) -> int:
        text, parameters = compose(
            "SELECT pg_relation_size(to_regclass({})) / current_setting('block_size')::int8",
            value(
                Identifier(self._select.relation.schema, self._select.relation.name).as_string(None), _TEXT
            ),
        )
        with self._connections.connection() as connection:
            row = connection.execute(text, parameters).fetchone()
        return row[0] if row is not None else 0


class _First(_Pages):
    """Rows that no key and no address tells apart: what comes first, and no more."""

    note = _UNPAGED

    def batches(self, position: Any, size: int) -> Iterator[Batch]:
        if position is not None:
            raise bad_token()
        rows = self._run(self._select, size)
        self.cut = len(rows) == size
        yield Batch([*self._select.stored(rows[: size - 1])], len(rows), None)

    def position(self, entry: Entry) -> Any:
        return None


def _pages_of(connections: Connections, select: Select) -> _Pages:
    if select.keys.order:
        return _ByKey(connections, select)
    return (_ByAddress if isinstance(select.keys, RowAddresses) else _First)(connections, select)


def shown(page: Page, statement: Sql | None) -> Seen:
    """A page with what chose its rows."""
    text, parameters = statement or Sql(Composed([]))
    return replace(page.seen("", text.as_string(None)), parameters=parameters)


def _both(first: Sql | None, second: Sql | None) -> Sql | None:
    given = [each for each in (first, second) if each is not None]
    return joined(" AND ", given) if given else None


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
