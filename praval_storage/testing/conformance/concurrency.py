"""Eight threads at once: nothing lost, nothing torn, one complete version with its own metadata."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import TypeVar

from praval_storage.base import BaseStorageProvider, CanQuery, RecordProvider
from praval_storage.errors import KeyExistsError
from praval_storage.manager import DataManager
from praval_storage.testing.conformance._suite import Suite, keys_in, needs, record

T = TypeVar("T")

THREADS = 8
ROUNDS = 12


class ConcurrencyTests(Suite):
    """One provider used from several threads."""

    def test_different_keys_are_all_kept(self, dm: DataManager, storage_type: str) -> None:
        def work(thread: int) -> None:
            for number in range(ROUNDS):
                dm.store({"by": thread, "n": number}, storage_type, f"{thread}/{number}", {"n": number})

        at_once(work)
        for thread in range(THREADS):
            for number in range(ROUNDS):
                found = dm.retrieve_by_key(storage_type, f"{thread}/{number}")
                assert found == {"by": thread, "n": number}

    def test_of_one_key_one_whole_version_stays(self, dm: DataManager, storage_type: str) -> None:
        def work(thread: int) -> None:
            for number in range(ROUNDS):
                stamp = f"{thread}-{number}"
                dm.store({"stamp": stamp, "body": stamp * 2_000}, storage_type, "k", {"stamp": stamp})

        at_once(work)
        found = dm.retrieve_by_key(storage_type, "k")
        assert found["body"] == found["stamp"] * 2_000
        assert found["stamp"].endswith(f"-{ROUNDS - 1}")

    @needs(RecordProvider)
    def test_readers_see_whole_versions_with_their_metadata(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        finished = Event()
        dm.store({"stamp": "", "body": ""}, storage_type, "k", {"stamp": ""})

        def write(thread: int) -> None:
            for number in range(ROUNDS):
                stamp = f"{thread}-{number}"
                dm.store({"stamp": stamp, "body": stamp * 2_000}, storage_type, "k", {"stamp": stamp})

        def read() -> list[str]:
            torn = []
            while not finished.is_set():
                found = record(provider, "k")
                if found.data["body"] != found.data["stamp"] * 2_000 or found.metadata != {
                    "stamp": found.data["stamp"]
                }:
                    torn.append(f"{found.data['stamp']} with {found.metadata}")
            return torn

        with ThreadPoolExecutor(1) as reader:
            reading = reader.submit(read)
            try:
                at_once(write)
            finally:
                finished.set()
            assert reading.result() == []
        final = record(provider, "k")
        assert final.metadata == {"stamp": final.data["stamp"]}

    @needs(RecordProvider)
    def test_overwrite_false_has_one_winner(self, dm: DataManager, storage_type: str) -> None:
        def work(thread: int) -> list[str]:
            won = []
            for number in range(ROUNDS):
                try:
                    dm.store(thread, storage_type, f"{number}", overwrite=False)
                    won.append(f"{number} is {thread}")
                except KeyExistsError:
                    continue
            return won

        winners = sorted(key for won in at_once(work) for key in won)
        found = [f"{number} is {dm.retrieve_by_key(storage_type, f'{number}')}" for number in range(ROUNDS)]
        assert winners == sorted(found)

    @needs(CanQuery)
    def test_reading_batches_while_others_write_and_delete(self, dm: DataManager, storage_type: str) -> None:
        dm.store_many({f"kept/{n}": {"n": n} for n in range(20)}, storage_type)

        def work(thread: int) -> None:
            for number in range(ROUNDS):
                if thread % 2:
                    reference = dm.store({"n": -1}, storage_type, f"passing/{thread}")
                    dm.delete(reference)
                else:
                    kept = {"key": {"$prefix": "kept/"}}
                    assert len(dm.query(storage_type, kept)) == 20, number
                    assert len(dm.list(storage_type, "kept/")) == 20

        at_once(work)
        assert len(keys_in(dm, storage_type)) == 20


def at_once(work: Callable[[int], T]) -> list[T]:
    """Run a piece of work in eight threads that start together; raises what one of them raised."""
    barrier = Barrier(THREADS)

    def start(thread: int) -> T:
        barrier.wait()
        return work(thread)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(start, range(THREADS)))
