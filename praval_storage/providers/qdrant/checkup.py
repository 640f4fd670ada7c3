"""Which indexes of a collection are missing."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from praval_storage.diagnosis import Checkup, Finding
from praval_storage.display import listed
from praval_storage.providers.qdrant.engine import Engine, Figures
from praval_storage.providers.qdrant.reading import INDEX_FROM, MANY

_BUILD = "provider.optimize() builds it; it takes minutes for a million vectors"


def examine(engine: Engine, used: Collection[str]) -> Checkup:
    """Look at a collection.

    Args:
        engine: The collection.
        used: Fields that filters have asked for an index of.
    """
    server, schema = engine.server(), engine.schema()
    if schema is None:
        return Checkup(server)
    figures = schema.figures or engine.figures()
    missing = sorted(set(used) - schema.indexes.keys()) if figures.points >= INDEX_FROM else []
    return Checkup(server, [*_payload(missing), *_vectors(figures)])


def _payload(missing: list[str]) -> Iterator[Finding]:
    if missing:
        yield Finding(
            f"Filters on {listed(missing)} have no payload index and read every point",
            "The same filter makes it, through a manager and with an API key that may write",
        )


def _vectors(figures: Figures) -> Iterator[Finding]:
    if figures.points - figures.indexed > MANY:
        yield Finding("Most vectors are not in an HNSW index: a search compares all of them", _BUILD)
