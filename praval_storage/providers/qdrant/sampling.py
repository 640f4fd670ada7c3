"""Some points of a collection with their vectors, chosen evenly and alike for the same seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeVar

from praval_storage.errors import ConfigurationError
from praval_storage.providers.qdrant import payload as layout
from praval_storage.providers.qdrant.engine import (
    DEFAULT_VECTOR,
    Engine,
    PointId,
    Row,
    Rules,
    Schema,
    Selector,
)
from praval_storage.providers.qdrant.vectors import choose
from praval_storage.sampling import VectorRow, VectorSample

T = TypeVar("T")

MOST = 200_000
"""Ids that are looked at. Ours are hashes of the keys, so that the first of them are as good as any."""
_PAGE = 10_000
_AT_ONCE = 500
_ID = Selector(only=(layout.LAYOUT,))
_SEEN = Selector(only=("key", "data", "metadata", "expires_at", layout.LAYOUT), vectors=True)


def sample(engine: Engine, rules: Rules, limit: int, seed: int, keys: Sequence[str] | None) -> VectorSample:
    """See ``HasVectors.sample_vectors``."""
    schema = engine.schema()
    if schema is None:
        return VectorSample((), 0, 0)
    name = _name(schema, rules)
    if keys is None:
        ids = _ids(engine)
        total, count = len(ids) if len(ids) < MOST else engine.figures().points, len(ids)
        rows = _rows(engine, _chosen(ids, limit, seed), name)
    else:
        total = count = len(keys)
        rows = _rows_under(engine, _chosen(keys, limit, seed), name)
    found = VectorSample(rows, total, count, name or "", tuple(schema.spaces))
    if name is None:
        return found
    space = schema.spaces[name]
    return replace(found, size=space.size, metric=space.distance, is_multi=space.multi)


def vectors_of(engine: Engine, rules: Rules, keys: Sequence[str]) -> list[Any]:
    """See ``HasVectors.vectors_of``."""
    schema = engine.schema()
    name = None if schema is None else _name(schema, rules)
    if name is None:
        return [None] * len(keys)
    rows = {layout.key_of(row): row for row in engine.retrieve(_possible(keys), _SEEN)}
    return [None if key not in rows else _vector(rows[key], name) for key in keys]


def _possible(keys: Sequence[str]) -> list[PointId]:
    """The ids that points with these keys can have: ours, and those of other writers."""
    others = [number for key in keys if (number := layout.foreign_id(key)) is not None]
    return [*map(layout.id_of, keys), *others]


def _chosen(candidates: Sequence[T], limit: int, seed: int) -> list[T]:
    """At most so many, in their order."""
    count = len(candidates)
    places = sorted(Random(seed).sample(range(count), min(limit, count)))  # noqa: S311 - no secret
    return [candidates[place] for place in places]


def _name(schema: Schema, rules: Rules) -> str | None:
    """The vector that is meant; of several without a choice the first."""
    try:
        found = choose(schema, rules)
    except ConfigurationError:
        if rules.vector_name is not None:
            raise
        return next(iter(schema.spaces))
    return found and found[0]


def _ids(engine: Engine) -> list[tuple[PointId, bool]]:
    """The ids by order, and whether their points are ours."""
    ids: list[tuple[PointId, bool]] = []
    after: PointId | None = None
    while True:
        rows, after = engine.scroll(None, after, _PAGE, _ID)
        ids += [(row.id, layout.is_ours(row)) for row in rows]
        if after is None or len(ids) >= MOST:
            return ids[:MOST]


def _rows(engine: Engine, chosen: Sequence[tuple[PointId, bool]], name: str | None) -> Iterator[VectorRow]:
    now = datetime.now(UTC)
    for start in range(0, len(chosen), _AT_ONCE):
        some = chosen[start : start + _AT_ONCE]
        ours = engine.retrieve([number for number, is_ours in some if is_ours], _SEEN)
        theirs = engine.retrieve([number for number, is_ours in some if not is_ours], layout.WHOLE)
        found = {row.id: row for row in [*ours, *theirs] if not layout.is_expired(row, now)}
        yield from (_row(found[number], name) for number, _ in some if number in found)


def _rows_under(engine: Engine, keys: Sequence[str], name: str | None) -> Iterator[VectorRow]:
    now = datetime.now(UTC)
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        seen = engine.retrieve(_possible(some), _SEEN)
        # Of other writers' points the whole payload is the data.
        whole = engine.retrieve([row.id for row in seen if not layout.is_ours(row)], layout.WHOLE)
        rows = [*filter(layout.is_ours, seen), *whole]
        found = {layout.key_of(row): row for row in rows if not layout.is_expired(row, now)}
        yield from (_row(found[key], name) for key in some if key in found)


def _row(row: Row, name: str | None) -> VectorRow:
    vector = None if name is None else _vector(row, name)
    if layout.is_ours(row):
        return VectorRow(layout.key_of(row), vector, row.payload.get("data"), row.payload.get("metadata"))
    return VectorRow(layout.key_of(row), vector, row.payload, None)


def _vector(row: Row, name: str) -> Any:
    if isinstance(row.vector, dict):
        return row.vector.get(name)
    return row.vector if name == DEFAULT_VECTOR and row.vector else None
