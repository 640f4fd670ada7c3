"""The servers the guide talks to: the tests' own, with the users, databases and buckets it names.

What is substituted in its code are ports, the password of the tests' Redis, the ``...`` that stands for
settings, and the URL of Qdrant where there is no server: the embedded engine is the default then.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
import s3fs
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

Substitute = Callable[[pytest.FixtureRequest], str]

AWS = ("YOUR_KEY", "YOUR_SECRET")
"""The credentials the guide prints; its environment has them in lower case, and moto takes any."""


def postgres(
    request: pytest.FixtureRequest, user: str, password: str, database: str
) -> tuple[int, str | None]:
    """Port and password of the tests' PostgreSQL, where the guide's user and database are for a test.

    A user who is the tests' own as well keeps the password it has.
    """
    dsn = request.getfixturevalue("postgres_dsn")
    ours = conninfo_to_dict(dsn)
    create = ["CREATE ROLE {user} LOGIN PASSWORD {password}", "CREATE DATABASE {database} OWNER {user}"]
    drop = ["DROP DATABASE IF EXISTS {database} WITH (FORCE)", "DROP ROLE IF EXISTS {user}"]
    if ours["user"] == user:
        password = ours.get("password")
        del create[0], drop[1]
    names = {"user": sql.Identifier(user), "database": sql.Identifier(database), "password": password}

    def run(*statements: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as admin:
            for statement in statements:
                admin.execute(sql.SQL(statement).format(**names))

    run(*drop, *create)
    request.addfinalizer(lambda: run(*drop))
    return int(ours.get("port", 5432)), password


def redis_server(request: pytest.FixtureRequest) -> tuple[int, str | None]:
    """Port and password of the tests' Redis."""
    url = urlsplit(request.getfixturevalue("redis_url"))
    return url.port or 6379, url.password


def redis_port(request: pytest.FixtureRequest, password: str) -> int:
    """The port of the tests' Redis, which takes the guide's password as well until the test ends."""
    client = redis.Redis.from_url(request.getfixturevalue("redis_url"))
    request.addfinalizer(client.close)
    client.execute_command("ACL", "SETUSER", "default", f">{password}")
    request.addfinalizer(lambda: client.execute_command("ACL", "SETUSER", "default", f"<{password}"))
    return redis_server(request)[0]


def bucket(request: pytest.FixtureRequest, name: str = "praval-data") -> s3fs.S3FileSystem:
    """The tests' S3 with the guide's bucket in it, as who the guide is."""
    endpoint = request.getfixturevalue("s3_endpoint")
    files = s3fs.S3FileSystem(key=AWS[0], secret=AWS[1], endpoint_url=endpoint, use_listings_cache=False)
    if not files.exists(name):
        files.mkdir(name)
    return files


def as_here(code: str, request: pytest.FixtureRequest) -> str:
    """A block of the guide, with what differs here put in its place."""
    for printed, substitute in _SUBSTITUTES.items():
        if printed in code:
            code = code.replace(printed, substitute(request))
    return code


def _postgresql(request: pytest.FixtureRequest) -> str:
    port, _ = postgres(request, "praval_user", "secure_password", "praval_db")
    return f"port={port}"


def _praval_database(request: pytest.FixtureRequest) -> str:
    port, password = postgres(request, "praval", "secret", "praval")
    return f'database="praval", port={port}, user="praval", password={password!r}'


def _redis(request: pytest.FixtureRequest) -> str:
    port, password = redis_server(request)
    return f"db=0, port={port}, password={password!r}"


_SUBSTITUTES: dict[str, Substitute] = {
    "    port=5432": lambda request: f"    {_postgresql(request)}",
    '    database="praval"\n': lambda request: f"    {_praval_database(request)}\n",
    "    port=6379,\n    db=0,\n    password=None\n": lambda request: f"    {_redis(request)}\n",
    "    db=0\n": lambda request: f"    {_redis(request)}\n",
    "PostgreSQLProvider(...)": lambda request: (
        f"PostgreSQLProvider(dsn={request.getfixturevalue('postgres_dsn')!r})"
    ),
    'url="http://localhost:6333"': lambda _: (
        f"url={os.environ['TEST_QDRANT_URL']!r}" if "TEST_QDRANT_URL" in os.environ else 'path="./vectors"'
    ),
}
"""What is printed, and what runs in its place."""
