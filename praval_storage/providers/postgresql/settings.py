"""Where the table is and how it is reached."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict

from praval_storage.errors import ConfigurationError

DEFAULT_TABLE = "praval_storage"


@dataclass(frozen=True, slots=True)
class PostgreSQLSettings:
    """What a ``PostgreSQLProvider`` is made from.

    Attributes:
        host: Server.
        port: Its port.
        database: Database.
        user: Role; ``None`` = what libpq takes (``PGUSER``, else the name of the system user).
        password: Its password.
        dsn: Connection URI or keyword string instead; may hold a password.
        table: Table of the records.
        schema: Schema of the table; ``None`` = the first of the search path.
        sslmode: libpq's ``sslmode``, for example ``"require"``.
        timeout: Seconds to wait for a connection.
        max_connections: How many there may be at the same time.
        prepare_threshold: Executions after which a statement is prepared on the server; ``None`` = never, as
            PgBouncer before 1.22 needs.
    """

    host: str = "localhost"
    port: int = 5432
    database: str = "praval"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    dsn: str | None = field(default=None, repr=False)
    table: str = DEFAULT_TABLE
    schema: str | None = None
    sslmode: str | None = None
    timeout: float = 5.0
    max_connections: int = 4
    prepare_threshold: int | None = 5

    def __post_init__(self) -> None:
        for name in ("table", "schema"):
            check_name(name, getattr(self, name))
        if not self.timeout > 0:
            raise ConfigurationError(f"timeout must be a positive number of seconds, not {self.timeout!r}")
        if self.max_connections < 1:
            raise ConfigurationError(f"max_connections must be at least 1, not {self.max_connections!r}")
        self.options()

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """``POSTGRES_HOST``, ``_PORT``, ``_DB``, ``_USER``, ``_PASSWORD``; without host ``DATABASE_URL``."""
        host, dsn = environ.get("POSTGRES_HOST"), environ.get("DATABASE_URL")
        if not host and dsn:
            return cls(dsn=dsn)
        return cls(
            host or "localhost",
            _port(environ.get("POSTGRES_PORT") or "5432"),
            environ.get("POSTGRES_DB") or "praval",
            environ.get("POSTGRES_USER") or None,
            environ.get("POSTGRES_PASSWORD") or None,
        )

    def options(self) -> dict[str, Any]:
        """The keywords of ``psycopg.connect``."""
        if self.dsn is None:
            given = {
                "host": self.host,
                "port": self.port,
                "dbname": self.database,
                "user": self.user,
                "password": self.password,
            }
        else:
            given = _parsed(self.dsn)
        given = {
            "application_name": "praval_storage",
            **given,
            "sslmode": self.sslmode or given.get("sslmode"),
        }
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


def _parsed(dsn: str) -> dict[str, Any]:
    try:
        return dict(conninfo_to_dict(dsn))
    except psycopg.ProgrammingError:
        # libpq's reason quotes what it does not understand, which may be the password.
        raise ConfigurationError(
            "dsn is no PostgreSQL connection string",
            hint="It looks like postgresql://user:password@localhost:5432/database, with"
            " special characters percent-encoded",
        ) from None


def _port(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        # Kubernetes sets POSTGRES_PORT to tcp://... when there is a service named postgres.
        raise ConfigurationError(
            f"POSTGRES_PORT must be a number, not {text!r}", hint="Unset it, or set DATABASE_URL alone"
        ) from None
