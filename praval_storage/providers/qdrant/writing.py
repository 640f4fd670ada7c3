"""The write side: drafts to points, and the collection they go to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from praval_storage.base import BaseStorageProvider, Item, StorageResult, boundary
from praval_storage.errors import KeyExistsError, StorageError
from praval_storage.providers.qdrant import payload as layout
from praval_storage.providers.qdrant.engine import (
    DEFAULT_VECTOR,
    Engine,
    Point,
    PointId,
    Row,
    Rules,
    Schema,
    Space,
)
from praval_storage.providers.qdrant.filters import GATES, expired_before
from praval_storage.providers.qdrant.vectors import check_size, choose, vector_of

T = TypeVar("T")

_BATCH = 1_000
_EXISTS = "The key exists and overwrite=False"


@dataclass(frozen=True, slots=True)
class Existing:
    """What is there already under some keys.

    Attributes:
        ids: The id of our point for each key, whether it is there or not.
        live: Records of ours that have not expired.
        expired: Ids of records of ours that have.
        foreign: Ids of other people's points.
    """

    ids: dict[str, PointId] = field(default_factory=dict)
    live: dict[str, Row] = field(default_factory=dict)
    expired: dict[str, PointId] = field(default_factory=dict)
    foreign: dict[str, PointId] = field(default_factory=dict)

    def holds(self, key: str) -> bool:
        """Whether a key is taken."""
        return key in self.live or key in self.foreign


def find_existing(engine: Engine, keys: Sequence[str], now: datetime) -> Existing:
    """Look keys up, both as ours and as the ids of other people's points, in one call."""
    ours: dict[PointId, str] = {layout.id_of(key): key for key in keys}
    others = {number: key for key in keys if (number := layout.foreign_id(key)) is not None}
    existing = Existing({key: number for number, key in ours.items()})
    for row in engine.retrieve([*ours, *others], layout.STATE):
        if not layout.is_ours(row):
            if row.id in others:
                existing.foreign[others[row.id]] = row.id
        elif row.id in ours:
            if layout.is_expired(row, now):
                existing.expired[ours[row.id]] = row.id
            else:
                existing.live[ours[row.id]] = row
    return existing


def remove(engine: Engine, keys: Sequence[str]) -> list[bool]:
    """Delete points by key; whether each was there and had not expired."""
    if not keys or engine.schema() is None:
        return [False] * len(keys)
    with engine.session():
        existing = find_existing(engine, keys, datetime.now(UTC))
        ours = existing.live.values()
        ids = [row.id for row in ours] + [*existing.expired.values(), *existing.foreign.values()]
        if ids:
            engine.delete(ids)
    return [existing.holds(key) for key in keys]


class Made(NamedTuple):
    """A point in the engine's own class, ready to be sent."""

    key: str
    id: PointId
    weight: int
    native: Any


class Batch:
    """One call of ``put``: writes records into one collection, which it makes when it has to.

    Args:
        provider: Named in errors.
        engine: The collection.
        rules: What the provider was told about its vectors.
        overwrite: Whether records that are there are replaced.
    """

    def __init__(
        self, provider: BaseStorageProvider, engine: Engine, rules: Rules, *, overwrite: bool
    ) -> None:
        self._provider = provider
        self._engine = engine
        self._rules = rules
        self._overwrite = overwrite
        self._results: dict[str, StorageResult] = {}
        self._existing = Existing()

    def put(self, items: Sequence[Item]) -> list[StorageResult]:
        """See ``RecordProvider.put``."""
        # Embedding may take long: not while others wait for the collection.
        vectors = self._each(items, self._vector)
        good = [item for item in items if item.draft.key in vectors]
        with self._engine.session():
            meant = self._space(vectors)
            if good:
                self._existing = find_existing(self._engine, list(vectors), good[0].draft.written_at)
            # Each point is converted at once: a batch of payloads held as dicts keeps the collector busy.
            made = self._each(good, lambda item: self._made(item, vectors[item.draft.key], meant))
            self._send(list(made.values()))
        return [self._results[item.draft.key] for item in items]

    def _vector(self, item: Item) -> list[float]:
        return vector_of(item.draft.data, self._rules.embed) or []

    def _each(self, items: Sequence[Item], work: Callable[[Item], T]) -> dict[str, T]:
        """The work done on every item; what goes wrong with one is its result and stops no other."""
        done: dict[str, T] = {}
        for item in items:
            try:
                done[item.draft.key] = work(item)
            except Exception as error:  # noqa: BLE001 - embed() may raise anything
                self._fail(item.draft.key, error)
        return done

    def _fail(self, key: str, error: Exception) -> None:
        try:
            with boundary(self._provider, "store", key):
                raise error
        except StorageError as ours:
            self._results[key] = StorageResult(success=False, key=key, error=ours)

    def _space(self, vectors: dict[str, list[float]]) -> tuple[str, Space] | None:
        """The vector records go to; makes it, and the collection, from the first vector there is."""
        if not vectors:
            return None
        size = self._rules.size or next(map(len, filter(None, vectors.values())), None)
        space = Space(size, self._rules.distance) if size else None
        schema = self._engine.schema()
        if schema is None:
            self._engine.create(space)
            for path, kind in GATES.items():
                self._engine.create_index(path, kind)
            # Another writer may have been faster, with vectors of another kind.
            schema = self._engine.schema() or Schema()
        if space and not schema.spaces:
            self._engine.add_vector(space)
            schema = self._engine.schema() or Schema()
        return choose(schema, self._rules)

    def _made(self, item: Item, vector: list[float], meant: tuple[str, Space] | None) -> Made:
        key = item.draft.key
        if not self._overwrite and self._existing.holds(key):
            raise KeyExistsError(_EXISTS)
        dimensions = len(vector)
        if dimensions and meant:
            check_size(dimensions, meant[1])
        created_at = self._created_at(item)
        payload = layout.payload_of(item, created_at, self._engine.max_body)
        self._results[key] = StorageResult(
            success=True,
            key=key,
            size=payload["size"],
            version=payload["version"],
            created_at=created_at,
            format=payload["format"],
        )
        number = self._existing.ids[key]
        using, shaped = (meant[0], meant[1].shaped(vector)) if meant else (DEFAULT_VECTOR, vector)
        # Body, natural form and vector as JSON text: an estimate that errs upwards.
        weight = 3 * payload["size"] + 24 * dimensions + 1_000
        return Made(
            key,
            number,
            weight,
            self._engine.make(Point(number, shaped, using, payload)),
        )

    def _created_at(self, item: Item) -> datetime:
        draft = item.draft
        row = self._existing.live.get(draft.key)
        return draft.created_at or (row and layout.created_at(row)) or draft.written_at

    def _send(self, made: list[Made]) -> None:
        if not self._overwrite and self._existing.expired:
            # By condition: another writer may have revived one since we looked.
            ids = [str(expired) for expired in self._existing.expired.values()]
            self._engine.delete_where({"must": [{"has_id": ids}, expired_before(datetime.now(UTC))]})
        for chunk in _chunks(made, self._engine.batch_bytes):
            natives = [point.native for point in chunk]
            if self._overwrite:
                self._engine.upsert(natives)
            else:
                self._lose(self._engine.insert(natives, [point.id for point in chunk]), chunk)
        if self._existing.foreign:
            # What was stored under the id of somebody else's point replaces it.
            self._engine.delete(list(self._existing.foreign.values()))

    def _lose(self, lost: set[PointId], made: Sequence[Made]) -> None:
        for point in made:
            if point.id in lost:
                self._fail(point.key, KeyExistsError(_EXISTS))


def _chunks(made: list[Made], batch_bytes: int) -> Iterator[list[Made]]:
    """At most 1,000 points and about ``batch_bytes`` each."""
    chunk: list[Made] = []
    size = 0
    for point in made:
        if chunk and (len(chunk) == _BATCH or size + point.weight > batch_bytes):
            yield chunk
            chunk, size = [], 0
        chunk.append(point)
        size += point.weight
    if chunk:
        yield chunk
