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
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from threading import Event, Thread
from time import monotonic
from typing import Protocol
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
DEFAULT = 5.0


def s3(endpoint: str, bucket: str = "bucket", **options: float) -> S3Provider:
    return S3Provider(
        bucket,
        "AKIAIDENTITY",
        f"key-{SECRET}",
        "us-east-1",
        aws_session_token=f"token-{SECRET}",
        endpoint_url=endpoint,
        **options,
    )


def postgresql(host: str, port: int, **options: float) -> PostgreSQLProvider:
    return PostgreSQLProvider(host=host, port=port, password=SECRET, user="somebody", **options)


class Make(Protocol):
    def __call__(self, host: str, port: int, **options: float) -> BaseStorageProvider: ...


BY_ADDRESS: dict[str, Make] = {
    "postgresql": postgresql,
    "postgresql-dsn": lambda host, port, **options: PostgreSQLProvider(
        dsn=f"postgresql://somebody:{SECRET}@{host}:{port}/shop", **options
    ),
    "redis": lambda host, port, **options: RedisProvider(host=host, port=port, password=SECRET, **options),
    "redis-url": lambda host, port, **options: RedisProvider(
        url=f"redis://:{SECRET}@{host}:{port}/0", **options
    ),
    "s3": lambda host, port, **options: s3(f"http://{host}:{port}", **options),
    "qdrant": lambda host, port, **options: QdrantProvider(
        f"https://{host}:{port}", api_key=SECRET, **options
    ),
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
    error = failure(make("127.0.0.1", free_tcp_port, timeout=TIMEOUT), call)
    assert isinstance(error, StorageConnectionError), repr(error)
    assert isinstance(error, ConnectionError)
    assert says(error, "127.0.0.1", str(free_tcp_port)), str(error)
    assert error.hint


@contextmanager
def full_queue() -> Iterator[int]:
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


@contextmanager
def mute() -> Iterator[int]:
    """A port that takes everybody in and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def drop_by_drop() -> Iterator[int]:
    """A port that never stops talking, slower than anybody's patience with a single read."""

    def serve() -> None:
        with ExitStack() as lines, suppress(OSError):
            server.settimeout(0.1)
            taken: list[socket.socket] = []
            while not done.is_set():
                with suppress(TimeoutError):
                    taken.append(lines.enter_context(server.accept()[0]))
                for line in taken:
                    with suppress(OSError):
                        line.send(b"+")

    done = Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        talking = Thread(target=serve)
        talking.start()
        yield server.getsockname()[1]
        done.set()
        talking.join()


Silence = Callable[[], AbstractContextManager[int]]


def waited(make: Make, silence: Silence, **options: float) -> tuple[StorageError, float, int]:
    with silence() as port:
        started = monotonic()
        error = failure(make("127.0.0.1", port, **options), CALLS["query"])
        return error, monotonic() - started, port


@pytest.mark.parametrize("silence", [full_queue, mute, drop_by_drop])
@pytest.mark.parametrize("options, timeout", [({}, DEFAULT), ({"timeout": TIMEOUT}, TIMEOUT)])
def test_silence_is_reported_within_the_timeout(
    silence: Silence, options: dict[str, float], timeout: float
) -> None:
    """A promise, so it is timed: what is left over is for threads and clients to start on a busy machine."""
    with ThreadPoolExecutor(len(BY_ADDRESS)) as pool:
        asked = {name: pool.submit(waited, make, silence, **options) for name, make in BY_ADDRESS.items()}
    for name, answer in asked.items():
        error, seconds, port = answer.result()
        assert isinstance(error, StorageConnectionError), (name, repr(error))
        assert says(error, "127.0.0.1", str(port)), str(error)
        assert error.hint, name
        assert seconds < timeout * 1.5 + 1, name


def test_threads_that_wait_for_the_same_server_wait_no_longer_than_one() -> None:
    for name, make in BY_ADDRESS.items():
        waited(make, mute, timeout=TIMEOUT)  # loads the driver
        with (
            mute() as port,
            make("127.0.0.1", port, timeout=TIMEOUT) as provider,
            ThreadPoolExecutor(6) as pool,
        ):
            for seconds in pool.map(lambda _: refused_after(provider), range(6)):
                # Each by its own clock. One after the other the last would take six times the timeout.
                assert seconds < 4.5 * TIMEOUT, name


def refused_after(provider: BaseStorageProvider) -> float:
    started = monotonic()
    with pytest.raises(StorageConnectionError):
        provider.retrieve("k")
    return monotonic() - started


@pytest.mark.parametrize("make", BY_ADDRESS.values(), ids=BY_ADDRESS)
def test_the_host_has_no_address(make: Make) -> None:
    error = failure(make("no-such-host.invalid", 9, timeout=TIMEOUT), CALLS["query"])
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
    provider = make(host, free_tcp_port, timeout=TIMEOUT)
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
