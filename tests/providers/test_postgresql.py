"""The PostgreSQL provider on a real server: layout, indexes, connections, restarts, concurrency."""

from __future__ import annotations

import json
import math
import multiprocessing
import pickle
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool

from praval_storage import DataManager, DataReference
from praval_storage.errors import (
    ConfigurationError,
    KeyExistsError,
    StorageConnectionError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
    UnsupportedOperationError,
)
from praval_storage.providers.postgresql import PostgreSQLProvider, PostgreSQLSettings
from praval_storage.records import Draft
from praval_storage.sandbox import Sandbox
from praval_storage.scan import Scan
from praval_storage.serialization import Content

if TYPE_CHECKING:
    from praval_storage.sandbox.postgresql import PostgreSQL

PG = "postgresql"
SECRET = "pl4nted s/cret"
TABLE = "praval_storage"


class Native:
    """A connection of psycopg's to look at what a provider did; ``{}`` is the provider's table."""

    def __init__(self, connection: psycopg.Connection[Any], schema: str) -> None:
        self.connection = connection
        self.schema = schema

    def __call__(self, statement: LiteralString, *parameters: Any, table: str = TABLE) -> list[Any]:
        composed = sql.SQL(statement).format(sql.Identifier(self.schema, table))
        cursor = self.connection.execute(composed, parameters or None)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def native(postgres_dsn: str) -> Iterator[Native]:
    schema = f"test {uuid4().hex}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        yield Native(connection, schema)
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


@pytest.fixture
def provider(postgres_dsn: str, native: Native) -> Iterator[PostgreSQLProvider]:
    with PostgreSQLProvider(dsn=postgres_dsn, schema=native.schema) as made:
        yield made


@pytest.fixture
def dm(provider: PostgreSQLProvider) -> Iterator[DataManager]:
    with DataManager({PG: provider}) as manager:
        yield manager


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgreSQL]:
    """A server that may be stopped, and asks for passwords."""
    sandbox = Sandbox(services=["postgresql"]).start()
    yield sandbox.postgresql
    sandbox.close()


@pytest.fixture
def server(own_server: PostgreSQL) -> PostgreSQL:
    own_server.start()
    return own_server


def sessions(native: Native, *, state: str) -> int:
    """How many sessions of providers there are in this state that touched the test's schema."""
    statement = """SELECT count(*) FROM pg_stat_activity
                   WHERE application_name = 'praval_storage' AND state = %s AND query LIKE %s"""
    return int(native.connection.execute(statement, (state, f"%{native.schema}%")).fetchall()[0][0])


# Layout


def test_psql_shows_a_person_the_columns_of_the_guide(provider: PostgreSQLProvider, native: Native) -> None:
    provider.store("event_001", {"user_id": 123, "action": "login"}, {"event_type": "authentication"})
    provider.store("note", "plain text", {})
    provider.store("bytes", b"\x00\xff", {})
    rows = native("SELECT key, data, metadata, created_at FROM {} ORDER BY key")
    assert [row[:3] for row in rows] == [
        ("bytes", None, {}),
        ("event_001", {"user_id": 123, "action": "login"}, {"event_type": "authentication"}),
        ("note", "plain text", {}),
    ]
    assert abs(rows[0][3] - datetime.now(UTC)) < timedelta(minutes=1)
    types = native(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s"
        " AND column_name IN ('key', 'data', 'metadata', 'created_at')",
        native.schema,
    )
    assert dict(types) == {
        "key": "text",
        "data": "jsonb",
        "metadata": "jsonb",
        "created_at": "timestamp with time zone",
    }


def test_what_is_changed_or_inserted_with_sql_is_what_is_read(dm: DataManager, native: Native) -> None:
    dm.store({"b": 1, "a": (1, 2)}, PG, "k", {"kind": "x"})
    assert list(dm.retrieve_by_key(PG, "k")) == ["b", "a"]
    native("""UPDATE {} SET data = data || '{{"c": 3}}', metadata = '{{"kind": "y"}}' WHERE key = 'k'""")
    assert dm.retrieve_by_key(PG, "k") == {"a": [1, 2], "b": 1, "c": 3}
    assert dm.query(PG, {"c": 3, "metadata.kind": "y"}).keys == ["k"]
    assert dm.query(PG, {"metadata.kind": "x"}) == []
    dm.store("old", PG, "text")
    native("""UPDATE {} SET data = '"new"' WHERE key = 'text'""")
    assert dm.retrieve_by_key(PG, "text") == "new"
    native("""INSERT INTO {} (key, data, expires_at) VALUES ('native', '{{"n": 1}}', 'infinity')""")
    assert dm.query(PG, {"n": 1}).records[0].metadata == {}
    assert dm.retrieve_by_key(PG, "native") == {"n": 1}
    native("INSERT INTO {} (key) VALUES ('bare')")
    assert dm.retrieve_by_key(PG, "bare") is None


@pytest.mark.parametrize("metadata", ["[1]", "null", '"x"', "5"])
def test_metadata_that_is_no_object_says_nothing_and_harms_no_other(
    dm: DataManager, native: Native, metadata: str
) -> None:
    dm.store({"n": 1}, PG, "ours", {"m": 1})
    native("INSERT INTO {} (key, data, metadata) VALUES ('theirs', '{{\"n\": 2}}', %s)", metadata)
    expected = {"ours": {"m": 1}, "theirs": {}}
    assert {each.key: each.metadata for each in dm.list(PG).references} == expected
    found = dm.query(PG, order_by="metadata.m")
    assert {each.key: each.metadata for each in found.records} == expected
    assert found.to_pandas()["n"].to_list() == [2, 1]
    assert dm.query(PG, {"metadata.m": None}) == [{"n": 2}]
    assert dm.preview("praval://postgresql/theirs").reference.metadata == {}
    assert dm.copy(dm.list(PG), PG, key=lambda each: f"copy of {each.key}").failed == []
    assert dm.retrieve_by_key(PG, "copy of theirs") == {"n": 2}


def test_illegal_keys_written_with_sql_are_skipped(dm: DataManager, native: Native) -> None:
    dm.store(1, PG, "k")
    for key in ("a//b", "", "x\ny", "\u00fc" * 300, ".praval/x", "e\u0301", "fine"):
        native("INSERT INTO {} (key, data) VALUES (%s, '1')", key)
    assert dm.list(PG, order_by="key").keys == ["fine", "k"]
    assert dm.query(PG, {"key": {"$prefix": "f"}}) == [1]


def test_the_order_of_keys_is_kept(dm: DataManager) -> None:
    dm.store({"zeta": 1, "a": {"y": 1, "x": 2}, "m": 3}, PG, "k", {"z": 1, "a": 2})
    [record] = dm.query(PG).records
    assert json.dumps(record.data) == '{"zeta": 1, "a": {"y": 1, "x": 2}, "m": 3}'
    assert list(record.metadata) == ["z", "a"]


@pytest.mark.parametrize(
    "value",
    [1e300, -1e16, -0.0, 10**30, 2**63, "nul\x00", math.inf, {"\x00": 1, "a\x00": [None]}, "\ud800"],
    ids=str,
)
def test_what_jsonb_changes_or_refuses_comes_back(dm: DataManager, value: Any) -> None:
    data = {"value": value, "list": [value]}
    dm.store(data, PG, "k", {"value": value})
    [record] = dm.query(PG).records
    assert repr(record.data) == repr(data)
    assert repr(record.metadata) == repr({"value": value})
    assert dm.query(PG, {"value": value}).keys == ["k"]
    assert dm.query(PG, {"metadata.value": {"$ne": value}}) == []


def test_nan_comes_back_and_is_found(dm: DataManager) -> None:
    dm.store({"x": math.nan}, PG, "k", {"x": math.nan})
    assert math.isnan(dm.retrieve_by_key(PG, "k")["x"])
    assert dm.query(PG, {"x": math.nan, "metadata.x": math.nan}).keys == ["k"]
    assert dm.query(PG, {"x": "NaN"}) == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"b": 1, "a": 2, "b": 3}',
        b'{"a":\n 1e300}',
        b"{broken",
        b"\xff\xfe",
        b'{"a": "\\u0000"}',
        b'{"a": 1}\n',
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": 123456789012345678901234567890}',
    ],
)
def test_a_file_is_kept_byte_by_byte_whatever_its_name_says(
    dm: DataManager, provider: PostgreSQLProvider, tmp_path: Path, body: bytes
) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(body)
    dm.store(path, PG, "x.json", {"kind": "file"})
    [found] = provider.read(["x.json"])
    assert found is not None
    assert (found.format, found.body, found.size) == ("json", body, len(body))
    assert dm.list(PG).keys == ["x.json"]
    assert dm.query(PG, {"metadata.kind": "file"}, limit=None).references[0].key == "x.json"


def test_numbers_of_a_foreign_file_compare_as_python_reads_them(dm: DataManager) -> None:
    dm.store(Content("json", b'{"a": 1e300, "b": 0.1000000000000000055511151231257827}'), PG, "k")
    assert dm.query(PG, {"a": 1e300, "b": 0.1}).keys == ["k"]
    assert dm.query(PG, {"a": {"$gt": 1e300}}) == []


def test_large_values_come_back(dm: DataManager) -> None:
    text = "x" * 20_000_000
    assert dm.retrieve(dm.store({"text": text}, PG, "json")) == {"text": text}
    assert dm.retrieve(dm.store(text, PG, "text")) == text
    assert dm.retrieve(dm.store(text.encode(), PG, "bytes")) == text.encode()
    assert dm.query(PG, {"text": text}).keys == ["json"]


def test_metadata_and_data_of_any_depth_and_name(dm: DataManager) -> None:
    deep: Any = 1
    for _ in range(100):
        deep = {"d": [deep]}
    data = {'"': 1, "'": 2, "\\": 3, "%s": 4, "{}": 5, "$": 6, "*": 7, "\n": 8, "": deep}
    dm.store(data, PG, "k", {"deep": deep, **dict.fromkeys(("%", '"', "\\"), 1)})
    assert dm.retrieve_by_key(PG, "k") == data
    for name in ('"', "'", "\\", "%s", "{}", "*", "\n"):
        assert dm.query(PG, {f"data.{name}": data[name]}).keys == ["k"], name


# Statements


@pytest.mark.parametrize("name", ['"; DROP TABLE x; --', "a'b", "%s", "%(a)s", "{}", "$1", "ü%", "a b"])
def test_no_name_or_key_gets_into_a_statement(postgres_dsn: str, native: Native, name: str) -> None:
    with (
        PostgreSQLProvider(dsn=postgres_dsn, schema=native.schema, table=name) as made,
        DataManager({PG: made}) as dm,
    ):
        dm.store({name: 1, "a": {name: name}}, PG, name, {name: name} if name[0] != "$" else {"a": name})
        dm.store(2, PG, "other")
        assert dm.query(PG, {"key": name, f"data.a.{name}" if "." not in name else "a": name}).keys == [name]
        assert dm.list(PG, name).keys == [name]
        assert dm.query(PG, {"key": {"$contains": name}}, order_by="-created_at").keys == [name]
        assert name in [made.in_collection(listed).settings.table for listed in made.collections()]
        assert dm.delete_by_key(PG, name)
        assert dm.list(PG).keys == ["other"]
        assert native("SELECT count(*) FROM {}", table=name) == [(1,)]


@pytest.mark.parametrize(
    "filters, index",
    [
        ({"metadata.kind": "x"}, "metadata"),
        ({"user": "alice"}, "data"),
        ({"metadata.kind": {"$in": ["x", "y"]}}, "metadata"),
        ({"metadata.address": {"city": "Berlin"}}, "metadata"),
        ({"metadata.kind": "x", "n": {"$gt": 3}}, "metadata"),
        ({"$or": [{"metadata.kind": "x"}, {"user": "alice"}]}, "metadata"),
    ],
)
def test_equality_on_fields_is_answered_by_gin(
    dm: DataManager,
    provider: PostgreSQLProvider,
    native: Native,
    filters: dict[str, Any],
    index: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dm.store_many([{"user": f"u{n}", "n": n, "at": datetime.now(UTC)} for n in range(50)], PG)
    plans = explained(monkeypatch, lambda: dm.query(PG, filters))
    assert f"Bitmap Index Scan on {TABLE}_{index}_idx" in plans[-1]
    assert f"gin({index})" in str(dm.query(PG, filters).plan.index)
    assert dm.query(PG, filters).plan.hint is None


def explained(monkeypatch: pytest.MonkeyPatch, work: Any) -> list[str]:
    """How PostgreSQL would run what the work asks if it could help reading whole tables."""
    plans: list[str] = []
    plain = psycopg.Cursor.execute

    def execute(cursor: Any, query: Any, params: Any = None, **options: Any) -> Any:
        text = query.as_string(cursor) if isinstance(query, sql.Composable) else str(query)
        if text.lstrip().startswith("SELECT") and "AS checked" in text:
            with psycopg.Cursor(cursor.connection) as other:
                plain(other, "SET enable_seqscan = off")
                plain(other, sql.SQL("EXPLAIN ") + query, params)
                plans.append("\n".join(row[0] for row in other.fetchall()))
                plain(other, "RESET enable_seqscan")
        return plain(cursor, query, params, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", execute)
    work()
    monkeypatch.undo()
    return plans


def test_the_plan_tells_what_helped_and_hints_where_nothing_did(dm: DataManager) -> None:
    dm.store_many({f"k{n}": {"n": n} for n in range(5)}, PG)
    assert dm.query(PG, {"key": "k1"}).plan.index == "primary key"
    assert dm.query(PG, {"key": {"$prefix": "k"}}).plan.index == "primary key"
    assert dm.query(PG, order_by="-created_at").plan.index == "created_at"
    searched = dm.query(PG, {"n": {"$gt": 3}}).plan
    assert (searched.index, searched.residual) == (None, {})
    assert "No index" in str(searched.hint)
    assert dm.query(PG).plan.hint is None


@pytest.mark.parametrize(
    "order_by", ["key", "-key", "created_at", "-created_at", "-updated_at", "size", "format"]
)
def test_orders_of_columns_are_made_by_the_server_page_by_page(dm: DataManager, order_by: str) -> None:
    values = {f"k{n:04}": "x" * (n % 7) if n % 3 else n for n in range(3_000)}
    dm.store_many(values, PG)
    found = dm.query(PG, limit=None, order_by=order_by)
    assert found.plan.order == "native"
    assert len(found) == 3_000
    records = found.records
    name = order_by.removeprefix("-")
    expected = sorted(records, key=lambda record: record.key)
    expected.sort(key=lambda record: getattr(record, name), reverse=order_by.startswith("-"))
    assert [record.key for record in records] == [record.key for record in expected]


def test_a_low_limit_reads_few_rows(dm: DataManager) -> None:
    dm.store_many([{"n": n} for n in range(3_000)], PG)
    assert dm.query(PG, limit=5).plan.scanned <= 64
    assert dm.query(PG, {"n": {"$gte": 0}}, limit=5).plan.scanned <= 64


def test_typed_fields_are_looked_at_only_where_they_matter(dm: DataManager) -> None:
    at = datetime(2025, 1, 15, tzinfo=UTC)
    dm.store_many([{"n": n, "at": at} for n in range(20)], PG, metadata={"at": at, "kind": "x"})
    assert dm.query(PG, {"n": 3, "metadata.kind": "x"}).plan.scanned == 1
    assert len(dm.query(PG, {"at": {"$lte": at}, "metadata.at": at})) == 20
    assert dm.query(PG, {"at": at.isoformat()}) == []


def test_an_iterator_that_is_left_holds_no_connection(dm: DataManager, native: Native) -> None:
    dm.store_many([{"n": n} for n in range(2_000)], PG)
    iterators = [
        dm.iter_query(PG, {"n": {"$gte": 0}}, batch_size=10, order_by="created_at") for _ in range(8)
    ]
    assert [len(next(iterator)) for iterator in iterators] == [10] * 8
    assert sessions(native, state="idle in transaction") == 0
    assert dm.query(PG, {"n": 1}) == [{"n": 1}]
    del iterators
    assert sessions(native, state="active") == 0


def test_an_item_that_is_refused_stops_no_other(dm: DataManager, native: Native) -> None:
    dm.store(0, PG, "first")
    native("ALTER TABLE {} ADD CHECK (size < 100)")
    outcomes = dm.store_many({f"k{n}": "x" * (200 if n == 7 else 3) for n in range(20)}, PG)
    assert [outcome.key for outcome in outcomes if outcome.error] == ["k7"]
    assert "check" in str(outcomes[7].error)
    assert len(dm.list(PG)) == 20


def test_overwrite_false_takes_an_expired_row_for_absent(
    dm: DataManager, provider: PostgreSQLProvider
) -> None:
    now = datetime.now(UTC)
    past = Draft("k", "old", {}, now - timedelta(hours=2), now - timedelta(hours=1))
    assert provider.write([past])[0].success
    assert provider.read(["k"]) == [None]
    assert dm.store("new", PG, "k", overwrite=False).created_at >= now
    with pytest.raises(KeyExistsError):
        dm.store("newer", PG, "k", overwrite=False)
    assert dm.retrieve_by_key(PG, "k") == "new"


# Tables that change


def test_reading_makes_nothing(dm: DataManager, provider: PostgreSQLProvider, native: Native) -> None:
    assert dm.list(PG) == []
    assert dm.retrieve_by_key(PG, "k", default=1) == 1
    assert provider.purge_expired() == 0
    assert native.connection.execute(
        "SELECT count(*) FROM pg_namespace WHERE nspname = %s", (native.schema,)
    ).fetchone() == (0,)


def test_a_table_that_is_dropped_is_empty_and_made_again(dm: DataManager, native: Native) -> None:
    dm.store(1, PG, "k")
    assert dm.list(PG).keys == ["k"]
    native("DROP TABLE {}")
    assert dm.list(PG) == []
    assert dm.query(PG, {"a": 1}) == []
    assert not dm.exists_by_key(PG, "k")
    assert not dm.delete_by_key(PG, "k")
    dm.store(2, PG, "k")
    assert dm.retrieve_by_key(PG, "k") == 2


def test_nothing_is_written_to_a_table_of_others(dm: DataManager, native: Native) -> None:
    dm.store(1, PG, "k")
    assert dm.list(PG).keys == ["k"]
    native("DROP TABLE {}")
    native("CREATE TABLE {} (key text PRIMARY KEY, data jsonb, metadata jsonb, created_at timestamptz)")
    with pytest.raises(UnsupportedOperationError, match="somebody else"):
        dm.store(2, PG, "k")
    native("INSERT INTO {} VALUES ('k', '1', NULL, NULL)")
    assert dm.retrieve_by_key(PG, "k")["data"] == 1
    native("DROP TABLE {}")
    dm.store(3, PG, "k")
    assert dm.retrieve_by_key(PG, "k") == 3


def test_a_restored_table_without_its_comment_is_ours(
    postgres_dsn: str, dm: DataManager, native: Native
) -> None:
    dm.store(1, PG, "k")
    native("COMMENT ON TABLE {} IS NULL")
    with PostgreSQLProvider(dsn=postgres_dsn, schema=native.schema) as again:
        assert again.store("l", 2, {}).success
        assert again.retrieve("k") == 1


def test_collections_are_tables_here_and_elsewhere(
    dm: DataManager, provider: PostgreSQLProvider, native: Native
) -> None:
    dm.store(1, PG, "k")
    native("CREATE VIEW {} AS SELECT 1 AS n", table="a view")
    assert {"a view", TABLE} <= set(provider.collections())
    other = f"{native.schema} 2"
    dm.store(2, PG, "k", collection=f"{other}.things")
    try:
        assert f"{other}.things" in provider.collections()
        assert dm.retrieve_by_key(PG, "k", collection=f"{other}.things") == 2
        assert provider.in_collection(f"{other}.things").collection == f"{other}.things"
    finally:
        native.connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(other)))
    assert dm.query(PG, collection="a view") == [{"n": 1}]


# Concurrency


def _create(dsn: str, schema: str, barrier: Any, number: int) -> None:
    with PostgreSQLProvider(dsn=dsn, schema=schema) as provider:
        barrier.wait()
        provider.store(f"k{number}", number, {})


def test_processes_that_make_the_table_at_the_same_moment_all_succeed(
    postgres_dsn: str, native: Native
) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(4)
    workers = [
        context.Process(target=_create, args=(postgres_dsn, native.schema, barrier, number))
        for number in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert native("SELECT key FROM {} ORDER BY key") == [(f"k{number}",) for number in range(4)]


def test_threads_lose_and_double_nothing(dm: DataManager, native: Native) -> None:
    def work(thread: int) -> None:
        for number in range(250):
            reference = dm.store({"n": number}, PG, f"{thread}/{number}", {"thread": thread})
            assert dm.retrieve(reference) == {"n": number}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    rows = native("SELECT metadata ->> 'thread', count(*), count(DISTINCT key) FROM {} GROUP BY 1 ORDER BY 1")
    assert rows == [(str(thread), 250, 250) for thread in range(8)]
    used = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'praval_storage' AND query LIKE %s"
    assert native.connection.execute(used, (f"%{native.schema}%",)).fetchall()[0][0] <= 4


def _session(provider: PostgreSQLProvider) -> int:
    with provider._connections.connection() as connection:
        return connection.info.backend_pid


def _in_child(provider: PostgreSQLProvider, queue: Any) -> None:
    try:
        provider.store("child", "child", {})
        queue.put((provider.retrieve("parent"), _session(provider)))
    except BaseException as error:
        queue.put(repr(error))
        raise


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_uses_connections_of_its_own(provider: PostgreSQLProvider) -> None:
    provider.store("parent", "parent", {})
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(provider, queue))
    child.start()
    found, session = queue.get(timeout=30)
    assert found == "parent"
    assert session != _session(provider)
    child.join(30)
    assert child.exitcode == 0
    assert provider.retrieve("child") == "child"


# Connections


def test_nothing_is_connected_before_it_is_used() -> None:
    provider = PostgreSQLProvider(host="no.such.host.invalid")
    assert "no.such.host.invalid:5432/praval" in repr(provider)
    assert PostgreSQLProvider(host="localhost", database="praval").settings.table == TABLE
    provider.close()


def test_close_drops_connections_and_the_next_call_makes_new_ones(
    provider: PostgreSQLProvider, native: Native
) -> None:
    provider.store("k", 1, {})
    own = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE %s AND pid <> pg_backend_pid()"
    pattern = f"%{native.schema}%"
    assert native.connection.execute(own, (pattern,)).fetchall()[0][0] >= 1
    provider.close()
    deadline = time.monotonic() + 10
    while native.connection.execute(own, (pattern,)).fetchall()[0][0]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert provider.retrieve("k") == 1


def test_no_thread_outlives_close(postgres_dsn: str, native: Native) -> None:
    before = set(threading.enumerate())
    with PostgreSQLProvider(dsn=postgres_dsn, schema=native.schema) as provider:
        provider.store("k", 1, {})
    assert set(threading.enumerate()) <= before


def test_a_pool_that_is_given_is_used_and_not_closed(postgres_dsn: str, native: Native) -> None:
    with ConnectionPool(postgres_dsn, kwargs={"autocommit": True}, min_size=1, open=True) as pool:
        with PostgreSQLProvider(client=pool, schema=native.schema) as provider:
            provider.store("k", {"n": 1}, {})
            assert provider.query({"n": 1}, 1) == [{"n": 1}]
            with pytest.raises(ConfigurationError, match="client="):
                pickle.dumps(provider)
        assert not pool.closed
        with pool.connection() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_connection_that_is_given_is_used_and_not_closed(postgres_dsn: str, native: Native) -> None:
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        with PostgreSQLProvider(client=connection, schema=native.schema) as provider:
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda n: provider.store(f"k{n}", n, {}), range(20)))
            assert len(provider.query({}, None)) == 20
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_client_goes_with_no_other_settings(postgres_dsn: str) -> None:
    with (
        psycopg.connect(postgres_dsn, autocommit=True) as connection,
        pytest.raises(ConfigurationError, match="together"),
    ):
        PostgreSQLProvider(host="elsewhere", client=connection)


def test_a_restart_of_the_server_is_survived(server: PostgreSQL) -> None:
    with (
        PostgreSQLProvider(dsn=server.dsn, table=f"t{uuid4().hex}") as provider,
        DataManager({PG: provider}) as dm,
    ):
        dm.store({"n": 1}, PG, "k")
        with ThreadPoolExecutor(4) as pool:  # several connections are open
            list(pool.map(lambda _: dm.retrieve_by_key(PG, "k"), range(40)))
        server.restart()
        assert dm.retrieve_by_key(PG, "k") == {"n": 1}
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda _: dm.query(PG, {"n": 1}), range(20))) == [[{"n": 1}]] * 20
        server.restart()
        assert dm.query(PG).keys == ["k"]


def test_a_server_that_has_gone_is_an_error_and_its_return_is_noticed(server: PostgreSQL) -> None:
    with (
        PostgreSQLProvider(dsn=server.dsn, table=f"t{uuid4().hex}", timeout=2) as provider,
        DataManager({PG: provider}) as dm,
    ):
        dm.store(1, PG, "k")
        server.stop()
        started = time.monotonic()
        with pytest.raises(StorageConnectionError, match=f"127.0.0.1:{server.port}"):
            dm.retrieve_by_key(PG, "k")
        assert time.monotonic() - started < 8
        server.start()
        assert dm.retrieve_by_key(PG, "k") == 1


@pytest.mark.parametrize(
    "change, kind, words",
    [
        ({"port": 1}, StorageConnectionError, ["127.0.0.1:1/", "refused"]),
        ({"host": "no.such.host.invalid"}, StorageConnectionError, ["no.such.host.invalid"]),
        ({"database": "no_such_db"}, StorageConnectionError, ["no_such_db", "does not exist"]),
        ({"password": SECRET}, StoragePermissionError, ["password authentication failed", "praval"]),
        ({"user": "nobody_here"}, StoragePermissionError, ["nobody_here"]),
        ({"password": None}, StoragePermissionError, ["password"]),
    ],
)
def test_a_wrong_setting_is_named_at_once_and_no_password_is(
    server: PostgreSQL, change: dict[str, Any], kind: type[StorageError], words: list[str]
) -> None:
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": server.port,
        "database": "praval",
        "user": "praval",
        "password": server.password,
    }
    provider = PostgreSQLProvider(**(given | change))
    started = time.monotonic()
    with provider, DataManager({PG: provider}) as dm, pytest.raises(kind) as caught:
        dm.store(1, PG, "k")
    assert time.monotonic() - started < 4  # not the five seconds of a timeout
    text = str(caught.value)
    assert all(word in text for word in words), text
    assert caught.value.hint
    shown = "".join(traceback.format_exception(caught.value)) + repr(provider) + repr(provider.settings)
    assert SECRET not in shown
    assert server.password not in shown


def test_a_host_that_does_not_answer_costs_the_timeout() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        provider = PostgreSQLProvider(host="127.0.0.1", port=silent.getsockname()[1], timeout=2)
        started = time.monotonic()
        with pytest.raises(StorageConnectionError, match=r"127.0.0.1:\d+"), DataManager({PG: provider}) as dm:
            dm.store(1, PG, "k")
        assert time.monotonic() - started < 5


def test_a_password_in_a_dsn_is_shown_nowhere(server: PostgreSQL) -> None:
    dsn = f"postgresql://praval:pl4nted%20s%2Fcret@127.0.0.1:{server.port}/praval"
    provider = PostgreSQLProvider(dsn=dsn)
    with pytest.raises(StoragePermissionError) as caught, DataManager({PG: provider}) as dm:
        dm.store(1, PG, "k")
    shown = "".join(traceback.format_exception(caught.value)) + repr(provider) + repr(provider.settings)
    reference = DataReference(PG, "k")
    for text in (shown, reference.uri, provider._repr_html_()):
        assert "pl4nted" not in text
    broken = "postgresql://praval:pl4nted@[broken/x"
    with pytest.raises(ConfigurationError) as refused:
        PostgreSQLProvider(dsn=broken)
    assert "pl4nted" not in "".join(traceback.format_exception(refused.value))


def test_all_connections_in_use_is_said(postgres_dsn: str, native: Native) -> None:
    with PostgreSQLProvider(dsn=postgres_dsn, schema=native.schema, max_connections=1, timeout=1) as provider:
        provider.store("k", 1, {})
        with (
            provider._connections.connection(),
            ThreadPoolExecutor(1) as pool,
            pytest.raises(StorageTimeoutError, match="max_connections"),
        ):
            pool.submit(provider.retrieve, "k").result()
        assert provider.retrieve("k") == 1


def test_what_the_server_forbids_is_a_permission_error(
    postgres_dsn: str, dm: DataManager, native: Native
) -> None:
    dm.store(1, PG, "k")
    role = sql.Identifier(f"reader_{uuid4().hex[:12]}")
    native.connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'reader'").format(role))
    native.connection.execute(
        sql.SQL("GRANT USAGE ON SCHEMA {0} TO {1}; GRANT SELECT ON ALL TABLES IN SCHEMA {0} TO {1}").format(
            sql.Identifier(native.schema), role
        )
    )
    user = role.as_string(None).strip('"')
    try:
        dsn = psycopg.conninfo.make_conninfo(postgres_dsn, user=user, password="reader")
        with PostgreSQLProvider(dsn=dsn, schema=native.schema) as reader, DataManager({"r": reader}) as other:
            assert other.retrieve_by_key("r", "k") == 1
            with pytest.raises(StoragePermissionError, match="permission denied"):
                other.store(2, "r", "k")
            outcomes = other.store_many({f"k{n}": n for n in range(3)}, "r")
            assert [type(outcome.error) for outcome in outcomes] == [StoragePermissionError] * 3
    finally:
        native.connection.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(role))


def test_statements_need_not_be_prepared(postgres_dsn: str, native: Native) -> None:
    with PostgreSQLProvider(dsn=postgres_dsn, schema=native.schema, prepare_threshold=None) as provider:
        for number in range(10):
            provider.store(f"k{number}", number, {})
        with provider._connections.connection() as connection:
            assert connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


def test_a_pickle_holds_the_configuration(provider: PostgreSQLProvider) -> None:
    provider.store("k", 1, {})
    other = provider.in_collection("other")
    other.store("k", 2, {})
    with pickle.loads(pickle.dumps(other)) as again:
        assert (again.collection, again.retrieve("k")) == ("other", 2)
    other.close()


# Settings


def test_the_environment_names_the_place() -> None:
    environ = {
        "POSTGRES_HOST": "db",
        "POSTGRES_PORT": "5433",
        "POSTGRES_DB": "d",
        "POSTGRES_USER": "u",
        "POSTGRES_PASSWORD": SECRET,
        "DATABASE_URL": "postgresql://other/x",
    }
    settings = PostgreSQLSettings.from_env(environ)
    assert settings == PostgreSQLSettings("db", 5433, "d", "u", SECRET)
    assert SECRET not in repr(settings)
    assert SECRET in settings.secrets()
    assert PostgreSQLSettings.from_env({"DATABASE_URL": "postgresql://u:p@h:6/d"}).place == "h:6/d"
    assert PostgreSQLSettings.from_env({}).place == "localhost:5432/praval"
    assert PostgreSQLProvider.from_env(environ).settings == settings
    with pytest.raises(ConfigurationError, match="POSTGRES_PORT"):
        PostgreSQLSettings.from_env({"POSTGRES_PORT": "tcp://10.0.0.1:5432"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"table": ""},
        {"table": "x" * 64},
        {"table": "a\0b"},
        {"schema": ""},
        {"timeout": 0},
        {"max_connections": 0},
        {"dsn": "not = a = dsn"},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        PostgreSQLProvider(**wrong)


def test_a_scan_without_bodies_reads_none(dm: DataManager, provider: PostgreSQLProvider) -> None:
    dm.store({"n": 1}, PG, "k", {"kind": "x"})
    [row] = provider.scan(Scan(bodies=False)).rows
    assert (row.body, row.size, row.metadata) == (None, 7, b'{"kind":"x"}')


def test_a_statement_that_takes_too_long_is_given_up(
    dm: DataManager, native: Native, postgres_dsn: str
) -> None:
    dm.store(1, PG, "k")
    dsn = make_conninfo(postgres_dsn, options="-c default_transaction_read_only=on")
    with PostgreSQLProvider(dsn=dsn, schema=native.schema, statement_timeout=0.1) as hurried:
        with native.connection.transaction():
            native("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(StorageTimeoutError, match=r"statement timeout.*raise statement_timeout="):
                hurried.retrieve("k")
        assert hurried.retrieve("k") == 1
        with pytest.raises(StoragePermissionError, match=r"read-only transaction.*connect to the primary"):
            hurried.store("k", 2, {})


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), 0.0001])
def test_a_statement_timeout_is_a_time(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="statement_timeout"):
        PostgreSQLProvider(statement_timeout=seconds)
