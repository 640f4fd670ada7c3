"""Lost connections, health, statistics and logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from custom_provider import MyCustomProvider
from tiny_providers import Tracked

from praval_storage import (
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
