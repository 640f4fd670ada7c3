"""Whatever goes wrong with a backend is a ``StorageError``, so that ``except StorageError`` can fall back.

Each trouble is made on a real backend: the error names
provider, operation, key, cause and cure, the old record is as it was, and the fallback to files works.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
import redis
from backends import S3_CREDENTIALS
from psycopg import sql
from psycopg.conninfo import make_conninfo

from praval_storage import (
    DataManager,
    DataReference,
    SerializationError,
    StorageConnectionError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
    UnsupportedOperationError,
)
from praval_storage.base import BaseStorageProvider
from praval_storage.providers import (
    FileSystemProvider,
    PostgreSQLProvider,
    QdrantProvider,
    RedisProvider,
    S3Provider,
)
from praval_storage.sandbox import Sandbox

OLD = {"n": "old", "vector": [1.0, 0.0]}
NEW = {"n": "new", "vector": [0.0, 1.0]}
KEY = "the/key"
METADATA = {"kind": "x"}


class Case(NamedTuple):
    """One trouble.

    Attributes:
        provider: The provider, when all is well.
        trouble: Makes it; the provider to write with is what it gives, if that is another.
        error: Class of the failure.
        words: What the message says of cause and cure.
        data: What is stored when it fails.
        reads: Whether the old record can be read meanwhile.
        is_certain: Whether a write that failed has surely not been done.
    """

    provider: BaseStorageProvider
    trouble: Callable[[], Any]
    error: type[StorageError]
    words: tuple[str, ...]
    data: Any = NEW
    reads: bool = True
    is_certain: bool = True


@contextmanager
def nothing() -> Iterator[None]:
    yield


class Grounds:
    """Servers of this module alone: they are filled up, stopped and talked to as other users."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack
        self.sandbox = Sandbox(services=["postgresql", "redis", "s3"])
        stack.enter_context(self.sandbox)
        self.raw = stack.enter_context(redis.Redis.from_url(self.sandbox.redis.url))

    def disk(self, name: str, size: str = "512k") -> Path:
        """A small disk of its own."""
        path = self.folder / name
        path.mkdir()
        try:
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"needs the right to mount: {error}")
        self.stack.callback(subprocess.run, ["umount", "-l", path], check=True)
        return path

    def postgresql(self, **options: Any) -> PostgreSQLProvider:
        dsn = make_conninfo(self.sandbox.postgresql.dsn, **options)
        provider = PostgreSQLProvider(dsn=dsn, schema="fallback", timeout=2)
        self.stack.callback(provider.close)
        return provider

    def redis(self, **options: Any) -> RedisProvider:
        place = urlsplit(self.sandbox.redis.url)
        given = {"password": place.password, **options}
        return RedisProvider(place.hostname or "", place.port or 0, timeout=2, **given)

    def s3(self, bucket: str = "fallback", **options: Any) -> S3Provider:
        keys = (self.sandbox.s3.access_key_id, self.sandbox.s3.secret_access_key, "us-east-1")
        provider = S3Provider(bucket, *keys, endpoint_url=self.sandbox.s3.endpoint_url, timeout=2, **options)
        self.stack.callback(provider.close)
        return provider

    @contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        server = getattr(self.sandbox, name)
        server.stop()
        try:
            yield
        finally:
            server.start()

    @contextmanager
    def configured(self, **settings: str) -> Iterator[None]:
        """Redis with other settings."""
        names = {name.replace("_", "-"): value for name, value in settings.items()}
        before = {name: self.raw.config_get(name)[name] for name in names}
        for name, value in names.items():
            self.raw.config_set(name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                self.raw.config_set(name, value)

    @contextmanager
    def executed(self, statement: str, undo: str) -> Iterator[None]:
        """PostgreSQL after a statement of the administrator."""
        with psycopg.connect(self.sandbox.postgresql.dsn, autocommit=True) as admin:
            admin.execute(sql.SQL(statement))  # type: ignore[arg-type]
            try:
                yield
            finally:
                admin.execute(sql.SQL(undo))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grounds]:
    with ExitStack() as stack:
        yield Grounds(tmp_path_factory.mktemp("grounds"), stack)


def full_disk(grounds: Grounds) -> Case:
    provider = FileSystemProvider(grounds.disk("full"))
    words = ("No space left", "Free some space")
    return Case(provider, nothing, StorageError, words, data=os.urandom(600_000))


def read_only_disk(grounds: Grounds) -> Case:
    disk = grounds.disk("read-only")
    provider = FileSystemProvider(disk)

    @contextmanager
    def trouble() -> Iterator[None]:
        provider.close()  # it holds its index open for writing
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True, capture_output=True)
        yield

    return Case(provider, trouble, StorageError, ("ead-only", "mounted read-only"))


def a_folder_in_the_way(grounds: Grounds) -> Case:
    path = grounds.folder / "gone"
    provider = FileSystemProvider(path, auto_create=False)
    path.mkdir()

    @contextmanager
    def trouble() -> Iterator[None]:
        path.rename(grounds.folder / "elsewhere")
        yield
        (grounds.folder / "elsewhere").rename(path)

    return Case(provider, trouble, StorageError, ("gone", "auto_create"), reads=False)


def postgresql_stopped(grounds: Grounds) -> Case:
    return Case(
        grounds.postgresql(),
        lambda: grounds.stopped("postgresql"),
        StorageConnectionError,
        ("Could not connect", "running"),
        reads=False,
    )


def postgresql_revoked(grounds: Grounds) -> Case:
    @contextmanager
    def trouble() -> Iterator[PostgreSQLProvider]:
        with grounds.executed(
            "CREATE ROLE reader LOGIN PASSWORD 'reader'; GRANT USAGE ON SCHEMA fallback TO reader;"
            "GRANT SELECT ON ALL TABLES IN SCHEMA fallback TO reader",
            "DROP OWNED BY reader; DROP ROLE reader",
        ):
            yield grounds.postgresql(user="reader", password="reader")

    return Case(grounds.postgresql(), trouble, StoragePermissionError, ("permission denied", "GRANT"))


def postgresql_read_only(grounds: Grounds) -> Case:
    @contextmanager
    def trouble() -> Iterator[PostgreSQLProvider]:
        with grounds.executed(
            "ALTER ROLE CURRENT_USER SET default_transaction_read_only = on",
            "SET default_transaction_read_only = off; ALTER ROLE CURRENT_USER RESET ALL",
        ):
            yield grounds.postgresql()  # which connects anew

    return Case(grounds.postgresql(), trouble, StoragePermissionError, ("read-only", "primary"))


def postgresql_too_large(grounds: Grounds) -> Case:
    def trouble() -> Any:
        return grounds.executed(
            "CREATE INDEX narrow ON fallback.praval_storage ((data->>'n'))", "DROP INDEX fallback.narrow"
        )

    data = {"n": os.urandom(8_000).hex()}
    return Case(grounds.postgresql(), trouble, StorageError, ("maximum size", "too large"), data=data)


def postgresql_without_room(grounds: Grounds) -> Case:
    """As many connections as the server lets this role have are taken."""

    @contextmanager
    def trouble() -> Iterator[PostgreSQLProvider]:
        with grounds.executed(
            "CREATE ROLE crowd LOGIN PASSWORD 'crowd' CONNECTION LIMIT 1;"
            "GRANT ALL ON SCHEMA fallback TO crowd;"
            "GRANT ALL ON ALL TABLES IN SCHEMA fallback TO crowd",
            "DROP OWNED BY crowd; DROP ROLE crowd",
        ):
            dsn = make_conninfo(grounds.sandbox.postgresql.dsn, user="crowd", password="crowd")
            with psycopg.connect(dsn):
                yield grounds.postgresql(user="crowd", password="crowd")

    return Case(
        grounds.postgresql(), trouble, StorageConnectionError, ("too many", "close some"), reads=False
    )


def postgresql_locked(grounds: Grounds) -> Case:
    @contextmanager
    def trouble() -> Iterator[PostgreSQLProvider]:
        with psycopg.connect(grounds.sandbox.postgresql.dsn) as other:
            other.execute("LOCK TABLE fallback.praval_storage IN EXCLUSIVE MODE")
            yield grounds.postgresql(options="-c lock_timeout=100")

    return Case(grounds.postgresql(), trouble, StorageTimeoutError, ("lock timeout", "again"))


def redis_full(grounds: Grounds) -> Case:
    return Case(
        grounds.redis(),
        lambda: grounds.configured(maxmemory="1000"),
        StorageError,
        ("maxmemory", "raise maxmemory"),
    )


def redis_stopped(grounds: Grounds) -> Case:
    return Case(
        grounds.redis(),
        lambda: grounds.stopped("redis"),
        StorageConnectionError,
        ("Could not connect", "running"),
        reads=False,
    )


def redis_paused(grounds: Grounds) -> Case:
    @contextmanager
    def trouble() -> Iterator[None]:
        grounds.sandbox.redis.pause()
        yield
        grounds.sandbox.redis.resume()

    return Case(
        grounds.redis(),
        trouble,
        StorageTimeoutError,
        ("did not answer", "timeout="),
        reads=False,
        is_certain=False,
    )


def redis_replica(grounds: Grounds) -> Case:
    @contextmanager
    def trouble() -> Iterator[None]:
        grounds.raw.replicaof("127.0.0.1", 9)
        yield
        grounds.raw.replicaof("NO", "ONE")

    return Case(grounds.redis(), trouble, StoragePermissionError, ("READONLY", "primary"))


def redis_revoked(grounds: Grounds) -> Case:
    @contextmanager
    def trouble() -> Iterator[RedisProvider]:
        grounds.raw.acl_setuser(
            "reader", enabled=True, passwords=["+reader"], categories=["+@read", "+@connection"], keys=["*"]
        )
        yield grounds.redis(username="reader", password="reader")
        grounds.raw.acl_deluser("reader")

    return Case(grounds.redis(), trouble, StoragePermissionError, ("NOPERM", "ACL"))


def redis_too_large(grounds: Grounds) -> Case:
    return Case(
        grounds.redis(),
        lambda: grounds.configured(proto_max_bulk_len=str(1 << 20)),
        StorageError,
        ("was lost", "proto-max-bulk-len"),
        data=os.urandom(2 << 20),
    )


def s3_stopped(grounds: Grounds) -> Case:
    return Case(
        grounds.s3(auto_create=True),
        lambda: grounds.stopped("s3"),
        StorageConnectionError,
        ("127.0.0.1", "running"),
        reads=False,
    )


def s3_bucket_gone(grounds: Grounds) -> Case:
    @contextmanager
    def trouble() -> Iterator[S3Provider]:
        yield grounds.s3("no-such-bucket")

    return Case(
        grounds.s3(auto_create=True), trouble, StorageError, ("no-such-bucket", "auto_create"), reads=False
    )


def s3_without_credentials(grounds: Grounds) -> Case:
    @contextmanager
    def trouble() -> Iterator[S3Provider]:
        given = S3Provider("fallback", *S3_CREDENTIALS, endpoint_url="http://127.0.0.1:9", timeout=1)
        yield given

    return Case(
        grounds.s3(auto_create=True), trouble, StorageConnectionError, ("127.0.0.1:9", "right"), reads=False
    )


def qdrant_dimension(grounds: Grounds) -> Case:
    provider = QdrantProvider(path=grounds.folder / "dimension")
    grounds.stack.callback(provider.close)
    data = {"vector": [1.0, 2.0, 3.0]}
    return Case(provider, nothing, StorageError, ("2 dimensions, got 3", "embedding model"), data=data)


def qdrant_too_large(grounds: Grounds) -> Case:
    provider = QdrantProvider(path=grounds.folder / "large")
    grounds.stack.callback(provider.close)
    data = bytes(33 << 20)
    return Case(
        provider,
        nothing,
        StorageError,
        ("34,603,008 bytes", "Keep large objects on filesystem or s3"),
        data=data,
    )


def qdrant_in_use(grounds: Grounds) -> Case:
    """The server that is named is not there."""
    provider = QdrantProvider(path=grounds.folder / "elsewhere-qdrant")
    grounds.stack.callback(provider.close)

    @contextmanager
    def trouble() -> Iterator[QdrantProvider]:
        yield QdrantProvider("http://127.0.0.1:9", timeout=1)

    return Case(provider, trouble, StorageConnectionError, ("127.0.0.1:9", "QDRANT_URL"), reads=False)


def qdrant_full_disk(grounds: Grounds) -> Case:
    disk = grounds.disk("qdrant-full", "256m")
    provider = QdrantProvider(path=disk)
    grounds.stack.callback(provider.close)

    @contextmanager
    def trouble() -> Iterator[None]:
        (disk / "ballast").write_bytes(bytes(200 << 20))
        yield
        (disk / "ballast").unlink()

    return Case(provider, trouble, StorageError, ("nearly full", "Free some space"))


def qdrant_read_only(grounds: Grounds) -> Case:
    disk = grounds.disk("qdrant-read-only", "1g")  # of which it takes what is written
    provider = QdrantProvider(path=disk)
    grounds.stack.callback(provider.close)

    @contextmanager
    def trouble() -> Iterator[None]:
        provider.close()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True, capture_output=True)
        yield
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True, capture_output=True)

    return Case(provider, trouble, StorageError, ("Read-only file system", "QDRANT_PATH"), reads=False)


CASES: list[Callable[[Grounds], Case]] = [
    full_disk,
    read_only_disk,
    a_folder_in_the_way,
    postgresql_stopped,
    postgresql_revoked,
    postgresql_read_only,
    postgresql_too_large,
    postgresql_without_room,
    postgresql_locked,
    redis_full,
    redis_stopped,
    redis_paused,
    redis_replica,
    redis_revoked,
    redis_too_large,
    s3_stopped,
    s3_bucket_gone,
    s3_without_credentials,
    qdrant_dimension,
    qdrant_too_large,
    qdrant_in_use,
    qdrant_full_disk,
    qdrant_read_only,
]


@pytest.mark.parametrize("made", CASES, ids=lambda made: made.__name__)
def test_the_fallback_of_the_guide_works(
    made: Callable[[Grounds], Case], grounds: Grounds, tmp_path: Path
) -> None:
    case = made(grounds)
    key = f"{KEY}/{uuid4().hex}"
    dm = DataManager({"backend": case.provider, "fallback": FileSystemProvider(tmp_path / "fallback")})
    old = dm.store(OLD, "backend", key, METADATA)
    failures: list[StorageError] = []
    with case.trouble() as other:
        if other is not None:
            dm = DataManager({"backend": other, "fallback": FileSystemProvider(tmp_path / "fallback")})
        try:
            ref = dm.store(case.data, "backend", key)
        except StorageError as error:
            failures.append(error)
            ref = dm.store(case.data, "fallback", key)
        if case.reads:
            assert dm.retrieve(DataReference("backend", key)) == OLD
    [error] = failures
    check_message(error, case, key)
    assert ref.storage_type == "fallback"
    assert dm.retrieve(ref) == case.data
    with DataManager({"backend": case.provider}) as dm:
        if case.is_certain:
            assert dm.retrieve(old) == OLD
            assert [each.metadata for each in dm.list("backend", key)] == [METADATA]


def check_message(error: StorageError, case: Case, key: str) -> None:
    text = str(error)
    assert isinstance(error, case.error), repr(error)
    assert (error.provider, error.operation, error.key) == ("backend", "store", key)
    assert "backend" in text
    assert "store" in text
    assert key in text
    assert error.hint, text
    assert [word for word in case.words if word not in text] == [], text


BACKENDS = ["filesystem", "s3", "postgresql", "redis", "qdrant"]


@pytest.mark.parametrize(
    "data", [lambda: None, object(), {"a": {1, object()}}], ids=["function", "object", "nested"]
)
@pytest.mark.parametrize("name", BACKENDS)
def test_what_cannot_be_stored_is_said_before_anything_is_sent(
    name: str, data: Any, grounds: Grounds
) -> None:
    places: dict[str, Callable[[], BaseStorageProvider]] = {
        "filesystem": lambda: FileSystemProvider(grounds.folder / "types"),
        "s3": lambda: S3Provider("types", *S3_CREDENTIALS, endpoint_url="http://127.0.0.1:9"),
        "postgresql": lambda: PostgreSQLProvider("127.0.0.1", 9),
        "redis": lambda: RedisProvider("127.0.0.1", 9),
        "qdrant": lambda: QdrantProvider("http://127.0.0.1:9"),
    }
    with DataManager({"backend": places[name]()}) as dm, pytest.raises(SerializationError) as caught:
        dm.store(data, "backend", KEY)
    assert caught.value.hint
    assert "the/key" in str(caught.value)


def test_a_number_that_is_none_is_said(grounds: Grounds) -> None:
    provider = grounds.redis()
    provider.store("text", "no number", {})
    with pytest.raises(StorageError, match="text") as caught:
        provider.increment("text")
    assert "no int or float" in str(caught.value)
    assert provider.retrieve("text") == "no number"


def test_a_table_of_others_takes_no_records(grounds: Grounds) -> None:
    provider = grounds.postgresql()
    provider.store("k", 1, {})
    theirs = grounds.executed(
        "CREATE TABLE fallback.theirs (id int PRIMARY KEY)", "DROP TABLE fallback.theirs"
    )
    with theirs, pytest.raises(UnsupportedOperationError) as caught:
        provider.in_collection("theirs").store("k", NEW, {})
    assert caught.value.hint


def test_much_metadata_is_no_trouble_for_s3(grounds: Grounds) -> None:
    provider = grounds.s3(auto_create=True)
    metadata = {"text": "ü" * 100_000}
    with DataManager({"s3": provider}) as dm:
        dm.store(NEW, "s3", "much", metadata)
        assert dm.list("s3", "much")[0].metadata == metadata
