"""Every provider, made fresh and empty on the engine or server the tests run against."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import boto3
import psycopg
import redis
from qdrant_client import QdrantClient

from praval_storage import RecordProvider, providers

if TYPE_CHECKING:
    import pytest

S3_CREDENTIALS = ("testing", "testing", "us-east-1")


def boto(endpoint: str, service: str = "s3") -> Any:
    """What others use of a service."""
    access, secret, region = S3_CREDENTIALS
    session = boto3.Session(access, secret, region_name=region)
    return session.client(service, endpoint_url=endpoint)  # type: ignore[call-overload]


class Place(NamedTuple):
    """Where a provider may be made: a folder, a name nobody else has, servers, and what to do at the end."""

    folder: Path
    name: str
    request: pytest.FixtureRequest

    def server(self, fixture: str) -> str:
        url: str = self.request.getfixturevalue(fixture)
        return url

    def finally_(self, action: Callable[[], object]) -> None:
        self.request.addfinalizer(action)


def _filesystem(place: Place) -> providers.FileSystemProvider:
    return providers.FileSystemProvider(base_path=place.folder / "files")


def _qdrant_embedded(place: Place) -> providers.QdrantProvider:
    return providers.QdrantProvider(path=place.folder / "qdrant")


def _qdrant_server(place: Place) -> providers.QdrantProvider:
    url = os.environ.get("TEST_QDRANT_URL")
    client = QdrantClient(url=url) if url else QdrantClient(":memory:")
    place.finally_(client.close)
    place.finally_(lambda: client.delete_collection(place.name))
    return providers.QdrantProvider(client=client, collection_name=place.name)


def _s3(place: Place) -> providers.S3Provider:
    # moto answers one request at a time, and a machine under test may be busy with others.
    options: dict[str, Any] = {"endpoint_url": place.server("s3_endpoint"), "timeout": 30}
    return providers.S3Provider(place.name, *S3_CREDENTIALS, auto_create=True, **options)


def _fsspec_memory(place: Place) -> providers.FsspecProvider:
    return providers.FsspecProvider(f"memory://{place.name}")


def _postgresql(place: Place) -> providers.PostgreSQLProvider:
    dsn = place.server("postgres_dsn")

    def drop() -> None:
        name = psycopg.sql.Identifier(place.name)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(psycopg.sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(name))

    place.finally_(drop)
    return providers.PostgreSQLProvider(dsn=dsn, schema=place.name)


def _redis(place: Place) -> providers.RedisProvider:
    url, prefix = place.server("redis_url"), f"{place.name}:"

    def delete() -> None:
        with redis.Redis.from_url(url) as client:
            for key in list(client.scan_iter(f"{prefix}*", count=5_000)):
                client.delete(key)

    place.finally_(delete)
    return providers.RedisProvider(url=url, prefix=prefix)


BACKENDS: dict[str, Callable[[Place], RecordProvider]] = {
    "filesystem": _filesystem,
    "s3": _s3,
    "fsspec-memory": _fsspec_memory,
    "postgresql": _postgresql,
    "redis": _redis,
    "qdrant-embedded": _qdrant_embedded,
    "qdrant-server": _qdrant_server,
}


def make(name: str, request: pytest.FixtureRequest) -> RecordProvider:
    """A fresh, empty provider of this name; what it leaves on a shared server goes when the test ends."""
    folder = request.getfixturevalue("tmp_path_factory").mktemp(name)
    return BACKENDS[name](Place(folder, f"test-{uuid4().hex}", request))
