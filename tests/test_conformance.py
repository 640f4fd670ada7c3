"""The public conformance suite on the providers that need no server."""

from __future__ import annotations

from pathlib import Path

import pytest
from custom_provider import MyCustomProvider, MyQueryableProvider

from praval_storage import BaseStorageProvider, CanPurge, CanQuery, CanSearch, CanStream, RecordProvider
from praval_storage.base import HasCollections
from praval_storage.providers import FileSystemProvider, QdrantProvider
from praval_storage.testing import InMemoryProvider, ProviderConformance
from praval_storage.testing.conformance._suite import Suite


class TestFileSystem(ProviderConformance):
    @pytest.fixture
    def provider(self, tmp_path: Path) -> FileSystemProvider:
        return FileSystemProvider(base_path=tmp_path / "storage")

    def write_foreign(self, provider: BaseStorageProvider, key: str, body: bytes) -> None:
        assert isinstance(provider, FileSystemProvider)
        path = Path(provider.base_path, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


class TestQdrantEmbedded(ProviderConformance):
    @pytest.fixture
    def provider(self, tmp_path: Path) -> QdrantProvider:
        return QdrantProvider(path=tmp_path / "qdrant")


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
        (FileSystemProvider, {RecordProvider, CanQuery, CanStream, CanPurge, HasCollections}),
        (QdrantProvider, {RecordProvider, CanQuery, CanSearch, CanPurge, HasCollections}),
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
        CanStream,
        CanPurge,
        HasCollections,
    }
    assert {capability for capability in known if issubclass(provider, capability)} >= capabilities


def test_no_shared_test_is_overridden() -> None:
    suites = [TestFileSystem, TestQdrantEmbedded, TestInMemory, TestCustom, TestCustomWithQuery]
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
