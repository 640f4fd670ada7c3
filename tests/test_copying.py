"""Copying and moving between every two providers: one record, many, and what can go wrong on the way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from threading import Barrier
from typing import Any

import pytest
from backends import BACKENDS, make
from custom_provider import MyCustomProvider, MyQueryableProvider
from tiny_providers import Careless, Cupboard

from praval_storage import (
    BaseStorageProvider,
    ConfigurationError,
    DataManager,
    DataReference,
    InvalidKeyError,
    KeyExistsError,
    KeyNotFoundError,
    ProviderNotRegisteredError,
    StorageConnectionError,
    StorageError,
    StorageResult,
    UnsupportedOperationError,
    providers,
)
from praval_storage.base import Item
from praval_storage.records import Stored
from praval_storage.testing import InMemoryProvider
from praval_storage.testing.values import ROUND_TRIP_VALUES

RECORDS = [*BACKENDS, "memory"]
EVERYBODY = [*RECORDS, "custom"]
METADATA = {"at": datetime(2025, 1, 15, tzinfo=UTC), "pair": (1, 2.0), "text": "Grüße, 世界 🦜", "n": None}


def provider_of(name: str, request: pytest.FixtureRequest) -> BaseStorageProvider:
    if name == "memory":
        return InMemoryProvider()
    return MyCustomProvider({}) if name == "custom" else make(name, request)


@pytest.fixture(scope="module")
def filled(request: pytest.FixtureRequest) -> Callable[[str], BaseStorageProvider]:
    """A provider with every value of ``testing.values``, filled when first asked for."""
    made: dict[str, BaseStorageProvider] = {}

    def get(name: str) -> BaseStorageProvider:
        if name not in made:
            made[name] = provider_of(name, request)
            request.addfinalizer(made[name].close)
            values = {f"values/{place:03}": each.value for place, each in enumerate(ROUND_TRIP_VALUES)}
            DataManager({name: made[name]}).store_many(values, name, metadata=METADATA).raise_for_errors()
        return made[name]

    return get


@pytest.fixture
def dm() -> Iterator[DataManager]:
    with DataManager({"first": InMemoryProvider(), "second": InMemoryProvider()}) as manager:
        yield manager


# -- between every two


@pytest.mark.parametrize("target", EVERYBODY)
@pytest.mark.parametrize("source", EVERYBODY)
def test_every_value_goes_from_everywhere_to_everywhere_and_only_once(
    source: str,
    target: str,
    filled: Callable[[str], BaseStorageProvider],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with provider_of(target, request) as there:
        dm = DataManager({"source": filled(source), "target": there})
        originals = [DataReference("source", f"values/{n:03}") for n in range(len(ROUND_TRIP_VALUES))]
        copies = dm.copy(originals, to="target")
        copies.raise_for_errors()
        assert copies.references == [DataReference("target", original.key) for original in originals]
        found = dm.retrieve_many(copies.references).values
        pairs = zip(ROUND_TRIP_VALUES, found, strict=True)
        assert [each.id for each, value in pairs if not each.equal(value, each.value)] == []
        monkeypatch.setattr(there, "write", None)
        again = dm.copy(originals, to="target", overwrite=False)
        again.raise_for_errors()
        assert [reference.size for reference in again.references] == [
            reference.size for reference in copies.references
        ]


@pytest.mark.parametrize("target", RECORDS)
@pytest.mark.parametrize("source", RECORDS)
def test_metadata_times_expiry_and_format_stay(
    source: str, target: str, request: pytest.FixtureRequest
) -> None:
    with DataManager({name: provider_of(name, request) for name in {source, target}}) as dm:
        stored = [
            dm.store({"when": METADATA["at"]}, source, "a/k", METADATA, ttl=600),
            dm.store({"n": 1}, source, "notes.txt", format="json"),
            dm.store(b"\x00\xff", source, "b", METADATA),
        ]
        copies = dm.copy(stored, to=target, key=lambda reference: f"new/{reference.key}")
        copies.raise_for_errors()
        before = dm.providers[source].read([reference.key for reference in stored])
        after = dm.providers[target].read([reference.key for reference in copies.references])
        for left, right, copied in zip(before, after, copies.references, strict=True):
            assert left is not None
            assert right is not None
            assert (left.format, left.created_at) == (right.format, right.created_at)
            assert about(left.expires_at) == about(right.expires_at)
            assert (copied.format, copied.created_at) == (left.format, left.created_at)
        assert [reference.metadata for reference in copies.references] == [METADATA, {}, METADATA]
        assert [record.metadata for record in dm.query(target, order_by="key").records[-3:]]
        assert dm.retrieve(copies.references[1]) == {"n": 1}


def about(moment: datetime | None) -> datetime | None:
    """To the millisecond, which is how exactly servers end records."""
    return moment and moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@pytest.mark.parametrize("target", EVERYBODY)
@pytest.mark.parametrize("source", RECORDS)
def test_records_move(source: str, target: str, request: pytest.FixtureRequest) -> None:
    with DataManager({name: provider_of(name, request) for name in {source, target}}) as dm:
        values = {f"k{n}": {"n": n, "pair": (n,)} for n in range(5)}
        dm.store_many(values, source).raise_for_errors()
        moved = dm.move(dm.query(source, order_by="key"), to=target, key=lambda old: f"new/{old.key}")
        moved.raise_for_errors()
        assert dm.retrieve_many(moved.references).values == list(values.values())
        assert not any(dm.exists_by_key(source, key) for key in values)


@pytest.mark.parametrize("name", [name for name in BACKENDS if name in {"filesystem", "s3", "fsspec-memory"}])
def test_a_file_of_others_stays_the_same_file(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    bodies = {
        "table.csv": b"code,n\r\n007,1.50\r\n",
        "settings.json": b'{ "b": 1,\n  "a": 1e3 }\n',
        "notes.txt": b"caf\xe9",
        "blob": b"\x00\xff",
    }
    for key, body in bodies.items():
        (tmp_path / key).write_bytes(body)
    files = providers.FileSystemProvider(base_path=tmp_path)
    with DataManager({"files": files, "target": provider_of(name, request)}) as dm:
        copies = dm.copy(dm.list("files", order_by="key"), to="target")
        copies.raise_for_errors()
        for reference in copies.references:
            with dm.open(reference) as body:
                assert body.read() == bodies[reference.key]
        dm.move(copies.references, to="files", key=lambda old: f"back/{old.key}").raise_for_errors()
        assert {path.name: path.read_bytes() for path in (tmp_path / "back").iterdir()} == bodies


# -- many


def test_a_result_is_copied_in_few_calls(dm: DataManager) -> None:
    dm.register_provider("counted", counted := Counted())
    dm.store_many([{"n": n} for n in range(600)], "first", [f"k{n:03}" for n in range(600)])
    result = dm.query("first", {"n": {"$lt": 512}}, limit=None, order_by="key")
    copies = dm.copy(result, to="counted")
    assert copies.references == [DataReference("counted", key) for key in result.keys]
    assert (counted.writes, counted.reads) == (512, 4)
    assert dm.query("counted", limit=None, order_by="key") == list(result)


def test_everything_that_names_records_can_be_copied(dm: DataManager) -> None:
    references = dm.store_many({"a": 1, "b": 2}, "first").references
    for source in (
        references,
        (reference.uri for reference in references),
        dm.query("first"),
        dm.list("first"),
        set(references),
    ):
        copies = dm.copy(source, to="second")
        assert {reference.key for reference in copies.references} == {"a", "b"}
        dm.delete_many(copies.references)
    assert dm.copy([], to="second") == []
    with pytest.raises(ConfigurationError, match="Expected references or a result, not int"):
        dm.copy(7, to="second")  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError, match="Expected a DataReference or its URI, not dict"):
        dm.copy([{}], to="second")  # type: ignore[list-item]


def test_a_search_is_copied_without_a_warning(request: pytest.FixtureRequest) -> None:
    with DataManager({"qdrant": provider_of("qdrant-embedded", request), "memory": InMemoryProvider()}) as dm:
        vectors = {f"p{n}": {"vector": [1.0, n / 7, 0.1], "n": n} for n in range(5)}
        dm.store_many(vectors, "qdrant").raise_for_errors()
        found = dm.search("qdrant", [1.0, 0.0, 0.1], limit=2)
        copies = dm.copy(found, to="memory")
        assert dm.retrieve_many(copies.references).values == [vectors["p0"], vectors["p1"]]
        # Vectors are searched where they go to.
        back = dm.copy(copies.references, to="qdrant", key=lambda old: f"again/{old.key}")
        back.raise_for_errors()
        assert {"again/p0", "p0"} <= set(dm.search("qdrant", [1.0, 0.0, 0.1], limit=2).keys)


def test_sources_may_be_mixed_and_keep_their_order(dm: DataManager) -> None:
    dm.register_provider("cupboard", Cupboard())
    dm.register_provider("custom", MyCustomProvider({}))
    names = ["second", "cupboard", "custom", "second", "cupboard", "custom"]
    references = [
        dm.store(n, name, f"k{n}", collection="drawer" if name == "cupboard" else None)
        for n, name in enumerate(names)
    ]
    nowhere, missing = DataReference("nowhere", "x"), DataReference("second", "missing")
    copies = dm.copy([references[0], nowhere, *references[1:4], missing, *references[4:]], to="first")
    assert [outcome.key for outcome in copies] == ["k0", "x", "k1", "k2", "k3", "missing", "k4", "k5"]
    assert [outcome.key for outcome in copies.failed] == ["x", "missing"]
    assert isinstance(copies[1].error, ProviderNotRegisteredError)
    assert isinstance(copies[5].error, KeyNotFoundError)
    assert (copies[5].error.provider, copies[5].error.operation) == ("second", "copy")
    assert dm.retrieve_many(copies.references).values == list(range(6))


def test_one_that_fails_stops_no_other(dm: DataManager) -> None:
    dm.register_provider("custom", custom := Careless({}))
    dm.store_many({"a": 1, "b": 2, "bad": 3, "c": 4}, "custom")
    copies = dm.copy([DataReference("custom", key) for key in custom.kept], to="first")
    assert [outcome.ok for outcome in copies] == [True, True, False, True]
    assert "tripped over it" in str(copies[2].error)
    dm.store(1, "first", "expiring", ttl=600)
    to_custom = dm.copy(dm.list("first", order_by="key"), to="custom", key=lambda old: f"new/{old.key}")
    assert [outcome.ok for outcome in to_custom] == [True, True, True, False]
    assert isinstance(to_custom[3].error, UnsupportedOperationError)


def test_one_that_cannot_be_read_stops_no_other_in_its_call(dm: DataManager) -> None:
    class Touchy(InMemoryProvider):
        def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
            if "bad" in keys:
                raise PermissionError("not this one")
            return super().read(keys, bodies=bodies)

    dm.register_provider("touchy", Touchy())
    dm.store_many({"a": 1, "bad": 2, "b": 3}, "touchy")
    copies = dm.copy(dm.list("touchy"), to="first")
    assert [outcome.ok for outcome in copies] == [True, False, True]
    assert isinstance(copies[1].error, PermissionError)


def test_a_server_that_has_gone_is_not_asked_for_every_chunk(dm: DataManager) -> None:
    class Gone(InMemoryProvider):
        calls = 0

        def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
            self.calls += 1
            raise ConnectionError("refused")

    dm.register_provider("gone", gone := Gone())
    dm.store_many(range(1_000), "first")
    copies = dm.copy(dm.list("first", limit=None), to="gone")
    assert (len(copies.failed), gone.calls) == (1_000, 1)
    assert isinstance(copies[999].error, StorageConnectionError)


def test_a_target_that_is_not_registered_is_said_at_once(dm: DataManager) -> None:
    with pytest.raises(ProviderNotRegisteredError, match="'s3' not registered"):
        dm.copy([], to="s3")


def test_the_keys_of_copies_are_made_by_a_function(dm: DataManager) -> None:
    references = dm.store_many({"a": 1, "b": 2, "c": 3}, "first", metadata={"team": "x"}).references
    copies = dm.copy(references, to="first", key=lambda old: f"{old.metadata['team']}/{old.key}")
    assert [reference.key for reference in copies.references] == ["x/a", "x/b", "x/c"]
    assert dm.copy(references[0], to="second", key=lambda old: old.key * 2).key == "aa"
    bad = dm.copy(references, to="second", key=lambda old: "" if old.key == "b" else old.key)
    assert [outcome.ok for outcome in bad] == [True, False, True]
    assert isinstance(bad[1].error, InvalidKeyError)
    with pytest.raises(ConfigurationError, match="cannot be that of many"):
        dm.copy(references, to="second", key="k")  # type: ignore[call-overload,unused-ignore]


def test_two_records_never_become_one(dm: DataManager) -> None:
    references = [dm.store(1, "first", "k"), dm.store(2, "second", "k")]
    dm.register_provider("third", InMemoryProvider())
    copies = dm.move(references, to="third")
    assert [outcome.ok for outcome in copies] == [True, False]
    assert isinstance(copies[1].error, KeyExistsError)
    assert "praval://first/k and praval://second/k would both become praval://third/k" in str(copies[1].error)
    assert dm.retrieve(references[1]) == 2


def test_no_copy_replaces_a_record_that_is_still_to_be_copied(dm: DataManager) -> None:
    references = dm.store_many({"a": 1, "b": 2}, "first").references
    other = {"a": "b", "b": "c"}
    copies = dm.move(references, to="first", key=lambda old: other[old.key])
    assert [outcome.ok for outcome in copies] == [False, True]
    assert dm.list("first").keys == ["a", "c"]
    assert dm.query("first") == [1, 2]


def test_the_same_record_twice_is_copied_once(dm: DataManager) -> None:
    reference = dm.store(1, "first", "k")
    moved = dm.move([reference, reference.uri, reference], to="second")
    assert [outcome.value for outcome in moved] == [DataReference("second", "k")] * 3


def test_a_result_that_was_cut_off_says_so(dm: DataManager) -> None:
    dm.store_many(range(5), "first")
    with pytest.warns(
        UserWarning, match=r"limit=3 cut .* only the 3 records .* limit=None for all"
    ) as caught:
        assert len(dm.copy(dm.query("first", limit=3), to="second")) == 3
    assert caught[0].filename == __file__
    # Whoever cuts himself knows.
    assert len(dm.copy(dm.query("first", limit=3)[:2], to="second")) == 2
    assert len(dm.copy(dm.list("first", limit=None), to="second")) == 5


def test_values_without_keys_cannot_be_copied(dm: DataManager) -> None:
    dm.register_provider("custom", MyQueryableProvider({}))
    dm.store_many([1, 2], "custom")
    with pytest.raises(UnsupportedOperationError, match="values without keys"):
        dm.copy(dm.query("custom"), to="first")


# -- again


class Counted(InMemoryProvider):
    """Counts the records that are written, and the calls that read."""

    writes = reads = 0

    def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
        self.writes += len(items)
        return super().put(items, overwrite=overwrite)

    def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
        self.reads += 1
        return super().read(keys, bodies=bodies)


def change_data(dm: DataManager) -> None:
    dm.store({"n": 1.0}, "second", "k", {"a": 1}, ttl=600)


def change_metadata(dm: DataManager) -> None:
    dm.store({"n": 1}, "second", "k", {"a": (1,)}, ttl=600)


def change_expiry(dm: DataManager) -> None:
    dm.store({"n": 1}, "second", "k", {"a": 1}, ttl=601)


def change_format(dm: DataManager) -> None:
    dm.store('{"n":1}', "second", "k", {"a": 1}, ttl=600)


@pytest.mark.parametrize("change", [change_data, change_metadata, change_expiry, change_format])
def test_what_differs_is_replaced_or_refused(dm: DataManager, change: Callable[[DataManager], None]) -> None:
    source = dm.store({"n": 1}, "first", "k", {"a": 1}, ttl=600)
    copied = dm.copy(source, to="second")
    change(dm)
    with pytest.raises(KeyExistsError):
        dm.copy(source, to="second", overwrite=False)
    [refused] = dm.copy([source], to="second", overwrite=False)
    assert isinstance(refused.error, KeyExistsError)
    assert refused.error.provider == "second"
    dm.copy(source, to="second").created_at  # noqa: B018
    assert dm.copy(source, to="second", overwrite=False) == copied
    [left], [right] = (dm.providers[name].read(["k"]) for name in ("first", "second"))
    assert left is not None
    assert right is not None
    assert left[:6] == right[:6]
    assert left.expires_at == right.expires_at


def test_bodies_of_files_that_are_there_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    class Watched(providers.FileSystemProvider):
        def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
            asked.append(bodies)
            return super().read(keys, bodies=bodies)

    with DataManager({"files": Watched(base_path=tmp_path), "memory": InMemoryProvider()}) as dm:
        stored = dm.store_many([b"a", {"n": (1,)}, "text"], "memory", ["a", "b", "c"])
        dm.copy(stored.references, to="files").raise_for_errors()
        assert asked == [False, True]
        asked.clear()
        dm.copy(dm.query("memory"), to="files").raise_for_errors()
        assert asked == [False]


def test_an_interrupted_copy_is_finished_by_the_same_call(dm: DataManager) -> None:
    class Interrupted(Counted):
        is_armed = True

        def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
            if self.is_armed and self.writes >= 512:
                raise KeyboardInterrupt
            return super().put(items, overwrite=overwrite)

    dm.register_provider("target", target := Interrupted())
    dm.store_many([{"n": n} for n in range(1_000)], "first", [f"k{n:04}" for n in range(1_000)])
    result = dm.query("first", limit=None)
    with pytest.raises(KeyboardInterrupt):
        dm.copy(result, to="target")
    assert len(dm.list("target", limit=None)) == 512
    target.is_armed = False
    dm.copy(result, to="target").raise_for_errors()
    assert target.writes == 1_000
    assert dm.query("target", limit=None) == list(result)


def test_an_interrupted_move_has_every_record_somewhere(dm: DataManager) -> None:
    class Interrupted(InMemoryProvider):
        is_armed = True

        def remove(self, keys: Sequence[str]) -> list[bool]:
            if self.is_armed:
                self.is_armed = False
                raise KeyboardInterrupt
            return super().remove(keys)

    dm.register_provider("source", Interrupted())
    values = {f"k{n:04}": n for n in range(300)}
    dm.store_many(values, "source")
    with pytest.raises(KeyboardInterrupt):
        dm.move(dm.query("source", limit=None), to="second")
    assert len(dm.list("source", limit=None)) == 300
    dm.move(dm.query("source", limit=None), to="second").raise_for_errors()
    assert len(dm.list("source", limit=None)) == 0
    assert dm.query("second", limit=None, order_by="key") == list(values.values())


# -- checked


class Corrupting(InMemoryProvider):
    """Stores something else than it was given."""

    def __init__(self, spoil: Callable[[Stored], Stored | None]) -> None:
        super().__init__("corrupting")
        self.spoil = spoil

    def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
        results = super().put(items, overwrite=overwrite)
        for item in items:
            if item.draft.key.startswith("bad") and (spoiled := self.spoil(self._rows[item.draft.key])):
                self._rows[item.draft.key] = spoiled
        return results


@pytest.mark.parametrize(
    "what, spoil",
    [
        ("data", lambda row: row._replace(body=row.body.replace(b"1", b"2"))),
        ("data", lambda row: row._replace(body=b"{not json")),
        ("data", lambda row: row._replace(types=None)),
        ("format", lambda row: row._replace(format="text")),
        ("metadata", lambda row: row._replace(metadata=b"{}")),
        ("metadata", lambda row: row._replace(metadata=b"broken")),
        ("expiry", lambda row: row._replace(expires_at=None)),
        ("expiry", lambda row: row._replace(expires_at=row.expires_at + timedelta(milliseconds=2))),
    ],
)
def test_a_copy_that_is_not_what_was_sent_is_an_error(
    dm: DataManager, what: str, spoil: Callable[[Stored], Stored]
) -> None:
    dm.register_provider("corrupting", corrupting := Corrupting(spoil))
    keys = ["a", "bad", "c"]
    dm.store_many([{"n": (1,)}] * 3, "first", keys, {"a": 1}, ttl=600)
    moved = dm.move([DataReference("first", key) for key in keys], to="corrupting")
    assert [outcome.ok for outcome in moved] == [True, False, True]
    text = str(moved[1].error)
    assert f"not what was sent: its {what} differs" in text
    assert "'corrupting'" in text
    assert "'bad'" in text
    assert dm.list("first").keys == ["bad"]
    # And the next attempt repairs it.
    corrupting.spoil = lambda row: None
    dm.move(dm.list("first"), to="corrupting").raise_for_errors()
    assert dm.retrieve_by_key("corrupting", "bad") == {"n": (1,)}


def test_a_simple_provider_that_changes_what_it_keeps_is_caught(dm: DataManager) -> None:
    class Forgetful(MyCustomProvider):
        def retrieve(self, key: str) -> Any:
            return [*super().retrieve(key)][:1]

    dm.register_provider("forgetful", Forgetful({}))
    reference = dm.store([1, 2], "first", "k")
    with pytest.raises(StorageError, match="not what was sent: its data differs"):
        dm.move(reference, to="forgetful")
    assert dm.exists(reference)


def test_a_copy_that_vanishes_is_an_error(dm: DataManager) -> None:
    class Blackhole(InMemoryProvider):
        def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
            return [None for _ in keys]

    dm.register_provider("hole", Blackhole())
    reference = dm.store(1, "first", "k")
    with pytest.raises(StorageError, match="was written and is not there"):
        dm.move(reference, to="hole")
    assert dm.exists(reference)


# -- moving


def test_a_move_keeps_what_somebody_stored_meanwhile(dm: DataManager) -> None:
    class Busy(InMemoryProvider):
        def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
            dm.store("newer", "first", "b")
            return super().put(items, overwrite=overwrite)

    dm.register_provider("busy", Busy())
    references = dm.store_many({"a": 1, "b": 2}, "first").references
    dm.move(references, to="busy").raise_for_errors()
    assert [dm.exists(reference) for reference in references] == [False, True]
    assert (dm.retrieve(references[1]), dm.retrieve_by_key("busy", "b")) == ("newer", 2)


def test_who_moves_what_somebody_took_meanwhile_is_told(dm: DataManager) -> None:
    class Slow(InMemoryProvider):
        def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
            dm.move("praval://first/b", to="second", key="taken")
            return super().put(items, overwrite=overwrite)

    dm.register_provider("slow", Slow())
    references = dm.store_many({"a": 1, "b": 2}, "first").references
    moved, failed = dm.move(references, to="slow")
    assert moved.ok
    assert isinstance(failed.error, KeyNotFoundError)
    assert "its copy is under 'b' (provider 'first', move)" in str(failed.error)
    assert dm.retrieve_by_key("second", "taken") == dm.retrieve_by_key("slow", "b") == 2


@pytest.mark.parametrize("name", [name for name in RECORDS if name != "s3"])
def test_of_two_who_move_a_record_at_once_one_has_it(name: str, request: pytest.FixtureRequest) -> None:
    barrier = Barrier(2)

    def move(dm: DataManager, turn: int, mover: int) -> bool:
        barrier.wait(30)
        try:
            dm.move(DataReference(name, f"job{turn}"), to=name, key=f"of{mover}/job{turn}")
        except KeyNotFoundError:
            return False
        return True

    with DataManager({name: provider_of(name, request)}) as dm, ThreadPoolExecutor(2) as threads:
        dm.store_many({f"job{turn}": turn for turn in range(10)}, name).raise_for_errors()
        for turn in range(10):
            movers = [threads.submit(move, dm, turn, mover) for mover in range(2)]
            assert sorted(mover.result(30) for mover in movers) == [False, True]


@pytest.mark.parametrize("overwrite", [True, False])
def test_moving_to_another_name_of_the_same_place_loses_nothing(tmp_path: Path, overwrite: bool) -> None:
    one, other = (providers.FileSystemProvider(base_path=tmp_path) for _ in range(2))
    with DataManager({"one": one, "other": other}) as dm:
        references = dm.store_many({"a": 1, "b": b"2"}, "one").references
        dm.move(references, to="other", overwrite=overwrite)
        assert dm.retrieve_many(references).values == [1, b"2"]


def test_moving_onto_itself_leaves_everything(dm: DataManager) -> None:
    references = dm.store_many({"a": 1, "b": 2}, "first").references
    for overwrite in (True, False):
        assert dm.move(references, to="first", overwrite=overwrite).references == references
    assert dm.query("first") == [1, 2]


def test_an_original_that_cannot_be_deleted_is_a_failure(dm: DataManager) -> None:
    class Kept(InMemoryProvider):
        calls = 0

        def remove(self, keys: Sequence[str]) -> list[bool]:
            self.calls += 1
            raise PermissionError("read only")

    dm.register_provider("kept", kept := Kept())
    references = dm.store_many({"a": 1, "b": 2}, "kept").references
    moved = dm.move(references, to="first")
    assert [type(outcome.error).__name__ for outcome in moved] == ["StoragePermissionError"] * 2
    assert dm.query("first") == dm.query("kept") == [1, 2]
    assert kept.calls == 1


# -- expiry


def test_a_record_that_expires_on_the_way_is_not_found(dm: DataManager) -> None:
    class Slow(InMemoryProvider):
        def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
            results = super().put(items, overwrite=overwrite)
            now = datetime.now(UTC)
            while any(item.draft.expires_at and item.draft.expires_at > now for item in items):
                now = datetime.now(UTC)
            return results

    dm.register_provider("slow", Slow())
    references = [dm.store(1, "first", "stays"), dm.store(2, "first", "ends", ttl=0.05)]
    copies = dm.copy(references, to="slow")
    assert [outcome.ok for outcome in copies] == [True, False]
    assert isinstance(copies[1].error, KeyNotFoundError)
    assert "expired" in str(copies[1].error)
    [gone] = dm.copy([references[1]], to="second")
    assert isinstance(gone.error, KeyNotFoundError)


# -- large bodies


def files(tmp_path: Path) -> dict[str, BaseStorageProvider]:
    return {name: providers.FileSystemProvider(base_path=tmp_path / name) for name in ("one", "other")}


LARGE = b"0123456789abcdef" * (1 << 16) * 9
"""9 MiB."""


@pytest.mark.parametrize("target", ["filesystem", "s3", "fsspec-memory"])
@pytest.mark.parametrize("source", ["filesystem", "s3", "fsspec-memory"])
def test_a_large_body_goes_in_pieces_with_all_that_belongs_to_it(
    source: str, target: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DataManager({"one": make(source, request), "other": make(target, request)}) as dm:
        original = dm.store(bytearray(LARGE), "one", "k", METADATA, ttl=600)
        for name in ("one", "other"):
            refuse_whole_bodies(dm.providers[name], monkeypatch)
        copied = dm.copy(original.uri, to="other")
        assert (copied.size, copied.metadata, copied.format) == (len(LARGE), METADATA, "bytes")
        with dm.open(copied) as body:
            assert body.read() == LARGE
        monkeypatch.setattr(dm.providers["other"], "write", None)
        assert dm.copy(original, to="other", overwrite=False) == copied
        monkeypatch.undo()
        assert type(dm.retrieve(copied)) is bytearray
        [left], [right] = (dm.providers[name].read(["k"], bodies=False) for name in ("one", "other"))
        assert left is not None
        assert right is not None
        assert (about(left.expires_at), left.created_at) == (about(right.expires_at), right.created_at)
        dm.store(bytearray(LARGE[:-1] + b"!"), "one", "k", METADATA, ttl=600)
        [refused] = dm.copy([original], to="other", overwrite=False)
        assert isinstance(refused.error, KeyExistsError)
        moved = dm.move([original], to="other")
        moved.raise_for_errors()
        assert dm.retrieve(copied)[-1:] == b"!"
        assert not dm.exists(original)


def refuse_whole_bodies(provider: BaseStorageProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    real = provider.read

    def read(keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
        assert not bodies, "a large body was read as a whole"
        return real(keys, bodies=bodies)

    monkeypatch.setattr(provider, "read", read)


def test_a_large_body_that_is_not_what_was_sent_is_an_error(tmp_path: Path) -> None:
    class Spoiling(providers.FileSystemProvider):
        def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
            results = super().put(items, overwrite=overwrite)
            with (self.base_path / items[0].draft.key).open("r+b") as file:
                file.seek(5 << 20)
                file.write(b"!")
            return results

    spoiling = Spoiling(base_path=tmp_path / "other")
    with DataManager({**files(tmp_path), "other": spoiling}) as dm:
        original = dm.store(LARGE, "one", "k")
        [moved] = dm.move([original], to="other")
        assert "not what was sent" in str(moved.error)
        assert dm.exists(original)


def test_a_large_original_that_changes_meanwhile_is_an_error(tmp_path: Path) -> None:
    class Busy(providers.FileSystemProvider):
        def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
            dm.store(LARGE, "one", "k", {"new": True})
            return super().put(items, overwrite=overwrite)

    with DataManager({**files(tmp_path), "other": Busy(base_path=tmp_path / "other")}) as dm:
        original = dm.store(LARGE, "one", "k")
        with pytest.raises(StorageError, match="changed while it was copied"):
            dm.move(original, to="other")
        assert dm.exists(original)


def test_a_large_original_that_breaks_off_is_the_fault_of_its_provider(tmp_path: Path) -> None:
    class Torn(providers.FileSystemProvider):
        def open(self, key: str) -> Any:
            return Tearing(super().open(key))

    class Tearing:
        def __init__(self, body: Any) -> None:
            self.body = body

        def __enter__(self) -> Tearing:
            return self

        def __exit__(self, *_: object) -> None:
            self.body.close()

        def read(self, size: int) -> bytes:
            if self.body.tell() > 3 << 20:
                raise ConnectionError("reset by peer")
            return self.body.read(size)

    with DataManager({**files(tmp_path), "one": Torn(base_path=tmp_path / "one")}) as dm:
        original = dm.store(LARGE, "one", "k")
        with pytest.raises(StorageError, match="reset by peer") as caught:
            dm.copy(original, to="other")
        assert caught.value.provider == "one"
        assert not dm.exists_by_key("other", "k")


def test_large_and_small_ones_stay_in_order(tmp_path: Path) -> None:
    with DataManager(files(tmp_path)) as dm:
        values = {"a": b"1", "b": LARGE, "c": LARGE * 4, "d": b"2", "e": LARGE}
        dm.store_many(values, "one").raise_for_errors()
        copies = dm.copy(dm.list("one", order_by="key"), to="other")
        assert [outcome.key for outcome in copies] == list(values)
        assert dm.retrieve_many(copies.references).values == list(values.values())


def test_memory_stays_flat_with_100_mib(tmp_path: Path) -> None:
    script = dedent(
        """
        import resource, sys
        from pathlib import Path
        from praval_storage import DataManager, providers

        root = Path(sys.argv[1])
        dm = DataManager({n: providers.FileSystemProvider(base_path=root / n) for n in ("one", "other")})
        dm.copy(dm.store(b"small", "one", "small"), to="other")
        floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        dm.copy(dm.list("one"), to="other").raise_for_errors()
        assert dm.exists_by_key("other", "big")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - floor)
        """
    )
    (tmp_path / "one").mkdir()
    with (tmp_path / "one" / "big").open("wb") as file:
        for _ in range(100):
            file.write(os.urandom(1 << 20))
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 16 << 10  # KiB


# -- progress


def test_progress_is_one_line_on_stderr(dm: DataManager, capsys: pytest.CaptureFixture[str]) -> None:
    dm.store_many([{"n": n} for n in range(300)], "first", [f"k{n}" for n in range(300)])
    references = [*dm.list("first", limit=None), DataReference("first", "missing")]
    dm.copy(references, to="second", progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    *steps, end = captured.err.removesuffix("\n").split("\r")[1:]
    assert [step.strip() for step in steps] == ["copied 256 of 301 records", "copied 301 of 301 records"]
    assert end.startswith("copied 300 records, ")
    assert end.rstrip().endswith(" s, 1 failed")
    dm.move(references[:2], to="second", progress=True)
    assert "\rmoved 2 of 2 records" in capsys.readouterr().err


def test_without_progress_nothing_is_written(
    dm: DataManager, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    references = dm.store_many([1, 2], "first").references
    dm.copy(references, to="second")
    monkeypatch.setenv("PRAVAL_PROGRESS", "0")
    dm.copy(references, to="second", progress=True)
    assert capsys.readouterr() == ("", "")


def test_progress_can_be_a_function(dm: DataManager) -> None:
    dm.store_many(range(300), "first")
    seen: list[tuple[int, int]] = []
    bad = DataReference("first", "a//b")
    source = [*dm.list("first", limit=None), bad]
    dm.copy(source, to="second", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 301), (257, 301), (301, 301)]


def test_an_interruption_ends_the_line(dm: DataManager, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
        raise KeyboardInterrupt

    target = InMemoryProvider()
    target.put = interrupt  # type: ignore[method-assign]
    dm.register_provider("target", target)
    with pytest.raises(KeyboardInterrupt):
        dm.copy(dm.store_many([1], "first").references, to="target", progress=True)
    assert capsys.readouterr().err.endswith(", interrupted\n")
