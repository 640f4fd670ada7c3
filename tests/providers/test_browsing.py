"""What is particular to looking around in each backend, and how much work a page of 100,000 is."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import redis
from backends import S3_CREDENTIALS, boto, make
from conftest import cases
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql

from praval_storage import (
    DataManager,
    DataReference,
    Look,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
)
from praval_storage.errors import ConfigurationError, InvalidKeyError, UnsupportedOperationError
from praval_storage.filters import parse, parse_order, sort_records
from praval_storage.keys import validate_key
from praval_storage.places import Count, to_token
from praval_storage.providers import (
    FileSystemProvider,
    PostgreSQLProvider,
    QdrantProvider,
    RedisProvider,
    S3Provider,
)
from praval_storage.providers.filesystem.tree import Tree
from praval_storage.providers.postgresql import browsing as postgresql_browsing
from praval_storage.providers.postgresql.names import collection_of, dotted, parts_of, schema_and_table
from praval_storage.providers.redis import browsing as redis_browsing
from praval_storage.providers.s3.connection import Connection
from praval_storage.testing.conformance._looking import pages, pages_of, walk

MANY = 100_000
LARGE = """
CREATE TABLE large AS SELECT n AS id, CASE WHEN n % 9 > 0 THEN n * 7919 % 1000 END AS price,
    'name ' || n AS name, ARRAY[n] AS tags FROM generate_series(1, 20000) n;
ALTER TABLE large ADD PRIMARY KEY (id)
"""


# Directories


class TestFileSystem:
    @pytest.fixture(scope="class")
    @staticmethod
    def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("many")
        (folder / "big").mkdir()
        for number in range(MANY):
            (folder / "big" / f"point-{number}").touch()
        return folder

    @pytest.fixture
    def dm(self, folder: Path) -> Iterator[DataManager]:
        with DataManager({"files": FileSystemProvider(folder)}) as dm:
            yield dm

    def test_a_page_of_a_large_folder_looks_at_the_files_of_the_page_alone(
        self, dm: DataManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looked_at = counting(monkeypatch, Tree, "stat")
        seen = dm.look("files", Look("big/", limit=25))
        assert [row.key for row in seen.rows[:3]] == ["big/point-0", "big/point-1", "big/point-10"]
        assert (len(seen.rows), seen.total, seen.next is not None) == (25, Count(MANY), True)
        assert len(looked_at) == 25
        second = dm.look("files", Look("big/", limit=25, token=seen.next))
        assert {row.key for row in second.rows}.isdisjoint(row.key for row in seen.rows)
        assert len(looked_at) == 50

    def test_its_memory_stays_flat(self, dm: DataManager) -> None:
        dm.look("files", Look("big/", limit=25))
        tracemalloc.start()
        try:
            dm.look("files", Look("big/", limit=25))
            assert tracemalloc.get_traced_memory()[1] < 8 << 20
        finally:
            tracemalloc.stop()

    def test_text_and_filters_look_at_no_more_than_the_budget(
        self, dm: DataManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looked_at = counting(monkeypatch, Tree, "stat")
        found = dm.look("files", Look("big/", text="POINT-9999"))
        assert [row.key for row in found.rows] == [
            "big/point-9999",
            *(f"big/point-9999{n}" for n in range(10)),
        ]
        assert len(looked_at) == 11
        seen = dm.look("files", Look("big/", where=parse({"size": {"$gt": 0}}), budget=500))
        assert (list(seen.rows), seen.stopped, seen.next is not None) == ([], True, True)
        assert len(looked_at) <= 11 + 501

    @pytest.mark.parametrize("order", [None, "-key", "size"])
    def test_names_that_are_no_legal_keys_are_counted(self, tmp_path: Path, order: str | None) -> None:
        with DataManager({"files": FileSystemProvider(tmp_path)}) as dm:
            dm.store_many({"m/k": 1, "m/x/y": 1}, "files").raise_for_errors()
            for name in (b"m/back\\s.csv", b"m/\xff", b"m/.praval-0.tmp", b"m/x/\\"):
                Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
            seen = dm.look("files", Look("m/", order=order and parse_order(order)))
            assert [row.key for row in seen.rows] == ["m/k"]
            assert seen.note == "2 names are no legal keys and are not shown"
            found = dm.query("files", limit=None)
            assert (len(found), found.plan.hint) == (2, "3 names passed over: no legal key")
            assert dm.query("files", {"metadata.a": 1}).plan.hint is None

    def test_a_small_folder_counts_as_people_do_and_goes_on_so(self, tmp_path: Path) -> None:
        with DataManager({"files": FileSystemProvider(tmp_path)}) as dm:
            dm.store_many({f"day-{n}": n for n in range(1, 12)}, "files")
            dm.store_many({f"sub-{n}/x": n for n in range(9, 12)}, "files")
            shown: list[str] = []
            for seen in pages(dm, "files", "", limit=2):
                shown += [*(place.label for place in seen.places), *(row.key for row in seen.rows)]
            assert shown == ["sub-9", "sub-10", "sub-11", *(f"day-{n}" for n in range(1, 12))]

    def test_links_lead_where_they_lead_elsewhere(self, tmp_path: Path) -> None:
        inside, outside = tmp_path / "inside", tmp_path / "outside"
        (inside / "real").mkdir(parents=True)
        outside.mkdir()
        for folder in (inside / "real", outside):
            (folder / "file").write_text("text")
        (inside / "link").symlink_to(inside / "real")
        (inside / "loop").symlink_to(inside)
        (inside / "away").symlink_to(outside)
        (inside / "file").symlink_to(outside / "file")
        with DataManager({"files": FileSystemProvider(inside)}) as dm:
            assert [place.label for place in dm.look("files", Look()).places] == ["link", "real"]
            assert sorted(walk(dm, "files", "")) == ["link/file", "real/file"]
            assert list(dm.look("files", Look("away/")).rows) == []
            assert list(dm.look("files", Look("../outside/")).rows) == []

    def test_what_is_ours_is_not_shown(self, tmp_path: Path) -> None:
        with DataManager({"files": FileSystemProvider(tmp_path)}) as dm:
            dm.store(1, "files", "k")
            assert [*dm.look("files", Look()).places, *dm.look("files", Look(".praval/")).rows] == []

    def test_a_folder_that_may_not_be_read_is_an_error(self, tmp_path: Path, monkeypatch: Any) -> None:
        def refuse(*_: Any) -> Any:
            raise PermissionError(13, "Permission denied")

        with DataManager({"files": FileSystemProvider(tmp_path)}) as dm:
            monkeypatch.setattr("os.scandir", refuse)
            with pytest.raises(StoragePermissionError):
                dm.look("files", Look())


# Buckets


class TestS3:
    @pytest.fixture
    def boto(self, s3_endpoint: str) -> Any:
        return boto(s3_endpoint)

    @pytest.fixture
    def provider(self, request: pytest.FixtureRequest) -> S3Provider:
        provider = make("s3", request)
        assert isinstance(provider, S3Provider)
        return provider

    @pytest.fixture
    def dm(self, provider: S3Provider) -> Iterator[DataManager]:
        with DataManager({"s3": provider}) as dm:
            yield dm

    def test_other_buckets_are_shown_and_their_records_named(self, dm: DataManager, boto: Any) -> None:
        other = f"other-{uuid4().hex}"
        boto.create_bucket(Bucket=other)
        boto.put_object(Bucket=other, Key="folder/theirs.json", Body=b'{"n": 1}')
        dm.store({"n": 2}, "s3", "mine")
        names = [place.label for seen in pages(dm, "s3", "", limit=100) for place in seen.places]
        assert {other, home(dm).rstrip("/")} <= set(names)
        [folder] = dm.look("s3", Look(f"{other}/")).places
        assert folder.path == f"{other}/folder/"
        seen = dm.look("s3", Look(folder.path))
        [row] = seen.rows
        assert (row.key, seen.collection, seen.label(row)) == (
            "folder/theirs.json",
            f"s3://{other}",
            "theirs.json",
        )
        reference = DataReference("s3", row.key, collection=seen.collection)
        assert dm.retrieve(reference) == {"n": 1}
        assert dm.retrieve(reference.uri) == {"n": 1}
        assert dm.ls(f"s3://{other}/folder/theirs.json").references == [reference]
        dm.store("new", "s3", "k", collection=f"s3://{other}/inner")
        assert boto.get_object(Bucket=other, Key="inner/k")["Body"].read() == b"new"
        assert dm.look("s3", Look(home(dm))).collection is None

    @pytest.mark.parametrize("limit", [1, 2, 100])
    @pytest.mark.parametrize("order", [None, "size"])
    def test_names_that_are_no_legal_keys_are_counted(
        self, dm: DataManager, provider: S3Provider, boto: Any, limit: int, order: str | None
    ) -> None:
        dm.store(1, "s3", "m/k", {"long": "x" * 5_000})
        dm.store_many(dict.fromkeys(["m/a", "m/n", "m/z"], 1), "s3")
        for name in ("m/", "m//d.csv", "m//e.csv", "m/back\\s.csv", "m/sub/", "m/sub/x\\"):
            boto.put_object(Bucket=provider.settings.bucket, Key=name, Body=b"")
        answer = [*pages(dm, "s3", home(dm) + "m/", limit=limit, order=order and parse_order(order))]
        assert sorted(row.key for seen in answer for row in seen.rows) == ["m/a", "m/k", "m/n", "m/z"]
        notes = {seen.note for seen in answer if "no legal key" in seen.note}
        both = "2 names are no legal keys and are not shown"
        if order is None and limit < 100:  # they are said where they lie
            assert notes
            assert notes <= {both, "1 name is no legal key and is not shown"}
            assert answer[-1].note == ""
        else:
            assert notes == {both}
        found = dm.query("s3", limit=None)
        assert (len(found), found.plan.hint) == (4, "4 names passed over: no legal key")

    def test_a_bucket_that_is_not_there_is_an_error_with_words(self, dm: DataManager) -> None:
        with pytest.raises(ConfigurationError, match="no bucket 'nowhere-at-all'"):
            dm.look("s3", Look("nowhere-at-all/"))

    def test_without_the_right_to_list_buckets_there_is_the_own_one(
        self, dm: DataManager, provider: S3Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_: S3Provider) -> list[str]:
            raise StoragePermissionError("no")

        monkeypatch.setattr(S3Provider, "buckets", refuse)
        seen = dm.look("s3", Look())
        assert [place.path for place in seen.places] == [f"{provider.settings.bucket}/"]
        assert "may not list buckets" in seen.note

    def test_what_is_outside_of_the_prefix_is_named_with_its_bucket(
        self, boto: Any, provider: S3Provider, dm: DataManager, s3_endpoint: str
    ) -> None:
        dm.store("outside", "s3", "outside")
        dm.store("inside", "s3", "team/inside")
        ours = S3Provider(provider.settings.bucket, *S3_CREDENTIALS, endpoint_url=s3_endpoint, prefix="team/")
        with DataManager({"s3": ours}) as team:
            bucket = provider.settings.bucket
            seen = team.look("s3", Look(f"{bucket}/"))
            assert ([row.key for row in seen.rows], seen.collection) == (["outside"], f"s3://{bucket}")
            assert team.retrieve(DataReference("s3", "outside", collection=seen.collection)) == "outside"
            inner = team.look("s3", Look(seen.places[0].path))
            assert ([row.key for row in inner.rows], inner.collection) == (["inside"], None)
            assert ours.home() == seen.places[0].path

    def test_a_page_is_one_listing_and_one_request_for_each_of_its_rows(
        self, dm: DataManager, boto: Any, provider: S3Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        dm.store_many({f"k{n:04}": n for n in range(120)} | {f"in{n}/x": n for n in range(5)}, "s3")
        calls = requests(monkeypatch)
        seen = dm.look("s3", Look(home(dm), limit=20))
        assert (len(seen.places), len(seen.rows)) == (5, 15)
        assert sorted(calls) == ["head_object"] * 15 + ["list_objects_v2"]
        calls.clear()
        listed = dm.look("s3", Look(home(dm), limit=20, metadata=False))
        assert calls == ["list_objects_v2"]
        assert [row.size for row in listed.rows] == [row.size for row in seen.rows]
        assert all(row.updated_at for row in listed.rows)
        calls.clear()
        by_key = dm.look("s3", Look(home(dm), where=parse({"key": "k0110"}), limit=20))
        assert [row.key for row in by_key.rows] == ["k0110"]
        assert sorted(calls) == ["head_object", "list_objects_v2"]

    @pytest.mark.parametrize("order_by", ["-key", "size", "-size", "-updated_at", "metadata.n"])
    def test_a_folder_of_one_listing_is_sorted_by_anything_but_data(
        self, dm: DataManager, order_by: str
    ) -> None:
        texts = {f"k{n:02}": "x" * (n * 7 % 30) for n in range(30)}
        dm.store_many(texts, "s3", metadata=[{"n": n * 11 % 30} for n in range(30)]).raise_for_errors()
        dm.store(1, "s3", "folder/inside")
        look = Look(home(dm), order=parse_order(order_by), limit=8)
        answer = list(pages_of(dm, "s3", look))
        records = [each for each in dm.query("s3", limit=None).records if "/" not in each.key]
        expected = [record.key for record in sort_records(records, look.order)]
        assert [row.key for seen in answer for row in seen.rows] == expected
        assert all(seen.ordered and seen.scanned == 31 for seen in answer)
        assert [[place.label for place in seen.places] for seen in answer] == [["folder"], [], [], []]

    def test_what_the_listing_tells_is_sorted_without_asking_for_other_rows(
        self, dm: DataManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        dm.store_many({f"k{n:02}": "x" * n for n in range(60)}, "s3")
        calls = requests(monkeypatch)
        look = Look(home(dm), order=parse_order("-size"), limit=5)
        assert [row.key for row in dm.look("s3", look).rows] == ["k59", "k58", "k57", "k56", "k55"]
        assert sorted(calls) == ["head_object"] * 5 + ["list_objects_v2"]
        calls.clear()
        latest = dm.look("s3", replace(look, order=parse_order("-updated_at"), metadata=False))
        assert (len(latest.rows), latest.ordered, calls) == (5, True, ["list_objects_v2"])

    def test_a_longer_listing_is_not_sorted_and_says_so(
        self, dm: DataManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("praval_storage.providers._objects.browsing.PAGE", 20)
        dm.store_many({f"k{n:02}": n for n in range(30)}, "s3")
        for order_by in ("-key", "size"):
            look = Look(home(dm), order=parse_order(order_by), limit=8)
            answer = list(pages_of(dm, "s3", look))
            assert [row.key for seen in answer for row in seen.rows] == [f"k{n:02}" for n in range(30)]
            assert not any(seen.ordered for seen in answer)
            assert "a listing comes by name" in answer[-1].note
        monkeypatch.setattr("praval_storage.providers._objects.browsing.PAGE", 1_000)
        seen = dm.look("s3", Look(home(dm), order=parse_order("metadata.n"), budget=200))
        assert (seen.ordered, len(seen.rows)) == (False, 25)
        assert "each object would have to be asked" in seen.note
        assert dm.look("s3", Look(home(dm), order=parse_order("key"))).ordered

    def test_a_filter_on_metadata_asks_no_more_objects_than_the_budget(
        self, dm: DataManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("praval_storage.providers._objects.browsing.PAGE", 40)
        dm.store_many({f"k{n:03}": n for n in range(100)}, "s3")
        calls = requests(monkeypatch)
        seen = dm.look("s3", Look(home(dm), where=parse({"metadata.no": 1}), budget=400))
        assert (list(seen.rows), seen.stopped, seen.scanned) == ([], True, 40)
        assert calls.count("head_object") == 40


def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    calls: list[str] = []
    send = Connection.call

    async def counted(self: Connection, method: str, **parameters: Any) -> Any:
        calls.append(method)
        return await send(self, method, **parameters)

    monkeypatch.setattr(Connection, "call", counted)
    return calls


# Schemas and tables


class TestPostgreSQL:
    @pytest.fixture
    def schema(self, postgres_dsn: str) -> Iterator[str]:
        schema = f"browse {uuid4().hex}"
        with native(postgres_dsn, schema) as connection:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        yield schema
        with native(postgres_dsn, schema) as connection:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))

    @pytest.fixture
    def dm(self, postgres_dsn: str, schema: str) -> Iterator[DataManager]:
        with DataManager({"pg": PostgreSQLProvider(dsn=postgres_dsn, schema=schema)}) as dm:
            yield dm

    @pytest.fixture
    def large(self, schema: str, postgres_dsn: str) -> Iterator[psycopg.Connection]:
        with native(postgres_dsn, schema) as connection:
            connection.execute(LARGE)
            connection.execute("ANALYZE large")
            yield connection

    @pytest.fixture
    def indexed(self, large: psycopg.Connection) -> psycopg.Connection:
        large.execute("CREATE INDEX ON large (price)")
        return large

    def test_schemas_then_tables_then_rows(self, dm: DataManager, schema: str, postgres_dsn: str) -> None:
        dm.store(1, "pg", "k")
        with native(postgres_dsn, schema) as connection:
            connection.execute("CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, note text)")
            connection.execute("CREATE INDEX ON customers (name)")
            connection.execute("INSERT INTO customers SELECT n, 'name ' || n FROM generate_series(1, 30) n")
            connection.execute("CREATE VIEW grown AS SELECT * FROM customers WHERE id > 18")
            connection.execute("CREATE TABLE ten (id int)")
            connection.execute("ANALYZE customers")
        [found] = [
            place
            for seen in pages(dm, "pg", "", limit=1_000)
            for place in seen.places
            if place.label == schema
        ]
        assert (found.kind, found.parent, found.records) == ("schema", True, False)
        seen = dm.look("pg", Look(found.path))
        assert [(place.label, place.kind, place.read_only) for place in seen.places] == [
            ("customers", "table", "made by somebody else"),
            ("grown", "view", "a view"),
            ("praval_storage", "table", ""),
            ("ten", "table", "made by somebody else"),
        ]
        customers = seen.places[0]
        assert customers.count == Count(30, "estimate")
        assert customers.size is not None
        rows = dm.look("pg", Look(customers.path, limit=10, where=parse({"id": {"$gt": 5}})))
        assert [row.key for row in rows.rows] == [str(n) for n in range(6, 16)]
        assert [tuple(column) for column in rows.columns] == [
            ("id", "integer", False, True, True),
            ("name", "text", False, False, True),
            ("note", "text", True, False, False),
        ]
        assert "%s" in rows.statement
        assert rows.parameters
        assert "name 7" not in rows.statement
        assert (rows.read_only, rows.total) == ("made by somebody else", None)
        reference = DataReference("pg", rows.rows[0].key, collection=rows.collection)
        assert dm.retrieve(reference) == {"id": 6, "name": "name 6", "note": None}

    def test_composite_and_hostile_keys_are_paged(
        self, dm: DataManager, schema: str, postgres_dsn: str
    ) -> None:
        with native(postgres_dsn, schema) as connection:
            connection.execute("CREATE TABLE pairs (a text, b int, PRIMARY KEY (a, b))")
            with connection.cursor() as cursor:
                parts = ["", "a/b", "%", "a%2Fb", "\u00e9", "..", "x" * 600, "'", '"', "a\\b"]
                cursor.executemany(
                    "INSERT INTO pairs VALUES (%s, %s)", [(part, n) for part in parts for n in range(3)]
                )
        path = dotted(schema, "pairs")
        every = [row.data for seen in pages(dm, "pg", path, limit=4) for row in seen.rows]
        assert len(every) == 30
        assert len({(row["a"], row["b"]) for row in every}) == 30

    def test_a_table_without_a_key_is_paged_by_address_and_a_view_not_at_all(
        self, dm: DataManager, schema: str, postgres_dsn: str
    ) -> None:
        with native(postgres_dsn, schema) as connection:
            connection.execute("CREATE TABLE loose AS SELECT n FROM generate_series(1, 5000) n")
            connection.execute("DELETE FROM loose WHERE n BETWEEN 100 AND 2000")
            connection.execute("CREATE VIEW seen AS SELECT * FROM loose")
        answer = list(pages(dm, "pg", dotted(schema, "loose"), limit=400))
        numbers = [row.data["n"] for seen in answer for row in seen.rows]
        assert numbers == [n for n in range(1, 5001) if not 100 <= n <= 2000]
        assert "no primary key" in answer[0].note
        [view] = pages(dm, "pg", dotted(schema, "seen"), limit=10)
        assert (len(view.rows), view.stopped, view.read_only) == (10, False, "a view")
        assert "only the first 10 rows can be shown" in view.note
        assert "only" not in dm.look("pg", Look(dotted(schema, "seen"), where=parse({"n": 7}))).note

    def test_a_column_with_an_index_orders_a_large_table_page_by_page(
        self, dm: DataManager, schema: str, indexed: psycopg.Connection
    ) -> None:
        for order_by in ("-data.id", "data.price", "-data.price", "data.name", "-key"):
            order = parse_order(order_by)
            look = Look(dotted(schema, "large"), order=order, limit=1_000)
            expected = dm.query("pg", collection=f"{schema}.large", limit=2_500, order_by=order_by).keys
            token, found = None, []
            for _ in range(3):
                seen = dm.look("pg", replace(look, token=token))
                assert (seen.ordered, seen.note, seen.scanned) == (True, "", 1_001)
                assert "ORDER BY" in seen.statement
                found += [row.key for row in seen.rows]
                token = seen.next
            assert found[:2_500] == expected

    def test_the_pages_of_an_indexed_column_are_read_from_the_index(
        self, dm: DataManager, schema: str, indexed: psycopg.Connection
    ) -> None:
        for order_by in ("-data.id", "data.id", "data.price", "-data.price"):
            look = Look(dotted(schema, "large"), order=parse_order(order_by), limit=25)
            last = dm.look("pg", look).next
            for token in (None, last):
                seen = dm.look("pg", replace(look, token=token))
                plan = indexed.execute(f"EXPLAIN {seen.statement}", seen.parameters).fetchall()
                assert "Seq Scan" not in str(plan)
                assert "Index" in str(plan)

    def test_what_takes_sorting_too_many_rows_is_not_sorted_and_says_so(
        self, dm: DataManager, schema: str, large: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("praval_storage.providers.postgresql.browsing_rows.SORTABLE", 15_000)
        look = Look(dotted(schema, "large"), order=parse_order("data.price"), limit=25)
        seen = dm.look("pg", look)
        assert not seen.ordered
        assert "not sorted by price: PostgreSQL would sort about" in seen.note
        assert "an index on the column" in seen.note
        second = dm.look("pg", replace(look, token=seen.next))
        assert [row.key for row in second.rows] == [str(n) for n in range(26, 51)]
        assert not second.ordered
        few = dm.look("pg", replace(look, where=parse({"id": {"$lt": 100}})))
        assert few.ordered
        odd = dm.look("pg", replace(look, order=parse_order("data.tags")))
        assert "not sorted by tags: PostgreSQL has no such order" in odd.note

    def test_long_values_are_sorted_page_by_page_and_deleting_takes_nothing_away(
        self, dm: DataManager, schema: str, postgres_dsn: str
    ) -> None:
        with native(postgres_dsn, schema) as connection:
            connection.execute("CREATE TABLE long (id int PRIMARY KEY, t text)")
            connection.execute(
                "INSERT INTO long SELECT n, repeat('x', 9000) || (n * 7) % 60 FROM generate_series(1, 60) n"
            )
            for order_by in ("data.t", "-data.t"):
                look = Look(dotted(schema, "long"), order=parse_order(order_by), limit=7)
                expected = dm.query("pg", collection=f"{schema}.long", order_by=order_by, limit=None).keys
                answer = list(pages_of(dm, "pg", look))
                assert [row.key for seen in answer for row in seen.rows] == expected
                assert all(seen.ordered and len(seen.next or "") < 1_000 for seen in answer)
                first = dm.look("pg", look)
                connection.execute("DELETE FROM long WHERE id = %s", [int(first.rows[-1].key)])
                rest = list(pages_of(dm, "pg", replace(look, token=first.next)))
                assert "some may be shown again" in rest[0].note
                shown = {row.key for seen in [first, *rest] for row in seen.rows}
                assert shown == set(expected)

    def test_a_small_view_is_sorted_page_by_page_with_its_equal_rows_and_a_large_one_at_its_top(
        self, dm: DataManager, schema: str, postgres_dsn: str
    ) -> None:
        with native(postgres_dsn, schema) as connection:
            connection.execute("CREATE VIEW alike AS SELECT n % 3 AS n FROM generate_series(1, 60) n")
            connection.execute("CREATE VIEW vast AS SELECT n FROM generate_series(1, 20000) n")
        look = Look(dotted(schema, "alike"), order=parse_order("-data.n"), limit=7)
        numbers = [row.data["n"] for seen in pages_of(dm, "pg", look) for row in seen.rows]
        assert numbers == [2] * 20 + [1] * 20 + [0] * 20
        assert len(dm.look("pg", Look(dotted(schema, "alike"), limit=25)).rows) == 25
        vast = dm.look("pg", Look(dotted(schema, "vast"), order=parse_order("-data.n"), limit=3))
        assert [row.data["n"] for row in vast.rows] == [20_000, 19_999, 19_998]
        assert (vast.ordered, vast.stopped, vast.next) == (True, False, None)
        assert "only the first 3 rows can be shown" in vast.note

    @pytest.mark.parametrize("position", [[9, "1", "1", None], [-1, "1", "1", None], [0, "\0", "1", None]])
    def test_a_position_of_another_order_is_refused(
        self, dm: DataManager, schema: str, postgres_dsn: str, position: list[Any]
    ) -> None:
        with native(postgres_dsn, schema) as connection:
            connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
        with pytest.raises(ConfigurationError):
            dm.look("pg", Look(dotted(schema, "t"), order=parse_order("-data.id"), token=to_token(position)))

    def test_names_with_dots_and_quotes_are_places_and_collections(
        self, dm: DataManager, schema: str, postgres_dsn: str
    ) -> None:
        odd = ["a.b", 'c"d', "%s", "E", "x y", "sel;ect"]
        with native(postgres_dsn, schema) as connection:
            for table in odd:
                connection.execute(
                    sql.SQL("CREATE TABLE {} (id int PRIMARY KEY)").format(sql.Identifier(table))
                )
                connection.execute(sql.SQL("INSERT INTO {} VALUES (7)").format(sql.Identifier(table)))
        for place in dm.look("pg", Look(dotted(schema))).places:
            seen = dm.look("pg", Look(place.path))
            [row] = seen.rows
            assert dm.retrieve(DataReference("pg", row.key, collection=seen.collection)) == {"id": 7}
        assert set(dm.providers["pg"].collections()) >= {'"a.b"', '"c""d"', "%s", "E"}  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        "names", [("a",), ("a.b",), ('a"b',), ("a", "b"), ("a.b", 'c"."d'), ('"', "."), ('""', "x")]
    )
    def test_dotted_names_come_apart_again(self, names: tuple[str, ...]) -> None:
        assert parts_of(dotted(*names)) == [*names]
        if len(names) == 2:
            assert schema_and_table(collection_of(*names)) == names

    def test_what_a_user_may_not_see_is_left_out(
        self, dm: DataManager, schema: str, postgres_dsn: str
    ) -> None:
        role = f"browser_{uuid4().hex[:8]}"
        with native(postgres_dsn, schema) as connection:
            connection.execute("CREATE TABLE secret (id int PRIMARY KEY)")
            connection.execute("CREATE TABLE open (id int PRIMARY KEY)")
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
            grant = "GRANT USAGE ON SCHEMA {} TO {}; GRANT SELECT ON open TO {}"
            connection.execute(
                sql.SQL(grant).format(sql.Identifier(schema), sql.Identifier(role), sql.Identifier(role))
            )
            hidden = f"hidden {uuid4().hex}"
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(hidden)))
        try:
            options = psycopg.conninfo.make_conninfo(postgres_dsn, options=f"-c role={role}")
            with DataManager({"pg": PostgreSQLProvider(dsn=options, schema=schema)}) as theirs:
                assert [place.label for place in theirs.look("pg", Look(dotted(schema))).places] == ["open"]
                names = [place.label for seen in pages(theirs, "pg", "", limit=500) for place in seen.places]
                assert schema in names
                assert hidden not in names
                assert "may not be read" in theirs.look("pg", Look(dotted(schema, "secret"))).note
        finally:
            with native(postgres_dsn, schema) as connection:
                drop = "DROP SCHEMA {} CASCADE; DROP OWNED BY {}; DROP ROLE {}"
                connection.execute(
                    sql.SQL(drop).format(sql.Identifier(hidden), sql.Identifier(role), sql.Identifier(role))
                )

    def test_a_page_that_takes_too_long_is_given_up_with_words(
        self, dm: DataManager, schema: str, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with native(postgres_dsn, schema) as connection:
            connection.execute(
                "CREATE VIEW slow AS SELECT n, pg_sleep(5)::text FROM generate_series(1, 100) n"
            )
        monkeypatch.setattr(postgresql_browsing, "SECONDS", 1)
        path = dotted(schema, "slow")
        for look in (Look(path), Look(path, order=parse_order("-data.n")), Look(path, text="x")):
            with pytest.raises(StorageTimeoutError, match="was given 1 s for this page"):
                dm.look("pg", look)
        with pytest.raises(StorageTimeoutError, match="was given 1 s for this count"):
            list(dm.measure("pg", path))
        dm.store(1, "pg", "k")
        assert dm.retrieve_by_key("pg", "k") == 1

    @pytest.mark.parametrize("order_by", [None, "-key", "created_at", "size"])
    def test_pages_of_many_records_take_the_same_few_statements(
        self, dm: DataManager, schema: str, postgres_dsn: str, order_by: str | None
    ) -> None:
        dm.store({"n": 0}, "pg", "first")
        rows = "SELECT 'k' || n, to_jsonb(n) FROM generate_series(1, {}) n"
        with native(postgres_dsn, schema) as connection:
            connection.execute(sql.SQL(f"INSERT INTO praval_storage (key, data) {rows}").format(MANY))
            connection.execute("ANALYZE praval_storage")
        token, sizes = None, []
        for _ in range(3):
            seen = dm.look(
                "pg", Look(dotted(schema, "praval_storage"), order=parse_order(order_by), token=token)
            )
            token = seen.next
            sizes.append((len(seen.rows), seen.scanned))
            assert "OFFSET" not in seen.statement
        assert sizes == [(25, 26)] * 3
        assert seen.total is not None
        assert seen.total.how == "estimate"
        assert abs(seen.total.number - MANY) < MANY // 10

    def test_an_order_that_only_python_can_make_is_not_made_of_too_many(
        self, dm: DataManager, schema: str, postgres_dsn: str
    ) -> None:
        dm.store_many([{"n": -n} for n in range(30)], "pg")
        look = Look(dotted(schema, "praval_storage"), order=parse_order("data.n"), limit=5)
        seen = dm.look("pg", Look(look.path, order=look.order, limit=5, bodies=True))
        assert [dm.providers["pg"].load(row)["n"] for row in seen.rows] == [-29, -28, -27, -26, -25]
        assert not dm.look("pg", Look(look.path, order=look.order, limit=5, budget=10)).ordered


@contextmanager
def native(dsn: str, schema: str) -> Iterator[psycopg.Connection[Any]]:
    options = f'-c search_path="{schema}"'.replace(" ", "\\ ").replace("-c\\ ", "-c ")
    with psycopg.connect(dsn, autocommit=True, options=options) as connection:
        yield connection


# Keys


class TestRedis:
    @pytest.fixture
    def provider(self, request: pytest.FixtureRequest) -> RedisProvider:
        provider = make("redis", request)
        assert isinstance(provider, RedisProvider)
        return provider

    @pytest.fixture
    def dm(self, provider: RedisProvider) -> Iterator[DataManager]:
        with DataManager({"redis": provider}) as dm:
            yield dm

    @pytest.fixture
    def client(self, provider: RedisProvider) -> Iterator[redis.Redis]:
        with redis.Redis.from_url(provider.settings.url) as client:
            yield client

    def test_types_and_time_to_live_of_foreign_keys(
        self, dm: DataManager, provider: RedisProvider, client: redis.Redis
    ) -> None:
        start = provider.settings.prefix
        client.hset(f"{start}h", "f", "v")
        client.rpush(f"{start}l", "v")
        client.set(f"{start}s", "v", px=60_000)
        dm.store(1, "redis", "ours")
        seen = dm.look("redis", Look(budget=10**9))
        assert seen.types == {"h": "hash", "l": "list", "s": "string", "ours": "string"}
        until = {row.key: row.expires_at for row in seen.rows}
        assert {key for key, at in until.items() if at} == {"s"}
        assert "hash" in repr(dm.ls("redis", limit=1_000))

    def test_a_budget_ends_a_page_and_says_how_much_was_scanned(
        self, dm: DataManager, provider: RedisProvider, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(client, f"{provider.settings.prefix}session:", MANY)
        scans = counting(monkeypatch, redis.Redis, "scan")
        seen = dm.look("redis", Look(limit=25, budget=5_000))
        assert [place.path for place in seen.places] == ["session:"]
        assert seen.places[0].count is not None
        assert seen.places[0].count.how == "at least"
        assert (seen.stopped, seen.scanned, len(scans)) == (True, 5_000, 10)
        assert seen.extent is not None
        assert seen.extent.number >= MANY
        assert seen.statement.endswith("* COUNT 500")
        scans.clear()
        rows = dm.look("redis", Look("session:", limit=25))
        assert (len(rows.rows), rows.stopped) == (25, False)
        assert len(scans) <= 20

    def test_all_of_many_keys_are_shown_once(
        self, dm: DataManager, provider: RedisProvider, client: redis.Redis
    ) -> None:
        fill(client, f"{provider.settings.prefix}x:", 20_000)
        keys: list[str] = []
        longest = 0
        for seen in pages(dm, "redis", "x:", limit=1_000, metadata=False):
            keys += [row.key for row in seen.rows]
            longest = max(longest, len(seen.next or ""))
        assert (len(keys), len(set(keys))) == (20_000, 20_000)
        assert longest < 80_000

    def test_names_that_are_no_legal_keys_are_counted(
        self, dm: DataManager, provider: RedisProvider, client: redis.Redis
    ) -> None:
        dm.store(1, "redis", "k")
        for name in (b"\xff", b"a//b"):
            client.set(provider.settings.prefix.encode() + name, "v")
        for prefix, note in (
            ("", "2 names are no legal keys and are"),
            ("a/", "1 name is no legal key and is"),
        ):
            assert f"{note} not shown" in dm.look("redis", Look(prefix, budget=10**9)).note
        result = dm.query("redis", limit=None)
        assert (result.keys, result.plan.hint) == (["k"], "2 names passed over: no legal key")
        by_key = dm.query("redis", {"key": "k"})
        assert (by_key.keys, by_key.plan.hint) == (["k"], None)

    def test_an_order_is_made_of_few_keys_and_not_of_many(
        self, dm: DataManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        dm.store_many({f"k{n}": n for n in (3, 1, 2)}, "redis")
        order = parse_order("-key")
        seen = dm.look("redis", Look(order=order, budget=10**9))
        assert ([row.key for row in seen.rows], seen.ordered) == (["k3", "k2", "k1"], True)
        assert not dm.look("redis", Look(order=order, budget=1)).ordered

    def test_any_keys_are_shown_once_under_any_delimiter(self, dm: DataManager) -> None:
        """Pages of all sizes, ordered or not; a place is there once, and its path says its label."""

        @example({"a:::b::c"}, "::", 1, None)
        @settings(max_examples=cases(60, 1_000), suppress_health_check=list(HealthCheck))
        @given(
            st.sets(st.text("ab:/.*", min_size=1, max_size=8).filter(legal), max_size=12),
            st.text(":/.*", min_size=1, max_size=3),
            st.integers(1, 4),
            st.sampled_from([None, "key", "-size"]),
        )
        def check(keys: set[str], delimiter: str, limit: int, order_by: str | None) -> None:
            dm.store_many(dict.fromkeys(keys, 1), "redis").raise_for_errors()
            try:
                order = parse_order(order_by)
                assert sorted(walked(dm, delimiter, "", limit=limit, order=order)) == sorted(keys)
            finally:
                for key in keys:
                    dm.delete_by_key("redis", key)

        check()

    def test_a_delimiter_in_a_listing_and_a_tree(self, dm: DataManager) -> None:
        dm.store_many(dict.fromkeys(["app/users/1", "app/users/2", "app:x", "top"], 1), "redis")
        listed = dm.ls("redis", delimiter="/")
        assert [place.path for place in listed.places] == ["app/"]
        assert "app/ " in repr(listed)
        assert len(dm.ls("redis://app/users/", delimiter="/")) == 2
        first = dm.ls("redis://app/users/", delimiter="/", limit=1)
        assert {*first.references, *first.more().references} == {*dm["redis"].ls("app/users", delimiter="/")}
        tree = dm.tree("redis", depth=3, plain=True, delimiter="/")
        lines = ["redis://", "  app/  2 records", "    users/  2 records", "      1", "      2"]
        assert sorted(tree.splitlines()) == sorted([*lines, "  app:x", "  top"])
        inner = str(dm["redis"].tree("app/", delimiter="/")).splitlines()
        assert (inner[:2], sorted(inner[2:])) == (["redis://app/", "  users/  2 records"], ["    1", "    2"])
        assert "app:  1 record" in dm.tree("redis", plain=True)

    def test_where_no_delimiter_can_be_chosen_a_tree_says_so(self, dm: DataManager, tmp_path: Path) -> None:
        dm.register_provider("files", FileSystemProvider(tmp_path))
        assert "UnsupportedOperationError: The places of 'files'" in str(dm.tree(delimiter="/"))
        with pytest.raises(UnsupportedOperationError, match="no delimiter that can be chosen"):
            dm.ls("files", delimiter="|")

    @pytest.mark.parametrize(
        "delimiter", ["", "a", "1", "\u00e9", ":::::::::", "\n", "\0", "\ud800", 7, b":", [":"]]
    )
    def test_what_can_be_no_delimiter_is_refused(self, delimiter: Any) -> None:
        with pytest.raises(ConfigurationError, match="A delimiter is a text of 1 to 8 characters, not"):
            Look(delimiter=delimiter)

    def test_measuring_goes_in_steps(
        self, dm: DataManager, provider: RedisProvider, client: redis.Redis
    ) -> None:
        fill(client, f"{provider.settings.prefix}m:", 12_000)
        totals = list(dm.measure("redis", "m:"))
        assert len(totals) > 2
        assert totals[-1].records == Count(12_000)
        assert redis_browsing.CERTAIN > 12_000


def legal(key: str) -> bool:
    try:
        return bool(validate_key(key))
    except InvalidKeyError:
        return False


def walked(dm: DataManager, delimiter: str, path: str, **options: Any) -> Iterator[str]:
    """Keys of all records below a place; of each place once, whose path ends with the delimiter."""
    below: list[str] = []
    for seen in pages(dm, "redis", path, delimiter=delimiter, **options):
        yield from (row.key for row in seen.rows)
        below += [f"{path}{place.label}{delimiter}" for place in seen.places]
        assert [place.path for place in seen.places] == below[len(below) - len(seen.places) :]
    assert len(below) == len(set(below))
    for place in below:
        yield from walked(dm, delimiter, place, **options)


def fill(client: redis.Redis, start: str, number: int) -> None:
    for first in range(0, number, 10_000):
        client.mset({f"{start}{n}": n for n in range(first, min(first + 10_000, number))})


# Collections


class TestQdrant:
    def test_collections_say_what_they_hold(self, tmp_path: Path) -> None:
        with DataManager({"q": QdrantProvider(path=tmp_path)}) as dm:
            dm.store_many({f"p{n}": {"vector": [1.0, float(n), 0.0], "n": n} for n in range(7)}, "q")
            dm.store({"vector": [1.0, 2.0]}, "q", "k", collection="other")
            seen = dm.look("q", Look())
            assert [(place.label, place.note) for place in seen.places] == [
                ("other", "2 dims, cosine"),
                ("praval_vectors", "3 dims, cosine"),
            ]
            other = dm.look("q", Look("other"))
            [row] = other.rows
            assert dm.retrieve(DataReference("q", row.key, collection=other.collection)) == {
                "vector": [1.0, 2.0]
            }
            points = dm.look("q", Look("praval_vectors", limit=3))
            assert points.total == Count(7)
            assert points.columns[0].type == "vector, 3 dims, cosine"
            *_, last = dm.measure("q", "")
            assert last.records == Count(8)

    def test_a_page_reads_no_more_points_than_it_shows(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from praval_storage.providers.qdrant.edge import EdgeEngine

        with DataManager({"q": QdrantProvider(path=tmp_path)}) as dm:
            dm.store_many([{"n": n} for n in range(3_000)], "q").raise_for_errors()
            calls = counting(monkeypatch, EdgeEngine, "scroll")
            seen = dm.look("q", Look("praval_vectors", limit=25, budget=100))
            assert (len(seen.rows), len(calls), seen.scanned) == (25, 1, 26)
            assert seen.total == Count(3_000, "estimate")


# Helpers


def home(dm: DataManager) -> str:
    provider = dm.providers["s3"]
    assert isinstance(provider, S3Provider)
    return provider.home()


def counting(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[tuple[Any, ...]]:
    """The calls of a method from now on."""
    calls: list[tuple[Any, ...]] = []
    real = getattr(owner, name)

    def counted(self: Any, *args: Any, **named: Any) -> Any:
        calls.append(args)
        return real(self, *args, **named)

    monkeypatch.setattr(owner, name, counted)
    return calls


def test_a_page_has_a_size_and_a_budget() -> None:
    for options in ({"limit": 0}, {"limit": 1_001}, {"budget": 0}):
        with pytest.raises(ConfigurationError):
            Look(**options)  # type: ignore[arg-type]
    assert issubclass(ConfigurationError, StorageError)
