"""Transactions over real backends: after a failure at any point everything is what it was."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import numpy as np
import pandas as pd
import psycopg
import pytest
import redis
import s3fs
from backends import BACKENDS, make
from kept import state

from praval_storage import (
    DataManager,
    KeyExistsError,
    StorageConnectionError,
    Transaction,
    TransactionError,
    UnsupportedOperationError,
)
from praval_storage.providers import (
    FileSystemProvider,
    FsspecProvider,
    PostgreSQLProvider,
    RedisProvider,
    S3Provider,
)
from praval_storage.providers.qdrant.engine import DEFAULT_VECTOR, Point
from praval_storage.sandbox import Sandbox
from praval_storage.sandbox.service import Service

FIVE = ("filesystem", "s3", "postgresql", "redis", "qdrant-embedded")


class MyError(Exception):
    """What goes wrong in the middle."""


@pytest.fixture
def dm(request: pytest.FixtureRequest) -> Iterator[DataManager]:
    """A manager with the five backends, and records in each."""
    with DataManager({name: make(name, request) for name in FIVE}) as manager:
        fill(manager)
        yield manager


def frame() -> pd.DataFrame:
    return pd.DataFrame({"n": [1, 2], "when": pd.to_datetime(["2026-01-01", None], utc=True)})


WHEN = datetime(2026, 1, 2, tzinfo=UTC)
OLD: dict[str, Any] = {
    "plain": {"n": 1},
    "typed": {"when": WHEN, "price": Decimal("1.10"), "pair": (1, 2), "raw": b"\0\1", "big": 2**70},
    "table.parquet": frame(),
    "array": np.arange(6.0).reshape(2, 3),
    "notes.txt": "Grüße",
    "bytes": bytes(range(256)),
    "doomed": [1, {"a": None}],
    "short": {"lives": "an hour"},
    "near": {"vector": [0.25, -3.0, 1e-3], "label": "x"},
}
"""What is there before, on every backend."""


def fill(dm: DataManager) -> None:
    for name in dm.providers:
        for key, value in OLD.items():
            ttl = 3_600 if key == "short" else None
            dm.store(value, name, key, {"tags": ["old", key], "at": WHEN}, ttl=ttl)


Write = Callable[[Transaction, str, str], object]
WRITES: Sequence[Write] = [
    lambda tx, one, other: tx.store({"n": 2}, one, "plain", {"new": True}),
    lambda tx, one, other: tx.store("new", one, "new/one"),
    lambda tx, one, other: tx.store([1], one, "table.parquet", ttl=60),
    lambda tx, one, other: tx.delete_by_key(one, "doomed"),
    lambda tx, one, other: tx.delete_by_key(one, "not there"),
    lambda tx, one, other: tx.store_many({"typed": 1, "many/1": 2, "array": np.arange(3)}, one, ttl=60),
    lambda tx, one, other: tx.copy(f"praval://{one}/bytes", other, key="copied"),
    lambda tx, one, other: tx.copy(f"praval://{one}/notes.txt", other, key="plain"),
    lambda tx, one, other: tx.move(f"praval://{one}/near", other, key="moved"),
    lambda tx, one, other: tx.store({"vector": [1.0, 2.0, 3.0]}, other, "near"),
    lambda tx, one, other: tx.store("again", one, "new/one", {"second": True}),
    lambda tx, one, other: tx.delete_many([f"praval://{one}/{key}" for key in ("typed", "new/one", "no")]),
    lambda tx, one, other: tx.store(frame(), one, "short", ttl=10),
]


def fail_after(tx: Transaction, count: int) -> None:
    """The first ``count`` writes, each to the next provider, and then it fails."""
    names = cycle(FIVE)
    with tx:
        for write in islice(cycle(WRITES), count):
            one = next(names)
            write(tx, one, next(names))
        raise MyError


def test_a_failure_after_each_of_the_first_writes_leaves_everything_as_it_was(dm: DataManager) -> None:
    before = state(dm)
    for count in range(1, 2 * len(WRITES) + 1):
        tx = dm.transaction()
        with pytest.raises(MyError) as caught:
            fail_after(tx, count)
        assert state(dm) == before, count
        assert tx.report is not None
        assert {str(change.outcome) for change in tx.report.changes} == {"undone"}, count
        assert len(tx.report.changes) >= count - 2
        assert "rolled back" in caught.value.__notes__[0]


@pytest.mark.parametrize("name", BACKENDS)
def test_every_write_on_every_backend_is_undone(name: str, request: pytest.FixtureRequest) -> None:
    with DataManager({"one": make(name, request), "other": make("filesystem", request)}) as dm:
        fill(dm)
        before, native_before = state(dm), native(dm.providers["one"])

        def work(writes: Sequence[Write]) -> None:
            with dm.transaction() as tx:
                for write in writes:
                    write(tx, "one", "other")
                    write(tx, "other", "one")
                raise MyError

        for writes in [*([write] for write in WRITES), WRITES]:
            with pytest.raises(MyError):
                work(writes)
            assert state(dm) == before
            assert native(dm.providers["one"]) == native_before


def native(provider: Any) -> dict[Any, Any]:
    """What the backend itself has, where another client can look, without the time of the last write."""
    if isinstance(provider, PostgreSQLProvider):
        with psycopg.connect(provider.settings.dsn or "") as connection:
            table = psycopg.sql.Identifier(provider.settings.schema or "", provider.settings.table)
            rows = connection.execute(
                psycopg.sql.SQL("SELECT key, t::text FROM {} t").format(table)
            ).fetchall()
            return dict(rows)
    if isinstance(provider, RedisProvider):
        with redis.Redis.from_url(provider.settings.url or "") as client:
            names = list(client.scan_iter(f"{provider.collection}*"))
            return {name: re.sub(rb'"updated_at":"[^"]*"', b"", client.get(name), count=1) for name in names}
    if isinstance(provider, S3Provider | FsspecProvider):
        store = provider._store
        return {entry.name: entry.size for entry in store.entries("")}
    return {}


# -- what others have written


def overwrite_and_delete(dm: DataManager, keys: Sequence[str]) -> Transaction:
    """Half of the keys are overwritten, the others deleted, and it fails."""
    tx = dm.transaction()
    with tx:
        tx.store_many(dict.fromkeys(keys[::2], "ours"), "it")
        tx.delete_many([f"praval://it/{key}" for key in keys[1::2]])
        raise MyError
    return tx


@pytest.mark.parametrize("turn", [0, 1])
def test_redis_gets_back_what_others_keep_in_its_own_form(turn: int, request: pytest.FixtureRequest) -> None:
    provider = make("redis", request)
    assert isinstance(provider, RedisProvider)
    names = {key: provider._keyspace.name(key) for key in ("text", "hash", "list", "set", "zset", "stream")}
    with redis.Redis.from_url(provider.settings.url or "") as client, DataManager({"it": provider}) as dm:
        client.set(names["text"], b"\xff not ours", ex=500)
        client.hset(names["hash"], mapping={"a": "1"})
        client.rpush(names["list"], "a", "b")
        client.sadd(names["set"], "a")
        client.zadd(names["zset"], {"a": 1.5})
        client.xadd(names["stream"], {"a": "1"})
        client.xgroup_create(names["stream"], "readers")
        before = {key: (client.type(name), client.dump(name)) for key, name in names.items()}
        with pytest.raises(MyError) as caught:
            overwrite_and_delete(dm, [*names][turn:])
        assert {key: (client.type(name), client.dump(name)) for key, name in names.items()} == before
        assert 490 < client.ttl(names["text"]) <= 500
        assert client.ttl(names["list"]) == -1
        assert f"{6 - turn} writes: {6 - turn} undone" in caught.value.__notes__[0]


def test_a_value_that_others_put_there_since_is_left_to_them(request: pytest.FixtureRequest) -> None:
    provider = make("redis", request)
    assert isinstance(provider, RedisProvider)
    name = provider._keyspace.name("list")
    with redis.Redis.from_url(provider.settings.url or "") as client, DataManager({"it": provider}) as dm:
        client.rpush(name, "a")
        tx = dm.transaction()

        def work() -> None:
            with tx:
                with pytest.raises(KeyExistsError):
                    tx.store("ours", "it", "list", overwrite=False)
                tx.delete_by_key("it", "list")
                client.rpush(name, "theirs")
                raise MyError

        with pytest.raises(MyError):
            work()
        assert client.lrange(name, 0, -1) == [b"theirs"]
        assert tx.report is not None
        assert [str(change.outcome) for change in tx.report.changes] == ["left"]


@pytest.mark.parametrize("name", ["qdrant-embedded", "qdrant-server"])
def test_a_point_of_others_is_refused_because_it_could_not_be_put_back(
    name: str, request: pytest.FixtureRequest
) -> None:
    provider = make(name, request)
    with DataManager({"it": provider}) as dm:
        dm.store({"vector": [3.0, 4.0]}, "it", "ours")
        engine = provider._engine  # type: ignore[attr-defined]
        engine.upsert([engine.make(Point(7, [1.0, 0.0], DEFAULT_VECTOR, {"n": 0.1}))])
        before = dm.retrieve_by_key("it", "7")
        tx = dm.transaction()
        with pytest.raises(UnsupportedOperationError, match="outside of the transaction"), tx:
            tx.store("ours", "it", "7")
        assert dm.retrieve_by_key("it", "7") == before
        assert tx.report is not None
        assert tx.report.changes == ()


@pytest.mark.parametrize("name", ["filesystem", "s3", "fsspec-memory"])
def test_a_file_of_others_gets_its_bytes_back(name: str, request: pytest.FixtureRequest) -> None:
    provider: Any = make(name, request)
    body = b"a;b\r\n1;2\r\n"
    with DataManager({"it": provider}) as dm:
        dm.store("made by the first write", "it", "first")
        put_foreign(provider, "theirs.csv", body)
        tx = dm.transaction()

        def work() -> None:
            with tx:
                tx.store([1], "it", "theirs.csv")
                raise MyError

        with pytest.raises(MyError):
            work()
        assert tx.report is not None
        [change] = tx.report.undone
        assert change.reason == "the data; others had put it there, without times and metadata"
        with dm.open("praval://it/theirs.csv") as file:
            assert file.read() == body


def put_foreign(provider: Any, key: str, body: bytes) -> None:
    """Put a file there as somebody would who knows nothing of records."""
    if isinstance(provider, FileSystemProvider):
        Path(provider.settings.base_path, key).write_bytes(body)
    elif isinstance(provider, S3Provider):
        options = {"key": "testing", "secret": "testing", "endpoint_url": provider.settings.endpoint_url}
        s3fs.S3FileSystem(**options).pipe_file(f"{provider.settings.bucket}/{key}", body)
    else:
        with fsspec.open(f"{provider.settings.url}/{key}", "wb") as file:
            file.write(body)


# -- large bodies

MIB = 1 << 20
LARGE = {"filesystem": 200, "s3": 96}

FLAT = """
import os, sys
from hashlib import sha256
from pathlib import Path
from praval_storage import DataManager
from praval_storage.providers import FileSystemProvider, S3Provider

def peak():
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024

def digest():
    found = sha256()
    with dm.open("praval://it/big") as body:
        while piece := body.read(1 << 20):
            found.update(piece)
    return found.hexdigest()

kind, folder, bucket, endpoint, size = sys.argv[1:]
path = Path(folder, "source")
with open(path, "wb") as file:
    for _ in range(int(size)):
        file.write(os.urandom(1 << 20))
made = {
    "filesystem": lambda: FileSystemProvider(base_path=Path(folder, "files")),
    "s3": lambda: S3Provider(bucket, "testing", "testing", endpoint_url=endpoint, auto_create=True),
}
with DataManager({"it": made[kind]()}) as dm:
    dm.store(path, "it", "big", {"m": 1})
    os.unlink(path)
    before, floor = digest(), peak()
    for change in (lambda tx: tx.store(b"small", "it", "big"), lambda tx: tx.delete_by_key("it", "big")):
        try:
            with dm.transaction() as tx:
                change(tx)
                raise KeyError
        except KeyError:
            pass
        assert [str(each.outcome) for each in tx.report.changes] == ["undone"]
        assert digest() == before
    print(peak() - floor)
"""


@pytest.mark.parametrize("kind", ["filesystem", "s3"])
def test_memory_stays_flat_when_a_large_object_is_overwritten(
    kind: str, tmp_path: Path, s3_endpoint: str
) -> None:
    arguments = [kind, str(tmp_path), f"test-{uuid4().hex}", s3_endpoint, str(LARGE[kind])]
    done = subprocess.run(
        [sys.executable, "-c", FLAT, *arguments], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 64, "MiB"


# -- backends that stop


def stop_in_the_middle(dm: DataManager, server: Service, *, after: Sequence[str]) -> Transaction:
    """Everything is overwritten, one server stops, and the block fails."""
    tx = dm.transaction()
    with tx:
        for name in after:
            tx.store({"n": 2}, name, "plain")
            tx.store("new", name, "new")
            tx.delete_by_key(name, "doomed")
        server.stop()
        raise MyError
    return tx


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Servers that may be stopped."""
    with_servers = Sandbox().start()
    yield with_servers
    with_servers.close()


@pytest.mark.parametrize("stopped", ["s3", "redis"])
def test_what_a_stopped_server_keeps_is_reported_and_the_rest_undone(sandbox: Sandbox, stopped: str) -> None:
    dm = sandbox.manager
    names = ("filesystem", "s3", "postgresql", "redis", "qdrant")
    for name in names:
        dm.store_many({key: OLD[key] for key in ("plain", "doomed")}, name)
    before = {name: dm.retrieve_by_key(name, "plain") for name in names}
    server: Service = getattr(sandbox, stopped)
    with pytest.raises(TransactionError, match="3 of 15 writes could not be undone") as caught:
        stop_in_the_middle(dm, server, after=names)
    assert isinstance(caught.value.__cause__, MyError)
    report = caught.value.report
    assert {change.reference.storage_type for change in report.failed} == {stopped}
    assert all(isinstance(change.error, StorageConnectionError) for change in report.failed)
    assert len(report.undone) == 12
    server.start()
    for name in names:
        undone = name != stopped
        assert (dm.retrieve_by_key(name, "plain") == before[name]) is undone
        assert dm.exists_by_key(name, "new") is not undone
        assert dm.exists_by_key(name, "doomed") is undone
    dm.delete_many([f"praval://{name}/{key}" for name in names for key in ("plain", "new", "doomed")])


def test_a_database_that_stops_before_the_end_has_kept_nothing(sandbox: Sandbox) -> None:
    dm = sandbox.manager
    for name in ("postgresql", "redis", "filesystem"):
        dm.store({"n": 1}, name, "plain")
    tx = dm.transaction()

    def work() -> None:
        with tx:
            tx.store({"n": 2}, "redis", "plain")
            tx.store({"n": 2}, "postgresql", "plain")
            tx.store({"n": 2}, "filesystem", "plain")
            sandbox.postgresql.kill()

    with pytest.raises(StorageConnectionError) as caught:
        work()
    assert "3 writes: 3 undone" in caught.value.__notes__[0]
    sandbox.postgresql.start()
    for name in ("postgresql", "redis", "filesystem"):
        assert dm.retrieve_by_key(name, "plain") == {"n": 1}
