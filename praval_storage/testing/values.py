"""Values that every backend must give back exactly, and what "exactly" means."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import uuid
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from PIL import Image

BERLIN = ZoneInfo("Europe/Berlin")


class RoundTrip(NamedTuple):
    """A value, and whether what came back (first argument) is what the value (second) promises."""

    id: str
    value: Any
    equal: Callable[[Any, Any], bool]


def same(left: Any, right: Any) -> bool:
    """Same type, same value, all the way down: NaN is NaN, -0.0 is not 0.0, dtypes and zones count."""
    if type(left) is not type(right):
        return False
    compare = _COMPARE.get(type(left))
    if compare is not None:
        return bool(compare(left, right))
    return bool(left == right)


def _same_items(left: Any, right: Any) -> bool:
    return len(left) == len(right) and all(map(same, left, right))


def _same_dicts(left: Any, right: Any) -> bool:
    if len(left) != len(right):
        return False
    return all(any(same(key, other) and same(left[key], right[other]) for other in right) for key in left)


def _same_sets(left: Any, right: Any) -> bool:
    return len(left) == len(right) and all(any(same(item, other) for other in right) for item in left)


def _same_floats(left: float, right: float) -> bool:
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return left == right and math.copysign(1, left) == math.copysign(1, right)


def _same_times(left: Any, right: Any) -> bool:
    return (left.isoformat(), left.fold, repr(left.tzinfo)) == (
        right.isoformat(),
        right.fold,
        repr(right.tzinfo),
    )


def _same_arrays(left: Any, right: Any) -> bool:
    return bool(left.dtype == right.dtype and left.shape == right.shape and _bytes(left) == _bytes(right))


def _bytes(array: Any) -> bytes:
    """Bytes of an array or numpy scalar, every NaN the same one."""
    array = np.asarray(array)
    if array.dtype.kind == "c":
        return _bytes(array.real) + _bytes(array.imag)
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
    return bytes(array.tobytes())


def _same_frames(left: Any, right: Any) -> bool:
    pd.testing.assert_frame_equal(left, right, check_exact=True, check_column_type=True)
    return bool(left.columns.identical(right.columns)) and same(left.attrs, right.attrs)


def _same_series(left: Any, right: Any) -> bool:
    pd.testing.assert_series_equal(left, right, check_exact=True)
    return same(left.name, right.name) and same(left.attrs, right.attrs)


def _same_stamps(left: Any, right: Any) -> bool:
    return (left.unit, repr(left)) == (right.unit, repr(right))


def _same_images(left: Any, right: Any) -> bool:
    return (left.mode, left.size, left.tobytes()) == (right.mode, right.size, right.tobytes())


_COMPARE: dict[type, Callable[[Any, Any], bool]] = {
    list: _same_items,
    tuple: _same_items,
    dict: _same_dicts,
    set: _same_sets,
    frozenset: _same_sets,
    float: _same_floats,
    complex: lambda left, right: repr(left) == repr(right),
    decimal.Decimal: lambda left, right: str(left) == str(right),
    dt.datetime: _same_times,
    dt.time: _same_times,
    np.ndarray: _same_arrays,
    pd.DataFrame: _same_frames,
    pd.Series: _same_series,
    pd.Timestamp: _same_stamps,
    pd.Timedelta: _same_stamps,
    type(pd.NaT): lambda left, right: left is right,
    type(pd.NA): lambda left, right: left is right,
    pa.Table: lambda left, right: (
        left.equals(right) and left.schema.equals(right.schema, check_metadata=True)
    ),
    pl.DataFrame: lambda left, right: left.schema == right.schema and left.equals(right),
    Image.Image: _same_images,
    **dict.fromkeys((np.float16, np.float32, np.float64, np.complex64, np.complex128), _same_arrays),
    **{
        kind: lambda left, right: left.dtype == right.dtype and str(left) == str(right)
        for kind in (np.datetime64, np.timedelta64)
    },
}


class Color(enum.Enum):
    """An enumeration, which stores by value."""

    RED = "red"


class Level(enum.IntEnum):
    """An integer enumeration."""

    HIGH = 3


class Word(str):
    """A subclass of a JSON type."""


class Count(int):
    """A subclass of a JSON type."""


Point = namedtuple("Point", "x y")


@dataclass
class Person:
    """A dataclass, which stores as a dict."""

    name: str
    born: dt.date


def _utc(year: int, month: int, day: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(year, month, day, hour, tzinfo=dt.UTC)


_JSON: dict[str, Any] = {
    "none": None,
    "true": True,
    "false": False,
    "int": 42,
    "int-negative": -1,
    "int-63-bits": 2**63 - 1,
    "int-64-bits": 2**63,
    "int-huge": -(10**100),
    "float": 0.1,
    "float-integral": 1.0,
    "float-large": 1e300,
    "float-1e16": 1e16,
    "float-tiny": 5e-324,
    "float-negative-zero": -0.0,
    "nan": math.nan,
    "infinity": math.inf,
    "negative-infinity": -math.inf,
    "str": "Grüße, 世界 🦜",
    "str-empty": "",
    "str-date-like": "2020-01-01T00:00:00",
    "str-nul": "a\x00b\\u0000",
    "str-surrogate": "\ud800 and \ud83d\ude00",
    "list-empty": [],
    "dict-empty": {},
    "nested": {"a": [1, {"b": [None, True, 1.5, "x"]}]},
    "complex": complex(1, -0.0),
    "complex-nan": complex(math.nan, math.inf),
    "bytes-nested": [b"\x00\xff", b""],
    "bytearray-nested": [bytearray(b"\x00\xff")],
    "tuple": (1, (2, [3]), ()),
    "set": {1, 2, 3},
    "set-mixed": {1, "a", None, (1, 2), frozenset({3})},
    "frozenset": frozenset({"b", "a"}),
    "range": range(1, 10, 2),
    "date": dt.date(2020, 2, 29),
    "datetime": dt.datetime(2020, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001  # naive on purpose
    "datetime-utc": _utc(2020, 1, 2, 3),
    "datetime-offset": dt.datetime(2020, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=-3, seconds=7))),
    "datetime-zone": dt.datetime(2020, 7, 1, tzinfo=BERLIN),
    "datetime-fold": dt.datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=BERLIN),
    "datetime-min": dt.datetime.min,  # noqa: DTZ901  # naive on purpose
    "time": dt.time(23, 59, 59, 999999),
    "time-zone": dt.time(1, 2, tzinfo=BERLIN, fold=1),
    "time-offset": dt.time(1, 2, tzinfo=dt.timezone(dt.timedelta(minutes=30))),
    "timedelta": dt.timedelta(days=3, seconds=5, microseconds=7),
    "timedelta-negative": dt.timedelta(microseconds=-1),
    "timedelta-min": dt.timedelta.min,
    "timedelta-max": dt.timedelta.max,
    "decimal": decimal.Decimal("1.10"),
    "decimal-exponent": decimal.Decimal("-0E+30"),
    "decimal-nan": decimal.Decimal("NaN"),
    "decimal-snan": decimal.Decimal("-sNaN123"),
    "decimal-infinity": decimal.Decimal("-Infinity"),
    "uuid": uuid.UUID("12345678-1234-5678-1234-567812345678"),
    "keys-int": {1: "a", 2: "b"},
    "keys-colliding": {1: "a", "1": "b", 1.5: "c", "1.5": "d"},
    "keys-mixed": {None: 1, False: 2, dt.date(2020, 1, 1): 3, (1, "a"): 4, "2020-01-01": 5, math.inf: 6},
    "keys-pointer": {"a/b": (1,), "~": (2,), "*": (3,), "": (4,), "~0~1~2": (5,)},
    "keys-nul": {"a\x00": 1, "\ud800": 2, "a\\u0000": 3},
    "keys-dollar": {"$types": {"": "tuple"}, "$value": [1]},
    "keys-starred": {str(i): dt.date(2020, 1, 1 + i) for i in range(12)},
    "many-datetimes": [_utc(2020, 1, 1 + i) for i in range(20)],
    "many-with-gaps": [_utc(2020, 1, 1 + i) if i % 2 else None for i in range(20)],
    "many-mixed": [(i,) if i % 2 else [i] for i in range(20)],
    "many-floats": [1e20, 3, 2.5, math.nan, -math.inf, 1e17, 7] * 4,
    "many-records": [{"at": _utc(2020, 1, 1 + i), "at2": "2020", "v": (i, {i})} for i in range(20)],
    "numpy-bool": np.bool_(True),
    **{f"numpy-{kind}": np.dtype(kind).type(3) for kind in "bBhHiIlLefdFD"},
    "numpy-uint64-max": np.uint64(2**64 - 1),
    "numpy-longdouble": np.longdouble("0.1"),
    "numpy-float32": np.float32(0.1),
    "numpy-nan": np.float64("nan"),
    "numpy-negative-zero": np.float32(-0.0),
    "numpy-str": np.str_("ab"),
    "numpy-bytes": np.bytes_(b"a\x00b"),
    "numpy-datetime64": np.datetime64("2020-01-01T00:00:00.123456789"),
    "numpy-datetime64-day": np.datetime64("2020-01-01", "D"),
    "numpy-datetime64-nat": np.datetime64("NaT", "s"),
    "numpy-timedelta64": np.timedelta64(5, "ms"),
    "array-nested": {"v": np.arange(6, dtype="<f4").reshape(2, 3)},
    "array-special": [np.array([np.nan, -0.0, np.inf, 1e300])],
    "array-int": [np.array([[-(2**63)], [2**63 - 1]])],
    "array-uint64": [np.array([2**64 - 1, 0], dtype="<u8")],
    "array-float16": [np.array([0.1, 65504], dtype="<f2")],
    "array-big-endian": [np.array([1.5, 2.5], dtype=">f8"), np.array([1, 2], dtype=">i4")],
    "array-0d": [np.array(5.5)],
    "array-empty": [np.zeros((0, 3)), np.zeros((3, 0), dtype="<i2")],
    "array-bool": [np.array([True, False])],
    "array-complex": [np.array([[1 + 2j, complex("nan")]]), np.array([], dtype="<c8")],
    "array-str": [np.array(["a", "längér"]), np.array(["a\x00b"])],
    "array-bytes": [np.array([b"ab", b"c"])],
    "array-datetime": [np.array(["2020-01-01", "NaT"], dtype="<M8[ns]"), np.array([5, 6], dtype="<m8[h]")],
    "array-record": [np.array([(1, 2.5, [1, 2])], dtype=[("a", "<i4"), ("b", "<f8"), ("c", "<i2", (2,))])],
    "timestamp": pd.Timestamp("2020-01-01T00:00:00.123456789"),
    "timestamp-zone": pd.Timestamp("2020-10-25 00:30", tz="UTC").tz_convert("Europe/Berlin"),
    "timestamp-seconds": pd.Timestamp("2020-01-01", tz="UTC").as_unit("s"),
    "timedelta-pandas": pd.Timedelta(-5, unit="ns"),
    "nat": pd.NaT,
    "na": [pd.NA, pd.NaT, None, math.nan],
}

_WHOLE: dict[str, Any] = {
    "text": "Grüße\r\n\x00",
    "bytes": b"\x00\xff",
    "bytearray": bytearray(b"\x00\xff"),
    "array": np.arange(12, dtype="<f4").reshape(3, 4),
    "array-fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "frame": pd.DataFrame({"i": [1, 2], "f": [0.1, np.nan], "s": ["a", None], "b": [True, False]}),
    "frame-nullable": pd.DataFrame(
        {"i": pd.array([1, None], dtype="Int64"), "b": pd.array([None, True], dtype="boolean")}
    ),
    "frame-arrow": pd.DataFrame(
        {
            "i": pd.array([1, None], dtype="int64[pyarrow]"),
            "l": pd.Series([[1], None], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
        }
    ),
    "frame-strings": pd.DataFrame(
        {kind: pd.array(["x", None], dtype=kind) for kind in ("str", "string", "string[python]")}
    ),
    "frame-categories": pd.DataFrame(
        {
            "s": pd.Categorical(["x", None, "x"], categories=["y", "x", "z"], ordered=True),
            "i": pd.Categorical([1, 2, None], categories=[2, 1, 3]),
        }
    ),
    "frame-times": pd.DataFrame(
        {
            "zone": pd.date_range("2020", periods=2, tz="Europe/Berlin"),
            "s": pd.date_range("2020", periods=2, unit="s"),
            "ns": pd.date_range("2020", periods=2, unit="ns"),
            "delta": pd.to_timedelta([1, None], unit="s"),
            "period": pd.period_range("2020", periods=2, freq="M"),
        }
    ),
    "frame-objects": pd.DataFrame(
        {
            "s": pd.Series(["x", None], dtype=object),
            "nan": pd.Series(["x", np.nan], dtype=object),
            "i": pd.Series([1, None], dtype=object),
            "decimal": [decimal.Decimal("1.50"), decimal.Decimal("2.25")],
            "date": [dt.date(2020, 1, 1), None],
            "list": [[1, 2], []],
            "array": [np.array([1.0]), np.array([])],
            "bytes": [b"x", b""],
        }
    ),
    "frame-labels": pd.DataFrame([[1, 2, 3, 4]], columns=[1, "a", "a", None]),
    "frame-positions": pd.DataFrame(np.zeros((2, 2))),
    "frame-multiindex": pd.DataFrame(
        {"a": [1, 2]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", None])
    ),
    "frame-multicolumns": pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
    "frame-index": pd.DataFrame({"a": [1, 2]}, index=pd.Index([3, 4], name=7)),
    "frame-freq": pd.DataFrame({"a": [1, 2]}, index=pd.date_range("2020", periods=2, freq="D", unit="s")),
    "frame-range": pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(5, 9, 2, name="r")),
    "frame-empty": pd.DataFrame(),
    "frame-no-rows": pd.DataFrame({"a": pd.Series([], dtype="float32"), "o": pd.Series([], dtype=object)}),
    "frame-no-columns": pd.DataFrame(index=[1, 2]),
    "series": pd.Series([1.5, None], name=("a", 1), index=["x", "y"]),
    "series-unnamed": pd.Series([1, 2], dtype="int8"),
    "arrow": pa.table({"a": [1, None], "t": pa.array([1, 2], pa.timestamp("s")), "l": [[1], None]}),
    "polars": pl.DataFrame(
        {"a": [1, None], "s": ["x", "y"], "l": [[1], [2, 3]], "d": [dt.date(2020, 1, 1), None]}
    ),
    "image": Image.frombytes("RGB", (2, 2), bytes(range(12))),
    "image-float": Image.frombytes("F", (1, 1), b"\x00\x00\x80?"),
}


def _with_attrs() -> pd.DataFrame:
    frame = pd.DataFrame({"a": [1, 2]})
    frame.attrs = {"unit": "m", "shape": (1, 2), "at": dt.date(2020, 1, 1)}
    return frame


_CONVERTED: dict[str, tuple[Any, Any]] = {
    "enum": (Color.RED, "red"),
    "enum-nested": ([Color.RED, Level.HIGH, {Color.RED: Level.HIGH}], ["red", 3, {"red": 3}]),
    "subclasses": ([Word("a"), Count(3), {Word("k"): 1}], ["a", 3, {"k": 1}]),
    "namedtuple": (Point(1, (2,)), (1, (2,))),
    "dataclass": (Person("Ada", dt.date(1815, 12, 10)), {"name": "Ada", "born": dt.date(1815, 12, 10)}),
    "mappings": ([OrderedDict(a=1), defaultdict(int, b=(2,))], [{"a": 1}, {"b": (2,)}]),
    "deque": (deque([1, (2,)]), [1, (2,)]),
    "memoryview": (memoryview(b"ab"), b"ab"),
}


def _is(expected: Any) -> Callable[[Any, Any], bool]:
    return lambda back, _: same(back, expected)


JSON_VALUES = [RoundTrip(name, value, same) for name, value in _JSON.items()]
"""Values whose stored form is natural JSON."""

WHOLE_VALUES = [
    RoundTrip(name, value, same) for name, value in {**_WHOLE, "frame-attrs": _with_attrs()}.items()
]
"""Values that have a format of their own."""

CONVERTED_VALUES = [RoundTrip(name, value, _is(back)) for name, (value, back) in _CONVERTED.items()]
"""Values that come back as the plain value they stand for."""

ROUND_TRIP_VALUES = [*JSON_VALUES, *WHOLE_VALUES]
"""Everything that comes back with the same type and value."""
