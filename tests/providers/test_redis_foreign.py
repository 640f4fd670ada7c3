"""What others keep in the same Redis: every type lists, reads, queries and frames."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
import redis

from praval_storage import DataManager, KeyExistsError
from praval_storage.providers.redis import RedisProvider

HASH = {"name": "x", "city": "Z\u00fcrich", "blob": b"\xff\x00"}


@pytest.fixture
def raw(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def provider(redis_url: str, raw: redis.Redis) -> Iterator[RedisProvider]:
    with RedisProvider(url=redis_url, prefix=f"test-{uuid4().hex}:") as made:
        yield made
        for name in raw.scan_iter(f"{made.settings.prefix}*", count=5_000):
            raw.delete(name)


@pytest.fixture
def dm(provider: RedisProvider) -> Iterator[DataManager]:
    with DataManager({"redis": provider}) as manager:
        yield manager


@pytest.fixture
def start(provider: RedisProvider) -> str:
    return provider.settings.prefix


def write_all(raw: redis.Redis, start: str) -> dict[str, Any]:
    """One key of each type, and the values we read them as."""
    raw.hset(f"{start}hash", mapping=HASH)
    raw.rpush(f"{start}list", "b", "a", b"\xff", "a")
    raw.sadd(f"{start}set", "b", "a", b"\xff")
    raw.zadd(f"{start}zset", {"low": -1.5, "high": float("inf"), b"\xff": 2})
    raw.xadd(f"{start}stream", {"event": "login", "id": "theirs"}, id="1-1")
    raw.xadd(f"{start}stream", {"event": b"\xff"}, id="2-0")
    raw.set(f"{start}text", "gr\u00fc\u00dfe")
    raw.set(f"{start}bytes", b"\xff\xfe")
    raw.set(f"{start}empty", "")
    raw.set(f"{start}number", 42)
    return {
        "hash": HASH,
        "list": ["b", "a", b"\xff", "a"],
        "set": {"b", "a", b"\xff"},
        "zset": [
            {"member": "low", "score": -1.5},
            {"member": b"\xff", "score": 2.0},
            {"member": "high", "score": float("inf")},
        ],
        "stream": [{"id": "1-1", "event": "login", "id_": "theirs"}, {"id": "2-0", "event": b"\xff"}],
        "text": "gr\u00fc\u00dfe",
        "bytes": b"\xff\xfe",
        "empty": "",
        "number": "42",
    }


def test_every_type_is_read(dm: DataManager, raw: redis.Redis, start: str) -> None:
    values = write_all(raw, start)
    for key, value in values.items():
        assert dm.retrieve_by_key("redis", key) == value, key
        assert dm.exists_by_key("redis", key)
    found = dm.query("redis", order_by="key")
    assert dict(zip(found.keys, found, strict=True)) == values
    assert [record.metadata for record in found.records] == [{}] * len(values)
    assert {record.created_at for record in found.records} == {None}


def test_every_type_is_listed_as_it_is_read(
    dm: DataManager, provider: RedisProvider, raw: redis.Redis, start: str
) -> None:
    values = write_all(raw, start)
    listed = {row.key: row for row in dm.list("redis", limit=None)}
    assert sorted(listed) == sorted(values)
    for row in provider.read(list(values)):
        assert row is not None
        assert (listed[row.key].format, listed[row.key].size) == (row.format, row.size)
    assert (listed["text"].format, listed["text"].size) == ("text", 7)
    assert (listed["bytes"].format, listed["hash"].format) == ("bytes", "json")


def test_the_suffix_of_a_key_decides_how_a_string_is_read(
    dm: DataManager, raw: redis.Redis, start: str
) -> None:
    array = np.arange(3)
    dm.store(array, "redis", "ours.npy")
    raw.set(f"{start}a.json", '{"n": [1, 2]}')
    raw.set(f"{start}a.ndjson", '{"n": 1}\n{"n": 2}\n')
    raw.set(f"{start}a.csv", "n,name\n1,x\n2,y\n")
    raw.set(f"{start}a.txt", "text")
    raw.set(f"{start}no suffix", '{"n": 1}')
    raw.set(f"{start}a.pkl", b"\x80\x04K\x01.")
    assert dm.retrieve_by_key("redis", "a.json") == {"n": [1, 2]}
    assert dm.retrieve_by_key("redis", "a.ndjson") == [{"n": 1}, {"n": 2}]
    pd.testing.assert_frame_equal(
        dm.retrieve_by_key("redis", "a.csv"), pd.DataFrame({"n": [1, 2], "name": ["x", "y"]})
    )
    assert dm.retrieve_by_key("redis", "a.txt") == "text"
    assert dm.retrieve_by_key("redis", "no suffix") == '{"n": 1}'
    assert dm.retrieve_by_key("redis", "a.pkl") == b"\x80\x04K\x01."
    np.testing.assert_array_equal(dm.retrieve_by_key("redis", "ours.npy"), array)


def test_a_broken_file_is_named_and_stops_no_query(dm: DataManager, raw: redis.Redis, start: str) -> None:
    raw.set(f"{start}broken.json", "{")
    raw.set(f"{start}good.json", '{"n": 1}')
    found = dm.query("redis", {"n": 1})
    assert (found.keys, found.plan.unreadable) == (["good.json"], ("broken.json",))


def test_fields_of_hashes_and_entries_are_filtered_and_framed(
    dm: DataManager, raw: redis.Redis, start: str
) -> None:
    for n in range(5):
        raw.hset(f"{start}user:{n}", mapping={"name": f"user {n}", "team": "ab"[n % 2]})
    dm.store({"name": "user 9", "team": "a"}, "redis", "user:9", {"ours": True})
    write_all(raw, start)
    assert dm.query("redis", {"name": "x"}).keys == ["hash"]
    assert dm.query("redis", {"member": "low"}).keys == ["zset"]
    assert dm.query("redis", {"event": "login"}).keys == ["stream"]
    frame = dm.query("redis", {"team": "a"}, order_by="key").to_pandas()
    assert frame["key"].tolist() == ["user:0", "user:2", "user:4", "user:9"]
    assert frame["name"].tolist() == ["user 0", "user 2", "user 4", "user 9"]
    inner = dm.query("redis", {"key": {"$prefix": "user:"}}, order_by="-name", limit=1)
    assert inner[0] == {"name": "user 9", "team": "a"}


def test_many_hashes_are_read_in_a_few_trips(dm: DataManager, raw: redis.Redis, start: str) -> None:
    pipeline = raw.pipeline(transaction=False)
    for n in range(2_500):
        pipeline.hset(f"{start}{n:05}", mapping={"n": n})
    pipeline.execute()
    before = raw.info("stats")["total_commands_processed"]
    found = dm.query("redis", {"n": {"$exists": True}}, limit=None, order_by="key")
    assert [data["n"] for data in found] == [str(n) for n in range(2_500)]
    assert len(dm.query("redis", limit=None).to_pandas()) == 2_500
    assert raw.info("stats")["total_commands_processed"] > before


def test_a_long_string_is_listed_by_its_beginning(dm: DataManager, raw: redis.Redis, start: str) -> None:
    # The cut falls into a character of two bytes.
    raw.set(f"{start}text", "x" + "\u00fc" * 100_000)
    raw.set(f"{start}bytes", b"\xff" * 100_000)
    raw.set(f"{start}json.json", b'["' + b"x" * 100_000 + b'"]')
    listed = {each.key: (each.format, each.size) for each in dm.list("redis")}
    assert listed == {"text": ("text", 200_001), "bytes": ("bytes", 100_000), "json.json": ("json", 100_004)}
    assert list(dm.query("redis", order_by="key")) == [
        b"\xff" * 100_000,
        ["x" * 100_000],
        "x" + "\u00fc" * 100_000,
    ]
    assert dm.query("redis", {"size": {"$gt": 150_000}}).keys == ["text"]


def test_their_time_to_live_is_the_expiry(
    dm: DataManager, provider: RedisProvider, raw: redis.Redis, start: str
) -> None:
    write_all(raw, start)
    raw.expire(f"{start}hash", 100)
    raw.expire(f"{start}text", 100)
    wanted = datetime.now(UTC) + timedelta(seconds=100)
    for row in provider.read(["hash", "text"]):
        assert row is not None
        assert row.expires_at is not None
        assert abs(row.expires_at - wanted) < timedelta(seconds=2)
    [plain] = provider.read(["list"])
    assert plain is not None
    assert plain.expires_at is None
    copied = dm.copy(dm.list("redis", "hash")[0], "redis", key="copy")
    assert dm.retrieve(copied) == HASH
    assert 90 < raw.ttl(f"{start}copy") <= 100
    raw.pexpire(f"{start}list", 1)
    while raw.exists(f"{start}list"):
        pass
    assert not dm.exists_by_key("redis", "list")
    assert "list" not in dm.list("redis").keys


def test_storing_replaces_and_deleting_deletes(dm: DataManager, raw: redis.Redis, start: str) -> None:
    values = write_all(raw, start)
    for key in values:
        with pytest.raises(KeyExistsError):
            dm.store("ours", "redis", key, overwrite=False)
        reference = dm.store("ours", "redis", key, {"kind": "x"})
        assert reference.created_at is not None
        assert dm.retrieve(reference) == "ours"
        assert raw.type(f"{start}{key}") == b"string"
    write_all_again = write_all
    raw.delete(*(f"{start}{key}" for key in values))
    write_all_again(raw, start)
    for key in values:
        assert dm.delete_by_key("redis", key)
        assert not raw.exists(f"{start}{key}")


def test_an_empty_stream_is_an_empty_list(dm: DataManager, raw: redis.Redis, start: str) -> None:
    raw.xgroup_create(f"{start}stream", "readers", mkstream=True)
    assert dm.retrieve_by_key("redis", "stream") == []
    assert list(dm.query("redis")) == [[]]


def test_names_of_fields_that_are_no_text_come_back(dm: DataManager, raw: redis.Redis, start: str) -> None:
    raw.hset(f"{start}h", mapping={b"\xff": "x", "name": "y"})
    assert dm.retrieve_by_key("redis", "h") == {b"\xff": "x", "name": "y"}


def test_another_database_is_another_place(redis_url: str, provider: RedisProvider) -> None:
    provider.store("k", 1, {})
    settings = provider.settings
    with RedisProvider(
        settings.host, settings.port, settings.db + 1, _password(redis_url), prefix=settings.prefix
    ) as other:
        assert other.read(["k"]) == [None]


def _password(url: str) -> str | None:
    found = redis.ConnectionPool.from_url(url).connection_kwargs.get("password")
    return None if found is None else str(found)
