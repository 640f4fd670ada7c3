"""Every type goes in and comes out as it was; what cannot is refused with its path."""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import pickle
import subprocess
import sys
import tempfile
import uuid
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pandas as pd
import polars as pl
import pyarrow as pa
import pydantic
import pytest
from PIL import Image

from praval_storage.errors import SerializationError
from praval_storage.serialization import (
    FORMATS,
    MAX_DEPTH,
    Content,
    decode,
    decode_json,
    decode_metadata,
    dumps,
    encode,
    encode_json,
    encode_metadata,
    foreign,
    format_of_key,
    is_json_body,
    loads,
)
from praval_storage.testing.values import CONVERTED_VALUES, JSON_VALUES, ROUND_TRIP_VALUES, RoundTrip, same


def through_json(content: Content) -> Content:
    """The content as after a backend that kept body and side map as JSON text."""
    return Content(
        content.format, content.read(), content.types and orjson.loads(orjson.dumps(content.types))
    )


@pytest.mark.parametrize("case", [*ROUND_TRIP_VALUES, *CONVERTED_VALUES], ids=lambda case: case.id)
def test_round_trip(case: RoundTrip) -> None:
    content = through_json(encode(case.value))
    assert case.equal(decode(content), case.value)


@pytest.mark.parametrize("case", JSON_VALUES, ids=lambda case: case.id)
def test_json_survives_a_json_column(case: RoundTrip) -> None:
    """JSONB writes numbers out in digits, drops the sign of zero, and refuses NUL and surrogates."""
    text, types = encode_json(case.value)
    assert not any("\x00" in leaf for leaf in _leaves(json.loads(text)) if isinstance(leaf, str))
    text.decode()
    changed = json.dumps(_as_jsonb(json.loads(text)))
    assert case.equal(decode_json(changed.encode(), json.loads(json.dumps(types))), case.value)
    assert all(not isinstance(n, int) or -(2**63) <= n < 2**63 for n in _leaves(json.loads(text)))


def _as_jsonb(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_jsonb(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [_as_jsonb(item) for item in value]
    if isinstance(value, float):
        return int(value) if abs(value) >= 1e16 else (0.0 if value == 0 else value)
    return value


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, (list, dict)):
        items = value.values() if isinstance(value, dict) else value
        return [leaf for item in items for leaf in _leaves(item)]
    return [value]


@pytest.mark.parametrize("case", JSON_VALUES, ids=lambda case: case.id)
def test_dumps_and_metadata_round_trip(case: RoundTrip) -> None:
    assert case.equal(loads(dumps(case.value)), case.value)
    assert case.equal(decode_metadata(encode_metadata({"a": {"b": case.value}}))["a"]["b"], case.value)


# ---------------------------------------------------------------------------------- golden forms

GOLDEN: list[tuple[Any, str, Any]] = [
    ({"a": 1, "b": [1.5, "x", None, True]}, '{"a":1,"b":[1.5,"x",null,true]}', None),
    (
        {"at": dt.datetime(2020, 1, 2, 3, tzinfo=dt.UTC)},
        '{"at":"2020-01-02T03:00:00+00:00"}',
        {"/at": "datetime"},
    ),
    (dt.timedelta(1, 2, 3), '"P1DT0H0M2.000003S"', {"": "timedelta"}),
    ((1, 2), "[1,2]", {"": "tuple"}),
    ({"s": {2, 1}}, '{"s":[1,2]}', {"/s": "set"}),
    ([b"\x00\xff"], '["AP8="]', {"/0": "bytes"}),
    ([float("nan"), float("-inf")], '["NaN","-Infinity"]', {"/0": "float", "/1": "float"}),
    (2**63, '"9223372036854775808"', {"": "int"}),
    ({1: "a"}, '{"1":"a"}', {"": ["dict", [True, []]]}),
    ({1: "a", "1": "b"}, '{"1~2":"a","1":"b"}', {"": ["dict", None, [["1~2", [True, [], "1"]]]]}),
    ({"a*/~": (1,)}, '{"a*/~":[1]}', {"/a~2~1~0": "tuple"}),
    (["a\x00"], '["a\\\\u0000"]', {"/0": "str"}),
    ([np.float32(1.5)], "[1.5]", {"/0": ["numpy", "<f4"]}),
    ([np.zeros((1, 2))], "[[[0.0,0.0]]]", {"/0": ["ndarray", "<f8", [1, 2]]}),
    ([pd.NaT], "[null]", {"/0": "NaT"}),
    ([dt.date(2020, 1, 1)] * 9, json.dumps(["2020-01-01"] * 9, separators=(",", ":")), {"/*": "date"}),
]


@pytest.mark.parametrize("value, text, types", GOLDEN, ids=lambda part: str(part)[:20])
def test_natural_form_is_pinned(value: Any, text: str, types: Any) -> None:
    assert encode_json(value) == (text.encode(), types)


def test_homogeneous_lists_have_few_entries() -> None:
    stamps = [dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + dt.timedelta(i) for i in range(10_000)]
    rows = [{"at": at, "pair": (at, None), "note": None if i % 3 else b"x"} for i, at in enumerate(stamps)]
    for value in (stamps, [None, *stamps], rows, {str(i): at for i, at in enumerate(stamps)}):
        text, types = encode_json(value)
        assert types is not None
        assert len(types) <= 4
        assert decode_json(text, types) == value


def test_a_plain_value_has_no_side_map() -> None:
    assert encode_json({"a": [1, 2.5, -0.05, "e16", 10**18, 1e-20]})[1] is None


# ---------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "value, path, hint",
    [
        ({"a": [1, {"b": object()}]}, "data.a.1.b", "allow_pickle=True"),
        ({"a": lambda: 1}, "data.a", "allow_pickle=True"),
        ({"a": pd.DataFrame({"x": [1]})}, "data.a", "whole value"),
        ({"a": pd.Series([1])}, "data.a", "whole value"),
        ({"a": pa.table({"x": [1]})}, "data.a", "whole value"),
        ({"a": pl.DataFrame({"x": [1]})}, "data.a", "whole value"),
        ([np.array([object()])], "data.0", "tolist"),
        ([np.ma.array([1], mask=[True])], "data.0", "asarray"),
        ({"a": {object(): 1}}, "data.a", "allow_pickle=True"),
    ],
)
def test_unsupported_names_the_path_and_the_cure(value: Any, path: str, hint: str) -> None:
    with pytest.raises(SerializationError) as caught:
        encode(value)
    assert path in str(caught.value)
    assert hint in str(caught.value)


def test_the_depth_limit_is_what_decode_can_do() -> None:
    value: Any = ()
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    assert decode(encode(value)) == value
    for too_deep in ([value], {"a": value}):
        with pytest.raises(SerializationError, match=f"{MAX_DEPTH} levels"):
            encode(too_deep)


def test_cycles_are_refused() -> None:
    cycle: dict[str, Any] = {}
    cycle["self"] = [cycle]
    with pytest.raises(SerializationError, match="containing itself"):
        encode(cycle)


def test_metadata_refuses_reserved_keys_and_names_its_path() -> None:
    with pytest.raises(SerializationError, match="reserved"):
        encode_metadata({"$types": 1})
    with pytest.raises(SerializationError, match=r"metadata\.a\.0"):
        encode_metadata({"a": [object()]})
    with pytest.raises(SerializationError, match="must be a dict"):
        encode_metadata([1])  # type: ignore[arg-type]
    with pytest.raises(SerializationError, match="not a JSON object"):
        decode_metadata(b"[1]")
    assert encode_metadata({"a": 1}) == b'{"a":1}'
    assert orjson.loads(encode_metadata({"a": (1,)})) == {"a": [1], "$types": {"/a": "tuple"}}


# ---------------------------------------------------------------------------------- models and look-alikes


class Model(pydantic.BaseModel):
    at: dt.datetime
    inner: list[Model] = []


def test_models_and_namespaces_are_dicts() -> None:
    at = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    model = Model(at=at, inner=[Model(at=at)])
    assert decode(encode({"m": model})) == {"m": model.model_dump()}
    assert decode(encode(SimpleNamespace(a=(1,)))) == {"a": (1,)}


def test_importing_needs_no_heavy_library() -> None:
    heavy = {"numpy", "pandas", "pyarrow", "polars", "pydantic", "PIL"}
    code = (
        "import sys, praval_storage.serialization as s;"
        "s.decode(s.encode({'a': (1, {2})}, key='a.json'));"
        f"sys.exit(','.join({heavy} & set(sys.modules)) or None)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---------------------------------------------------------------------------------- formats


FRAME = pd.DataFrame(
    {
        "i": np.array([1, 2], dtype="int8"),
        "f": [0.1, np.nan],
        "s": ["", None],
        "t": pd.date_range("2020", periods=2, tz="Europe/Berlin"),
        "c": pd.Categorical(["x", "y"], categories=["z", "y", "x"]),
        "o": np.array(["a", None], dtype=object),
    },
    index=pd.Index([5, 6], name="id"),
)
LIST = [{"a": 1, "t": dt.date(2020, 1, 1)}, {"b": (1, 2)}, {}]


@pytest.mark.parametrize(
    "value, key, format",
    [
        ({"a": 1}, None, "json"),
        ({"a": 1}, "a.csv", "json"),
        ({"a": 1}, "a.png", "json"),
        ("# Title", "a.md", "text"),
        ("text", "a.json", "json"),
        ("text", "a.csv", "text"),
        ("\ud800", "a.txt", "json"),
        (b"x", "a.json", "bytes"),
        (LIST, "a.ndjson", "ndjson"),
        ([], "a.jsonl", "ndjson"),
        ([1, 2], "a.ndjson", "json"),
        (FRAME, "a", "parquet"),
        (FRAME, "a.json", "parquet"),
        (FRAME, "a.csv", "csv"),
        (FRAME, "a.TSV", "tsv"),
        (FRAME, "a.ndjson", "ndjson"),
        (FRAME["t"], "a.csv", "csv"),
        (np.arange(3), "a.json", "json"),
        (np.arange(3), "weights.pkl", "npy"),
        ({"a": 1}, "weights.pkl", "json"),
        (np.float64(1), "a.npy", "json"),
        (pa.table({"a": [1, None]}), "a.csv", "csv"),
        (pl.DataFrame({"a": ["x", None]}), "a.csv", "csv"),
        (pl.DataFrame({"a": [1.5]}), "a.parquet", "parquet"),
        (Image.frombytes("L", (1, 2), b"ab"), "a.webp.png", "png"),
    ],
    ids=lambda part: str(part)[:20] if isinstance(part, str) else type(part).__name__,
)
def test_the_suffix_decides_where_it_fits(value: Any, key: str | None, format: str) -> None:
    content = encode(value, key=key)
    assert content.format == format
    assert same(decode(through_json(content)), value)


def test_an_explicit_format_wins_or_is_refused() -> None:
    assert encode("x", key="a.txt", format="json").body == b'"x"'
    with pytest.raises(SerializationError, match="Formats: json, text"):
        encode("x", format="xls")
    with pytest.raises(SerializationError, match="Formats for it: ndjson, parquet, csv"):
        encode(FRAME, format="json")
    with pytest.raises(SerializationError, match="allow_pickle"):
        encode({}, format="pickle")


def test_pretty_json_is_the_same_value() -> None:
    content = encode({"a": (1, 2)}, pretty=True)
    assert b"\n  " in content.read()
    assert decode(content) == {"a": (1, 2)}


DECIMALS: list[list[Any]] = [
    ["1.1", "2.22", "100"],
    ["1.10", "2.20"],
    ["1.10", None, "2.2"],
    ["1.10", float("nan"), "2.2"],
    ["-0.0", "1.0"],
    ["1E+2", "NaN", "-Infinity"],
    ["1" * 100],
]


@pytest.mark.parametrize("key", ["f.parquet", "f.csv", "f.tsv", "f.ndjson"])
@pytest.mark.parametrize("given", DECIMALS, ids=str)
def test_decimals_in_a_frame_keep_their_digits(given: list[Any], key: str) -> None:
    cells = [Decimal(each) if isinstance(each, str) else each for each in given]
    frame = pd.DataFrame({"n": range(len(cells)), "d": pd.Series(cells, dtype=object)})
    for value in (frame, frame["d"], frame.set_axis(["d", "d~1"], axis=1)):
        back = decode(encode(value, key=key))
        assert repr(back) == repr(value)
        assert back.shape == value.shape
        last = back if back.ndim == 1 else back.iloc[:, -1]
        assert list(map(repr, last)) == list(map(repr, cells))


def test_decimals_that_would_change_in_an_index_are_refused() -> None:
    index = pd.Index([Decimal("1.1"), Decimal("2.22")])
    for each in (index, pd.MultiIndex.from_product([["a"], index])):
        with pytest.raises(SerializationError, match=r"index.*reset_index"):
            encode(pd.DataFrame({"x": [1, 2]}, index=each), key="f.parquet")


@pytest.mark.parametrize(
    "frame, column",
    [
        (pd.DataFrame({"ok": [1, 2], "bad": [1, "x"]}), "bad"),
        (pd.DataFrame({"ok": [1, 2], "bad": [{"x": 1}, {"y": 2}]}), "bad"),
        (pd.DataFrame({"bad": [1j]}), "bad"),
    ],
)
def test_a_frame_that_would_change_is_refused(frame: pd.DataFrame, column: str) -> None:
    with pytest.raises(SerializationError, match=column):
        encode(frame)
    pickled = encode(frame, allow_pickle=True)
    pd.testing.assert_frame_equal(decode(pickled, allow_pickle=True), frame)


@pytest.mark.parametrize(
    "cells, reason",
    [
        ([(1, 2), None, (3, 4)], r"'t' \(tuples.*\.map\(list\)"),
        ([{1}, {2}], r"'t' \(sets.*\.map\(list\)"),
        ([{"a": 1}, {"b": 2}], r"'t' \(dicts.*\.map\(json\.dumps\)"),
        ([[Decimal("1.1"), Decimal("2.22")]], r"'t' \(lists"),
        ([Decimal(1), 1, float("nan")], r"'t' \(objects of several types: Decimal, int\)"),
        ([(1, 2), [1]], r"'t' \(objects of several types: list, tuple\)"),
    ],
)
def test_a_refused_column_says_what_is_in_it_and_what_to_do(cells: list[Any], reason: str) -> None:
    frame = pd.DataFrame({"t": pd.Series(cells, dtype=object)})
    with pytest.raises(SerializationError, match=reason):
        encode(frame)
    if ".map" in reason:
        mapped = frame.dropna()["t"].map(json.dumps if "json" in reason else list)
        assert list(decode(encode(mapped))) == list(mapped)


def test_csv_refuses_what_it_cannot_hold() -> None:
    with pytest.raises(SerializationError, match=r"\.parquet"):
        encode(pd.DataFrame({"a": [[1], [2]]}), key="a.csv")


def test_a_parquet_file_says_it_all_and_reads_elsewhere() -> None:
    content = encode(FRAME)
    assert content.types is None
    assert same(decode(foreign("x.parquet", content.read())), FRAME)
    others = pd.read_parquet(io.BytesIO(content.read()))
    assert others.index.name == "id"
    assert others["i"].tolist() == [1, 2]


def test_jpeg_is_lossy_and_other_images_are_checked() -> None:
    image = Image.frombytes("RGB", (8, 8), bytes(range(192)))
    assert decode(encode(image, key="a.jpg")).size == (8, 8)
    with pytest.raises(SerializationError, match=r"\.png"):
        encode(image, key="a.gif")


# ---------------------------------------------------------------------------------- pickle


def test_pickle_only_with_permission_both_ways() -> None:
    value = {1, object}
    with pytest.raises(SerializationError, match="allow_pickle=True"):
        encode(value)
    content = encode(value, allow_pickle=True)
    assert content.format == "pickle"
    with pytest.raises(SerializationError, match="allow_pickle=True"):
        decode(content)
    assert decode(content, allow_pickle=True) == value
    assert encode([1], key="a.pkl", allow_pickle=True).format == "pickle"
    assert encode([1], key="a.json", allow_pickle=True).format == "json"


def test_a_foreign_pickle_is_bytes_unless_allowed() -> None:
    body = pickle.dumps([1])
    assert decode(foreign("a.pkl", body)) == body
    assert decode(foreign("a.pkl", body, allow_pickle=True), allow_pickle=True) == [1]


# ---------------------------------------------------------------------------------- streams


def test_files_and_paths_are_streams(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"a,b\n1,x\n")
    content = encode(path)
    assert content.format == "csv"
    assert not isinstance(content.body, bytes)
    assert decode(content)["a"].tolist() == [1]
    assert content.body.closed
    with path.open("rb") as file:
        assert encode(file, key="raw.bin").format == "csv"
        assert encode(file, key="note.txt").format == "text"
        assert encode(io.BytesIO(b"x")).format == "bytes"
        assert encode(file, format="bytes").read() == b"a,b\n1,x\n"
        assert not file.closed
    with path.open() as text, pytest.raises(SerializationError, match="'rb'"):
        encode(text)
    with tempfile.NamedTemporaryFile() as named:
        assert encode(named).read() == b""
    with pytest.raises(SerializationError, match="No such file"):
        encode(tmp_path / "missing")
    with encode(path) as opened:
        assert not opened.body.closed  # type: ignore[union-attr]
    assert opened.body.closed  # type: ignore[union-attr]


# ---------------------------------------------------------------------------------- foreign data


@pytest.mark.parametrize(
    "key, format",
    [
        *[(key, "bytes") for key in ("a", "a.bin", "d.csv/x", "a.csv.gz", "a.pkl")],
        *[(key, "json") for key in ("A.JSON", ".json", "a.geojson")],
        ("a.yaml", "text"),
        ("a.jsonl", "ndjson"),
        ("a.jpg", "jpeg"),
        ("a.pq", "parquet"),
    ],
)
def test_format_of_key(key: str, format: str) -> None:
    assert format_of_key(key) == format
    assert format in FORMATS
    assert is_json_body(format) == (format == "json")


@pytest.mark.parametrize(
    "body, value",
    [
        (b'{"a":1,"a":2}', {"a": 2}),
        (b"[NaN, Infinity]", [float("nan"), float("inf")]),
        (b"[123456789012345678901234567890]", [123456789012345678901234567890]),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'["\\ud800"]', ["\ud800"]),
        (b"0.123456789012345678901", 0.123456789012345678901),
    ],
)
def test_foreign_json_is_read_exactly(body: bytes, value: Any) -> None:
    assert same(decode(foreign("a.json", body)), value)


def test_foreign_formats() -> None:
    assert decode(foreign("a.ndjson", b'{"a":1}\r\n\n[2]\n')) == [{"a": 1}, [2]]
    assert decode(foreign("a.md", b"# x")) == "# x"
    assert decode(foreign("a.tsv", b"a\tb\n1\t2\n")).columns.tolist() == ["a", "b"]
    assert decode(foreign("a", io.BytesIO(b"x"))) == b"x"
    sink = io.BytesIO()
    frame = pd.DataFrame({"a": [1]})
    frame.attrs = {"unit": "m"}
    frame.to_parquet(sink)
    assert decode(foreign("a.parquet", sink.getvalue())).attrs == {"unit": "m"}


@pytest.mark.parametrize("key", ["a.json", "a.ndjson", "a.txt", "a.parquet", "a.npy", "a.png", "a.jpg"])
def test_a_broken_body_is_a_clear_error(key: str) -> None:
    with pytest.raises(SerializationError, match=f"JSON|{format_of_key(key)}"):
        decode(foreign(key, b"\xff\xfe\x00{broken"))


# ---------------------------------------------------------------------------------- tampered side maps


class _Bomb:
    def __reduce__(self) -> Any:
        return _explode, ()


def _explode() -> None:
    _exploded.append(True)


_exploded: list[bool] = []


_OBJECT_ARRAY = io.BytesIO()
np.save(_OBJECT_ARRAY, np.array([_Bomb()], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    "format, body, types",
    [
        ("json", b"1", {"": "os.system"}),
        ("json", b"1", {"": []}),
        ("json", b"1", {"": None}),
        ("json", b"1", {"": ["datetime", 1, 2, 3, 4]}),
        ("json", b"[1]", {"/1": "tuple"}),
        ("json", b"[1]", {"/-1": "int"}),
        ("json", b"[1]", {"0": "int"}),
        ("json", b'{"a":1}', {"/b": "int"}),
        ("json", b'"x"', {"": "datetime"}),
        ("json", b'"x"', {"": "tuple"}),
        ("json", b"[[1]]", {"": "set"}),
        ("json", b"[1]", {"": ["ndarray", "<f8", [10**12]]}),
        ("json", b"[1]", {"": ["ndarray", "O", [1]]}),
        ("json", b'"gASV"', {"": ["ndarray", ["|O"], [1]]}),
        ("json", b'"AAAA"', {"": ["ndarray", [[["a", "|O"]]], [1]]}),
        ("json", b"null", {"": ["packed", "list", "<f4", [10**12], "AAAAAA=="]}),
        ("json", b"null", {"": ["packed", "list", "os", [1], "AAAAAA=="]}),
        ("json", b"null", {"": ["packed", "ndarray", "|O", [1], "AAAAAAAAAAA="]}),
        ("json", b"null", {"": ["packed", "ndarray", "<f4", [1], "!!!"]}),
        ("json", b'"2020-01-01"', {"": ["datetime", "../../etc/passwd"]}),
        ("json", b'{"a":1}', {"": ["dict", [True, [["", "set"]]]]}),
        ("json", b'"' + b"9" * 5000 + b'"', {"": "int"}),
        ("npy", _OBJECT_ARRAY.getvalue(), None),
        ("csv", b"a\n1\n", {"": ["frame", {"schema": "AAAA"}]}),
        ("csv", b"a\n1\n", {"": ["frame", {}]}),
        ("parquet", b"PAR1", {"": ["arrow", {}]}),
        ("nonsense", b"", None),
    ],
)
def test_tampered_content_is_an_error_and_runs_nothing(format: str, body: bytes, types: Any) -> None:
    with pytest.raises(SerializationError):
        decode(Content(format, body, types))
    assert not _exploded


# ---------------------------------------------------------------------------------- packed vectors


@pytest.mark.parametrize(
    "vector, packed",
    [
        ([0.5, 1.5, -0.0], "<f4"),
        ([0.1, 1e300], "<f8"),
        ([float("nan"), 1.0], "<f8"),
        ((0.5, 0.25), "<f4"),
        ([1, -(2**63)], "<i8"),
        (np.arange(4, dtype="<f4"), "<f4"),
        (np.arange(4, dtype=">f8").reshape(2, 2), ">f8"),
        (np.arange(8, dtype="<f4")[::2], "<f4"),
        ([1, 2.5], None),
        ([2**63], None),
        ([True, False], None),
        ([], None),
        ("not a vector", None),
        ([[1.0], [2.0]], None),
        (np.array(["a"]), None),
    ],
    ids=str,
)
def test_packed_vectors_are_exact(vector: Any, packed: str | None) -> None:
    data = {"text": "x", "in": {"vector": vector}, "at": (1,)}
    content = through_json(encode(data, pack={"/in/vector"}))
    assert same(decode(content), data)
    assert (orjson.loads(content.read())["in"]["vector"] is None) == (packed is not None)
    if packed is not None:
        assert content.types is not None
        assert content.types["/in/vector"][2] == packed
        assert base64.b64decode(content.types["/in/vector"][4])


def test_a_whole_value_can_be_packed() -> None:
    content = encode(np.arange(3.0), pack={""})
    assert (content.format, content.body) == ("json", b"null")
    assert same(decode(content), np.arange(3.0))
    assert same(decode(encode([0.5], pack={""})), [0.5])


def test_unknown_types_are_named() -> None:
    with pytest.raises(SerializationError, match="generator"):
        encode(item for item in [uuid.uuid4()])
