"""Where the table is and how it is reached."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from praval_storage.errors import ConfigurationError
from praval_storage.settings import (
    Settings,
    check_host,
    check_no_url,
    gather,
    is_link,
    is_postgresql,
    number,
    settle,
    variables,
)

DEFAULT_TABLE = "praval_storage"
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""libpq's (https://www.postgresql.org/docs/current/libpq-ssl.html)."""

_SCHEME = re.compile(r"postgres(ql)?(\+\w+)?://")
_KEYWORDS = {"host": "host", "port": "port", "database": "dbname", "user": "user", "password": "password"}
"""Settings and what libpq calls them."""


@dataclass(frozen=True, slots=True)
class PostgreSQLSettings(Settings):
    """What a ``PostgreSQLProvider`` is made from.

    Attributes:
        host: Server.
        port: Its port.
        database: Database.
        user: Role; ``None`` = what libpq takes (``PGUSER``, else the name of the system user).
        password: Its password.
        dsn: Connection URI or keyword string instead; may hold a password. What it says of the settings
            above is shown there, but for the password.
        table: Table of the records.
        schema: Schema of the table; ``None`` = the first of the search path.
        sslmode: libpq's ``sslmode``, for example ``"require"``.
        timeout: Seconds to wait for a connection.
        max_connections: How many there may be at the same time.
        prepare_threshold: Executions after which a statement is prepared on the server; ``None`` = never, as
            PgBouncer before 1.22 needs.
        statement_timeout: Seconds after which the server gives up a statement; ``None`` = as it is set up.
    """

    host: str = field(default="localhost", metadata=variables("POSTGRES_HOST"))
    port: int = field(default=5432, metadata=variables("POSTGRES_PORT", read=number))
    database: str = field(default="praval", metadata=variables("POSTGRES_DB"))
    user: str | None = field(default=None, metadata=variables("POSTGRES_USER"))
    password: str | None = field(default=None, repr=False, metadata=variables("POSTGRES_PASSWORD"))
    dsn: str | None = field(default=None, repr=False, metadata=variables("DATABASE_URL"))
    table: str = DEFAULT_TABLE
    schema: str | None = None
    sslmode: str | None = field(default=None, metadata=variables("POSTGRES_SSLMODE"))
    timeout: float = 5.0
    max_connections: int = 4
    prepare_threshold: int | None = 5
    statement_timeout: float | None = None

    def __post_init__(self) -> None:
        for name in ("table", "schema"):
            check_name(name, getattr(self, name))
        if not self.timeout > 0:
            raise ConfigurationError(f"timeout must be a positive number of seconds, not {self.timeout!r}")
        if self.statement_timeout is not None and not self.statement_timeout >= 0.001:
            raise ConfigurationError(
                f"statement_timeout must be 1 ms or more, not {self.statement_timeout!r}"
            )
        if self.max_connections < 1:
            raise ConfigurationError(f"max_connections must be at least 1, not {self.max_connections!r}")
        if self.sslmode is not None and self.sslmode not in SSL_MODES:
            raise ConfigurationError(f"sslmode must be one of {', '.join(SSL_MODES)}, not {self.sslmode!r}")
        if self.dsn is not None:
            self._take_over(_parsed(self.dsn))
        elif not _is_port(_number(self.port)):
            raise ConfigurationError(f"port must be an int from 1 to 65535, not {self.port!r}")
        check_host(self.host, "dsn (DATABASE_URL)")
        check_no_url("database", self.database, "dsn (DATABASE_URL)")

    def _take_over(self, options: Mapping[str, Any]) -> None:
        """Show the place the string names; its secrets stay in it."""
        shown = {
            "host": options.get("host", ""),
            "port": _number(options.get("port", 5432)),
            "database": options.get("dbname", ""),
            "user": options.get("user"),
        }
        for name, value in shown.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """``POSTGRES_HOST``, ``_PORT``, ``_DB``, ``_USER``, ``_PASSWORD``, ``_SSLMODE``, ``DATABASE_URL``.

        A variable for a single setting goes before the URL; with another host than the URL's, the URL is
        not used at all, and neither is that of another database.
        """
        url = environ.get("DATABASE_URL") or ""
        is_ours = bool(url) and is_postgresql(url)
        linked = is_link(environ.get("POSTGRES_PORT")) and is_ours
        found = gather(cls, environ, skip={"port"} if linked else ())
        if not is_ours:
            found = found.without({"dsn"})
        return settle(cls, found, "dsn", _joined, _KEYWORDS)

    def options(self) -> dict[str, Any]:
        """The keywords of ``psycopg.connect``."""
        if self.dsn is None:
            given = {keyword: getattr(self, name) for name, keyword in _KEYWORDS.items()}
        else:
            given = _parsed(self.dsn)
        given = {
            "application_name": "praval_storage",
            **given,
            "sslmode": self.sslmode or given.get("sslmode"),
        }
        if self.statement_timeout is not None:
            limit = f"-c statement_timeout={round(1_000 * self.statement_timeout)}"
            given["options"] = f"{given.get('options') or ''} {limit}".lstrip()
        options = {name: value for name, value in given.items() if value is not None}
        return options | {"connect_timeout": max(1, math.ceil(self.timeout))}

    @property
    def place(self) -> str:
        """``host:port/database``, to be shown."""
        options = self.options()
        host, port = options.get("host", "local socket"), options.get("port", 5432)
        return f"{host}:{port}/{options.get('dbname', '')}"

    def secrets(self) -> Iterable[str]:
        """What no message may show."""
        return [str(value) for value in (self.options().get("password"), self.dsn) if value]


def check_name(setting: str, name: str | None) -> None:
    """Refuse what PostgreSQL would cut off or not take as a name."""
    given: object = name  # notebooks are not type-checked
    if given is None and setting == "schema":
        return
    if not isinstance(given, str) or not given or "\0" in given or len(given.encode()) > 63:
        raise ConfigurationError(f"{setting} must be a name of 1 to 63 bytes, not {given!r}")


def _is_port(port: object) -> bool:
    """Whether it can be the number of a port."""
    return isinstance(port, int) and not isinstance(port, bool) and 1 <= port <= 65_535


def _parsed(dsn: str) -> dict[str, Any]:
    try:
        # SQLAlchemy's URLs name a driver, which libpq does not know.
        return dict(conninfo_to_dict(_SCHEME.sub("postgresql://", dsn, count=1)))
    except (psycopg.ProgrammingError, TypeError):
        # libpq's reason quotes what it does not understand, which may be the password.
        raise ConfigurationError(
            "dsn is no PostgreSQL connection string",
            hint="It looks like postgresql://user:password@localhost:5432/database, with"
            " special characters percent-encoded",
        ) from None


def _joined(dsn: str, given: Mapping[str, Any]) -> str:
    return make_conninfo(**_parsed(dsn) | {_KEYWORDS[name]: value for name, value in given.items()})


def _number(port: Any) -> Any:
    """As an int, unless there are several."""
    return int(port) if str(port).isdecimal() else port
