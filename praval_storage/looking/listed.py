"""``dm.ls``: one page of a place as a sequence of places and references."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

from praval_storage.display import (
    SHOWN,
    Table,
    as_html,
    as_text,
    counted,
    name_text,
    printable,
    size_text,
    time_text,
)
from praval_storage.filters import parse, parse_order
from praval_storage.looking.pages import look
from praval_storage.looking.single import or_single
from praval_storage.looking.where import Where
from praval_storage.places import Look, Place, Seen
from praval_storage.provider_set import ProviderSet
from praval_storage.records import Stored
from praval_storage.reference import DataReference
from praval_storage.serialization import decode_metadata

Next = Callable[[str], "Listed"]
Filters = Mapping[str, Any] | None

_ENDS = {"bucket": "/", "folder": "/", "prefix": ":", "schema": ".", "provider": "://"}
SHOWN_HERE = 3 * SHOWN


class Listed(Sequence[Place | DataReference]):
    """Places, then references to records: one page of what is somewhere.

    Attributes:
        url: Where, for example ``s3://lab/reports/``.
        seen: The page as the provider answered it.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, where: Where, seen: Seen, following: Next) -> None:
        self.url = where.url
        self.seen = seen
        self._where = where
        self._following = following

    @property
    def places(self) -> list[Place]:
        """The places; ``dm.ls(storage_type, place.path)`` shows one."""
        return list(self.seen.places)

    @property
    def references(self) -> list[DataReference]:
        """A reference to each record."""
        return [self._reference(row) for row in self.seen.rows]

    @property
    def next(self) -> str | None:
        """Token of the next page; ``None`` = this is the last."""
        return self.seen.next

    def more(self) -> Listed:
        """The next page; an empty one after the last."""
        if self.seen.next is None:
            return Listed(self._where, replace(self.seen, places=(), rows=()), self._following)
        return self._following(self.seen.next)

    @overload
    def __getitem__(self, place: int) -> Place | DataReference: ...
    @overload
    def __getitem__(self, place: slice) -> list[Place | DataReference]: ...
    def __getitem__(self, place: int | slice) -> Place | DataReference | list[Place | DataReference]:
        entries: list[Place | DataReference] = [*self.seen.places, *self.references]
        return entries[place]

    def __len__(self) -> int:
        return len(self.seen.places) + len(self.seen.rows)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, list | tuple | Listed):
            return NotImplemented
        return list(self) == list(other)

    def __repr__(self) -> str:
        return as_text(self._table())

    def _repr_html_(self) -> str:
        return as_html(self._table())

    def _table(self) -> Table:
        places = [_place_cells(place, self.seen) for place in self.seen.places]
        rows = [*places, *map(self._row_cells, self.seen.rows)]
        header = ("name", "kind", "size", "updated", "")
        return Table(self._title(), header, rows[:SHOWN_HERE], len(rows[SHOWN_HERE:]))

    def _title(self) -> str:
        seen = self.seen
        if not self._where.storage_type:
            return f"{self.url}: {counted(len(seen.places), 'provider')}"
        total = f" of {seen.total}" if seen.total is not None and seen.next is not None else ""
        parts = [
            f"{printable(self.url, 200)}: {counted(len(seen.places), 'place')}",
            f"{counted(len(seen.rows), 'record')}{total}",
        ]
        facts = [", ".join(parts)]
        if seen.stopped:
            extent = f" of {seen.extent}" if seen.extent is not None else ""
            facts.append(f"stopped after {counted(seen.scanned, 'key')}{extent}")
        if seen.next is not None:
            facts.append("there is more: .more()")
        return "; ".join(
            [*facts, *filter(None, (seen.read_only and f"read-only: {seen.read_only}", seen.note))]
        )

    def _row_cells(self, row: Stored) -> tuple[str, ...]:
        kind = self.seen.types.get(row.key, "")
        kind = row.format if kind in {"", "string"} else kind
        until = f"until {time_text(row.expires_at)}" if row.expires_at is not None else ""
        label = name_text(self.seen.label(row))
        return label, kind, size_text(row.size), time_text(row.updated_at), until

    def _reference(self, row: Stored) -> DataReference:
        return DataReference(
            self._where.storage_type,
            row.key,
            metadata=decode_metadata(row.metadata),
            created_at=row.created_at,
            size=row.size,
            format=row.format,
            version=row.version,
            collection=self.seen.collection,
        )


def ls(
    providers: ProviderSet,
    where: Where,
    text: str,
    filters: Filters,
    limit: int,
    order_by: str | None,
    delimiter: str | None,
) -> Listed:
    """The first page of a place."""
    if not where.storage_type:
        return Listed(where, _all(providers), lambda _: Listed(where, Seen(), lambda _: NotImplemented))
    matching = parse(filters)
    request = Look(where.path, text, where.also(matching), parse_order(order_by), limit, delimiter=delimiter)

    def page(token: str | None) -> Listed:
        return Listed(where, look(providers, where.storage_type, replace(request, token=token)), page)

    seen = look(providers, where.storage_type, request)
    return Listed(where, or_single(providers, where, replace(request, where=matching), seen), page)


def _all(providers: ProviderSet) -> Seen:
    """The providers and how their last calls went; nobody is asked."""
    last = {name: providers.calls(name).last for name in providers}
    return Seen(
        [
            Place("", name, "provider", True, False, note=" ".join(filter(None, (each.status, each.detail))))
            for name, each in last.items()
        ]
    )


def ended(place: Place, seen: Seen) -> str:
    """The label of a place, and what ends names of its kind: it is not to be taken for a record."""
    return name_text(place.label) + (seen.delimiter or _ENDS.get(place.kind, ""))


def _place_cells(place: Place, seen: Seen) -> tuple[str, ...]:
    count = place.count.words("record") if place.count is not None else ""
    size = place.size.bytes() if place.size is not None else ""
    notes = filter(None, (count, place.note, place.read_only and f"read-only: {place.read_only}"))
    return ended(place, seen), place.kind, size, "", printable("; ".join(notes), 100)
