"""What is near a record, and by which of its vectors."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from praval_storage.base import BaseStorageProvider, CanSearch, HasVectors
from praval_storage.display import printable
from praval_storage.errors import StorageError
from praval_storage.filters import EVERYTHING
from praval_storage.preview.documents import is_vector, with_vector
from praval_storage.preview.parts import Nearest, Neighbour
from praval_storage.preview.seen import REASON, Seen
from praval_storage.provider_set import ProviderSet
from praval_storage.reference import DataReference
from praval_storage.selection import search


def with_neighbours(
    providers: ProviderSet, provider: BaseStorageProvider, name: DataReference, seen: Seen, count: int
) -> Seen:
    """The same with the vector that the backend keeps apart, and the records nearest to it."""
    which = ""
    try:
        if seen.vector is None and isinstance(provider, HasVectors):
            apart, key = provider, name.key
            provider, which, numbers = providers.call(
                name.storage_type, "preview", key, lambda: _kept_apart(apart, key)
            )
            seen = with_vector(seen, numbers)
        if seen.vector is None or not isinstance(provider, CanSearch):
            return seen
        able, vector = provider, seen.vector
        items = providers.call(name.storage_type, "search", None, lambda: _nearest(able, vector, name, count))
        return replace(seen, parts=[*seen.parts, Nearest(items, able.metric, which)])
    except StorageError as error:
        return seen.noting(printable(f"No neighbours: {error}", REASON))


def _kept_apart(provider: HasVectors, key: str) -> tuple[HasVectors, str, Any]:
    """The first vector of a record that can be searched for, and its name where there are several."""
    sample = provider.sample_vectors(1, 0, [key])
    if len(sample.vectors) < 2:
        return provider, "", provider.vectors_of([key])[0]
    for name in dict.fromkeys([sample.vector, *sample.vectors]):
        by = provider.with_vector(name)
        [numbers] = by.vectors_of([key])
        if is_vector(numbers):
            return by, name, numbers
    return provider, "", None


def _nearest(provider: CanSearch, vector: Any, name: DataReference, count: int) -> list[Neighbour]:
    # One more, because the record is near itself.
    found = search(provider, vector, EVERYTHING, count + 1, datetime.now(UTC)).rows
    others = [row for row in found if row.stored.key != name.key]
    return [
        Neighbour(replace(name, key=row.stored.key).uri, row.stored.key, row.score) for row in others[:count]
    ]
