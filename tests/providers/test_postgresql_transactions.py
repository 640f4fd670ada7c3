"""Transactions of PostgreSQL: one of the database, seen by others at its end or never."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import _GeneratorContextManager, contextmanager, suppress
from types import FrameType
from typing import Any

import psycopg
import pytest
from backends import make
from psycopg import sql
from psycopg_pool import ConnectionPool

from praval_storage import (
    DataManager,
    StorageConnectionError,
    StorageError,
    StorageTimeoutError,
    Transaction,
    TransactionError,
)
from praval_storage.providers import PostgreSQLProvider
from praval_storage.providers.postgresql import connections
from praval_storage.testing import InMemoryProvider
from praval_storage.testing.conformance._suite import wait_until
from praval_storage.writing import Target


class MyError(Exception):
    """What goes wrong in the middle."""


@pytest.fixture
def provider(request: pytest.FixtureRequest) -> PostgreSQLProvider:
    provider = make("postgresql", request)
    assert isinstance(provider, PostgreSQLProvider)
    return provider


@pytest.fixture
def dm(provider: PostgreSQLProvider) -> Iterator[DataManager]:
    """A manager of the database and of something beside it, with a record in both."""
    with DataManager({"pg": provider, "beside": InMemoryProvider()}) as manager:
        manager.store({"n": 1}, "pg", "old", {"m": 1}, ttl=3_600)
        manager.store("before", "beside", "old")
        yield manager


@pytest.fixture
def other(provider: PostgreSQLProvider, postgres_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of somebody else."""
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(
            sql.SQL("SET search_path TO {}").format(sql.Identifier(provider.settings.schema or "public"))
        )
        yield connection


def rows(other: psycopg.Connection[Any]) -> list[Any]:
    return other.execute("SELECT * FROM praval_storage ORDER BY key").fetchall()


def fail(dm: DataManager, error: BaseException, *writes: Any) -> Transaction:
    """Do some writes in a transaction that fails then."""
    tx = dm.transaction()
    with tx:
        for write in writes:
            write(tx)
        raise error
    return tx


def outcomes(tx: Transaction) -> list[tuple[str, str]]:
    assert tx.report is not None
    return [(change.reference.key, str(change.outcome)) for change in tx.report.changes]


def test_others_see_nothing_before_the_end_and_then_everything(
    dm: DataManager, other: psycopg.Connection[Any]
) -> None:
    before = rows(other)
    with dm.transaction() as tx:
        tx.store({"n": 2}, "pg", "old")
        tx.store_many({f"k{n}": n for n in range(3)}, "pg")
        tx.delete_by_key("pg", "k0")
        tx.copy("praval://beside/old", "pg", key="copied")
        tx.move("praval://pg/k1", "beside", key="moved")
        assert rows(other) == before
        assert dm.retrieve_by_key("pg", "old") == {"n": 1}
        assert tx.retrieve_by_key("pg", "old") == {"n": 2}
        assert [reference.key for reference in tx.list("pg", order_by="key")] == ["copied", "k2", "old"]
        assert [each for page in tx.iter_query("pg", batch_size=1) for each in page] == [
            "before",
            2,
            {"n": 2},
        ]
        listed = tx.list("pg")
    assert [row[0] for row in rows(other)] == ["copied", "k2", "old"]
    assert dm.retrieve_by_key("beside", "moved") == 1
    assert {record.data for record in listed.records[:2]} == {"before", 2}
    assert {outcome for _, outcome in outcomes(tx)} == {"committed"}


def test_a_failure_leaves_the_very_same_rows(dm: DataManager, other: psycopg.Connection[Any]) -> None:
    before = rows(other)
    with pytest.raises(MyError) as caught:
        fail(
            dm,
            MyError(),
            lambda tx: tx.store({"n": 2}, "pg", "old"),
            lambda tx: tx.store(1, "pg", "new"),
            lambda tx: tx.delete_by_key("pg", "old"),
            lambda tx: tx.store("after", "beside", "old"),
        )
    assert rows(other) == before
    assert dm.retrieve_by_key("beside", "old") == "before"
    assert "4 writes: 4 undone" in caught.value.__notes__[0]


def test_a_table_that_was_made_goes_as_well(
    provider: PostgreSQLProvider, other: psycopg.Connection[Any]
) -> None:
    dm = DataManager({"pg": provider})
    with pytest.raises(MyError):
        fail(dm, MyError(), lambda tx: tx.store(1, "pg", "k"))
    assert other.execute("SELECT to_regclass('praval_storage')").fetchone() == (None,)
    with dm.transaction() as tx:
        tx.store(1, "pg", "k")
        assert dm.list("pg") == []
    assert dm.retrieve_by_key("pg", "k") == 1


def test_a_write_that_fails_and_is_caught_leaves_the_rest(
    dm: DataManager, other: psycopg.Connection[Any]
) -> None:
    other.execute("ALTER TABLE praval_storage ADD CHECK (key <> 'bad')")
    with dm.transaction() as tx:
        tx.store(1, "pg", "a")
        with pytest.raises(StorageError, match="CheckViolation"):
            tx.store(1, "pg", "bad")
        with pytest.raises(StorageError):
            tx.copy("praval://beside/old", "pg", key="bad")
        results = tx.store_many({"b": 1, "bad": 2, "c": 3}, "pg")
        assert [each.ok for each in results] == [True, False, True]
        tx.store(2, "pg", "d")
    assert [row[0] for row in rows(other)] == ["a", "b", "c", "d", "old"]
    assert outcomes(tx) == [(key, "committed") for key in "abcd"]


def test_a_constraint_that_is_checked_at_the_end_undoes_everything(
    dm: DataManager, other: psycopg.Connection[Any]
) -> None:
    other.execute("ALTER TABLE praval_storage ADD note int UNIQUE DEFERRABLE INITIALLY DEFERRED DEFAULT 1")
    before = rows(other)
    tx = dm.transaction()

    def work() -> None:
        with tx:
            tx.store(1, "pg", "second")
            tx.store("after", "beside", "old")

    with pytest.raises(StorageError, match="UniqueViolation") as caught:
        work()
    assert type(caught.value) is StorageError
    assert rows(other) == before
    assert dm.retrieve_by_key("beside", "old") == "before"
    assert outcomes(tx) == [("second", "undone"), ("old", "undone")]
    assert "rolled back" in caught.value.__notes__[0]


def test_a_database_that_has_given_up_the_transaction_is_not_believed_to_have_committed(
    dm: DataManager, other: psycopg.Connection[Any]
) -> None:
    before = rows(other)
    tx = dm.transaction()

    def work() -> None:
        with tx:
            tx.store(1, "pg", "new")
            held = tx._providers.find("pg")._connections._connection  # type: ignore[attr-defined]
            with suppress(psycopg.Error):
                held.execute("SELECT 1 / 0")

    with pytest.raises(StorageError, match="InFailedSqlTransaction"):
        work()
    assert rows(other) == before
    assert outcomes(tx) == [("new", "undone")]


def terminate(other: psycopg.Connection[Any]) -> None:
    """The server drops every connection but this."""
    other.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'praval_storage' AND state LIKE 'idle in transaction%'"
    )


def test_a_connection_that_is_lost_in_the_middle_leaves_nothing(
    dm: DataManager, other: psycopg.Connection[Any]
) -> None:
    before = rows(other)
    tx = dm.transaction()

    def work() -> None:
        with tx:
            tx.store("after", "beside", "old")
            tx.store(1, "pg", "new")
            terminate(other)
            tx.store(2, "pg", "new")

    with pytest.raises(StorageConnectionError):
        work()
    assert rows(other) == before
    assert outcomes(tx) == [("old", "undone"), ("new", "undone")]
    assert dm.retrieve_by_key("beside", "old") == "before"


def test_a_lost_connection_is_not_overlooked_at_the_end(
    dm: DataManager, other: psycopg.Connection[Any]
) -> None:
    before = rows(other)
    tx = dm.transaction()

    def work() -> None:
        with tx:
            tx.store(1, "pg", "new")
            tx.store("after", "beside", "old")
            terminate(other)
            with pytest.raises(StorageConnectionError):
                tx.store(2, "pg", "new")

    with pytest.raises(StorageConnectionError):
        work()
    assert rows(other) == before
    assert dm.retrieve_by_key("beside", "old") == "before"
    assert outcomes(tx) == [("new", "undone"), ("old", "undone")]
    dm.store(3, "pg", "new")


def test_a_process_that_is_killed_in_the_middle_leaves_nothing(
    provider: PostgreSQLProvider, other: psycopg.Connection[Any], postgres_dsn: str
) -> None:
    DataManager({"pg": provider}).store(1, "pg", "old")
    before = rows(other)
    code = f"""
from praval_storage import DataManager
from praval_storage.providers import PostgreSQLProvider
dm = DataManager({{"pg": PostgreSQLProvider(dsn={postgres_dsn!r}, schema={provider.settings.schema!r})}})
with dm.transaction() as tx:
    tx.store(2, "pg", "old")
    tx.store(3, "pg", "new")
    print("written", flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "written\n"
        os.kill(child.pid, signal.SIGKILL)
    dm = DataManager({"pg": provider})
    dm.store(1, "pg", "another")
    dm.delete_by_key("pg", "another")
    assert rows(other) == before


# -- the answer to COMMIT gets lost


class Proxy:
    """Stands between a client and the server, and loses the answer to COMMIT when told to."""

    def __init__(self, dsn: str) -> None:
        self._options = psycopg.conninfo.conninfo_to_dict(dsn)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.loses = self.swallows = self.refuses = False
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def dsn(self) -> str:
        host, port = self._listener.getsockname()
        return psycopg.conninfo.make_conninfo(**{**self._options, "host": host, "port": str(port)})

    def close(self) -> None:
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for end in (self._listener, *self._ends):
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.refuses:
                    client.close()
                    continue
                server = self._connect()
                self._ends += [client, server]
                for pair in ((client, server), (server, client)):
                    self._threads.append(threading.Thread(target=self._pump, args=pair, daemon=True))
                    self._threads[-1].start()

    def _connect(self) -> socket.socket:
        host, port = str(self._options["host"]), int(self._options.get("port") or 5432)
        if host.startswith("/"):
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{host}/.s.PGSQL.{port}")
            return server
        return socket.create_connection((host, port))

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(1 << 16):
                if self.loses and b"C\0\0\0\x0bCOMMIT\0" in piece:
                    break  # the server's answer
                if self.swallows and b"COMMIT\0" in piece:
                    break
                sink.sendall(piece)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def lose_the_answer(proxy: Proxy, tx: Transaction) -> None:
    with tx:
        tx.store(2, "pg", "old")
        tx.store("after", "beside", "old")
        proxy.loses = proxy.refuses = True


@pytest.fixture
def proxy(postgres_dsn: str) -> Iterator[Proxy]:
    proxy = Proxy(postgres_dsn)
    yield proxy
    proxy.close()


def test_a_commit_whose_answer_is_lost_is_looked_up(
    proxy: Proxy, provider: PostgreSQLProvider, other: psycopg.Connection[Any]
) -> None:
    far = PostgreSQLProvider(dsn=proxy.dsn, schema=provider.settings.schema)
    with DataManager({"pg": far, "beside": InMemoryProvider()}) as dm:
        dm.store(1, "pg", "old")
        with dm.transaction() as tx:
            tx.store(2, "pg", "old")
            tx.store("after", "beside", "old")
            proxy.loses = True
        assert rows(other)[0][1] == 2
        assert dm.retrieve_by_key("beside", "old") == "after"
        assert outcomes(tx) == [("old", "committed"), ("old", "committed")]


def test_a_commit_that_never_arrived_is_undone(
    proxy: Proxy, provider: PostgreSQLProvider, other: psycopg.Connection[Any]
) -> None:
    far = PostgreSQLProvider(dsn=proxy.dsn, schema=provider.settings.schema)
    with DataManager({"pg": far, "beside": InMemoryProvider()}) as dm:
        dm.store(1, "pg", "old")
        before = rows(other)
        tx = dm.transaction()

        def work() -> None:
            with tx:
                tx.store(2, "pg", "old")
                tx.store("after", "beside", "old")
                proxy.swallows = True

        with pytest.raises(StorageConnectionError):
            work()
        assert outcomes(tx) == [("old", "undone"), ("old", "undone")]
        assert rows(other) == before
        assert not dm.exists_by_key("beside", "old")


def test_a_commit_of_which_nobody_knows_is_not_called_undone(
    proxy: Proxy, provider: PostgreSQLProvider, other: psycopg.Connection[Any]
) -> None:
    far = PostgreSQLProvider(dsn=proxy.dsn, schema=provider.settings.schema)
    with DataManager({"pg": far, "beside": InMemoryProvider()}) as dm:
        dm.store(1, "pg", "old")
        tx = dm.transaction()
        with pytest.raises(TransactionError, match="whether the database has committed is not") as caught:
            lose_the_answer(proxy, tx)
        assert outcomes(tx) == [("old", "failed"), ("old", "undone")]
        assert caught.value.report is tx.report
        assert not dm.exists_by_key("beside", "old")


# -- interrupts


@contextmanager
def interrupt_when_entered(qualname: str) -> Iterator[None]:
    """An interrupt that comes when a context manager was just entered, and ``with`` does not know yet."""
    entering = _GeneratorContextManager.__enter__.__code__

    def local(frame: FrameType, event: str, _: Any) -> Any:
        if event == "return" and frame.f_locals["self"].gen.__qualname__ == qualname:
            sys.settrace(None)
            raise KeyboardInterrupt
        return local

    traced = sys.gettrace()
    sys.settrace(lambda frame, *_: local if frame.f_code is entering else None)
    try:
        yield
    finally:
        sys.settrace(traced)


POINTS = (
    "Held.connection",
    "Connection.transaction",
    "PostgreSQLProvider.transaction",
    "transaction",
    "Connections.held",
    "Connections._taken",
)


@pytest.mark.parametrize("point", POINTS)
def test_an_interrupt_leaves_nothing_behind(
    dm: DataManager, other: psycopg.Connection[Any], point: str
) -> None:
    before = rows(other)
    with pytest.raises(KeyboardInterrupt) as caught, interrupt_when_entered(point):
        fail(dm, MyError(), lambda tx: tx.store("never", "pg", "old"))
    assert rows(other) == before
    wait_until(lambda: open_transactions(other) == 0, "rollback")
    with dm.transaction() as tx:
        tx.store("new", "pg", "old")
        del caught  # its traceback, as a notebook keeps it
        gc.collect()
    assert outcomes(tx) == [("old", "committed")]
    assert dm.retrieve_by_key("pg", "old") == "new"


def open_transactions(other: psycopg.Connection[Any]) -> int:
    found = other.execute(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = 'praval_storage' AND state LIKE 'idle in transaction%'"
    ).fetchone()
    assert found is not None
    return int(found[0])


def test_a_call_that_was_interrupted_in_the_middle_is_not_committed(
    dm: DataManager, other: psycopg.Connection[Any]
) -> None:
    before, kept = rows(other), []
    tx = dm.transaction()

    def work() -> None:
        with tx:
            tx.store("after", "beside", "old")
            tx.store(1, "pg", "new")
            with pytest.raises(KeyboardInterrupt) as caught, interrupt_when_entered("Connection.transaction"):
                tx.store(2, "pg", "new")
            kept.append(caught)

    with pytest.raises(StorageError, match="was interrupted"):
        work()
    assert outcomes(tx) == [("old", "undone"), ("new", "undone")]
    assert rows(other) == before
    assert dm.retrieve_by_key("beside", "old") == "before"
    with dm.transaction() as tx:
        tx.store(3, "pg", "new")
        kept.clear()
        gc.collect()
    assert dm.retrieve_by_key("pg", "new") == 3


# -- who may end it


def test_a_transaction_that_something_else_has_ended_is_not_called_committed(
    dm: DataManager, other: psycopg.Connection[Any]
) -> None:
    before = rows(other)
    tx = dm.transaction()

    def work() -> None:
        with tx:
            tx.store("after", "beside", "old")
            tx.store(1, "pg", "new")
            tx._providers.find("pg")._connections._connection.execute("ROLLBACK")  # type: ignore[attr-defined]

    with pytest.raises(TransactionError, match="Something else has ended"):
        work()
    assert rows(other) == before
    assert dm.retrieve_by_key("beside", "old") == "before"
    assert outcomes(tx) == [("old", "undone"), ("new", "failed")]


def refuses_use(tx: Transaction) -> None:
    uses: list[Callable[[], object]] = [
        lambda: tx.store(1, "pg", "new"),
        lambda: tx.list("beside"),
        tx.rollback,
    ]
    for use in uses:
        with pytest.raises(TransactionError, match="forked off"):
            use()


def leaves(tx: Transaction) -> None:
    tx.__exit__(MyError, MyError(), None)
    with pytest.raises(TransactionError, match="forked off"):
        tx.store(1, "pg", "new")


def ends(tx: Transaction) -> None:
    with pytest.raises(TransactionError, match="forked off"):
        tx.__exit__(None, None, None)


def is_used_directly(tx: Transaction) -> None:
    with pytest.raises(TransactionError, match="forked off"):
        tx._members._found[Target("pg", None)].retrieve("old")  # type: ignore[union-attr]


def forgets(tx: Transaction) -> None:
    tx._members = None
    tx._providers = None  # type: ignore[assignment]
    gc.collect()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forking a process with threads is the point
@pytest.mark.parametrize("act", [refuses_use, leaves, ends, is_used_directly, forgets])
def test_a_forked_child_neither_uses_nor_ends_it(
    dm: DataManager, other: psycopg.Connection[Any], act: Callable[[Transaction], None]
) -> None:
    with dm.transaction() as tx:
        tx.store("after", "beside", "old")
        tx.store("new", "pg", "old")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                act(tx)
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert tx.retrieve_by_key("pg", "old") == "new"
    assert outcomes(tx) == [("old", "committed"), ("old", "committed")]
    assert dm.retrieve_by_key("pg", "old") == "new"


def test_another_provider_under_its_name_does_not_hinder_the_end(
    dm: DataManager, provider: PostgreSQLProvider, other: psycopg.Connection[Any]
) -> None:
    with dm.transaction() as tx:
        tx.store("new", "pg", "old")
        dm.register_provider("pg", InMemoryProvider())
    assert outcomes(tx) == [("old", "committed")]
    assert provider.retrieve("old") == "new"
    dm.register_provider("pg", provider)
    with dm.transaction() as tx:
        tx.store("newer", "pg", "old")
        dm.unregister_provider("pg")
    assert provider.retrieve("old") == "newer"
    assert open_transactions(other) == 0


# -- several names, several connections


def test_names_of_one_database_share_one_transaction(
    dm: DataManager, provider: PostgreSQLProvider, other: psycopg.Connection[Any], postgres_dsn: str
) -> None:
    schema = provider.settings.schema
    dm.register_provider("same", PostgreSQLProvider(dsn=postgres_dsn, schema=schema))
    dm.register_provider("table", PostgreSQLProvider(dsn=postgres_dsn, schema=schema, table="another"))
    before = rows(other)
    with pytest.raises(MyError):
        fail(
            dm,
            MyError(),
            lambda tx: tx.store(1, "pg", "k"),
            lambda tx: tx.store(2, "same", "k"),
            lambda tx: tx.store(3, "table", "k"),
            lambda tx: tx.store(4, "pg", "k", collection="third"),
        )
    assert rows(other) == before
    assert other.execute("SELECT to_regclass('another'), to_regclass('third')").fetchone() == (None, None)
    with dm.transaction() as tx:
        tx.store(1, "pg", "k")
        assert tx.retrieve_by_key("same", "k") == 1
        tx.store(2, "table", "k")
        tx.store(3, "same", "k", collection="third")
    assert dm.retrieve_by_key("same", "k") == 1
    assert dm.retrieve_by_key("table", "k") == 2
    assert dm.retrieve_by_key("pg", "k", collection="third") == 3


def test_a_second_database_is_compensated(
    dm: DataManager, provider: PostgreSQLProvider, other: psycopg.Connection[Any], postgres_dsn: str
) -> None:
    name = f"{provider.settings.schema}-two"
    other.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        second = PostgreSQLProvider(dsn=psycopg.conninfo.make_conninfo(postgres_dsn, dbname=name))
        dm.register_provider("second", second)
        dm.store({"n": 1}, "second", "k", {"m": 1})
        before = rows(other), second.read(["k"])[0]
        with pytest.raises(MyError):
            fail(
                dm,
                MyError(),
                lambda tx: tx.store(1, "pg", "new"),
                lambda tx: tx.store(2, "second", "k"),
                lambda tx: tx.store(2, "second", "new"),
            )
        assert rows(other) == before[0]
        after = second.read(["k", "new"])
        assert before[1] is not None
        assert after[0] is not None
        assert after[0]._replace(updated_at=None, version=None) == before[1]._replace(
            updated_at=None, version=None
        )
        assert after[1] is None
    finally:
        dm.unregister_provider("second")
        other.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def test_what_waits_for_the_transaction_of_its_own_thread_fails(
    dm: DataManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LOCK_SECONDS", 1)
    with dm.transaction() as tx:
        tx.store(1, "pg", "k")
        with pytest.raises(StorageTimeoutError, match="use only that transaction"):
            dm.store(2, "pg", "k")
        dm.store(2, "pg", "l")
        with pytest.raises(StorageTimeoutError), dm.transaction() as inner:
            inner.store(2, "pg", "k")
    assert (dm.retrieve_by_key("pg", "k"), dm.retrieve_by_key("pg", "l")) == (1, 2)


def test_after_the_end_everybody_waits_as_before(dm: DataManager, other: psycopg.Connection[Any]) -> None:
    with dm.transaction() as tx:
        tx.store(1, "pg", "k")
    with dm.providers["pg"]._connections.connection() as connection:  # type: ignore[attr-defined]
        assert connection.execute("SHOW lock_timeout").fetchone() == ("0",)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_what_was_begun_in_the_block_reads_on_after_it(dm: DataManager) -> None:
    with dm.transaction() as tx:
        tx.store_many({f"k{n:04}": n for n in range(3_000)}, "pg")
        pages = tx.iter_query("pg", batch_size=100, order_by="key")
        assert next(pages) == [*range(100)]
    dm.close()  # and with it the connection of the transaction
    assert sum(map(len, pages)) == 2_901


def test_one_connection_is_enough(provider: PostgreSQLProvider, postgres_dsn: str) -> None:
    settings = {"dsn": postgres_dsn, "schema": provider.settings.schema, "max_connections": 1, "timeout": 1}
    dm = DataManager({"pg": PostgreSQLProvider(**settings)})
    with dm.transaction() as tx:
        tx.store(1, "pg", "k")
        assert tx.query("pg") == [1]
        with pytest.raises(StorageTimeoutError, match=r"All connections .* are in use"):
            dm.exists_by_key("pg", "k")
    assert dm.query("pg") == [1]


def test_a_connection_of_the_user(provider: PostgreSQLProvider, postgres_dsn: str) -> None:
    with psycopg.connect(postgres_dsn, autocommit=True) as mine:
        dm = DataManager({"pg": PostgreSQLProvider(client=mine, schema=provider.settings.schema)})
        with dm.transaction() as tx:
            tx.store(1, "pg", "k")
            with pytest.raises(StorageTimeoutError, match="held by a transaction of this thread"):
                dm.exists_by_key("pg", "k")
        with pytest.raises(MyError):
            fail(dm, MyError(), lambda tx: tx.store(2, "pg", "k"))
        assert dm.retrieve_by_key("pg", "k") == 1
        with mine.transaction(), pytest.raises(StorageError, match="in a transaction already"):
            fail(dm, MyError(), lambda tx: tx.store(2, "pg", "k"))
        assert dm.retrieve_by_key("pg", "k") == 1


def test_a_pool_of_the_user(provider: PostgreSQLProvider, postgres_dsn: str) -> None:
    with ConnectionPool(postgres_dsn, min_size=0, max_size=2, kwargs={"autocommit": True}) as pool:
        dm = DataManager({"pg": PostgreSQLProvider(client=pool, schema=provider.settings.schema)})
        with dm.transaction() as tx:
            tx.store(1, "pg", "k")
            assert dm.list("pg") == []
        assert dm.query("pg") == [1]


def test_an_unreachable_database_is_an_error_of_the_write(unused_port: int) -> None:
    dm = DataManager({"pg": PostgreSQLProvider(port=unused_port, timeout=1), "beside": InMemoryProvider()})
    with dm.transaction() as tx:
        with pytest.raises(StorageConnectionError, match="Could not connect"):
            tx.store(1, "pg", "k")
        tx.store(1, "beside", "k")
    assert dm.query("beside") == [1]


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
