"""Where a Redis database is, and what the keys in it start with."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import redis

from praval_storage.errors import ConfigurationError
from praval_storage.settings import (
    Settings,
    check_host,
    gather,
    is_link,
    number,
    settle,
    variables,
    yes_or_no,
)

SCHEMES = ("redis", "rediss", "unix")
_IN_URL = ("host", "port", "db", "password", "username", "ssl")
"""Settings that a URL says."""


@dataclass(frozen=True, slots=True)
class RedisSettings(Settings):
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

    host: str = field(default="localhost", metadata=variables("REDIS_HOST"))
    port: int = field(default=6379, metadata=variables("REDIS_PORT", read=number))
    db: int = field(default=0, metadata=variables("REDIS_DB", read=number))
    password: str | None = field(default=None, repr=False, metadata=variables("REDIS_PASSWORD"))
    username: str | None = field(default=None, metadata=variables("REDIS_USERNAME"))
    url: str | None = field(default=None, repr=False, metadata=variables("REDIS_URL"))
    ssl: bool = field(default=False, metadata=variables("REDIS_SSL", read=yes_or_no))
    prefix: str = field(default="", metadata=variables("REDIS_PREFIX"))
    timeout: float = 5.0

    def __post_init__(self) -> None:
        if self.url is not None:
            _check_url(self.url, ssl=self.ssl)
            self._take_over(_options(self.url))
        check_host(self.host, "url (REDIS_URL)")
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
        """``REDIS_HOST``, ``REDIS_PORT``, ``REDIS_DB``, ``REDIS_USERNAME``, ``REDIS_PASSWORD``,
        ``REDIS_SSL``, ``REDIS_PREFIX``, and ``REDIS_URL``.

        A variable for a single setting goes before the URL; with another host than the URL's, the URL is
        not used at all.
        """
        linked = is_link(environ.get("REDIS_PORT")) and environ.get("REDIS_URL")
        found = gather(cls, environ, skip={"port"} if linked else ())
        return settle(cls, found, "url", _joined, _IN_URL)

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


def _joined(url: str, given: Mapping[str, Any]) -> str:
    """The URL with some settings instead of its own."""
    parts = urlsplit(url)
    said = {
        "username": _unquoted(parts.username),
        "password": _unquoted(parts.password),
        **_options(url),
        **given,
    }
    login = quote(said["username"] or "", safe="")
    if said["password"] is not None:
        login = f"{login}:{quote(said['password'], safe='')}"
    query = [pair for pair in parse_qsl(parts.query) if pair[0] not in {*given, "db"}]
    query += [("db", str(said["db"]))] if "db" in said else []
    is_socket = parts.scheme == "unix"
    place = parts.path if is_socket else f"{_host(said)}:{said.get('port', 6379)}/"
    scheme = "rediss" if said.get("ssl") and not is_socket else parts.scheme
    return f"{scheme}://{f'{login}@' if login else ''}{place}{f'?{urlencode(query)}' if query else ''}"


def _host(said: Mapping[str, Any]) -> str:
    host = str(said.get("host", "localhost"))
    return f"[{host}]" if ":" in host else host


def _unquoted(text: str | None) -> str | None:
    return None if text is None else unquote(text)
