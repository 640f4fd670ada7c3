"""Records as points of a Qdrant collection: on a server, or in the engine embedded in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from praval_storage.base import (
    CanBrowse,
    CanPurge,
    CanQuery,
    CanSearch,
    HasCollections,
    HasForeign,
    HasVectors,
    Item,
    RecordProvider,
    StorageResult,
    changes,
)
from praval_storage.diagnosis import Checkup
from praval_storage.errors import ConfigurationError, UnsupportedOperationError
from praval_storage.filters import Node
from praval_storage.places import Look, Measured, Seen, from_token
from praval_storage.providers.qdrant import browsing, sampling
from praval_storage.providers.qdrant.checkup import examine
from praval_storage.providers.qdrant.engine import SEARCH_EF, Engine, Progress, Rules
from praval_storage.providers.qdrant.filters import expired_before
from praval_storage.providers.qdrant.reading import Reader
from praval_storage.providers.qdrant.settings import QdrantSettings
from praval_storage.providers.qdrant.vectors import POINTER, choose
from praval_storage.providers.qdrant.writing import Batch, remove
from praval_storage.records import Draft, Stored
from praval_storage.sampling import VectorSample
from praval_storage.scan import Neighbours, Scan, Scanned
from praval_storage.serialization import Content, encode

if TYPE_CHECKING:
    from qdrant_client import QdrantClient


class QdrantProvider(
    RecordProvider, CanQuery, CanSearch, HasVectors, CanPurge, CanBrowse, HasForeign, HasCollections
):
    """Keeps records in Qdrant and finds them by vector.

    With ``url`` or ``client`` a server is used; otherwise the real engine runs in this process, on files
    under ``path``, which one process can hold at a time. Nothing is created or opened before it is used.
    The vector of a record is ``data["vector"]`` of a dict: a list, tuple or 1-D array of numbers, which
    comes back exactly as it went in. Records without one are stored, listed and filtered like any other.

    Args:
        url: Server, for example ``http://localhost:6333``; ``https://user:password@host`` for a proxy that
            wants a login.
        collection_name: Collection; made by the first write.
        vector_size: Dimension; taken from the first vector when left out.
        path: Folder of the embedded engine; ``./storage/.praval/qdrant`` when nothing is given.
        api_key: Credential of the server.
        distance: ``"cosine"``, ``"dot"``, ``"euclid"`` or ``"manhattan"``, of a collection yet to be made.
        embed: Turns a text into a vector: for records with a ``"text"`` but no ``"vector"``, for ``str``
            data, and for searching by text.
        vector_name: Which of several named vectors of somebody else's collection is searched, where
            ``dm.search`` does not say; not needed where there is only one.
        client: A ready client to use instead; it is never closed here.
        timeout: Seconds a server may take to answer; connecting is given up after 5 at most.
        prefer_grpc: Talk gRPC to the server.
        search_ef: Candidates an HNSW search keeps at least: more find more of the nearest, and take longer
            (Malkov and Yashunin, https://arxiv.org/abs/1603.09320).
        allow_pickle: Whether pickled data may be written and read. Reading pickles runs code.
    """

    libraries = ("qdrant-client", "qdrant-edge-py")

    def __init__(
        self,
        url: str | None = None,
        collection_name: str = "praval_vectors",
        vector_size: int | None = None,
        *,
        path: str | Path | None = None,
        api_key: str | None = None,
        distance: str = "cosine",
        embed: Any = None,
        vector_name: str | None = None,
        client: QdrantClient | None = None,
        timeout: float = 30.0,
        prefer_grpc: bool = False,
        search_ef: int = SEARCH_EF,
        allow_pickle: bool = False,
    ) -> None:
        super().__init__("qdrant", allow_pickle=allow_pickle)
        if client is not None and (url or path):
            raise ConfigurationError(
                "client is given together with url or path", hint="It brings its own place"
            )
        self.settings = QdrantSettings(
            url,
            None if path is None else str(path),
            api_key,
            collection_name,
            vector_size,
            distance,
            vector_name,
            timeout,
            prefer_grpc,
            search_ef,
        )
        self._embed = embed
        self._client = client
        self._others: dict[tuple[str, bool], Self] = {}

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        provider = cls()
        provider.settings = QdrantSettings.from_env(environ)
        return provider

    # Records

    def encode(self, draft: Draft) -> Content:
        return encode(
            draft.data, key=draft.key, format=draft.format, allow_pickle=self.allow_pickle, pack={POINTER}
        )

    def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
        return Batch(self, self._engine, self._rules, overwrite=overwrite).put(items)

    def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
        return self._reader.read(keys, datetime.now(UTC), bodies=bodies)

    def remove(self, keys: Sequence[str]) -> list[bool]:
        return remove(self._engine, keys)

    # Queries and searches

    def scan(self, request: Scan) -> Scanned:
        return self._indexing.scan(request)

    @property
    def metric(self) -> str:
        schema = self._engine.schema()
        meant = schema and choose(schema, self._rules)
        return meant[1].distance if meant else self.settings.distance

    def nearest(self, vector: Any, where: Node, limit: int) -> Neighbours:
        return self._indexing.nearest(vector, where, limit)

    def embed(self, text: str) -> Any:
        if self._embed is None:
            raise UnsupportedOperationError(
                "This provider was given no embedding function",
                hint="Pass embed=model.encode to QdrantProvider, or search with query_vector=",
            )
        return self._embed(text)

    def sample_vectors(self, limit: int, seed: int, keys: Sequence[str] | None = None) -> VectorSample:
        return sampling.sample(self._engine, self._rules, limit, seed, keys)

    def vectors_of(self, keys: Sequence[str]) -> list[Any]:
        return sampling.vectors_of(self._engine, self._rules, keys)

    def with_vector(self, name: str) -> Self:
        other = self._with(replace(self.settings, vector_name=name, vector_size=None, distance="cosine"))
        # One connection for both, and one memory of the indexes that were asked for.
        other.__dict__["_engine"] = self._engine
        other.__dict__["_reader"] = replace(self._reader, rules=other._rules)  # noqa: SLF001 - its own class
        return other

    @changes
    def optimize(self, progress: Progress | None = None, timeout: float | None = None) -> None:
        """Build the HNSW index over all vectors, which makes searches of large collections faster.

        Takes seconds for ten thousand vectors and minutes for a million; other calls on the collection wait.
        It can be interrupted: the data stays as it is. A server does this on its own; it is waited for.

        Args:
            progress: Called with a line of text about once a second; ``print`` will do.
            timeout: Seconds after which it is given up.

        Raises:
            StorageTimeoutError: It took longer; no data is lost.
        """
        if self._engine.schema() is not None:
            self._engine.optimize(progress or _silent, timeout)

    def purge_expired(self) -> int:
        return (
            0
            if self._engine.schema() is None
            else self._engine.delete_where(expired_before(datetime.now(UTC)))
        )

    # Looking around

    def dump(self, rows: Mapping[str, Stored | None]) -> dict[str, Stored]:
        # The engine gives numbers back a little off, and vectors normalised: that is not what was there.
        for key, row in rows.items():
            if row is not None:
                raise UnsupportedOperationError(
                    "Others have written this point, and Qdrant does not give out exactly what they wrote",
                    key=key,
                    hint="Write it outside of the transaction",
                )
        return {}

    def restore(self, rows: Sequence[Stored], *, overwrite: bool) -> list[StorageResult]:
        raise UnsupportedOperationError("There is nothing that dump() could have given")

    def home(self) -> str:
        return self.settings.collection

    def place_of(self, keys: str) -> str | None:
        return None if keys else self.home()  # a collection has no places in it

    def look(self, request: Look) -> Seen:
        if not request.path:
            return browsing.collections(self._engine, request)
        from_token(request.token)
        if request.path == self.collection:
            return browsing.points(self, self._indexing, request)
        if request.path not in self.collections():
            return Seen(note="There is no such collection")
        other = self._other(request.path)
        return replace(browsing.points(other, other._indexing, request), collection=request.path)  # noqa: SLF001

    def measure(self, path: str) -> Iterator[Measured]:
        names = [name for name in self.collections() if path in {"", name}]
        return browsing.measure(
            [self._engine if name == self.collection else self._other(name)._engine for name in names]  # noqa: SLF001
        )

    def _other(self, name: str) -> Self:
        """This provider bound to another collection, made once."""
        known = name, self.read_only  # a read-only view has the same ones, but for writing
        if known not in self._others:
            self._others[known] = self.in_collection(name)
        return self._others[known]

    # Collections and life cycle

    @property
    def collection(self) -> str:
        return self.settings.collection

    def collections(self) -> list[str]:
        return self._engine.collections()

    def in_collection(self, name: str) -> Self:
        # Dimension and metric belong to a collection, not to a connection.
        return self._with(replace(self.settings, collection=name, vector_size=None, distance="cosine"))

    def health(self) -> str:
        return self._engine.health()

    def diagnose(self) -> Checkup:
        return examine(self._engine, self._reader.used)

    def close(self) -> None:
        others, self._others = self._others, {}
        for other in others.values():
            other.close()
        if (engine := self.__dict__.pop("_engine", None)) is not None:
            engine.close()
        self.__dict__.pop("_reader", None)

    def secrets(self) -> Iterable[str]:
        return self.settings.secrets

    @property
    def place(self) -> str:
        server = "client" if self._client is not None else self.settings.place
        return f"{self.settings.collection!r} at {server}"

    def __getstate__(self) -> dict[str, Any]:
        if self._client is not None:
            raise ConfigurationError(
                "A provider made with client= cannot be pickled", hint="Make it with url="
            )
        kept = {name: value for name, value in self.__dict__.items() if name not in {"_engine", "_reader"}}
        return {**kept, "_others": {}}

    def _with(self, settings: QdrantSettings) -> Self:
        other = type(self)(embed=self._embed, client=self._client, allow_pickle=self.allow_pickle)
        other.settings = settings
        return other

    @property
    def _rules(self) -> Rules:
        given = self.settings
        return Rules(given.vector_size, given.distance, given.vector_name, self._embed, given.search_ef)

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self._engine, self._rules, self.load)

    @property
    def _indexing(self) -> Reader:
        """The reader that makes payload indexes for filters, where that is wanted."""
        return replace(self._reader, may_index=not self.read_only)

    @cached_property
    def _engine(self) -> Engine:
        # By name: the driver that is not needed is never imported (the client alone takes a second).
        name = "edge" if self.settings.url is None and self._client is None else "server"
        module = import_module(f"praval_storage.providers.qdrant.{name}")
        engine: Engine = module.open_engine(self.settings, self._client)
        return engine


def _silent(_: str) -> None:
    """No progress wanted."""
