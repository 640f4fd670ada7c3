"""Looking around: collections, then their points in the order of their ids, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from praval_storage.display import counted_text
from praval_storage.filters import EVERYTHING
from praval_storage.paging import Batch, Entry, Source, collect, in_any_order, in_places, whole
from praval_storage.places import Column, Count, Look, Measured, Place, Seen, bad_token, from_token
from praval_storage.providers.qdrant.engine import DEFAULT_VECTOR, Engine, Outline, PointId, Schema, Space
from praval_storage.providers.qdrant.filters import compile_filter, living_at
from praval_storage.providers.qdrant.reading import Reader
from praval_storage.providers.qdrant.vectors import FIELD
from praval_storage.records import Stored

LARGEST = 1_000
"""Points read at a time while few of them match."""
_TYPES = {"str": "text", "NoneType": "null", "dict": "object"}


def collections(engine: Engine, request: Look) -> Seen:
    """The collections in this place; only those of the page are asked how large they are."""
    names = engine.collections()
    seen = in_places(request, [Place(name, name, "collection", False, True) for name in names], "collections")
    return replace(seen, places=[_place(place, engine.outline(place.path)) for place in seen.places])


def points(source: Source, reader: Reader, request: Look) -> Seen:
    """One page of the points of a collection."""
    schema = reader.engine.schema()
    if schema is None:
        return Seen(note="There is no such collection")
    count = _count(reader.engine, schema, request.budget)
    if request.order is not None and count.number <= request.budget:
        seen = _in_any_order(source, reader, request)
    else:
        words = f"no more than {counted_text(request.budget)} points are sorted"
        seen = _by_id(source, reader, request, schema).unordered(request.order, words)
    total = count if request.where == EVERYTHING and not request.text else None
    return replace(seen, total=total, columns=_columns(schema, seen.rows))


def measure(engines: Sequence[Engine]) -> Iterator[Measured]:
    """Count the points of collections, one after the other; how many bytes they take Qdrant does not say."""
    records = 0
    for engine in engines:
        if engine.schema() is not None:
            records += engine.count(living_at(datetime.now(UTC)))
        yield Measured(Count(records), None, done=False)
    yield Measured(Count(records), None, done=True)


def _by_id(source: Source, reader: Reader, request: Look, schema: Schema) -> Seen:
    compiled = compile_filter(request.where, schema)
    scroll = _Scroll(reader, request, compiled.condition)
    page = collect(request, "", scroll.batches(), scroll.position, whole(source, request.where))
    statement = f"scroll(limit={request.limit + 1}, filter={compiled.condition})"
    return Seen(
        page.places,
        page.rows,
        next=page.next,
        scanned=page.scanned,
        stopped=page.stopped,
        statement=statement,
    )


def _in_any_order(source: Source, reader: Reader, request: Look) -> Seen:
    assert request.order is not None  # noqa: S101 - the caller has looked
    everything = replace(request, order=None, token=None, bodies=request.order.path.root == "data")
    rows = (row for batch in _Scroll(reader, everything, None).batches() for row in batch.entries)
    return in_any_order(source, rows, whole(source, request.where), "", request.order, request)


class _Scroll:
    """The points of a collection from a token on, which says the id of the next one."""

    def __init__(self, reader: Reader, request: Look, condition: Any) -> None:
        self._reader, self._request, self._condition = reader, request, condition
        self._begin = _begin(request)
        self._following: dict[str, PointId | None] = {}

    def batches(self) -> Iterator[Batch]:
        after, size = self._begin, self._request.limit + 1
        bodies = self._request.bodies or self._reader.looks_at_data(self._request.where)
        while True:
            pairs, after = self._reader.page(self._condition, after, size, bodies=bodies)
            ids = [*(number for number, _ in pairs[1:]), after]
            self._following = {row.key: number for (_, row), number in zip(pairs, ids, strict=False)}
            yield Batch([row for _, row in pairs], len(pairs), _position(after))
            if after is None:
                return
            size = min(4 * size, LARGEST)

    def position(self, entry: Entry) -> Any:
        """The id after that of a row of the present batch."""
        assert isinstance(entry, Stored)  # noqa: S101 - there are no places in a collection
        return _position(self._following[entry.key])


def _position(number: PointId | None) -> Any:
    return None if number is None else [number if isinstance(number, int) else str(number)]


def _begin(request: Look) -> PointId | None:
    match from_token(request.token):
        case None:
            return None
        case [bool()]:
            raise bad_token()
        case [int(number)] if 0 <= number < 2**64:
            return number
        case [str(text)]:
            try:
                return UUID(text)
            except ValueError:
                raise bad_token() from None
        case _:
            raise bad_token()


def _count(engine: Engine, schema: Schema, most: int) -> Count:
    """How many there are: exactly where counting them is quick."""
    figures = schema.figures or engine.figures()
    if figures.points > most:
        return Count(figures.points, "estimate")
    return Count(engine.count(living_at(datetime.now(UTC))))


# What a collection and its points look like


def _place(place: Place, outline: Outline | None) -> Place:
    if outline is None:
        return place
    vectors = ", ".join(f"{_name(name)} {_vector(space)}".strip() for name, space in outline.spaces.items())
    many = "named vectors: " if set(outline.spaces) - {DEFAULT_VECTOR} else ""
    notes = [f"{many}{vectors}" if vectors else "", *outline.notes]
    return replace(place, count=outline.points, note="; ".join(filter(None, notes)))


def _name(name: str) -> str:
    return "" if name == DEFAULT_VECTOR else name


def _vector(space: Space) -> str:
    return f"{space.size} dims, {space.distance}{', multi-vector' if space.multi else ''}"


def _columns(schema: Schema, rows: Sequence[Stored]) -> list[Column]:
    """Vectors, then payload fields: those that are indexed, and those of the rows whose data is at hand."""
    vectors = [Column(name or FIELD, f"vector, {_vector(space)}") for name, space in schema.spaces.items()]
    fields: dict[str, str] = {}
    for row in rows:
        if isinstance(row.data, dict):
            for name, value in row.data.items():
                fields.setdefault(name, _type(value))
    known = {column.name for column in vectors}
    names = [name for name in dict.fromkeys([*fields, *schema.indexes]) if name not in known]
    return vectors + [
        Column(name, schema.indexes.get(name) or fields.get(name, ""), indexed=name in schema.indexes)
        for name in names
        if not name.startswith("_praval")
    ]


def _type(value: object) -> str:
    name = type(value).__name__
    return _TYPES.get(name, name)
