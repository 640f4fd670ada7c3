"""The Redis provider on a real server: layout, connections, restarts, concurrency, the atomic helpers."""

from __future__ import annotations

import json
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
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import redis

from praval_storage import DataManager
from praval_storage.errors import (
    ConfigurationError,
    KeyExistsError,
    SerializationError,
    StorageConnectionError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
)
from praval_storage.providers.redis import RedisProvider, RedisSettings, layout
from praval_storage.records import Draft
from praval_storage.sandbox import Sandbox
from praval_storage.scan import Scan
from praval_storage.serialization import Content
from praval_storage.testing.conformance._suite import wait_until

if TYPE_CHECKING:
    from praval_storage.sandbox.redis import Redis

NOW = datetime(2026, 1, 15, 10, tzinfo=UTC)


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


@pytest.fixture(scope="module")
def own_server() -> Iterator[Redis]:
    """A server that may be stopped."""
    sandbox = Sandbox(services=["redis"]).start()
    yield sandbox.redis
    sandbox.close()


@pytest.fixture
def server(own_server: Redis) -> Redis:
    own_server.start()
    with redis.Redis.from_url(own_server.url) as client:
        client.flushall()
        client.config_set("maxmemory", 0)
    return own_server


def named(provider: RedisProvider, key: str) -> str:
    return provider.settings.prefix + key


# Layout


def test_get_shows_a_person_the_data_and_metadata(provider: RedisProvider, raw: redis.Redis) -> None:
    provider.store("k", {"name": "J\u00f6rg", "n": 1}, {"kind": "x"})
    value = raw.get(named(provider, "k"))
    shown = json.loads(value)
    assert shown["praval"] == 1
    assert (shown["data"], shown["metadata"]) == ({"name": "J\u00f6rg", "n": 1}, {"kind": "x"})
    assert "J\u00f6rg" in value.decode()
    assert b"\n" not in value
    provider.store("t", 'plain "text"', {})
    assert json.loads(raw.get(named(provider, "t")))["data"] == 'plain "text"'
    provider.store("b", b"\x00\xff", {})
    assert json.loads(raw.get(named(provider, "b")))["data"] == "AP8="


@pytest.mark.parametrize(
    "body, encoding",
    [
        (b'{"a":\n 1}', "json"),
        (b"{broken", "text"),
        (b"\xff\xfe", "base64"),
        (b'\xef\xbb\xbf{"a": 1}', "text"),
    ],
)
def test_a_file_is_kept_byte_by_byte_whatever_its_name_says(
    provider: RedisProvider, raw: redis.Redis, tmp_path: Path, body: bytes, encoding: str
) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(body)
    provider.store("x.json", path, {})
    assert json.loads(raw.get(named(provider, "x.json")))["encoding"] == encoding
    [found] = provider.read(["x.json"])
    assert found is not None
    assert (found.format, found.body, found.size) == ("json", body, len(body))


def test_metadata_that_looks_like_the_layout_is_metadata(provider: RedisProvider) -> None:
    metadata = {"data": {"data": 1}, "text": ',"data":{}}', "metadata": {}, "\u00e4": ['","types":null']}
    provider.store("k", {"data": ',"metadata":{}'}, metadata)
    [found] = provider.read(["k"])
    assert found is not None
    assert json.loads(found.metadata) == metadata
    assert provider.load(found) == {"data": ',"metadata":{}'}


@pytest.mark.parametrize("change", [b" ", b"\n"])
def test_what_differs_by_one_byte_is_not_ours(
    provider: RedisProvider, raw: redis.Redis, change: bytes
) -> None:
    provider.store("k", {"n": 1}, {"kind": "x"})
    value: Any = raw.get(named(provider, "k"))
    for changed in (change + value, value + change, value.replace(b'"spans":[4', b'"spans":[5'), value[:-1]):
        raw.set(named(provider, "k"), changed)
        [found] = provider.read(["k"])
        assert found is not None
        assert (found.metadata, found.body, found.format) == (b"{}", changed, "text")


def test_a_record_of_ours_as_text_is_text(provider: RedisProvider, raw: redis.Redis) -> None:
    provider.store("k", {"n": 1}, {})
    text = raw.get(named(provider, "k")).decode()
    provider.store("copy", text, {})
    assert provider.retrieve("copy") == text


def test_a_long_record_is_listed_without_its_data(provider: RedisProvider) -> None:
    with DataManager({"redis": provider}) as dm:
        dm.store(b"x" * 1_000_000, "redis", "bytes", {"kind": "long"})
        dm.store({"text": "y" * 1_000_000}, "redis", "json", {"kind": "long"})
        dm.store(1, "redis", "metadata", {"kind": "long", "text": "z" * 50_000})
        [*rows] = provider.scan(Scan(bodies=False)).rows
        assert {row.key: row.body for row in rows} == dict.fromkeys(["bytes", "json", "metadata"])
        assert {row.size for row in rows} == {1_000_000, 1_000_011, 1}
        assert len(dm.list("redis")) == 3
        found = dm.query("redis", {"metadata.kind": "long"}, order_by="key")
        assert list(found) == [b"x" * 1_000_000, {"text": "y" * 1_000_000}, 1]
        assert dm.query("redis", {"text": {"$prefix": "yy"}}).keys == ["json"]
        assert dm.query("redis", order_by="-size", limit=1).keys == ["json"]


def test_too_large_a_record_is_refused_before_it_is_sent(
    provider: RedisProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "MAX_VALUE", 10_000)
    results = provider.write([Draft("a", "x" * 10_000, {}, NOW), Draft("b", "x", {}, NOW)])
    assert [result.success for result in results] == [False, True]
    assert isinstance(results[0].error, SerializationError)
    assert "10,2" in str(results[0].error)
    assert "filesystem or s3" in str(results[0].error)


# Keys, prefixes, collections


@pytest.mark.parametrize("prefix", ["p[1]:*", "a?b\\", "^-", "\u65e5\u672c:", "{x}", ""])
def test_glob_characters_in_prefixes_and_keys_are_themselves(
    redis_url: str, raw: redis.Redis, prefix: str
) -> None:
    base = uuid4().hex
    provider = RedisProvider(url=redis_url, prefix=base + prefix)
    decoys = ["p1:x", "axb", "-x", "x"]
    raw.mset({f"{base}{'' if prefix else ':'}{decoy}": "theirs" for decoy in decoys})
    keys = ["k*", "k?", "k[ab]", "ka", "k^", "k-z", "\u00e9*", "kb"]
    try:
        with DataManager({"redis": provider}) as dm:
            dm.store_many(dict.fromkeys(keys, 1), "redis").raise_for_errors()
            if prefix:
                assert dm.list("redis", order_by="key").keys == sorted(keys)
            for key in keys:
                assert dm.list("redis", key).keys == [key]
                assert dm.query("redis", {"key": {"$prefix": key}}).keys == [key]
                assert dm.query("redis", {"key": {"$in": [key, "none"]}}).keys == [key]
            assert dm.delete_by_key("redis", "k*")
            assert dm.exists_by_key("redis", "ka")
    finally:
        raw.delete(*raw.scan_iter(f"{base}*", count=5_000))


def test_names_that_are_no_keys_are_skipped(provider: RedisProvider, raw: redis.Redis) -> None:
    start = provider.settings.prefix.encode()
    for name in (b"\xff\xfe", b"a//b", b"a\nb", b"/x", b"", b"x" * 600, b".praval/x"):
        raw.set(start + name, "theirs")
    provider.store("ours", 1, {})
    with DataManager({"redis": provider}) as dm:
        assert dm.list("redis").keys == ["ours"]
        assert dm.query("redis") == [1]


def test_collections_are_the_first_parts_of_keys(provider: RedisProvider, raw: redis.Redis) -> None:
    provider.store("plain", 1, {})
    provider.store("session:abc", 1, {})
    provider.in_collection("events").store("2025:a", {"n": 1}, {})
    raw.set(named(provider, ":odd"), "x")
    assert provider.collections() == ["events", "session"]
    assert raw.exists(named(provider, "events:2025:a"))
    events = provider.in_collection("events")
    assert events.collections() == ["events:2025"]
    assert events.in_collection("events:2025").retrieve("a") == {"n": 1}
    assert provider.in_collection("session").in_collection("").retrieve("plain") == 1
    with DataManager({"redis": provider}) as dm:
        assert dm.list("redis", order_by="key").keys == [":odd", "events:2025:a", "plain", "session:abc"]
        assert dm.list("redis", collection="session").keys == ["abc"]


def test_plans_say_what_was_asked_of_the_server(provider: RedisProvider) -> None:
    with DataManager({"redis": provider}) as dm:
        dm.store_many({f"a{n}": {"n": n} for n in range(10)} | {"b": {"n": 1}}, "redis")
        by_key = dm.query("redis", {"key": {"$in": ["a1", "a2", "zz"]}, "n": 1}).plan
        assert (by_key.index, by_key.scanned, by_key.hint) == ("keys", 2, None)
        assert by_key.residual == {"n": 1}
        by_prefix = dm.query("redis", {"key": {"$prefix": "a"}, "n": {"$gt": 3}}).plan
        assert by_prefix.index == f"SCAN MATCH {provider.settings.prefix.replace('-', chr(92) + '-')}a*"
        assert (by_prefix.scanned, by_prefix.returned, by_prefix.hint) == (10, 6, None)
        everything = dm.query("redis", {"n": 1}).plan
        assert everything.scanned == 11
        assert "no index" in str(everything.hint)
        by_pattern = dm.query("redis", {"key": {"$regex": "[ab]1?$"}}).plan
        assert (by_pattern.scanned, by_pattern.residual) == (2, {})
        dm.store_many({f"c{n}": {"n": n} for n in range(500)}, "redis")
        first = dm.query("redis", {"n": {"$gte": 0}}, 1, order_by="key")
        assert (first.keys, first.plan.order) == (["a0"], "native")
        assert first.plan.scanned < 100
        assert dm.query("redis", limit=2, order_by="-key").keys == ["c99", "c98"]


def test_a_scan_shows_every_record_once_while_the_table_shrinks(
    server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("praval_storage.providers.redis.reading.PAGE", 10)
    with RedisProvider(url=server.url) as provider, redis.Redis.from_url(server.url) as raw:
        raw.mset({f"other{n}": "x" for n in range(20_000)})
        provider.write([Draft(f"kept{n}", n, {}, NOW) for n in range(500)])
        seen = []
        for page, names in enumerate(provider._reader.names(provider._keyspace.pattern("kept"))):
            seen += names
            if page == 500:
                raw.delete(*(f"other{n}" for n in range(20_000)))
        assert len(seen) == 500
        assert set(seen) == {f"kept{n}".encode() for n in range(500)}


# Writing


def test_a_large_batch_is_split_by_count_and_by_bytes(provider: RedisProvider) -> None:
    drafts = [Draft(f"k{n}", "x" * 30_000, {"n": n}, NOW) for n in range(1_500)]
    assert all(result.success for result in provider.write(drafts))
    found = provider.read([draft.key for draft in drafts])
    assert [row and row.size for row in found] == [30_000] * 1_500
    assert provider.remove([draft.key for draft in drafts]) == [True] * 1_500


def test_creation_is_kept_by_whoever_overwrites_at_the_same_time(
    provider: RedisProvider, redis_url: str
) -> None:
    first = provider.store("k", 0, {}).created_at

    def overwrite(number: int) -> None:
        with RedisProvider(url=redis_url, prefix=provider.settings.prefix) as other:
            for _ in range(100):
                assert other.store("k", number, {}).created_at == first

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(overwrite, range(8)))
    [found] = provider.read(["k"])
    assert found is not None
    assert found.created_at == first


def test_eight_threads_lose_and_double_nothing(provider: RedisProvider) -> None:
    def work(thread: int) -> int:
        won = 0
        for number in range(125):
            provider.store(f"{thread}/{number}", {"n": number}, {})
            assert provider.retrieve(f"{thread}/{number}") == {"n": number}
            result = provider.write([Draft(f"shared/{number}", thread, {}, NOW)], overwrite=False)[0]
            assert result.success or isinstance(result.error, KeyExistsError)
            won += result.success
            provider.increment("counter")
        return won

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 125
    assert provider.retrieve("counter") == 1_000
    assert len(provider.query({}, None)) == 1_000 + 125 + 1


def test_redis_expires_records_itself(provider: RedisProvider, raw: redis.Redis) -> None:
    now = datetime.now(UTC)
    drafts = [Draft("a", 1, {}, now, now + timedelta(seconds=100)), Draft("b", 1, {}, now)]
    provider.write(drafts)
    assert 99_000 < raw.pttl(named(provider, "a")) <= 100_001
    assert raw.pttl(named(provider, "b")) == -1
    assert "expires_at" in json.loads(raw.get(named(provider, "a")))
    provider.write([Draft("over", 1, {}, now, now - timedelta(seconds=1))])
    time.sleep(0.005)
    assert not raw.exists(named(provider, "over"))


def test_the_expiry_of_redis_is_the_expiry_of_the_record(provider: RedisProvider, raw: redis.Redis) -> None:
    now = datetime.now(UTC)
    until = now + timedelta(seconds=100)
    provider.write([Draft(key, 1, {}, now, until) for key in ("as it was", "persisted", "sooner")])
    provider.store("later", 1, {})
    raw.persist(named(provider, "persisted"))
    raw.expire(named(provider, "sooner"), 10)
    raw.expire(named(provider, "later"), 10)
    rows = provider.read(["as it was", "persisted", "sooner", "later"], bodies=False)
    found = [row and row.expires_at for row in rows]
    assert found[:2] == [until, None]
    for expires_at in found[2:]:
        assert expires_at is not None
        assert abs(expires_at - now - timedelta(seconds=10)) < timedelta(seconds=2)


def test_a_writer_whose_clock_is_wrong_expires_nothing(provider: RedisProvider, raw: redis.Redis) -> None:
    provider.store("k", 1, {})
    value: Any = raw.get(named(provider, "k"))
    then = layout.time_text(datetime.now(UTC) - timedelta(hours=1)).encode()
    raw.set(
        named(provider, "k"), value.replace(b'"expires_at":null', b'"expires_at":"' + then + b'"'), px=60_000
    )
    [found] = provider.read(["k"])
    assert found is not None
    assert found.expires_at is not None
    assert found.expires_at > datetime.now(UTC) + timedelta(seconds=50)
    assert provider.query({}, None) == [1]


# Atomic helpers


def test_increment_counts_records_of_numbers(provider: RedisProvider) -> None:
    assert provider.increment("k") == 1
    assert provider.increment("k", 41) == 42
    assert provider.increment("k", -2) == 40
    assert type(provider.increment("k", -40)) is int
    assert provider.retrieve("k") == 0
    assert repr(provider.increment("k", 0.5)) == "0.5"
    assert repr(provider.increment("k", 0.5)) == "1.0"
    assert repr(provider.retrieve("k")) == "1.0"
    assert provider.increment("f", 0.1) + 0 == 0.1
    assert provider.increment("f", 0.2) == 0.1 + 0.2
    assert provider.retrieve("f") == 0.1 + 0.2
    provider.store("huge", 1e300, {})
    assert provider.increment("huge", 1e300) == 2e300
    assert provider.retrieve("huge") == 2e300


def test_increment_keeps_the_rest_of_the_record(provider: RedisProvider, raw: redis.Redis) -> None:
    now = datetime.now(UTC)
    metadata = {"kind": "counter", "odd": '","data":7}'}
    provider.write([Draft("k", 7, metadata, now, now + timedelta(seconds=100))])
    [before] = provider.read(["k"])
    provider.increment("k")
    [after] = provider.read(["k"])
    assert before is not None
    assert after is not None
    assert (after.body, after.size, after.metadata) == (b"8", 1, before.metadata)
    assert (after.created_at, after.expires_at) == (before.created_at, before.expires_at)
    assert after.updated_at is not None
    assert after.updated_at > now
    assert after.version != before.version
    assert after.version == provider.store("other", 8, {}).version
    assert 90_000 < raw.pttl(named(provider, "k")) <= 100_001


@pytest.mark.parametrize("data", ["7", {"n": 1}, True, None, [1], b"1", NOW, 2**53, float("inf")])
def test_increment_refuses_what_it_cannot_add_to(provider: RedisProvider, data: Any) -> None:
    provider.store("k", data, {})
    with pytest.raises(StorageError, match=r"nothing can be added|out of range"):
        provider.increment("k")
    assert provider.retrieve("k") == data


def test_increment_refuses_foreign_data_and_odd_steps(provider: RedisProvider, raw: redis.Redis) -> None:
    raw.set(named(provider, "s"), "7")
    raw.rpush(named(provider, "l"), "7")
    for key in "sl":
        with pytest.raises(StorageError):
            provider.increment(key)
    provider.store("huge", 1e308, {})
    with pytest.raises(StorageError, match="out of range"):
        provider.increment("huge", 1e308)
    for step in (True, "1", float("nan"), None):
        with pytest.raises(ConfigurationError, match="by must be"):
            provider.increment("k", step)  # type: ignore[arg-type]


def test_compare_and_set_replaces_what_is_expected(provider: RedisProvider, raw: redis.Redis) -> None:
    now = datetime.now(UTC)
    provider.write([Draft("k", {"a": 1, "b": (2, NOW)}, {"m": 1}, now, now + timedelta(seconds=100))])
    [before] = provider.read(["k"])
    for wrong in ({"a": 1}, {"a": 1.0, "b": (2, NOW)}, {"a": 1, "b": [2, NOW]}, {"a": True, "b": (2, NOW)}):
        assert not provider.compare_and_set("k", wrong, "new")
    assert provider.compare_and_set("k", {"b": (2, NOW), "a": 1}, {"new": NOW})
    [after] = provider.read(["k"])
    assert before is not None
    assert after is not None
    assert provider.load(after) == {"new": NOW}
    assert (after.metadata, after.created_at, after.expires_at) == before[4:6] + before[7:8]
    assert raw.pttl(named(provider, "k")) > 90_000
    assert not provider.compare_and_set("missing", None, 1)
    raw.set(named(provider, "x.json"), '{ "n": 1 }')
    assert provider.compare_and_set("x.json", {"n": 1}, {"n": 2})
    assert provider.retrieve("x.json") == {"n": 2}


def test_compare_and_set_loses_no_update(provider: RedisProvider) -> None:
    provider.store("k", {"n": 0}, {})

    def work(_: int) -> None:
        for _ in range(50):
            while not provider.compare_and_set("k", now := provider.retrieve("k"), {"n": now["n"] + 1}):
                pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert provider.retrieve("k") == {"n": 200}


def test_a_lock_is_held_by_one_at_a_time(provider: RedisProvider) -> None:
    inside = []

    def work(number: int) -> None:
        for _ in range(5):
            with provider.lock("job", wait=30):
                inside.append(number)
                assert len(inside) == 1
                inside.pop()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    with (
        DataManager({"redis": provider}) as dm,
        provider.lock("job"),
        provider.in_collection("c").lock("job"),
    ):
        assert dm.list("redis").keys == []
        assert provider.collections() == []
        with (
            pytest.raises(StorageTimeoutError, match=r"not free within 0 s.*lock"),
            provider.lock("job", wait=0),
        ):
            pass


def test_a_lock_that_expired_in_the_block_is_reported(provider: RedisProvider) -> None:
    with pytest.raises(StorageError, match="had expired after"), provider.lock("job", timeout=0.05):
        time.sleep(0.1)
    with pytest.raises(ZeroDivisionError), provider.lock("job", timeout=0.05):
        time.sleep(0.1 / 0)
    with provider.lock("job", timeout=0.1) as lock:
        lock.extend(10)
        time.sleep(0.15)


# Connections


def test_nothing_is_connected_before_it_is_used() -> None:
    provider = RedisProvider("no such host.invalid", 1)
    assert "no such host.invalid:1" in repr(provider)
    provider.close()


def test_a_port_nobody_listens_on_is_said_at_once() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    provider = RedisProvider("127.0.0.1", port)
    with pytest.raises(StorageConnectionError, match=f"Could not connect to Redis at 127.0.0.1:{port}"):
        provider.retrieve("k")
    with pytest.raises(ConnectionError, match="redis-cli ping"):
        DataManager({"redis": provider}).query("redis")
    with pytest.raises(ConnectionError, match="Could not connect to Redis"):
        provider.subscribe("c")


def test_a_database_that_is_not_there_is_named(redis_url: str) -> None:
    provider = RedisProvider(url=f"{redis_url.rpartition('/')[0]}/5000")
    with pytest.raises(StorageConnectionError, match=r"Could not connect to Redis.*DB index"):
        provider.health()


def test_a_wrong_password_is_refused_and_never_shown(server: Redis) -> None:
    planted = "s3cret/pla nted"
    quoted = "s3cret%2Fpla%20nted"
    for provider in (
        RedisProvider("127.0.0.1", server.port, password=planted, prefix="p:"),
        RedisProvider(url=f"redis://:{quoted}@127.0.0.1:{server.port}/0"),
        RedisProvider("127.0.0.1", server.port, username="somebody", password=planted),
    ):
        with pytest.raises(StoragePermissionError, match="Check password and username") as caught:
            provider.retrieve("k")
        shown = "".join(traceback.format_exception(caught.value)) + repr(provider) + repr(provider.settings)
        health = DataManager({"redis": provider}).health("redis")["redis"]
        assert health.status == "down"
        for secret in (planted, quoted):
            assert secret not in shown + health.detail + repr(provider._connection) + repr(caught.value)
    with pytest.raises(StoragePermissionError, match="REDIS_PASSWORD"):
        RedisProvider("127.0.0.1", server.port).retrieve("k")


def test_a_password_that_breaks_the_url_is_not_quoted_in_the_error() -> None:
    secret = "planted/secret"
    for url in (f"redis://:{secret}@localhost:6379", f"http://:{secret}@localhost", f"{secret}@localhost"):
        with pytest.raises(ConfigurationError, match="no Redis URL") as caught:
            RedisProvider(url=url)
        assert "planted" not in "".join(traceback.format_exception(caught.value))


def test_users_who_may_only_read_can_read(server: Redis) -> None:
    with RedisProvider(url=server.url) as admin, redis.Redis.from_url(server.url) as raw:
        admin.store("k", {"n": 1}, {"kind": "x"})
        raw.hset("h", mapping={"a": "1"})
        raw.acl_setuser("reader", enabled=True, passwords=["+pw"], keys=["*"], categories=["+@read"])
        reader = RedisProvider("127.0.0.1", server.port, username="reader", password="pw")
        with DataManager({"redis": reader}) as dm:
            assert dm.query("redis", {"metadata.kind": "x"}) == [{"n": 1}]
            assert dm.retrieve_by_key("redis", "h") == {"a": "1"}
            assert dm.list("redis", order_by="key").keys == ["h", "k"]
            assert not dm.exists_by_key("redis", "none")
            with pytest.raises(StoragePermissionError, match="NOPERM"):
                dm.store(1, "redis", "k")
        raw.acl_deluser("reader")


def test_the_next_call_after_a_restart_works(server: Redis) -> None:
    with RedisProvider(url=server.url) as provider, DataManager({"redis": provider}) as dm:
        dm.store({"n": 1}, "redis", "k", ttl=1_000)
        provider.increment("c")
        server.restart()
        assert dm.retrieve_by_key("redis", "k") == {"n": 1}
        server.restart()
        assert provider.increment("c") == 2
        server.restart()
        assert provider.retrieve("k") == {"n": 1}
        server.stop()
        with pytest.raises(StorageConnectionError, match="Could not connect to Redis"):
            dm.store(2, "redis", "k")
        assert dm.health("redis")["redis"].status == "down"
        server.start()
        assert dm.store(2, "redis", "k").created_at is not None


def test_a_server_that_hangs_is_given_up_and_used_again(server: Redis) -> None:
    with RedisProvider(url=server.url, timeout=0.5) as provider:
        provider.store("k", 1, {})
        server.pause()
        try:
            started = time.monotonic()
            with pytest.raises(StorageTimeoutError, match=r"did not answer within 0.5 s"):
                provider.retrieve("k")
            assert time.monotonic() - started < 3
        finally:
            server.resume()
        provider.store("other", 2, {})
        assert [provider.retrieve(key) for key in ("k", "other")] == [1, 2]


def test_a_full_server_refuses_item_by_item(server: Redis) -> None:
    with RedisProvider(url=server.url) as provider, redis.Redis.from_url(server.url) as raw:
        provider.store("k", 1, {})
        raw.config_set("maxmemory", 1_000)
        results = provider.write([Draft("a", 1, {}, NOW), Draft("b", 1, {}, NOW)])
        raw.config_set("maxmemory", 0)
        assert [type(result.error) for result in results] == [StorageError] * 2
        assert "OOM command not allowed" in str(results[0].error)
        assert "raise maxmemory" in str(results[0].error)
        assert provider.retrieve("k") == 1


def test_a_replica_says_it_is_read_only(server: Redis) -> None:
    with RedisProvider(url=server.url) as provider, redis.Redis.from_url(server.url) as raw:
        provider.store("k", 1, {})
        raw.replicaof("127.0.0.1", "1")
        try:
            assert provider.retrieve("k") == 1
            with pytest.raises(StoragePermissionError, match="read-only replica"):
                provider.store("k", 2, {})
            with pytest.raises(StoragePermissionError, match="read-only replica"):
                provider.delete("k")
        finally:
            raw.replicaof("NO", "ONE")


def test_scripts_that_the_server_forgot_are_sent_again(server: Redis) -> None:
    with RedisProvider(url=server.url) as provider, redis.Redis.from_url(server.url) as raw:
        for number in range(3):
            raw.script_flush()
            provider.store("k", number, {})
            assert provider.retrieve("k") == number


def test_a_ready_client_is_used_and_left_open(redis_url: str, provider: RedisProvider) -> None:
    with redis.Redis.from_url(redis_url, max_connections=1) as client:
        made = RedisProvider(client=client, prefix=provider.settings.prefix)
        with made, made.subscribe("test-one-connection") as messages:
            made.store("k", {"n": 1}, {})
            assert made.publish("test-one-connection", "x") == 1
            message = messages.get(5)
            assert message is not None
            assert message.data == "x"
            assert made.retrieve("k") == {"n": 1}
        assert client.ping()
        with pytest.raises(ConfigurationError, match="client="):
            pickle.dumps(made)
        with pytest.raises(ConfigurationError, match="together"):
            RedisProvider("elsewhere", client=client)
    assert provider.retrieve("k") == {"n": 1}


@pytest.mark.parametrize("protocol", [2, 3])
def test_both_protocols_of_a_ready_client_do(redis_url: str, provider: RedisProvider, protocol: int) -> None:
    with redis.Redis.from_url(redis_url, protocol=protocol) as client:
        made = RedisProvider(client=client, prefix=provider.settings.prefix)
        made.store("k", {"n": 1}, {})
        client.zadd(named(provider, "z"), {"a": 1.5, "b": 2})
        client.hset(named(provider, "h"), mapping={"a": "1"})
        client.sadd(named(provider, "s"), "a")
        client.xadd(named(provider, "x"), {"a": "1"}, id="1-0")
        assert made.retrieve("k") == {"n": 1}
        assert made.retrieve("z") == [{"member": "a", "score": 1.5}, {"member": "b", "score": 2.0}]
        assert (made.retrieve("h"), made.retrieve("s")) == ({"a": "1"}, {"a"})
        assert made.retrieve("x") == [{"id": "1-0", "a": "1"}]
        assert len(made.query({}, None)) == 5
        with made.subscribe("test-protocols") as messages:
            made.publish("test-protocols", [1])
            message = messages.get(5)
            assert message is not None
            assert message.data == [1]


def test_a_client_that_decodes_is_refused(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    with pytest.raises(ConfigurationError, match="decode_responses"):
        RedisProvider(client=client)
    with pytest.raises(ConfigurationError, match="decode_responses"):
        RedisProvider(url=f"{redis_url}?decode_responses=true").retrieve("k")
    with pytest.raises(ConfigurationError, match=r"not builtins\.str"):
        RedisProvider(client="redis://")  # type: ignore[arg-type]


def test_a_pickle_carries_the_settings_and_the_collection(provider: RedisProvider) -> None:
    bound = provider.in_collection("c")
    bound.store("k", 1, {})
    again = pickle.loads(pickle.dumps(bound))
    assert (again.settings, again.collection, again.retrieve("k")) == (provider.settings, "c", 1)
    again.close()


def _use(provider: RedisProvider, results: Any) -> None:
    for _ in range(50):
        provider.increment("forked")
    results.put(provider.retrieve("before"))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_provider_survives_a_fork(provider: RedisProvider) -> None:
    provider.store("before", {"n": 1}, {})
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    children = [context.Process(target=_use, args=(provider, results)) for _ in range(2)]
    for child in children:
        child.start()
    for _ in range(50):
        provider.increment("forked")
    assert [results.get(timeout=30) for _ in children] == [{"n": 1}] * 2
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    assert provider.retrieve("forked") == 150


def test_a_call_under_way_outlasts_closing(provider: RedisProvider, raw: redis.Redis) -> None:
    provider.store("k", 1, {})
    provider.close()
    before, closed = len(raw.client_list()), threading.Event()

    def use() -> None:
        while not closed.is_set():
            assert provider.retrieve("k") == 1

    with ThreadPoolExecutor(4) as pool:
        users = [pool.submit(use) for _ in range(4)]
        for _ in range(200):
            provider.retrieve("k")
            provider.close()
        closed.set()
        for user in users:
            user.result()
    provider.close()
    wait_until(lambda: len(raw.client_list()) <= before, "the end of every connection")


def test_closing_drops_every_connection(server: Redis) -> None:
    provider = RedisProvider(url=server.url)
    with redis.Redis.from_url(server.url) as raw:
        threads = threading.active_count()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: provider.store(f"k{n}", n, {}), range(50)))
        subscription = provider.subscribe("c")
        assert len(raw.client_list()) > 2
        provider.close()
        assert subscription.get(1) is None
        deadline = time.monotonic() + 5
        while len(raw.client_list()) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert threading.active_count() == threads
        assert provider.retrieve("k1") == 1
        provider.close()


# Settings


def test_the_environment_configures_it() -> None:
    full = {
        "REDIS_HOST": "h",
        "REDIS_PORT": "7000",
        "REDIS_DB": "3",
        "REDIS_PASSWORD": "planted",
        "REDIS_USERNAME": "u",
        "REDIS_SSL": "true",
        "REDIS_PREFIX": "p:",
    }
    assert RedisSettings.from_env(full) == RedisSettings("h", 7_000, 3, "planted", "u", ssl=True, prefix="p:")
    assert RedisSettings.from_env({}) == RedisSettings.from_env(dict.fromkeys(full, "")) == RedisSettings()
    by_url = RedisSettings.from_env({"REDIS_URL": "redis://:other@x:1/2", "REDIS_PREFIX": "p:"})
    assert (by_url.host, by_url.port, by_url.db, by_url.prefix) == ("x", 1, 2, "p:")
    assert "planted" not in repr(RedisSettings.from_env(full))
    assert "other" not in repr(by_url)
    provider = RedisProvider.from_env(full)
    assert set(provider.secrets()) == {"planted"}
    with pytest.raises(ConfigurationError, match=r"REDIS_PORT must be a number.*unset it"):
        RedisSettings.from_env({"REDIS_PORT": "tcp://10.0.0.1:6379"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 0},
        {"port": "6379"},
        {"db": -1},
        {"db": True},
        {"timeout": 0},
        {"prefix": None},
        {"prefix": "\ud800"},
        {"url": "redis://localhost", "ssl": True},
        {"url": 7},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        RedisProvider(**wrong)


def test_an_encoded_value_has_the_documented_shape() -> None:
    draft = Draft("k", None, {}, NOW)
    made = layout.envelope(draft, Content("json", b'{"n":1}'), b"{}")
    assert made.value == (
        b'{"praval":1,"created_at":"2026-01-15T10:00:00.000000Z","updated_at":"2026-01-15T10:00:00.000000Z",'
        b'"version":"' + made.version.encode() + b'","size":7,"expires_at":null,"format":"json",'
        b'"encoding":"json","spans":[4,2],"types":null,"metadata":{},"data":{"n":1}}'
    )
    assert len(layout.MARK) + 27 == layout.HEAD == made.value.index(b'","updated_at"')


def test_health_names_server_and_version(provider: RedisProvider) -> None:
    assert f"at {provider._connection.place}" in provider.health()
