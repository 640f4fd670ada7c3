"""PostgreSQL tables that somebody else made: written here with the native client, read through a provider."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import chain, islice
from typing import Any, LiteralString, cast
from uuid import UUID, uuid4

import psycopg
import pytest
from conftest import cases
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from praval_storage import (
    DataManager,
    KeyNotFoundError,
    Look,
    StorageError,
    StoragePermissionError,
    UnsupportedOperationError,
)
from praval_storage.filters import Path, equal, parse, parse_order, sort_records
from praval_storage.keys import validate_key
from praval_storage.providers import PostgreSQLProvider
from praval_storage.providers.postgresql import existing_pages
from praval_storage.providers.postgresql.existing_catalog import describe
from praval_storage.providers.postgresql.existing_operands import fitted
from praval_storage.providers.postgresql.names import dotted
from praval_storage.records import Record
from praval_storage.serialization import decode_json
from praval_storage.testing import InMemoryProvider, strategies
from praval_storage.testing.conformance._looking import pages_of

PG = "pg"
LARGE = "x" * 1_000_000
DEEP = decode_json(b"[" * 1_010 + b"]" * 1_010)


class Server:
    """A schema of its own, a native connection to fill it, and managers that read from it."""

    def __init__(self, dsn: str, native: psycopg.Connection[Any], schema: str, stack: ExitStack) -> None:
        self.dsn = dsn
        self.native = native
        self.schema = schema
        self._stack = stack

    def sql(self, statement: LiteralString, *parameters: Any) -> psycopg.Cursor[Any]:
        return self.native.execute(statement, parameters or None)

    def read(self, table: str, *, options: str = "") -> DataManager:
        dsn = psycopg.conninfo.make_conninfo(self.dsn, options=options)
        provider = PostgreSQLProvider(dsn=dsn, table=table, schema=self.schema)
        return self._stack.enter_context(DataManager({PG: provider}))


@contextmanager
def serving(dsn: str) -> Iterator[Server]:
    schema = f"existing {uuid4().hex}"
    name = sql.Identifier(schema)
    with psycopg.connect(dsn, autocommit=True) as native, ExitStack() as stack:
        native.execute(sql.SQL("CREATE SCHEMA {}").format(name))
        stack.callback(native.execute, sql.SQL("DROP SCHEMA {} CASCADE").format(name))
        native.execute(sql.SQL("SET search_path TO {}, public").format(name))
        yield Server(dsn, native, schema, stack)


@pytest.fixture
def server(postgres_dsn: str) -> Iterator[Server]:
    with serving(postgres_dsn) as server:
        yield server


@pytest.fixture(scope="module")
def large(postgres_dsn: str) -> Iterator[DataManager]:
    with serving(postgres_dsn) as server:
        yield many(server)


def many(server: Server, rows: int = 100_000) -> DataManager:
    """A table of eight columns with an index on four of them."""
    server.sql(
        """CREATE TABLE many AS
           SELECT n AS id, 'name ' || n AS name, n %% 1000 AS grp, n::float8 / 7 AS ratio,
                  (n / 100.0)::numeric(12, 2) AS price, n %% 2 = 0 AS even,
                  timestamptz '2025-01-01 00:00Z' + n * interval '1 minute' AS at,
                  ARRAY['t' || n %% 50, 'u' || n %% 7] AS tags
           FROM generate_series(1, %s) AS n""",
        rows,
    )
    server.sql("ALTER TABLE many ADD PRIMARY KEY (id), ALTER at SET NOT NULL")
    server.sql("CREATE INDEX by_name ON many (name)")
    server.sql("CREATE INDEX by_price ON many (price)")
    server.sql("CREATE INDEX by_at ON many (at)")
    server.sql("CREATE INDEX by_tags ON many USING gin (tags)")
    server.sql("ANALYZE many")
    return server.read("many")


# Values


@pytest.mark.parametrize(
    "type_name, text, expected",
    [
        ("int2", "-3", -3),
        ("int4", "2147483647", 2**31 - 1),
        ("int8", "9223372036854775807", 2**63 - 1),
        ("oid", "4294967295", 2**32 - 1),
        ("numeric", "123456789012345678901234567890.10", Decimal("123456789012345678901234567890.10")),
        ("numeric(10,2)", "1.1", Decimal("1.10")),
        ("numeric", "NaN", Decimal("NaN")),
        ("numeric", "Infinity", Decimal("Infinity")),
        ("float8", "0.30000000000000004", 0.30000000000000004),
        ("float8", "NaN", math.nan),
        ("float8", "-Infinity", -math.inf),
        ("float4", "0.1", 0.1),
        ("bool", "t", True),
        ("text", "grüße 🦀", "grüße 🦀"),
        ("varchar(3)", "abc", "abc"),
        ("char(5)", "ab", "ab"),
        ('"char"', "x", "x"),
        ("name", "n", "n"),
        ("timestamptz", "2025-01-15 10:00+02", datetime(2025, 1, 15, 8, tzinfo=UTC)),
        ("timestamptz", "infinity", "infinity"),
        ("timestamptz", "12025-01-15 00:00+00", "12025-01-15 00:00:00+00"),
        ("timestamp", "2025-01-15 10:00:00.000001", datetime(2025, 1, 15, 10, 0, 0, 1)),  # noqa: DTZ001
        ("timestamp", "-infinity", "-infinity"),
        ("date", "2025-01-15", date(2025, 1, 15)),
        ("date", "0044-03-15 BC", "0044-03-15 BC"),
        ("time", "10:00", time(10)),
        ("time", "24:00", "24:00:00"),
        ("timetz", "10:00+02", time(10, tzinfo=timezone(timedelta(hours=2)))),
        ("interval", "1 day 02:00:00.000005", timedelta(days=1, hours=2, microseconds=5)),
        ("interval", "-1 day", timedelta(days=-1)),
        ("interval", "1 month 2 days", "1 mon 2 days"),
        ("interval", "1 year", "1 year"),
        ("uuid", "00000000-0000-0000-0000-000000000001", UUID(int=1)),
        ("bytea", r"\x00ff", b"\x00\xff"),
        ("jsonb", '{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}),
        ("jsonb", "123456789012345678901", 123456789012345678901),
        ("json", ' "text" ', "text"),
        ("jsonb", "null", None),
        ("int4[]", "{1,NULL,3}", [1, None, 3]),
        ("int4[]", "{{1,2},{3,4}}", [[1, 2], [3, 4]]),
        ("int4[]", "[0:1]={1,2}", [1, 2]),
        ("text[]", '{a,"b,c",NULL,""}', ["a", "b,c", None, ""]),
        ("timestamptz[]", "{2025-01-15 Z,infinity}", [datetime(2025, 1, 15, tzinfo=UTC), "infinity"]),
        ("numeric[]", "{1.10,NaN}", [Decimal("1.10"), Decimal("NaN")]),
        ("jsonb[]", r'{"{\"a\": 1}"}', [{"a": 1}]),
        ("box[]", "{(3,4),(1,2);(7,8),(5,6)}", ["(3,4),(1,2)", "(7,8),(5,6)"]),
        ("inet", "10.0.0.1", "10.0.0.1"),
        ("cidr", "10.0.0.0/8", "10.0.0.0/8"),
        ("macaddr", "08:00:2b:01:02:03", "08:00:2b:01:02:03"),
        ("int4range", "[1,5]", "[1,6)"),
        ("inet[]", "{10.0.0.1,10.0.0.0/8}", ["10.0.0.1", "10.0.0.0/8"]),
        ("point", "(1,2)", "(1,2)"),
        ("bit(3)", "101", "101"),
        ("tsvector", "a b", "'a' 'b'"),
        ("mood", "happy", "happy"),
        ("mood[]", "{happy,sad}", ["happy", "sad"]),
        ("positive", "3", 3),
        ("positive[]", "{1,2}", [1, 2]),
        ("pair", '(1,"a b")', '(1,"a b")'),
    ],
)  # fmt: skip
def test_a_value_of_every_type_comes_back(server: Server, type_name: str, text: str, expected: Any) -> None:
    server.sql("CREATE TYPE mood AS ENUM ('sad', 'happy')")
    server.sql("CREATE DOMAIN positive AS int CHECK (VALUE > 0)")
    server.sql("CREATE TYPE pair AS (a int, b text)")
    column = sql.SQL(type_name)
    server.native.execute(sql.SQL("CREATE TABLE t (id int PRIMARY KEY, x {})").format(column))
    insert = sql.SQL("INSERT INTO t VALUES (1, CAST({} AS {})), (2, NULL)")
    server.native.execute(insert.format(sql.Literal(text), column))
    dm = server.read("t")
    first, second = dm.query(PG, order_by="id")
    assert type(first["x"]) is type(expected)
    assert equal(first["x"], expected)
    assert second == {"id": 2, "x": None}
    assert equal(dm.retrieve_by_key(PG, "1"), first)


def test_values_and_keys_do_not_depend_on_the_settings_of_the_session(server: Server) -> None:
    server.sql("CREATE TABLE t (at timestamptz PRIMARY KEY, span interval, x float8)")
    server.sql("INSERT INTO t VALUES ('2025-01-15 10:00+00', '1 mon 1 day', 0.30000000000000004)")
    odd = "-c timezone=Asia/Tokyo -c datestyle=German -c intervalstyle=iso_8601 -c extra_float_digits=-5"
    dm = server.read("t", options=odd)
    [key] = dm.query(PG).keys
    assert key == "2025-01-15 10:00:00+00"
    assert dm.retrieve_by_key(PG, key) == {
        "at": datetime(2025, 1, 15, 10, tzinfo=UTC),
        "span": "1 mon 1 day",
        "x": 0.30000000000000004,
    }


def test_columns_and_tables_may_have_any_name(server: Server) -> None:
    server.sql(
        """CREATE TABLE "100% of ""Köln"".t %s" ("Na.me" int PRIMARY KEY, "say ""x"" %s" text, "t" int);
           INSERT INTO "100% of ""Köln"".t %s" VALUES (1, 'a', 2)"""
    )
    dm = server.read('100% of "Köln".t %s')
    assert only(dm) == {"Na.me": 1, 'say "x" %s': "a", "t": 2}
    assert dm.query(PG, {'say "x" %s': "a"}, order_by='say "x" %s').keys == ["1"]
    assert list(dm.query(PG).to_pandas()) == ["key", "Na.me", 'say "x" %s', "t", "created_at"]


def only(dm: DataManager, key: str | None = None) -> Any:
    [row] = dm.query(PG) if key is None else [dm.retrieve_by_key(PG, key)]
    return row


def test_frames_have_a_dtype_for_every_column_that_can_have_one(server: Server) -> None:
    frame = many(server, 10).query(PG).to_pandas()
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        "key": "str",
        "id": "int64",
        "name": "str",
        "grp": "int64",
        "ratio": "float64",
        "price": "object",
        "even": "bool",
        "at": "datetime64[us, UTC]",
        "tags": "object",
        "created_at": "datetime64[us, UTC]",
    }
    assert frame["price"][0] == Decimal("0.01")
    assert frame["tags"][0] == ["t1", "u1"]


def test_integers_with_nulls_stay_integers_in_a_frame(server: Server) -> None:
    server.sql("CREATE TABLE t (id int PRIMARY KEY, x int8)")
    server.sql("INSERT INTO t VALUES (1, 9007199254740993), (2, NULL)")
    frame = server.read("t").query(PG).to_pandas()
    assert (str(frame["x"].dtype), frame["x"][0]) == ("Int64", 9007199254740993)


# Keys


@pytest.mark.parametrize(
    "columns, values, key",
    [
        ("k int PRIMARY KEY", (7,), "7"),
        ("k uuid PRIMARY KEY", (UUID(int=1),), str(UUID(int=1))),
        ("k date PRIMARY KEY", (date(2024, 2, 29),), "2024-02-29"),
        ("k timestamptz PRIMARY KEY", (datetime(2025, 1, 15, tzinfo=UTC),), "2025-01-15 00:00:00+00"),
        ("k bytea PRIMARY KEY", (b"\x00\xff",), "00ff"),
        ("k inet PRIMARY KEY", ("10.0.0.1",), "10.0.0.1/32"),
        ("k text PRIMARY KEY", ("dir/ä 100%",), "dir/ä 100%"),
        ("k char(5) PRIMARY KEY", ("ab",), "ab"),
        ("k numeric PRIMARY KEY", (Decimal("1.50"),), "1.50"),
        ("a text, b int, PRIMARY KEY (b, a)", ("x/y%z", 2), "2/x%2Fy%25z"),
        ("a int, b text NOT NULL, UNIQUE (b)", (1, "u"), "u"),
        ("a int NOT NULL UNIQUE, b int, c int, PRIMARY KEY (b, c)", (1, 2, 3), "2/3"),
    ],
)
def test_the_primary_key_is_the_key(server: Server, columns: str, values: tuple[Any, ...], key: str) -> None:
    server.native.execute(sql.SQL("CREATE TABLE t ({})").format(sql.SQL(columns)))
    server.native.execute(
        sql.SQL("INSERT INTO t VALUES ({})").format(sql.SQL(", ").join(map(sql.Literal, values)))
    )
    dm = server.read("t")
    assert dm.query(PG).keys == [key]
    assert dm.list(PG).keys == [key]
    assert dm.retrieve_by_key(PG, key) == only(dm)
    assert dm.query(PG, {"key": key}).keys == [key]
    assert dm.query(PG, {"key": {"$prefix": key[:1]}}).keys == [key]
    assert dm.query(PG, {"key": {"$ne": key}}).keys == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "a/../b",
        ".praval/x",
        "back\\slash",
        "line\nbreak",
        "e\u0301",
        "%md5-x",
        600 * "x",
    ],
)
def test_rows_whose_key_would_be_illegal_are_found_as_well(server: Server, text: str) -> None:
    server.sql("CREATE TABLE one (k text PRIMARY KEY)")
    server.sql("CREATE TABLE two (k text, n int, PRIMARY KEY (k, n))")
    server.sql("INSERT INTO one VALUES (%s), ('legal')", text)
    server.sql("INSERT INTO two VALUES (%s, 1), ('legal', 1)", text)
    for table, other in (("one", "legal"), ("two", "legal/1")):
        dm = server.read(table)
        [key] = set(dm.list(PG).keys) - {other}
        assert validate_key(key)
        assert dm.retrieve_by_key(PG, key)["k"] == text
        assert dm.query(PG, {"key": text}).keys == []
        assert dm.retrieve_many([f"praval://{PG}/{other}", dm.query(PG, {"key": key}).references[0]]).ok


@pytest.mark.parametrize("key", ["007", "7 ", "+7", "x", "7/8", "99999999999999999999", "%md5-x", "1e0"])
def test_another_spelling_of_a_key_is_another_key(server: Server, key: str) -> None:
    server.sql("CREATE TABLE t (id int PRIMARY KEY)")
    server.sql("INSERT INTO t VALUES (7)")
    dm = server.read("t")
    assert dm.retrieve_by_key(PG, "7") == {"id": 7}
    with pytest.raises(KeyNotFoundError):
        dm.retrieve_by_key(PG, key)
    assert dm.query(PG, {"key": {"$in": [key, "7"]}}).keys == ["7"]


def test_a_row_without_a_primary_key_is_found_until_it_changes(server: Server) -> None:
    server.sql("CREATE TABLE t (x int)")
    server.sql("INSERT INTO t VALUES (1), (1), (2)")
    dm = server.read("t")
    found = dm.query(PG)
    assert len(set(found.keys)) == 3
    assert "primary key" in (found.plan.hint or "")
    assert dm.retrieve_many(found.references).values == [{"x": 1}, {"x": 1}, {"x": 2}]
    server.sql("UPDATE t SET x = 3 WHERE x = 2")
    with pytest.raises(KeyNotFoundError):
        dm.retrieve(found.references[2])
    server.sql("DELETE FROM t WHERE ctid = '(0,1)'")
    server.sql("VACUUM FULL t")
    for reference in found.references:
        with pytest.raises(KeyNotFoundError):
            dm.retrieve(reference)


def test_unique_columns_that_may_be_null_are_no_key(server: Server) -> None:
    server.sql("CREATE TABLE t (a int UNIQUE, b int NOT NULL)")
    server.sql("CREATE UNIQUE INDEX ON t (b) WHERE b > 0")
    server.sql("CREATE UNIQUE INDEX ON t ((b + 1))")
    server.sql("INSERT INTO t VALUES (NULL, 1), (NULL, 2)")
    keys = server.read("t").query(PG).keys
    assert [key.split("/")[0] for key in keys] == ["row", "row"]


def test_a_row_has_the_version_of_its_last_write(server: Server) -> None:
    server.sql("CREATE TABLE t (id int PRIMARY KEY, x int)")
    server.sql("INSERT INTO t VALUES (1, 1)")
    dm = server.read("t")
    [before] = dm.query(PG).references
    assert dm.query(PG).references[0].version == before.version
    server.sql("UPDATE t SET x = 2")
    [after] = dm.query(PG).references
    assert (after.key, after.created_at, after.metadata) == ("1", None, {})
    assert after.version != before.version


# Relations of every kind


def test_views_are_read_and_equal_rows_share_a_key(server: Server) -> None:
    server.sql("CREATE TABLE t (id int PRIMARY KEY, at timestamptz DEFAULT now())")
    server.sql("INSERT INTO t SELECT generate_series(1, 4)")
    server.sql("CREATE VIEW v AS SELECT id % 2 AS odd, at FROM t")
    dm = server.read("v")
    found = dm.query(PG, order_by="odd")
    assert [row["odd"] for row in found] == [0, 0, 1, 1]
    assert len(set(found.keys)) == 2
    assert dm.retrieve(found.references[3])["odd"] == 1
    assert list(found.to_pandas()["odd"]) == [0, 0, 1, 1]
    assert "reads the whole" in (found.plan.hint or "")
    assert dm.query(PG, {"odd": 1}).plan.residual == {}


@pytest.mark.parametrize(
    "statements",
    [
        ("CREATE MATERIALIZED VIEW x AS SELECT 1 AS a",),
        ("CREATE TABLE x (a int PRIMARY KEY) PARTITION BY LIST (a)",
         "CREATE TABLE y PARTITION OF x FOR VALUES IN (1)", "INSERT INTO x VALUES (1)"),
        ("CREATE TABLE x (a int) PARTITION BY LIST (a)",
         "CREATE TABLE y PARTITION OF x FOR VALUES IN (1)", "INSERT INTO x VALUES (1)"),
        ("CREATE TABLE x (a int PRIMARY KEY)", "CREATE TABLE y () INHERITS (x)", "INSERT INTO y VALUES (1)"),
        ("CREATE UNLOGGED TABLE x (a int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)",
         "INSERT INTO x DEFAULT VALUES"),
        ("CREATE VIEW x AS SELECT 1 AS a",),
    ],
    ids=["materialized view", "partitioned", "partitioned without key", "inherited", "unlogged", "view"],
)  # fmt: skip
def test_relations_of_every_kind_are_read(server: Server, statements: tuple[LiteralString, ...]) -> None:
    for statement in statements:
        server.sql(statement)
    dm = server.read("x")
    found = dm.query(PG)
    assert list(found) == [{"a": 1}]
    assert dm.retrieve(found.references[0]) == {"a": 1}
    assert list(dm.query(PG, {"a": {"$gt": 0}}, order_by="-a")) == [{"a": 1}]
    assert list(dm.query(PG, {"a": {"$gt": 1}})) == []
    assert list(found.to_pandas()["a"]) == [1]


def test_foreign_tables_are_read(server: Server, tmp_path_factory: pytest.TempPathFactory) -> None:
    try:
        server.sql("CREATE EXTENSION IF NOT EXISTS file_fdw")
    except psycopg.Error as error:
        pytest.skip(f"the server has no foreign data wrapper: {error}")
    name = f"files_{uuid4().hex}"
    server.native.execute(
        sql.SQL("CREATE SERVER {} FOREIGN DATA WRAPPER file_fdw").format(sql.Identifier(name))
    )
    try:
        server.native.execute(
            sql.SQL(
                "CREATE FOREIGN TABLE f (a int, b text) SERVER {} OPTIONS (program 'echo 1,x', format 'csv')"
            ).format(sql.Identifier(name))
        )
        dm = server.read("f")
        assert only(dm) == {"a": 1, "b": "x"}
        assert dm.retrieve(dm.query(PG, {"b": "x"}).references[0]) == {"a": 1, "b": "x"}
    finally:
        server.native.execute(sql.SQL("DROP SERVER {} CASCADE").format(sql.Identifier(name)))


def test_an_empty_table_and_one_without_columns_are_read(server: Server) -> None:
    server.sql("CREATE TABLE empty (id int PRIMARY KEY)")
    server.sql("CREATE TABLE bare ()")
    server.sql("INSERT INTO bare DEFAULT VALUES")
    assert list(server.read("empty").query(PG)) == []
    assert list(server.read("bare").query(PG)) == [{}]


def test_a_table_may_change_while_it_is_explored(server: Server) -> None:
    server.sql("CREATE TABLE t (id int PRIMARY KEY, x int)")
    server.sql("INSERT INTO t VALUES (1, 2)")
    dm = server.read("t")
    for _ in range(8):  # psycopg prepares what it runs often
        assert only(dm, "1") == {"id": 1, "x": 2}
    server.sql("ALTER TABLE t ALTER x TYPE text")
    assert only(dm, "1") == {"id": 1, "x": "2"}
    server.sql("ALTER TABLE t ADD y date")
    assert only(dm, "1") == {"id": 1, "x": "2", "y": None}
    assert only(dm) == {"id": 1, "x": "2", "y": None}


def test_a_database_in_another_encoding_is_read(postgres_dsn: str) -> None:
    database = f"latin_{uuid4().hex}"
    name = sql.Identifier(database)
    latin = sql.SQL("CREATE DATABASE {} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with psycopg.connect(postgres_dsn, autocommit=True) as native, ExitStack() as stack:
        native.execute(latin.format(name))
        stack.callback(native.execute, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
        server = stack.enter_context(serving(psycopg.conninfo.make_conninfo(postgres_dsn, dbname=database)))
        server.sql("CREATE TABLE t (k text PRIMARY KEY, x text)")
        server.sql("INSERT INTO t VALUES ('é', 'ß'), ('z', 'z')")
        dm = server.read("t")
        assert dm.retrieve_many(dm.list(PG)).ok
        assert [row["x"] for row in dm.query(PG, {"x": {"$in": ["ß", "🦀"]}})] == ["ß"]
        assert [row["x"] for row in dm.query(PG, order_by="-x")] == ["ß", "z"]


def test_a_table_that_may_not_be_read_says_so(server: Server) -> None:
    role = f"nobody_{uuid4().hex}"
    server.native.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
    try:
        server.sql("CREATE TABLE secret (id int PRIMARY KEY)")
        grant = sql.SQL("GRANT USAGE ON SCHEMA {} TO {}")
        server.native.execute(grant.format(sql.Identifier(server.schema), sql.Identifier(role)))
        dm = server.read("secret", options=f"-c role={role}")
        for call in (lambda: dm.query(PG), lambda: dm.list(PG), lambda: dm.retrieve_by_key(PG, "1")):
            with pytest.raises(StoragePermissionError, match="secret"):
                call()
    finally:
        server.native.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
        server.native.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


# Nothing is written


def test_nothing_is_ever_written_to_it(server: Server) -> None:
    server.sql("CREATE TABLE customers (id int PRIMARY KEY, name text)")
    server.sql("INSERT INTO customers VALUES (1, 'Ada')")
    dm = server.read("customers")
    for call in (
        lambda: dm.store({"id": 2}, PG, key="2"),
        lambda: dm.store({"id": 1}, PG, key="1", overwrite=False),
        lambda: dm.delete_by_key(PG, "1"),
        lambda: dm.move(dm.query(PG).references[0], PG, key="2"),
    ):
        with pytest.raises(UnsupportedOperationError, match=r"customers.*somebody else.*table="):
            call()
    [outcome] = dm.store_many([{"id": 3}], PG, keys=["3"])
    assert isinstance(outcome.error, UnsupportedOperationError)
    assert dm.purge_expired() == {PG: 0}
    assert server.sql("SELECT * FROM customers").fetchall() == [(1, "Ada")]
    tables = server.sql("SELECT tablename FROM pg_tables WHERE schemaname = %s", server.schema)
    assert tables.fetchall() == [("customers",)]


def test_a_view_that_writes_is_refused(server: Server) -> None:
    server.sql("CREATE SEQUENCE numbers")
    server.sql("CREATE VIEW v AS SELECT nextval('numbers') AS x")
    with pytest.raises(StorageError, match="read-only"):
        server.read("v").query(PG)
    assert server.sql("SELECT is_called FROM numbers").fetchone() == (False,)


@pytest.mark.parametrize(
    "columns",
    [
        "key int PRIMARY KEY, data text, metadata text, created_at date",
        "key text PRIMARY KEY, data text, metadata jsonb, created_at text",
    ],
)
def test_a_table_with_our_column_names_by_accident_is_not_ours(
    server: Server, columns: LiteralString
) -> None:
    server.native.execute(sql.SQL("CREATE TABLE t ({})").format(sql.SQL(columns)))
    server.sql("INSERT INTO t VALUES ('1', '{}', '{}', '2025-01-15')")
    dm = server.read("t")
    assert set(only(dm)) == {"key", "data", "metadata", "created_at"}
    assert dm.query(PG, {"data.key": {"$exists": True}}).references[0].metadata == {}
    with pytest.raises(StorageError):
        dm.store({"a": 1}, PG, key="2")
    assert server.sql("SELECT count(*) FROM t").fetchone() == (1,)


# Filters and orders


def values_of(type_name: LiteralString, *texts: str) -> tuple[LiteralString, tuple[str, ...]]:
    return type_name, texts


COLUMNS = {
    "i": values_of("int4", "1", "2", "-1", "0", "2147483647"),
    "small": values_of("int2", "1", "2"),
    "big": values_of("int8", "9007199254740993", "9007199254740992", "1", "9223372036854775807"),
    "f": values_of("float8", "1", "0.1", "NaN", "Infinity", "-Infinity", "-0", "9007199254740992", "1e300"),
    "f4": values_of("float4", "1", "0.1", "NaN"),
    "n": values_of("numeric", "1", "0.1", "1.50", "NaN", "1e30", "-1", "Infinity"),
    "s": values_of("text", "a", "A", "ab", "a%", "1", "", "é", "\U0001f600", "\uffff", "2025-01-15",
                   "back\\slash"),
    "v": values_of("varchar(9)", "a", "ab ", "a_c"),
    "c": values_of("char(3)", "a", "ab", ""),
    "loose": values_of('text COLLATE "loose"', "a", "A", "ab"),
    "b": values_of("bool", "true", "false"),
    "d": values_of("date", "2025-01-15", "2024-02-29", "infinity", "0044-03-15 BC"),
    "ts": values_of("timestamp", "2025-01-15 10:00", "2025-01-15 10:00:00.000001", "-infinity", "0001-01-01"),
    "tz": values_of("timestamptz", "2025-01-15 10:00+00", "1969-12-31 00:00+00", "infinity",
                    "9999-12-31 23:59+00"),
    "t": values_of("time", "10:00", "24:00"),
    "zt": values_of("timetz", "10:00+00", "12:00+02"),
    "iv": values_of("interval", "1 day", "1 mon", "30 days", "24:00:00"),
    "u": values_of("uuid", str(UUID(int=1)), str(UUID(int=2))),
    "by": values_of("bytea", "\\x61", "\\x"),
    "ia": values_of("int4[]", "{1,2}", "{}", "{1,NULL}", "{{1,2},{2,3}}", "{2147483647}"),
    "sa": values_of("text[]", "{a,ab}", '{"",a%}', "{NULL}", "{{a},{b}}"),
    "fa": values_of("float8[]", "{1,NaN}", "{0.1}"),
    "j": values_of("jsonb", '{"a": 1, "b": [1, {"a": "a"}]}', '{"a": "a"}', '"a"', "1", "null",
                   "[1, \"a\", [2]]",
                   '{"a": [{"a": true}, {"a": 1.0}]}', '{"a": [["a"]]}', '[["a"]]', '[{"a": "a"}]', "true"),
    "js": values_of("json", '{"a": 1}', "null", '"a"'),
    "m": values_of("mood", "sad", "happy"),
    "net": values_of("inet", "10.0.0.1", "10.0.0.0/8"),
}  # fmt: skip
PATHS = (*COLUMNS, "j.a", "j.b.a", "j.a.a", "j.b.0", "js.a", "ia.0", "sa.1", "i.a", "tz.x", "no", "data")
OPERANDS: tuple[Any, ...] = (
    1, 2, -1, 0, True, False, None, 1.0, 0.1, 1.5, -0.0, math.nan, math.inf, -math.inf, Decimal("0.1"),
    Decimal("1.50"), Decimal("1e30"), Decimal("1e999999"), 10**30, 10**400, 2**53, 2**53 + 1, 2**63,
    2**31 - 1, 2**31, 2.0**53, 1e300, "a", "A", "ab", "ab ", "a ", "a%", "%", "_", "", "é",
    "\U0001f600", "\uffff", "nul\x00", "\ud800", "1", "true", "2025-01-15", "infinity", "24:00:00", "1 mon",
    "happy", "10.0.0.1", "10.0.0.1/32", "\\", date(2025, 1, 15), date(9999, 12, 31),
    datetime(2025, 1, 15, 10),  # noqa: DTZ001
    datetime(2025, 1, 15, 10, tzinfo=UTC), datetime(2025, 1, 15, 12, tzinfo=timezone(timedelta(hours=2))),
    datetime(1, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))),
    time(10), time(10, tzinfo=UTC),
    datetime.max,  # noqa: DTZ901
    timedelta(days=1), timedelta(days=30), timedelta.max, UUID(int=1), b"a", b"", [1, 2],
    [], ["a", "ab"], {"a": 1}, (1, 2), frozenset({1}), [[1, 2], [2, 3]], {"a": "a"},
)  # fmt: skip
KEY_TEXTS = (
    "1", "a", "A", "dir/x", "dir/", "", "a%20b", "100%", "e\u0301", "é", "%md5-x", "back\\slash", "x" * 600,
)  # fmt: skip

NUMBERS = ("i", "small", "big", "f", "f4", "n")


WITH_TYPES = """
CREATE TABLE typed (id int PRIMARY KEY, at timestamptz, t timestamp, d date, n numeric(10, 2), u uuid,
    c char(5), "a.b" int, "x.y" jsonb);
INSERT INTO typed VALUES
    (1, '2024-05-01 12:00Z', '2024-05-01 12:00', '2024-05-01', 1.43,
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'ab', 7, '{"z": 1}'),
    (2, '2025-05-01 12:00Z', '2025-05-01 12:00', '2025-05-01', 2.5, NULL, 'cd', 8, '{"z": 2}'),
    (3, NULL, 'infinity', 'infinity', 'NaN', NULL, NULL, NULL, NULL);
"""
NOON = datetime(2024, 5, 1, 12)  # noqa: DTZ001


@pytest.mark.parametrize(
    "question, expected",
    [
        ({"at": {"$gte": "2025-01-01"}}, "2"),
        ({"at": {"$lt": date(2025, 1, 1)}}, "1"),
        ({"at": NOON}, "1"),
        ({"at": "2024-05-01T14:00:00+02:00"}, "1"),
        ({"at": {"$in": ["2024-05-01T12:00:00Z", "2025-05-01 12:00"]}}, "12"),
        ({"at": {"$ne": "2024-05-01T12:00:00Z"}}, "23"),
        ({"at": {"$not": {"$gte": "2025-01-01"}}}, "13"),
        ({"at": {"$gte": "soon"}}, ""),
        ({"t": {"$gt": "2024-05-01"}}, "12"),
        ({"t": {"$lte": NOON}}, "1"),
        ({"t": NOON.replace(tzinfo=UTC)}, ""),
        ({"t": "infinity"}, "3"),
        ({"d": "2024-05-01"}, "1"),
        ({"d": {"$gte": "2025-05-01"}}, "2"),
        ({"d": {"$gte": datetime(2024, 5, 1)}}, "12"),  # noqa: DTZ001
        ({"d": {"$gte": NOON}}, "2"),
        ({"d": {"$gt": NOON}}, "2"),
        ({"d": {"$lt": NOON}}, "1"),
        ({"d": {"$lte": NOON}}, "1"),
        ({"d": NOON}, ""),
        ({"d": {"$gt": "2024-05-01", "$lt": "2025-06-01"}}, "2"),
        ({"n": 1.43}, "1"),
        ({"n": {"$lte": 1.43}}, "1"),
        ({"n": {"$gt": 1.43}}, "2"),
        ({"n": math.nan}, "3"),
        ({"n": 0.1 + 0.2}, ""),
        ({"u": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"}, "1"),
        ({"u": {"$in": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "x", None]}}, "123"),
        ({"c": "ab   "}, "1"),
        ({"c": "ab"}, "1"),
        ({"a.b": 7}, "1"),
        ({"data.a.b": {"$gt": 7}}, "2"),
        ({"x.y.z": 2}, "2"),
        ({"a.c": {"$exists": False}}, "123"),
    ],
)
def test_operands_are_read_as_what_the_column_holds(
    typed: DataManager, question: dict[str, Any], expected: str
) -> None:
    assert "".join(sorted(typed.query(PG, question, limit=None).keys)) == expected
    home = cast("PostgreSQLProvider", typed.providers[PG]).home()
    seen = typed.look(PG, Look(home, where=parse(question)))
    assert "".join(sorted(row.key for row in seen.rows)) == expected, "and so does the browser"


def test_a_column_with_a_dot_in_its_name_gives_an_order(typed: DataManager) -> None:
    assert typed.query(PG, order_by="-a.b").keys == ["2", "1", "3"]
    home = cast("PostgreSQLProvider", typed.providers[PG]).home()
    seen = typed.look(PG, Look(home, order=parse_order("-a.b")))
    assert ([row.key for row in seen.rows], seen.ordered) == (["2", "1", "3"], True)


@pytest.fixture(scope="module")
def typed(postgres_dsn: str) -> Iterator[DataManager]:
    with serving(postgres_dsn) as server:
        for statement in WITH_TYPES.split(";")[:-1]:
            server.native.execute(sql.SQL(cast("LiteralString", statement)))
        yield server.read("typed")


def is_ranged(operand: Any) -> bool:
    return isinstance(operand, int | float | Decimal | str | date) and not isinstance(operand, bool)


def conditions(own: Sequence[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Conditions on a column, mostly with values that are in it."""
    pool = (*own, *OPERANDS)
    anything = st.sampled_from(own or OPERANDS) | st.sampled_from(pool)
    texts = st.sampled_from([each for each in pool if isinstance(each, str)])
    bounds = anything.filter(is_ranged)
    lists = st.lists(anything, max_size=4) | st.lists(texts, max_size=3)
    operands: dict[str, st.SearchStrategy[Any]] = {
        **dict.fromkeys(("$eq", "$ne", "$contains"), anything),
        **dict.fromkeys(("$gt", "$gte", "$lt", "$lte"), bounds),
        **dict.fromkeys(("$in", "$nin"), lists),
        "$exists": st.booleans(),
        "$prefix": texts,
        "$regex": st.sampled_from(strategies.PATTERNS),
    }
    names = st.sampled_from(sorted(operands))
    return names.flatmap(lambda name: st.fixed_dictionaries({name: operands[name]}))


def values_in(records: Sequence[Record], path: str) -> list[Any]:
    """The values that records have at a path, and those in lists there."""
    found = [value for record in records for value in Path.parse(path).values(record)]
    inner = [item for value in found if isinstance(value, list) for item in value]
    return list({repr(value): value for value in (*found, *inner)}.values())


def key_conditions() -> st.SearchStrategy[dict[str, Any]]:
    texts = st.sampled_from((*KEY_TEXTS, "2", "1/a", "row", "%", "x", "nul\x00"))
    names = st.sampled_from(("$eq", "$ne", "$prefix", "$gt", "$lte", "$regex"))
    patterns = st.sampled_from(strategies.PATTERNS)
    one = names.flatmap(lambda name: st.fixed_dictionaries({name: patterns if name == "$regex" else texts}))
    return one | st.fixed_dictionaries({"$in": st.lists(texts, max_size=3)})


def filters(records: Sequence[Record]) -> st.SearchStrategy[dict[str, Any]]:
    on = {path: conditions(values_in(records, path)) for path in PATHS}
    on_columns = st.sampled_from(PATHS).flatmap(lambda path: st.fixed_dictionaries({path: on[path]}))
    on_key = key_conditions().map(lambda condition: {"key": condition})
    elsewhere = strategies.filters(roots=("metadata", "created_at", "size", "format"), depth=0)
    one = st.one_of(on_columns, on_columns, on_columns, on_columns, on_key, elsewhere)
    negated = st.one_of(one, one, one.map(lambda inner: {"$not": inner}))
    several = st.lists(negated, min_size=2, max_size=3)
    return st.one_of(
        negated,
        negated,
        several.map(lambda parts: {"$or": parts}),
        several.map(lambda parts: {"$and": parts}),
        several.map(lambda parts: {"$not": {"$or": parts}}),
    )


def filled(server: Server, key: LiteralString | None) -> DataManager:
    """A table of columns of all kinds: a full row, an empty one, and one for each value of each column."""
    server.sql("CREATE TYPE mood AS ENUM ('sad', 'happy')")
    try:
        server.sql("CREATE COLLATION loose (provider=icu, locale='und-u-ks-level2', deterministic=false)")
    except psycopg.errors.FeatureNotSupported:  # a server without ICU has no such collations at all
        server.sql('CREATE COLLATION loose FROM "C"')
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, (kind, _) in COLUMNS.items()
    ]
    numbered = sql.SQL("CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, k text, {})")
    server.native.execute(numbered.format(sql.SQL(", ").join(columns)))
    if key is not None:
        server.native.execute(sql.SQL("ALTER TABLE t ADD PRIMARY KEY ({})").format(sql.SQL(key)))
    rows: list[Mapping[str, str]] = [{name: texts[0] for name, (_, texts) in COLUMNS.items()}, {}]
    rows += [{name: text} for name, (_, texts) in COLUMNS.items() for text in texts]
    names = sql.SQL(", ").join(map(sql.Identifier, ("k", *COLUMNS)))
    for row, text in zip(rows, (*KEY_TEXTS, *map(str, range(100, 1_000))), strict=False):
        cells = sql.SQL(", ").join([sql.Literal(each) for each in (text, *map(row.get, COLUMNS))])
        server.native.execute(sql.SQL("INSERT INTO t ({}) VALUES ({})").format(names, cells))
    return server.read("t")


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("operator", ["$eq", "$gt", "$lte"])
def test_every_value_meets_every_column(server: Server, operator: str) -> None:
    dm = filled(server, "id")
    records = dm.query(PG, limit=None).records
    relation = describe(server.native, server.schema, "t")
    for path in PATHS if operator == "$eq" else NUMBERS:
        operands = [*values_in(records, path), *(OPERANDS if path in COLUMNS else ())]
        for operand in operands if operator == "$eq" else filter(is_ranged, operands):
            question = {path: {operator: operand}}
            node = fitted(parse(question), relation)
            expected = {record.key for record in records if node.matches(record)}
            assert set(dm.query(PG, question, limit=None).keys) == expected, question


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("key", ["id", "k", "k, id", None])
def test_a_query_answers_what_matches_answers(server: Server, key: LiteralString | None) -> None:
    dm = filled(server, key)
    records = dm.query(PG, limit=None).records
    relation = describe(server.native, server.schema, "t")
    paths = st.sampled_from((*PATHS, "key", "k"))
    orders = st.none() | st.builds(str.__add__, st.sampled_from(("", "-")), paths)
    pushed = 0

    @settings(max_examples=cases(500, 12_000), suppress_health_check=list(HealthCheck))
    @given(filters(records), orders, st.sampled_from((None, 1, 5, 1_000)))
    def ask(question: dict[str, Any], order_by: str | None, limit: int | None) -> None:
        nonlocal pushed
        node = fitted(parse(question), relation)
        matching = [record for record in records if node.matches(record)]
        expected = [record.key for record in sort_records(matching, parse_order(order_by))]
        found = dm.query(PG, question, limit, order_by=order_by)
        pushed += not found.plan.residual
        if order_by is None and limit is not None:
            assert set(found.keys) <= set(expected)
            assert len(found) == min(limit, len(expected))
        elif order_by is None:
            assert sorted(found.keys) == sorted(expected)
        else:
            assert found.keys == expected[:limit]
        assert found.truncated == (limit is not None and len(expected) > limit)

    ask()
    assert pushed > 100


@pytest.mark.parametrize("key", ["id", "k", "k, id", None])
@pytest.mark.parametrize("budget", [1, 100_000])
def test_sorted_pages_are_the_order_cut_into_pieces(
    server: Server, key: LiteralString | None, budget: int
) -> None:
    dm = filled(server, key)
    records = dm.query(PG, limit=None).records
    made = set()
    for order_by in (f"{sign}{path}" for path in (*PATHS, "key", "size") for sign in ("", "-")):
        order = parse_order(order_by)
        look = Look(dotted(server.schema, "t"), order=order, limit=7, budget=budget)
        answer = list(pages_of(dm, PG, look))
        found = [row.key for seen in answer for row in seen.rows]
        expected = [record.key for record in sort_records(records, order)]
        assert sorted(found) == sorted(expected), order_by
        if all(seen.ordered for seen in answer):
            assert found == expected, order_by
            made.add(order_by.removeprefix("-"))
        else:
            assert not any(seen.ordered for seen in answer)
            assert f"not sorted by {order.path}" in answer[0].note
    never = {"f4", "t", "zt", "iv", "by", "ia", "sa", "fa", "j", "js", "net", "data"}
    below = {path for path in PATHS if "." in path} - {"i.a", "tz.x"}
    assert made == {*PATHS, "key", "size"} - (never | below if budget == 1 else set())


@pytest.mark.parametrize(
    "question, index",
    [
        ({"name": "name 500"}, "by_name"),
        ({"name": {"$in": ["name 1", "name 2"]}}, "by_name"),
        ({"price": 5}, "by_price"),
        ({"price": {"$gt": Decimal("999.95")}}, "by_price"),
        ({"at": datetime(2025, 1, 2, tzinfo=UTC)}, "by_at"),
        (
            {"at": {"$gte": datetime(2025, 1, 2, tzinfo=UTC), "$lt": datetime(2025, 1, 2, 1, tzinfo=UTC)}},
            "by_at",
        ),
        ({"tags": "t7", "grp": 7}, "by_tags"),
        ({"id": 7}, "many_pkey"),
        ({"id": {"$in": [1, 2, 10**30]}}, "many_pkey"),
        ({"key": "7"}, "many_pkey"),
        ({"key": {"$in": ["7", "8", "x"]}}, "many_pkey"),
    ],
)
def test_the_index_of_a_column_serves_a_filter(
    large: DataManager, question: dict[str, Any], index: str
) -> None:
    plan = large.query(PG, question).plan
    assert index in (plan.index or "").split(", ")
    assert plan.scanned <= 2_100


@pytest.mark.parametrize(
    "order_by, first",
    [("at", ["1", "2"]), ("-at", ["100000", "99999"]), ("key", ["1", "10"]), ("-key", ["99999", "99998"])],
)
def test_postgresql_orders_and_stops_early(large: DataManager, order_by: str, first: list[str]) -> None:
    found = large.query(PG, limit=2, order_by=order_by)
    assert found.keys == first
    assert (found.plan.order, found.truncated) == ("native", True)
    assert found.plan.scanned <= 100
    assert ("by_at" in (found.plan.index or "")) == (order_by.endswith("at"))


@pytest.mark.parametrize("order_by", [None, "key", "name"])
def test_a_large_table_streams_in_batches(server: Server, order_by: str | None) -> None:
    dm = many(server, 10_000)
    batches = dm.iter_query(PG, {"even": True}, batch_size=999, order_by=order_by)
    keys = list(chain.from_iterable(batch.keys for batch in batches))
    assert len(keys) == len(set(keys)) == 5_000


@pytest.mark.parametrize(
    "cell", [LARGE, LARGE.encode(), [LARGE], {"x": [LARGE]}, decode_json(DEEP)], ids=type
)
def test_a_page_has_fewer_rows_when_they_are_large(cell: object) -> None:
    assert existing_pages.next_size([("1", 1.5, None)] * 100, 200) == 800
    assert existing_pages.next_size([("1", cell)] * 100, 200) in {1, 16}


def test_a_stream_left_half_way_holds_nothing(server: Server) -> None:
    dm = many(server, 10_000)
    for order_by in (None, "key"):
        [batch] = islice(dm.iter_query(PG, batch_size=10, order_by=order_by), 1)
        assert len(batch) == 10
    server.sql("SET lock_timeout = '5s'")
    server.sql("ALTER TABLE many DROP tags")


def test_a_listing_leaves_the_columns_on_the_server(server: Server) -> None:
    server.sql("CREATE TABLE t (id int PRIMARY KEY, big text)")
    server.sql("INSERT INTO t VALUES (1, repeat('x', 1000000))")
    dm = server.read("t")
    [stored] = dm.list(PG)._rows
    assert (stored.key, stored.body) == ("1", None)
    assert not isinstance(stored.data, dict)


def test_rows_copy_to_another_backend(server: Server, tmp_path: Any) -> None:
    dm = many(server, 3)
    dm.register_provider("memory", InMemoryProvider())
    for reference in dm.list(PG):
        copy = dm.copy(reference, "memory")
        assert dm.retrieve(copy) == dm.retrieve(reference)
