"""The read side: points back to records, by key, by filter and by vector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import Any

from praval_storage.errors import SerializationError, StoragePermissionError
from praval_storage.filters import EVERYTHING, Node, paths
from praval_storage.providers.qdrant import payload as layout
from praval_storage.providers.qdrant.engine import Engine, Figures, Nearest, PointId, Row, Rules, Schema
from praval_storage.providers.qdrant.filters import GATES, Compiled, compile_filter
from praval_storage.providers.qdrant.vectors import check_size, checked, choose
from praval_storage.records import Stored
from praval_storage.scan import Neighbour, Neighbours, Scan, Scanned
from praval_storage.selection import deciding

Load = Callable[[Stored], Any]
Decides = Callable[[Stored], bool]

INDEX_FROM = 1_000
"""Smaller collections are read faster than an index is made."""
_FIRST_PAGE, _LARGEST_PAGE = 64, 2_000
_PAGE_BYTES = 16 << 20
MANY = 20_000
"""Vectors outside the HNSW index from which on a search may be slow."""
_SLOW = 0.02
_DISTANCES = frozenset({"euclid", "manhattan"})


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one collection. A collection that is not there has no records.

    Attributes:
        engine: The collection.
        rules: What the provider was told about its vectors.
        load: Decodes the data of a record.
        asked_for: Indexes that need not be asked for again.
        used: Fields that filters have asked for an index of.
        may_index: Whether payload indexes that filters need are made.
    """

    engine: Engine
    rules: Rules
    load: Load
    asked_for: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    may_index: bool = True

    def read(self, keys: Sequence[str], now: datetime, *, bodies: bool = True) -> list[Stored | None]:
        """See ``RecordProvider.read``."""
        if not keys or self.engine.schema() is None:
            return [None] * len(keys)
        ids: dict[PointId, str] = {layout.id_of(key): key for key in keys}
        others = {number: key for key in keys if (number := layout.foreign_id(key)) is not None}
        selector = layout.RECORD if bodies else layout.ENTRY
        rows = self.engine.retrieve([*ids, *others], selector)
        meant = [row for row in rows if row.id in (ids if layout.is_ours(row) else others)]
        live = [row for row in meant if not layout.is_expired(row, now)]
        found = {stored.key: stored for stored in self._records(live, bodies=bodies)}
        return [found.get(key) for key in keys]

    def scan(self, request: Scan) -> Scanned:
        """See ``CanQuery.scan``."""
        schema = self.engine.schema()
        if schema is None:
            return Scanned(())
        compiled = compile_filter(request.where, schema)
        index = self._index(schema, compiled)
        unreadable: list[str] = []
        rows = self._rows(compiled, request, deciding(request.where, self.load, unreadable))
        return Scanned(rows, compiled.pushed, compiled.residual, index=index, unreadable=unreadable)

    def nearest(self, vector: Any, where: Node, limit: int) -> Neighbours:
        """See ``CanSearch.nearest``."""
        schema = self.engine.schema()
        meant = schema and choose(schema, self.rules)
        if schema is None or not meant:
            return Neighbours()
        name, space = meant
        wanted = checked(vector, "The query vector")
        check_size(len(wanted), space)
        _check_direction(wanted, space.distance)
        compiled = compile_filter(where, schema)
        index = self._index(schema, compiled)
        started = perf_counter()
        asked = Nearest(space.shaped(wanted), name, limit, ef=max(self.rules.search_ef, 2 * limit))
        rows = self.engine.nearest(asked, compiled.condition, layout.RECORD)
        seconds = perf_counter() - started
        figures = schema.figures or self.engine.figures()
        return Neighbours(
            self._neighbours(rows, space.distance),
            compiled.pushed,
            # Loose rows and other people's points were let through: the whole filter is decided on them.
            where if any(map(layout.is_loose, rows)) else compiled.residual,
            _way(figures.uses_graph(space.size), where, index),
            _hint(figures, seconds),
        )

    def _neighbours(self, rows: Sequence[Row], distance: str) -> list[Neighbour]:
        raw = {row.id: row.score for row in rows}
        records = self._pairs(rows, bodies=True)
        return [Neighbour(stored, _score(raw[number], distance), raw[number]) for number, stored in records]

    def _rows(self, compiled: Compiled, request: Scan, decides: Decides) -> Iterator[Stored]:
        after, size = None, min(_FIRST_PAGE, (request.limit or _LARGEST_PAGE) + 1)
        bodies = request.bodies or self.looks_at_data(request.where)
        selector = layout.RECORD if bodies else layout.ENTRY
        while True:
            page, after = self.engine.scroll(compiled.condition, after, size, selector)
            yield from self._matching(page, decides, bodies=bodies)
            if after is None:
                return
            size = _next_size(page, size)

    def looks_at_data(self, where: Node) -> bool:
        """Whether a filter cannot be decided without bodies."""
        return any(path.root == "data" for path in paths(where))

    def page(
        self, condition: Any, after: PointId | None, size: int, *, bodies: bool
    ) -> tuple[list[tuple[PointId, Stored]], PointId | None]:
        """So many points from an id on as records, and where the next ones begin."""
        selector = layout.RECORD if bodies else layout.ENTRY
        rows, following = self.engine.scroll(condition, after, size, selector)
        return self._pairs(rows, bodies=bodies), following

    def _matching(self, page: Sequence[Row], decides: Decides, *, bodies: bool) -> Iterator[Stored]:
        """Decides on the rows for which the engine could not; the others it decided as far as it said."""
        doubtful = {row.id for row in page if layout.is_loose(row)}
        for number, stored in self._pairs(page, bodies=bodies):
            if number not in doubtful or decides(stored):
                yield stored

    def _records(self, rows: Sequence[Row], *, bodies: bool) -> Iterable[Stored]:
        return (stored for _, stored in self._pairs(rows, bodies=bodies))

    def _pairs(self, rows: Sequence[Row], *, bodies: bool) -> list[tuple[PointId, Stored]]:
        """Rows as records, in order; other people's points are read again as a whole, with their vectors."""
        foreign = [row.id for row in rows if not layout.is_ours(row)]
        whole = {row.id: row for row in self.engine.retrieve(foreign, layout.WHOLE)} if foreign else {}
        pairs: list[tuple[PointId, Stored]] = []
        for row in rows:
            if layout.is_ours(row):
                pairs.append((row.id, layout.stored_of(row, bodies=bodies)))
            elif row.id in whole:
                pairs.append((row.id, layout.stored_of_foreign(whole[row.id])))
        return pairs

    def _index(self, schema: Schema, compiled: Compiled) -> str | None:
        """Make the indexes a filter needs, where they are worth it; which ones serve it."""
        self.used.update(compiled.indexes)
        missing = compiled.indexes.keys() - schema.indexes.keys() - self.asked_for
        made: set[str] = set()
        if self.may_index and missing and (schema.figures or self.engine.figures()).points >= INDEX_FROM:
            self.asked_for.update(missing)
            for path in sorted(missing):
                with suppress(StoragePermissionError):  # a read-only key filters without an index
                    self.engine.create_index(path, compiled.indexes[path])
                    made.add(path)
        serving = [path for path in compiled.indexes if path in schema.indexes or path in made]
        return ", ".join(f"payload index on {path}" for path in serving if path not in GATES) or None


def _next_size(page: Sequence[Row], size: int) -> int:
    """Twice as many rows as long as they are small."""
    average = sum(layout.size_of(row) for row in page) // max(1, len(page)) or 1
    return max(1, min(size * 4, _LARGEST_PAGE, _PAGE_BYTES // average))


def _way(by_graph: bool, where: Node, index: str | None) -> str:
    """What served a search: the engine scans what a filter leaves when it expects that to be little."""
    graph = "hnsw" if where == EVERYTHING else "hnsw, or flat where few match"
    way = graph if by_graph else "flat"
    return f"{way}; {index}" if index else way


def _hint(figures: Figures, seconds: float) -> str | None:
    """What would make the next search faster."""
    if figures.points - figures.indexed > MANY and seconds > _SLOW:
        return "provider.optimize() builds the HNSW index, which makes this search faster"
    return None


def _score(raw: float, distance: str) -> float:
    """Higher is better on every metric."""
    return 1 / (1 + raw) if distance in _DISTANCES else raw


def _check_direction(vector: list[float], distance: str) -> None:
    if distance == "cosine" and not any(vector):
        raise SerializationError(
            "The query vector is all zeros: it has no direction, so nothing is near it by cosine",
            hint="Check the embedding function",
        )
