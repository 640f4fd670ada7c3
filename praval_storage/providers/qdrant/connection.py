"""Clients of ``qdrant-client``: how ours is made, and what there is to know of one that was passed in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qdrant_client import QdrantClient

from praval_storage.errors import ConfigurationError
from praval_storage.providers.qdrant.address import parse_address
from praval_storage.providers.qdrant.settings import QdrantSettings

if TYPE_CHECKING:
    import httpx

CONNECT = 5.0
"""Seconds to wait for a connection; what listens answers much sooner."""

_PASSED_IN = "the client that was passed in"

_locks: WeakKeyDictionary[QdrantClient, RLock] = WeakKeyDictionary()
_locks_lock = Lock()


def connect(settings: QdrantSettings) -> QdrantClient:
    """A client of our own; nothing is sent yet."""
    address = settings.address
    if address is None:
        raise ConfigurationError("There is neither url nor client")
    # The compatibility check would call the server before it is needed, and warn when it is not there.
    client = QdrantClient(
        url=address.url,
        api_key=settings.api_key,
        timeout=max(1, round(settings.timeout)),
        prefer_grpc=settings.prefer_grpc,
        grpc_options={"grpc.min_reconnect_backoff_ms": round(CONNECT * 1_000)},
        check_compatibility=False,
        auth=address.login,
    )
    client.http.client.add_middleware(_connecting_soon(min(CONNECT, settings.timeout)))
    return client


def _connecting_soon(seconds: float) -> Callable[[httpx.Request, Any], httpx.Response]:
    """The client knows one timeout for everything."""

    def send(request: httpx.Request, following: Any) -> httpx.Response:
        request.extensions["timeout"]["connect"] = seconds
        response: httpx.Response = following(request)
        return response

    return send


def is_local(client: QdrantClient) -> bool:
    """Whether there is no server behind a client."""
    options = client.init_options
    return options.get("location") == ":memory:" or options.get("path") is not None


def alone(client: QdrantClient) -> AbstractContextManager[object]:
    """Held during a call: the local mode is not thread-safe, whichever providers share it."""
    if not is_local(client):
        return nullcontext()
    with _locks_lock:
        return _locks.setdefault(client, RLock())


def place_of(client: QdrantClient) -> str:
    """Where a client that was passed in goes to, for people; never with a credential."""
    options = client.init_options
    given = options["url"] or options["location"] or f"{options['host'] or 'localhost'}:{options['port']}"
    try:
        return _PASSED_IN if is_local(client) else parse_address(given).url
    except ConfigurationError:  # what the client made of it is its own affair
        return _PASSED_IN
