"""What the ways to page through somebody else's relation have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from psycopg.sql import Composed

from praval_storage.paging import Batch, Entry, Page
from praval_storage.places import Seen
from praval_storage.providers.postgresql.connections import Connections
from praval_storage.providers.postgresql.existing_sql import Sql, joined
from praval_storage.providers.postgresql.existing_statements import Select, reading

LARGEST = 2_000
"""Rows read at a time while few of them match."""


class Pages(ABC):
    """Pages of a relation, one way or the other.

    Attributes:
        note: What one should know of them.
        statement: The first one that ran.
    """

    note = ""

    def __init__(self, connections: Connections, select: Select) -> None:
        self.statement: Sql | None = None
        self.connections, self.select = connections, select

    @abstractmethod
    def batches(self, position: Any, size: int) -> Iterator[Batch]:
        """What comes after a position, so many rows at first."""

    @abstractmethod
    def position(self, entry: Entry) -> Any:
        """The position of a row of the present batch."""

    def run(self, select: Select, size: int | None) -> list[Sequence[Any]]:
        statement = select.statement(limit=size)
        self.statement = self.statement or statement
        with reading(self.connections) as connection, connection.cursor() as cursor:
            select.run(cursor, statement)
            return cursor.fetchall()


def shown(page: Page, statement: Sql | None) -> Seen:
    """A page with what chose its rows."""
    text, parameters = statement or Sql(Composed([]))
    return replace(page.seen("", text.as_string(None)), parameters=parameters)


def both(first: Sql | None, second: Sql | None) -> Sql | None:
    """Two conditions of which each may be missing, as one."""
    given = [each for each in (first, second) if each is not None]
    return joined(" AND ", given) if given else None
