"""Stands in for a Qdrant server: its REST calls, answered by the in-memory mode of qdrant-client.

It is not Qdrant. What it stores and finds is the in-memory mode's; the status codes and texts of its refusals
are those that users of Qdrant 1.16 to 1.19 report: 409 for making a collection that exists, and 500 for
reading one while it is made. What it is good for is what lies before a server: our code and the HTTP layer
of qdrant-client, in several processes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Barrier, Condition, RLock, Thread
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import TypeAdapter, ValidationError
from qdrant_client import QdrantClient, models

VERSION = models.VersionInfo(title="qdrant", version="1.20.0")
UNREADY = "Service internal error: 0 of 0 read operations failed"

Body = dict[str, Any]


class RefusalError(Exception):
    """What the server says no with."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


class StandIn:
    """A server with collections.

    Args:
        racers: How many clients are to make one collection at the same moment. All are told that it is
            missing before the first may make it, and it can be read when the others have been refused twice:
            making it, and reading it.
    """

    def __init__(self, racers: int = 1) -> None:
        self.client = QdrantClient(":memory:")
        self.refused: list[int] = []
        self._lock = RLock()
        self._racers = racers
        self._started = Barrier(racers)
        self._refusal = Condition()
        self._coming_up: set[str] = set()

    def answer(self, method: str, path: str, body: Body) -> Any:
        _, *parts = map(unquote, path.split("/"))
        match method, parts:
            case "GET", [""]:
                return VERSION
            case "GET", ["collections"]:
                return self.client.get_collections()
            case "GET", ["collections", name]:
                return self._described(name)
            case "PUT", ["collections", name]:
                return self._made(name, models.CreateCollection.model_validate(body))
            case "DELETE", ["collections", name]:
                return self.client.delete_collection(name)
            case _, ["collections", name, *rest]:
                with self._lock:
                    return _on_points(self.client, method, name, rest, body)
        raise RefusalError(404, "")

    def _described(self, name: str) -> models.CollectionInfo:
        if name in self._coming_up:
            raise self._noted(RefusalError(500, UNREADY))
        if not self.client.collection_exists(name):
            self._started.wait(60)
            raise RefusalError(404, f"Not found: Collection `{name}` doesn't exist!")
        return self.client.get_collection(name)

    def _made(self, name: str, wanted: models.CreateCollection) -> bool:
        with self._lock:
            if self.client.collection_exists(name):
                raise self._noted(RefusalError(409, f"Wrong input: Collection `{name}` already exists!"))
            self._coming_up.add(name)
            self.client.create_collection(name, wanted.vectors or {})
        with self._refusal:
            expected = 2 * (self._racers - 1)
            assert self._refusal.wait_for(lambda: len(self.refused) >= expected, 60)
        self._coming_up.discard(name)
        return True

    def _noted(self, refusal: RefusalError) -> RefusalError:
        with self._refusal:
            self.refused.append(refusal.status)
            self._refusal.notify_all()
        return refusal


def _on_points(client: QdrantClient, method: str, name: str, rest: list[str], body: Body) -> Any:
    """A call on what is in a collection: parsed by the client's own models of the API."""
    match method, rest:
        case "PUT", ["index"]:
            return models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)
        case "PUT", ["vectors", vector]:
            return client.create_vector_name(name, vector, _parsed(models.VectorNameConfig, body))
        case "PUT", ["points"]:
            points = models.PointsList.model_validate(body)
            return client.upsert(name, points.points, update_mode=points.update_mode)
        case "POST", ["points"]:
            asked = models.PointRequest.model_validate(body)
            return client.retrieve(name, asked.ids, asked.with_payload, asked.with_vector or False)
        case "POST", ["points", "delete"]:
            return client.delete(name, _parsed(models.PointsSelector, body))
        case "POST", ["points", "count"]:
            return client.count(name, _parsed(models.Filter | None, body.get("filter")))
        case "POST", ["points", "scroll"]:
            return _scrolled(client, name, models.ScrollRequest.model_validate(body))
        case "POST", ["points", "query"]:
            return _queried(client, name, models.QueryRequest.model_validate(body))
    raise RefusalError(404, "")


def _parsed(kind: Any, body: Any) -> Any:
    return TypeAdapter(kind).validate_python(body)


def _scrolled(client: QdrantClient, name: str, asked: models.ScrollRequest) -> Body:
    rows, following = client.scroll(
        name,
        asked.filter,
        asked.limit or 10,
        offset=asked.offset,
        with_payload=asked.with_payload if asked.with_payload is not None else True,
        with_vectors=asked.with_vector or False,
    )
    return {"points": rows, "next_page_offset": following}


def _queried(client: QdrantClient, name: str, asked: models.QueryRequest) -> models.QueryResponse:
    return client.query_points(
        name,
        asked.query,
        asked.using,
        query_filter=asked.filter,
        limit=asked.limit or 10,
        with_payload=asked.with_payload or False,
        with_vectors=asked.with_vector or False,
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, answer = self.server.respond(self.command, urlsplit(self.path).path, body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = do_DELETE = do  # noqa: N815 - the names the standard library looks for

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def __init__(self, stand_in: StandIn) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._stand_in = stand_in

    def respond(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        try:
            found = self._stand_in.answer(method, path, json.loads(body or b"{}"))
        except RefusalError as refusal:
            return refusal.status, _json({"status": {"error": str(refusal)}, "time": 0.0})
        except (ValueError, ValidationError) as error:
            return 400, _json({"status": {"error": f"Wrong input: {error}"}, "time": 0.0})
        return 200, _json(found if found is VERSION else {"result": found, "status": "ok", "time": 0.0})


def _json(value: Any) -> bytes:
    return TypeAdapter(Any).dump_json(value, exclude_none=True)


@contextmanager
def serving(stand_in: StandIn) -> Iterator[str]:
    """Its URL."""
    with closing(stand_in.client), _Server(stand_in) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
