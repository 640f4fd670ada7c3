"""The filter grammar, the meaning of every operator, and the order of values of any type."""

from __future__ import annotations

import json
import math
import pickle
import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from itertools import pairwise, permutations
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from conftest import cases
from hypothesis import given, settings
from hypothesis import strategies as st

from praval_storage.errors import InvalidFilterError
from praval_storage.filters import (
    EVERYTHING,
    MAX_DEPTH,
    NOTHING,
    OPERATORS,
    And,
    Compare,
    Node,
    Not,
    Or,
    Order,
    Path,
    equal,
    matches_foreign,
    parse,
    parse_order,
    paths,
    rank,
    sort_records,
)
from praval_storage.keys import validate_key
from praval_storage.testing import strategies
from praval_storage.testing.strategies import Sample

NOON = datetime(2025, 1, 15, 12, tzinfo=UTC)
BIG = 2**53
MISSING = object()
LEAF_SETTINGS = settings(max_examples=cases(300))


class Colour(Enum):
    RED = "red"


def naive(*parts: int) -> datetime:
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


def record(x: Any = MISSING, **data: Any) -> Sample:
    return Sample("k", data if x is MISSING else {"x": x, **data})


def matches(filters: Any, sample: Sample) -> bool:
    return parse(filters).matches(sample)


# Equality


@pytest.mark.parametrize(
    "operand,same,different",
    [
        (
            1,
            [1, 1.0, Decimal(1), [1], [2, 1.0], (1,), {1, "a"}],
            [True, "1", 2, [[1]], {"x": 1}, None, [True]],
        ),
        (True, [True, [1, True]], [1, 1.0, "true", False, [1], {"a": True}]),
        (False, [False], [0, None, "", []]),
        ("", ["", ["", "a"]], [None, [], {}, 0, " "]),
        ("1", ["1"], [1, 1.0]),
        ("e\u0301", ["e\u0301"], ["\u00e9"]),
        (BIG + 1, [BIG + 1], [BIG, float(BIG), float(BIG + 2)]),
        (float(BIG), [BIG, float(BIG)], [BIG + 1]),
        (10**30, [10**30, Decimal(10) ** 30], [1e30, 10**30 + 1]),
        (-0.0, [0, 0.0, -0.0], [False]),
        (math.inf, [math.inf, Decimal("inf")], [-math.inf, 10**400]),
        (math.nan, [math.nan, Decimal("nan"), [math.nan]], [0, None]),
        (0.1, [0.1], [Decimal("0.1")]),
        (None, [None, [None, 1]], [[], {}, "", 0, False]),
        ([], [[], (), [[]]], [None, {}, "", set()]),
        ([1, 2], [[1, 2], (1.0, 2), [[1, 2], 3]], [[2, 1], [1], [1, 2, 3], [True, 2], {1, 2}]),
        ((1, 2), [[1, 2], (1, 2)], [[1], frozenset({1, 2})]),
        ({1, 2}, [{2, 1}, frozenset({1.0, 2})], [{1}, {1, 3}, [1, 2], {True, 2}]),
        ({}, [{}, [{}]], [None, [], {"a": 1}]),
        (
            {"a": 1, "b": [1]},
            [{"b": (1.0,), "a": 1}, [{"a": 1, "b": [1]}]],
            [{"a": 1}, {"a": True, "b": [1]}, {"a": 1, "b": [True]}, {"a": 1, "b": [1], "c": None}],
        ),
        ({1: "a"}, [{1: "a"}, {1.0: "a"}], [{True: "a"}, {"1": "a"}]),
        (NOON, [NOON, NOON.astimezone(timezone(timedelta(hours=5)))], [NOON.replace(tzinfo=None), str(NOON)]),
        (NOON.replace(tzinfo=None), [naive(2025, 1, 15, 12)], [NOON, NOON.date()]),
        (date(2025, 1, 15), [date(2025, 1, 15)], [naive(2025, 1, 15), "2025-01-15"]),
        (b"a", [b"a", [b"a"]], ["a", b"b"]),
        (UUID(int=1), [UUID(int=1)], [str(UUID(int=1)), 1]),
        (1 + 0j, [1 + 0j], [1, 1.0]),
        (Colour.RED, ["red", Colour.RED], ["RED"]),
    ],
)
def test_equality(operand: Any, same: list[Any], different: list[Any]) -> None:
    for value in same:
        assert matches({"x": {"$eq": operand}}, record(value)), value
        assert matches({"x": {"$in": ["no", operand]}}, record(value)), value
        assert not matches({"x": {"$ne": operand}}, record(value)), value
        assert not matches({"x": {"$nin": [operand]}}, record(value)), value
    for value in different:
        assert not matches({"x": {"$eq": operand}}, record(value)), value
        assert not matches({"x": {"$in": [operand, "no"]}}, record(value)), value
        assert matches({"x": {"$ne": operand}}, record(value)), value
        assert matches({"x": {"$nin": [operand]}}, record(value)), value


def test_clock_times_of_a_repeated_hour_are_two_instants() -> None:
    first = datetime(2025, 10, 26, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    second = first.replace(fold=1)
    assert first == second  # to Python, within one zone
    assert not equal(first, second)
    assert matches({"x": {"$gt": first}}, record(second))
    assert equal(second, datetime(2025, 10, 26, 1, 30, tzinfo=UTC))


def test_the_ends_of_the_calendar_compare() -> None:
    end = datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))
    assert equal(end, end)
    assert matches({"x": {"$gt": NOON}}, record(end))
    assert rank(NOON) < rank(end)


@LEAF_SETTINGS
@given(strategies.values(json_only=False, nan=True), strategies.values(json_only=False, nan=True))
def test_equality_is_symmetric_and_reflexive(left: Any, right: Any) -> None:
    assert equal(left, left)
    assert equal(left, right) == equal(right, left)


def test_none_matches_null_and_missing() -> None:
    for sample in (record(None), record(), record(y=1), Sample("k", None), Sample("k", "text")):
        assert matches({"x": None}, sample)
        assert matches({"x": {"$in": [None, 7]}}, sample)
        assert not matches({"x": {"$ne": None}}, sample)
        assert not matches({"x": {"$nin": [None]}}, sample)
    assert not matches({"x": None}, record(0))


@pytest.mark.parametrize(
    "condition",
    [{"$ne": 1}, {"$nin": [1]}, {"$not": {"$eq": 1}}, {"$not": {"$gt": 0}}, {"$not": {"$regex": "."}}],
)
def test_negations_include_missing_fields(condition: dict[str, Any]) -> None:
    assert matches({"x": condition}, record())
    assert matches({"x": condition}, record(None))
    assert matches({"x": {"$exists": True}} | {"y": condition}, record(3))


def test_empty_in_matches_nothing_and_empty_nin_everything() -> None:
    for sample in (record(), record(None), record([]), record(1)):
        assert not matches({"x": {"$in": []}}, sample)
        assert matches({"x": {"$nin": ()}}, sample)


def test_in_takes_any_plain_iterable() -> None:
    for operand in (
        [1, 2],
        (1, 2),
        {1, 2},
        frozenset({1, 2}),
        {1: "a", 2: "b"}.keys(),
        iter([1, 2]),
        range(1, 3),
    ):
        node = parse({"x": {"$in": operand}})
        assert node == Compare(Path("data", ("x",)), "in", (1, 2))
        assert node.matches(record(2))
        assert not node.matches(record(3))


# Ranges


@pytest.mark.parametrize(
    "operand,below,above",
    [
        (5, [4, 4.9, -math.inf, Decimal("4.9"), -(10**30)], [6, 5.1, math.inf, 10**30, Decimal("5.1")]),
        (BIG + 1, [float(BIG), BIG], [BIG + 2, float(BIG + 2)]),
        (float(BIG), [BIG - 1], [BIG + 1]),
        (Decimal("0.1"), [Decimal("0.09")], [0.1]),
        ("b", ["", "a", "a\uffff", "B"], ["ba", "c", "\u00e9", "\U0001f600"]),
        ("\uffff", ["a", "\uff5e"], ["\U0001f600"]),
        (
            NOON,
            [NOON - timedelta(microseconds=1)],
            [datetime(2025, 1, 15, 12, tzinfo=timezone(timedelta(hours=-1)))],
        ),
        (naive(2025, 1, 15), [naive(2025, 1, 14)], [naive(2025, 1, 15, 0, 0, 1)]),
        (date(2025, 1, 15), [date(2025, 1, 14)], [date(2025, 1, 16)]),
    ],
)
def test_ranges(operand: Any, below: list[Any], above: list[Any]) -> None:
    expected = {"$lt": (1, 0, 0), "$lte": (1, 1, 0), "$gte": (0, 1, 1), "$gt": (0, 0, 1)}
    for name, wanted in expected.items():
        for values, want in zip((below, [operand], above), wanted, strict=True):
            for value in values:
                assert matches({"x": {name: operand}}, record(value)) == bool(want), (name, value)
                assert matches({"x": {name: operand}}, record([None, value])) == bool(want), (name, value)


OF_EVERY_CLASS = [
    5, "b", NOON, NOON.replace(tzinfo=None), date(2025, 1, 15), True, None, math.nan, {"a": 5},
    [[5, "b"]], b"b",
]  # fmt: skip


@pytest.mark.parametrize("name", ["$gt", "$gte", "$lt", "$lte"])
@pytest.mark.parametrize("operand", OF_EVERY_CLASS[:5])
def test_ranges_keep_to_one_type_class(name: str, operand: Any) -> None:
    for value in [other for other in OF_EVERY_CLASS if other is not operand]:
        assert not matches({"x": {name: operand}}, record(value)), value
    assert not matches({"x": {name: operand}}, record())
    assert not matches({"x": {name: math.nan}}, record(operand))
    assert not matches({"x": {name: math.nan}}, record(math.nan))


# The other operators


@pytest.mark.parametrize(
    "filters,sample,expected",
    [
        ({"x": {"$exists": True}}, record(None), True),
        ({"x": {"$exists": True}}, record([]), True),
        ({"x": {"$exists": True}}, record(), False),
        ({"x": {"$exists": False}}, record(), True),
        ({"x": {"$exists": False}}, record(None), False),
        ({"x.a": {"$exists": True}}, record([{"b": 1}, {"a": None}]), True),
        ({"x.a": {"$exists": True}}, record([]), False),
        ({"data": {"$exists": True}}, Sample("k", None), True),
        ({"metadata": {"$exists": True}}, Sample("k"), True),
        ({"size": {"$exists": True}}, Sample("k"), False),
        ({"created_at": {"$exists": True}}, Sample("k", created_at=NOON), True),
        ({"x": {"$contains": "b"}}, record("abc"), True),
        ({"x": {"$contains": ""}}, record(""), True),
        ({"x": {"$contains": "B"}}, record("abc"), False),
        ({"x": {"$contains": "b"}}, record(["abc"]), False),
        ({"x": {"$contains": "b"}}, record(["a", "b"]), True),
        ({"x": {"$contains": "b"}}, record({"b": 1}), False),
        ({"x": {"$contains": 1}}, record("1"), False),
        ({"x": {"$contains": 1}}, record([1.0]), True),
        ({"x": {"$contains": 1}}, record([True]), False),
        ({"x": {"$contains": 1}}, record({1, "a"}), True),
        ({"x": {"$contains": 1}}, record(1), False),
        ({"x": {"$contains": [1]}}, record([[1], 2]), True),
        ({"x": {"$contains": [1]}}, record([1]), False),
        ({"x": {"$contains": {"a": 1}}}, record([{"a": 1.0}]), True),
        ({"x": {"$contains": None}}, record([None]), True),
        ({"x": {"$contains": None}}, record(), False),
        ({"x": {"$prefix": "ab"}}, record("abc"), True),
        ({"x": {"$prefix": ""}}, record(""), True),
        ({"x": {"$prefix": "bc"}}, record("abc"), False),
        ({"x": {"$prefix": "a%"}}, record("abc"), False),
        ({"x": {"$prefix": "ab"}}, record(["x", "abc"]), True),
        ({"x": {"$prefix": ""}}, record(1), False),
        ({"x": {"$prefix": ""}}, record(), False),
        ({"x": {"$regex": "b.$"}}, record("abc"), True),
        ({"x": {"$regex": "^b"}}, record("abc"), False),
        ({"x": {"$regex": "^b"}}, record(["abc", "b"]), True),
        ({"x": {"$regex": "."}}, record(5), False),
        ({"x": {"$regex": re.compile("B", re.IGNORECASE)}}, record("abc"), True),
        ({"x": re.compile("^a")}, record("abc"), True),
        ({"x": {"$not": re.compile("^a")}}, record("abc"), False),
        ({"x": {"$gt": 1, "$lt": 3}}, record(2), True),
        ({"x": {"$gt": 1, "$lt": 3}}, record(3), False),
        # Each operator is a question of its own, so that two elements may answer them.
        ({"x": {"$gt": 1, "$lt": 3}}, record([0, 5]), True),
        ({"x.a": 1}, record([{"a": 0}, {"a": 1}]), True),
        ({"x.a": {"$ne": 1}}, record([{"a": 0}, {"a": 1}]), False),
        ({"x.a": None}, record([{"a": 0}, {"b": 1}]), False),
        ({"x": 1, "y": 2}, record(1, y=2), True),
        ({"x": 1, "y": 2}, record(1, y=3), False),
        ({"$or": [{"x": 1}, {"y": 2}]}, record(0, y=2), True),
        ({"$or": [{"x": 1}, {"y": 2}]}, record(0, y=0), False),
        ({"$and": [{"x": 1}, {"y": 2}]}, record(1, y=0), False),
        ({"$not": {"x": 1, "y": 2}}, record(1, y=0), True),
        ({"x": {"$not": {"$gt": 1, "$lt": 3}}}, record(5), True),
        ({"$not": {}}, record(), False),
        ({}, record(), True),
        (None, record(), True),
    ],
)
def test_operators(filters: Any, sample: Sample, expected: bool) -> None:
    assert matches(filters, sample) is expected


# Paths


@pytest.mark.parametrize(
    "path,data,found",
    [
        ("a", {"a": 1}, [1]),
        ("a", [{"a": 1}, {"b": 2}, {"a": [3]}], [1, [3]]),
        ("a", [[{"a": 1}]], []),
        ("a.b", {"a": [{"b": 1}, {"b": [2]}, 3, None]}, [1, [2]]),
        ("a.b", {"a": [{"b": [{"c": 1}]}]}, [[{"c": 1}]]),
        ("a.b.c", {"a": [{"b": [{"c": 1}, {"c": 2}]}, {"b": {"c": 3}}]}, [1, 2, 3]),
        ("a.b", {"a": [[{"b": 1}]]}, []),
        ("a.0", {"a": [5, 6]}, [5]),
        ("a.2", {"a": [5, 6]}, []),
        ("a.00", {"a": [5]}, []),
        ("a.-1", {"a": [5]}, []),
        ("a.0", {"a": {"0": 7}}, [7]),
        ("a.0", {"a": [{"0": 7}, 8]}, [7, {"0": 7}]),
        ("a.0.b", {"a": [[{"b": 1}]]}, [1]),
        ("a.1", {"a": (5, 6)}, [6]),
        ("0", [5, 6], [5]),
        ("a.99999999999999999999999", {"a": [5]}, []),
        ("a.b", {"a.b": 1}, []),
        ("a.b", {"a": "b"}, []),
        ("a", None, []),
        ("a", "text", []),
        ("a", {"a": None}, [None]),
        ("data", [1], [[1]]),
        ("data.data", {"data": 1}, [1]),
    ],
)
def test_paths_find(path: str, data: Any, found: list[Any]) -> None:
    assert list(Path.parse(path).values(Sample("k", data))) == found


def test_paths_reach_every_attribute() -> None:
    sample = Sample("k", {"key": "d"}, {"a": {"b": 1}}, NOON, NOON, 5, "json")
    for path, value in {
        "key": "k", "size": 5, "format": "json", "created_at": NOON, "updated_at": NOON,
        "metadata.a.b": 1, "metadata.a": {"b": 1}, "data.key": "d", "data": {"key": "d"},
    }.items():  # fmt: skip
        assert matches({path: value}, sample), path
        assert not matches({path: {"$ne": value}}, sample), path


@pytest.mark.parametrize(
    "text,path,spelled",
    [
        ("user_id", Path("data", ("user_id",)), "user_id"),
        ("data.a.b", Path("data", ("a", "b")), "a.b"),
        ("metadata.a", Path("metadata", ("a",)), "metadata.a"),
        ("data.key", Path("data", ("key",)), "data.key"),
        ("data.data", Path("data", ("data",)), "data.data"),
        ("data.$ref", Path("data", ("$ref",)), "data.$ref"),
        ("-a", Path("data", ("-a",)), "data.-a"),
        ("metadata", Path("metadata"), "metadata"),
        ("data", Path("data"), "data"),
        ("size", Path("size"), "size"),
    ],
)
def test_paths_are_spelled_as_short_as_they_read_back(text: str, path: Path, spelled: str) -> None:
    assert Path.parse(text) == path
    assert str(path) == spelled
    assert Path.parse(spelled) == path


# Times


@pytest.mark.parametrize(
    "operand",
    [
        NOON,
        naive(2025, 1, 15, 12),
        datetime(2025, 1, 15, 13, tzinfo=timezone(timedelta(hours=1))),
        "2025-01-15T12:00:00Z",
        "2025-01-15 12:00",
        "2025-01-15T13:00:00+01:00",
    ],
)
@pytest.mark.parametrize("path", ["created_at", "updated_at"])
def test_times_of_a_record_compare_with_whatever_names_a_time(path: str, operand: Any) -> None:
    sample = Sample("k", created_at=NOON, updated_at=NOON)
    node = parse({path: operand})
    assert node == Compare(Path(path), "eq", NOON)
    assert node.matches(sample)
    assert matches({path: {"$in": [operand], "$gte": operand, "$lte": operand}}, sample)
    assert not matches({path: {"$gt": operand}}, sample)


def test_a_date_is_its_first_moment_in_utc() -> None:
    for operand in (date(2025, 1, 15), "2025-01-15"):
        assert matches(
            {"created_at": {"$gte": operand}}, Sample("k", created_at=datetime(2025, 1, 15, tzinfo=UTC))
        )
        assert not matches({"created_at": {"$lte": operand}}, Sample("k", created_at=NOON))


def test_an_unknown_time_is_missing() -> None:
    assert matches({"created_at": None}, Sample("k"))
    assert matches({"created_at": {"$in": [None, NOON]}}, Sample("k"))
    assert not matches({"created_at": {"$lt": NOON}}, Sample("k"))
    assert matches({"created_at": {"$not": {"$lt": NOON}}}, Sample("k"))


def test_strings_in_data_are_no_times() -> None:
    assert not matches({"x": {"$gte": NOON}}, record("2025-01-16T00:00:00+00:00"))
    assert not matches({"x": NOON}, record(NOON.isoformat()))


# Values of other libraries


def test_numpy_scalars_stand_for_python_values() -> None:
    np = pytest.importorskip("numpy")
    for operand, value in [
        (np.int64(BIG + 1), BIG + 1), (np.float32(0.5), 0.5), (np.bool_(True), True), (np.str_("a"), "a"),
        (np.datetime64("2025-01-15T12:00:00", "ns"), naive(2025, 1, 15, 12)),
        (np.datetime64("2025-01-15", "D"), date(2025, 1, 15)),
        (np.timedelta64(1, "s"), timedelta(seconds=1)),
        (np.timedelta64(1000, "ns"), timedelta(microseconds=1)),
    ]:  # fmt: skip
        node = parse({"x": operand})
        assert type(node.operand) is type(value)  # type: ignore[attr-defined]
        assert node.matches(record(value))
        assert matches({"x": value}, record(operand))
        assert matches({"x": value}, record([operand]))
    assert not matches({"x": 1}, record(np.bool_(True)))
    assert matches({"x": {"$in": np.array([1, 2])}}, record(2))
    assert not matches({"x": 1}, record(np.array([1])))
    assert matches({"x": {"$exists": np.bool_(True)}}, record(1))


def test_pandas_values_compare_and_never_raise() -> None:
    pd = pytest.importorskip("pandas")
    stamp = pd.Timestamp("2025-01-15T12:00:00Z")
    assert matches({"x": {"$gte": stamp}}, record(NOON))
    assert matches({"x": NOON}, record(stamp))
    assert matches({"created_at": stamp}, Sample("k", created_at=NOON))
    assert matches({"x": pd.NaT}, record(pd.NaT))
    assert not matches({"x": pd.NaT}, record(None))
    assert matches({"x": {"$in": pd.Series(["a", "b"])}}, record("b"))
    frame = pd.DataFrame({"a": [1]})
    for filters in ({"data": 1}, {"data": b"a"}, {"a": 1}, {"data": {"$in": [UUID(int=1), 1]}}, {"x": pd.NA}):
        assert not matches(filters, Sample("k", frame))
        assert not matches(filters, record(frame))
    assert not matches({"x": 1}, record(pd.NA))
    assert rank(frame)[0] > rank("a")[0]


# Mistakes


@pytest.mark.parametrize(
    "filters,message",
    [
        ([("a", 1)], "A filter must be a mapping, not list"),
        ("a", "A filter must be a mapping, not str"),
        ({"$gt": 3}, r"'\$gt' compares a field .* \{'path': \{'\$gt': 3\}\}"),
        ({"a": {"$gtt": 3}}, r"Unknown operator '\$gtt' at path 'a'. Did you mean '\$gt"),
        ({"metadata.a": {"$GT": 3}}, r"'\$GT' at path 'metadata.a'. Did you mean '\$gt'"),
        ({"a": {"$neq": 3}}, r"Did you mean '\$ne'"),
        ({"$orr": [{}]}, r"Unknown operator '\$orr' where a path belongs. Did you mean '\$or'"),
        ({"a": {"$elephant": 3}}, r"The operators are \$eq \$ne"),
        ({"a": {"$eq": 1, "b": 2}}, r"At path 'a': the operator '\$eq' and the field 'b' stand side by side"),
        (
            {"n": {"gt": 0}},
            r"At path 'n': \{'gt': 0\} names.*Did you mean \{'\$gt': 0\}\?.*write 'n\.gt', or",
        ),
        ({"metadata": {"gte": 1, "lt": 2}}, r"'\$gte': 1, '\$lt': 2\}\?.*'metadata.gte' and 'metadata.lt'"),
        ({"size": {"gt": 0}}, r"Did you mean \{'\$gt': 0\}\?$"),
        ({"a": {"$not": {"in": [1]}}}, r"Did you mean \{'\$in': \[1\]\}\?"),
        ({"$or": [{"a": {"exists": True}}]}, r"Did you mean \{'\$exists': True\}"),
        ({"a": {"b": {"$gt": 1}}}, r"At path 'a': an operator inside of a sub-document. Write 'a.b'"),
        ({"metadata": {"a": {"b": {"$gt": 1}}}}, r"Write 'metadata.a.b'"),
        ({"a": {"$or": [{"$gt": 1}]}}, r"At path 'a': '\$or' takes whole filters"),
        ({"$or": {"a": 1}}, r"'\$or' takes a list of filters, not dict"),
        ({"$and": []}, r"'\$and' takes at least one filter"),
        ({"$not": [{"a": 1}]}, "A filter must be a mapping, not list"),
        ({"a": {"$not": 5}}, r"At path 'a': '\$not' takes operators.*use '\$ne'"),
        ({"a": {"$not": {}}}, r"'\$not' takes operators"),
        ({"a": {"$not": {"b": 1}}}, r"'\$not' takes operators"),
        ({"": 1}, "Path '' has an empty segment"),
        ({"a..b": 1}, "Path 'a..b' has an empty segment"),
        ({"metadata.": 1}, "Path 'metadata.' has an empty segment"),
        ({5: 1}, "A path must be a str, not int: 5"),
        ({None: 1}, "A path must be a str, not NoneType"),
        ({"size.width": 1}, "'size' of a record has no parts.*'data.size.width'"),
        ({"a": {"$gt": None}}, r"At path 'a': '\$gt' takes a number, string, datetime or date, not None"),
        ({"a": {"$gte": True}}, r"'\$gte' takes .* not True \(bool\)"),
        ({"a": {"$lt": [1]}}, r"'\$lt' takes .* not \[1\] \(list\)"),
        ({"a": {"$lte": {"b": 1}}}, r"'\$lte' takes .* \(dict\)"),
        ({"a": {"$gt": b"a"}}, r"'\$gt' takes .* \(bytes\)"),
        ({"a": {"$in": "abc"}}, r"At path 'a': '\$in' takes a list, tuple or set, not 'abc' \(str\)"),
        ({"a": {"$nin": 5}}, r"'\$nin' takes a list, tuple or set, not 5"),
        ({"a": {"$in": {"b": 1}}}, r"'\$in' takes a list, tuple or set"),
        ({"a": {"$exists": 1}}, r"'\$exists' takes True or False, not 1"),
        ({"a": {"$prefix": 1}}, r"'\$prefix' takes a str, not 1"),
        ({"a": {"$regex": "("}}, r"At path 'a': '\$regex' '\(' is invalid: missing \)"),
        ({"a": {"$regex": 1}}, r"'\$regex' takes a str or a compiled str pattern, not 1"),
        ({"a": {"$regex": re.compile(b"a")}}, r"'\$regex' takes a str or a compiled str pattern"),
        ({"a": {"$in": [re.compile("a")]}}, r"At path 'a': a compiled pattern goes under '\$regex'"),
        ({"a": bytearray(b"x")}, "At path 'a': a bytearray cannot be compared with"),
        ({"key": 5}, r"At path 'key': '\$eq' takes a str, not 5"),
        ({"key": {"$in": ["a", 5]}}, r"At path 'key': '\$in' takes a str, not 5"),
        ({"format": {"$gt": 5}}, r"At path 'format': '\$gt' takes a str"),
        ({"key": {"$contains": None}}, r"At path 'key': '\$contains' takes a str"),
        ({"key": {"$gt": None}}, r"At path 'key': '\$gt' takes a str, not None"),
        ({"size": "5"}, r"At path 'size': '\$eq' takes a number, not '5'"),
        ({"size": {"$ne": True}}, r"At path 'size': '\$ne' takes a number, not True"),
        ({"size": {"$prefix": "5"}}, r"At path 'size': '\$prefix' does not apply to a number"),
        (
            {"created_at": 5},
            r"At path 'created_at': '\$eq' takes a datetime, a date or an ISO 8601 string, not 5",
        ),
        (
            {"created_at": {"$gt": "soon"}},
            r"'\$gt' takes a datetime, a date or an ISO 8601 string, not 'soon'",
        ),
        ({"updated_at": {"$regex": "^2025"}}, r"At path 'updated_at': '\$regex' does not apply to a time"),
        ({"a": parse({"b": 1})}, "At path 'a': a whole filter cannot be the value"),
    ],
)
def test_mistakes_are_named(filters: Any, message: str) -> None:
    with pytest.raises(InvalidFilterError, match=message):
        parse(filters)


class _NeverShown:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


@pytest.mark.parametrize("operand", [10**5_000, _NeverShown()], ids=["number", "other"])
@pytest.mark.parametrize("operator", ["$prefix", "$regex", "$exists", "$not"])
def test_an_operand_that_cannot_be_shown_is_refused_as_any_other(operator: str, operand: Any) -> None:
    with pytest.raises(InvalidFilterError, match=rf"'{re.escape(operator)}' takes .* not \.\.\."):
        parse({"x": {operator: operand}})


@given(
    st.dictionaries(
        st.sampled_from([name.removeprefix("$") for name in OPERATORS]), st.integers(), min_size=1
    ),
    st.sampled_from(["n", "data.n", "metadata", "metadata.a.b"]),
)
def test_operators_without_their_sign_are_refused_and_can_be_meant(
    document: dict[str, int], path: str
) -> None:
    with pytest.raises(InvalidFilterError, match=re.escape(f"'{Path.parse(path)}.{next(iter(document))}'")):
        parse({path: document})
    literal = parse({path: {"$eq": document}})
    assert isinstance(literal, Compare)
    assert literal.operand == document
    assert parse(literal.to_filters()) == literal
    for name, value in document.items():
        assert parse({f"{path}.{name}": value}) == Compare(Path.parse(f"{path}.{name}"), "eq", value)
    another = {**document, "other": 1}
    assert parse({path: another}) == Compare(Path.parse(path), "eq", another)


def test_a_frame_or_array_as_operand_is_refused() -> None:
    np = pytest.importorskip("numpy")
    with pytest.raises(InvalidFilterError, match=r"At path 'a': a ndarray cannot .*\.tolist\(\)"):
        parse({"a": np.array([1, 2])})
    with pytest.raises(InvalidFilterError, match="takes a list, tuple or set"):
        parse({"a": {"$in": np.array([[1], [2]])}})


def test_nesting_is_limited() -> None:
    def nested(depth: int, step: str) -> Any:
        filters: Any = {"x": {"$gt": 1}}
        for _ in range(depth):
            filters = {
                "$not": {"$not": filters},
                "$and": {"$and": [filters]},
                "path": {"x": {"$not": filters["x"]}} if step == "path" else None,
                "operand": {"x": [filters["x"]] if isinstance(filters.get("x"), list) else [1]},
            }[step]
        return filters

    deep: dict[str, Any] = {}
    for _ in range(MAX_DEPTH + 1):
        deep = {"$not": deep}
    with pytest.raises(InvalidFilterError, match="nests deeper than 64 levels"):
        parse(deep)
    for step in ("$not", "$and", "path", "operand"):
        assert isinstance(parse(nested(MAX_DEPTH, step)), Node)
        with pytest.raises(InvalidFilterError, match="nests deeper than 64 levels"):
            parse(nested(MAX_DEPTH + 1, step))


# Trees


@pytest.mark.parametrize(
    "filters,node",
    [
        ({}, And(())),
        ({"a": 1}, Compare(Path("data", ("a",)), "eq", 1)),
        ({"a": {"$ne": 1}}, Not(Compare(Path("data", ("a",)), "eq", 1))),
        ({"a": {"$nin": [1]}}, Not(Compare(Path("data", ("a",)), "in", (1,)))),
        (
            {"size": {"$gt": 1, "$lt": 5}, "$or": [{"key": "a"}, {"$not": {}}]},
            And(
                (
                    Compare(Path("size"), "gt", 1),
                    Compare(Path("size"), "lt", 5),
                    Or((Compare(Path("key"), "eq", "a"), NOTHING)),
                )
            ),
        ),
    ],
)
def test_trees(filters: Any, node: Node) -> None:
    assert parse(filters) == node
    assert parse(node) is node
    assert parse({"$and": [node]}) == And((node,))


def test_trees_tell_their_filter() -> None:
    filters = {"a": {"$gt": 1, "$lt": 5}, "b": {"$ne": {"c": 1}}, "$or": [{"c": [1]}, {"d": {"$regex": "x"}}]}
    assert parse(filters).to_filters() == filters
    assert repr(parse(filters)) == f"parse({filters!r})"
    assert parse({"a": {"$eq": {"$gt": 1}}}).to_filters() == {"a": {"$eq": {"$gt": 1}}}
    assert parse({"data.a": 1}).to_filters() == {"a": 1}
    pattern = re.compile("x", re.IGNORECASE)
    assert parse({"a": pattern}).to_filters() == {"a": {"$regex": pattern}}


def test_trees_keep_the_order_of_their_conditions() -> None:
    node = parse({"a": {"$gt": 1}, "b": 2, "data.a": {"$lt": 5}})
    assert node.to_filters() == {"$and": [{"a": {"$gt": 1}}, {"b": 2}, {"a": {"$lt": 5}}]}
    assert parse(node.to_filters()) == node


def test_trees_tell_values_apart_as_filters_do() -> None:
    assert parse({"a": 1}) != parse({"a": True})
    assert parse({"a": 1}) == parse({"a": 1.0})
    assert parse({"a": math.nan}) == parse({"a": float("nan")})
    assert parse({"a": 1}) != parse({"b": 1})
    assert len({parse({"a": [1]}), parse({"data.a": (1,)})}) == 1


def test_an_empty_or_cannot_be_made() -> None:
    with pytest.raises(InvalidFilterError, match="at least one child"):
        Or(())
    with pytest.raises(InvalidFilterError, match="'ne' is not the operator"):
        Compare(Path("key"), "ne", 1)


def test_later_changes_to_an_operand_do_not_matter() -> None:
    operand = [1, {"a": [2]}]
    node = parse({"x": operand})
    operand[1]["a"].append(3)  # type: ignore[index]
    assert node.matches(record([1, {"a": [2]}]))


def test_paths_of_a_tree() -> None:
    node = parse({"a": 1, "$or": [{"metadata.b": 1}, {"$not": {"key": "k", "data.a": 2}}]})
    assert paths(node) == {Path.parse(path) for path in ("a", "metadata.b", "key")}
    assert paths(EVERYTHING) == frozenset()


@settings(max_examples=cases(400))
@given(strategies.filters(json_only=False, nan=True))
def test_a_tree_is_told_parsed_and_pickled_without_change(filters: dict[str, Any]) -> None:
    node = parse(filters)
    again = parse(node.to_filters())
    assert again == node
    assert hash(again) == hash(node)
    assert pickle.loads(pickle.dumps(node)) == node


@settings(max_examples=cases(300))
@given(strategies.records(json_only=False, nan=True), strategies.filters(json_only=False, nan=True))
def test_negation_is_the_complement(sample: Sample, filters: dict[str, Any]) -> None:
    node = parse(filters)
    assert isinstance(node.matches(sample), bool)
    assert Not(node).matches(sample) is not node.matches(sample)
    assert parse({"$or": [filters, {"$not": filters}]}).matches(sample)
    assert not parse({"$and": [filters, {"$not": filters}]}).matches(sample)
    assert pickle.loads(pickle.dumps(node)).matches(sample) is node.matches(sample)


# What others wrote


@pytest.mark.parametrize(
    "filters,possible",
    [
        ({}, True),
        ({"$not": {}}, False),
        ({"metadata.a": 1}, False),
        ({"metadata.a": {"$ne": 1}}, True),
        ({"metadata.a": None}, True),
        ({"metadata.a": {"$exists": False}}, True),
        ({"metadata.a": {"$exists": True}}, False),
        ({"metadata": {}}, True),
        ({"metadata": {"a": 1}}, False),
        ({"a": 1}, True),
        ({"a": 1, "metadata.b": 2}, False),
        ({"$or": [{"a": 1}, {"metadata.b": 2}]}, True),
        ({"$or": [{"metadata.a": 1}, {"metadata.b": {"$gt": 2}}]}, False),
        ({"$not": {"metadata.a": {"$exists": False}}}, False),
        ({"$not": {"$or": [{"a": 1}, {"metadata.a": None}]}}, False),
        ({"$not": {"a": 1}}, True),
        ({"key": {"$in": []}}, False),
        ({"$not": {"$and": [{"metadata.a": 1}, {"b": 2}]}}, True),
    ],
)
def test_what_can_match_without_metadata(filters: Any, possible: bool) -> None:
    assert matches_foreign(parse(filters)) is possible


@settings(max_examples=cases(300))
@given(strategies.records(), strategies.filters())
def test_what_cannot_match_without_metadata_never_does(sample: Sample, filters: dict[str, Any]) -> None:
    node = parse(filters)
    foreign = Sample(
        sample.key, sample.data, {}, sample.created_at, sample.updated_at, sample.size, sample.format
    )
    assert matches_foreign(node) or not node.matches(foreign)


# Order

IN_ORDER = [
    None, False, True, math.nan, -math.inf, -1, 0.5, 1, BIG, BIG + 1, BIG + 2.0, 10**30, math.inf,
    "", "A", "a", "\u00e9", "\uffff", "\U0001f600",
    date(2025, 1, 14), naive(2025, 1, 14, 12), NOON, naive(2025, 1, 15, 13), date(2025, 1, 16),
    UUID(int=1), b"a", b"b", {"a": 1}, {"b": 1}, [1], [2], [], {1},
]  # fmt: skip


def test_values_of_all_types_have_one_order() -> None:
    for (low, value), (high, other) in pairwise(enumerate(IN_ORDER)):
        assert rank(value) < rank(other), (low, high, value, other)


def test_equal_values_tie() -> None:
    for left, right in [
        (1, 1.0), (-0.0, 0), (math.nan, Decimal("nan")), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ([1], (1,)),
        ({0, 8}, {8, 0}), (NOON, NOON.astimezone(timezone(timedelta(hours=3)))),
    ]:  # fmt: skip
        assert rank(left) == rank(right)


@LEAF_SETTINGS
@given(*[strategies.values(json_only=False, nan=True)] * 3)
def test_the_order_of_values_is_total(a: Any, b: Any, c: Any) -> None:
    ranks = [rank(value) for value in (a, b, c)]
    for left, right in permutations(ranks, 2):
        assert (left < right) + (right < left) + (left == right) == 1
    low, middle, high = sorted(ranks)
    assert low <= middle <= high
    assert low <= high


@pytest.mark.parametrize(
    "text,order",
    [
        ("key", Order(Path("key"))),
        ("-created_at", Order(Path("created_at"), descending=True)),
        ("-a.b", Order(Path("data", ("a", "b")), descending=True)),
        ("data.-a", Order(Path("data", ("-a",)))),
    ],
)
def test_orders_are_parsed(text: str, order: Order) -> None:
    assert parse_order(text) == order
    assert parse_order(order) is order
    assert parse_order(str(order)) == order
    assert parse_order(None) is None


@pytest.mark.parametrize("text", ["", "-", "a..b", "-$gt", "key.a", 5, ["key"]])
def test_orders_that_are_no_path_are_refused(text: Any) -> None:
    with pytest.raises(InvalidFilterError):
        parse_order(text)


def test_an_order_looks_at_one_value_and_does_not_fan_out() -> None:
    path = Path.parse("a.b")
    assert path.value(Sample("k", {"a": {"b": 1}})) == 1
    assert path.value(Sample("k", {"a": [{"b": 1}]})) is None
    assert path.value(Sample("k", "text")) is None
    assert Path.parse("a.1.b").value(Sample("k", {"a": [0, {"b": 1}]})) == 1
    assert Path.parse("a.2").value(Sample("k", {"a": [0, 1]})) is None


def test_ties_come_by_key_in_both_directions() -> None:
    samples = [Sample(key, {"x": x}) for key, x in [("c", 1), ("a", 1.0), ("d", 2), ("b", 1)]]
    assert [sample.key for sample in sort_records(samples, parse_order("x"))] == ["a", "b", "c", "d"]
    assert [sample.key for sample in sort_records(samples, parse_order("-x"))] == ["d", "a", "b", "c"]
    assert [sample.key for sample in sort_records(samples, parse_order("-x"), limit=2)] == ["d", "a"]
    assert [sample.key for sample in sort_records(samples, parse_order("-key"))] == ["d", "c", "b", "a"]
    assert sort_records(iter(samples), None, limit=2) == samples[:2]


@settings(max_examples=cases(150))
@given(strategies.tables(json_only=False, nan=True), strategies.orders(), strategies.limits(), st.randoms())
def test_sorting_does_not_depend_on_the_start(table: Any, text: Any, limit: Any, random: Any) -> None:
    order = parse_order(text or "key")
    assert order is not None
    expected = [sample.key for sample in sort_records(table, order)]
    shuffled = random.sample(table, len(table))
    assert [sample.key for sample in sort_records(shuffled, order)] == expected
    assert [sample.key for sample in sort_records(shuffled, order, limit)] == expected[:limit]
    places = [(order.sort_key(sample), sample.key) for sample in sort_records(table, order)]
    for (rank_before, key_before), (rank_after, key_after) in pairwise(places):
        in_order = rank_before > rank_after if order.descending else rank_before < rank_after
        assert in_order or (rank_before == rank_after and key_before < key_after)


# The strategies


def test_the_keys_of_the_pool_are_legal_and_none_is_a_folder_of_another() -> None:
    assert [validate_key(key) for key in strategies.KEYS] == list(strategies.KEYS)
    assert not [(a, b) for a, b in permutations(strategies.KEYS, 2) if b.startswith(f"{a}/")]


@LEAF_SETTINGS
@given(strategies.values())
def test_what_json_alone_can_hold_survives_json(value: Any) -> None:
    again = json.loads(json.dumps(value, allow_nan=False))
    assert equal(again, value)
    assert repr(again) == repr(value)


@LEAF_SETTINGS
@given(strategies.filters(roots=("key", "metadata")))
def test_filters_keep_to_the_roots_asked_for(filters: dict[str, Any]) -> None:
    assert {path.root for path in paths(parse(filters))} <= {"key", "metadata"}
