"""A sample of the vectors of a collection: what a map of it is drawn from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple


class VectorRow(NamedTuple):
    """One record of a sample.

    Attributes:
        key: Its key.
        vector: Its numbers, one list or array; ``None`` when it has no such vector.
        data: Its data as far as the backend can filter on it.
        metadata: The user's metadata.
    """

    key: str
    vector: Any
    data: Any
    metadata: Any


@dataclass(frozen=True, slots=True)
class VectorSample:
    """Some records of a collection with their vectors.

    Attributes:
        rows: The sample, read on while it is taken; alike for the same seed while the data does not change.
        total: Records there are.
        drawn_from: Records the sample was drawn from, which are the first by id where there are very many.
        vector: Name of the vector; ``""`` is the only one of a collection.
        vectors: Names of all dense vectors.
        size: Dimension; 0 where there is no such vector.
        metric: How they are compared.
        is_multi: Whether a record has a list of such vectors.
    """

    rows: Iterable[VectorRow]
    total: int
    drawn_from: int
    vector: str = ""
    vectors: tuple[str, ...] = ()
    size: int = 0
    metric: str = ""
    is_multi: bool = False
