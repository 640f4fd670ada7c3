"""What cannot work fails soon, as one of our errors, with what was tried and what to do; never with a secret.

Servers that are not there, that refuse the password, or that do not know the database or bucket.
"""

from __future__ import annotations

import json
import logging
import pickle
import socket
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from time import monotonic
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from praval_storage import (
    BaseStorageProvider,
    DataManager,
    DataReference,
    StorageConnectionError,
    StorageError,
    StoragePermissionError,
)
from praval_storage.providers import PostgreSQLProvider, QdrantProvider, RedisProvider, S3Provider

SECRET = "pl4nted-s3cret"
TIMEOUT = 1.0


def s3(endpoint: str, bucket: str = "bucket") -> S3Provider:
    return S3Provider(
        bucket,
        "AKIAIDENTITY",
        f"key-{SECRET}",
        "us-east-1",
        aws_session_token=f"token-{SECRET}",
        endpoint_url=endpoint,
        timeout=TIMEOUT,
    )


def postgresql(host: str, port: int) -> PostgreSQLProvider:
    return PostgreSQLProvider(host=host, port=port, password=SECRET, user="somebody", timeout=TIMEOUT)


Make = Callable[[str, int], BaseStorageProvider]

BY_ADDRESS: dict[str, Make] = {
    "postgresql": postgresql,
    "postgresql-dsn": lambda host, port: PostgreSQLProvider(
        dsn=f"postgresql://somebody:{SECRET}@{host}:{port}/shop", timeout=TIMEOUT
    ),
    "redis": lambda host, port: RedisProvider(host=host, port=port, password=SECRET, timeout=TIMEOUT),
    "redis-url": lambda host, port: RedisProvider(url=f"redis://:{SECRET}@{host}:{port}/0", timeout=TIMEOUT),
    "s3": lambda host, port: s3(f"http://{host}:{port}"),
    "qdrant": lambda host, port: QdrantProvider(f"https://{host}:{port}", api_key=SECRET, timeout=TIMEOUT),
}

CALLS: dict[str, Callable[[DataManager], object]] = {
    "store": lambda dm: dm.store({"n": 1, "vector": [1.0]}, "backend", "k"),
    "retrieve": lambda dm: dm.retrieve_by_key("backend", "k"),
    "query": lambda dm: dm.query("backend", {"n": 1}),
    "list": lambda dm: dm.list("backend"),
    "delete": lambda dm: dm.delete_by_key("backend", "k"),
}


def failure(provider: BaseStorageProvider, call: Callable[[DataManager], object]) -> StorageError:
    with DataManager({"backend": provider}) as dm, pytest.raises(StorageError) as caught:
        call(dm)
    return caught.value


def says(error: StorageError, *words: str) -> bool:
    return all(word in str(error) for word in words)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("make", BY_ADDRESS.values(), ids=BY_ADDRESS)
def test_nobody_listens(make: Make, call: Callable[[DataManager], object], free_tcp_port: int) -> None:
    error = failure(make("127.0.0.1", free_tcp_port), call)
    assert isinstance(error, StorageConnectionError), repr(error)
    assert isinstance(error, ConnectionError)
    assert says(error, "127.0.0.1", str(free_tcp_port)), str(error)
    assert error.hint


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that drops whoever knocks: its queue is full, and nobody is called in."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


@pytest.mark.parametrize("make", BY_ADDRESS.values(), ids=BY_ADDRESS)
def test_nobody_answers(make: Make, silent_port: int) -> None:
    started = monotonic()
    error = failure(make("127.0.0.1", silent_port), CALLS["query"])
    waited = monotonic() - started
    assert isinstance(error, StorageConnectionError), repr(error)
    assert says(error, "127.0.0.1", str(silent_port)), str(error)
    # libpq counts in whole seconds, two at least, and botocore pauses between two attempts.
    assert waited < 3 * TIMEOUT + 5


@pytest.mark.parametrize("make", BY_ADDRESS.values(), ids=BY_ADDRESS)
def test_the_host_has_no_address(make: Make) -> None:
    error = failure(make("no-such-host.invalid", 9), CALLS["query"])
    assert isinstance(error, StorageConnectionError), repr(error)
    assert says(error, "no-such-host.invalid"), str(error)


def test_postgresql_refuses_a_password_and_a_database(postgres_dsn: str) -> None:
    with psycopg.connect(postgres_dsn, autocommit=True) as admin:
        port, password = admin.info.port, admin.info.password
        wrong = {
            "a role": make_conninfo(postgres_dsn, user="nobody_here", password=SECRET),
            "a database": make_conninfo(postgres_dsn, dbname="nothing_here"),
        }
        if password:
            wrong["a password"] = make_conninfo(postgres_dsn, password=SECRET)
    for what, dsn in wrong.items():
        error = failure(PostgreSQLProvider(dsn=dsn, timeout=TIMEOUT), CALLS["query"])
        assert isinstance(error, StorageConnectionError | StoragePermissionError), (what, repr(error))
        assert says(error, str(port)), str(error)
        assert error.hint, what


def test_redis_refuses_a_password_and_a_database(redis_url: str) -> None:
    without_path = redis_url.rpartition("/")[0]
    error = failure(RedisProvider(url=f"{without_path}/99", timeout=TIMEOUT), CALLS["query"])
    assert says(error, "99"), str(error)
    assert error.hint
    scheme, _, address = without_path.partition("://")
    wrong = f"{scheme}://somebody:{SECRET}@{address.rpartition('@')[2]}/0"
    error = failure(RedisProvider(url=wrong, timeout=TIMEOUT), CALLS["query"])
    assert isinstance(error, StorageConnectionError | StoragePermissionError), repr(error)
    assert error.hint


def test_s3_names_the_bucket_that_is_missing(s3_endpoint: str) -> None:
    for name, call in CALLS.items():
        error = failure(s3(s3_endpoint, "no-such-bucket-here"), call)
        assert says(error, "no-such-bucket-here", "auto_create"), (name, str(error))


# -- secrets


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
@pytest.mark.parametrize("make", BY_ADDRESS.values(), ids=BY_ADDRESS)
def test_no_secret_is_ever_shown(
    make: Make, host: str, free_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, "praval_storage")
    provider = make(host, free_tcp_port)
    shown = [repr(provider), str(provider), repr(getattr(provider, "settings", "")), repr(vars(provider))]
    dm = DataManager({"backend": provider})
    for call in CALLS.values():
        with pytest.raises(StorageError) as caught:
            call(dm)
        shown += everything_about(caught.value)
    shown += [repr(dm), repr(dm.providers), repr(dm.health()), repr(dm.statistics())]
    batch = dm.store_many([1, 2], "backend")
    shown += [repr(batch), *map(repr, batch)]
    shown += [f"{record.getMessage()} {record.args!r} {record.exc_text}" for record in caplog.records]
    assert [text for text in shown if SECRET in text] == []
    dm.close()


def everything_about(error: StorageError) -> list[str]:
    return [
        str(error),
        repr(error),
        str(vars(error)),
        "".join(traceback.format_exception(error)),
    ]


def test_an_exported_reference_carries_no_credential(redis_url: str, postgres_dsn: str) -> None:
    dm = DataManager(
        {
            "redis": RedisProvider(url=redis_url, prefix="secrets:"),
            "postgresql": PostgreSQLProvider(dsn=make_conninfo(postgres_dsn, application_name=SECRET)),
        }
    )
    passwords = [SECRET, *filter(None, [urlsplit(redis_url).password])]
    for name in dm.providers:
        reference = dm.store({"n": 1}, name, "k", {"kind": "x"})
        exported = [
            reference.uri,
            repr(reference),
            json.dumps(reference.to_dict()),
            pickle.dumps(reference).decode("latin-1"),
            repr(DataReference.from_uri(reference.uri)),
        ]
        assert [text for text in exported for password in passwords if password in text] == []
        dm.delete(reference)
    dm.close()
