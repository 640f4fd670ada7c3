"""The provider itself: capabilities it lacks, its own methods, closing, pickling, what its errors say."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import pytest

from praval_storage.base import (
    BaseStorageProvider,
    CanQuery,
    CanSearch,
    HasCollections,
    HasVectors,
    RecordProvider,
    StorageResult,
)
from praval_storage.errors import (
    ConfigurationError,
    InvalidKeyError,
    KeyNotFoundError,
    StorageError,
    UnsupportedOperationError,
)
from praval_storage.filters import Node
from praval_storage.manager import DataManager
from praval_storage.sampling import VectorSample
from praval_storage.scan import Neighbours
from praval_storage.testing.conformance._suite import Suite, needs
from praval_storage.testing.memory import InMemoryProvider

ATTEMPTS: list[tuple[type[BaseStorageProvider], Callable[[DataManager, str], object]]] = [
    (CanQuery, lambda dm, name: dm.list(name)),
    (CanQuery, lambda dm, name: dm.iter_query(name)),
    (CanSearch, lambda dm, name: dm.search(name, [1.0, 0.0, 0.0, 0.0])),
    (HasVectors, lambda dm, name: dm.vector_map(name)),
    (HasCollections, lambda dm, name: dm.store(1, name, "k", collection="other")),
    (HasCollections, lambda dm, name: dm.retrieve_by_key(name, "k", collection="other")),
    (HasCollections, lambda dm, name: dm.query(name, collection="other")),
]


class AbleProvider(InMemoryProvider, CanSearch, HasVectors, HasCollections):
    """Claims everything, for messages that name those who can."""

    metric = "cosine"
    collection = "own"

    def nearest(self, vector: Any, where: Node, limit: int) -> Neighbours:
        return Neighbours()

    def embed(self, text: str) -> Any:
        return [float(len(text))]

    def sample_vectors(self, limit: int, seed: int, keys: Sequence[str] | None = None) -> VectorSample:
        return VectorSample((), 0, 0)

    def vectors_of(self, keys: Sequence[str]) -> list[Any]:
        return [None] * len(keys)

    def with_vector(self, name: str) -> Self:
        return self

    def collections(self) -> list[str]:
        return ["own"]

    def in_collection(self, name: str) -> Self:
        return self


class ProviderTests(Suite):
    """Everything that is not about records."""

    @pytest.mark.parametrize("capability, attempt", ATTEMPTS)
    def test_what_is_absent_is_refused_and_the_able_are_named(
        self,
        dm: DataManager,
        provider: BaseStorageProvider,
        storage_type: str,
        capability: type[BaseStorageProvider],
        attempt: Callable[[DataManager, str], object],
    ) -> None:
        dm.register_provider("able", AbleProvider())
        if isinstance(provider, capability):
            assert capability.__abstractmethods__, "a capability is one or two hooks"
            return
        with pytest.raises(UnsupportedOperationError, match=f"{storage_type}.*cannot.*able") as caught:
            attempt(dm, storage_type)
        assert isinstance(caught.value, NotImplementedError)
        assert caught.value.provider == storage_type
        dm.unregister_provider("able")
        with pytest.raises(UnsupportedOperationError, match="none"):
            attempt(dm, storage_type)

    def test_the_methods_of_the_guide(self, provider: BaseStorageProvider) -> None:
        result = provider.store("k", {"n": 1}, {"kind": "x"})
        assert isinstance(result, StorageResult)
        assert (result.success, result.key, result.error) == (True, "k", None)
        assert provider.retrieve("k") == {"n": 1}
        assert provider.store("k", {"n": 2}, {}).success
        assert provider.retrieve("k") == {"n": 2}
        assert provider.delete("k") is True
        assert provider.delete("k") is False
        with pytest.raises(LookupError):
            provider.retrieve("k")

    @needs(CanQuery)
    def test_the_query_method_of_the_guide(self, provider: BaseStorageProvider) -> None:
        for number in range(5):
            provider.store(f"k{number}", {"n": number}, {"even": number % 2 == 0})
        assert provider.query({"n": 3}, 10) == [{"n": 3}]
        assert sorted(found["n"] for found in provider.query({"metadata.even": True}, 10)) == [0, 2, 4]
        assert len(provider.query({}, 2)) == 2
        assert len(provider.query({}, None)) == 5

    @needs(RecordProvider)
    def test_a_provider_used_directly_checks_keys(self, provider: BaseStorageProvider) -> None:
        for attempt in (lambda: provider.store("../x", 1, {}), lambda: provider.retrieve("a//b")):
            with pytest.raises(InvalidKeyError, match="segment"):
                attempt()
        with pytest.raises(InvalidKeyError, match="is empty"):
            provider.delete("")

    def test_closing_is_not_the_end(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        reference = dm.store({"n": 1}, storage_type, "k")
        provider.close()
        provider.close()
        assert provider.store("after", 2, {}).success
        dm.close()
        assert dm.store(3, storage_type, "again") != reference
        assert dm.retrieve(reference) == {"n": 1}

    def test_it_is_a_context_manager(self, provider: BaseStorageProvider) -> None:
        with provider as entered:
            assert entered is provider
            provider.store("k", 1, {})
        assert provider.retrieve("k") == 1

    def test_a_pickle_of_it_is_its_configuration(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        reference = dm.store({"n": 1}, storage_type, "k")
        try:
            pickled = pickle.dumps(provider)
        except (TypeError, pickle.PicklingError, ConfigurationError) as error:
            pytest.skip(f"{type(provider).__name__} does not claim to be picklable: {error}")
        assert len(pickled) < 10_000
        provider.close()
        with DataManager({storage_type: pickle.loads(pickled)}) as again:  # noqa: S301 - our own
            assert again.retrieve(reference) == {"n": 1}

    def test_it_is_up(self, dm: DataManager, storage_type: str) -> None:
        health = dm.health(storage_type)[storage_type]
        assert health.status == "up"
        assert health.seconds >= 0

    def test_its_repr_is_short_and_without_secrets(self, provider: BaseStorageProvider) -> None:
        text = repr(provider)
        assert type(provider).__name__ in text
        assert "\n" not in text
        assert len(text) < 300
        assert not [secret for secret in provider.secrets() if secret in text]

    def test_errors_say_where_and_never_a_secret(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        for operation, error in failures(dm, storage_type):
            assert (error.provider, error.operation, error.key) == (storage_type, operation, "not there")
            assert repr(storage_type) in str(error)
            assert "'not there'" in str(error)
            assert operation in str(error)
            assert not [secret for secret in provider.secrets() if secret in str(error)]


def failures(dm: DataManager, storage_type: str) -> Iterator[tuple[str, StorageError]]:
    """Errors of several operations on a key that is not there."""
    attempts: dict[str, Callable[[], object]] = {
        "retrieve": lambda: dm.retrieve_by_key(storage_type, "not there"),
        "copy": lambda: dm.copy(f"praval://{storage_type.replace(' ', '%20')}/not%20there", storage_type),
    }
    for operation, attempt in attempts.items():
        with pytest.raises(KeyNotFoundError) as caught:
            attempt()
        yield operation, caught.value
    [outcome] = dm.retrieve_many([f"praval://{storage_type.replace(' ', '%20')}/not%20there"])
    assert outcome.error is not None
    yield "retrieve_many", outcome.error
