"""The embedded Qdrant engine (``qdrant-edge-py``): one shard per collection in ``<path>/<collection>/``.

What was found out about the engine (0.9), and what follows from it here:

* Every update goes through a write-ahead log: acknowledged writes survive SIGKILL. ``flush`` truncates the
  log, so it is called now and then to keep opening after a crash short.
* A shard needs at least one vector when it is made, but it may be a sparse one that is never used, and
  ``create_dense_vector`` adds the real one later; points without a vector are legal.
* Closing and opening again works; a second opener is refused at once (``WouldBlock``).
* It writes through memory maps of sparse files: on a full disk the process is ended by SIGBUS. So there must
  be room before anything is written.
* Everything it raises is a plain ``Exception``; only the text tells what it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import disk_usage
from typing import Any, cast

import qdrant_edge as edge

from praval_storage.display import size_text
from praval_storage.errors import StorageError, StoragePermissionError
from praval_storage.places import Count
from praval_storage.providers.qdrant.engine import (
    DEFAULT_VECTOR,
    Condition,
    Figures,
    Nearest,
    Outline,
    Point,
    PointId,
    Progress,
    Row,
    Schema,
    Selector,
    Space,
)
from praval_storage.providers.qdrant.filters import FOREIGN
from praval_storage.providers.qdrant.folder import Folder, Lease
from praval_storage.providers.qdrant.native import (
    index_kind,
    index_params,
    make_filter,
    payload_selector,
    rows_of,
)
from praval_storage.providers.qdrant.optimize import run_optimizer
from praval_storage.providers.qdrant.payload import LAYOUT
from praval_storage.providers.qdrant.settings import DEFAULT_PATH, QdrantSettings
from praval_storage.providers.qdrant.shard import CONFIG, DISTANCES, SCANNED, create_shard, spaces_of

_FLUSH_AFTER = 20_000
_REFUSED = ("Read-only file system", "Permission denied", "Operation not permitted")
_REFUSED_CURE = "It needs a folder it may write to, also for reading: QDRANT_PATH or path="


class EdgeEngine:
    """A collection of the engine embedded in this process.

    Args:
        path: Folder of the collections; made on the first write.
        collection: Name of the collection.
    """

    max_body = 32 << 20
    batch_bytes = 64 << 20
    room = 3 * batch_bytes
    """Free bytes of the disk below which nothing is written: a batch goes into the log and beside it."""

    def __init__(self, path: Path, collection: str) -> None:
        self.place = str(path)
        self._collection = collection
        self._lease = Lease(path)

    @property
    def _folder(self) -> Folder[edge.EdgeShard]:
        return self._lease.folder(_close)

    @property
    def _path(self) -> Path:
        return Path(self.place, self._collection)

    @contextmanager
    def session(self) -> Iterator[object]:
        with self._folder.lock:
            yield None

    @contextmanager
    def _shard(self) -> Iterator[edge.EdgeShard]:
        with self._folder.lock, _translated():
            yield self._folder.opened(self._collection, _load)

    def _check_room(self) -> None:
        there = next(path for path in (self._path, *self._path.parents) if path.exists())
        free = disk_usage(there).free
        if free < self.room:
            raise StorageError(
                f"The disk of {self.place} is nearly full: {size_text(free)} are left, and the embedded"
                f" Qdrant engine needs {size_text(self.room)} to write safely",
                hint="Free some space on it, or choose another folder: QDRANT_PATH or path=",
            )

    def schema(self) -> Schema | None:
        if not Path(self._path, CONFIG).exists():
            return None
        with self._shard() as shard:
            known: Schema | None = self._folder.notes.get(self._collection)
            if known is None:
                known = self._folder.notes[self._collection] = _schema(shard, self._path)
            return known

    def create(self, space: Space | None) -> None:
        self._check_room()
        with self._folder.lock, _translated():
            if not Path(self._path, CONFIG).exists():
                self._folder.forget(self._collection)  # somebody removed the files under it
                create_shard(self._path, space)

    def add_vector(self, space: Space) -> None:
        distance = DISTANCES[space.distance]
        self._alter(edge.UpdateOperation.create_dense_vector(DEFAULT_VECTOR, space.size, distance))

    def create_index(self, path: str, kind: str) -> None:
        self._alter(edge.UpdateOperation.create_field_index(path, index_params(kind)))

    def make(self, point: Point) -> Any:
        vectors: Any = point.vectors()
        return edge.Point(point.id, vectors, point.payload)

    def upsert(self, natives: Sequence[Any]) -> None:
        self._check_room()
        with self._shard() as shard:
            shard.update(edge.UpdateOperation.upsert_points(list(natives)))
            if self._folder.wrote(self._collection, len(natives)) >= _FLUSH_AFTER:
                shard.flush()
                self._folder.flushed(self._collection)

    def insert(self, natives: Sequence[Any], ids: Sequence[PointId]) -> set[PointId]:
        self.upsert(natives)  # nobody else writes while the caller holds the session
        return set()

    def retrieve(self, ids: Sequence[PointId], selector: Selector) -> list[Row]:
        with self._shard() as shard:
            return rows_of(shard.retrieve(list(ids), payload_selector(selector), selector.vectors))

    def delete(self, ids: Sequence[PointId]) -> None:
        with self._shard() as shard:
            shard.update(edge.UpdateOperation.delete_points(list(ids)))

    def delete_where(self, condition: Condition) -> int:
        with self._shard() as shard:
            where = make_filter(condition)
            count: int = shard.count(edge.CountRequest(filter=where))
            if count:
                shard.update(edge.UpdateOperation.delete_points_by_filter(where))
            return count

    def scroll(
        self, condition: Condition | None, after: PointId | None, limit: int, selector: Selector
    ) -> tuple[list[Row], PointId | None]:
        request = edge.ScrollRequest(
            offset=after,
            limit=limit,
            filter=make_filter(condition) if condition else None,
            with_payload=payload_selector(selector),
            with_vector=selector.vectors,
        )
        with self._shard() as shard:
            records, following = shard.scroll(request)
        return rows_of(records), cast("PointId | None", following)  # the stubs also allow text

    def nearest(self, query: Nearest, condition: Condition | None, selector: Selector) -> list[Row]:
        request = edge.SearchRequest(
            query=edge.Query.Nearest(query.vector, using=query.using or None),
            limit=query.limit,
            params=edge.SearchParams(hnsw_ef=query.ef),
            filter=make_filter(condition) if condition else None,
            with_payload=payload_selector(selector),
            with_vector=selector.vectors,
        )
        with self._shard() as shard:
            hits: list[Any] = shard.search(request)
        return [Row(hit.id, hit.payload or {}, hit.vector, hit.score) for hit in hits]

    def figures(self) -> Figures:
        with self._shard() as shard:
            info = shard.info()
        return Figures(info.points_count, info.indexed_vectors_count, scanned_below=SCANNED)

    def count(self, condition: Condition) -> int:
        with self._shard() as shard:
            return int(shard.count(edge.CountRequest(filter=make_filter(condition))))

    def outline(self, name: str) -> Outline | None:
        path = Path(self.place, name)
        if not Path(path, CONFIG).exists():
            return None
        # To count the points of another collection its files would have to be opened.
        points = Count(self.figures().points, "estimate") if name == self._collection else None
        return Outline(spaces_of(path), points)

    def optimize(self, progress: Progress, timeout: float | None) -> None:
        """Others wait meanwhile: the files belong to the child process."""
        with self._folder.lock, _translated():
            self._folder.opened(self._collection, _load)
            with self._folder.lent(self._collection, _load):
                run_optimizer(self._path, progress, timeout)

    def collections(self) -> list[str]:
        found = Path(self.place).glob(f"*/{CONFIG}")
        return sorted(config.parent.name for config in found if not config.parent.name.startswith("."))

    def server(self) -> str:
        return "Qdrant, embedded"

    def health(self) -> str:
        if self.schema() is None:
            return f"embedded, {self.place}, no collection {self._collection!r} yet"
        return f"embedded, {self.place}, {self.figures().points:,} points in {self._collection!r}"

    def close(self) -> None:
        self._lease.release()

    def _alter(self, operation: edge.UpdateOperation) -> None:
        self._check_room()
        with self._shard() as shard:
            shard.update(operation)
            self._folder.notes.pop(self._collection, None)


def open_engine(settings: QdrantSettings, _client: object) -> EdgeEngine:
    """The engine of a provider's settings."""
    return EdgeEngine(Path(settings.path or DEFAULT_PATH).expanduser().absolute(), settings.collection)


def _load(path: Path) -> edge.EdgeShard:
    return edge.EdgeShard.load(str(path))


def _close(shard: edge.EdgeShard) -> None:
    shard.close()


def _schema(shard: edge.EdgeShard, path: Path) -> Schema:
    indexes = {name: index_kind(info) for name, info in shard.info().payload_schema.items()}
    # What we made has this index, which also makes the count cheap; nobody else writes while we have it open.
    foreign = LAYOUT not in indexes or shard.count(edge.CountRequest(filter=make_filter(FOREIGN))) > 0
    return Schema(spaces_of(path), indexes, foreign)


@contextmanager
def _translated() -> Iterator[None]:
    """The engine knows one exception type, so every other type is ours or Python's own and passes through."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:
            raise
        text = f"The embedded Qdrant engine: {error}"
        if any(word in text for word in _REFUSED):
            raise StoragePermissionError(text, hint=_REFUSED_CURE) from error
        raise StorageError(text) from error
