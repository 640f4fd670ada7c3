"""Rows of one provider as a list-like, immutable sequence: what all results of reading have in common.

Nothing is decoded before it is looked at, and where a backend returned rows without their bodies, only those
that are looked at are fetched.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from functools import cached_property
from importlib import import_module
from typing import Any, ClassVar, Protocol, Self, TypeVar, overload

from praval_storage.display import (
    SHOWN,
    Table,
    as_html,
    as_text,
    codes,
    counted,
    listed,
    printable,
    size_text,
    time_text,
)
from praval_storage.errors import KeyNotFoundError
from praval_storage.filters import Path
from praval_storage.records import MISSING, Record, Stored
from praval_storage.reference import DataReference
from praval_storage.results.tabular import Tabular
from praval_storage.scan import Plan
from praval_storage.serialization import decode_metadata

T = TypeVar("T", covariant=True)

CHUNK = 256
"""Bodies fetched together while iterating."""


class Source(Protocol):
    """The part of a provider that results need.

    One that returned rows without their bodies also has ``fill`` (see ``CanQuery.fill``).
    """

    def load(self, stored: Stored) -> Any:
        """See ``BaseStorageProvider.load``."""


class RowSequence(Tabular, Sequence[T]):
    """Base of the results of reading.

    Attributes:
        storage_type: Name of the provider.
        collection: Collection, when it is not the provider's own.
        truncated: Whether the limit cut matches off; a slice of a truncated result is truncated, too.
        limit: The limit that was asked for.
        plan: How the backend answered.
    """

    __hash__ = None  # type: ignore[assignment]
    _header: ClassVar[tuple[str, ...]] = ("key", "format", "size", "updated")
    _next_steps: ClassVar[tuple[str, ...]] = (".to_pandas()", ".references", ".profile()", ".plan")
    _remedy: ClassVar[str] = "limit=None for all"

    def __init__(
        self,
        rows: Iterable[Stored],
        source: Source,
        *,
        storage_type: str,
        collection: str | None = None,
        truncated: bool,
        limit: int | None,
        plan: Plan,
    ) -> None:
        self._rows = list(rows)
        self._values: list[Any] = [MISSING] * len(self._rows)
        self._source = source
        self.storage_type = storage_type
        self.collection = collection
        self.truncated = truncated
        self.limit = limit
        self.plan = plan

    @property
    def keys(self) -> list[str]:
        """The keys, in order."""
        return [row.key for row in self._rows]

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """The records with metadata, times, size, format and version; their data loads when looked at."""
        return tuple(Record(row, self._source.load) for row in self._rows)

    @cached_property
    def references(self) -> tuple[DataReference, ...]:
        """A reference to each record."""
        return tuple(map(self._reference, self._rows))

    def browse(self, *, static: bool = False) -> Any:
        """Look at these records one by one, as in ``DataManager.browse``; nothing can be deleted.

        Args:
            static: No widget.
        """
        return import_module("praval_storage.jupyter").browse_result(self, static=static)

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """The first place of ``value``; ``ValueError`` if it is not there."""
        return list(self).index(value, start, len(self) if stop is None else stop)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> T | Self:
        if isinstance(place, slice):
            return self._part(place)
        return self._item(range(len(self))[place])

    def __iter__(self) -> Iterator[T]:
        for start in range(0, len(self), CHUNK):
            places = range(start, min(start + CHUNK, len(self)))
            self._fetch(places)
            yield from map(self._item, places)

    def __reversed__(self) -> Iterator[T]:
        return reversed(list(self))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, list | tuple | RowSequence):
            return NotImplemented
        return len(self) == len(other) and all(
            mine == theirs for mine, theirs in zip(self, other, strict=True)
        )

    def __repr__(self) -> str:
        return as_text(self._table())

    def _repr_html_(self) -> str:
        return as_html(self._table()) + codes(*self._next_steps)

    @abstractmethod
    def _item(self, place: int) -> T:
        """What is at a place that exists."""

    def _value(self, place: int) -> Any:
        if self._values[place] is MISSING:
            if _lacks_body(self._rows[place]):
                self._fetch([place])
            row = self._rows[place]
            self._values[place] = self._source.load(row) if row.data is MISSING else row.data
        return self._values[place]

    def _all_values(self) -> list[Any]:
        if all(row.data is not MISSING for row in self._rows):
            return [row.data for row in self._rows]
        return [self._value(place) for place in range(len(self))]

    def _fetch(self, places: Iterable[int]) -> None:
        """Get the bodies that are still missing."""
        missing = [place for place in places if _lacks_body(self._rows[place])]
        fill = getattr(self._source, "fill", None)
        if not missing or fill is None:
            return
        filled: list[Stored | None] = fill([self._rows[place] for place in missing])
        for place, row in zip(missing, filled, strict=True):
            self._rows[place] = row or self._rows[place]
        gone = [self._rows[place].key for place, row in zip(missing, filled, strict=True) if row is None]
        if gone:
            raise KeyNotFoundError(
                f"{counted(len(gone), 'record')} gone since they were listed: {listed(map(repr, gone))}",
                provider=self.storage_type,
                hint="Ask again, or take the others one by one",
            )

    def _cells(self, wanted: Sequence[str] | None) -> tuple[Any, ...]:
        if wanted is not None and all(Path.parse(name).root != "data" for name in wanted):
            return self._rows, None, None
        self._fetch(range(len(self)))
        return self._rows, self._all_values, None

    def _part(self, places: slice) -> Self:
        part = copy(self)
        vars(part).update(_rows=self._rows[places], _values=self._values[places])
        for cached in ("records", "references"):
            vars(part).pop(cached, None)
        return part

    def _parts(self, size: int) -> list[Self]:
        parts = [self._part(slice(at, at + size)) for at in range(0, len(self), size)]
        return [part._unfetched() for part in parts] or [self]  # noqa: SLF001 - a part of ourselves

    def _unfetched(self) -> Self:
        """The same without bodies, where these can be fetched again."""
        if hasattr(self._source, "fill"):
            rows = [row if row.data is not MISSING else row._replace(body=None) for row in self._rows]
            vars(self).update(_rows=rows, _values=[MISSING] * len(rows))
        return self

    def _reference(self, row: Stored) -> DataReference:
        return DataReference(
            self.storage_type,
            row.key,
            metadata=decode_metadata(row.metadata),
            created_at=row.created_at,
            size=row.size,
            format=row.format,
            version=row.version,
            collection=self.collection,
        )

    def _table(self) -> Table:
        rows = [self._row(place) for place in range(min(SHOWN, len(self)))]
        return Table(self._title(), self._header, rows, len(self) - len(rows))

    def _row(self, place: int) -> tuple[str, ...]:
        row = self._rows[place]
        return printable(row.key), printable(row.format), size_text(row.size), time_text(row.updated_at)

    def _title(self) -> str:
        where = self.storage_type if self.collection is None else f"{self.storage_type}/{self.collection}"
        return f"{type(self).__name__}: {self._extent()} from {printable(where)}{self._cut()}{self._unread()}"

    def _extent(self) -> str:
        first = "first " if self.truncated and len(self) == self.limit else ""
        return first + counted(len(self), "record")

    def _cut(self) -> str:
        if not self.truncated:
            return ""
        if len(self) == self.limit:
            return f" (limit={self.limit} cut the rest off; {self._remedy})"
        return f" (of a result that limit={self.limit} cut off)"

    def _unread(self) -> str:
        keys = self.plan.unreadable
        return (
            f"; {counted(len(keys), 'record')} could not be read: {listed(map(repr, keys))}" if keys else ""
        )


def _lacks_body(row: Stored) -> bool:
    return row.body is None and row.data is MISSING
