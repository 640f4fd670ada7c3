"""Lost connections, health, statistics and logs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import pytest
from custom_provider import MyCustomProvider
from tiny_providers import Tracked

from praval_storage import (
    BaseStorageProvider,
    ConfigurationError,
    DataManager,
    KeyNotFoundError,
    ProviderNotRegisteredError,
    StorageConnectionError,
    StorageError,
)
from praval_storage.testing import InMemoryProvider


@pytest.fixture
def dm() -> Iterator[DataManager]:
    with DataManager({"first": InMemoryProvider(), "second": InMemoryProvider()}) as manager:
        yield manager


def lost() -> ConnectionError:
    return ConnectionError("the line is dead")


def test_a_lost_connection_is_tried_once_more_if_it_has_worked_before() -> None:
    provider = Tracked()
    manager = DataManager({"remote": provider})
    reference = manager.store(1, "remote", "k")
    provider.failures = [lost()]
    assert manager.retrieve(reference) == 1
    provider.failures = [lost()]
    assert manager.store(2, "remote", "k") == reference
    provider.failures = [lost(), lost()]
    with pytest.raises(StorageConnectionError, match="the line is dead"):
        manager.retrieve(reference)
    assert manager.retrieve(reference) == 2


def test_a_connection_that_never_worked_is_not_tried_again() -> None:
    provider = Tracked(lost(), lost())
    manager = DataManager({"remote": provider})
    with pytest.raises(StorageConnectionError, match=r"the line is dead.*'remote', store, key 'k'"):
        manager.store(1, "remote", "k")
    assert provider.calls == 1


def test_what_would_mean_something_else_is_not_tried_again() -> None:
    provider = Tracked()
    manager = DataManager({"remote": provider})
    manager.store(1, "remote", "k")
    provider.failures, provider.calls = [lost()], 0
    with pytest.raises(StorageConnectionError):
        manager.store(2, "remote", "new", overwrite=False)
    provider.failures, calls = [RuntimeError("a bug")], provider.calls
    with pytest.raises(StorageError, match="a bug"):
        manager.retrieve_by_key("remote", "k")
    assert (provider.calls, calls) == (2, 1)


def test_a_server_that_has_gone_is_not_asked_for_every_chunk() -> None:
    provider = Tracked()
    manager = DataManager({"remote": provider})
    manager.store(1, "remote", "k")
    provider.failures, provider.calls = [lost() for _ in range(100)], 0
    outcomes = manager.store_many(range(5_000), "remote")
    assert len(outcomes) == 5_000
    assert {type(outcome.error) for outcome in outcomes} == {StorageConnectionError}
    assert provider.calls == 2


def test_health_says_who_is_down_and_why(dm: DataManager) -> None:
    class Down(InMemoryProvider):
        def health(self) -> str:
            raise ConnectionError("nobody listens")

    def broken() -> InMemoryProvider:
        raise OSError("no such device")

    dm.register_provider("down", Down())
    dm.register_provider("broken", broken)
    health = dm.health()
    assert {name: found.status for name, found in health.items()} == {
        "first": "up",
        "second": "up",
        "down": "down",
        "broken": "down",
    }
    assert "nobody listens" in health["down"].detail
    assert "no such device" in health["broken"].detail
    assert list(dm.health("second")) == ["second"]
    assert "not registered" in dm.health("nowhere")["nowhere"].detail


def test_purging_reaches_those_that_can(dm: DataManager) -> None:
    dm.register_provider("custom", MyCustomProvider({}))
    assert dm.purge_expired() == {"first": 0, "second": 0}
    assert dm.purge_expired("second") == {"second": 0}
    with pytest.raises(ProviderNotRegisteredError):
        dm.purge_expired("nowhere")


def test_statistics_count_calls_and_failures(dm: DataManager) -> None:
    assert dm.statistics() == {}
    dm.store_many([1, 2, 3], "first")
    for _ in range(2):
        dm.store(1, "first", "k")
    with pytest.raises(KeyNotFoundError):
        dm.retrieve_by_key("first", "missing")
    counted = {name: (entry.calls, entry.failures) for name, entry in dm.statistics().items()}
    assert counted == {
        ("first", "store_many"): (1, 0),
        ("first", "store"): (2, 0),
        ("first", "retrieve"): (1, 1),
    }
    assert all(entry.seconds > 0 for entry in dm.statistics().values())


def test_another_provider_under_a_name_is_judged_by_its_own_calls() -> None:
    provider = Tracked()
    manager = DataManager({"remote": provider})
    provider.failures = [lost()]
    with pytest.raises(StorageConnectionError):
        manager.store(1, "remote", "k")
    assert manager.providers.calls("remote").last.status == "down"
    manager.register_provider("remote", InMemoryProvider())
    calls = manager.providers.calls("remote")
    assert (calls.last.status, calls.error, calls.age, calls.has_answered) == ("unknown", "", None, False)
    manager.store(1, "remote", "k")
    assert (calls.last.status, manager.statistics()["remote", "store"].calls) == ("up", 2)


def test_calls_are_logged_without_data(dm: DataManager, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "praval_storage"):
        dm.store("a private text", "first", "k")
        dm.retrieve_by_key("first", "missing", default=None)
    assert "first store 'k': ok" in caplog.text
    assert "first retrieve 'missing': failed" in caplog.text
    assert "private" not in caplog.text


class _MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class _Odd(MyCustomProvider):
    """Fails in ways that make telling of it fail."""

    errors: ClassVar = {}

    def __init__(self, error: Exception, secrets: Callable[[], Iterable[str]]) -> None:
        super().__init__({})
        self.error, self._secrets = error, secrets

    def health(self) -> str:
        raise self.error

    def secrets(self) -> Iterable[str]:
        return self._secrets()


def _broken() -> Iterator[str]:
    yield from ()
    raise RuntimeError("no secrets")


@pytest.mark.parametrize(
    "error, secrets, expected",
    [
        (_MuteError(), tuple, "str() failed"),
        (ValueError("s3cret x"), lambda: [None, "", "s3cret"], "*** x"),
        (ValueError("s3cret x"), _broken, "is not shown"),
    ],
)
@pytest.mark.parametrize("table", [{}, BaseStorageProvider.errors])
def test_whatever_a_provider_fails_with_health_and_doctor_say_so(
    error: Exception, secrets: Any, expected: str, table: Any
) -> None:
    provider = _Odd(error, secrets)
    type(provider).errors = table
    manager = DataManager({"odd": provider})
    for found in (manager.health()["odd"].detail, manager.doctor()["odd"].reason):
        assert expected in found
        assert "s3cret" not in found


def test_a_function_that_gives_no_provider_says_so() -> None:
    manager = DataManager()
    manager.register_provider("fw", lambda: 5)  # type: ignore[arg-type, return-value]
    with pytest.raises(ConfigurationError, match="'fw' gives no provider, but int"):
        manager.store(1, "fw", "k")
    assert "gives no provider" in manager.health()["fw"].detail

    def mute() -> BaseStorageProvider:
        raise _MuteError

    manager.register_provider("mute", mute)
    assert "str() failed" in manager.health()["mute"].detail


def test_a_store_that_says_nothing_is_told_what_it_should_say() -> None:
    class Silent(MyCustomProvider):
        def store(self, key: str, data: Any, metadata: dict[str, Any]) -> Any:
            super().store(key, data, metadata)

    manager = DataManager({"silent": Silent({})})
    with pytest.raises(StorageError, match=r"must return a StorageResult, not NoneType.*'silent'"):
        manager.store(1, "silent", "k")
    [outcome] = manager.store_many([1], "silent")
    assert "StorageResult" in str(outcome.error)
