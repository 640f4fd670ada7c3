"""Where a Redis database is, and what the keys in it start with."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import redis

from praval_storage.errors import ConfigurationError

SCHEMES = ("redis", "rediss", "unix")
_YES = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Where a Redis database is, and what the keys in it start with.

    Attributes:
        host: Server.
        port: Its port.
        db: Number of the database.
        password: Password of the user.
        username: ACL user; ``None`` = the default one.
        url: ``redis://``, ``rediss://`` or ``unix://``; what it says goes before the other settings.
        ssl: Whether to use TLS.
        prefix: What every key in Redis starts with and no key here does, for example ``"app:"``.
        timeout: Seconds to wait for a connection, and for each answer.
    """

    host: str = "localhost"
    port: int = 6379
    db: int = 0
    password: str | None = field(default=None, repr=False)
    username: str | None = None
    url: str | None = field(default=None, repr=False)
    ssl: bool = False
    prefix: str = ""
    timeout: float = 5.0

    def __post_init__(self) -> None:
        if self.url is not None:
            _check_url(self.url, ssl=self.ssl)
            self._take_over(_options(self.url))
        if not _is_count(self.port, 1, 65_535):
            raise ConfigurationError(f"port must be an int from 1 to 65535, not {self.port!r}")
        if not _is_count(self.db, 0):
            raise ConfigurationError(f"db must be an int from 0, not {self.db!r}")
        if not self.timeout > 0:
            raise ConfigurationError(f"timeout must be a positive number of seconds, not {self.timeout!r}")
        if not _is_text(self.prefix):
            raise ConfigurationError(f"prefix must be a str that UTF-8 can hold, not {self.prefix!r}")

    def _take_over(self, options: Mapping[str, Any]) -> None:
        """Show the place the URL names; its secrets stay in the URL."""
        for name in ("host", "port", "db", "username"):
            if name in options:
                object.__setattr__(self, name, options[name])

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """``REDIS_URL``, else ``REDIS_HOST``, ``REDIS_PORT``, ``REDIS_DB``, ``REDIS_USERNAME``,
        ``REDIS_PASSWORD`` and ``REDIS_SSL``; with both ``REDIS_PREFIX``.
        """
        prefix = environ.get("REDIS_PREFIX", "")
        if url := environ.get("REDIS_URL"):
            return cls(url=url, prefix=prefix)
        return cls(
            environ.get("REDIS_HOST") or "localhost",
            _number(environ, "REDIS_PORT", 6379),
            _number(environ, "REDIS_DB", 0),
            environ.get("REDIS_PASSWORD") or None,
            environ.get("REDIS_USERNAME") or None,
            ssl=environ.get("REDIS_SSL", "").lower() in _YES,
            prefix=prefix,
        )

    @property
    def place(self) -> str:
        """``host:port``, or the path of the socket; without secrets."""
        options = {"host": self.host, "port": self.port} if self.url is None else _options(self.url)
        return place_of(options)

    def secrets(self) -> Iterator[str]:
        """What no message may show."""
        if self.password:
            yield self.password
        if self.url and (secret := urlsplit(self.url).password):
            yield from (self.url, secret, unquote(secret))


def place_of(options: Mapping[str, Any]) -> str:
    """Where a connection with these options leads."""
    path = options.get("path")
    place = str(path) if path else f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
    return f"{place}/{options['db']}" if options.get("db") else place


def _options(url: str) -> dict[str, Any]:
    """What a URL says; makes no connection."""
    options: dict[str, Any] = redis.ConnectionPool.from_url(url).connection_kwargs
    return options


def _is_count(value: object, least: int, most: int = sys.maxsize) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _check_url(url: object, *, ssl: bool) -> None:
    scheme = url.partition("://")[0] if isinstance(url, str) else ""
    if not isinstance(url, str) or scheme not in SCHEMES:
        raise ConfigurationError(
            "url is no Redis URL", hint="It looks like redis://user:password@localhost:6379/0"
        )
    if ssl and scheme == "redis":
        raise ConfigurationError("ssl=True with a redis:// URL", hint="Write rediss:// for TLS")
    try:
        _options(url)
    except ValueError:
        # The driver's text quotes what it took for a port: with an unquoted '/' in it, the password.
        raise ConfigurationError(
            "url is no Redis URL: its port, database or an option is wrong",
            hint="Special characters of a password are written with urllib.parse.quote(password, safe='')",
        ) from None


def _is_text(value: object) -> bool:
    try:
        return isinstance(value, str) and str.encode(value) is not None
    except UnicodeEncodeError:
        return False


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    try:
        return int(text)
    except ValueError:
        # Kubernetes sets REDIS_PORT to tcp://10.0.0.1:6379 when there is a service named redis.
        raise ConfigurationError(
            f"{name} must be a number, not {text!r}", hint="Set REDIS_URL, which goes before it"
        ) from None
