"""Batches of the manager, and what it makes of simple providers' results and errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from custom_provider import MyCustomProvider, MyQueryableProvider
from tiny_providers import Careless, Cupboard, Reporting, Tracked, record

from praval_storage import (
    ConfigurationError,
    DataManager,
    DataReference,
    InvalidKeyError,
    ProviderNotRegisteredError,
    StorageError,
    StorageResult,
    StorageTimeoutError,
    UnsupportedOperationError,
    batches,
)
from praval_storage.testing import InMemoryProvider


@pytest.fixture
def dm() -> Iterator[DataManager]:
    with DataManager({"first": InMemoryProvider(), "second": InMemoryProvider()}) as manager:
        yield manager


# -- batches


def test_batches_over_several_providers_keep_the_order(dm: DataManager) -> None:
    dm.register_provider("cupboard", Cupboard())
    references = [
        dm.store(n, name, f"k{n}", collection="drawer" if name == "cupboard" else None)
        for n, name in enumerate(["second", "first", "cupboard", "second", "first"])
    ]
    nowhere = DataReference("nowhere", "k")
    found = dm.retrieve_many([*references[:2], nowhere, references[2].uri, *references[3:]])
    assert found.values == [0, 1, None, 2, 3, 4]
    assert isinstance(found[2].error, ProviderNotRegisteredError)
    assert found[2].key == "k"
    gone = dm.delete_many([references[4], nowhere, *references[:4]])
    assert gone.values == [True, None, True, True, True, True]
    assert not any(dm.exists(reference) for reference in references)


@pytest.mark.parametrize("operation", ["retrieve_many", "delete_many"])
def test_a_batch_of_references_reports_illegal_keys_too(dm: DataManager, operation: str) -> None:
    dm.store(1, "first", "k")
    outcomes = getattr(dm, operation)([DataReference("first", "a//b"), DataReference("first", "k")])
    assert isinstance(outcomes[0].error, InvalidKeyError)
    assert outcomes[1].ok


@pytest.mark.parametrize("operation", ["retrieve_many", "delete_many"])
def test_one_reference_is_no_batch(dm: DataManager, operation: str) -> None:
    one = dm.store(1, "first", "k")
    for given in (one, one.uri):
        with pytest.raises(ConfigurationError, match=rf"{operation} takes several.* use {operation[:-5]}$"):
            getattr(dm, operation)(given)
    assert dm.exists(one)


def test_batches_take_generators_and_mappings(dm: DataManager) -> None:
    outcomes = dm.store_many(
        (n * n for n in range(3)), "first", (f"k{n}" for n in range(3)), ({"n": n} for n in range(3))
    )
    assert outcomes.references == [DataReference("first", f"k{n}") for n in range(3)]
    assert [record(dm, reference).metadata for reference in outcomes.references] == [
        {"n": n} for n in range(3)
    ]
    assert dm.retrieve_many(reference for reference in outcomes.references).values == [0, 1, 4]
    assert dm.store_many({"a": 1, "b": 2}, "second").references == [
        DataReference("second", "a"),
        DataReference("second", "b"),
    ]
    with pytest.raises(ConfigurationError, match="brings its own keys"):
        dm.store_many({"a": 1}, "second", ["b"])


@pytest.mark.parametrize(
    "keys, metadata",
    [(["a", "b"], None), (["a"] * 4, None), (None, [{}] * 2), (None, [{}] * 4), (["a"] * 3, [{}, {}])],
)
def test_batches_of_different_lengths_are_refused(
    dm: DataManager, keys: list[str | None] | None, metadata: list[dict[str, Any]] | None
) -> None:
    with pytest.raises(ConfigurationError, match="different numbers of values, keys or metadata"):
        dm.store_many([1, 2, 3], "first", keys, metadata)


@pytest.mark.parametrize("data", ["text", b"bytes", 7, None])
def test_a_batch_is_several_values(dm: DataManager, data: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"iterable of values, not {type(data).__name__}"):
        dm.store_many(data, "first")


def test_the_error_of_a_batch_item_names_the_storage_type(dm: DataManager) -> None:
    dm.store(1, "first", "k")
    [stored] = dm.store_many([2], "first", ["k"], overwrite=False)
    [missing] = dm.retrieve_many([DataReference("first", "missing")])
    for outcome in (stored, missing):
        assert outcome.error is not None
        assert outcome.error.provider == "first"


# -- what a simple provider returns and raises


@pytest.mark.parametrize(
    "error, message",
    [(OSError("disk full"), "disk full"), ("disk full", "disk full"), (None, "without a reason")],
)
def test_a_failure_that_is_reported_is_raised(error: Exception | str | None, message: str) -> None:
    manager = DataManager({"reporting": Reporting(error)})
    with pytest.raises(StorageError, match=message) as caught:
        manager.store(1, "reporting", "bad")
    assert (caught.value.provider, caught.value.key) == ("reporting", "bad")


@pytest.mark.parametrize("error", [OSError("disk full"), "disk full", None])
def test_a_failure_that_is_reported_stops_no_batch(error: Exception | str | None) -> None:
    manager = DataManager({"reporting": Reporting(error)})
    outcomes = manager.store_many([1, 2, 3], "reporting", ["a", "bad", "b"])
    assert [outcome.ok for outcome in outcomes] == [True, False, True]
    assert isinstance(outcomes[1].error, StorageError)
    assert manager.retrieve_by_key("reporting", "b") == 3


@pytest.mark.parametrize("operation", ["retrieve_many", "delete_many"])
def test_a_failure_with_one_key_is_not_that_of_the_others(operation: str) -> None:
    manager = DataManager({"careless": Careless({})})
    manager.store_many({"a": 1, "bad": 2, "b": 3}, "careless")
    outcomes = getattr(manager, operation)([DataReference("careless", key) for key in ("a", "bad", "b")])
    assert [outcome.ok for outcome in outcomes] == [True, False, True]
    assert "tripped over it" in str(outcomes[1].error)
    assert outcomes[1].error.key == "bad"


def test_deleting_a_missing_key_is_false_however_the_provider_says_it() -> None:
    manager = DataManager({"careless": Careless({})})
    assert manager.delete_by_key("careless", "missing") is False


def test_a_drivers_error_becomes_ours_without_the_secret() -> None:
    class Guarded(MyCustomProvider):
        def retrieve(self, key: str) -> Any:
            raise PermissionError("login with password hunter2 refused")

        def secrets(self) -> list[str]:
            return ["hunter2"]

    manager = DataManager({"guarded": Guarded({})})
    with pytest.raises(
        PermissionError, match=r"password \*\*\* refused.*'guarded', retrieve, key 'k'"
    ) as caught:
        manager.retrieve_by_key("guarded", "k")
    assert isinstance(caught.value, StorageError)
    assert isinstance(caught.value.__cause__, PermissionError)


def test_the_guides_query_gives_values_without_keys() -> None:
    manager = DataManager({"custom": MyQueryableProvider({}), "able": InMemoryProvider()})
    manager.store_many(
        [{"n": n} for n in range(5)], "custom", metadata=[{"even": n % 2 == 0} for n in range(5)]
    )
    assert manager.query("custom", {"n": {"$gt": 3}}) == [{"n": 4}]
    result = manager.query("custom", {"metadata.even": True}, limit=2)
    assert (list(result), result.truncated) == ([{"n": 0}, {"n": 2}], True)
    assert len(manager.query("custom", limit=None)) == 5
    with pytest.raises(UnsupportedOperationError, match="cannot be ordered"):
        manager.query("custom", order_by="n")
    with pytest.raises(UnsupportedOperationError, match=r"these can: able$"):
        manager.list("custom")


def test_what_cannot_be_made_does_not_stand_in_for_what_cannot_be_done() -> None:
    made: list[str] = []
    manager = DataManager({"custom": MyCustomProvider({}), "able": InMemoryProvider()})
    manager.register_provider("lazy", lambda: made.append("lazy") or InMemoryProvider())  # type: ignore[func-returns-value]
    with pytest.raises(UnsupportedOperationError, match=r"can: able; not used yet, so not known: lazy$"):
        manager.list("custom")
    assert not made


@pytest.mark.parametrize("failure", [ConnectionError, TimeoutError])
@pytest.mark.parametrize("what", ["store_many", "retrieve_many", "delete_many"])
def test_a_server_that_has_gone_or_hangs_is_not_asked_again_for_what_is_left(
    monkeypatch: pytest.MonkeyPatch, what: str, failure: type[Exception]
) -> None:
    class Leaving(Tracked):
        def remove(self, keys: Sequence[str]) -> list[bool]:
            self._fail()
            return super().remove(keys)

    monkeypatch.setattr(batches, "CHUNK", 2)
    provider = Leaving(failure("nobody there"))
    manager = DataManager({"remote": provider})
    keys = [f"k{number}" for number in range(6)]
    if what == "store_many":
        outcomes = manager.store_many(dict.fromkeys(keys, 1), "remote")
    else:
        outcomes = getattr(manager, what)([DataReference("remote", key) for key in keys])
    assert provider.calls == 1
    assert [outcome.key for outcome in outcomes] == keys
    assert [str(outcome.error).count("nobody there") for outcome in outcomes] == [1] * 6


def test_a_simple_provider_that_hangs_is_asked_once_and_its_error_names_one_key() -> None:
    asked: list[str] = []

    class Hanging(MyCustomProvider):
        def store(self, key: str, data: Any, metadata: dict[str, Any]) -> StorageResult:
            asked.append(key)
            raise TimeoutError("no answer")

        def retrieve(self, key: str) -> Any:
            asked.append(key)
            raise TimeoutError("no answer")

    manager = DataManager({"plain": Hanging({})})
    for outcomes in (
        manager.store_many({"a": 1, "b": 2, "c": 3}, "plain"),
        manager.retrieve_many([DataReference("plain", key) for key in "abc"]),
    ):
        errors = [outcome.error for outcome in outcomes]
        assert [isinstance(error, StorageTimeoutError) and error.key for error in errors] == ["a", None, None]
    assert asked == ["a", "a"]
