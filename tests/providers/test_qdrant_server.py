"""The way to a Qdrant server: who is told what when it is away, refuses, or is something else.

What answers here is an HTTP server of the standard library in the place of a proxy, or ``qdrant_standin``.
What Qdrant itself does is tested against the client's in-memory mode, or a real server where
``TEST_QDRANT_URL`` names one.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from threading import Barrier, Event, Thread
from time import monotonic
from typing import Any
from uuid import uuid4

import grpc
import pytest
from backends import make
from qdrant_client import QdrantClient, models
from qdrant_standin import UNREADY, StandIn, serving

from praval_storage import DataManager
from praval_storage.errors import (
    ConfigurationError,
    StorageConnectionError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
)
from praval_storage.providers.qdrant import QdrantProvider, QdrantSettings, connection, wire
from praval_storage.providers.qdrant import server as server_engine
from praval_storage.providers.qdrant.address import parse_address
from praval_storage.providers.qdrant.engine import Space
from praval_storage.providers.qdrant.server import ServerEngine

SECRET = "s3cret-p@ss"
QUOTED = "s3cret-p%40ss"
SENT = "bWU6czNjcmV0LXBAc3M="
TEST_URL = os.environ.get("TEST_QDRANT_URL")
VERSION = {"title": "qdrant", "version": "1.20.0"}

Answer = tuple[int, bytes]
Asked = tuple[str, str, bytes]


class Answering(BaseHTTPRequestHandler):
    """Notes what it is asked and answers what the server was told to."""

    protocol_version = "HTTP/1.1"

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = (self.command, self.path, body or str(self.headers).encode())
        self.server.asked.append(asked)  # type: ignore[attr-defined]
        status, answer = self.server.answer(asked)  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = do  # noqa: N815 - the names the standard library looks for

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def answering(answer: Callable[[Asked], Answer], port: int = 0) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", port), Answering)
    server.answer, server.asked = answer, []  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def url_of(server: ThreadingHTTPServer, login: str = "") -> str:
    return f"http://{login}127.0.0.1:{server.server_port}"


def of_qdrant(result: Any) -> bytes:
    return json.dumps({"result": result, "status": "ok", "time": 0.0}).encode()


def missing() -> Answer:
    error = {"error": "Not found: Collection `praval_vectors` doesn't exist!"}
    return 404, json.dumps({"status": error, "time": 0.0}).encode()


def collection(points: int) -> bytes:
    """What Qdrant says of a collection with so many points, in the words of the client's own models."""
    with closing(QdrantClient(":memory:")) as client:
        params = models.VectorParams(size=2, distance=models.Distance.DOT)
        client.create_collection("c", vectors_config=params)
        info = json.loads(client.get_collection("c").model_dump_json(exclude_none=True))
    return of_qdrant({**info, "points_count": points, "payload_schema": {}})


# A server that is not there


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.mark.parametrize("prefer_grpc", [False, True])
def test_a_port_nobody_listens_on(closed_port: int, prefer_grpc: bool) -> None:
    options: dict[str, Any] = {"prefer_grpc": prefer_grpc, "timeout": 4}
    started = monotonic()
    with (
        QdrantProvider(f"http://127.0.0.1:{closed_port}", **options) as provider,
        pytest.raises(StorageConnectionError, match=f"http://127.0.0.1:{closed_port}") as caught,
    ):
        provider.store("a", 1, {})
    assert monotonic() - started < 4
    assert "QDRANT_URL" in str(caught.value)
    assert "embedded" in str(caught.value)


@contextmanager
def mute() -> Iterator[int]:
    """A port that takes everybody in and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@contextmanager
def full_queue() -> Iterator[int]:
    """A port whose queue of connections is full: the kernel drops what else comes."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        try:
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(listening.getsockname())
            yield listening.getsockname()[1]
        finally:
            for one in waiting:
                one.close()


@pytest.mark.parametrize("silence", [full_queue, mute])
def test_a_server_that_says_nothing_over_grpc(
    silence: Any, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with silence() as port:
        monkeypatch.setattr(connection, "QdrantClient", partial(QdrantClient, grpc_port=port))
        started = monotonic()
        with (
            QdrantProvider(f"http://127.0.0.1:{closed_port}", prefer_grpc=True, timeout=1) as provider,
            pytest.raises(StorageConnectionError, match=r"127\.0\.0\.1.*within 1 s"),
        ):
            provider.retrieve("a")
        assert monotonic() - started < 2.5


def test_a_name_nobody_has() -> None:
    with (
        QdrantProvider("http://no-such-host.invalid:6333", timeout=4) as provider,
        pytest.raises(StorageError, match=r"no-such-host\.invalid"),
    ):
        provider.retrieve("a")


def test_a_server_that_has_answered_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_engine, "CONNECT", 0.2)
    gate = Event()

    def answer(asked: Asked) -> Answer:
        if asked[1] == "/":
            return 200, json.dumps(VERSION).encode()
        assert gate.wait(60)
        return missing()

    with (
        answering(answer) as server,
        QdrantProvider(url_of(server)) as provider,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(provider.query, {}, 10)
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        gate.set()
        assert waiting.result() == []


# A server that refuses


@pytest.mark.parametrize(
    "status, kind, cure",
    [
        (401, StoragePermissionError, "QDRANT_API_KEY"),
        (403, StoragePermissionError, "QDRANT_API_KEY"),
        (404, StorageConnectionError, "port and path of QDRANT_URL"),
        (408, StorageTimeoutError, "timeout="),
        (500, StorageError, "answered 500"),
        (502, StorageConnectionError, "QDRANT_URL"),
        (503, StorageConnectionError, "QDRANT_URL"),
        (504, StorageTimeoutError, "timeout="),
    ],
)
def test_refusals(status: int, kind: type[StorageError], cure: str) -> None:
    with answering(lambda _: (status, b"<html>no</html>")) as server:
        for work in ATTEMPTS:
            with QdrantProvider(url_of(server)) as provider, pytest.raises(kind) as caught:
                work(provider)
            assert type(caught.value) is kind
            assert cure in str(caught.value)
            assert url_of(server) in str(caught.value)


ATTEMPTS: list[Callable[[QdrantProvider], object]] = [
    lambda provider: provider.store("a", {"vector": [1.0]}, {}),
    lambda provider: provider.retrieve("a"),
    lambda provider: provider.delete("a"),
    lambda provider: provider.query({"a": 1}, 10),
    lambda provider: provider.collections(),
    lambda provider: provider.purge_expired(),
]


def test_something_else_on_the_port() -> None:
    with (
        answering(lambda _: (200, b"<html>It works!</html>")) as server,
        QdrantProvider(url_of(server)) as provider,
        pytest.raises(StorageConnectionError, match=r"is not Qdrant.*6333"),
    ):
        provider.retrieve("a")


def test_a_server_that_is_busy_and_one_in_strict_mode() -> None:
    def answer(asked: Asked) -> Answer:
        if asked[0] == "GET":
            return 200, collection(5) if "collections" in asked[1] else json.dumps(VERSION).encode()
        return 400, b'{"status":{"error":"Bad request: Index required but not found for \\"data.n\\""}}'

    with (
        answering(answer) as server,
        QdrantProvider(url_of(server)) as provider,
        pytest.raises(StorageError, match=r"data\.n.*strict mode"),
    ):
        provider.query({"n": 1}, 10)


@pytest.mark.parametrize(
    "code, kind",
    [
        (grpc.StatusCode.UNAUTHENTICATED, StoragePermissionError),
        (grpc.StatusCode.PERMISSION_DENIED, StoragePermissionError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, StorageTimeoutError),
        (grpc.StatusCode.UNAVAILABLE, StorageConnectionError),
        (grpc.StatusCode.INTERNAL, StorageError),
    ],
)
def test_refusals_over_grpc(code: grpc.StatusCode, kind: type[StorageError]) -> None:
    with refusing_grpc(code) as port:
        client = QdrantClient("http://127.0.0.1", grpc_port=port, prefer_grpc=True, check_compatibility=False)
        with closing(client), pytest.raises(kind, match=f"{code.name}: because") as caught:
            QdrantProvider(client=client).retrieve("a")
        assert type(caught.value) is kind


def test_over_grpc_a_collection_may_be_missing() -> None:
    with refusing_grpc(grpc.StatusCode.NOT_FOUND) as port:
        client = QdrantClient("http://127.0.0.1", grpc_port=port, prefer_grpc=True, check_compatibility=False)
        with closing(client):
            assert QdrantProvider(client=client).query({}, 10) == []


@contextmanager
def refusing_grpc(code: grpc.StatusCode) -> Iterator[int]:
    class Refusing(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, _: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(
                lambda _, context: context.abort(code, "because"), response_serializer=bytes
            )

    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers((Refusing(),))
        port: int = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield port
        finally:
            server.stop(None).wait()


# A server that comes back


def test_a_server_that_was_away_is_used_again() -> None:
    def answer(asked: Asked) -> Answer:
        return missing() if "collections" in asked[1] else (200, json.dumps(VERSION).encode())

    with answering(answer) as server:
        port, provider = server.server_port, QdrantProvider(url_of(server))
        assert "server 1.20.0" in provider.health()
        assert provider.query({}, 10) == []
    with pytest.raises(StorageConnectionError):
        provider.query({}, 10)
    with answering(answer, port), provider:
        assert provider.query({}, 10) == []
        assert "server 1.20.0" in provider.health()
    with answering(answer, port), provider:
        assert provider.query({}, 10) == []


# Secrets


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
@pytest.mark.parametrize("status", [401, 403, 404, 500, 200])
def test_a_server_that_repeats_the_secrets(status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo: Callable[[Asked], Answer] = lambda asked: (status, asked[2] + QUOTED.encode())  # noqa: E731
    with answering(echo) as server:
        provider = QdrantProvider(url_of(server, f"me:{QUOTED}@"), api_key=SECRET)
        with DataManager({"q": provider}) as dm, pytest.raises(StorageError) as caught:
            dm.retrieve_by_key("q", "a")
        [first, *_] = server.asked  # type: ignore[attr-defined]
        assert f"api-key: {SECRET}".encode() in first[2]
        assert f"Authorization: Basic {SENT}".encode() in first[2]
    shown = [*traceback.format_exception(caught.value), repr(caught.value), str(caught.value), caplog.text]
    shown += [repr(provider), repr(provider.settings), pickle.dumps(caught.value).decode("latin1")]
    assert [text for text in shown if SECRET in text or QUOTED in text or SENT in text] == []
    assert url_of(server) in str(caught.value)


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
def test_no_secret_when_nobody_listens(closed_port: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"http://me:{QUOTED}@127.0.0.1:{closed_port}/below"
    with DataManager({"q": QdrantProvider(url, api_key=SECRET)}) as dm:
        with pytest.raises(StorageConnectionError) as caught:
            dm.store({"a": 1}, "q", "k")
        health = dm.health("q")["q"]
        shown = [*traceback.format_exception(caught.value), str(health), caplog.text, repr(dm.providers)]
    assert [text for text in shown if SECRET in text or QUOTED in text or SENT in text] == []
    assert f"http://127.0.0.1:{closed_port}/below" in str(caught.value)


@pytest.mark.parametrize("key", [f"{SECRET}\n", f" {SECRET}", f"{SECRET}é"], ids=["line", "blank", "accent"])
def test_a_key_that_cannot_be_sent_is_refused_unseen(key: str) -> None:
    with pytest.raises(ConfigurationError, match="api_key") as caught:
        QdrantProvider("http://localhost", api_key=key)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://me:{QUOTED}@h",
        f"http://me:{SECRET}/x@h",
        f"http://me:{SECRET}#x@h",
        f"http://me:{QUOTED}@h:port",
        f"http://me:{QUOTED}@",
        f"http://me:{QUOTED}@[h",
        f"http://me:{QUOTED}@h i",
    ],
)
def test_a_url_that_is_none_is_refused_unseen(url: str) -> None:
    with pytest.raises(ConfigurationError, match="http://localhost:6333") as caught:
        QdrantProvider(url)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url, shown, login",
    [
        ("http://localhost:6333", "http://localhost:6333", None),
        ("localhost", "localhost:6333", None),
        ("https://h/qdrant/", "https://h:6333/qdrant", None),
        ("https://me:a%2Fb@h:1?api_key=x#y", "https://h:1", ("me", "a/b")),
        ("https://me@h", "https://h:6333", ("me", "")),
        ("http://[::1]", "http://[::1]:6333", None),
    ],
)
def test_addresses(url: str, shown: str, login: tuple[str, str] | None) -> None:
    address = parse_address(url)
    assert (address.url, address.login) == (shown, login)


@pytest.mark.parametrize(
    "options, place",
    [
        ({"url": f"http://me:{QUOTED}@h"}, "http://h:6333"),
        ({"host": "h", "port": 1}, "h:1"),
        ({"url": "http://h/a@b"}, "the client that was passed in"),
        ({"location": ":memory:"}, "the client that was passed in"),
    ],
    ids=repr,
)
def test_where_a_ready_client_goes_to(options: dict[str, Any], place: str) -> None:
    if "location" not in options:
        options = {**options, "check_compatibility": False}
    with closing(QdrantClient(**options)) as client:
        assert ServerEngine(QdrantSettings(), client).place == place


# Writers at the same moment


def test_a_collection_somebody_else_just_made() -> None:
    with closing(QdrantClient(":memory:")) as client:
        first, second = (ServerEngine(QdrantSettings(collection="c"), client) for _ in range(2))
        first.create(None)
        second.create(Space(2, "dot"))
        assert second.schema() == first.schema()
        first.add_vector(Space(3, "dot"))
        second.add_vector(Space(3, "dot"))
        with pytest.raises(StorageError, match="expects vectors with 3 dimensions"):
            QdrantProvider(client=client, collection_name="c").store("k", {"vector": [1.0, 2.0]}, {})


def test_a_proxy_that_says_conflict() -> None:
    """A real server answers 409, where the in-memory mode raises ``ValueError``."""
    info = collection(0)
    made = []

    def answer(asked: Asked) -> Answer:
        if asked[0] == "PUT":
            made.append(asked[1])
            return 409, b'{"status":{"error":"Wrong input: Collection already exists!"},"time":0.0}'
        return (200, info) if made else missing()

    with answering(answer) as server:
        ServerEngine(QdrantSettings(url_of(server)), None).create(Space(2, "dot"))
    assert made == ["/collections/praval_vectors"]


MAKER = """
import sys
from praval_storage.providers.qdrant import QdrantProvider
provider = QdrantProvider(sys.argv[1], sys.argv[2])
provider.collections()
print("ready", flush=True)
sys.stdin.readline()
provider.store(sys.argv[3], {"vector": [1.0, 2.0]}, {})
"""


def two_processes_store(url: str, name: str) -> None:
    """In a collection that is not there yet, at the same moment."""
    command = [sys.executable, "-c", MAKER, url, name]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    makers = [subprocess.Popen([*command, key], **pipes) for key in "ab"]
    assert [maker.stdout.readline() for maker in makers if maker.stdout] == ["ready\n"] * 2
    for maker in makers:
        assert maker.stdin
        maker.stdin.write("go\n")
        maker.stdin.flush()
    assert [(maker.communicate(timeout=60)[0], maker.returncode) for maker in makers] == [("", 0)] * 2
    with QdrantProvider(url, name) as provider:
        assert provider.retrieve("a") == provider.retrieve("b") == {"vector": [1.0, 2.0]}


@pytest.mark.skipif(not TEST_URL, reason="needs a server, named by TEST_QDRANT_URL")
def test_two_processes_make_the_same_collection() -> None:
    name = f"test-{uuid4().hex}"
    try:
        two_processes_store(str(TEST_URL), name)
    finally:
        QdrantClient(TEST_URL).delete_collection(name)


def test_two_processes_make_the_same_collection_on_a_stand_in() -> None:
    """The worst order there is: both see none, one is refused, and the other's cannot be read yet."""
    stand_in = StandIn(racers=2)
    with serving(stand_in) as url:
        two_processes_store(url, "new")
        assert stand_in.refused[:2] == [409, 500]
        assert set(stand_in.refused[2:]) <= {500}


@pytest.mark.parametrize("said", [UNREADY, "Service internal error: the disk is full"])
def test_a_collection_that_stays_unreadable_is_reported(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "PATIENCE", 0.1)
    refusal = json.dumps({"status": {"error": said}, "time": 0.0}).encode()
    with (
        answering(lambda _: (500, refusal)) as server,
        QdrantProvider(url_of(server)) as provider,
        pytest.raises(StorageError, match=f"answered 500.*{said}"),
    ):
        provider.query({}, 10)


@pytest.mark.parametrize("backend", ["qdrant-embedded", "qdrant-server"])
def test_eight_threads_lose_and_double_nothing(backend: str, request: pytest.FixtureRequest) -> None:
    threads, steps = 8, 125  # of four operations each
    barrier = Barrier(threads)

    def work(dm: DataManager, thread: int) -> None:
        barrier.wait()
        for step in range(steps):
            key, value = f"t{thread}/{step}", {"thread": thread, "step": step, "vector": [1.0, float(step)]}
            dm.store(value, "q", key, {"step": step})
            assert dm.retrieve_by_key("q", key) == value
            dm.store({"by": thread}, "q", f"shared/{step}")
            passing = dm.store({"n": -1}, "q", f"passing/{thread}")
            if step % 2:
                assert dm.delete(passing)

    with DataManager({"q": make(backend, request)}) as dm:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, repeat(dm), range(threads)))
        own = [f"t{thread}/{step}" for thread in range(threads) for step in range(steps)]
        shared = [f"shared/{step}" for step in range(steps)]
        passing = [f"passing/{thread}" for thread in range(threads)]  # the last step is even
        found = dm.query("q", limit=None).records
        assert sorted(record.key for record in found) == sorted(own + shared + passing)
        assert all(record.metadata.get("step") == record.data.get("step") for record in found)


# Payload indexes


def test_filtered_fields_get_their_payload_index() -> None:
    info = collection(5_000)

    def answer(asked: Asked) -> Answer:
        if asked[0] == "GET":
            return 200, info if "collections" in asked[1] else json.dumps(VERSION).encode()
        if asked[0] == "PUT":
            return 200, of_qdrant({"operation_id": 1, "status": "completed"})
        return 200, of_qdrant({"points": []})

    with answering(answer) as server, QdrantProvider(url_of(server)) as provider:
        assert provider.query({"n": {"$gt": 1}, "city": "Rome", "metadata.flag": True}, 10) == []
        made = [json.loads(body) for method, _, body in server.asked if method == "PUT"]  # type: ignore[attr-defined]
    kinds = {index["field_name"]: index["field_schema"] for index in made}
    assert kinds["data.n"] == "float"
    assert kinds["data.city"] == {"type": "keyword", "prefix": True}
    assert kinds["metadata.flag"] == "bool"
    assert kinds["_praval"] == {"type": "keyword", "prefix": True}
