"""Statements about the rows of somebody else's relation, and the sessions they run in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from praval_storage.providers.postgresql.connections import Connections
from praval_storage.providers.postgresql.existing_catalog import Relation
from praval_storage.providers.postgresql.existing_filters import FORMAT
from praval_storage.providers.postgresql.existing_keys import Keys
from praval_storage.providers.postgresql.existing_sql import Sql, compose, joined, listed, name, value
from praval_storage.providers.postgresql.existing_values import adapt
from praval_storage.providers.postgresql.interrupts import contextmanager
from praval_storage.records import MISSING, NO_METADATA, Stored

if TYPE_CHECKING:
    from psycopg import Connection, Cursor

# What text stands for a value depends on these; and nothing is written to what belongs to others.
_SETTINGS = """
    SELECT set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO, MDY', true),
           set_config('IntervalStyle', 'postgres', true), set_config('extra_float_digits', '1', true),
           set_config('bytea_output', 'hex', true), set_config('transaction_read_only', 'on', true)
"""


@contextmanager
def reading(connections: Connections) -> Iterator[Connection[Any]]:
    """A connection in a transaction that reads, and in which every value has the one text it has here."""
    with connections.connection() as connection, connection.transaction():
        connection.execute(_SETTINGS)
        yield connection


@dataclass(frozen=True, slots=True)
class Select:
    """A question about the rows of a relation.

    Attributes:
        relation: Whose rows are wanted.
        keys: What their keys are.
        where: Which ones; ``None`` = all.
        order: What to put after ``ORDER BY``; ``None`` = as they come.
        bodies: Whether the columns are wanted, and not the keys alone.
        at: The text of what rows are ordered by, which the next page has to know.
    """

    relation: Relation
    keys: Keys
    where: Sql | None = None
    order: Sql | None = None
    bodies: bool = True
    at: Sql | None = None

    def run(self, cursor: Cursor[Any], statement: Sql) -> None:
        """Run a statement of this question, its values read as ``existing_values`` says."""
        if self.bodies:
            adapt(cursor, self.relation.columns)
        # A prepared statement would fail when somebody has altered the table.
        cursor.execute(statement.text, statement.parameters, prepare=False)

    def statement(self, *, limit: int | None = None, offset: int = 0) -> Sql:
        """The whole statement."""
        parts = [compose("SELECT {} FROM {}", listed(", ", self._selected()), self.relation.sql)]
        if self.where is not None:
            parts.append(compose("WHERE {}", self.where))
        if self.order is not None:
            parts.append(compose("ORDER BY {}", self.order))
        if limit is not None:
            parts.append(compose("LIMIT {}", value(limit, _BIGINT)))
        if offset:
            parts.append(compose("OFFSET {}", value(offset, _BIGINT)))
        return listed(" ", parts)

    def stored(self, rows: Iterable[Sequence[Any]]) -> Iterator[Stored]:
        """Records of rows of the statement."""
        names, skipped, new = list(self.relation.by_name), self._skipped, tuple.__new__
        for row in rows:
            # Nothing by name, and nothing checked twice: of many small rows this is most of the work.
            data = dict(zip(names, row[skipped:])) if self.bodies else MISSING  # noqa: B905
            yield new(Stored, (row[0], FORMAT, None, None, NO_METADATA, None, None, None, None, row[1], data))

    def after(self, row: Sequence[Any] | None) -> Select:
        """The same question about the rows that come after one in the order of the key's columns."""
        columns = self.keys.order
        order = listed(", ", [column.sql for column in columns])
        if row is None:
            return replace(self, order=order)
        last = [value(text, column.type.sql) for text, column in zip(self.place(row), columns, strict=True)]
        later = compose("({}) > ({})", order, listed(", ", last))
        where = later if self.where is None else joined(" AND ", [self.where, later])
        return replace(self, order=order, where=where)

    def _selected(self) -> list[Sql]:
        version = compose("CAST({} AS text)", name("t", "xmin"))
        places = (
            [] if self.keys.plain else [compose("CAST({} AS text)", each.sql) for each in self.keys.order]
        )
        if self.at is not None:
            places.append(self.at)
        columns = [column.sql for column in self.relation.columns] if self.bodies else []
        return [self.keys.text, version if self.relation.has_addresses else _NULL, *places, *columns]

    @property
    def _skipped(self) -> int:
        return self._ordered_by + (self.at is not None)

    @property
    def _ordered_by(self) -> int:
        return 2 + (0 if self.keys.plain else len(self.keys.order))

    def text_at(self, row: Sequence[Any]) -> str | None:
        """The text that ``at`` has in a row."""
        text: str | None = row[self._ordered_by]
        return text

    def place(self, row: Sequence[Any]) -> Sequence[str]:
        """The texts of the columns that the rows are ordered by."""
        return [row[0]] if self.keys.plain else row[2 : self._ordered_by]

    def row_at(self, place: Sequence[str]) -> Sequence[Any]:
        """As much of a row as :meth:`after` has to know."""
        return place if self.keys.plain else [None, None, *place]


_BIGINT = name("pg_catalog", "int8")
_NULL = compose("NULL")
