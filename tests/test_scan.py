"""Reading on over data that is not what its name says."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest

from praval_storage import DataManager, SerializationError
from praval_storage.providers import FileSystemProvider
from praval_storage.records import Stored
from praval_storage.scan import Scan, Scanned
from praval_storage.selection import CHUNK_BYTES
from praval_storage.testing import InMemoryProvider


@pytest.fixture
def dm(tmp_path: Path) -> DataManager:
    (tmp_path / "broken.json").write_text('{"a": 1')
    (tmp_path / "good.json").write_text('{"a": 7}')
    return DataManager({"files": FileSystemProvider(tmp_path)})


def test_what_cannot_be_decoded_stops_no_query_and_is_named(dm: DataManager) -> None:
    for filters in ({"a": 7}, {"a": {"$ne": 1}}):
        found = dm.query("files", filters)
        assert found == [{"a": 7}]
        assert found.plan.unreadable == ("broken.json",)
        [batch] = dm.iter_query("files", filters)
        assert batch == found
        assert batch.plan.unreadable == found.plan.unreadable
        assert repr(found).startswith(
            "QueryResult: 1 record from files; 1 record could not be read: 'broken.json'\n"
        )


def test_what_cannot_be_decoded_sorts_as_what_has_no_data(dm: DataManager) -> None:
    assert dm.query("files", order_by="a").keys == ["broken.json", "good.json"]
    assert dm.query("files", order_by="-a").keys == ["good.json", "broken.json"]
    assert dm.query("files", order_by="a").plan.unreadable == ("broken.json",)


def test_what_needs_no_data_decodes_nothing(dm: DataManager) -> None:
    found = dm.query("files", {"size": {"$lt": 100}}, order_by="key")
    assert found.keys == ["broken.json", "good.json"]
    assert found.plan.unreadable == ()
    with pytest.raises(SerializationError, match=r"not JSON.*'broken\.json'"):
        found[0]


class Noting(InMemoryProvider):
    """Notes how many records were asked for at a time, and that their data was long."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def fill(self, rows: Sequence[Stored]) -> list[Stored | None]:
        self.asked.append(len(rows))
        return super().fill(rows)


@pytest.mark.parametrize("length, asked", [(CHUNK_BYTES // 4, [4, 4, 2]), (10, [64, 66])])
def test_few_large_records_are_held_at_a_time_and_many_small_ones(length: int, asked: list[int]) -> None:
    provider = Noting()
    with DataManager({"memory": provider}) as dm:
        for number in range(sum(asked)):
            dm.store("x" * length, "memory", f"k{number}.txt")
        assert sum(len(batch) for batch in dm.iter_query("memory", {"data": {"$exists": True}})) == sum(asked)
    assert provider.asked == asked


class Watching(InMemoryProvider):
    """Notes whether there is garbage collection while its rows are taken; they may be broken off."""

    def __init__(self, *, breaks: bool) -> None:
        super().__init__()
        self.breaks = breaks
        self.collected: list[bool] = []

    def scan(self, request: Scan) -> Scanned:
        return Scanned(self._taken(request), residual=request.where)

    def _taken(self, request: Scan) -> Iterator[Stored]:
        for row in super().scan(request).rows:
            self.collected.append(gc.isenabled())
            yield row
            if self.breaks:
                raise KeyboardInterrupt


@pytest.mark.parametrize("breaks", [False, True])
@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_is_not_looked_for_among_the_rows_while_they_are_read(breaks: bool, enabled: bool) -> None:
    provider = Watching(breaks=breaks)
    dm = DataManager({"memory": provider})
    for place in range(3):
        dm.store(place, "memory")
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with pytest.raises(KeyboardInterrupt) if breaks else nullcontext():
            dm.query("memory", limit=None)
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()
    assert provider.collected == [False] * (1 if breaks else 3)
