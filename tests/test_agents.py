"""Storage in praval's agents: the real package and a real reef, with no model key and no network.

The guide's blocks run as printed; only the storage names come from ``praval_storage``, as everywhere.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from backends import make

from praval_storage import (
    ConfigurationError,
    DataManager,
    ProviderNotRegisteredError,
    StorageConnectionError,
    requires_storage,
    storage_enabled,
)
from praval_storage.providers import QdrantProvider
from praval_storage.testing import InMemoryProvider

SERVERS = ("postgresql", "redis", "s3")
SECONDS = 60.0

Errors = list[Exception]
Run = Callable[..., dict[str, Any]]
Overhear = Callable[[str], list[Any]]


@pytest.fixture
def praval(environment: Path) -> Iterator[Any]:
    """The package, with a reef of its own."""
    import praval
    from praval.core.reef import reset_reef

    reset_reef()
    yield praval
    praval.get_reef().shutdown()
    reset_reef()


@pytest.fixture
def deliver(praval: Any) -> Callable[..., None]:
    """Broadcast a spore to every agent and wait until all have handled it, and what they broadcast."""

    def send(**knowledge: Any) -> None:
        praval.get_reef().system_broadcast(knowledge)
        assert praval.get_reef().wait_for_completion(timeout=SECONDS)

    return send


@pytest.fixture
def registered(dm: DataManager, request: pytest.FixtureRequest) -> None:
    for name in SERVERS:
        dm.register_provider(name, make(name, request))


# -- the guide


@pytest.fixture
def overhear(praval: Any) -> Callable[[str], list[Any]]:
    """Another agent, who listens to what one broadcasts: the knowledge as it arrives from another process."""

    def listen(name: str) -> list[Any]:
        heard: list[Any] = []

        @praval.agent("listener", channel=f"{name}_channel", auto_broadcast=False)
        def listener(spore: Any) -> None:
            if spore.from_agent == name:
                heard.append(praval.Spore.from_json(spore.to_json()).knowledge)

        return heard

    return listen


def process_data(given: Any) -> Any:
    return {"processed": given, "vector": [1.0, 0.0]}


@pytest.mark.guide("Storage with Agents")
def test_an_agent_stores_its_results(
    run: Run, overhear: Overhear, deliver: Callable[..., None], dm: DataManager, registered: None
) -> None:
    run(process_data=process_data)
    heard = overhear("data_handler")
    deliver(input="x")
    [record] = dm.query("postgresql").records
    assert record.data == process_data("x")
    assert record.metadata == {"processed_at": "2025-01-15"}
    [answer] = heard
    assert answer["stored_reference"] == f"praval://postgresql/{record.key}"
    assert dm.retrieve(answer["stored_reference"]) == process_data("x")


@pytest.mark.guide("@storage_enabled")
def test_a_storage_enabled_agent(
    run: Run, overhear: Overhear, deliver: Callable[..., None], dm: DataManager, registered: None
) -> None:
    found = run()["agent_with_storage"]
    heard = overhear("data_agent")
    deliver(input="x")
    assert dm.query("filesystem") == [{"result": "..."}]
    assert list(found.storage.providers) == ["filesystem", "postgresql"]
    [answer] = heard
    assert dm.retrieve(answer["reference"]) == {"result": "..."}
    assert dm.retrieve(found(None)["reference"]) == {"result": "..."}
    with pytest.raises(ProviderNotRegisteredError, match="agent_with_storage: filesystem, postgresql"):
        found.storage.store(1, "redis")


@pytest.mark.guide("@requires_storage")
def test_an_agent_that_requires_storage(
    praval: Any, run: Run, dm: DataManager, request: pytest.FixtureRequest
) -> None:
    critical = run()["critical_agent"]
    with pytest.raises(ProviderNotRegisteredError) as caught:
        critical(None)
    assert "- postgresql:" in str(caught.value)
    assert "- redis:" in str(caught.value)
    for name in ("postgresql", "redis"):
        dm.register_provider(name, make(name, request))
    assert critical(None) is None


@pytest.mark.guide("Multi-Provider Storage")
def test_an_agent_with_several_providers(
    praval: Any, run: Run, deliver: Callable[..., None], dm: DataManager, registered: None
) -> None:
    run(large_file=b"large" * 1_000)
    deliver(input="x")
    [cached] = dm.query("redis").records
    assert cached.data == {"session": "temp"}
    assert cached.expires_at is not None
    assert dm.query("postgresql") == [{"transaction": "permanent"}]
    assert dm.query("s3") == [b"large" * 1_000]


@pytest.mark.guide("Storage with Memory Integration")
# Without chromadb praval looks for a Qdrant server of its own, and then remembers in this process.
@pytest.mark.filterwarnings("ignore:Failed to obtain server version")
def test_an_agent_with_memory_and_storage(
    run: Run, overhear: Overhear, deliver: Callable[..., None], dm: DataManager
) -> None:
    smart = run(process_data=process_data)["smart_agent"]
    heard = overhear("smart_agent")
    deliver(input="x")
    [answer] = heard
    assert dm.retrieve(answer["stored"]) == process_data("x")
    assert dm.query("qdrant")[0]["processed"] == "x"
    [remembered] = smart.recall("Current task: process data")
    assert remembered.content == "Current task: process data"
    assert dm.retrieve(smart(SimpleNamespace(knowledge={"input": "y"}))["stored"])["processed"] == "y"


@pytest.mark.guide("Transaction-like Operations")
def test_an_agent_that_rolls_back(
    run: Run, overhear: Overhear, deliver: Callable[..., None], dm: DataManager, registered: None
) -> None:
    run(data1={"n": 1}, data2={"n": 2}, data3={"n": 3})
    heard = overhear("transactional")
    deliver()
    [answer] = heard
    assert answer["success"] is True
    assert [dm.retrieve(ref)["n"] for ref in answer["refs"]] == [1, 2, 3]
    assert dm.delete_many(answer["refs"]).values == [True, True, True]
    dm.unregister_provider("redis")
    deliver()
    answer = heard[1]
    assert answer["success"] is False
    assert "'redis' not registered" in answer["error"]
    assert list(dm.list("postgresql")) == list(dm.list("s3")) == []


# -- the order of decorators


ORDERS = [*itertools.permutations(["agent", "enabled", "required"])]


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
def test_decorators_in_any_order(
    praval: Any, deliver: Callable[..., None], dm: DataManager, order: tuple[str, ...], is_async: bool
) -> None:
    failures: Errors = []
    decorators = {
        "agent": praval.agent("keeper", on_error=lambda error, _: failures.append(error)),
        "enabled": storage_enabled(["filesystem", "memory"]),
        "required": requires_storage(["memory"]),
    }

    def plain(spore: Any, storage: Any) -> Any:
        assert storage is keeper.storage
        return {"kept": storage.store(spore.knowledge["n"], "memory").uri}

    async def coroutine(spore: Any, storage: Any) -> Any:
        return plain(spore, storage)

    keeper: Any = coroutine if is_async else plain
    for name in reversed(order):
        keeper = decorators[name](keeper)
    deliver(n=1)
    [failure] = failures
    assert isinstance(failure, ProviderNotRegisteredError)
    assert "- memory:" in str(failure)

    dm.register_provider("memory", InMemoryProvider())
    deliver(n=2)
    assert dm.query("memory") == [2]
    assert failures == [failure]
    assert praval.get_agent_info(keeper)["name"] == "keeper"
    [kept] = praval.get_reef().get_channel("keeper_channel").spores
    assert dm.retrieve(kept.knowledge["kept"]) == 2


@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
def test_decorators_in_any_order_on_what_praval_itself_does_not_run(
    praval: Any, dm: DataManager, order: tuple[str, ...]
) -> None:
    """A generator, an async one and a method stay what they are, and are called by hand."""

    def decorated(function: Callable[..., Any]) -> Any:
        decorators = {
            "agent": praval.agent(function.__name__),
            "enabled": storage_enabled(["filesystem"]),
            "required": requires_storage(["filesystem"]),
        }
        for name in reversed(order):
            function = decorators[name](function)
        return function

    @decorated
    def generator(spore: Any, storage: Any) -> Iterator[Any]:
        yield storage.retrieve(storage.store(spore, "filesystem", "k"))

    @decorated
    async def numbers(spore: Any, storage: Any) -> AsyncIterator[Any]:
        yield storage.retrieve(storage.store(spore, "filesystem", "k"))

    class Keeper:
        @decorated
        def method(self, spore: Any, storage: Any) -> Any:
            return storage.retrieve(storage.store(spore, "filesystem", "k"))

    async def collected() -> list[Any]:
        return [number async for number in numbers(2)]

    assert inspect.isgeneratorfunction(generator)
    assert inspect.isasyncgenfunction(numbers)
    assert ([*generator(1)], asyncio.run(collected()), Keeper().method(3)) == ([1], [2], 3)
    assert dm.statistics()["filesystem", "health"].calls == 3


def test_an_agent_below_other_decorators_of_praval(
    praval: Any, deliver: Callable[..., None], dm: DataManager
) -> None:
    @storage_enabled
    @praval.conditional_agent(lambda spore: spore.knowledge["n"] > 1)
    @praval.throttled_agent(0)
    @praval.agent("keeper")
    def keeper(spore: Any, storage: Any) -> None:
        storage.store(spore.knowledge["n"], "filesystem")

    for n in (1, 2):
        deliver(n=n)
    assert dm.query("filesystem") == [2]


def test_only_spores_an_agent_responds_to_ask_for_its_storage(
    praval: Any, deliver: Callable[..., None], dm: DataManager
) -> None:
    failures: Errors = []

    @requires_storage("redis")
    @praval.agent("picky", responds_to=["work"], on_error=lambda error, _: failures.append(error))
    def picky(spore: Any) -> None:
        pass

    deliver(type="gossip")
    assert failures == []
    deliver(type="work")
    assert len(failures) == 1


def test_an_agent_that_does_not_call_the_function_is_refused(praval: Any) -> None:
    @praval.agent("other")
    def other(spore: Any) -> None:
        pass

    other._praval_agent.set_spore_handler(print)
    with pytest.raises(ConfigurationError, match="directly above or below @agent"):
        storage_enabled(other)


def test_an_agent_fails_fast_when_nobody_listens(
    praval: Any, deliver: Callable[..., None], dm: DataManager, free_tcp_port: int
) -> None:
    failures: Errors = []
    dm.register_provider("qdrant", QdrantProvider(f"http://127.0.0.1:{free_tcp_port}", timeout=1))

    @praval.agent("critical", on_error=lambda error, _: failures.append(error))
    @requires_storage(["filesystem", "qdrant", "redis"])
    def critical(spore: Any) -> None:
        raise AssertionError("it ran")

    deliver(n=1)
    [failure] = failures
    assert isinstance(failure, StorageConnectionError)
    assert str(free_tcp_port) in str(failure)
    assert "'redis' not registered" in str(failure)


# -- references travel


def test_a_reference_travels_as_its_uri_and_resolves_in_another_agent(
    praval: Any, deliver: Callable[..., None], dm: DataManager
) -> None:
    table = [{"n": n} for n in range(1_000)]
    received: list[Any] = []

    @praval.agent("producer", responds_to=["start"])
    @storage_enabled("filesystem")
    def producer(spore: Any) -> None:
        reference = producer.storage.store(table, "filesystem", "tables/one thing.json")
        praval.broadcast({"type": "table", "where": reference.uri})

    @praval.agent("consumer", responds_to=["table"])
    @storage_enabled(["filesystem", "qdrant"])
    def consumer(spore: Any, storage: Any) -> None:
        received.append(storage.retrieve(spore.knowledge["where"]))

    deliver(type="start")
    assert received == [table]


def test_a_reference_travels_among_the_data_references_of_a_spore(praval: Any, dm: DataManager) -> None:
    received: list[Any] = []

    @praval.agent("consumer")
    @storage_enabled("filesystem")
    def consumer(spore: Any) -> None:
        received.extend(consumer.storage.retrieve_many(spore.data_references).values)

    reference = dm.store({"n": 1}, "filesystem", "k")
    spore = praval.Spore(
        id="1",
        spore_type=praval.SporeType.BROADCAST,
        from_agent="somebody",
        to_agent=None,
        knowledge={},
        created_at=reference.created_at,
    ).add_data_reference(reference.uri)
    spore = praval.Spore.from_json(spore.to_json())
    praval.get_reef().send_spore(spore, "consumer_channel")
    assert praval.get_reef().wait_for_completion(timeout=SECONDS)
    assert received == [{"n": 1}]


def test_a_reference_that_an_agent_returns_is_broadcast(
    praval: Any, deliver: Callable[..., None], dm: DataManager
) -> None:
    @praval.agent("data_agent")
    @storage_enabled
    def data_agent(spore: Any, storage: Any) -> Any:
        return {"reference": storage.store({"n": 1}, "filesystem")}

    deliver(n=1)
    [answer] = praval.get_reef().get_channel("data_agent_channel").spores
    assert dm.retrieve(answer.knowledge["reference"]) == {"n": 1}
    sent = json.loads(answer.to_json())["knowledge"]["reference"]
    assert sent == answer.knowledge["reference"].uri
    assert dm.retrieve(sent) == {"n": 1}
