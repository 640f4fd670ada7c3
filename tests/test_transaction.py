"""``dm.transaction()``: what is undone, what is left to others, what is reported, whatever the backend."""

from __future__ import annotations

import inspect
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest
from custom_provider import MyCustomProvider
from tiny_providers import Cupboard, Tracked, record

from praval_storage import (
    DataManager,
    DataReference,
    KeyExistsError,
    KeyNotFoundError,
    ProviderNotRegisteredError,
    StorageConnectionError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
    Transaction,
    TransactionError,
    TransactionReport,
    get_data_manager,
    reset_data_manager,
    storage_enabled,
)
from praval_storage.base import Item, StorageResult
from praval_storage.records import Stored
from praval_storage.testing import InMemoryProvider


class MyError(Exception):
    """What goes wrong in the middle."""


@pytest.fixture
def dm() -> Iterator[DataManager]:
    """A manager with two providers, and a record that is there already."""
    with DataManager({"first": InMemoryProvider(), "second": InMemoryProvider()}) as manager:
        manager.store({"n": 1}, "first", "old", {"tags": ["a"]}, ttl=3_600)
        yield manager


@contextmanager
def failing(dm: DataManager, kind: type[BaseException] = MyError) -> Iterator[Transaction]:
    """A transaction that fails at the end of its block, and the error comes out as it is."""
    tx, error = dm.transaction(), kind("what went wrong")
    try:
        with tx:
            yield tx
            raise error
    except kind as caught:
        if caught is not error:
            raise


def report_of(tx: Transaction) -> TransactionReport:
    assert tx.report is not None
    return tx.report


def outcomes(tx: Transaction) -> list[tuple[str, str, str]]:
    return [(change.operation, change.reference.uri, str(change.outcome)) for change in report_of(tx).changes]


def facts(dm: DataManager, key: str = "old", name: str = "first") -> tuple[Any, ...]:
    found = record(dm, DataReference(name, key))
    return found.data, found.metadata, found.created_at, found.expires_at, found.format


# -- commit


def test_what_is_written_stays_when_nothing_fails(dm: DataManager) -> None:
    with dm.transaction() as tx:
        reference = tx.store(1, "first", "a", {"m": 1})
        assert tx.report is None
        tx.store_many({"b": 2, "c": 3}, "second")
        assert tx.retrieve(reference) == 1
        assert tx.delete_by_key("first", "old")
    assert dm.retrieve(reference) == 1
    assert sorted(dm.query("second")) == [2, 3]
    assert not dm.exists_by_key("first", "old")
    assert outcomes(tx) == [
        ("store", "praval://first/a", "committed"),
        ("store_many", "praval://second/b", "committed"),
        ("store_many", "praval://second/c", "committed"),
        ("delete", "praval://first/old", "committed"),
    ]
    assert report_of(tx).ok
    assert len(report_of(tx).committed) == len(report_of(tx).changes) == 4


def test_the_plain_manager_takes_no_part(dm: DataManager) -> None:
    with failing(dm) as tx:
        tx.store(1, "first", "with")
        dm.store(2, "first", "without")
    assert [reference.key for reference in dm.list("first", order_by="key")] == ["old", "without"]


def test_its_methods_are_those_of_the_manager() -> None:
    names = [
        *("store", "store_many", "delete", "delete_by_key", "delete_many", "copy", "move"),
        *("retrieve", "retrieve_by_key", "retrieve_many", "open", "exists", "exists_by_key"),
        *("query", "iter_query", "list", "search"),
    ]
    for name in names:
        assert inspect.signature(getattr(Transaction, name)) == inspect.signature(getattr(DataManager, name))


# -- rollback


def test_what_was_overwritten_or_deleted_comes_back_and_what_was_new_goes(dm: DataManager) -> None:
    dm.store("text", "second", "gone", {"x": 1})
    before, gone = facts(dm), facts(dm, "gone", "second")
    with failing(dm) as tx:
        tx.store({"n": 2}, "first", "old")
        tx.store([1], "first", "new")
        tx.delete_by_key("second", "gone")
        tx.store({"n": 3}, "first", "old", ttl=5)
        assert not tx.delete_by_key("second", "nothing")
        tx.move("praval://first/old", "second", key="moved")
    assert facts(dm) == before
    assert facts(dm, "gone", "second") == gone
    assert [reference.key for reference in dm.list("first")] == ["old"]
    assert [reference.key for reference in dm.list("second")] == ["gone"]
    assert outcomes(tx) == [
        ("store", "praval://first/old", "undone"),
        ("store", "praval://first/new", "undone"),
        ("delete", "praval://second/gone", "undone"),
        ("store", "praval://first/old", "undone"),
        ("move", "praval://second/moved", "undone"),
        ("move", "praval://first/old", "undone"),
    ]


def test_the_error_carries_the_report(dm: DataManager) -> None:
    def work() -> None:
        with dm.transaction() as tx:
            tx.store(1, "first", "new")
            raise MyError("of the user")

    with pytest.raises(MyError, match="of the user") as caught:
        work()
    assert caught.value.__notes__ == [
        "Its transaction was rolled back. TransactionReport: 1 write: 1 undone\n"
        "  operation  record              outcome\n"
        "  store      praval://first/new  undone"
    ]


def test_a_failure_before_any_write_needs_no_note(dm: DataManager) -> None:
    def work() -> None:
        with dm.transaction() as tx:
            tx.retrieve_by_key("first", "nothing")

    with pytest.raises(KeyNotFoundError) as caught:
        work()
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupt_undoes_too(dm: DataManager, kind: type[BaseException]) -> None:
    with failing(dm, kind) as tx:
        tx.store(1, "first", "new")
    assert not dm.exists_by_key("first", "new")


def test_rolling_back_without_an_exception(dm: DataManager) -> None:
    before = facts(dm)
    with dm.transaction() as tx:
        tx.store(1, "first", "old")
        report = tx.rollback()
        assert report is tx.report
        assert facts(dm) == before
        with pytest.raises(TransactionError, match="transaction is over"):
            tx.store(1, "first", "old")
        with pytest.raises(TransactionError, match="transaction is over"):
            tx.rollback()
    assert outcomes(tx) == [("store", "praval://first/old", "undone")]


@pytest.mark.parametrize(
    "use",
    [
        lambda tx: tx.store(1, "first", "k"),
        lambda tx: tx.store_many([1], "first"),
        lambda tx: tx.delete_by_key("first", "k"),
        lambda tx: tx.delete_many(["praval://first/old"])[0].unwrap(),
        lambda tx: tx.copy("praval://first/old", "second"),
        lambda tx: tx.retrieve_by_key("first", "old"),
        lambda tx: tx.query("first"),
        lambda tx: tx.rollback(),
    ],
)
def test_outside_of_its_block_it_says_what_to_do(
    dm: DataManager, use: Callable[[Transaction], object]
) -> None:
    tx = dm.transaction()
    with pytest.raises(TransactionError, match=r"has not begun.*with dm\.transaction"):
        use(tx)
    with tx:
        pass
    with pytest.raises(TransactionError, match=r"is over.*with dm\.transaction"):
        use(tx)
    with pytest.raises(TransactionError, match="one block"):
        tx.__enter__()
    assert dm.list("second") == []


def test_a_result_of_the_block_is_good_after_it(dm: DataManager) -> None:
    with dm.transaction() as tx:
        found = tx.query("first")
        listed = tx.list("first")
    assert found == [{"n": 1}]
    assert listed.records[0].data == {"n": 1}


def test_one_inside_another_is_independent(dm: DataManager) -> None:
    with failing(dm) as outer:
        outer.store(1, "first", "outer")
        with dm.transaction() as inner:
            inner.store(2, "first", "inner")
        with suppress(MyError), dm.transaction() as inner:
            inner.store(3, "first", "inner")
            raise MyError
        assert dm.retrieve_by_key("first", "inner") == 2
    assert [reference.key for reference in dm.list("first", order_by="key")] == ["inner", "old"]


def test_records_of_other_collections_come_back(dm: DataManager) -> None:
    dm.register_provider("cupboard", Cupboard())
    dm.store("spoon", "cupboard", "k", collection="top")
    with failing(dm) as tx:
        tx.store("fork", "cupboard", "k", collection="top")
        tx.store("knife", "cupboard", "k")
    assert dm.retrieve_by_key("cupboard", "k", collection="top") == "spoon"
    assert not dm.exists_by_key("cupboard", "k")
    assert [change.reference.collection for change in report_of(tx).changes] == ["top", None]


def test_one_provider_under_two_names(dm: DataManager) -> None:
    dm.register_provider("again", dm.providers["first"])
    before = facts(dm)
    with failing(dm) as tx:
        tx.store(1, "first", "old")
        tx.store(2, "again", "old")
        tx.store(3, "first", "old")
        tx.delete_by_key("again", "old")
    assert facts(dm) == before


def test_two_providers_of_one_place(dm: DataManager) -> None:
    twin = InMemoryProvider()
    twin.__dict__ = dm.providers["first"].__dict__
    dm.register_provider("twin", twin)
    before = facts(dm)
    with failing(dm) as tx:
        tx.store(1, "first", "old")
        tx.store(2, "twin", "old")
        tx.store(3, "first", "old")
        tx.delete_by_key("twin", "old")
    assert facts(dm) == before
    assert {str(each.outcome) for each in report_of(tx).changes} == {"undone"}


@pytest.mark.parametrize("use", [lambda tx: tx.store(2, "first", "b"), lambda tx: tx.list("first")])
def test_another_provider_under_a_name_takes_no_part(dm: DataManager, use: Any) -> None:
    old, new = dm.providers["first"], InMemoryProvider()
    tx = dm.transaction()

    def work() -> None:
        with tx:
            tx.store(1, "first", "a")
            dm.register_provider("first", new)
            use(tx)

    with pytest.raises(TransactionError, match="Another provider was registered as 'first'"):
        work()
    assert tx.report is not None
    assert [str(change.outcome) for change in tx.report.changes] == ["undone"]
    assert old.read(["a"]) == [None]
    assert dm.list("first") == []


def test_another_provider_under_a_name_does_not_hinder_undoing(dm: DataManager) -> None:
    class Broken(Tracked):
        def remove(self, keys: Sequence[str]) -> list[bool]:
            raise MyError("not translated by the other one")

    class Strict(InMemoryProvider):
        errors: ClassVar[Any] = {}

    dm.register_provider("broken", Broken())

    def work() -> None:
        with dm.transaction() as tx:
            tx.store(1, "first", "a")
            tx.store(1, "broken", "a")
            dm.register_provider("broken", Strict())
            raise MyError

    with pytest.raises(TransactionError, match="1 of 2 writes"):
        work()
    assert not dm.exists_by_key("first", "a")


def test_failed_writes_that_were_caught_are_not_reported(dm: DataManager) -> None:
    with failing(dm) as tx:
        with pytest.raises(KeyExistsError):
            tx.store(1, "first", "old", overwrite=False)
        with pytest.raises(StorageError):
            tx.store(object(), "first", "old")
        results = tx.store_many({"a": 1, "b": object()}, "first")
        assert [each.ok for each in results] == [True, False]
    assert outcomes(tx) == [("store_many", "praval://first/a", "undone")]
    assert facts(dm)[0] == {"n": 1}


def test_a_write_that_failed_after_it_was_done_is_undone(dm: DataManager) -> None:
    class Deaf(InMemoryProvider):
        """Writes, and does not hear that it has."""

        def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
            results = super().put(items, overwrite=overwrite)
            if deaf:
                raise StorageTimeoutError("no answer")
            return results

        def remove(self, keys: Sequence[str]) -> list[bool]:
            results = super().remove(keys)
            if deaf:
                raise StorageTimeoutError("no answer")
            return results

    deaf = False
    dm.register_provider("deaf", Deaf())
    dm.store(1, "deaf", "k", {"m": 1})
    dm.store(2, "deaf", "l", {"m": 2})
    before = facts(dm, "k", "deaf"), facts(dm, "l", "deaf")
    deaf = True
    with failing(dm) as tx:
        for write in (lambda: tx.store(3, "deaf", "k"), lambda: tx.delete_by_key("deaf", "l")):
            with pytest.raises(StorageTimeoutError):
                write()
        deaf = False
    assert (facts(dm, "k", "deaf"), facts(dm, "l", "deaf")) == before
    assert [outcome for *_, outcome in outcomes(tx)] == ["undone", "undone"]


def test_a_lost_connection_is_tried_again_and_undone_once(dm: DataManager) -> None:
    flaky = Tracked()
    dm.register_provider("flaky", flaky)
    dm.store(1, "flaky", "k")
    with failing(dm) as tx:
        flaky.failures = [StorageConnectionError("lost")]
        tx.store(2, "flaky", "k")
    assert dm.retrieve_by_key("flaky", "k") == 1
    assert outcomes(tx) == [("store", "praval://flaky/k", "undone")]


def test_an_exception_that_takes_no_notes_stays_what_it_is(dm: DataManager) -> None:
    class FrozenError(MyError):
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError("frozen")

    def work() -> None:
        with tx:
            tx.store(1, "first", "new")
            raise FrozenError

    tx = dm.transaction()
    with pytest.raises(FrozenError):
        work()
    assert outcomes(tx) == [("store", "praval://first/new", "undone")]


# -- expiry


class Clock:
    """The time, as the modules that ask for it see it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = timedelta(0)
        clock = self

        class Ahead(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
                return datetime.now(tz) + clock.ahead

        for module in ("testing.memory", "transaction.journal", "transaction.undoing", "writing", "reading"):
            monkeypatch.setattr(f"praval_storage.{module}.datetime", Ahead)


def test_a_record_that_expired_meanwhile_stays_away(dm: DataManager, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    dm.store("soon over", "second", "deleted", ttl=60)
    with failing(dm) as tx:
        tx.store(2, "first", "old")
        tx.delete_by_key("second", "deleted")
        clock.ahead = timedelta(hours=2)
    assert dm.list("first") == []
    assert dm.list("second") == []
    assert [(str(each.outcome), each.reason) for each in report_of(tx).changes] == [
        ("undone", "what was there has expired meanwhile"),
        ("undone", ""),
    ]


def test_a_write_that_expired_meanwhile_is_undone(dm: DataManager, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    before = facts(dm)
    with failing(dm) as tx:
        tx.store(2, "first", "old", ttl=60)
        tx.store(2, "first", "new", ttl=60)
        clock.ahead = timedelta(minutes=2)
    assert facts(dm) == before
    assert [reference.key for reference in dm.list("first")] == ["old"]
    assert [outcome for *_, outcome in outcomes(tx)] == ["undone", "undone"]


# -- others


def test_what_others_changed_since_is_left_as_it_is(dm: DataManager) -> None:
    dm.store_many({"a": 1, "b": 1, "c": 1}, "second")
    with failing(dm) as tx:
        tx.store_many({"a": 2, "b": 2, "new": 2}, "second")
        tx.delete_by_key("second", "c")
        dm.store("theirs", "second", "a")
        dm.delete_by_key("second", "b")
        dm.store("theirs", "second", "c")
        dm.store("theirs", "second", "new")
    assert {reference.key: dm.retrieve(reference) for reference in dm.list("second")} == {
        "a": "theirs", "c": "theirs", "new": "theirs",
    }  # fmt: skip
    assert [(each.reference.key, each.reason) for each in report_of(tx).left] == [
        ("a", "changed by others since, left as it is"),
        ("b", "deleted by others since, left as it is"),
        ("new", "changed by others since, left as it is"),
        ("c", "changed by others since, left as it is"),
    ]
    assert report_of(tx).ok


def test_what_others_wrote_between_two_writes_comes_back(dm: DataManager) -> None:
    with failing(dm) as tx:
        tx.store(2, "first", "old")
        dm.store("theirs", "first", "old", {"whose": "theirs"})
        tx.store(3, "first", "old")
        tx.store(4, "first", "new")
        dm.delete_by_key("first", "new")
        tx.store(5, "first", "new")
    assert facts(dm)[:2] == ("theirs", {"whose": "theirs"})
    assert not dm.exists_by_key("first", "new")


def test_a_record_that_appears_while_it_is_put_back_is_left(dm: DataManager) -> None:
    class Quick(InMemoryProvider):
        """Somebody stores something between a look and the write that follows."""

        def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
            if not overwrite:
                other.store("theirs", "quick", "k")
            return super().put(items, overwrite=overwrite)

    other = DataManager({"quick": Quick()})
    dm.register_provider("quick", other.providers["quick"])
    dm.store(1, "quick", "k")
    with failing(dm) as tx:
        tx.delete_by_key("quick", "k")
    assert dm.retrieve_by_key("quick", "k") == "theirs"
    assert [outcome for *_, outcome in outcomes(tx)] == ["left"]


# -- what cannot be undone


class Broken(InMemoryProvider):
    """Refuses what it is told to refuse."""

    refused: tuple[str, ...] = ()
    error: BaseException = StoragePermissionError("not any more")

    def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
        self._check([item.draft.key for item in items])
        return super().put(items, overwrite=overwrite)

    def remove(self, keys: Sequence[str]) -> list[bool]:
        self._check(keys)
        return super().remove(keys)

    def _check(self, keys: Sequence[str]) -> None:
        if set(keys) & set(self.refused):
            raise self.error


def break_while_undoing(dm: DataManager, error: BaseException, reason: BaseException) -> Transaction:
    broken = Broken()
    broken.error = error
    dm.register_provider("broken", broken)
    dm.store_many({"a": 1, "b": 1, "c": 1}, "broken")
    tx = dm.transaction()
    with tx:
        tx.store(2, "first", "new")
        tx.store_many({"a": 2, "b": 2, "c": 2}, "broken")
        tx.store(2, "second", "new")
        broken.refused = ("b",)
        raise reason
    return tx


def test_what_cannot_be_undone_stops_nothing_else_and_is_raised(dm: DataManager) -> None:
    error = StoragePermissionError("not any more")
    with pytest.raises(TransactionError, match=r"1 of 5 writes could not be undone: .*broken/b") as caught:
        break_while_undoing(dm, error, MyError("the reason"))
    assert isinstance(caught.value.__cause__, MyError)
    assert isinstance(caught.value, StorageError)
    assert [dm.retrieve_by_key("broken", key) for key in "abc"] == [1, 2, 1]
    assert not dm.exists_by_key("first", "new")
    assert not dm.exists_by_key("second", "new")
    report = caught.value.report
    assert not report.ok
    [failed] = report.failed
    assert (failed.reference.uri, failed.operation) == ("praval://broken/b", "store_many")
    assert failed.error is error
    assert [each.reference.uri for each in report.undone] == [
        "praval://first/new", "praval://broken/a", "praval://broken/c", "praval://second/new",
    ]  # fmt: skip
    assert "1 failed" in caught.value.__cause__.__notes__[0]


def test_a_provider_that_has_gone_is_reported(dm: DataManager) -> None:
    with pytest.raises(TransactionError, match="3 of 5 writes") as caught:
        break_while_undoing(dm, StorageConnectionError("gone"), MyError())
    assert [each.reference.key for each in caught.value.report.failed] == ["a", "b", "c"]
    assert [dm.retrieve_by_key("broken", key) for key in "abc"] == [2, 2, 2]
    assert not dm.exists_by_key("first", "new")


def test_an_interrupt_stays_one_also_when_something_cannot_be_undone(dm: DataManager) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        break_while_undoing(dm, StoragePermissionError("no"), KeyboardInterrupt())
    assert "1 failed" in caught.value.__notes__[0]


def test_a_second_interrupt_stops_undoing_and_the_report_says_so(dm: DataManager) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        break_while_undoing(dm, KeyboardInterrupt(), MyError("the reason"))
    reason = caught.value.__context__
    assert isinstance(reason, MyError)
    assert "interrupted before it was undone" in reason.__notes__[0]
    assert dm.exists_by_key("first", "new")


def test_a_record_that_does_not_come_back_as_it_was_is_not_called_undone(dm: DataManager) -> None:
    class Forgetful(InMemoryProvider):
        def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
            return super().put([item._replace(metadata=b"{}") for item in items], overwrite=overwrite)

    forgetful = InMemoryProvider()
    dm.register_provider("forgetful", forgetful)
    dm.store(1, "forgetful", "k", {"m": 1})

    def work() -> None:
        with dm.transaction() as tx:
            tx.store(2, "forgetful", "k")
            forgetful.__class__ = Forgetful
            raise MyError

    with pytest.raises(TransactionError, match="its metadata is not what it was"):
        work()


def test_a_rollback_by_hand_that_fails_raises(dm: DataManager) -> None:
    broken = Broken()
    dm.register_provider("broken", broken)
    with dm.transaction() as tx:
        tx.store(1, "broken", "a")
        broken.refused = ("a",)
        with pytest.raises(TransactionError, match="1 of 1 write could not be undone") as caught:
            tx.rollback()
    assert caught.value.report is tx.report


def test_the_error_of_a_transaction_can_be_pickled(dm: DataManager) -> None:
    with pytest.raises(TransactionError) as caught:
        break_while_undoing(dm, StoragePermissionError("no"), MyError())
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert repr(again.report) == repr(caught.value.report)


# -- providers that know values only


def test_a_provider_of_plain_values_gets_the_value_back(dm: DataManager) -> None:
    custom = MyCustomProvider({})
    dm.register_provider("custom", custom)
    dm.store([1], "custom", "old", {"m": 1})
    dm.store([2], "custom", "deleted")
    with failing(dm) as tx:
        tx.store((2, 3), "custom", "old")
        tx.store("x", "custom", "new")
        tx.delete_by_key("custom", "deleted")
    assert custom.kept == {"old": ([1], {}), "deleted": ([2], {})}
    assert [(str(each.outcome), each.reason) for each in report_of(tx).changes] == [
        ("undone", "the value; this provider does not give out metadata"),
        ("undone", ""),
        ("undone", "the value; this provider does not give out metadata"),
    ]


def test_a_provider_of_plain_values_that_refuses_everything_has_nothing_to_undo(dm: DataManager) -> None:
    class Refusing(MyCustomProvider):
        def store(self, key: str, data: Any, metadata: dict[str, Any]) -> StorageResult:
            raise PermissionError("read-only")

    refusing = Refusing({})
    refusing.kept["k"] = (1, {})
    dm.register_provider("refusing", refusing)
    tx = dm.transaction()
    with pytest.raises(StoragePermissionError), tx:
        tx.store(2, "refusing", "k")
    assert outcomes(tx) == []


def test_a_provider_that_keeps_neither_times_nor_versions_is_believed(dm: DataManager) -> None:
    class Timeless(InMemoryProvider):
        def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
            results = super().put(items, overwrite=overwrite)
            return [replace(result, version=None, created_at=None) for result in results]

        def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
            rows = super().read(keys, bodies=bodies)
            return [row and row._replace(created_at=None, updated_at=None, version=None) for row in rows]

    dm.register_provider("timeless", Timeless())
    dm.store(1, "timeless", "k", {"m": 1})
    before = facts(dm, "k", "timeless")
    with failing(dm) as tx:
        with pytest.raises(KeyExistsError):
            tx.store(2, "timeless", "k", overwrite=False)
        tx.store(2, "timeless", "k")
        tx.store(3, "timeless", "new")
    assert facts(dm, "k", "timeless")[:2] == before[:2]
    assert not dm.exists_by_key("timeless", "new")
    assert [outcome for *_, outcome in outcomes(tx)] == ["undone", "undone"]


# -- several threads


def test_several_threads_may_use_it(dm: DataManager) -> None:
    with failing(dm) as tx:
        threads = [
            threading.Thread(target=lambda n=n: [tx.store(n, "first", f"{n}-{i}") for i in range(20)])
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(tx.list("first")) == 81
    assert [reference.key for reference in dm.list("first")] == ["old"]
    assert len(report_of(tx).undone) == 80


def test_calls_take_turns(dm: DataManager) -> None:
    class Nosy(InMemoryProvider):
        def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
            with ThreadPoolExecutor() as pool:
                free.append(pool.submit(turn.acquire, blocking=False).result())
            return super().put(items, overwrite=overwrite)

    free: list[bool] = []
    dm.register_provider("nosy", Nosy())
    with dm.transaction() as tx:
        turn = tx._providers._turn  # type: ignore[attr-defined]
        tx.store(1, "nosy", "k")
    assert free == [False]


def test_a_thread_that_comes_too_late_is_refused(dm: DataManager) -> None:
    with dm.transaction() as tx:
        writer = tx._providers.writer("first")  # what a call in another thread already has in its hands
    with pytest.raises(TransactionError, match="is over"):
        writer.remove(["old"])
    assert dm.exists_by_key("first", "old")


# -- limited managers


@pytest.fixture
def default() -> Iterator[DataManager]:
    """The manager of the process."""
    reset_data_manager()
    yield get_data_manager()
    reset_data_manager()


def test_a_function_that_is_storage_enabled_has_transactions_over_its_providers(default: DataManager) -> None:
    default.register_provider("first", InMemoryProvider())
    default.register_provider("second", InMemoryProvider())

    @storage_enabled(providers=["first"])
    def work() -> None:
        with work.storage.transaction() as tx:  # type: ignore[attr-defined]
            tx.store(1, "first", "new")
            tx.store(1, "second", "new")

    with pytest.raises(ProviderNotRegisteredError, match="'second' is not among those of"):
        work()
    assert not default.exists_by_key("first", "new")


def test_what_is_read_only_is_refused_and_the_rest_undone(dm: DataManager) -> None:
    dm.register_provider("source", dm.providers["first"], read_only=True)
    before = facts(dm)
    writes: list[Callable[[Transaction], object]] = [
        lambda tx: tx.store(1, "source", "old"),
        lambda tx: tx.store_many({"old": 1}, "source"),
        lambda tx: tx.delete_by_key("source", "old"),
        lambda tx: tx.delete_many(["praval://source/old"]),
        lambda tx: tx.copy("praval://second/new", "source"),
        lambda tx: tx.move("praval://source/old", "second"),
    ]
    for write in writes:
        tx = dm.transaction()
        with pytest.raises(StoragePermissionError, match="registered read-only"), tx:  # noqa: PT012
            tx.copy("praval://source/old", "second", key="new")
            write(tx)
        assert outcomes(tx) == [("copy", "praval://second/new", "undone")]
        assert facts(dm) == before
    assert dm.list("second") == []


# -- how it looks


def test_how_a_report_looks(dm: DataManager) -> None:
    hostile = "<img src=x>"
    with failing(dm) as tx:
        assert repr(tx) == "Transaction: open, no writes so far"
        tx.store_many({f"k{n:02}": n for n in range(12)}, "first")
        tx.store(1, "second", hostile)
        assert "13 writes so far" in tx._repr_html_()
        dm.store(2, "second", hostile)
    text = repr(report_of(tx))
    assert text.splitlines()[:4] == [
        "TransactionReport: 13 writes: 1 left, 12 undone",
        "  operation   record                               outcome",
        "  store       praval://second/%3Cimg%20src%3Dx%3E  left     changed by others since, left as it is",
        "  store_many  praval://first/k00                   undone",
    ]
    assert text.endswith("... 3 more")
    assert repr(tx) == text
    assert "<img" not in report_of(tx)._repr_html_()
    assert tx._repr_html_() == report_of(tx)._repr_html_()
    assert repr(dm.transaction()) == "Transaction: not begun"
