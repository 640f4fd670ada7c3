"""What the storage decorators add to a call once the storage has been checked, against the bare function.

    python benchmarks/bench_decorators.py

Bare and decorated take turns; each number is a median of CPU time, since nothing here waits once the storage
has answered, and what else a busy machine does is no price of ours. Exits with 1 when a decorated call costs
more than 5 us on top of the bare one.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from statistics import median
from time import process_time
from typing import Any

from praval_storage import get_data_manager, requires_storage, storage_enabled
from praval_storage.providers import FileSystemProvider
from praval_storage.testing import InMemoryProvider

CALLS = 2_000
TARGET = 5.0
NAMES = ("filesystem", "a", "b", "c", "d")


def plain(spore: Any) -> Any:
    return spore


def taking(spore: Any, storage: Any = None) -> Any:
    return spore, storage


def generator(spore: Any) -> Iterator[Any]:
    yield spore


async def coroutine(spore: Any) -> Any:
    return spore


async def async_generator(spore: Any) -> AsyncIterator[Any]:
    yield spore


class Agent:
    def handle(self, spore: Any) -> Any:
        return spore

    decorated = storage_enabled(["filesystem"])(requires_storage(handle))


def seconds(function: Callable[..., Any]) -> float:
    """How long one call takes."""
    started = process_time()
    for _ in range(CALLS):
        function(1)
    return (process_time() - started) / CALLS


def advancing(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda spore: list(function(spore))


def awaited(loop: asyncio.AbstractEventLoop, function: Callable[..., Any]) -> float:
    async def repeat() -> float:
        started = process_time()
        for _ in range(CALLS):
            await function(1)
        return (process_time() - started) / CALLS

    return loop.run_until_complete(repeat())


def iterating(function: Callable[..., Any]) -> Callable[..., Any]:
    async def iterate(spore: Any) -> list[Any]:
        return [item async for item in function(spore)]

    return iterate


def compare(
    name: str, bare: Callable[..., Any], decorated: Callable[..., Any], measure: Callable[..., float]
) -> bool:
    measure(decorated)  # the first call asks the providers
    times = [(measure(bare), measure(decorated)) for _ in range(31)]
    floor, ours = (median(taken) * 1e6 for taken in zip(*times, strict=True))
    added = ours - floor
    good = added <= TARGET
    print(
        f"{name:<44} floor {floor:5.2f}  us {ours:5.2f} us   added {added:.2f} (target <= {TARGET:.0f})"
        f"{'' if good else '  MISSED'}"
    )
    return good


def main() -> int:
    loop = asyncio.new_event_loop()
    one, five = ["filesystem"], [*NAMES]
    manager = get_data_manager()
    with tempfile.TemporaryDirectory() as folder:
        manager.register_provider("filesystem", FileSystemProvider(folder))
        for name in NAMES[1:]:
            manager.register_provider(name, InMemoryProvider())

        def on_loop(function: Callable[..., Any]) -> float:
            return awaited(loop, function)

        agent = Agent()
        results = [
            compare("enabled", plain, storage_enabled(one)(plain), seconds),
            compare("enabled, storage= passed", taking, storage_enabled(one)(taking), seconds),
            compare("requires one", plain, requires_storage(one)(plain), seconds),
            compare("requires five", plain, requires_storage(five)(plain), seconds),
            compare("both, five", taking, storage_enabled(five)(requires_storage(taking)), seconds),
            compare("both, a method", agent.handle, agent.decorated, seconds),
            compare(
                "requires one, generator",
                advancing(generator),
                advancing(requires_storage(one)(generator)),
                seconds,
            ),
            compare("requires one, coroutine", coroutine, requires_storage(one)(coroutine), on_loop),
            compare(
                "requires one, async generator",
                iterating(async_generator),
                iterating(requires_storage(one)(async_generator)),
                on_loop,
            ),
        ]
        manager.close()
    loop.close()
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
