"""Frames of results: every cell is the value that was stored, on the fast route as on the exact one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import cases
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shelf import PLAN, WHEN, Shelf, foreign, of, result, stored

from praval_storage.errors import SerializationError
from praval_storage.filters import Path
from praval_storage.records import Stored
from praval_storage.results import Listing, QueryResult, SearchResult, json_text
from praval_storage.results.columns import column_name
from praval_storage.results.json_text import read_flat_json
from praval_storage.scan import Neighbour
from praval_storage.serialization import decode_json

# -- what a cell must be


def is_null(cell: object) -> bool:
    return cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and cell != cell)


def same(cell: Any, value: Any) -> bool:
    """Equal as ``retrieve`` means it: ``True`` is not ``1``, a missing value is null."""
    if is_null(value):
        return is_null(cell)
    if isinstance(value, np.ndarray):
        return type(cell) is np.ndarray and cell.dtype == value.dtype and np.array_equal(cell, value)
    if isinstance(value, dict):
        return (
            isinstance(cell, dict)
            and cell.keys() == value.keys()
            and all(same(cell[k], value[k]) for k in value)
        )
    if isinstance(value, list | tuple):
        return type(cell) is type(value) and len(cell) == len(value) and all(map(same, cell, value))
    return isinstance(cell, bool | np.bool_) == isinstance(value, bool) and bool(cell == value)


def same_in_arrow(cell: Any, value: Any) -> bool:
    """As :func:`same`, where objects of one column share their fields and missing ones are null."""
    if isinstance(value, dict) and isinstance(cell, dict):
        return all(same_in_arrow(cell.get(name), value.get(name)) for name in {**cell, **value})
    if isinstance(value, list) and isinstance(cell, list):
        return len(cell) == len(value) and all(map(same_in_arrow, cell, value))
    return same(cell, value)


def expected(values: Sequence[Any]) -> dict[str, list[Any]]:
    """Column name to cells, from the specification and one record at a time."""
    found: dict[str, list[Any]] = {}
    for place, value in enumerate(values):
        for name, cell in value.items() if isinstance(value, dict) else ():
            found.setdefault(column_name(name, "data"), [None] * len(values))[place] = cell
    whole = [None if isinstance(value, dict) else value for value in values]
    if any(cell is not None for cell in whole) or not any(isinstance(value, dict) for value in values):
        found["data"] = whole
    return found


def check_pandas(found: QueryResult, values: Sequence[Any]) -> None:
    frame = found.to_pandas()
    wanted = expected(values)
    assert list(frame.columns) == ["key", *wanted, "created_at"]
    for name, cells in wanted.items():
        for place, value in enumerate(cells):
            assert same(frame.loc[place, name], value), (name, place, frame.loc[place, name], value)


def check_arrow(found: QueryResult, values: Sequence[Any]) -> None:
    table = found.to_arrow()
    wanted = expected(values)
    assert table.column_names == ["key", *wanted, "created_at"]
    for name, cells in wanted.items():
        in_json = table.schema.field(name).type == pa.json_()
        for cell, value in zip(table.column(name).to_pylist(), cells, strict=True):
            cell = json.loads(cell) if in_json and cell is not None else cell
            assert same_in_arrow(cell, value), (name, cell, value)


def check_polars(found: QueryResult, values: Sequence[Any]) -> None:
    frame = found.to_polars()
    arrow = found.to_arrow()
    wanted = expected(values)
    assert frame.columns == ["key", *wanted, "created_at"]
    for name, cells in wanted.items():
        in_json = arrow.schema.field(name).type == pa.json_()
        for cell, value in zip(frame[name].to_list(), cells, strict=True):
            cell = json.loads(cell) if in_json and cell is not None else cell
            assert same_in_arrow(cell, value), (name, cell, value)


def check(found: QueryResult, values: Sequence[Any]) -> None:
    check_pandas(found, values)
    check_arrow(found, values)
    check_polars(found, values)


# -- random tables

TEXTS = st.one_of(
    st.text(max_size=4),
    st.sampled_from(
        ["2024-01-01", "2024-01-01T10:00:00", "2024-01-01T10:00:00Z", "12:00", "1", "true", "\0", "\ud800"]
    ),
)
INTEGERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 2**64, 10**30]),
)
FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([-0.0, 0.1, 1e16, 1e300, 5e-324])
)
SCALARS = st.one_of(st.none(), st.booleans(), INTEGERS, FLOATS, TEXTS)
NAMES = st.sampled_from(
    ["a", "b", "c", "key", "size", "score", "data", "data.a", "metadata.a", "$a", "a.b", "é", ""]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
KINDS = [st.booleans(), INTEGERS, st.integers(-3, 3), FLOATS, TEXTS, st.lists(st.integers()), SCALARS, VALUES]


@st.composite
def tables(draw: st.DrawFn) -> list[Any]:
    """What tables look like (one kind per field, some nulls, some gaps), and often one exception."""
    fields = draw(st.dictionaries(NAMES, st.sampled_from(KINDS), max_size=4))
    cells = {name: st.none() | kind if draw(st.booleans()) else kind for name, kind in fields.items()}
    row = st.fixed_dictionaries({}, optional=cells) if draw(st.booleans()) else st.fixed_dictionaries(cells)
    rows: list[Any] = draw(st.lists(row, min_size=1, max_size=6))
    if draw(st.booleans()):
        rows.insert(draw(st.integers(0, len(rows))), draw(VALUES))
    return rows


@settings(max_examples=cases(600, 20_000))
@given(tables())
@example([{"at": "2024-01-01"}])
@example([{"a": 2**53 + 1}, {"a": 0.5}])
@example([{"a": 2**64}, {"a": 1}])
@example([{"a": {"b": 1}}, {"a": {"c": 1}}, {"a": {}}])
@example([{"a": [1]}, {"a": [2]}])
@example([{"a": {"": 1, "b": 2}}])
@example([{"a": {}}, {"a": None}])
@example([{"a": {"x\0": 1}}])
@example([None, {}])
@example([{"a": [1.5, True]}])
@example([{"a": 1.5}, {"a": True}])
@example([{"a": [None, None]}, {"a": [None, 1]}])
def test_every_cell_is_the_value_that_was_stored(values: list[Any]) -> None:
    check(of(*values), values)


@settings(max_examples=cases(200, 10_000))
@given(tables(), st.sampled_from([1, 50]), st.sampled_from([1, 5]))
def test_cells_do_not_depend_on_how_the_text_is_split(values: list[Any], block: int, sample: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "BLOCK_SIZE", block)
        patch.setattr(json_text, "SAMPLE", sample)
        check(of(*values * 5), values * 5)


TIMES = st.datetimes(timezones=st.none() | st.just(UTC) | st.just(ZoneInfo("Europe/Berlin")))
TYPED_KINDS = [
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    TIMES,
    st.dates(),
    st.decimals(allow_nan=False, places=2),
    st.uuids(),
    st.binary(max_size=3),
    st.timedeltas(),
    st.dates() | st.text(max_size=3),
    TEXTS,
    st.integers(),
]


@st.composite
def typed_tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    fields = draw(st.dictionaries(NAMES | st.just("a/~*"), st.sampled_from(TYPED_KINDS), max_size=3))
    cells = {name: st.none() | kind if draw(st.booleans()) else kind for name, kind in fields.items()}
    row = st.fixed_dictionaries({}, optional=cells) if draw(st.booleans()) else st.fixed_dictionaries(cells)
    return draw(st.lists(row, min_size=1, max_size=5))


@settings(max_examples=cases(400, 10_000))
@given(typed_tables())
@example([{"a": datetime(2026, 3, 29, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))}])
@example([{"a": datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)}])
@example([{"a": date(2026, 1, 1)}, {"a": "2026-01-01"}, {"a": None}])
def test_typed_cells_are_the_values_that_were_stored(values: list[dict[str, Any]]) -> None:
    check_pandas(of(*values), values)


# -- typed values

ZONE = ZoneInfo("Europe/Berlin")
NAIVE = datetime(2026, 3, 1, 12, 30, 0, 5)  # noqa: DTZ001 - naive times are one of the cases
TYPED: dict[str, tuple[list[Any], str, str]] = {
    "naive": ([NAIVE, None], "datetime64[us]", "timestamp[us]"),
    "utc": ([WHEN, WHEN], "datetime64[us, UTC]", "timestamp[us, tz=UTC]"),
    "zone": (
        [NAIVE.replace(tzinfo=ZONE), None],
        "datetime64[us, Europe/Berlin]",
        "timestamp[us, tz=Europe/Berlin]",
    ),
    "offsets": (
        [WHEN.astimezone(timezone(timedelta(hours=1))), WHEN],
        "datetime64[us, UTC]",
        "timestamp[us, tz=UTC]",
    ),
    "timedelta": ([timedelta(1, 2, 3), None], "timedelta64[us]", "duration[us]"),
    "date": ([date(1, 1, 1), None], "object", "date32[day]"),
    "time": ([time(1, 2, 3, 4), None], "object", "time64[us]"),
    "decimal": ([Decimal("1.10"), Decimal(2)], "object", "decimal128(3, 2)"),
    "uuid": ([UUID(int=5), None], "object", "extension<arrow.uuid>"),
    "bytes": ([b"\0\xff", None], "object", "binary"),
    "nan": ([float("nan"), 1.0], "float64", "double"),
    "text": (["\0", None], "str", "string"),
    "surrogate": (["\ud800", "b"], "object", "extension<arrow.json>"),
    "large": ([2**63, None], "UInt64", "uint64"),
    "huge": ([2**64, -1], "object", "extension<arrow.json>"),
    "tuple": ([(1, 2), None], "object", "list<item: int64>"),
    "array": ([np.array([1.0, 2.0]), np.array([3.0])], "object", "list<item: double>"),
    "float32": ([np.float32(1.5), np.float32(2)], "float32", "float"),
    "Timestamp": ([pd.Timestamp("2026-01-01"), pd.NaT], "datetime64[us]", "timestamp[us]"),
    "nanoseconds": ([pd.Timestamp(1), pd.Timestamp(2)], "datetime64[ns]", "timestamp[ns]"),
    "Timedelta": ([pd.Timedelta(5), None], "timedelta64[ns]", "duration[ns]"),
    "int8": ([np.int8(1), None], "Int8", "int8"),
    "naive and aware": ([NAIVE, WHEN], "object", ""),
    "aware time": ([time(1, tzinfo=UTC), None], "object", ""),
    "complex": ([1 + 2j, None], "object", ""),
    "set": ([{1}, None], "object", ""),
    "decimal nan": ([Decimal("Infinity"), None], "object", ""),
    "several": ([1, b"x"], "object", ""),
    "long": ([timedelta.max, None], "object", ""),
}


@pytest.mark.parametrize("name", TYPED)
def test_values_that_json_cannot_say(name: str) -> None:
    values, dtype, arrow_type = TYPED[name]
    found = of(*({"x": value} for value in values))
    series = found.to_pandas()["x"]
    assert str(series.dtype) == dtype
    assert all(map(same, series, values))
    if arrow_type:
        column = found.to_arrow()["x"]
        assert str(column.type) == arrow_type
        assert [cell is None for cell in column.to_pylist()] == [
            value is None or value is pd.NaT for value in values
        ]
        assert found.to_polars().shape == (2, 3)
        return
    with pytest.raises(SerializationError, match=r"Column 'x' .* to_pandas"):
        found.to_arrow()
    with pytest.raises(SerializationError, match=r"Column 'x' .* to_pandas"):
        found.to_polars()


@pytest.mark.parametrize(
    "name", ["utc", "zone", "offsets", "decimal", "uuid", "bytes", "large", "time", "nan"]
)
def test_typed_cells_of_arrow_are_the_values(name: str) -> None:
    values = TYPED[name][0]
    assert all(map(same, of(*({"x": value} for value in values)).to_arrow()["x"].to_pylist(), values))


def test_polars_has_the_moments_of_fixed_offsets_in_utc() -> None:
    moment = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    west = moment.astimezone(timezone(-timedelta(hours=5)))
    frame = of(*[{"t": moment, "inside": {"list": [west, None]}}, {"t": None, "inside": None}]).to_polars()
    assert frame["t"].to_list() == [moment, None]
    assert str(frame["t"].dtype) == "Datetime(time_unit='us', time_zone='UTC')"
    assert frame["inside"][0] == {"list": [west, None]}


def test_what_polars_refuses_is_an_error_of_ours() -> None:
    interval = pa.array([(1, 2, 3)], pa.month_day_nano_interval())[0].as_py()
    with pytest.raises(SerializationError, match=r"Polars.*to_arrow\(\)"):
        result([Stored("k", "object", data={"x": interval})]).to_polars()


def test_whole_frames_stay_frames() -> None:
    frame = pd.DataFrame({"a": [1]})
    found = of(frame, {"b": 1})
    cells = found.to_pandas()
    pd.testing.assert_frame_equal(cells.loc[0, "data"], frame)
    assert list(cells.columns) == ["key", "b", "data", "created_at"]
    with pytest.raises(SerializationError, match=r"Column 'data' .*DataFrame"):
        found.to_arrow()


# -- columns


def test_columns_and_dtypes() -> None:
    rows = [
        stored("a", {"n": 1, "x": 0.5, "s": "2024-01-01", "ok": True}, {"team": "red", "deep": {"x": 1}}),
        stored("b", {"n": None, "x": 1, "s": None, "ok": None, "late": [1]}, {"team": None}),
    ]
    frame = result(rows).to_pandas()
    assert frame.dtypes.astype(str).to_dict() == {
        "key": "str", "n": "Int64", "x": "float64", "s": "str", "ok": "boolean", "late": "object",
        "metadata.team": "str", "metadata.deep": "object", "created_at": "datetime64[us, UTC]",
    }  # fmt: skip
    assert frame.loc[0, "metadata.deep"] == {"x": 1}
    assert list(frame["created_at"]) == [WHEN, WHEN]


def test_no_records_still_have_a_key_and_a_time() -> None:
    frame = of().to_pandas()
    assert frame.dtypes.astype(str).to_dict() == {"key": "object", "created_at": "datetime64[us, UTC]"}
    assert of().to_arrow().schema.names == of().to_polars().columns == ["key", "created_at"]


FIELDS = [
    "plain",
    "key",
    "size",
    "created_at",
    "updated_at",
    "format",
    "data",
    "metadata",
    "score",
    "$or",
    "é",
]


def test_a_column_name_is_the_filter_path_of_its_cells() -> None:
    found = of({field: place for place, field in enumerate(FIELDS)})
    frame = found.to_pandas()
    assert len(frame.columns) == len(FIELDS) + 2
    for column in frame.columns:
        assert Path.parse(column).value(found.records[0]) == frame.loc[0, column]


def test_fields_with_dots_do_not_collide() -> None:
    row = {"a.b": 1, "data.a": 2, "a": 3, "metadata.x": 4, "data.data.a": 5}
    frame = result([stored("k", row, {"x": 6, "y.z": 7})]).to_pandas()
    wanted = {"a.b": 1, "data.data.a": 2, "a": 3, "data.metadata.x": 4, "data.data.data.a": 5}
    cells = frame.drop(columns=["key", "created_at"]).loc[0].to_dict()
    assert cells == {**wanted, "metadata.x": 6, "metadata.y.z": 7}


def test_typed_metadata() -> None:
    frame = result(
        [stored("k", {"a": 1}, {"at": NAIVE, "of": Decimal(1)}), stored("l", {"a": 1})]
    ).to_pandas()
    assert frame.loc[0, "metadata.at"] == NAIVE
    assert frame["metadata.of"].tolist() == [Decimal(1), None]


def test_dicts_with_other_keys_are_not_picked_apart() -> None:
    values = [{1: "a"}, {"x": 1}, {"\ud800": 1}, {"n\0": 1}]
    frame = of(*values).to_pandas()
    assert list(frame.columns) == ["key", "x", "data", "created_at"]
    assert frame["data"].tolist() == [values[0], None, *values[2:]]


def test_late_fields_come_last_and_are_not_lost() -> None:
    rows = (
        [{"b": "2024-01-01", "a": 1}] * 60_000
        + [{"z": "2024-01-02"}, {"y": 1.5, "b": None}]
        + [{"a": 1}] * 60_000
    )
    found = of(*rows)
    for columns in (found.to_pandas().columns, found.to_polars().columns, found.to_arrow().column_names):
        assert list(columns) == ["key", "b", "a", "z", "y", "created_at"]
    table = found.to_arrow()
    assert table["z"].drop_null().to_pylist() == ["2024-01-02"]
    assert table["a"].null_count == 2
    assert table["a"].type == pa.int64()


def test_search_has_scores_and_listings_have_facts_but_no_data() -> None:
    row = stored("k", {"score": 1}, {"m": 2})
    facts = {"storage_type": "shelf", "truncated": False, "limit": 9, "plan": PLAN}
    found = SearchResult([Neighbour(row, 0.5, 2.0)], Shelf(), metric="euclid", **facts).to_pandas()
    assert found.drop(columns="created_at").to_dict("records") == [
        {"key": "k", "score": 0.5, "data.score": 1, "metadata.m": 2}
    ]
    shelf = Shelf()
    listing = Listing([row._replace(body=None)], shelf, **facts)
    assert listing.to_arrow().to_pylist() == [
        {"key": "k", "format": "json", "size": 11, "metadata.m": 2, "created_at": WHEN, "updated_at": WHEN}
    ]
    assert shelf.filled == shelf.loaded == []


# -- text that others wrote


@pytest.mark.parametrize(
    "texts",
    [
        ['{\n  "a": 1,\n  "b": "x"\n}', '{"a": 2}\n'],
        ['{"a": 1, "a": 2}'],
        ['{"a": "\\ud800"}'],
        ['{"a": NaN}', '{"a": 1}'],
        ['{"a": 1E400}'],
        ['{"a": 18446744073709551616}', '{"a": {"b": 18446744073709551616}}'],
        ['\ufeff{"a": 1}'],
        ['{"a": {"b": "2024-01-01"}}', '{"a": {"b": "x"}}'],
        ["1", '"x"', "null", "[1]"],
    ],
)
def test_whatever_decodes_is_in_the_frame(texts: list[str]) -> None:
    values = [decode_json(text.encode()) for text in texts]
    check_pandas(foreign(*texts), values)


@pytest.mark.parametrize(
    "first, text",
    [
        ('{"a": "x"}', b'{"a": "\xff"}'),
        ('{"a": 1}', b'{"a": 1'),
        ("1", b""),
        ("1", b'1, "x": 2'),
        ("1", b'1}\n{"value": 2'),
        ("[1]", b"[1], [2]"),
        ("[]", b"[" * 50_000 + b"]" * 50_000),
    ],
    ids=["encoding", "cut short", "empty", "member", "line", "item", "very deep"],
)
def test_what_does_not_decode_is_an_error(first: str, text: bytes) -> None:
    with pytest.raises(SerializationError):
        foreign(first, text).to_pandas()


def test_names_that_no_column_can_have() -> None:
    frame = foreign('{"n\\u0000": 1}').to_pandas()
    assert frame["data"].tolist() == [{"n\0": 1}]


@pytest.mark.parametrize(
    "texts",
    [
        ["1"] * 200_000 + ["[1]"] * 200_000,
        ['{"a": [1]}'] * 200_000 + ['{"a": {}}'] * 200_000,
        ['{"a": [null, null]}'],
        ["[" * 300 + "]" * 300],
        [json.dumps({"a": {str(place): 1 for place in range(5_000)}})] * 3,
        [json.dumps({str(place): 1 for place in range(2_000)})],
        [json.dumps({"a": "x" * 5_000_000}), '{"a": "y"}'],
    ],
    ids=["type changes late", "shape changes late", "null first", "deep", "ids as keys", "wide", "large"],
)
def test_text_that_breaks_the_fast_reader(texts: list[str]) -> None:
    found = foreign(*texts)
    last = json.loads(texts[-1])
    value = last["a"] if isinstance(last, dict) and "a" in last else last
    frame = found.to_pandas()
    assert frame.loc[len(texts) - 1, "a" if "a" in frame else "data" if "data" in frame else "1"] in (
        value,
        1,
    )
    assert found.to_arrow().num_rows == len(texts)


def test_objects_with_ids_for_keys_are_text_in_arrow() -> None:
    texts = [json.dumps({"a": {str(place + 5_000 * row): row for place in range(5_000)}}) for row in range(3)]
    column = foreign(*texts).to_arrow()["a"]
    assert column.type == pa.json_()
    assert [json.loads(cell) for cell in column.to_pylist()] == [json.loads(text)["a"] for text in texts]


# -- speed and imports


def test_what_the_fast_reader_takes() -> None:
    assert read_flat_json([b"1"] * 250_000) is not None
    assert read_flat_json([json.dumps({str(place): 1 for place in range(2_000)}).encode()]) is None
    assert read_flat_json([b'{"a": [1]}']) is None


def test_flat_records_take_the_fast_route() -> None:
    bodies = [
        row.body for row in of(*[{"a": place, "at": "2024-01-01", "n": None} for place in range(500)])._rows
    ]
    array = read_flat_json([body for body in bodies if body is not None])
    assert array is not None
    assert {field.name: str(field.type) for field in array.type} == {
        "a": "int64",
        "at": "string",
        "n": "null",
    }


@pytest.mark.parametrize(
    "value", [{"a": 1, "at": "2024-01-01"}, {"a": [1], "b": {"c": 1}}, {"at": NAIVE, "of": Decimal(1)}, 1]
)
def test_records_of_one_shape_are_not_decoded_one_by_one(value: Any) -> None:
    shelf = Shelf()
    found = result([stored(f"k{place}", value, {"m": place}) for place in range(300)], shelf)
    assert len(found.to_pandas()) == len(found.to_arrow()) == 300
    assert shelf.loaded == []


def test_libraries_load_when_a_frame_is_made() -> None:
    code = """
import sys
from praval_storage.results import QueryResult
from praval_storage.scan import Plan
found = QueryResult([], None, storage_type="s", truncated=False, limit=None, plan=Plan({}, {}, 0, 0))
repr(found), found.keys, found.references
heavy = {"pandas", "numpy", "pyarrow", "polars"}
assert not heavy & sys.modules.keys(), sys.modules.keys() & heavy
found.to_arrow()
assert "polars" not in sys.modules
sys.modules["polars"] = None
try:
    found.to_polars()
except ImportError as error:
    print(error)
"""
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "pip install 'praval_storage[polars,frames]'" in printed
