"""Dask frames: partitions are read where they are computed, by the same providers."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from praval_storage import DataManager, SerializationError
from praval_storage.providers import FileSystemProvider

if TYPE_CHECKING:
    import pandas as pd


@pytest.fixture
def dm(tmp_path: Path) -> Iterator[DataManager]:
    with DataManager({"files": FileSystemProvider(tmp_path)}) as manager:
        manager.store_many(
            {f"k{n:03}": {"n": n, "even": n % 2 == 0} for n in range(95)}, "files", metadata={"kind": "x"}
        )
        manager.store({"n": None}, "files", "last")
        yield manager


def cells(frame: pd.DataFrame) -> dict[str, list[object]]:
    return frame.astype(object).where(frame.notna(), None).to_dict("list")


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_partitions_make_the_frame_that_pandas_has(dm: DataManager, scheduler: str) -> None:
    found = dm.query("files", limit=None, order_by="key")
    frame = found.to_dask(partition_size=20)
    assert frame.npartitions == 5
    computed = frame.compute(scheduler=scheduler).reset_index(drop=True)
    assert computed["n"].dtype == "Int64"
    assert cells(computed) == cells(found.to_pandas())


def test_only_the_columns_asked_for(dm: DataManager) -> None:
    frame = dm.query("files", {"metadata.kind": "x"}, limit=None).to_dask(["n", "metadata.kind"])
    assert list(frame.columns) == ["n", "metadata.kind"]
    assert frame["n"].sum().compute() == sum(range(95))


def test_what_a_worker_is_sent_has_no_bodies(dm: DataManager) -> None:
    dm.store({"n": 1, "text": "x" * 1_000_000}, "files", "large")
    found = dm.query("files", {"n": {"$gte": 0}}, limit=None)
    assert len(pickle.dumps(found.to_dask())) < 200_000
    assert pickle.loads(pickle.dumps(found)) == found


def test_a_partition_of_other_types_is_an_error_that_says_so(dm: DataManager) -> None:
    dm.store({"n": "text"}, "files", "zz")
    with pytest.raises(SerializationError, match="columns="):
        dm.query("files", limit=None, order_by="key").to_dask(partition_size=50).compute()


def test_nothing_found_is_an_empty_frame(dm: DataManager) -> None:
    assert len(dm.query("files", {"n": -1}).to_dask(["n"])) == 0
