"""A Qdrant server, through ``qdrant-client``; also any ready client, such as ``QdrantClient(":memory:")``.

With ``connection``, ``server_errors`` and ``wire`` the only module that imports the client (which takes a
second): the provider loads it when it is given a URL or a client, and not before.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cached_property, partial
from typing import Any

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from praval_storage.errors import StorageConnectionError, StorageTimeoutError
from praval_storage.places import Count
from praval_storage.providers._contact import FirstContact
from praval_storage.providers.qdrant.connection import CONNECT, alone, connect, is_local, place_of
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
from praval_storage.providers.qdrant.payload import NONCE
from praval_storage.providers.qdrant.server_errors import REFUSALS, silent, translated
from praval_storage.providers.qdrant.settings import QdrantSettings
from praval_storage.providers.qdrant.wire import (
    describe,
    distance_of,
    figures_of,
    id_of,
    index_params,
    make_filter,
    payload_selector,
    row_of,
    spaces_of,
    vector_params,
    wire_id,
)

_POLL = 1.0
_TEXTS_SINCE = (1, 20)
"""Older servers may not know these conditions; what they are not asked is decided here."""
_IDS = 1_000


class ServerEngine:
    """A collection on a server.

    Args:
        settings: Where the server is.
        client: A ready client to use instead; never closed here.
    """

    # The server takes requests of up to 32 MiB; base64 and JSON add a third.
    max_body = 16 << 20
    batch_bytes = 4 << 20

    def __init__(self, settings: QdrantSettings, client: QdrantClient | None) -> None:
        self.place = settings.place if client is None else place_of(client)
        self._settings = settings
        self._given = client
        self._clients: dict[int, QdrantClient] = {}
        self._soon = min(CONNECT, settings.timeout)
        self._contact = FirstContact(self._soon)
        self._name = settings.collection

    @property
    def _client(self) -> QdrantClient:
        if self._given is not None:
            return self._given
        # By process: connections do not survive a fork, and the child leaves the parent's alone.
        pid = os.getpid()
        return self._clients.get(pid) or self._clients.setdefault(pid, connect(self._settings))

    @contextmanager
    def _calling(self) -> Iterator[QdrantClient]:
        try:
            with translated(self.place, self._settings.timeout, self._settings.secrets):
                client = self._client
                if self._given is None:
                    self._greet(client)
                with alone(client):
                    yield client
        except (StorageConnectionError, StorageTimeoutError):
            self._contact.forget()
            raise

    def _greet(self, client: QdrantClient) -> None:
        """Find out soon whether there is a server."""
        try:
            with translated(self.place, self._settings.timeout, self._settings.secrets):
                self._contact.ensure(partial(_ask, client))
        except StorageTimeoutError as error:
            raise silent(self.place, self._soon) from error

    @cached_property
    def _knows_texts(self) -> bool:
        with self._calling() as client:
            version = re.match(r"(\d+)\.(\d+)", client.info().version)
        return version is not None and tuple(map(int, version.groups())) >= _TEXTS_SINCE

    def session(self) -> AbstractContextManager[object]:
        # A server has other writers: atomicity comes from insert-only updates instead.
        return nullcontext()

    def schema(self) -> Schema | None:
        with self._calling() as client:
            info = describe(client, self._name)
        if info is None:
            return None
        indexes = {name: str(index.data_type.value) for name, index in (info.payload_schema or {}).items()}
        spaces = spaces_of(info.config.params.vectors)
        return Schema(spaces, indexes, texts=self._knows_texts, figures=figures_of(info))

    def create(self, space: Space | None) -> None:
        vectors: Any = {} if space is None else vector_params(space)
        with self._calling() as client:
            try:
                client.create_collection(self._name, vectors_config=vectors)
            except REFUSALS:
                if describe(client, self._name) is None:
                    raise
                # Another writer was faster.

    def add_vector(self, space: Space) -> None:
        config = models.DenseVectorConfig(size=space.size, distance=distance_of(space))
        wanted = models.DenseVectorNameConfig(dense=config)
        with self._calling() as client:
            try:
                client.create_vector_name(self._name, DEFAULT_VECTOR, wanted)
            except REFUSALS:
                info = describe(client, self._name)
                if info is None or DEFAULT_VECTOR not in spaces_of(info.config.params.vectors):
                    raise
                # Another writer was faster.

    def create_index(self, path: str, kind: str) -> None:
        if is_local(self._client):
            return  # it has none, and warns
        with self._calling() as client:
            client.create_payload_index(self._name, path, index_params(kind, prefix=self._knows_texts))

    def make(self, point: Point) -> models.PointStruct:
        vectors: Any = point.vectors()
        return models.PointStruct(id=wire_id(point.id), vector=vectors, payload=point.payload)

    def upsert(self, natives: Sequence[models.PointStruct]) -> None:
        with self._calling() as client:
            client.upsert(self._name, list(natives))

    def insert(self, natives: Sequence[models.PointStruct], ids: Sequence[PointId]) -> set[PointId]:
        """Insert-only updates skip what is there silently: each write carries a nonce to be read back."""
        nonce = uuid.uuid4().hex
        for native in natives:
            native.payload = {**(native.payload or {}), NONCE: nonce}
        with self._calling() as client:
            client.upsert(self._name, list(natives), update_mode=models.UpdateMode.INSERT_ONLY)
        there = self.retrieve(ids, Selector(only=(NONCE,)))
        return set(ids) - {row.id for row in there if row.payload.get(NONCE) == nonce}

    def retrieve(self, ids: Sequence[PointId], selector: Selector) -> list[Row]:
        rows: list[Row] = []
        for start in range(0, len(ids), _IDS):
            wanted = list(map(wire_id, ids[start : start + _IDS]))
            with self._calling() as client:
                found = client.retrieve(
                    self._name, wanted, with_payload=payload_selector(selector), with_vectors=selector.vectors
                )
            rows += map(row_of, found)
        return rows

    def delete(self, ids: Sequence[PointId]) -> None:
        with self._calling() as client:
            client.delete(self._name, models.PointIdsList(points=list(map(wire_id, ids))))

    def delete_where(self, condition: Condition) -> int:
        where = make_filter(condition)
        with self._calling() as client:
            count = client.count(self._name, where, exact=True).count
            if count:
                client.delete(self._name, models.FilterSelector(filter=where))
        return count

    def scroll(
        self, condition: Condition | None, after: PointId | None, limit: int, selector: Selector
    ) -> tuple[list[Row], PointId | None]:
        with self._calling() as client:
            found, following = client.scroll(
                self._name,
                scroll_filter=make_filter(condition) if condition else None,
                offset=None if after is None else wire_id(after),
                limit=limit,
                with_payload=payload_selector(selector),
                with_vectors=selector.vectors,
            )
        return list(map(row_of, found)), None if following is None else id_of(following)

    def nearest(self, query: Nearest, condition: Condition | None, selector: Selector) -> list[Row]:
        with self._calling() as client:
            found = client.query_points(
                self._name,
                query=query.vector,
                using=query.using or None,
                query_filter=make_filter(condition) if condition else None,
                limit=query.limit,
                # The local mode has no index, and warns.
                search_params=None if is_local(client) else models.SearchParams(hnsw_ef=query.ef),
                with_payload=payload_selector(selector),
                with_vectors=selector.vectors,
            )
        return [row_of(point)._replace(score=point.score) for point in found.points]

    def figures(self) -> Figures:
        with self._calling() as client:
            return figures_of(client.get_collection(self._name))

    def count(self, condition: Condition) -> int:
        with self._calling() as client:
            return int(client.count(self._name, make_filter(condition), exact=True).count)

    def outline(self, name: str) -> Outline | None:
        with self._calling() as client:
            info = describe(client, name)
        if info is None:
            return None
        sparse = ", ".join(info.config.params.sparse_vectors or ())
        notes = (f"sparse vectors: {sparse}" if sparse else "", str(info.status.value))
        points = Count(figures_of(info).points, "estimate")
        return Outline(spaces_of(info.config.params.vectors), points, notes)

    def optimize(self, progress: Progress, timeout: float | None) -> None:
        """The server optimizes on its own; wait until it has nothing left to do."""
        started = time.monotonic()
        while True:
            with self._calling() as client:
                status = client.get_collection(self._name).status
            if status is not models.CollectionStatus.YELLOW:
                return
            seconds = time.monotonic() - started
            if timeout is not None and seconds > timeout:
                raise StorageTimeoutError(f"Qdrant at {self.place} is still optimizing after {timeout:g} s")
            progress(f"the server is optimizing: {seconds:.0f} s")
            time.sleep(_POLL)

    def collections(self) -> list[str]:
        with self._calling() as client:
            return sorted(found.name for found in client.get_collections().collections)

    def server(self) -> str:
        with self._calling() as client:
            return f"Qdrant {client.info().version}"

    def health(self) -> str:
        with self._calling() as client:
            version = client.info().version
        if self.schema() is None:
            return f"server {version}, {self.place}, no collection {self._name!r} yet"
        return f"server {version}, {self.place}, {self.figures().points:,} points in {self._name!r}"

    def close(self) -> None:
        self._contact.forget()
        if client := self._clients.pop(os.getpid(), None):
            client.close()


def _ask(client: QdrantClient) -> None:
    # Something is there; what it makes of us is seen by the call that follows.
    with suppress(UnexpectedResponse):
        client.info()


def open_engine(settings: QdrantSettings, client: QdrantClient | None) -> ServerEngine:
    """The engine of a provider's settings."""
    return ServerEngine(settings, client)
