"""Filters on stored records: every operator by hand, and the same answer however much was pushed down."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from praval_storage.base import CanQuery, RecordProvider
from praval_storage.errors import InvalidFilterError
from praval_storage.filters import parse
from praval_storage.manager import DataManager
from praval_storage.testing.conformance._suite import Suite, needs

RECORDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "alice": (
        {"name": "Alice", "age": 30, "tags": ["x", "y"], "address": {"city": "Ulm"}, "ok": True},
        {"kind": "user", "rank": 1},
    ),
    "bob": (
        {"name": "bob", "age": 30.0, "tags": ["y"], "address": {"city": "ulm"}, "ok": 1},
        {"kind": "user"},
    ),
    "carol": ({"name": "Carol", "age": None, "tags": [], "ok": False}, {"kind": "admin", "rank": 2.5}),
    "dave": (
        {"name": "D%v_", "age": "30", "tags": "x", "pets": [{"n": 1}, {"n": 5}]},
        {"kind": ["user", "admin"]},
    ),
    "erin": ({"name": "\u00c9rin", "age": 2**53 + 1, "when": "2025-01-15"}, {"rank": None}),
    "frank": ({"age": 2**53, "name": "", "address": "Ulm"}, {"deep": {"er": {"est": 1}}}),
    "list": ([{"name": "Alice"}, {"name": "in a list"}], {"kind": "list"}),
    "text": ("Alice", {"kind": "text"}),
    "none": (None, {}),
}
EVERYONE = sorted(RECORDS)
CASES: dict[str, list[tuple[dict[str, Any], str]]] = {
    "what UTF-8 cannot say": [
        ({"name": "\ud800"}, ""),
        ({"metadata.kind": {"$in": ["admin", "\ud800"]}}, "carol dave"),
        ({"metadata.kind": {"$prefix": "\ud800"}}, ""),
        ({"name": {"$contains": "\ud800"}}, ""),
        ({"name": {"$regex": "\ud800|bob"}}, "bob"),
        ({"name": {"$ne": "\ud800"}, "age": {"$gt": 29, "$lt": 31}}, "alice bob"),
        ({"\ud800": 1}, ""),
        ({"metadata.a\0b": 1}, ""),
        ({"\ud800.name": {"$exists": False}, "name": "bob"}, "bob"),
        ({"key": "\ud800"}, ""),
        ({"key": {"$prefix": "\ud800"}}, ""),
        ({"format": "\ud800"}, ""),
    ],
    "equal": [
        ({"name": "Alice"}, "alice list"),
        ({"data.name": "bob"}, "bob"),
        ({"age": 30}, "alice bob"),
        ({"age": {"$eq": 30.0}}, "alice bob"),
        ({"age": "30"}, "dave"),
        ({"age": 2**53 + 1}, "erin"),
        ({"age": float(2**53)}, "frank"),
        ({"ok": True}, "alice"),
        ({"ok": 1}, "bob"),
        ({"ok": 0}, ""),
        ({"tags": "x"}, "alice dave"),
        ({"tags": ["x", "y"]}, "alice"),
        ({"tags": []}, "carol"),
        ({"address": {"city": "Ulm"}}, "alice"),
        ({"address.city": "Ulm"}, "alice"),
        ({"metadata.kind": "user"}, "alice bob dave"),
        ({"metadata.deep.er.est": 1}, "frank"),
        ({"pets.n": 5}, "dave"),
        ({"pets.0.n": 1}, "dave"),
        ({"data": "Alice"}, "text"),
        ({"key": "text"}, "text"),
        ({"when": "2025-01-15"}, "erin"),
    ],
    "null and missing": [
        ({"age": None}, "carol list none text"),
        ({"metadata.rank": None}, "bob dave erin frank list none text"),
        ({"data": None}, "none"),
    ],
    "not equal": [
        ({"age": {"$ne": 30}}, "carol dave erin frank list none text"),
        ({"tags": {"$ne": "y"}}, "carol dave erin frank list none text"),
        ({"metadata.kind": {"$nin": ["user", "list"]}}, "carol erin frank none text"),
        ({"age": {"$ne": None}}, "alice bob dave erin frank"),
    ],
    "ranges": [
        ({"age": {"$gt": 29}}, "alice bob erin frank"),
        ({"age": {"$gt": 30}}, "erin frank"),
        ({"age": {"$gt": 2**53}}, "erin"),
        ({"age": {"$gte": 30, "$lt": 31}}, "alice bob"),
        ({"age": {"$lte": "4"}}, "dave"),
        ({"name": {"$lt": "b"}}, "alice carol dave frank list"),
        ({"name": {"$gte": "b"}}, "bob erin list"),
        ({"ok": {"$gte": 0}}, "bob"),
        ({"pets.n": {"$gt": 4}}, "dave"),
        ({"metadata.rank": {"$gt": 1}}, "carol"),
        ({"key": {"$gt": "list"}}, "none text"),
    ],
    "in": [
        ({"age": {"$in": [30, None]}}, "alice bob carol list none text"),
        ({"name": {"$in": ["bob", "Carol", 7]}}, "bob carol"),
        ({"tags": {"$in": ["x", []]}}, "alice carol dave"),
        ({"name": {"$in": []}}, ""),
        ({"name": {"$nin": []}}, " ".join(EVERYONE)),
        ({"key": {"$in": ["alice", "no such"]}}, "alice"),
    ],
    "exists": [
        ({"age": {"$exists": True}}, "alice bob carol dave erin frank"),
        ({"age": {"$exists": False}}, "list none text"),
        ({"address.city": {"$exists": True}}, "alice bob"),
        ({"metadata.rank": {"$exists": True}}, "alice carol erin"),
    ],
    "contains": [
        ({"name": {"$contains": "li"}}, "alice list"),
        ({"name": {"$contains": "%v_"}}, "dave"),
        ({"name": {"$contains": "_"}}, "dave"),
        ({"tags": {"$contains": "y"}}, "alice bob"),
        ({"tags": {"$contains": "x"}}, "alice dave"),
        ({"name": {"$contains": ""}}, "alice bob carol dave erin frank list"),
        ({"key": {"$contains": "a"}}, "alice carol dave frank"),
    ],
    "prefix": [
        ({"name": {"$prefix": "A"}}, "alice list"),
        ({"name": {"$prefix": "D%"}}, "dave"),
        ({"name": {"$prefix": "\u00c9"}}, "erin"),
        ({"key": {"$prefix": "t"}}, "text"),
        ({"metadata.kind": {"$prefix": "ad"}}, "carol dave"),
    ],
    "regex": [
        ({"name": {"$regex": "^[A-C]"}}, "alice carol list"),
        ({"name": {"$regex": "(?i)^BOB$"}}, "bob"),
        ({"name": re.compile("l.c")}, "alice list"),
        ({"key": {"$regex": "e.t$"}}, "text"),
    ],
    "logic": [
        ({"$and": [{"age": 30}, {"ok": True}]}, "alice"),
        ({"age": 30, "ok": True}, "alice"),
        ({"$or": [{"name": "bob"}, {"metadata.kind": "admin"}]}, "bob carol dave"),
        ({"$not": {"age": {"$exists": True}}}, "list none text"),
        ({"age": {"$not": {"$gt": 1}}}, "carol dave list none text"),
        ({"$not": {"$or": [{"age": 30}, {"metadata.kind": "list"}]}}, "carol dave erin frank none text"),
        ({"$or": [{"$and": [{"age": 30}, {"$not": {"ok": True}}]}, {"key": "none"}]}, "bob none"),
        ({"metadata.kind": "user", "tags": {"$ne": "x"}}, "bob"),
        ({}, " ".join(EVERYONE)),
    ],
    "attributes": [
        ({"created_at": {"$gt": datetime(2000, 1, 1, tzinfo=UTC)}}, " ".join(EVERYONE)),
        ({"created_at": {"$lt": "2000-01-01"}}, ""),
        ({"updated_at": {"$gte": datetime.now(UTC) - timedelta(days=1)}}, " ".join(EVERYONE)),
        ({"size": {"$gt": 0}}, " ".join(EVERYONE)),
        ({"size": {"$exists": False}}, ""),
        ({"format": "text"}, "text"),
        ({"format": {"$ne": "json"}}, "text"),
    ],
}
WRONG: dict[str, dict[str, Any]] = {
    "'\\$gte'": {"metadata.age": {"$gtee": 3}},
    "metadata.age.*list": {"metadata.age": {"$in": 3}},
    "\\$or.*list": {"$or": {"a": 1}},
    "a.*True or False": {"a": {"$exists": "yes"}},
    "a.*regex": {"a": {"$regex": "("}},
    "side by side": {"a": {"$gt": 1, "b": 2}},
    "empty segment": {"a..b": 1},
}


class OperatorTests(Suite):
    """``dm.query`` answers what ``node.matches`` answers."""

    @needs(RecordProvider, CanQuery)
    @pytest.mark.parametrize("cases", CASES.values(), ids=CASES)
    def test_operators(
        self, dm: DataManager, storage_type: str, cases: list[tuple[dict[str, Any], str]]
    ) -> None:
        store_records(dm, storage_type)
        answers = {
            repr(filters): " ".join(dm.query(storage_type, filters, order_by="key").keys)
            for filters, _ in cases
        }
        assert answers == {repr(filters): expected for filters, expected in cases}

    @needs(RecordProvider, CanQuery)
    @pytest.mark.parametrize("cases", CASES.values(), ids=CASES)
    def test_what_is_pushed_down_and_what_is_left_make_up_the_filter(
        self, dm: DataManager, storage_type: str, cases: list[tuple[dict[str, Any], str]]
    ) -> None:
        store_records(dm, storage_type)
        everything = dm.query(storage_type).records
        for filters, expected in cases:
            plan = dm.query(storage_type, filters).plan
            pushed, residual = parse(plan.pushed), parse(plan.residual)
            matching = [
                found.key for found in everything if pushed.matches(found) and residual.matches(found)
            ]
            assert " ".join(sorted(matching)) == expected, filters
            assert plan.returned == len(expected.split()) <= plan.scanned, filters

    @needs(CanQuery)
    @pytest.mark.parametrize("problem, filters", WRONG.items())
    def test_a_mistake_is_named_before_anything_is_read(
        self, dm: DataManager, storage_type: str, problem: str, filters: dict[str, Any]
    ) -> None:
        with pytest.raises(InvalidFilterError, match=problem):
            dm.query(storage_type, filters)
        with pytest.raises(InvalidFilterError, match=problem):
            dm.iter_query(storage_type, filters)


def store_records(dm: DataManager, storage_type: str) -> None:
    """The records the cases are about."""
    dm.store_many(
        [data for data, _ in RECORDS.values()],
        storage_type,
        RECORDS,
        [metadata for _, metadata in RECORDS.values()],
    ).raise_for_errors()
