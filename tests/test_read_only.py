"""Providers and managers that only read: what would change anything is refused before anything is sent."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec
import psycopg
import pytest
import redis
from backends import BACKENDS, S3_CREDENTIALS, make
from custom_provider import MyCustomProvider

from praval_storage import (
    BaseStorageProvider,
    ConfigurationError,
    DataManager,
    DataReference,
    QueryResult,
    StoragePermissionError,
    get_data_manager,
    reset_data_manager,
    storage_enabled,
)
from praval_storage.base import is_changing
from praval_storage.jupyter import browse_provider
from praval_storage.places import Look
from praval_storage.providers import (
    FileSystemProvider,
    FsspecProvider,
    QdrantProvider,
    RedisProvider,
    S3Provider,
)
from praval_storage.providers.qdrant.reading import INDEX_FROM
from praval_storage.read_only import reads_only

DATA = {"n": 1, "vector": [1.0, 0.0]}
REF = DataReference("backend", "k")
ELSEWHERE = DataReference("other", "k")

Call = Callable[[DataManager], object]

WRITES: dict[str, Call] = {
    "store": lambda dm: dm.store(DATA, "backend", "k"),
    "store without a key": lambda dm: dm.store(DATA, "backend"),
    "store in a collection": lambda dm: dm.store(DATA, "backend", "k", collection="c"),
    "store_many": lambda dm: dm.store_many([DATA, DATA], "backend"),
    "delete": lambda dm: dm.delete(REF),
    "delete_by_key": lambda dm: dm.delete_by_key("backend", "k"),
    "delete_many": lambda dm: dm.delete_many([ELSEWHERE, REF]),
    "copy to": lambda dm: dm.copy(ELSEWHERE, "backend"),
    "copy many to": lambda dm: dm.copy([ELSEWHERE], "backend"),
    "move to": lambda dm: dm.move(ELSEWHERE, "backend"),
    "move from": lambda dm: dm.move(REF, "other"),
    "move many from": lambda dm: dm.move([REF, ELSEWHERE], "other", key=lambda ref: f"to/{ref.storage_type}"),
    "purge_expired": lambda dm: dm.purge_expired("backend"),
    "a transaction": lambda dm: in_transaction(dm, lambda tx: tx.store(DATA, "backend", "k")),
    "a transaction over both": lambda dm: in_transaction(
        dm, lambda tx: (tx.store(1, "other", "new"), tx.delete(ELSEWHERE), tx.delete(REF))
    ),
}


def in_transaction(dm: DataManager, work: Callable[[Any], object]) -> None:
    with dm.transaction() as tx:
        work(tx)


READS: dict[str, Call] = {
    "retrieve": lambda dm: dm.retrieve(REF, default=None),
    "retrieve_many": lambda dm: dm.retrieve_many([REF]),
    "exists": lambda dm: dm.exists(REF),
    "query": lambda dm: list(dm.query("backend", {"n": 1, "metadata.kind": "x"}, order_by="created_at")),
    "list": lambda dm: list(dm.list("backend")),
    "collections": lambda dm: dm.providers["backend"].collections(),  # type: ignore[attr-defined]
    "health": lambda dm: dm.health(),
    "purge of all": lambda dm: dm.purge_expired(),
    "copy from": lambda dm: dm.copy([REF], "other"),
    "repr": lambda dm: (repr(dm), dm._repr_html_()),
}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Any:
    return make(request.param, request)


@pytest.fixture
def dm(backend: BaseStorageProvider, tmp_path: Path) -> Iterator[DataManager]:
    with DataManager({"other": FileSystemProvider(tmp_path / "other")}) as dm:
        dm.store("theirs", "other", "k")
        dm.register_provider("backend", backend, read_only=True)
        yield dm


def refused(call: Call, dm: DataManager) -> StoragePermissionError:
    with pytest.raises(StoragePermissionError) as caught:
        call(dm)
    return caught.value


@pytest.mark.parametrize("call", WRITES.values(), ids=WRITES)
def test_every_write_is_refused_and_says_how_to_change_it(dm: DataManager, call: Call) -> None:
    error = refused(call, dm)
    assert "Provider 'backend' is registered read-only" in str(error)
    assert "dm.register_provider('backend', provider)" in str(error)
    assert error.operation in str(error)
    assert dm.retrieve(ELSEWHERE) == "theirs"
    assert [ref.key for ref in dm.list("other")] == ["k"]


def test_neither_writing_nor_reading_makes_anything(
    dm: DataManager, backend: BaseStorageProvider, request: pytest.FixtureRequest
) -> None:
    for call in WRITES.values():
        refused(call, dm)
    for call in READS.values():
        with suppress(ConfigurationError):  # the bucket is not there
            call(dm)
    assert traces(backend, request) == []


def traces(backend: Any, request: pytest.FixtureRequest) -> list[Any]:
    """What is there of a backend that was never written to."""
    if isinstance(backend, FileSystemProvider):
        return [path for path in (backend.base_path,) if path.exists()]
    if isinstance(backend, S3Provider):
        return [name for name in backend.buckets() if name == backend.settings.bucket]
    if isinstance(backend, FsspecProvider):
        return list(fsspec.filesystem("memory").find(backend.settings.url))
    if isinstance(backend, QdrantProvider):
        if backend.settings.path:
            return [path for path in (Path(backend.settings.path),) if path.exists()]
        return [name for name in backend.collections() if name == backend.collection]
    if isinstance(backend, RedisProvider):
        with redis.Redis.from_url(request.getfixturevalue("redis_url")) as client:
            return list(client.scan_iter(f"{backend.settings.prefix}*"))
    with psycopg.connect(request.getfixturevalue("postgres_dsn")) as connection:
        found = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
        return connection.execute(found, (backend.settings.schema,)).fetchall()


def test_what_others_wrote_reads_as_ever(backend: Any, tmp_path: Path) -> None:
    writer = DataManager({"backend": backend})
    writer.store(DATA, "backend", "k", {"kind": "x"})
    dm = DataManager(read_only=True)
    dm.register_provider("backend", backend)
    assert dm.retrieve(REF) == DATA
    assert dm.query("backend", {"metadata.kind": "x"}) == [DATA]
    assert dm.list("backend").keys == ["k"]
    assert dm.query("backend").to_pandas()["n"].tolist() == [1]
    with pytest.raises(StoragePermissionError, match=r"data manager is read-only.*DataManager"):
        dm.delete(REF)
    assert backend.retrieve("k") == DATA
    writer.store({**DATA, "n": 2}, "backend", "k")  # the provider itself is the user's
    assert dm.retrieve(REF)["n"] == 2
    dm.close()
    assert writer.retrieve(REF)["n"] == 2


def test_the_provider_of_a_read_only_registration_refuses_as_well(dm: DataManager, backend: Any) -> None:
    view = dm.providers["backend"]
    assert isinstance(view, type(backend))
    assert repr(view).endswith("(read-only)")
    assert not repr(backend).endswith("(read-only)")
    names = [name for name in dir(view) if is_changing(type(view), name)]
    assert {"store", "delete", "write", "remove", "put"} <= {*names}
    for name in names:
        with pytest.raises(StoragePermissionError, match=rf"read-only.*{name}"):
            getattr(view, name)()
    bound = view.in_collection("c")  # type: ignore[attr-defined]
    with pytest.raises(StoragePermissionError):
        bound.store("k", DATA, {})
    assert view.health() == backend.health()


@pytest.mark.parametrize("name", sorted(BACKENDS.keys() - {"qdrant-server"}))  # made with client=
def test_a_view_survives_pickling(name: str, request: pytest.FixtureRequest) -> None:
    provider = make(name, request)
    view = pickle.loads(pickle.dumps(reads_only(provider, name)))
    assert isinstance(view, type(provider))
    with pytest.raises(StoragePermissionError):
        view.store("k", DATA, {})


EXTRAS: dict[str, Callable[[Any], object]] = {
    "increment": lambda provider: provider.increment("k"),
    "compare_and_set": lambda provider: provider.compare_and_set("k", 1, 2),
    "lock": lambda provider: provider.lock("k"),
    "publish": lambda provider: provider.publish("channel", 1),
}


@pytest.mark.parametrize("name", EXTRAS)
def test_what_only_redis_can_is_refused(name: str, request: pytest.FixtureRequest) -> None:
    provider = make("redis", request)
    dm = DataManager({"redis": provider}, read_only=True)
    with pytest.raises(StoragePermissionError, match=name):
        EXTRAS[name](dm.providers["redis"])
    assert traces(provider, request) == []


def test_filters_make_no_payload_index(tmp_path: Path) -> None:
    provider = QdrantProvider(path=tmp_path)
    writer = DataManager({"qdrant": provider})
    writer.store_many([{"n": n, "vector": [1.0, float(n)]} for n in range(INDEX_FROM)], "qdrant")
    reader = DataManager({"qdrant": provider}, read_only=True)
    before = provider._engine.schema()
    assert reader.query("qdrant", {"n": 7}).keys
    assert reader.search("qdrant", [1.0, 0.0], filters={"n": 7}).keys
    assert provider._engine.schema() == before
    writer.query("qdrant", {"n": 7}).keys  # noqa: B018
    schema, earlier = provider._engine.schema(), before
    assert schema is not None
    assert earlier is not None
    assert len(schema.indexes) > len(earlier.indexes)
    writer.close()


def test_a_provider_of_three_methods_is_protected_too() -> None:
    provider = MyCustomProvider({})
    dm = DataManager({"custom": provider})
    dm.store(1, "custom", "k")
    dm.register_provider("custom", provider, read_only=True)
    assert dm.retrieve_by_key("custom", "k") == 1
    with pytest.raises(StoragePermissionError):
        dm.store(2, "custom", "k")
    with pytest.raises(StoragePermissionError):
        dm.providers["custom"].delete("k")
    assert provider.retrieve("k") == 1


def test_a_provider_that_is_made_when_needed_is_not_made_to_be_refused() -> None:
    made = []

    def factory() -> BaseStorageProvider:
        made.append(1)
        return MyCustomProvider({})

    dm = DataManager()
    dm.register_provider("backend", factory, read_only=True)
    refused(WRITES["store"], dm)
    refused(WRITES["delete"], dm)
    assert "read-only" in repr(dm)
    assert made == []
    with pytest.raises(StoragePermissionError):
        dm.providers["backend"].store("k", 1, {})


def test_registering_anew_lifts_it(dm: DataManager, backend: Any) -> None:
    dm.register_provider("backend", backend)
    dm.store(DATA, "backend", "k")
    assert dm.retrieve(REF) == DATA


def test_a_read_only_manager_takes_nothing_else(tmp_path: Path) -> None:
    dm = DataManager({"a": FileSystemProvider(tmp_path / "a")}, read_only=True)
    dm.register_provider("b", lambda: FileSystemProvider(tmp_path / "b"), read_only=False)
    for call in (
        lambda: dm.store(1, "a"),
        lambda: dm.store(1, "b"),
        dm.purge_expired,
        lambda: dm.providers["b"].store("k", 1, {}),
    ):
        with pytest.raises(StoragePermissionError, match="read-only"):
            call()
    assert repr(dm).startswith("DataManager, read-only: 2 providers")
    assert "DataManager, read-only" in dm._repr_html_()
    assert list(tmp_path.iterdir()) == []


def test_purging_all_leaves_read_only_providers_out(tmp_path: Path) -> None:
    dm = DataManager({"a": FileSystemProvider(tmp_path / "a")})
    dm.register_provider("b", FileSystemProvider(tmp_path / "b"), read_only=True)
    assert dm.purge_expired() == {"a": 0}


def test_the_repr_says_read_only(dm: DataManager) -> None:
    assert [("read-only" in line) for line in repr(dm).splitlines()[2:]] == [False, True]
    dm.health()
    assert "read-only" in repr(dm)
    assert "read-only" in dm._repr_html_()


def test_views_of_functions_are_protected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRAVAL_STORAGE_PATH", str(tmp_path / "default"))
    reset_data_manager()
    get_data_manager().register_provider("backend", FileSystemProvider(tmp_path / "b"), read_only=True)

    @storage_enabled(providers=["backend"])
    def function(storage: DataManager) -> None:
        for call in (WRITES["store"], WRITES["store_many"], WRITES["delete"], WRITES["purge_expired"]):
            refused(call, storage)
        assert "read-only" in repr(storage)
        storage.register_provider("backend", FileSystemProvider(tmp_path / "c"), read_only=True)
        refused(WRITES["store"], storage)

    function()
    reset_data_manager()
    assert list(tmp_path.iterdir()) == []


def test_a_result_of_a_read_only_manager_loads_later(tmp_path: Path) -> None:
    provider = FileSystemProvider(tmp_path)
    DataManager({"a": provider}).store_many([{"n": n} for n in range(5)], "a")
    found = DataManager({"a": provider}, read_only=True).query("a", order_by="n")
    assert isinstance(found, QueryResult)
    assert found.to_dask()["n"].compute().tolist() == [0, 1, 2, 3, 4]


def test_looking_around_says_read_only_and_offers_no_delete(tmp_path: Path) -> None:
    provider = FileSystemProvider(tmp_path)
    provider.store("k", 1, {})
    dm = DataManager({"files": provider}, read_only=True)
    assert dm.look("files", Look()).read_only == "the provider is registered read-only"
    assert DataManager({"files": provider}).look("files", Look()).read_only == ""
    for browser in (dm.browse("files", static=True), browse_provider(dm.providers["files"], static=True)):
        assert browser.state.read_only == "the provider is registered read-only"
    assert provider.retrieve("k") == 1


@pytest.mark.parametrize("first", ["view", "provider"])
def test_other_buckets_and_collections_are_protected_whoever_asks_first(
    first: str, s3_endpoint: str, tmp_path: Path
) -> None:
    s3 = S3Provider("own-bucket", *S3_CREDENTIALS, endpoint_url=s3_endpoint, auto_create=True)
    other = S3Provider("other-bucket", *S3_CREDENTIALS, endpoint_url=s3_endpoint, auto_create=True)
    other.store("k", 1, {})
    qdrant = QdrantProvider(path=tmp_path)
    qdrant.in_collection("c").store("k", DATA, {})
    for provider, name in ((s3, "s3://other-bucket"), (qdrant, "c")):
        view = reads_only(provider, "p")
        for each in (view, provider) if first == "view" else (provider, view):
            if isinstance(each, QdrantProvider):
                each._other(name)
            else:
                each.in_collection(name)
        bound = (view._other(name), provider._other(name)) if isinstance(view, QdrantProvider) else ()
        for reader, writer in (
            [bound] if bound else [(view.in_collection(name), provider.in_collection(name))]
        ):
            with pytest.raises(StoragePermissionError, match="read-only"):
                reader.store("k", DATA, {})
            writer.store("k", DATA, {})
        provider.close()
    other.delete("k")


# -- copies of providers, on which collections and views stand


@pytest.mark.parametrize(
    "given",
    [
        lambda: RedisProvider(client=redis.Redis(port=1)),
        lambda: FsspecProvider("memory://x", filesystem=fsspec.filesystem("memory")),
    ],
)
def test_a_provider_made_with_a_client_has_collections(given: Callable[[], Any]) -> None:
    provider = given()
    assert provider.in_collection("c").collection == "c"
    assert provider.collection == ""
    assert reads_only(provider, "x").in_collection("c").collection == "c"


def test_a_collection_shares_the_connection(tmp_path: Path) -> None:
    files, memory = FileSystemProvider(tmp_path), FsspecProvider("memory://x")
    assert files.in_collection("c")._index is files._index
    assert memory.in_collection("c")._store is memory._store
