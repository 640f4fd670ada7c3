"""``@storage_enabled`` and ``@requires_storage`` on every kind of function; agents are in ``test_agents``."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import cloudpickle
import pytest
from backends import make

from praval_storage import (
    BaseStorageProvider,
    ConfigurationError,
    DataManager,
    DataReference,
    ProviderNotRegisteredError,
    StorageConnectionError,
    get_data_manager,
    requires_storage,
    reset_data_manager,
    storage_enabled,
)
from praval_storage.providers import FileSystemProvider, QdrantProvider
from praval_storage.testing import InMemoryProvider

Function = Callable[..., Any]
SECRET = "pl4nted-s3cret"


class Asked(InMemoryProvider):
    """Counts how often its health was asked for, and is down while it is told to be."""

    def __init__(self, *, down: bool = False) -> None:
        super().__init__("asked")
        self.asked = 0
        self.down = down
        self.closed = 0

    def health(self) -> str:
        self.asked += 1
        if self.down:
            raise ConnectionError("gone fishing")
        return "fine"

    def close(self) -> None:
        self.closed += 1


# -- the kinds of function there are, and one way to call them


def plain(spore: Any, *, storage: Any = None) -> Any:
    """Documented."""
    return spore, storage


def generator(spore: Any, *, storage: Any = None) -> Iterator[Any]:
    """Documented."""
    yield spore
    yield storage


async def coroutine(spore: Any, *, storage: Any = None) -> Any:
    """Documented."""
    return spore, storage


async def async_generator(spore: Any, *, storage: Any = None) -> AsyncIterator[Any]:
    """Documented."""
    yield spore
    yield storage


class Methods:
    """Each returns what it belongs to, and its storage."""

    @storage_enabled(["filesystem"])
    @requires_storage
    def method(self, storage: Any) -> Any:
        return self, storage

    @staticmethod
    @storage_enabled(["filesystem"])
    def static(storage: Any) -> Any:
        return None, storage

    @storage_enabled(["filesystem"])
    @staticmethod
    def outside_static(storage: Any) -> Any:
        return None, storage

    @classmethod
    @storage_enabled(["filesystem"])
    def of_class(cls, storage: Any) -> Any:
        return cls, storage

    @requires_storage
    @storage_enabled(["filesystem"])
    @classmethod
    def outside_of_class(cls, storage: Any) -> Any:
        return cls, storage

    @storage_enabled
    @staticmethod
    def bare_static(storage: Any) -> Any:
        return None, storage

    @storage_enabled
    @classmethod
    def bare_of_class(cls, storage: Any) -> Any:
        return cls, storage


KINDS: dict[str, Function] = {
    "plain": plain,
    "generator": generator,
    "coroutine": coroutine,
    "async generator": async_generator,
}
each_kind = pytest.mark.parametrize("function", KINDS.values(), ids=KINDS)


def call(function: Function, *args: Any, **kwargs: Any) -> Any:
    """What a function of any kind gives, as a tuple."""

    async def collected() -> Any:
        given = function(*args, **kwargs)
        return tuple([item async for item in given]) if inspect.isasyncgen(given) else await given

    if inspect.isasyncgenfunction(function) or inspect.iscoroutinefunction(function):
        return asyncio.run(collected())
    given = function(*args, **kwargs)
    return tuple(given) if inspect.isgenerator(given) else given


@each_kind
@pytest.mark.parametrize(
    "decorate", [storage_enabled, storage_enabled(), requires_storage, requires_storage()]
)
def test_a_decorated_function_is_of_the_same_kind_with_the_same_face(
    dm: DataManager, decorate: Any, function: Function
) -> None:
    decorated = decorate(function)
    for is_kind in (
        inspect.isasyncgenfunction,
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isfunction,
    ):
        assert is_kind(decorated) == is_kind(function)
    assert inspect.signature(decorated) == inspect.signature(function)
    assert (decorated.__doc__, decorated.__name__) == ("Documented.", function.__name__)
    assert not hasattr(function, "storage")
    assert call(decorated, 1)[0] == 1


# -- storage_enabled


@each_kind
def test_storage_is_an_attribute_and_an_argument(dm: DataManager, function: Function) -> None:
    decorated = storage_enabled(providers=["filesystem"])(function)
    _, storage = call(decorated, 1)
    assert storage is decorated.storage
    reference = storage.store({"n": 1}, "filesystem", "k")
    assert dm.retrieve(reference) == {"n": 1}


@each_kind
def test_an_argument_of_the_caller_is_kept(dm: DataManager, function: Function) -> None:
    assert call(storage_enabled(function), 1, storage=dm)[1] is dm
    assert call(storage_enabled(function), 1, storage=None)[1] is None


def test_storage_may_stand_anywhere_among_the_arguments(dm: DataManager) -> None:
    @storage_enabled
    def second(spore: Any, storage: Any, more: Any = 3) -> Any:
        return spore, storage, more

    assert second(1) == (1, second.storage, 3)
    assert second(1, more=4) == (1, second.storage, 4)
    assert second(1, 2, 3) == (1, 2, 3)
    assert storage_enabled(lambda *args: args)(1) == (1,)
    assert storage_enabled(lambda **kwargs: kwargs)(a=1) == {"a": 1}
    assert storage_enabled(partial(second, 1))()[0] == 1
    assert storage_enabled(max)(1, 2) == 2


@pytest.mark.parametrize(
    "given, names",
    [
        ("filesystem", ["filesystem"]),
        (["qdrant", "filesystem", "qdrant"], ["qdrant", "filesystem"]),
        (("filesystem",), ["filesystem"]),
        ({"qdrant"}, ["qdrant"]),
        ([], []),
        (None, ["filesystem", "qdrant"]),
        (["filesystem", "not there yet"], ["filesystem"]),
    ],
)
def test_providers_are_one_name_or_several_or_all(dm: DataManager, given: Any, names: list[str]) -> None:
    decorated: Any = storage_enabled(given)(plain)
    assert list(decorated.storage.providers) == names
    assert len(decorated.storage.providers) == len(names)
    assert decorated.storage.health().keys() == set(names)
    for name in names:
        assert name in decorated.storage.providers
        assert decorated.storage.providers[name] is dm.providers[name]
        assert name in repr(decorated.storage)


@storage_enabled(["filesystem"])
def limited(storage: Any) -> Any:
    return storage


OUTSIDE: dict[str, Callable[[DataManager], object]] = {
    "store": lambda storage: storage.store(1, "qdrant", "k"),
    "store_many": lambda storage: storage.store_many([1], "qdrant"),
    "retrieve": lambda storage: storage.retrieve(DataReference("qdrant", "k")),
    "retrieve by URI": lambda storage: storage.retrieve("praval://qdrant/k", default=None),
    "retrieve_by_key": lambda storage: storage.retrieve_by_key("qdrant", "k"),
    "open": lambda storage: storage.open("praval://qdrant/k"),
    "exists": lambda storage: storage.exists("praval://qdrant/k"),
    "delete": lambda storage: storage.delete("praval://qdrant/k"),
    "query": lambda storage: storage.query("qdrant"),
    "query elsewhere": lambda storage: storage.query("qdrant", collection="other"),
    "list": lambda storage: storage.list("qdrant"),
    "search": lambda storage: storage.search("qdrant", [1.0]),
    "copy": lambda storage: storage.copy(storage.store(1, "filesystem", "k"), "qdrant"),
    "move": lambda storage: storage.move("praval://qdrant/k", "filesystem"),
    "purge_expired": lambda storage: storage.purge_expired("qdrant"),
    "register": lambda storage: storage.register_provider("qdrant", InMemoryProvider()),
    "unregister": lambda storage: storage.unregister_provider("qdrant"),
    "providers": lambda storage: storage.providers["qdrant"],
}


@pytest.mark.parametrize("use", OUTSIDE.values(), ids=OUTSIDE)
def test_another_provider_is_refused_by_name(dm: DataManager, use: Callable[[DataManager], object]) -> None:
    before = dm.providers["qdrant"]
    with pytest.raises(ProviderNotRegisteredError) as caught:
        use(limited())
    for word in ("'qdrant'", "limited", "filesystem", "storage_enabled"):
        assert word in str(caught.value)
    assert dm.providers["qdrant"] is before


def test_batches_and_health_report_another_provider(dm: DataManager) -> None:
    storage = limited()
    [outcome] = storage.retrieve_many(["praval://qdrant/k"])
    assert isinstance(outcome.error, ProviderNotRegisteredError)
    assert "limited" in storage.health("qdrant")["qdrant"].detail


def test_what_is_missing_in_the_manager_says_how_to_add_it(dm: DataManager) -> None:
    storage = storage_enabled("redis")(limited)()
    with pytest.raises(ProviderNotRegisteredError, match="register_provider\\('redis'"):
        storage.store(1, "redis")


def test_the_manager_is_looked_up_when_it_is_used(
    dm: DataManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = storage_enabled(["filesystem", "memory"])(limited)()
    assert list(storage.providers) == ["filesystem"]
    dm.register_provider("memory", InMemoryProvider())
    assert storage.retrieve(storage.store(1, "memory")) == 1
    monkeypatch.setenv("PRAVAL_STORAGE_PATH", str(tmp_path / "second"))
    reset_data_manager()
    storage.store(1, "filesystem", "k")
    assert (tmp_path / "second" / "k").exists()
    assert list(storage.providers) == ["filesystem"]


def test_what_a_function_registers_is_registered_for_all(dm: DataManager) -> None:
    storage = storage_enabled(["memory"])(limited)()
    provider = InMemoryProvider()
    storage.register_provider("memory", provider)
    assert dm.providers["memory"] is provider
    storage.unregister_provider("memory")
    assert "memory" not in dm.providers


def test_calls_are_counted_where_the_provider_is(dm: DataManager) -> None:
    @storage_enabled({"filesystem": {"base_path": "own"}})
    @storage_enabled("qdrant")
    def both() -> Any:
        return both.storage

    both().store(1, "filesystem", "k")
    both().query("qdrant")
    dm.store_many([1], "filesystem")
    assert both().statistics().keys() == {("filesystem", "store"), ("qdrant", "query")}
    assert dm.statistics().keys() == {("filesystem", "store_many"), ("qdrant", "query")}


def test_a_transaction_of_a_function_is_limited_like_it(dm: DataManager) -> None:
    @storage_enabled({"own": {}})
    @storage_enabled("filesystem")
    def both() -> Any:
        return both.storage

    storage = both()
    storage.register_provider("own", InMemoryProvider())
    kept = storage.store(1, "filesystem", "kept", {"kind": "old"})

    def store_everywhere() -> None:
        with storage.transaction() as tx:
            tx.store(2, "filesystem", "kept")
            tx.store(3, "own", "new")
            tx.store(4, "qdrant", "k")

    with pytest.raises(ProviderNotRegisteredError, match="among those of"):
        store_everywhere()
    assert storage.retrieve(kept) == 1
    assert storage.query("filesystem", {"metadata.kind": "old"}).keys == ["kept"]
    assert not storage.exists_by_key("own", "new")


def test_closing_the_view_leaves_what_is_shared_open(dm: DataManager) -> None:
    shared, own = Asked(), Asked()
    dm.register_provider("shared", shared)
    storage: Any = storage_enabled({"filesystem": {}})(storage_enabled("shared")(limited))()
    storage.register_provider("filesystem", own)
    assert "filesystem" in storage.providers
    with storage:
        storage.store(1, "shared", "k")
    assert (shared.closed, own.closed) == (0, 1)
    assert dm.providers["filesystem"] is not own


# -- settings


def test_settings_make_a_provider_for_this_function_only(dm: DataManager, tmp_path: Path) -> None:
    @storage_enabled({"filesystem": {"base_path": "own", "pretty_json": True}})
    def keep(data: Any, storage: Any) -> Any:
        return storage.store(data, "filesystem", "k.json")

    assert list(keep.storage.providers) == ["filesystem"]
    assert list(tmp_path.iterdir()) == []
    reference = keep({"n": 1})
    assert (tmp_path / "own" / "k.json").is_file()
    assert keep.storage.retrieve(reference) == {"n": 1}
    assert not dm.exists(reference)
    provider = keep.storage.providers["filesystem"]
    assert isinstance(provider, FileSystemProvider)
    reset_data_manager()
    assert keep.storage.providers["filesystem"] is provider


def test_settings_reach_a_server(dm: DataManager, request: pytest.FixtureRequest) -> None:
    other: Any = make("postgresql", request)
    settings = {"dsn": request.getfixturevalue("postgres_dsn"), "schema": other.settings.schema}

    @requires_storage(["postgresql", "filesystem"])
    @storage_enabled({"postgresql": settings})
    def count() -> int:
        return len(count.storage.query("postgresql"))

    other.store("k", {"n": 1}, {})
    assert count() == 1
    assert "postgresql" not in dm.providers
    count.storage.close()
    other.close()


@pytest.mark.parametrize(
    "given, words",
    [
        ({"filesystem": {"base_pth": "x"}}, ["filesystem", "'base_pth'", "base_path"]),
        ({"filesystem": {"base_path": 3.5}}, ["filesystem"]),
        ({"postgresql": {"password": SECRET, "hots": "db"}}, ["postgresql", "'hots'", "host"]),
    ],
)
def test_wrong_settings_are_named_when_the_provider_is_used(
    dm: DataManager, given: Any, words: list[str]
) -> None:
    storage = storage_enabled(given)(limited)()
    [name] = given
    with pytest.raises(ConfigurationError) as caught:
        storage.store(1, name)
    assert [word for word in words if word not in str(caught.value)] == []
    assert SECRET not in str(caught.value) + repr(storage) + repr(storage.providers)


def test_settings_for_a_provider_nobody_knows(dm: DataManager) -> None:
    storage = storage_enabled({"mongodb": {}})(limited)()
    with pytest.raises(ProviderNotRegisteredError, match=r"mongodb.*Known providers: filesystem"):
        storage.store(1, "mongodb")


# -- requires_storage


@each_kind
def test_required_storage_is_asked_once(dm: DataManager, function: Function) -> None:
    providers = {"one": Asked(), "two": Asked()}
    for name, provider in providers.items():
        dm.register_provider(name, provider)
    decorated = requires_storage(providers=list(providers))(function)
    assert [provider.asked for provider in providers.values()] == [0, 0]
    for _ in range(3):
        assert call(decorated, 1) == (1, None)
    assert [provider.asked for provider in providers.values()] == [1, 1]


@each_kind
def test_what_failed_is_asked_again_and_only_that(dm: DataManager, function: Function) -> None:
    up, down = Asked(), Asked(down=True)
    dm.register_provider("up", up)
    dm.register_provider("down", down)
    decorated = requires_storage(["up", "down"])(function)
    for _ in range(2):
        with pytest.raises(StorageConnectionError, match=r"down: .*gone fishing"):
            call(decorated, 1)
    down.down = False
    assert call(decorated, 1) == (1, None)
    assert (up.asked, down.asked) == (1, 3)


def test_a_provider_in_the_place_of_another_is_asked_too(dm: DataManager) -> None:
    first, second, unrelated = Asked(), Asked(), Asked()
    dm.register_provider("one", first)
    decorated = requires_storage("one")(plain)
    decorated(1)
    dm.register_provider("unrelated", unrelated)
    decorated(1)
    assert (first.asked, unrelated.asked) == (1, 0)
    dm.register_provider("one", lambda: second)
    decorated(1)
    decorated(1)
    assert (first.asked, second.asked) == (1, 1)
    dm.unregister_provider("one")
    with pytest.raises(ProviderNotRegisteredError):
        decorated(1)
    reset_data_manager()
    get_data_manager().register_provider("one", first)
    decorated(1)
    assert first.asked == 2


@each_kind
def test_one_error_names_all_that_is_missing_why_and_the_cure(
    dm: DataManager, free_tcp_port: int, function: Function
) -> None:
    dm.register_provider("qdrant", QdrantProvider(f"http://127.0.0.1:{free_tcp_port}", timeout=1))
    with pytest.raises(StorageConnectionError) as caught:
        call(requires_storage(["filesystem", "qdrant", "redis"])(function), 1)
    text = str(caught.value)
    first, *reasons = text.splitlines()
    assert function.__name__ in first
    assert [reason.split(":")[0] for reason in reasons] == ["- qdrant", "- redis"]
    assert str(free_tcp_port) in reasons[0]
    assert "register_provider('redis'" in reasons[1]
    assert str(pickle.loads(pickle.dumps(caught.value))) == text


def test_a_function_is_not_entered_without_its_storage(dm: DataManager) -> None:
    entered = []

    @requires_storage("redis")
    def enter(spore: Any) -> None:
        entered.append(spore)

    with pytest.raises(ProviderNotRegisteredError):
        enter(1)
    assert entered == []


def test_what_is_only_not_registered_is_called_so(dm: DataManager) -> None:
    with pytest.raises(ProviderNotRegisteredError, match="'redis' not registered"):
        requires_storage(["redis", "s3", "filesystem"])(plain)(1)


def test_a_generator_fails_before_its_first_line(dm: DataManager) -> None:
    with pytest.raises(ProviderNotRegisteredError):
        next(requires_storage("redis")(generator)(1))


def test_without_names_all_of_the_manager_is_required(dm: DataManager) -> None:
    decorated = requires_storage(plain)
    decorated(1)
    dm.register_provider("down", Asked(down=True))
    with pytest.raises(StorageConnectionError, match="- down:"):
        decorated(1)


def test_without_names_what_the_function_is_enabled_for_is_required(dm: DataManager) -> None:
    dm.register_provider("down", Asked(down=True))
    for decorated in (
        requires_storage(storage_enabled("filesystem")(plain)),
        storage_enabled("filesystem")(requires_storage(plain)),
        requires_storage(storage_enabled({"filesystem": {"base_path": "own"}})(plain)),
    ):
        assert decorated(1)[0] == 1
    with pytest.raises(ProviderNotRegisteredError, match="redis"):
        requires_storage(storage_enabled(["filesystem", "redis"])(plain))(1)


def test_all_are_asked_at_the_same_time(dm: DataManager) -> None:
    barrier = Barrier(3)

    class Waiting(InMemoryProvider):
        def health(self) -> str:
            barrier.wait(30)
            return ""

    for name in "abc":
        dm.register_provider(name, Waiting())
    assert requires_storage(list("abc"))(plain)(1) == (1, None)


def test_the_event_loop_goes_on_while_providers_are_asked(dm: DataManager) -> None:
    heard = Event()

    class Slow(InMemoryProvider):
        def health(self) -> str:
            assert heard.wait(30), "the event loop stood still"
            return ""

    dm.register_provider("slow", Slow())

    async def both() -> Any:
        task = asyncio.create_task(requires_storage("slow")(coroutine)(1))
        await asyncio.sleep(0)
        heard.set()
        return await task

    assert asyncio.run(both()) == (1, None)


def test_once_checked_a_coroutine_does_not_wait_for_a_thread(dm: DataManager) -> None:
    decorated = requires_storage("filesystem")(coroutine)
    call(decorated, 1)
    with pytest.raises(StopIteration) as caught:
        decorated(2).send(None)
    assert caught.value.value == (2, None)


def test_plain_functions_work_inside_a_running_event_loop(dm: DataManager) -> None:
    decorated = storage_enabled(requires_storage(["filesystem", "qdrant"])(plain))

    async def cell() -> Any:
        _, storage = decorated(1)
        return storage.retrieve(storage.store({"n": 1}, "filesystem"))

    assert asyncio.run(cell()) == {"n": 1}


def test_many_threads_may_be_the_first(dm: DataManager) -> None:
    provider = Asked()
    dm.register_provider("one", provider)
    decorated = storage_enabled({"filesystem": {"base_path": "own"}})(requires_storage("one")(plain))
    barrier = Barrier(8)

    def first(n: int) -> Any:
        barrier.wait()
        _, storage = decorated(n)
        storage.store(n, "filesystem", f"{n}")
        return storage.providers["filesystem"]

    with ThreadPoolExecutor(8) as pool:
        assert len({id(made) for made in pool.map(first, range(8))}) == 1
    assert len(decorated.storage.list("filesystem")) == 8
    asked = provider.asked
    decorated(1)
    assert provider.asked == asked <= 8


# -- both


@each_kind
def test_both_decorators_in_either_order(dm: DataManager, function: Function) -> None:
    enabled, required = storage_enabled({"filesystem": {"base_path": "own"}}), requires_storage("filesystem")
    for decorated in (enabled(required(function)), required(enabled(function))):
        spore, storage = call(decorated, 1)
        assert (spore, list(storage.providers)) == (1, ["filesystem"])
        assert storage is decorated.storage
    enabled, required = storage_enabled("filesystem"), requires_storage("redis")
    for decorated in (enabled(required(function)), required(enabled(function))):
        with pytest.raises(ProviderNotRegisteredError, match="redis"):
            call(decorated, 1)


def test_the_check_and_the_function_see_the_same_provider(dm: DataManager) -> None:
    decorated: Any = requires_storage(storage_enabled({"filesystem": {"base_path": "own"}})(plain))
    decorated(1)
    assert decorated.storage.statistics().keys() == {("filesystem", "health")}


def test_a_second_decorator_adds_to_the_first_and_leaves_it_as_it_was(dm: DataManager) -> None:
    one: Any = storage_enabled("filesystem")(plain)
    two: Any = storage_enabled("qdrant")(one)
    assert list(two.storage.providers) == ["filesystem", "qdrant"]
    assert list(one.storage.providers) == ["filesystem"]
    assert list(storage_enabled(one).storage.providers) == ["filesystem", "qdrant"]
    strict: Any = requires_storage("redis")(one)
    one(1)
    for decorated in (strict, requires_storage("filesystem")(strict)):
        with pytest.raises(ProviderNotRegisteredError, match="- redis"):
            decorated(1)


def test_a_decorator_in_between_is_not_skipped(dm: DataManager) -> None:
    calls = []

    def noted(function: Function) -> Function:
        @wraps(function)
        def note(*args: Any, **kwargs: Any) -> Any:
            calls.append(args)
            return function(*args, **kwargs)

        return note

    decorated = requires_storage("filesystem")(noted(storage_enabled("filesystem")(plain)))
    assert decorated(1) == (1, decorated.storage)
    assert calls == [(1,)]
    below = storage_enabled({"redis": {}})(requires_storage("filesystem")(noted(plain)))
    strict = requires_storage("redis")(below)
    strict.storage.register_provider("redis", InMemoryProvider())
    assert strict(2) == (2, strict.storage)
    assert calls == [(1,), (2,)]


# -- methods, generators, pickles, misuse


def test_methods_of_every_sort(dm: DataManager) -> None:
    instance = Methods()
    belongs: dict[str, Any] = {"method": instance, "of_class": Methods, "outside_of_class": Methods}
    belongs["bare_of_class"] = Methods
    for name in [name for name in vars(Methods) if not name.startswith("_")]:
        bound = getattr(instance, name)
        owner, storage = bound()
        assert owner is belongs.get(name), name
        assert storage is bound.storage, name
        assert "filesystem" in storage.providers, name
        if name != "method":
            assert getattr(Methods, name)() == (owner, storage), name


def test_generators_can_be_sent_to_thrown_into_and_closed(dm: DataManager) -> None:
    events: list[Any] = []

    def talk() -> Iterator[Any]:
        try:
            while True:
                try:
                    events.append((yield len(events)))
                except ValueError as error:
                    events.append(error)
        finally:
            events.append("closed")

    talking: Any = requires_storage(talk)()
    assert (next(talking), talking.send("a"), talking.throw(ValueError("b"))) == (0, 1, 2)
    talking.close()
    assert [str(event) for event in events] == ["a", "b", "closed"]


def test_async_generators_can_be_sent_to_thrown_into_and_closed(dm: DataManager) -> None:
    events: list[Any] = []

    async def talk() -> AsyncIterator[Any]:
        try:
            while True:
                try:
                    events.append((yield len(events)))
                except ValueError as error:
                    events.append(error)
        finally:
            await asyncio.sleep(0)
            events.append("closed")

    async def conversation() -> None:
        talking: Any = requires_storage(talk)()
        assert [await anext(talking), await talking.asend("a")] == [0, 1]
        assert await talking.athrow(ValueError("b")) == 2
        await talking.aclose()
        assert events[-1] == "closed"
        broken: Any = requires_storage(talk)()
        await anext(broken)
        with pytest.raises(KeyError):
            await broken.athrow(KeyError("c"))
        async for _ in requires_storage(talk)():
            break

    asyncio.run(conversation())
    assert [str(event) for event in events[:4]] == ["a", "b", "closed", "closed"]


def test_a_generators_result_comes_through(dm: DataManager) -> None:
    @requires_storage
    def counted() -> Any:
        yield 1
        return "result"

    def outer() -> Any:
        return (yield from counted())

    running = outer()
    next(running)
    with pytest.raises(StopIteration) as caught:
        next(running)
    assert caught.value.value == "result"


def test_a_decorated_function_can_be_sent_to_a_worker(dm: DataManager) -> None:
    @requires_storage
    @storage_enabled({"filesystem": {"base_path": "own"}})
    def keep(data: Any, storage: Any) -> Any:
        return storage.store(data, "filesystem", "k")

    reference = keep(1)
    again = pickle.loads(cloudpickle.dumps(keep))
    assert again.storage.retrieve(reference) == 1
    assert again(2) == reference
    assert keep.storage.retrieve(reference) == 2
    shared = pickle.loads(cloudpickle.dumps(storage_enabled("filesystem")(lambda: None)))
    assert shared.storage.retrieve(dm.store(3, "filesystem", "k")) == 3
    assert pickle.loads(pickle.dumps(limited)) is limited


@pytest.mark.parametrize("decorator", [storage_enabled, requires_storage])
@pytest.mark.parametrize("given", [3, "", [""], [None], b"filesystem", [["filesystem"]], {3: {}}, {"": {}}])
def test_what_names_no_provider_is_refused_at_once(decorator: Any, given: Any) -> None:
    with pytest.raises(ConfigurationError, match="non-empty str"):
        decorator(given)


def test_settings_have_to_be_a_mapping() -> None:
    with pytest.raises(ConfigurationError, match="'filesystem'"):
        storage_enabled({"filesystem": "data"})  # type: ignore[dict-item]
    with pytest.raises(ConfigurationError, match="@storage_enabled"):
        requires_storage({"filesystem": {"base_path": "x"}})


@pytest.mark.parametrize("decorator", [storage_enabled("a"), requires_storage("a")])
@pytest.mark.parametrize("what", [InMemoryProvider, property(plain), 3])
def test_only_functions_are_decorated(decorator: Any, what: Any) -> None:
    with pytest.raises(ConfigurationError, match="functions"):
        decorator(what)
    with pytest.raises(ConfigurationError, match="functions"):
        storage_enabled(InMemoryProvider)


def test_a_view_shows_its_providers_and_how_they_are(dm: DataManager) -> None:
    dm.register_provider("down", Asked(down=True))
    storage = storage_enabled({"filesystem": {"base_path": "own"}})(storage_enabled("down")(limited))()
    storage.store(1, "filesystem")
    dm.health("down")
    lines = [line.split() for line in repr(storage).splitlines()]
    assert ["filesystem", "up"] in lines
    assert ["down", "down", "StorageConnectionError"] in lines
    assert not any("qdrant" in line for line in lines)
    assert "own" in storage._repr_html_()


def test_a_view_is_a_data_manager(dm: DataManager) -> None:
    assert isinstance(limited(), DataManager)
    assert isinstance(limited().providers["filesystem"], BaseStorageProvider)
