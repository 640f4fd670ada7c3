"""The public conformance suite on every provider."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
import redis
import s3fs
from backends import S3_CREDENTIALS, make
from custom_provider import MyCustomProvider, MyQueryableProvider

from praval_storage import BaseStorageProvider, CanPurge, CanQuery, CanSearch, CanStream, RecordProvider
from praval_storage.base import CanBrowse, CanTransact, HasCollections, HasForeign, HasVectors
from praval_storage.providers import (
    FileSystemProvider,
    FsspecProvider,
    PostgreSQLProvider,
    QdrantProvider,
    RedisProvider,
    S3Provider,
)
from praval_storage.testing import InMemoryProvider, ProviderConformance
from praval_storage.testing.conformance._suite import Suite


class TestFileSystem(ProviderConformance):
    @pytest.fixture
    def provider(self, request: pytest.FixtureRequest) -> FileSystemProvider:
        return make("filesystem", request)

    def write_foreign(self, provider: FileSystemProvider, key: str, body: bytes) -> None:
        path = Path(provider.base_path, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


class TestS3(ProviderConformance):
    @pytest.fixture
    def provider(self, request: pytest.FixtureRequest) -> S3Provider:
        return make("s3", request)

    def write_foreign(self, provider: S3Provider, key: str, body: bytes) -> None:
        user, secret, _ = S3_CREDENTIALS
        files = s3fs.S3FileSystem(
            key=user, secret=secret, endpoint_url=provider.settings.endpoint_url, use_listings_cache=False
        )
        if not files.exists(provider.settings.bucket):
            files.mkdir(provider.settings.bucket)
        files.pipe_file(f"{provider.settings.bucket}/{key}", body)


class TestFsspecMemory(ProviderConformance):
    @pytest.fixture
    def provider(self, request: pytest.FixtureRequest) -> FsspecProvider:
        return make("fsspec-memory", request)

    def write_foreign(self, provider: FsspecProvider, key: str, body: bytes) -> None:
        files, root = fsspec.core.url_to_fs(provider.settings.url)
        files.pipe_file(f"{root}/{key}", body)


class TestPostgreSQL(ProviderConformance):
    separator = ""

    @pytest.fixture
    def provider(self, request: pytest.FixtureRequest) -> PostgreSQLProvider:
        return make("postgresql", request)


class TestRedis(ProviderConformance):
    separator = ":"

    @pytest.fixture
    def provider(self, request: pytest.FixtureRequest) -> RedisProvider:
        return make("redis", request)

    def write_foreign(self, provider: RedisProvider, key: str, body: bytes) -> None:
        with redis.Redis.from_url(provider.settings.url) as client:
            client.set(provider.settings.prefix + key, body)


class TestQdrantEmbedded(ProviderConformance):
    separator = ""

    @pytest.fixture
    def provider(self, request: pytest.FixtureRequest) -> QdrantProvider:
        return make("qdrant-embedded", request)


class TestQdrantServer(ProviderConformance):
    separator = ""

    @pytest.fixture
    def provider(self, request: pytest.FixtureRequest) -> QdrantProvider:
        return make("qdrant-server", request)


class TestInMemory(ProviderConformance):
    @pytest.fixture
    def provider(self) -> InMemoryProvider:
        return InMemoryProvider()


class TestCustom(ProviderConformance):
    @pytest.fixture
    def provider(self) -> MyCustomProvider:
        return MyCustomProvider({})


class TestCustomWithQuery(ProviderConformance):
    @pytest.fixture
    def provider(self) -> MyQueryableProvider:
        return MyQueryableProvider({})


@pytest.mark.parametrize(
    "provider, capabilities",
    [
        (FileSystemProvider, {RecordProvider, CanQuery, CanStream, CanPurge, CanBrowse, HasCollections}),
        (
            QdrantProvider,
            {
                RecordProvider,
                CanQuery,
                CanSearch,
                HasVectors,
                CanPurge,
                CanBrowse,
                HasForeign,
                HasCollections,
            },
        ),
        (S3Provider, {RecordProvider, CanQuery, CanStream, CanPurge, CanBrowse, HasCollections}),
        (FsspecProvider, {RecordProvider, CanQuery, CanStream, CanPurge, CanBrowse, HasCollections}),
        (PostgreSQLProvider, {RecordProvider, CanQuery, CanPurge, CanTransact, CanBrowse, HasCollections}),
        (RedisProvider, {RecordProvider, CanQuery, CanBrowse, HasForeign, HasCollections}),
        (InMemoryProvider, {RecordProvider, CanQuery, CanPurge}),
        (MyCustomProvider, set()),
    ],
)
def test_the_class_line_tells_what_a_provider_can(
    provider: type[BaseStorageProvider], capabilities: set[type[BaseStorageProvider]]
) -> None:
    known: set[type[BaseStorageProvider]] = {
        RecordProvider,
        CanQuery,
        CanSearch,
        HasVectors,
        CanStream,
        CanPurge,
        CanBrowse,
        CanTransact,
        HasForeign,
        HasCollections,
    }
    assert {capability for capability in known if issubclass(provider, capability)} >= capabilities


def test_no_shared_test_is_overridden() -> None:
    suites = [suite for name, suite in globals().items() if name.startswith("Test")]
    overridden = [
        name
        for suite in suites
        for name, test in vars(suite).items()
        if name.startswith("test_") and callable(test)
    ]
    assert overridden == []


def test_no_part_of_the_suite_hides_a_test_of_another() -> None:
    names = [
        name
        for part in ProviderConformance.__mro__
        if issubclass(part, Suite)
        for name in vars(part)
        if name.startswith("test_")
    ]
    assert sorted(names) == sorted(set(names))
