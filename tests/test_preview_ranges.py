"""Previews of large objects: what is read of them, by range and where only whole bodies can be had."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backends import make
from PIL import Image

from praval_storage import DataManager
from praval_storage.errors import StorageConnectionError, StorageError
from praval_storage.preview import beginning
from praval_storage.preview.beginning import Window
from praval_storage.providers import FileSystemProvider
from praval_storage.providers._objects.reader import _Ranges
from praval_storage.testing import InMemoryProvider

MEGABYTE = 1 << 20


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes object stores are asked for by each range."""
    ranges: list[int] = []
    original = _Ranges._next

    def counting(self: _Ranges, length: int) -> bytes:
        chunk = original(self, length)
        ranges.append(len(chunk))
        return chunk

    monkeypatch.setattr(_Ranges, "_next", counting)
    return ranges


@pytest.fixture(params=["s3", "fsspec-memory"])
def dm(request: pytest.FixtureRequest) -> Iterator[DataManager]:
    with DataManager({"objects": make(request.param, request)}) as manager:
        yield manager


def parquet(rows: int, groups: int) -> bytes:
    """Noise, which does not compress."""
    noise = np.random.default_rng(0).random((rows, 5))
    sink = io.BytesIO()
    table = pa.Table.from_pandas(pd.DataFrame(noise, columns=list("abcde")))
    pq.write_table(table, sink, row_group_size=-(-rows // groups), use_dictionary=False)
    return sink.getvalue()


@pytest.mark.parametrize("key", ["b.bin", "t.txt", "t.csv", "t.ndjson", "j.json", "a.npy"])
def test_only_the_first_megabyte_is_asked_for(dm: DataManager, asked: list[int], key: str) -> None:
    line = b'{"n": 1}\n' if key == "t.ndjson" else b"12,34,5\n"
    reference = dm.store(io.BytesIO(line * (MEGABYTE // 2)), "objects", key)
    seen = dm.preview(reference)
    assert seen.payload()["parts"]
    assert sum(asked) == MEGABYTE
    assert reference.size is not None
    assert reference.size >= 4 * MEGABYTE


def test_small_objects_are_read_at_once(dm: DataManager, asked: list[int]) -> None:
    assert dm.preview(dm.store({"a": 1}, "objects", "a.json")).kind == "json"
    assert asked == []


def test_of_parquet_the_footer_and_the_first_pages_are_asked_for(dm: DataManager, asked: list[int]) -> None:
    body = parquet(400_000, 4)
    seen = dm.preview(dm.store(io.BytesIO(body), "objects", "f.parquet"))
    [table] = seen.payload()["parts"]
    assert (len(table["rows"]), table["height"], seen.facts["row groups"]) == (50, 400_000, "4")
    assert [each["nulls"] for each in table["columns"]] == [0] * 5
    assert sum(asked) < 2 * MEGABYTE
    assert len(asked) < 20
    assert len(body) > 15 * MEGABYTE


def test_of_parquet_only_the_footer_is_shown_where_more_takes_too_much(
    dm: DataManager, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beginning, "BUDGET", 300_000)
    seen = dm.preview(dm.store(io.BytesIO(parquet(400_000, 1)), "objects", "f.parquet"))
    [table] = seen.payload()["parts"]
    assert (table["rows"], table["height"], len(table["columns"])) == ([], 400_000, 5)
    assert seen.notes == ("Only the footer was read: the first rows would take too much reading",)
    assert sum(asked) <= 300_000 + beginning.OF_PARQUET


def test_an_image_is_read_whole_and_nothing_larger_than_the_budget(
    dm: DataManager, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (700, 700, 3), dtype=np.uint8)
    Image.fromarray(noise).save(sink, "bmp")
    reference = dm.store(io.BytesIO(sink.getvalue()), "objects", "i.bmp")
    assert dm.preview(reference).blobs
    monkeypatch.setattr("praval_storage.preview.images.BUDGET", MEGABYTE)
    asked.clear()
    seen = dm.preview(reference)
    assert (seen.blobs, seen.facts["pixels"]) == ((), "700 x 700")
    assert seen.notes[0].startswith("Not shown: 1.5 MB")
    assert sum(asked) == MEGABYTE


def test_a_gigabyte_on_disk_takes_a_megabyte_of_memory(tmp_path: Path) -> None:
    for name in ("a.bin", "a.txt", "a.json", "a.csv", "a.parquet", "a.npy", "a.png", "a.pkl", "a.svg"):
        with Path(tmp_path, name).open("wb") as file:
            file.truncate(1 << 30)
    read = 0

    class Counting(Window):
        def take(self, length: int) -> bytes:
            nonlocal read
            taken = super().take(length)
            read += len(taken)
            return taken

    with pytest.MonkeyPatch.context() as patch, DataManager({"files": FileSystemProvider(tmp_path)}) as dm:
        patch.setattr(beginning, "Window", Counting)
        for name in ("a.bin", "a.txt", "a.json", "a.csv", "a.parquet", "a.npy", "a.png", "a.pkl", "a.svg"):
            seen = dm.preview(f"praval://files/{name}")
            assert seen.reference.size == 1 << 30, name
            assert seen.notes, name
    assert read == 8 * MEGABYTE + beginning.OF_PARQUET


def test_what_comes_whole_only_is_left_alone_when_it_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy(InMemoryProvider):
        def read(self, keys: list[str], *, bodies: bool = True) -> list:  # type: ignore[type-arg, override]
            rows = super().read(keys, bodies=bodies)
            assert not bodies or all(len(row.body or b"") < 2 * MEGABYTE for row in rows if row), "read whole"
            return rows if bodies else [row and row._replace(body=None) for row in rows]

    monkeypatch.setattr(beginning, "WHOLE", 2 * MEGABYTE)
    with DataManager({"memory": Lazy()}) as dm:
        large = dm.preview(dm.store("x" * 3 * MEGABYTE, "memory", "large"))
        assert (large.kind, large.payload()["parts"]) == ("text", [])
        assert large.notes == (
            "Not looked into: this provider hands out whole bodies only, and this has 3.1 MB",
        )
        small = dm.preview(dm.store("x" * MEGABYTE, "memory", "small"))
        assert small.payload()["parts"][0]["text"] == "x" * 4_096


def test_a_connection_that_is_lost_while_reading_is_no_broken_file(
    dm: DataManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    references = [
        dm.store(io.BytesIO(parquet(100_000, 1)), "objects", "f.parquet"),
        dm.store(io.BytesIO(b"1,2\n" * MEGABYTE), "objects", "f.csv"),
    ]

    def lost(self: _Ranges, length: int) -> bytes:
        raise ConnectionError("the cable was pulled")

    monkeypatch.setattr(_Ranges, "_next", lost)
    for reference in references:
        with pytest.raises(StorageError, match="cable") as caught:
            dm.preview(reference)
        assert isinstance(caught.value, StorageConnectionError) or "ConnectionError" in str(caught.value)
