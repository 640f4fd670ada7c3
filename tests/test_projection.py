"""Frames with just the columns that are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from praval_storage import DataManager, InvalidFilterError
from praval_storage.providers import FileSystemProvider


@pytest.fixture
def dm(tmp_path: Path) -> Iterator[DataManager]:
    with DataManager({"files": FileSystemProvider(tmp_path)}) as manager:
        yield manager


def test_columns_are_made_as_asked_for(dm: DataManager) -> None:
    dm.store_many(
        {
            "a": {"n": 1, "address": {"city": "Ulm"}, "tags": ["x", "y"]},
            "b": {"n": 2, "address": {"city": "Köln"}},
            "c": {"n": 3},
        },
        "files",
        metadata={"kind": "person", "deep": {"er": 7}},
    )
    found = dm.query("files", order_by="key")
    wanted = ["metadata.deep.er", "n", "address.city", "key", "tags.1", "format", "missing"]
    frame = found.to_pandas(columns=wanted)
    assert list(frame.columns) == wanted
    assert frame["n"].dtype == "int64"
    assert frame["address.city"].tolist()[:2] == ["Ulm", "Köln"]
    assert frame["address.city"].isna().tolist() == [False, False, True]
    assert frame["metadata.deep.er"].tolist() == [7, 7, 7]
    assert frame["tags.1"].tolist()[0] == "y"
    assert frame["format"].tolist() == ["json"] * 3
    assert frame["missing"].isna().all()
    assert found.to_arrow(["n", "address.city"]).to_pydict() == {
        "n": [1, 2, 3],
        "address.city": ["Ulm", "Köln", None],
    }
    assert found.to_polars(["key"]).to_dict(as_series=False) == {"key": ["a", "b", "c"]}
    assert len(found.to_pandas([])) == 3


def test_a_projection_without_data_fetches_no_bodies(dm: DataManager, monkeypatch: Any) -> None:
    dm.store_many({"a": {"n": 1}, "b": {"n": 2}}, "files", metadata={"kind": "x"})
    found = dm.query("files", order_by="key")
    provider = dm.providers["files"]
    monkeypatch.setattr(type(provider), "fill", lambda *_: pytest.fail("bodies were fetched"))
    frame = found.to_pandas(["key", "metadata.kind", "size"])
    assert frame["metadata.kind"].tolist() == ["x", "x"]
    assert (frame["size"] > 0).all()


def test_a_projection_of_nothing_has_its_columns(dm: DataManager) -> None:
    frame = dm.query("files").to_pandas(["n", "key"])
    assert (list(frame.columns), len(frame)) == (["n", "key"], 0)


@pytest.mark.parametrize("columns", ["n", ["a..b"], [1], ["$n"]])
def test_what_is_no_list_of_paths_is_refused(dm: DataManager, columns: Any) -> None:
    with pytest.raises(InvalidFilterError):
        dm.query("files").to_pandas(columns)
