"""From a collection to its map: the sample, what of it can be drawn, and the search for neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from praval_storage.base import CanQuery, CanSearch, HasVectors
from praval_storage.display import counted
from praval_storage.errors import ConfigurationError, KeyNotFoundError, UnsupportedOperationError
from praval_storage.filters import EVERYTHING, Node, parse
from praval_storage.mapping.colouring import colouring
from praval_storage.mapping.fields import Fields, fields_of
from praval_storage.mapping.projection import project
from praval_storage.mapping.view import VectorMap
from praval_storage.provider_set import ProviderSet
from praval_storage.sampling import VectorRow, VectorSample
from praval_storage.scan import Scan
from praval_storage.selection import search, select
from praval_storage.writing import Target

if TYPE_CHECKING:
    import numpy.typing as npt

FOUND = 200_000
"""Records that match that are chosen from at most."""
MOST = 20_000
"""Points of a map; more take a browser long, and show nothing that fewer do not."""


class _Rows(NamedTuple):
    """What was read of a sample: the drawable ones first."""

    keys: list[str]
    known: list[Fields]
    vectors: npt.NDArray[np.float32]
    notes: list[str]


class Wish(NamedTuple):
    """What a map shall show; see ``DataManager.vector_map``."""

    colour: str | None = None
    filters: Mapping[str, Any] | None = None
    sample: int = 2_000
    vector: str | None = None
    seed: int = 0


def vector_map(providers: ProviderSet, target: Target, wish: Wish) -> VectorMap:
    """See ``DataManager.vector_map``."""
    colour, filters, sample, vector, seed = wish
    if not 1 <= sample <= MOST:
        raise ConfigurationError(f"sample must be between 1 and {MOST:,}, not {sample!r}")
    where = parse(filters or {})
    provider = providers.require(target.storage_type, HasVectors, "map its vectors", target.collection)
    if vector is not None:
        provider = provider.with_vector(vector)

    def work() -> tuple[VectorSample, _Rows]:
        found = provider.sample_vectors(sample, seed, _matching(provider, where))
        return found, _read(found)

    found, rows = providers.call(target.storage_type, "vector_map", None, work)
    if len(found.vectors) > 1:
        provider = provider.with_vector(found.vector)  # what is near is so by the vector that is drawn
    made = _made(target, found, rows, _Near(providers, target, provider))
    if where != EVERYTHING:
        made = replace(made, filters=where.to_filters(), notes=[*made.notes, *_cut(found)])
    return made if colour is None else made.coloured_by(colour)


def _matching(provider: HasVectors, where: Node) -> list[str] | None:
    """The keys of the records that match, ``None`` for all."""
    if where == EVERYTHING:
        return None
    if not isinstance(provider, CanQuery):
        raise UnsupportedOperationError("This provider does not filter")
    found = select(provider, Scan(where, limit=FOUND, bodies=False), datetime.now(UTC))
    return [row.key for row in found.rows]


def _cut(sample: VectorSample) -> list[str]:
    if sample.total < FOUND:
        return []
    return [f"The sample is of the first {counted(FOUND, 'record')} that match; there may be more"]


def _read(sample: VectorSample) -> _Rows:
    """Rows that can be drawn; all of them without their vectors where none can."""
    if not sample.size or sample.is_multi:
        return _undrawn(sample)
    keys: list[str] = []
    known: list[Fields] = []
    vectors: list[Any] = []
    lost = {"have no such vector": 0, "have a vector that is not finite": 0}
    for row in sample.rows:
        numbers = _numbers(row, sample.size)
        if numbers is None:
            lost["have no such vector"] += 1
        elif not np.isfinite(numbers).all():
            lost["have a vector that is not finite"] += 1
        else:
            keys.append(row.key)
            known.append(fields_of(row))
            vectors.append(numbers)
    notes = [f"Not drawn: {counted(count, 'record')} that {why}" for why, count in lost.items() if count]
    return _Rows(keys, known, np.array(vectors) if vectors else _nothing(sample.size), notes)


def _undrawn(sample: VectorSample) -> _Rows:
    rows = [(row.key, fields_of(row)) for row in sample.rows]
    why = "a record has several of these vectors" if sample.is_multi else "there is no dense vector"
    notes = [f"Not drawn: {why}"] if rows else []
    return _Rows([key for key, _ in rows], [known for _, known in rows], _nothing(0), notes)


def _numbers(row: VectorRow, size: int) -> npt.NDArray[np.float32] | None:
    if row.vector is None:
        return None
    numbers = np.asarray(row.vector, np.float32)
    return numbers if numbers.shape == (size,) else None


def _made(target: Target, sample: VectorSample, rows: _Rows, near: _Near) -> VectorMap:
    points, explained, notes = _nothing(2), None, [*rows.notes]
    if len(rows.vectors):
        projected = project(rows.vectors)
        explained, points = projected.explained, _fitted(projected.points)
        notes += _remarks(rows.vectors)
    if sample.drawn_from < sample.total:
        notes.append(f"The sample is of the first {sample.drawn_from:,} records by id".replace(",", " "))
    return VectorMap(
        target.storage_type,
        target.collection,
        sample.vector,
        sample.vectors,
        sample.metric,
        sample.size,
        sample.total,
        explained,
        rows.keys,
        points,
        rows.known,
        colouring(rows.known, None),
        near,
        notes,
    )


def _remarks(vectors: npt.NDArray[np.float32]) -> list[str]:
    if len(vectors) > 1 and (vectors == vectors[0]).all():
        return ["All vectors are equal: the points lie on each other"]
    return ["The vectors have one dimension: the points lie on a line"] if vectors.shape[1] == 1 else []


def _fitted(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Between -1 and 1, one scale for both axes."""
    most = float(np.abs(points).max())
    return points / np.float32(most) if most else points


def _nothing(size: int) -> npt.NDArray[np.float32]:
    return np.zeros((0, size), np.float32)


class _Near:
    """Asks the backend which records are nearest to one."""

    def __init__(self, providers: ProviderSet, target: Target, provider: HasVectors) -> None:
        self._providers = providers
        self._target = target
        self._provider = provider

    def __call__(self, key: str, limit: int) -> list[tuple[str, float]]:
        return self._providers.call(self._target.storage_type, "search", key, lambda: self._ask(key, limit))

    def _ask(self, key: str, limit: int) -> list[tuple[str, float]]:
        provider = self._provider
        if not isinstance(provider, CanSearch):
            raise UnsupportedOperationError("This provider does not search by vector")
        [vector] = provider.vectors_of([key])
        if vector is None:
            raise KeyNotFoundError(f"No record with such a vector under {key!r}")
        # One more, because the record is near itself.
        found = search(provider, vector, EVERYTHING, limit + 1, datetime.now(UTC)).rows
        return [(row.stored.key, row.score) for row in found if row.stored.key != key][:limit]
