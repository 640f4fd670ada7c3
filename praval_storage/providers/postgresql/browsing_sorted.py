"""Pages of somebody else's relation in the order of a column, which PostgreSQL makes from where one ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import md5
from typing import Any, NamedTuple

from praval_storage.bookmarks import BEGINNING, LONGEST, LOST
from praval_storage.paging import Batch, Entry
from praval_storage.places import bad_token
from praval_storage.providers.postgresql.browsing_pages import LARGEST, Pages, both
from praval_storage.providers.postgresql.connections import Connections
from praval_storage.providers.postgresql.existing_order import Stretch
from praval_storage.providers.postgresql.existing_pages import to_sort
from praval_storage.providers.postgresql.existing_sql import Sql, compose
from praval_storage.providers.postgresql.existing_statements import Select, reading
from praval_storage.records import Stored

SORTABLE = 1_000_000
"""Rows that PostgreSQL may have to sort for a page where no index has them in order."""
_NOTHING = compose("CAST(NULL AS text)")


class _Position(NamedTuple):
    """Where a page ended.

    Attributes:
        stretch: Number of the stretch.
        text: The value as text, or the beginning of a long one.
        key: The key.
        digest: Of the whole text of a long one.
    """

    stretch: int
    text: str | None
    key: str
    digest: str | None

    def token(self) -> list[Any]:
        return list(self)


def is_position(position: Any) -> bool:
    """Whether a token is one of these pages."""
    match position:
        case [int(), str() | None, str(), str() | None]:
            return True
        case _:
            return False


class Sorted(Pages):
    """Pages that begin after a value and a key, one stretch of the order after the other."""

    def __init__(self, connections: Connections, select: Select, stretches: Sequence[Stretch]) -> None:
        super().__init__(connections, select)
        self._stretches = stretches
        self._places: dict[str, _Position] = {}

    def to_sort(self) -> int:
        """How many rows have to be sorted for the first page at most."""
        with reading(self.connections) as connection:
            return max(to_sort(connection, self._of(stretch)) for stretch in self._stretches)

    def batches(self, position: Any, size: int) -> Iterator[Batch]:
        last = self._checked(position)
        while True:
            rows = self._rows(last, size)
            self._places = {row.key: place for row, place in rows}
            last = rows[-1][1] if len(rows) == size else None
            yield Batch([row for row, _ in rows], len(rows), last and last.token())
            if last is None:
                return
            size = min(4 * size, LARGEST)

    def position(self, entry: Entry) -> Any:
        assert isinstance(entry, Stored)  # noqa: S101 - there are no places in a table
        return self._places[entry.key].token()

    def _rows(self, last: _Position | None, size: int) -> list[tuple[Stored, _Position]]:
        """So many rows after a position: of the stretch that it is in, then of the next ones."""
        found: list[tuple[Stored, _Position]] = []
        for number in range(last.stretch if last else 0, len(self._stretches)):
            stretch = self._stretches[number]
            select = self._of(stretch)
            if last is not None and number == last.stretch:
                select = replace(select, where=both(select.where, self._after(stretch, last)))
            rows = self.run(select, size - len(found))
            if not rows and not found:
                self.statement = None  # the one to show has rows
            texts = map(select.text_at, rows)
            found += [
                (row, _placed(number, text, row.key))
                for row, text in zip(select.stored(rows), texts, strict=True)
            ]
            if len(found) == size:
                break
        return found

    def _of(self, stretch: Stretch) -> Select:
        at = _NOTHING if stretch.by is None else compose("CAST({} AS text)", stretch.by)
        where = both(self.select.where, stretch.where)
        return replace(self.select, where=where, order=stretch.order(self.select.keys), at=at)

    def _after(self, stretch: Stretch, last: _Position) -> Sql | None:
        text = last.text
        if last.digest is not None:
            text = self._whole(stretch, last)
            if text is None:  # the row has gone: on from the first one that begins as it did
                self.note = LOST
                return stretch.again(last.text or "")
        return stretch.after(self.select.keys, text, last.key)

    def _whole(self, stretch: Stretch, last: _Position) -> str | None:
        """The value of a row that is still as it was."""
        select = replace(self._of(stretch), where=self.select.keys.are([last.key]), order=None, bodies=False)
        with reading(self.connections) as connection, connection.cursor() as cursor:
            select.run(cursor, select.statement())
            texts = [text for row in cursor.fetchall() if (text := select.text_at(row)) is not None]
        return next((text for text in texts if _digest(text) == last.digest), None)

    def _checked(self, position: Any) -> _Position | None:
        if position is None:
            return None
        last = _Position(*position)
        if not 0 <= last.stretch < len(self._stretches) or any("\0" in (text or "") for text in position[1:]):
            raise bad_token()
        return last


def _placed(stretch: int, text: str | None, key: str) -> _Position:
    if text is None or len(text) <= LONGEST:
        return _Position(stretch, text, key, None)
    return _Position(stretch, text[:BEGINNING], key, _digest(text))


def _digest(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()
