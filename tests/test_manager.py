"""``DataManager``: registering providers, early mistakes, copying and moving, collections."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Any, BinaryIO

import numpy as np
import pytest
from custom_provider import MyCustomProvider
from tiny_providers import Cupboard, Stuck, Tracked, Untouchable, record

from praval_storage import (
    CanStream,
    ConfigurationError,
    DataManager,
    DataReference,
    ProviderNotRegisteredError,
    StorageConnectionError,
    StorageError,
    UnsupportedOperationError,
)
from praval_storage.registry import provider_class
from praval_storage.testing import InMemoryProvider


@pytest.fixture
def dm() -> Iterator[DataManager]:
    with DataManager({"first": InMemoryProvider(), "second": InMemoryProvider()}) as manager:
        yield manager


# -- registering


def test_the_message_of_the_guide_for_a_missing_provider(dm: DataManager) -> None:
    with pytest.raises(StorageError, match="Provider 'postgresql' not registered") as caught:
        dm.store({"a": 1}, "postgresql")
    assert "first, second" in str(caught.value)
    assert "dm.register_provider('postgresql', provider)" in str(caught.value)
    assert isinstance(caught.value, ProviderNotRegisteredError)


@pytest.mark.parametrize("name", ["First", "firts", "FIRST", "first_"])
def test_a_name_that_is_nearly_right_is_asked_about(dm: DataManager, name: str) -> None:
    for work in (lambda: dm.query(name), lambda: dm.store(1, name), lambda: dm[name]):
        with pytest.raises(ProviderNotRegisteredError, match="Did you mean 'first'") as caught:
            work()
        assert "register_provider" not in str(caught.value)
    with pytest.raises(
        ProviderNotRegisteredError, match=r"Did you mean 'postgresql'\? Known providers: files"
    ):
        provider_class("postgres")


def test_registering_adds_and_replaces_and_closes(dm: DataManager) -> None:
    old, new = Tracked(), Tracked()
    dm.register_provider("third", old)
    dm.store(1, "third", "k")
    dm.register_provider("third", new)
    assert (old.closed, new.closed) == (1, 0)
    assert dm.providers["third"] is new
    assert not dm.exists_by_key("third", "k")
    assert list(dm.providers) == ["first", "second", "third"]
    dm.unregister_provider("third")
    assert new.closed == 1
    assert "third" not in dm.providers
    with pytest.raises(ProviderNotRegisteredError, match="'third' not registered"):
        dm.unregister_provider("third")


@pytest.mark.parametrize("wrong", [{"a": 1}, ["memory"], np.zeros(3), 7, None])
def test_what_is_no_name_is_told_from_data(dm: DataManager, wrong: Any) -> None:
    for call in (lambda: dm.store("memory", wrong), lambda: dm.query(wrong), lambda: dm.search(wrong, [1.0])):
        with pytest.raises(ConfigurationError, match="order of the arguments") as caught:
            call()
        assert type(wrong).__name__ in str(caught.value)


@pytest.mark.parametrize("name", ["", " ", "a\nb", 7, None])
def test_a_storage_type_is_printable(dm: DataManager, name: Any) -> None:
    with pytest.raises(ConfigurationError, match="printable"):
        dm.register_provider(name, InMemoryProvider())


@pytest.mark.parametrize("provider", [InMemoryProvider, "filesystem", 7, []])
def test_a_provider_is_an_instance(dm: DataManager, provider: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"Cannot register .* BaseStorageProvider"):
        dm.register_provider("third", provider)


def test_a_provider_may_be_named_with_its_settings_or_those_of_the_environment(
    dm: DataManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dm.register_provider("filesystem", {"base_path": tmp_path / "given", "pretty_json": True})
    dm.store({"n": 1}, "filesystem", "k.json")
    assert (tmp_path / "given" / "k.json").read_text() == '{\n  "n": 1\n}'
    monkeypatch.setenv("PRAVAL_STORAGE_PATH", str(tmp_path / "named"))
    dm.register_provider("filesystem")
    dm.store({"n": 1}, "filesystem", "k.json")
    assert (tmp_path / "named" / "k.json").is_file()


@pytest.mark.parametrize(
    "name, settings, error, words",
    [
        ("first", {"base_pth": 1}, ProviderNotRegisteredError, ["'first'", "Known providers: filesystem"]),
        ("filesystem", {"base_pth": 1}, ConfigurationError, ["'base_pth'", "base_path"]),
        ("filesystem", {"base_path": 3.5}, ConfigurationError, ["'filesystem' cannot be made", "float"]),
        ("s3", None, ConfigurationError, ["AWS_S3_BUCKET"]),
    ],
)
def test_what_cannot_be_made_is_refused_at_once_and_changes_nothing(
    dm: DataManager, name: str, settings: Any, error: type[Exception], words: list[str]
) -> None:
    before = dict(dm.providers)
    with pytest.raises(error) as caught:
        dm.register_provider(name, settings)
    assert [word for word in words if word not in str(caught.value)] == []
    assert dict(dm.providers) == before


def test_a_factory_is_called_once_and_only_when_needed(dm: DataManager) -> None:
    made: list[Tracked] = []

    def make() -> Tracked:
        made.append(Tracked())
        return made[-1]

    dm.register_provider("lazy", make)
    assert "lazy" in dm.providers
    assert all(name in repr(dm) for name in ("DataManager", "first", "second", "lazy"))
    dm.store(1, "first")
    assert made == []
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: dm.store(n, "lazy"), range(16)))
    assert len(made) == 1
    dm.close()
    assert made[0].closed == 1


def test_a_factory_that_fails_is_tried_again(dm: DataManager) -> None:
    attempts = [ConfigurationError("no address"), None]

    def make() -> InMemoryProvider:
        if error := attempts.pop(0):
            raise error
        return InMemoryProvider()

    dm.register_provider("lazy", make)
    with pytest.raises(ConfigurationError, match="no address"):
        dm.store(1, "lazy", "k")
    assert dm.retrieve(dm.store(1, "lazy", "k")) == 1


def test_a_manager_closes_its_providers_and_works_again() -> None:
    provider = Tracked()
    with DataManager({"a": provider}) as manager:
        reference = manager.store(1, "a")
    assert provider.closed == 1
    assert manager.retrieve(reference) == 1


def test_one_that_cannot_be_closed_keeps_no_other_open() -> None:
    first, second, last = Stuck(), Stuck(), Tracked()
    manager = DataManager({"first": first, "second": second, "last": last})
    with pytest.raises(StorageError, match=r"RuntimeError: stuck \(provider 'first', close\)"):
        manager.close()
    assert (first.closed, second.closed, last.closed) == (1, 1, 1)


def test_one_that_cannot_be_closed_is_replaced_or_forgotten() -> None:
    manager, new = DataManager({"name": Stuck()}), Stuck()
    with pytest.raises(StorageError, match="stuck"):
        manager.register_provider("name", new)
    assert manager.providers["name"] is new
    with pytest.raises(StorageError, match="stuck"):
        manager.unregister_provider("name")
    assert "name" not in manager.providers


def test_closing_keeps_nobody_waiting() -> None:
    closing, done = Event(), Event()

    class Slow(InMemoryProvider):
        def close(self) -> None:
            closing.set()
            done.wait(60)

    manager = DataManager({"slow": Slow()})
    with ThreadPoolExecutor(2) as threads:
        end = threads.submit(manager.close)
        closing.wait(60)
        try:
            threads.submit(manager.register_provider, "other", InMemoryProvider()).result(60)
            assert manager.store(1, "other", "k")
            assert not end.done()
        finally:
            done.set()


# -- before any I/O


def test_mistakes_are_found_before_a_provider_is_asked() -> None:
    manager = DataManager({"none": Untouchable()})
    mistakes: list[Any] = [
        lambda: manager.store(1, "none", "a//b"),
        lambda: manager.store(1, "none", "k", ttl=-1),
        lambda: manager.store(1, "none", "k", "metadata"),  # type: ignore[arg-type]
        lambda: manager.retrieve_by_key("none", "../k"),
        lambda: manager.exists_by_key("none", ""),
        lambda: manager.delete_by_key("none", "k\x00"),
        lambda: manager.query("none", {"a": {"$gtt": 1}}),
        lambda: manager.query("none", {}, limit=-1),
        lambda: manager.query("none", {}, order_by="a..b"),
        lambda: manager.search("none", [1.0], filters={"$nor": []}),
        lambda: manager.search("none", [1.0], limit=0),
        lambda: manager.retrieve_many([7]),  # type: ignore[list-item]
        lambda: manager.delete_many([DataReference("none", "k"), None]),  # type: ignore[list-item]
        lambda: manager.store_many("text", "none"),
    ]
    for mistake in mistakes:
        with pytest.raises(ValueError, match=r"\w"):
            mistake()


def test_numpy_integers_are_limits(dm: DataManager) -> None:
    dm.store_many(range(5), "first")
    assert len(dm.query("first", limit=np.int64(3))) == 3  # type: ignore[arg-type]


def test_numpy_numbers_are_times_to_live(dm: DataManager) -> None:
    for ttl in (np.int64(60), np.float32(60)):
        assert record(dm, dm.store(1, "first", "k", ttl=ttl)).expires_at is not None  # type: ignore[arg-type]


# -- copying and moving


def test_a_record_moves_between_providers_as_it_is(dm: DataManager) -> None:
    when = datetime(2025, 1, 15, tzinfo=UTC)
    reference = dm.store({"when": when, "pair": (1, 2)}, "first", "k", {"at": when}, ttl=600)
    before = record(dm, reference)
    moved = dm.move(reference, "second", key="new")
    after = record(dm, moved)
    assert not dm.exists(reference)
    assert moved == DataReference("second", "new")
    assert moved.metadata == {"at": when}
    assert moved.created_at == before.created_at
    assert (after.data, after.metadata) == ({"when": when, "pair": (1, 2)}, {"at": when})
    assert (after.created_at, after.expires_at) == (before.created_at, before.expires_at)


def test_a_copy_keeps_the_format(dm: DataManager) -> None:
    reference = dm.store({"a": 1}, "first", "notes", format="json")
    assert record(dm, dm.copy(reference, "second", key="notes.txt")).format == "json"


def test_records_go_to_and_come_from_simple_providers(dm: DataManager) -> None:
    dm.register_provider("custom", MyCustomProvider({}))
    there = dm.copy(dm.store({"pair": (1, 2)}, "first", "k", {"a": 1}), "custom")
    assert dm.retrieve(there) == {"pair": (1, 2)}
    back = dm.copy(there, "second")
    assert dm.retrieve(back) == {"pair": (1, 2)}
    expiring = dm.store(1, "first", "expiring", ttl=600)
    with pytest.raises(UnsupportedOperationError, match="keeps no expiry"):
        dm.move(expiring, "custom")
    assert dm.exists(expiring)


def test_a_failed_move_leaves_the_original(dm: DataManager) -> None:
    dm.register_provider("broken", Tracked(OSError("disk full")))
    reference = dm.store(1, "first", "k")
    with pytest.raises(StorageError, match="disk full"):
        dm.move(reference, "broken")
    assert dm.retrieve(reference) == 1


@pytest.mark.parametrize("named", [None, "own"])
def test_moving_onto_itself_loses_nothing(named: str | None) -> None:
    manager = DataManager({"cupboard": Cupboard()})
    reference = manager.store(1, "cupboard", "k")
    assert manager.retrieve(manager.move(reference, "cupboard", collection=named)) == 1
    assert manager.retrieve(reference) == 1


# -- collections


def test_a_bound_provider_is_made_once_and_closed_with_its_own() -> None:
    cupboard = Cupboard()
    manager = DataManager({"cupboard": cupboard})
    reference = manager.store(1, "cupboard", "k", collection="drawer")
    assert manager.query("cupboard", collection="drawer") == [1]
    assert manager.retrieve(reference.uri) == 1
    drawer = cupboard.drawers["drawer"]
    manager.unregister_provider("cupboard")
    assert (cupboard.closed, drawer.closed) == (1, 1)


# -- bodies into files


class Torn(InMemoryProvider, CanStream):
    """Breaks off in the middle of a body."""

    def open(self, key: str) -> BinaryIO:
        return Breaking(b"half of it")


class Breaking(BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        return super().read(size) or self._break()

    def _break(self) -> bytes:
        raise ConnectionError("reset by peer")


def test_a_broken_read_leaves_what_was_in_the_file(tmp_path: Path) -> None:
    manager = DataManager({"torn": Torn()})
    target = tmp_path / "target"
    target.write_bytes(b"before")
    with pytest.raises(StorageConnectionError, match="reset by peer"):
        manager.retrieve("praval://torn/k", into=target)
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_target_that_cannot_be_written_is_no_fault_of_the_provider(dm: DataManager, tmp_path: Path) -> None:
    reference = dm.store(b"abc", "first", "k")
    with pytest.raises(FileNotFoundError):
        dm.retrieve(reference, into=tmp_path / "nowhere" / "target")
    assert dm.retrieve(reference, into=str(tmp_path / "target")) == str(tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"abc"
