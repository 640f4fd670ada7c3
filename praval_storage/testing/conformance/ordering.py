"""Orders: exact on every backend, ties by key, mixed types and missing values in one fixed sequence."""

from __future__ import annotations

from time import sleep
from typing import Any

import pytest

from praval_storage.base import CanQuery, RecordProvider
from praval_storage.errors import InvalidFilterError
from praval_storage.manager import DataManager
from praval_storage.testing.conformance._suite import Suite, needs

KEYS = ["Z", "a", "a/b", "a0", "b", "\u00e9", "\uffff", "\U0001f600"]
"""In code point order, which is neither a locale's nor that of UTF-16."""

ASCENDING: list[tuple[str, Any]] = [
    ("missing1", ...),
    ("missing2", None),
    ("missing3", ...),
    ("false", False),
    ("true", True),
    ("minus", -5),
    ("half", 0.5),
    ("one1", 1),
    ("one2", 1.0),
    ("big", 2**53),
    ("bigger", 2**53 + 1),
    ("huge", 10**30),
    ("text0", ""),
    ("text1", "10"),
    ("text2", "9"),
    ("text3", "B"),
    ("text4", "a"),
    ("text5", "\u00e9"),
    ("text6", "\uffff"),
    ("text7", "\U0001f600"),
]
"""Values in ascending order; ``...`` = no such field. Equal ones are in the order of their keys."""


class OrderTests(Suite):
    """``order_by``."""

    @needs(CanQuery)
    def test_by_key_is_code_point_order(self, dm: DataManager, storage_type: str) -> None:
        dm.store_many({key: key for key in reversed(KEYS)}, storage_type)
        assert dm.query(storage_type, order_by="key").keys == KEYS
        assert dm.query(storage_type, order_by="-key").keys == KEYS[::-1]
        assert dm.list(storage_type, order_by="key").keys == KEYS
        assert dm.list(storage_type, order_by="-key", limit=3).keys == KEYS[:-4:-1]
        assert dm.list(storage_type, "a", order_by="key").keys == ["a", "a/b", "a0"]

    @needs(RecordProvider, CanQuery)
    def test_by_time(self, dm: DataManager, storage_type: str) -> None:
        keys = ["c", "a", "d", "b"]
        for key in keys:
            dm.store(key, storage_type, key)
            sleep(0.002)
        dm.store("again", storage_type, "a")
        assert dm.query(storage_type, order_by="created_at").keys == keys
        assert dm.query(storage_type, order_by="-created_at", limit=2).keys == ["b", "d"]
        assert dm.list(storage_type, order_by="updated_at").keys == ["c", "d", "b", "a"]

    @pytest.mark.parametrize("root", ["data", "metadata"])
    @needs(RecordProvider, CanQuery)
    def test_mixed_types_have_one_order(self, dm: DataManager, storage_type: str, root: str) -> None:
        store_values(dm, storage_type, root)
        ascending = [key for key, _ in ASCENDING]
        assert dm.query(storage_type, order_by=f"{root}.v").keys == ascending
        assert [
            key
            for batch in dm.iter_query(storage_type, batch_size=7, order_by=f"{root}.v")
            for key in batch.keys
        ] == ascending

    @pytest.mark.parametrize("root", ["data", "metadata"])
    @needs(RecordProvider, CanQuery)
    def test_descending_turns_values_round_and_leaves_ties_by_key(
        self, dm: DataManager, storage_type: str, root: str
    ) -> None:
        store_values(dm, storage_type, root)
        found = dm.query(storage_type, order_by=f"-{root}.v").keys
        assert [key for key in found if key.startswith("missing")] == ["missing1", "missing2", "missing3"]
        assert [key for key in found if key.startswith("one")] == ["one1", "one2"]
        distinct = [key for key, _ in ASCENDING if not key.startswith(("missing", "one"))]
        assert [key for key in found if not key.startswith(("missing", "one"))] == distinct[::-1]
        assert found[-3:] == ["missing1", "missing2", "missing3"]

    @needs(RecordProvider, CanQuery)
    def test_every_limit_takes_the_first_of_the_order(self, dm: DataManager, storage_type: str) -> None:
        store_values(dm, storage_type, "data")
        ascending = [key for key, _ in ASCENDING]
        for limit in range(len(ascending) + 2):
            result = dm.query(storage_type, limit=limit, order_by="v")
            assert result.keys == ascending[:limit]
            assert result.truncated is (limit < len(ascending))

    @needs(RecordProvider, CanQuery)
    def test_order_and_filter_together(self, dm: DataManager, storage_type: str) -> None:
        store_values(dm, storage_type, "data")
        texts = dm.query(storage_type, {"v": {"$gt": ""}}, 3, order_by="-v")
        assert (texts.keys, texts.truncated) == (["text7", "text6", "text5"], True)
        numbers = dm.query(storage_type, {"metadata.number": True, "v": {"$gt": 0.5}}, order_by="v")
        assert numbers.keys == ["one1", "one2", "big", "bigger", "huge"]

    @needs(RecordProvider, CanQuery)
    def test_by_nested_paths_and_attributes(self, dm: DataManager, storage_type: str) -> None:
        dm.store_many(
            {"a": {"x": [3, {"y": 1}]}, "b": {"x": [1, {"y": 2}]}, "c": {"x": {"0": 2}}, "d": "text"},
            storage_type,
        )
        assert dm.query(storage_type, order_by="x.0").keys == ["d", "b", "c", "a"]
        assert dm.query(storage_type, order_by="-x.1.y").keys == ["b", "a", "c", "d"]
        assert dm.query(storage_type, order_by="-format").keys == ["d", "a", "b", "c"]
        sizes = [reference.size for reference in dm.list(storage_type, order_by="size")]
        assert sizes == sorted(size for size in sizes if size is not None)

    @needs(CanQuery)
    def test_without_an_order_the_sequence_is_stable(self, dm: DataManager, storage_type: str) -> None:
        dm.store_many({f"k{n % 7}/{n}": n for n in range(40)}, storage_type)
        first = dm.query(storage_type).keys
        assert dm.query(storage_type).keys == first
        assert dm.query(storage_type, limit=10).keys == first[:10]
        assert sorted(first) == sorted(f"k{n % 7}/{n}" for n in range(40))

    @pytest.mark.parametrize("order_by", ["", "-", "a..b", "$gt", 7])
    @needs(CanQuery)
    def test_an_order_is_a_path(self, dm: DataManager, storage_type: str, order_by: Any) -> None:
        with pytest.raises(InvalidFilterError):
            dm.query(storage_type, order_by=order_by)


def store_values(dm: DataManager, storage_type: str, root: str) -> None:
    """One record per value, against the order; the value is the field ``v`` of data or metadata."""
    fields = {key: {} if value is ... else {"v": value} for key, value in reversed(ASCENDING)}
    numbers = [{"number": type(each.get("v")) in {int, float}} for each in fields.values()]
    empty: list[dict[str, Any]] = [{}] * len(fields)
    data, metadata = (fields.values(), numbers) if root == "data" else (empty, fields.values())
    dm.store_many(data, storage_type, fields, metadata).raise_for_errors()
