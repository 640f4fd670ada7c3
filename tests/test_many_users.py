"""Many threads on one provider, two processes on one new place: nothing lost, nothing doubled."""

from __future__ import annotations

import multiprocessing
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from threading import Barrier as ThreadBarrier

import pytest
from backends import BACKENDS, make

from praval_storage import DataManager, DataReference, RecordProvider

THREADS, OPERATIONS = 8, 500
FIRST_USERS = 2
SHARED_BY_PROCESSES = sorted(BACKENDS.keys() - {"fsspec-memory", "qdrant-embedded", "qdrant-server"})
"""Of the others one lives in the memory of a process, one is one process's by design, one has a client."""


@pytest.mark.parametrize("name", BACKENDS)
def test_eight_threads_of_five_hundred_operations(name: str, request: pytest.FixtureRequest) -> None:
    """Every thread stores, replaces, reads and deletes keys of its own, and knows what must be there."""
    barrier = ThreadBarrier(THREADS)

    def work(thread: int) -> dict[str, int]:
        choose = random.Random(thread)
        expected: dict[str, int] = {}
        barrier.wait()
        for number in range(OPERATIONS):
            key = f"thread{thread}/{choose.randrange(20):02}"
            reference = DataReference("backend", key)
            match choose.choice(["store", "store", "read", "delete", "exists"]):
                case "store":
                    dm.store({"n": number}, "backend", key, {"by": thread})
                    expected[key] = number
                case "read":
                    found = dm.retrieve(reference, default=None)
                    assert found == ({"n": expected[key]} if key in expected else None), key
                case "delete":
                    assert dm.delete(reference) == (expected.pop(key, None) is not None), key
                case "exists":
                    assert dm.exists(reference) == (key in expected), key
        return expected

    with DataManager({"backend": make(name, request)}) as dm:
        with ThreadPoolExecutor(THREADS) as pool:
            expected = {key: n for part in pool.map(work, range(THREADS)) for key, n in part.items()}
        found = dm.query("backend", limit=None, order_by="key")
        assert {key: data["n"] for key, data in zip(found.keys, found, strict=True)} == expected
        assert found.keys == sorted(expected)


@pytest.mark.parametrize("name", SHARED_BY_PROCESSES)
def test_two_processes_make_the_place_at_the_same_moment(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The main module of a process that pytest-xdist began has none, and spawning asks for it.
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None, raising=False)
    provider = make(name, request)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(FIRST_USERS)
    users = [context.Process(target=first_use, args=(provider, user, barrier)) for user in range(FIRST_USERS)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert [user.exitcode for user in users] == [0] * FIRST_USERS
    with DataManager({"backend": provider}) as dm:
        assert dm.list("backend", order_by="key").keys == [f"user{user}" for user in range(FIRST_USERS)]


def first_use(provider: RecordProvider, user: int, barrier: Barrier) -> None:
    """What each of the processes does first."""
    with DataManager({"backend": provider}) as dm:
        barrier.wait(60)
        dm.store({"n": user}, "backend", f"user{user}", {"by": user})
