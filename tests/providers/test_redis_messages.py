"""Pub/sub: what arrives, what is lost, restarts, closing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
import redis

from praval_storage import filters
from praval_storage.errors import ConfigurationError, SerializationError, StorageConnectionError
from praval_storage.providers.redis import Message, RedisProvider
from praval_storage.sandbox import Sandbox

if TYPE_CHECKING:
    from praval_storage.sandbox.redis import Redis

SOON = 10.0
"""Seconds until a test gives up on a message that takes a fraction of one."""


@pytest.fixture
def provider(redis_url: str) -> Iterator[RedisProvider]:
    with RedisProvider(url=redis_url) as made:
        yield made


@pytest.fixture
def channel() -> str:
    return f"test-{uuid4().hex}"


@pytest.fixture(scope="module")
def own_server() -> Iterator[Redis]:
    """A server that may be stopped."""
    sandbox = Sandbox(services=["redis"]).start()
    yield sandbox.redis
    sandbox.close()


@pytest.fixture
def server(own_server: Redis) -> Redis:
    own_server.start()
    return own_server


def wait_for_listeners(provider: RedisProvider, channel: str, wanted: int) -> None:
    """Until the server has noticed that somebody came or went."""
    deadline = time.monotonic() + SOON
    while provider.publish(channel, "anybody?") != wanted:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def data_of(message: Message | None) -> Any:
    assert message is not None
    return message.data


VALUES = [
    "text",
    "",
    '{"praval_message":1,"format":"json","encoding":"json","span":4,"types":null,"data":1}',
    "gr\u00fc\u00dfe\x00",
    b"bytes",
    b"\xff\x00",
    b"",
    None,
    True,
    7,
    2**70,
    1.5,
    float("nan"),
    {"n": 1, "at": datetime(2025, 1, 15, tzinfo=UTC), "t": (1, 2)},
    [date(2025, 1, 15), {"a"}],
]


def test_every_value_arrives_as_it_was(provider: RedisProvider, channel: str) -> None:
    with provider.subscribe(channel) as messages:
        for value in VALUES:
            assert provider.publish(channel, value) == 1
            found = data_of(messages.get(SOON))
            assert filters.equal(found, value) or (found != found and value != value), value
            assert type(found) is type(value)
        frame = pd.DataFrame({"n": [1, 2]}, index=["a", "b"])
        provider.publish(channel, frame)
        pd.testing.assert_frame_equal(data_of(messages.get(SOON)), frame)
        provider.publish(channel, np.arange(3))
        np.testing.assert_array_equal(data_of(messages.get(SOON)), np.arange(3))
        with pytest.raises(SerializationError, match="publish"):
            provider.publish(channel, threading.Lock())


def test_other_programs_send_and_receive_text(provider: RedisProvider, channel: str, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as raw, provider.subscribe(channel) as messages:
        listener = raw.pubsub(ignore_subscribe_messages=True)
        listener.subscribe(channel)
        listener.get_message(timeout=SOON)
        for payload, data in ((b"text", "text"), (b"\xff", b"\xff"), (b'{"n": 1}', '{"n": 1}'), (b"", "")):
            raw.publish(channel, payload)
            assert data_of(messages.get(SOON)) == data
            listener.get_message(timeout=SOON)
        provider.publish(channel, "hello")
        assert listener.get_message(timeout=SOON)["data"] == b"hello"
        listener.close()


def test_a_message_says_where_and_when(provider: RedisProvider, channel: str) -> None:
    with provider.subscribe(f"{channel}.a", patterns=[f"{channel}.?*"]) as messages:
        before = datetime.now(UTC)
        assert provider.publish(f"{channel}.a", 1) == 2
        first, second = messages.get(SOON), messages.get(SOON)
        assert first is not None
        assert second is not None
        assert {first.pattern, second.pattern} == {None, f"{channel}.?*"}
        assert first.channel == second.channel == f"{channel}.a"
        assert before <= first.received_at <= datetime.now(UTC)
        provider.publish(f"{channel}.b", 2)
        third = messages.get(SOON)
        assert third is not None
        assert (third.channel, third.data) == (f"{channel}.b", 2)
        assert messages.get(0) is None


def test_what_is_published_after_subscribe_returned_arrives(provider: RedisProvider, channel: str) -> None:
    for number in range(100):
        with provider.subscribe(channel, f"{channel}2", channel) as messages:
            provider.publish(channel, number)
            assert data_of(messages.get(SOON)) == number
    wait_for_listeners(provider, channel, 0)


def test_an_iteration_ends_when_it_is_quiet(provider: RedisProvider, channel: str) -> None:
    with provider.subscribe(channel, timeout=0.2) as messages:
        for number in range(1_000):
            provider.publish(channel, number)
        started = time.monotonic()
        assert [message.data for message in messages] == list(range(1_000))
        assert 0.15 < time.monotonic() - started < SOON
        assert messages.get(0.05) is None
        provider.publish(channel, "again")
        assert [message.data for message in messages] == ["again"]


def test_long_messages_arrive_whole_at_any_timeout(provider: RedisProvider, channel: str) -> None:
    with provider.subscribe(channel) as messages, ThreadPoolExecutor(1) as pool:
        text = "\u00fc" * 10_000_000
        sent = pool.submit(provider.publish, channel, [text])
        deadline = time.monotonic() + 3 * SOON
        while (message := messages.get(0.001)) is None:
            assert time.monotonic() < deadline
        assert message.data == [text]
        assert sent.result() == 1


def test_closing_ends_those_who_wait_and_leaves_no_thread(provider: RedisProvider, channel: str) -> None:
    threads = threading.active_count()
    subscription = provider.subscribe(channel)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(list, subscription)
        time.sleep(0.1)
        subscription.close()
        assert waiting.result(SOON) == []
    subscription.close()
    assert list(subscription) == []
    assert "closed" in repr(subscription)
    assert threading.active_count() == threads
    wait_for_listeners(provider, channel, 0)


def test_closing_the_provider_closes_subscriptions(provider: RedisProvider, channel: str) -> None:
    subscriptions = [provider.subscribe(channel), provider.in_collection("c").subscribe(channel)]
    provider.close()
    assert [subscription.get(SOON) for subscription in subscriptions] == [None, None]
    with provider.subscribe(channel) as messages:
        provider.publish(channel, 1)
        assert data_of(messages.get(SOON)) == 1


def test_subscriptions_need_a_channel(provider: RedisProvider) -> None:
    with pytest.raises(ConfigurationError, match="subscribe needs a channel"):
        provider.subscribe()
    with pytest.raises(ConfigurationError, match="subscribe needs a channel"):
        provider.subscribe("a", patterns="b*")


def test_it_subscribes_again_after_a_restart(server: Redis) -> None:
    with RedisProvider(url=server.url) as provider:
        messages = provider.subscribe("c", patterns=["p*"])
        with ThreadPoolExecutor(1) as pool:
            provider.publish("c", 1)
            assert data_of(messages.get(SOON)) == 1
            waiting = pool.submit(lambda: [data_of(messages.get(3 * SOON)) for _ in range(2)])
            server.stop()
            time.sleep(0.3)
            server.start()
            deadline = time.monotonic() + SOON
            while provider.publish("c", 2) == 0:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            provider.publish("pattern", 3)
            assert waiting.result(3 * SOON) == [2, 3]


def test_a_connection_that_was_killed_is_made_again(server: Redis) -> None:
    with RedisProvider(url=server.url) as provider, redis.Redis.from_url(server.url) as raw:
        messages = provider.subscribe("c")
        raw.client_kill_filter(_type="pubsub")
        assert messages.get(0.5) is None
        provider.publish("c", 1)
        assert data_of(messages.get(SOON)) == 1


def test_a_server_that_stays_away_is_reported_in_time(server: Redis) -> None:
    with RedisProvider(url=server.url) as provider, provider.subscribe("c") as messages:
        server.stop()
        started = time.monotonic()
        with pytest.raises(StorageConnectionError, match="Could not connect to Redis"):
            messages.get(0.5)
        assert time.monotonic() - started < 3
        server.start()
        assert messages.get(0.3) is None
        provider.publish("c", 1)
        assert data_of(messages.get(SOON)) == 1
