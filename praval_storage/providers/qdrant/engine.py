"""What the provider needs of a Qdrant engine, embedded or on a server: one collection, in neutral terms.

Conditions are filters in the form of Qdrant's REST interface
(https://api.qdrant.tech/api-reference/search/points), which both adapters turn into their own classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from praval_storage.places import Count

Condition = dict[str, Any]
PointId = int | UUID
Progress = Callable[[str], None]

DISTANCES: Final = ("cosine", "dot", "euclid", "manhattan")
DEFAULT_VECTOR: Final = ""
"""Qdrant's name of the vector of a collection that has only one."""

SEARCH_EF: Final = 128
"""Candidates an HNSW search keeps unless told otherwise: recall@10 above 0.99 on embedding-like data."""

_FLOAT, _KILOBYTE = 4, 1024


@dataclass(frozen=True, slots=True)
class Space:
    """One vector of a collection.

    Attributes:
        size: Dimension.
        distance: Metric.
        multi: Whether a point has a list of such vectors, as late interaction models make them.
    """

    size: int
    distance: str
    multi: bool = False

    def shaped(self, vector: list[float]) -> list[Any]:
        """A vector as the engine takes it."""
        return [vector] if self.multi and vector else vector


@dataclass(frozen=True, slots=True)
class Figures:
    """How large a collection is.

    Attributes:
        points: Its points.
        indexed: How many of their vectors are in an HNSW index.
        segments: In how many parts these are.
        scanned_below: Kilobytes of vectors in a part from which on its index is used; less is scanned.
    """

    points: int
    indexed: int
    segments: int = 1
    scanned_below: int = 0

    def uses_graph(self, size: int) -> bool:
        """Whether a search among all vectors of so many dimensions goes by the HNSW index."""
        in_each = self.indexed * size * _FLOAT / max(1, self.segments)
        return self.indexed > 0 and in_each >= self.scanned_below * _KILOBYTE


@dataclass(frozen=True, slots=True)
class Outline:
    """What is known of a collection without opening it.

    Attributes:
        spaces: Dense vectors by name.
        points: How many points.
        notes: What else is worth a word.
    """

    spaces: Mapping[str, Space]
    points: Count | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Schema:
    """What a collection holds.

    Attributes:
        spaces: Dense vectors by name.
        indexes: Payload fields that have an index, and of which kind.
        foreign: Whether points that we did not write may be there.
        texts: Whether the engine can look for prefixes and parts of strings.
        figures: How large the collection is, when that was learnt on the way.
    """

    spaces: Mapping[str, Space] = field(default_factory=dict)
    indexes: Mapping[str, str] = field(default_factory=dict)
    foreign: bool = True
    texts: bool = True
    figures: Figures | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What a provider was told about its vectors.

    Attributes:
        size: Dimension; taken from the first vector when ``None``.
        distance: Metric of a collection that has to be made.
        vector_name: Which of several named vectors is meant.
        embed: Makes the vector of a text.
        search_ef: Candidates an HNSW search keeps at least.
    """

    size: int | None = None
    distance: str = DISTANCES[0]
    vector_name: str | None = None
    embed: Callable[[str], Any] | None = None
    search_ef: int = SEARCH_EF


class Point(NamedTuple):
    """A point about to be written; its vector is empty for a record that has none."""

    id: PointId
    vector: list[Any]
    using: str
    payload: dict[str, Any]

    def vectors(self) -> list[Any] | dict[str, list[Any]]:
        """The vector as both engines take it: bare when it is the only one, by name otherwise."""
        if not self.vector:
            return {}
        return {self.using: self.vector} if self.using else self.vector


class Row(NamedTuple):
    """A point as read, with the engine's own score when it was searched for."""

    id: PointId
    payload: dict[str, Any]
    vector: Any = None
    score: float = 0.0


class Selector(NamedTuple):
    """What to read of a point: the payload without some fields, or only some, and the vectors."""

    without: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    vectors: bool = False


class Nearest(NamedTuple):
    """A search: the vector, the name of those it is compared with, how many rows, of how many candidates."""

    vector: list[Any]
    using: str
    limit: int
    ef: int


class Engine(Protocol):
    """One collection of a Qdrant engine. Raises our errors; safe to use from several threads."""

    place: str
    """Path or URL, for messages; never with a credential."""

    max_body: int
    """Largest body in bytes that one point may carry."""

    batch_bytes: int
    """About how many bytes one write may carry."""

    def session(self) -> AbstractContextManager[object]:
        """While it is open nobody else writes, as far as the engine can promise that."""

    def schema(self) -> Schema | None:
        """What the collection holds; ``None`` when there is none. Never creates anything."""

    def create(self, space: Space | None) -> None:
        """Make the collection if it is not there, with this vector if one is known yet."""

    def add_vector(self, space: Space) -> None:
        """Give a collection that has no vector its first one."""

    def create_index(self, path: str, kind: str) -> None:
        """Index a payload field as ``keyword``, ``integer``, ``float``, ``bool`` or ``datetime``."""

    def make(self, point: Point) -> Any:
        """The point in the engine's own class."""

    def upsert(self, natives: Sequence[Any]) -> None:
        """Write points, replacing those with the same id; durable on return."""

    def insert(self, natives: Sequence[Any], ids: Sequence[PointId]) -> set[PointId]:
        """Write points whose id is not there; the ids that lost against another writer."""

    def retrieve(self, ids: Sequence[PointId], selector: Selector) -> list[Row]:
        """The points that are there, in no particular order."""

    def delete(self, ids: Sequence[PointId]) -> None:
        """Remove points; ids that are not there do no harm."""

    def delete_where(self, condition: Condition) -> int:
        """Remove all points that match; how many there were."""

    def scroll(
        self, condition: Condition | None, after: PointId | None, limit: int, selector: Selector
    ) -> tuple[list[Row], PointId | None]:
        """One page by id, and where the next one starts."""

    def nearest(self, query: Nearest, condition: Condition | None, selector: Selector) -> list[Row]:
        """The nearest points, best first."""

    def figures(self) -> Figures:
        """How large the collection is."""

    def count(self, condition: Condition) -> int:
        """How many points match, exactly."""

    def outline(self, name: str) -> Outline | None:
        """What is known of a collection in the same place; ``None`` when it has gone."""

    def optimize(self, progress: Progress, timeout: float | None) -> None:
        """Build the HNSW index now, and return when it serves searches."""

    def collections(self) -> list[str]:
        """All collections in the same place."""

    def server(self) -> str:
        """What the engine is, with its version."""

    def health(self) -> str:
        """Reach the engine once; a few words about it."""

    def close(self) -> None:
        """Let go of files and connections; the next call opens them again."""
