"""Previews of what others keep: Redis' own types, rows of existing PostgreSQL tables, objects in a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import redis
from backends import make

from praval_storage import DataManager
from praval_storage.preview import Preview
from praval_storage.providers import PostgreSQLProvider

if TYPE_CHECKING:
    import pytest


def part(preview: Preview, kind: str) -> dict[str, Any]:
    return next(each for each in preview.payload()["parts"] if each["type"] == kind)


def entries(preview: Preview) -> dict[str, tuple[str, str]]:
    root = part(preview, "tree")["root"]
    return {node["name"]: (node["text"], node["type"]) for node in root["nodes"]}


def test_redis_types_that_are_no_strings(request: pytest.FixtureRequest, redis_url: str) -> None:
    provider = make("redis", request)
    prefix = provider.settings.prefix
    with redis.Redis.from_url(redis_url) as client, DataManager({"redis": provider}) as dm:
        client.hset(f"{prefix}hash", mapping={"name": "alice", "raw": b"\xff\x00"})
        client.rpush(f"{prefix}list", "a", "", "  ")
        client.sadd(f"{prefix}set", "only")
        client.zadd(f"{prefix}zset", {"first": 1.0, "second": 2.5})
        client.xadd(f"{prefix}stream", {"temp": "20"}, "1-0")
        client.xadd(f"{prefix}stream", {"temp": "21"}, "2-0")
        client.set(f"{prefix}text", "hello", ex=600)
        assert entries(dm.preview("praval://redis/hash")) == {
            "name": ('"alice"', ""),
            "raw": ("<bytes 2 B>", ""),
        }
        assert list(entries(dm.preview("praval://redis/list")).values()) == [
            ('"a"', ""),
            ('""', ""),
            ('"␣␣"', ""),
        ]
        assert part(dm.preview("praval://redis/set"), "tree")["root"]["type"] == "set"
        ranked = part(dm.preview("praval://redis/zset"), "table")
        assert [each["name"] for each in ranked["columns"]] == ["member", "score"]
        assert [[each["text"] for each in row] for row in ranked["rows"]] == [
            ["first", "1.0"],
            ["second", "2.5"],
        ]
        assert part(dm.preview("praval://redis/stream"), "table")["height"] == 2
        text = dm.preview("praval://redis/text")
        assert (text.kind, part(text, "text")["text"]) == ("text", "hello")
        assert "expires" in text.facts


def test_a_row_of_an_existing_table_keeps_its_types(
    request: pytest.FixtureRequest, postgres_dsn: str
) -> None:
    schema = make("postgresql", request).settings.schema
    name = psycopg.sql.Identifier(schema)
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
        connection.execute(
            psycopg.sql.SQL(
                "CREATE TABLE {}.orders (id int PRIMARY KEY, price numeric, at timestamptz, day date,"
                " note text, raw bytea, doc jsonb, big numeric, nan float8)"
            ).format(name)
        )
        connection.execute(
            psycopg.sql.SQL(
                "INSERT INTO {}.orders VALUES (7, 1.10, '2026-01-01 00:00+00', '2026-01-01', '<b>',"
                " '\\x00ff', '{{\"a\": [1]}}', 1e30, 'NaN')"
            ).format(name)
        )
    provider = PostgreSQLProvider(dsn=postgres_dsn, schema=schema, table="orders")
    with DataManager({"pg": provider}) as dm:
        seen = dm.preview("praval://pg/7")
        assert seen.kind == "json"
        found = entries(seen)
        assert found["id"] == ("7", "")
        assert found["price"] == ("1.10", "Decimal")
        assert found["at"][0].endswith("+00:00")
        assert found["day"] == ("2026-01-01", "date")
        assert found["note"] == ('"<b>"', "")
        assert found["raw"] == ("<bytes 2 B>", "")
        assert found["nan"] == ("NaN", "")
        assert "<b>" not in seen._repr_html_()
        assert seen.payload()["formats"] == []
        assert dm.preview("praval://pg/7", as_="hex").payload()["parts"] == seen.payload()["parts"]
