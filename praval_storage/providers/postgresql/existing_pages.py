"""Rows of somebody else's relation, read on while they are taken, in flat memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from psycopg import Connection

from praval_storage.providers.postgresql.connections import Connections
from praval_storage.providers.postgresql.existing_sql import compose
from praval_storage.providers.postgresql.existing_statements import Select, reading
from praval_storage.providers.postgresql.existing_values import adapt
from praval_storage.records import Stored
from praval_storage.selection import FIRST_CHUNK

if TYPE_CHECKING:
    from psycopg import ServerCursor

FIRST_PAGE, LAST_PAGE = 200, 16_384
AT_ONCE = 2_000
"""Rows that are fetched together before any has shown how large they are."""
PAGE_BYTES = 16 << 20
SAMPLE = 8
"""Rows of a page that tell how large the next one may be."""

_numbers = count(1)


def pages(connections: Connections, select: Select, limit: int | None) -> Iterator[Stored]:
    """The rows of a question; ``limit`` is how many will be taken at most, as far as is known."""
    by_key = select.order is None and bool(select.keys.order)
    read = _by_key if by_key else _by_cursor
    return read(connections, select, None if limit is None else 2 * (limit + 1) + FIRST_CHUNK)


def fetch(
    connection: Connection[Any], select: Select, size: int | None = None, offset: int = 0
) -> list[Stored]:
    """The rows of a question, at once."""
    return list(select.stored(_fetch(connection, select, size, offset)))


def indexes(connection: Connection[Any], select: Select) -> str | None:
    """The indexes that help with a question, by PostgreSQL's own account."""
    found = dict.fromkeys(_index_names(_plan(connection, select)))
    return ", ".join(found) or None


def to_sort(connection: Connection[Any], select: Select) -> int:
    """How many rows PostgreSQL would sort for the first ones of a question, by its own estimate.

    Sorting those apart that an index has in order but for ties is no sort of all.
    """
    return max(_sorted_rows(_plan(connection, select)), default=0)


def _plan(connection: Connection[Any], select: Select) -> Any:
    explain = compose("EXPLAIN (FORMAT JSON) {}", select.statement(limit=FIRST_PAGE))
    row = connection.execute(explain.text, explain.parameters, prepare=False).fetchone()
    return row[0] if row else []


def _by_key(connections: Connections, select: Select, taken: int | None) -> Iterator[Stored]:
    """Pages by the key's own index: between two of them nothing is held, neither rows nor a connection."""
    size, last = min(taken or FIRST_PAGE, AT_ONCE), None
    while True:
        with reading(connections) as connection:
            page = _fetch(connection, select.after(last), size)
        yield from select.stored(page)
        if len(page) < size:
            return
        last, size = page[-1], next_size(page, size)


def _by_cursor(connections: Connections, select: Select, taken: int | None) -> Iterator[Stored]:
    """What comes in another order, or has no index: the first rows at once, the rest by a cursor."""
    skipped = 0
    if taken is not None and taken <= AT_ONCE:
        # Told how many, PostgreSQL sorts no more than these.
        with reading(connections) as connection:
            first = fetch(connection, select, taken)
        yield from first
        if len(first) < taken:
            return
        skipped = taken
    if isinstance(connections.given, Connection):
        # It is the only one, and holding it between rows would lock everybody else out.
        with reading(connections) as connection:
            rest = fetch(connection, select, offset=skipped)
        yield from rest
        return
    with reading(connections) as connection, _cursor(connection, select, skipped) as cursor:
        size = FIRST_PAGE
        while page := cursor.fetchmany(size):
            yield from select.stored(page)
            size = next_size(page, size)


def _cursor(connection: Connection[Any], select: Select, skipped: int) -> ServerCursor[Any]:
    cursor = connection.cursor(f"praval_rows_{next(_numbers)}")
    if select.bodies:
        adapt(cursor, select.relation.columns)
    statement = select.statement(offset=skipped)
    cursor.execute(statement.text, statement.parameters)
    return cursor


def _fetch(
    connection: Connection[Any], select: Select, size: int | None, offset: int = 0
) -> Sequence[Sequence[Any]]:
    with connection.cursor() as cursor:
        select.run(cursor, select.statement(limit=size, offset=offset))
        return cursor.fetchall()


def next_size(page: Sequence[Sequence[Any]], size: int) -> int:
    """Four times as many rows as long as they are small."""
    average = sum(map(_length, chain.from_iterable(page[-SAMPLE:]))) // SAMPLE + 1
    return max(1, min(4 * size, LAST_PAGE, PAGE_BYTES // average))


def _length(cell: Any) -> int:
    if isinstance(cell, str | bytes):
        return len(cell)
    try:
        return len(str(cell))
    except RecursionError:  # a document nested as deep as can be decoded
        return PAGE_BYTES


def _index_names(plan: Any) -> Iterator[str]:
    return (node["Index Name"] for node in _nodes(plan) if "Index Name" in node)


def _sorted_rows(plan: Any) -> Iterator[int]:
    for node in _nodes(plan):
        if node.get("Node Type") == "Sort":
            yield from (int(inner["Plan Rows"]) for inner in node.get("Plans", ()))


def _nodes(plan: Any) -> Iterator[dict[str, Any]]:
    if isinstance(plan, dict):
        yield plan
    if isinstance(plan, list | dict):
        for part in plan if isinstance(plan, list) else plan.values():
            yield from _nodes(part)
