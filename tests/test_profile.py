"""Profiles of results: every column in figures, checked against the values themselves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from conftest import cases
from hypothesis import given, settings
from hypothesis import strategies as st

from praval_storage import DataManager
from praval_storage.errors import InvalidFilterError
from praval_storage.providers import FileSystemProvider, QdrantProvider
from praval_storage.results.profile import BINS, ColumnProfile
from praval_storage.testing import InMemoryProvider
from praval_storage.testing.conformance.previews import ATTRIBUTES, TAGS, Markup

DAY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def dm(tmp_path: Path) -> Iterator[DataManager]:
    providers = {"m": InMemoryProvider(), "files": FileSystemProvider(tmp_path / "files")}
    with DataManager({**providers, "qdrant": QdrantProvider(path=tmp_path / "qdrant")}) as manager:
        yield manager


def columns(dm: DataManager, values: list[Any]) -> dict[str, ColumnProfile]:
    """The profile of values stored one by one."""
    dm.delete_many(dm.list("m", limit=None))
    dm.store_many(values, "m", [f"k{n}" for n in range(len(values))])
    return {each.name: each for each in dm.query("m", limit=None, order_by="key").profile().columns}


def test_numbers(dm: DataManager) -> None:
    found = columns(dm, [{"n": n % 10, "x": n / 4} for n in range(100)] + [{"x": math.nan}, {"x": None}])
    assert astuple(found["n"])[:7] == ("n", "int64", 2, 0, 10, 0, 9)
    assert [times for _, times in found["n"].top] == [10, 10, 10]
    assert sum(found["n"].histogram) == 100
    assert (found["x"].type, found["x"].nulls, found["x"].nans) == ("double", 1, 1)
    assert (found["x"].distinct, found["x"].min, found["x"].max) == (100, 0.0, 24.75)
    assert found["x"].top == []
    counted, _ = np.histogram([n / 4 for n in range(100)], BINS)
    assert list(found["x"].histogram) == counted.tolist()


def test_texts_flags_and_times(dm: DataManager) -> None:
    found = columns(
        dm,
        [
            {"word": "abb"[n % 3], "ok": n == 0, "at": DAY + timedelta(hours=n), "id": UUID(int=n)}
            for n in range(9)
        ],
    )
    word, ok, at = found["word"], found["ok"], found["at"]
    assert (word.type, word.distinct, word.min, word.max) == ("string", 2, "a", "b")
    assert (word.top, word.histogram) == ([("b", 6), ("a", 3)], [6, 3])
    assert (ok.type, ok.distinct, ok.min, ok.top) == ("bool", 2, None, [(False, 8), (True, 1)])
    assert (at.min, at.max, at.distinct) == (DAY, DAY + timedelta(hours=8), 9)
    assert sum(at.histogram) == 9
    assert (found["id"].distinct, found["id"].nulls) == (9, 0)


def test_what_no_single_type_holds(dm: DataManager) -> None:
    values = [{"mixed": 1}, {"mixed": True}, {"mixed": 1.0}, {"mixed": "1"}, {"mixed": "1"}, {"mixed": None}]
    found = columns(dm, [{**value, "list": [1, 2], "dict": {"a": 1}, "none": None} for value in values])
    mixed = found["mixed"]
    assert (mixed.type, mixed.nulls, mixed.distinct, mixed.top) == (
        "bool | float | int | str",
        1,
        4,
        [("1", 2)],
    )
    for name in ("list", "dict"):
        assert (found[name].nulls, found[name].distinct, found[name].top) == (0, None, ())
    assert (found["list"].type, found["dict"].type) == ("list", "dict")
    assert (found["none"].type, found["none"].nulls, found["none"].distinct) == ("null", 6, 0)


def test_numbers_at_the_ends(dm: DataManager) -> None:
    found = columns(
        dm,
        [
            {
                "x": 1.7e308,
                "big": 2**64 - 1,
                "huge": 2**200,
                "d": Decimal("1.10"),
                "inf": math.inf,
                "same": 5,
            },
            {"x": -1.7e308, "big": 0, "huge": 1, "d": Decimal("-2"), "inf": 1.0, "same": 5},
        ],
    )
    assert (found["x"].min, found["x"].max) == (-1.7e308, 1.7e308)
    assert list(found["x"].histogram) == [1, *[0] * (BINS - 2), 1]
    assert (found["big"].max, found["huge"].distinct) == (2**64 - 1, 2)
    assert (found["d"].min, found["d"].max, sum(found["d"].histogram)) == (
        Decimal("-2.00"),
        Decimal("1.10"),
        2,
    )
    assert (found["inf"].max, list(found["inf"].histogram)) == (math.inf, [1])
    assert list(found["same"].histogram) == [2]


@settings(max_examples=cases(150))
@given(st.lists(st.none() | st.integers(-5, 5) | st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_figures_are_those_of_the_values(values: list[Any]) -> None:
    with DataManager({"m": InMemoryProvider()}) as dm:
        found = columns(dm, [{"v": value} for value in values])["v"]
    there = [value for value in values if value is not None]
    assert found.nulls == len(values) - len(there)
    if there and found.type != "float | int":  # what Arrow cannot hold without rounding
        assert sum(found.histogram) == len(there)
        counts = Counter(there)
        assert found.distinct == len(counts)
        assert (found.min, found.max) == (min(there), max(there))
        assert [times for _, times in found.top] == (
            [] if max(counts.values()) == 1 else [times for _, times in counts.most_common(3)]
        )


def test_a_result_that_was_cut_says_so(dm: DataManager) -> None:
    dm.store_many([{"n": n} for n in range(20)], "m")
    found = dm.query("m", limit=5).profile()
    assert found.title == "Profile: first 5 records from m (limit=5 cut the rest off; limit=None for all)"
    assert found.title in repr(found)
    assert "limit=5 cut the rest off" in found._repr_html_()
    assert "cut" not in dm.query("m").profile().title
    assert "limit=5 cut off" in dm.query("m", limit=5)[:3].profile().title


def test_listings_and_searches_have_profiles_too(dm: DataManager) -> None:
    dm.store_many([{"n": n, "vector": [1.0, n]} for n in range(5)], "qdrant")
    listing = {each.name: each for each in dm.list("qdrant").profile().columns}
    assert (listing["format"].top, listing["size"].nulls) == ([("json", 5)], 0)
    assert "n" not in listing
    search = {each.name: each for each in dm.search("qdrant", [1.0, 0.0]).profile().columns}
    assert search["score"].max == pytest.approx(1)
    assert search["vector"].type in {"list", "list<element: double>"}


def test_columns_are_chosen_as_for_frames(dm: DataManager) -> None:
    dm.store_many([{"a": {"b": n}, "c": 1} for n in range(5)], "m")
    result = dm.query("m")
    assert [each.name for each in result.profile(["a.b", "key"]).columns] == ["a.b", "key"]
    assert result.profile(["a.b"]).columns[0].max == 4
    with pytest.raises(InvalidFilterError):
        result.profile("a.b")


def test_an_empty_result_has_an_empty_profile(dm: DataManager) -> None:
    found = dm.query("m").profile()
    assert found.rows == 0
    assert found.to_pandas().columns.tolist() == [
        *("type", "nulls", "nans", "distinct", "min", "max", "top", "histogram")
    ]
    assert "no records" in repr(found)
    assert found._repr_html_()


def test_the_frame_has_one_row_per_column(dm: DataManager) -> None:
    dm.store_many([{"n": n, "s": "x"} for n in range(5)], "m")
    frame = dm.query("m").profile().to_pandas()
    assert frame.index.tolist() == ["key", "n", "s", "created_at"]
    assert frame.loc["n", ["type", "nulls", "min", "max"]].tolist() == ["int64", 0, 0, 4]
    assert frame["nulls"].dtype == "int64"


def test_the_html_form_is_plain_and_small(dm: DataManager) -> None:
    hostile = "<script>alert(1)</script>"
    dm.store_many([{hostile: hostile, **{f"column {n}": n * m for n in range(30)}} for m in range(50)], "m")
    found = dm.query("m").profile()
    html = found._repr_html_()
    markup = Markup(html)
    assert markup.tags <= TAGS
    assert markup.attributes <= ATTRIBUTES
    assert len(html) <= 6_000
    assert "... 23 more columns; .to_pandas() has all" in html
    assert 'alt="histogram: ' in html
    assert "... 23 more" in repr(found)


def test_a_profile_is_the_same_in_every_run(dm: DataManager) -> None:
    dm.store_many([{"n": n % 3, "s": "ab"[n % 2], "m": [1, "a"][n % 2]} for n in range(12)], "m")
    result = dm.query("m", order_by="n")
    assert repr(result.profile(["n", "s", "m"])) == repr(dm.query("m").profile(["n", "s", "m"]))
