"""The clients of one provider: made when needed, shared by its threads, dropped by ``close``."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import sha1
from threading import Lock
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from praval_storage.errors import ConfigurationError, StorageConnectionError, StorageTimeoutError
from praval_storage.providers._contact import FirstContact
from praval_storage.providers.redis.failures import silent, translated
from praval_storage.providers.redis.settings import RedisSettings, place_of

_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


class Script:
    """A Lua script; the server knows it by its digest after the first call."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()


class Connection:
    """How to reach one database.

    Args:
        settings: Where it is.
        given: A ready client to use instead; never closed here.

    Raises:
        ConfigurationError: The client decodes what it reads, or is no ``redis.Redis``.
    """

    def __init__(self, settings: RedisSettings, given: redis.Redis | None) -> None:
        if given is not None:
            _check(given)
        self._settings = settings
        self.given = given
        self._own: redis.Redis | None = None
        self._contact = FirstContact(settings.timeout)
        self._lock = Lock()
        self.place = settings.place if given is None else place_of(given.connection_pool.connection_kwargs)
        self._secrets = tuple(settings.secrets())

    @contextmanager
    def calling(self) -> Iterator[Any]:
        """The client, its errors turned into ours; untyped, as the driver's types vary with its version."""
        with self.translated():
            yield self._client

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn errors of the driver into ours."""
        try:
            with translated(self.place, self._settings.timeout, self._secrets):
                yield
        except (StorageConnectionError, StorageTimeoutError):
            self._contact.forget()
            raise

    def run(self, script: Script, names: Sequence[bytes], arguments: Sequence[Any]) -> Any:
        """Run a script on keys; one round trip once the server knows it."""
        with self.calling() as client:
            try:
                return client.evalsha(script.digest, len(names), *names, *arguments)
            except redis.exceptions.NoScriptError:
                return client.eval(script.text, len(names), *names, *arguments)

    def separate(self) -> redis.Redis:
        """A client with connections of its own to the same place, which the caller closes."""
        pool = self._client.connection_pool
        options = pool.connection_kwargs | {"retry": Retry(NoBackoff(), 0)}
        own = redis.ConnectionPool(connection_class=pool.connection_class, **options)
        return redis.Redis(connection_pool=own)

    def close(self) -> None:
        """Drop our own connections; the next call makes new ones, and one under way keeps its own."""
        self._contact.forget()
        with self._lock:
            own, self._own = self._own, None
        if own is not None:
            own.connection_pool.disconnect(inuse_connections=False)

    @property
    def _client(self) -> redis.Redis:
        if self.given is not None:
            return self.given
        with self._lock:
            if self._own is None:
                self._own = _connected(self._settings)
            own = self._own
        try:
            self._contact.ensure(partial(_greet, own))
        except (TimeoutError, redis.TimeoutError) as error:
            raise silent(self.place, self._settings.timeout) from error
        return own


def _greet(client: redis.Redis) -> None:
    # The server is there; what it allows is seen by the call that follows.
    with suppress(redis.ResponseError):
        client.ping()


def _connected(settings: RedisSettings) -> redis.Redis:
    # All that has other defaults in one of the versions 5 to 8 is said here. A command is never sent twice by
    # the driver: a write may have been done although its answer was lost.
    options: dict[str, Any] = {
        "db": settings.db,
        "username": settings.username,
        "password": settings.password,
        "socket_timeout": settings.timeout,
        "socket_connect_timeout": settings.timeout,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
        "decode_responses": False,
        "protocol": 2,
    }
    keepalive: dict[str, Any] = {"socket_keepalive": True, "socket_keepalive_options": _keepalive()}
    if settings.url is None:
        kind = redis.SSLConnection if settings.ssl else redis.Connection
        options |= keepalive | {"host": settings.host, "port": settings.port}
        pool = redis.ConnectionPool(connection_class=kind, **options)
    else:
        options |= {} if settings.url.startswith("unix:") else keepalive
        pool = redis.ConnectionPool.from_url(settings.url, **options)
    client = redis.Redis(connection_pool=pool)
    _check(client)
    return client


def _check(client: object) -> None:
    if not isinstance(client, redis.Redis):
        raise ConfigurationError(
            f"client must be a redis.Redis, not {type(client).__module__}.{type(client).__name__}"
        )
    if client.connection_pool.connection_kwargs.get("decode_responses"):
        raise ConfigurationError(
            "The client has decode_responses=True, which cannot read bytes",
            hint="Make it with decode_responses=False, the default",
        )


def _keepalive() -> dict[int, int]:
    """A peer that has gone without a word is noticed after 45 s, not after two hours."""
    return {getattr(socket, name): value for name, value in _KEEPALIVE.items() if hasattr(socket, name)}
