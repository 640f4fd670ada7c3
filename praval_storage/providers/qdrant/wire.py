"""Between our words and those of ``qdrant-client``: filters, vectors, ids and what a collection is like."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from qdrant_client import QdrantClient, models

from praval_storage.providers.qdrant.engine import (
    DEFAULT_VECTOR,
    Condition,
    Figures,
    PointId,
    Row,
    Selector,
    Space,
)
from praval_storage.providers.qdrant.server_errors import REFUSALS, is_coming_up, is_missing

PATIENCE = 10.0
"""Seconds a collection may take to become readable once the server knows its name."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.5


def make_filter(condition: Condition) -> models.Filter:
    """A condition as the client's filter object."""
    whole = condition if condition.keys() <= {"must", "should", "must_not"} else {"must": [condition]}
    return models.Filter.model_validate(whole)


def describe(client: QdrantClient, name: str) -> models.CollectionInfo | None:
    """What the server says of a collection; ``None`` when there is none.

    While somebody makes it the server refuses to read it, and also to make it again: that is waited out.
    """
    deadline, pause = time.monotonic() + PATIENCE, _FIRST_PAUSE
    while True:
        try:
            return client.get_collection(name)
        except REFUSALS as error:
            if is_missing(error):
                return None
            if not is_coming_up(error) or time.monotonic() > deadline:
                raise
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def figures_of(info: models.CollectionInfo) -> Figures:
    """Points and indexed vectors of a collection."""
    return Figures(
        info.points_count or 0,
        info.indexed_vectors_count or 0,
        info.segments_count,
        info.config.hnsw_config.full_scan_threshold,
    )


def index_params(kind: str, *, prefix: bool) -> Any:
    """A payload index in the client's words."""
    if kind == "keyword" and prefix:
        return models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, prefix=True)
    return models.PayloadSchemaType(kind)


def vector_params(space: Space) -> models.VectorParams:
    """A dense vector in the client's words."""
    return models.VectorParams(size=space.size, distance=distance_of(space))


def distance_of(space: Space) -> models.Distance:
    """A metric in the client's words."""
    return models.Distance(space.distance.capitalize())


def spaces_of(vectors: Any) -> dict[str, Space]:
    """The dense vectors of a collection in the order of their names."""
    named = vectors if isinstance(vectors, dict) else {DEFAULT_VECTOR: vectors} if vectors else {}
    return {
        name: Space(found.size, found.distance.value.lower(), found.multivector_config is not None)
        for name, found in sorted(named.items())
    }


def payload_selector(selector: Selector) -> Any:
    """Which part of the payload comes along, in the client's words."""
    if selector.only:
        return models.PayloadSelectorInclude(include=list(selector.only))
    return models.PayloadSelectorExclude(exclude=list(selector.without)) if selector.without else True


def row_of(record: Any) -> Row:
    """A record of the client as ours."""
    return Row(id_of(record.id), record.payload or {}, _vector(record.vector))


def _vector(vector: Any) -> Any:
    """Sparse vectors are objects of the client; the rest is plain already."""
    if isinstance(vector, dict):
        return {name: _vector(one) for name, one in vector.items()}
    return vector.model_dump() if isinstance(vector, models.SparseVector) else vector


def wire_id(number: PointId) -> int | str:
    """A point id as the REST interface takes it."""
    return number if isinstance(number, int) else str(number)


def id_of(number: int | str | UUID) -> PointId:
    """A point id as the REST interface gives it."""
    return UUID(number) if isinstance(number, str) else number
