"""Reading many rows of our table: page by page, and a look at those that SQL cannot decide on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, LiteralString

from psycopg import sql

from praval_storage.errors import InvalidKeyError
from praval_storage.filters import EVERYTHING, Node, Order, paths
from praval_storage.filters.paths import SCALAR_ROOTS
from praval_storage.keys import validate_key
from praval_storage.providers.postgresql.connections import Connections
from praval_storage.providers.postgresql.existing_sql import Sql, compose, joined, listed, name, value
from praval_storage.providers.postgresql.filters import PRIMARY, Condition, compile_filter
from praval_storage.providers.postgresql.rows import stored_row
from praval_storage.providers.postgresql.statements import SIZE, Statements
from praval_storage.pushdown import restrict
from praval_storage.records import Stored
from praval_storage.scan import Scan, Scanned
from praval_storage.selection import FIRST_CHUNK, deciding

FIRST_PAGE, LAST_PAGE = 256, 16_384
PAGE_BYTES = 16 << 20
_METADATA, _BODY = 7, 8  # their places in a row
SORTED_BY: dict[str, tuple[Sql, Sql, int]] = {
    "key": (name("key"), name("text"), 0),
    "format": (name("format"), name("text"), 1),
    "size": (compose(SIZE), name("int8"), 2),
    "created_at": (name("created_at"), name("timestamptz"), 4),
    "updated_at": (name("updated_at"), name("timestamptz"), 5),
}
"""What can be sorted by: expression, type, and place in a row."""
_HINT = "No index helps: equality on fields of metadata and data has one, and so have key and created_at"

Load = Callable[[Stored], Any]


class Question:
    """A scan of our table.

    Args:
        request: What is asked.
        load: Decodes a row.
        also: Another condition for the rows.

    Attributes:
        statement: What chose the rows of the last page.
    """

    def __init__(self, request: Scan, load: Load, also: Sql | None = None) -> None:
        self.statement = Sql(sql.Composed([]))
        self._also = also
        self._where = request.where
        self._order = request.order if request.order and request.order.path.root in SORTED_BY else None
        self._limit = request.limit
        self._unreadable: list[str] = []
        self._decides = deciding(request.where, load, self._unreadable)
        self._compiled = compile_filter(request.where)
        self._bodies = request.bodies or any(path.root == "data" for path in paths(request.where))
        self._now = datetime.now(UTC)

    def answer(self, connections: Connections, statements: Statements) -> Scanned:
        """The rows; the first page at once, so that its failure is that of the call."""
        # Who reads on takes rows in growing chunks, and looks at one more than are wanted.
        taken = FIRST_PAGE if self._limit is None else FIRST_CHUNK + 2 * (self._limit + 1)
        size = min(taken, LAST_PAGE)
        page = self.page(connections, statements, None, size)
        return Scanned(
            self.decided(self._rows(connections, statements, page, size)),
            self._compiled.pushed,
            self._compiled.residual,
            self._order is not None,
            self._index(),
            _HINT if self._index() is None and self._where != EVERYTHING else None,
            unreadable=self._unreadable,
        )

    def decided(self, rows: Iterable[Sequence[Any]]) -> Iterator[Stored]:
        """The records of raw rows, without those that SQL could not decide on and that do not match."""
        for *columns, is_undecided, is_foreign in rows:
            stored = stored_row(columns)
            if is_foreign and not _is_legal(stored.key):
                continue
            if not is_undecided or self._decides(stored):
                yield stored

    def _index(self) -> str | None:
        if self._compiled.condition is not None and self._compiled.condition.index:
            return self._compiled.condition.index
        if self._order is None:
            return None
        return {"key": PRIMARY, "created_at": "created_at"}.get(self._order.path.root)

    # Pages

    def _rows(
        self, connections: Connections, statements: Statements, page: list[Any], size: int
    ) -> Iterator[Sequence[Any]]:
        """By where the last page ended: in between nothing is held, neither rows nor a connection."""
        while True:
            yield from page
            if len(page) < size:
                return
            last, size = page[-1], _next_size(page, size)
            page = self.page(connections, statements, last, size)

    @property
    def residual(self) -> Node:
        """What the caller must still decide."""
        return self._compiled.residual

    def page(
        self, connections: Connections, statements: Statements, last: Sequence[Any] | None, size: int
    ) -> list[Any]:
        """So many raw rows that come after one."""
        # Sorted and cut before anything is computed of a row.
        rows = compose(
            "SELECT * FROM {} ORDER BY {} LIMIT {}",
            self._source(Sql(statements.escaped), last, size),
            self._sorting,
            value(size, name("int8")),
        )
        self.statement = rows
        more = compose("{}, checksum IS NULL", self._undecided)
        selected = statements.selected(rows.text, bodies=self._bodies, more=more.text)
        page = Sql(selected, (*more.parameters, *rows.parameters))
        statement = compose("{} ORDER BY {}", page, self._sorting)
        with connections.connection() as connection, connection.cursor(binary=True) as cursor:
            return cursor.execute(statement.text, statement.parameters).fetchall()

    def _source(self, table: Sql, last: Sequence[Any] | None, size: int) -> Sql:
        condition = self._compiled.condition
        parts = [compose("expires_at IS NULL OR expires_at > {}", value(self._now, name("timestamptz")))]
        if condition is not None:
            parts.append(self._or_undecided(condition))
        if self._also is not None:
            parts.append(self._also)
        if last is not None:
            parts.append(_after(last, self._order))
        # With a limit in sight the planner would rather walk along the order than use a GIN index, hoping to
        # find enough on the way. Once large pages were full there is enough.
        is_served = condition is not None and condition.index not in {None, PRIMARY}
        template: LiteralString = "(SELECT * FROM {} WHERE {}) AS found"
        if is_served and size < LAST_PAGE:
            template = "(SELECT * FROM {} WHERE {} OFFSET 0) AS found"
        return compose(template, table, joined(" AND ", parts))

    def _or_undecided(self, condition: Condition) -> Sql:
        if not self._compiled.loose:
            return condition.sql
        known = restrict(self._where, SCALAR_ROOTS).condition
        columns = compile_filter(known).condition if known is not None else None
        undecided = self._is_loose if columns is None else joined(" AND ", [self._is_loose, columns.sql])
        return joined(" OR ", [condition.sql, undecided])

    @property
    def _is_loose(self) -> Sql:
        return compose("loose && {}", value(list(self._compiled.loose), compose("{}[]", name("text"))))

    @property
    def _undecided(self) -> Sql:
        return compose("coalesce({}, FALSE)", self._is_loose) if self._compiled.loose else compose("FALSE")

    @property
    def _sorting(self) -> Sql:
        if self._order is None:
            return name("key")
        template: LiteralString = "{} DESC" if self._order.descending else "{}"
        root = self._order.path.root
        column = compose(template, SORTED_BY[root][0])
        return column if root == "key" else listed(", ", [column, name("key")])


def _is_legal(key: str) -> bool:
    """Whether a key that was written with SQL is one that can be asked for."""
    try:
        return validate_key(key) == key
    except InvalidKeyError:
        return False


def _after(last: Sequence[Any], order: Order | None) -> Sql:
    """What comes after a row; ties by key, ascending in both directions."""
    key, last_key = name("key"), value(last[0], name("text"))
    descending = order is not None and order.descending
    root = order.path.root if order is not None else "key"
    if root == "key":
        return compose("{} < {}" if descending else "{} > {}", key, last_key)
    column, kind, place = SORTED_BY[root]
    bound = value(last[place], kind)
    if not descending:
        return compose("({}, {}) > ({}, {})", column, key, bound, last_key)
    return compose("{} <= {} AND ({} < {} OR {} > {})", column, bound, column, bound, key, last_key)


def _next_size(page: Sequence[Sequence[Any]], size: int) -> int:
    """Eight times as many rows as long as they are small."""
    cells = (cell for row in page for cell in row[_METADATA : _BODY + 1])
    average = sum(len(cell) for cell in cells if isinstance(cell, bytes)) // len(page) + 100
    return max(1, min(8 * size, LAST_PAGE, PAGE_BYTES // average))
