"""Previews by kind: what is shown of each, and that nothing in a record is run or believed."""

from __future__ import annotations

import base64
import io
import json
import pickle
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import cases
from custom_provider import MyCustomProvider
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from praval_storage import DataManager
from praval_storage.preview import Preview
from praval_storage.preview.documents import closed
from praval_storage.providers import FileSystemProvider, QdrantProvider
from praval_storage.testing import InMemoryProvider

Look = Callable[..., Preview]


@pytest.fixture
def dm(tmp_path: Path) -> Iterator[DataManager]:
    with DataManager(
        {
            "files": FileSystemProvider(tmp_path / "files", allow_pickle=True),
            "values": MyCustomProvider({}),
            "memory": InMemoryProvider(),
            "qdrant": QdrantProvider(path=tmp_path / "qdrant", embed=lambda text: [len(text), 1.0, 0.0]),
        }
    ) as manager:
        yield manager


@pytest.fixture
def look(dm: DataManager) -> Look:
    """The preview of a value that is stored for it."""

    def stored(value: Any, key: str = "k", **options: Any) -> Preview:
        return dm.preview(dm.store(value, "files", key, **options))

    return stored


@pytest.fixture
def write(tmp_path: Path, dm: DataManager) -> Look:
    """The preview of a file that somebody else wrote."""

    def written(key: str, body: bytes) -> Preview:
        path = tmp_path / "files" / key
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(body)
        return dm.preview(f"praval://files/{key}")

    return written


def part(preview: Preview, kind: str) -> dict[str, Any]:
    [found] = [each for each in preview.payload()["parts"] if each["type"] == kind]
    return found


def texts(row: list[dict[str, str]]) -> list[str]:
    return [each["text"] for each in row]


# JSON


def nodes(preview: Preview) -> dict[str, dict[str, Any]]:
    return {node["name"]: node for node in part(preview, "tree")["root"]["nodes"]}


def test_json_is_a_tree_with_the_types_that_json_does_not_have(look: Look) -> None:
    value = {
        "day": 13,
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "price": Decimal("1.10"),
        "big": 2**70,
        "nan": float("nan"),
        "raw": b"abc",
        "none": None,
        "pair": (1, 2),
        "text": "null",
    }
    seen = nodes(look(value))
    assert {name: (node["text"], node["type"]) for name, node in seen.items()} == {
        "day": ("13", ""),
        "at": ("2026-01-01 00:00:00+00:00", "datetime"),
        "price": ("1.10", "Decimal"),
        "big": ("1180591620717411303424", ""),
        "nan": ("NaN", ""),
        "raw": ("<bytes 3 B>", ""),
        "none": ("null", ""),
        "pair": ("[2]", "tuple"),
        "text": ('"null"', ""),
    }


def test_a_tree_is_open_to_twenty_entries_and_shows_a_hundred_per_level(look: Look) -> None:
    seen = part(look({"few": [1, 2], "many": list(range(250))}), "tree")["root"]
    assert seen["open"] is True
    few, many = seen["nodes"]
    assert (few["open"], many["open"]) == (False, False)  # a level is open as a whole
    assert (len(many["nodes"]), many["more"]) == (100, 150)
    small = part(look({"a": {"b": [1, 2, 3]}}), "tree")["root"]
    assert small["nodes"][0]["open"] is small["nodes"][0]["nodes"][0]["open"] is True


def test_a_wide_or_deep_tree_stays_small(look: Look) -> None:
    def size(node: dict[str, Any]) -> int:
        return 1 + sum(map(size, node["nodes"]))

    wide = part(look([[[0] * 20] * 100] * 100), "tree")["root"]
    assert size(wide) < 1_700
    assert len(wide["nodes"]) == 100  # the last has its share
    assert wide["nodes"][-1]["nodes"]
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    assert size(part(look(deep), "tree")["root"]) < 50


def test_long_strings_are_cut_and_numbers_are_keys_too(look: Look) -> None:
    seen = nodes(look({"long": "x" * 5_000, 1: "number", "1 ": "text"}))
    assert len(seen["long"]["text"]) <= 2_002
    assert "copy" not in seen["long"]
    assert {"(1)", "1 "} < seen.keys()


def test_flat_objects_are_a_table(look: Look) -> None:
    seen = part(look([{"a": 1, "b": "x"}, {"a": None, "b": ""}]), "table")
    assert seen["columns"] == [
        {"name": "a", "dtype": "int", "nulls": 1},
        {"name": "b", "dtype": "str", "nulls": 0},
    ]
    assert list(map(texts, seen["rows"])) == [["1", "x"], ["null", "<empty>"]]
    assert part(look([{"a": 1}, {"b": 1}]), "tree")


def test_large_json_is_read_as_far_as_it_goes(write: Look) -> None:
    body = json.dumps({"rows": [{"n": n, "text": "x" * 100} for n in range(20_000)]}).encode()
    seen = write("large.json", body)
    assert seen.kind == "json"
    assert seen.notes == (f"Read from the first 1.0 MB of {len(body) / 1e6:.1f} MB",)
    [rows] = part(seen, "tree")["root"]["nodes"]
    assert [node["nodes"][0]["text"] for node in rows["nodes"][:3]] == ["0", "1", "2"]


def test_json_with_one_endless_value_is_shown_as_text(write: Look) -> None:
    seen = write("endless.json", b'"' + b"x" * 2_000_000 + b'"')
    assert seen.kind == "text"
    assert "longer than what is read" in seen.notes[0]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=cases(500))
@given(JSON_VALUES, st.data())
def test_the_beginning_of_any_json_can_be_closed(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value, ensure_ascii=False)
    cut = data.draw(st.integers(0, len(text)))
    try:
        beginning = closed(text[:cut])
    except ValueError:  # there is no complete entry
        return
    assert is_beginning(json.loads(beginning), value)


def is_beginning(found: Any, value: Any) -> bool:
    """Whether all that is there is what is there in the whole, only the last entries cut or missing."""
    if isinstance(value, dict):
        return all(is_beginning(child, value[name]) for name, child in found.items())
    if isinstance(value, list):
        return len(found) <= len(value) and all(map(is_beginning, found, value))
    return bool(found == value)


# Tables

FRAME = pd.DataFrame(
    {
        "k": ["a", "", None, "  ", "NaN"],
        "x": [1.0, np.nan, np.inf, -0.0, 1e-300],
        "n": pd.array([1, 2, None, 4, 2**60], dtype="Int64"),
        "t": pd.to_datetime(["2026-01-01", None, "2026-01-03", "2026-01-04", "2026-01-05"]).tz_localize(
            "UTC"
        ),
    }
)


def test_parquet_says_what_the_footer_says(look: Look) -> None:
    seen = look(FRAME, "f.parquet")
    assert seen.kind == "table"
    assert seen.facts | {"written by": "", "updated": "", "uncompressed": ""} == {
        "format": "parquet",
        "rows": "5",
        "row groups": "1",
        "columns": "4",
        "compression": "ZSTD",
        "uncompressed": "",
        "written by": "",
        "updated": "",
    }
    assert seen.facts["written by"].startswith("parquet-cpp-arrow")
    table = part(seen, "table")
    assert (table["height"], table["width"]) == (5, 4)
    assert [(each["dtype"], each["nulls"]) for each in table["columns"]] == [
        ("string", 1),
        ("double", 1),
        ("int64", 1),
        ("timestamp[us, tz=UTC]", 1),
    ]
    assert [texts(row)[:3] for row in table["rows"]] == [
        ["a", "1.0", "1"],
        ["<empty>", "null", "2"],
        ["null", "inf", "null"],
        ["␣␣", "-0.0", "4"],
        ['"NaN"', "1e-300", "1152921504606846976"],
    ]


@pytest.mark.parametrize("key", ["f.csv", "f.tsv", "f.ndjson"])
def test_text_tables_show_the_frame_that_is_retrieved(look: Look, key: str) -> None:
    table = part(look(FRAME, key), "table")
    assert [each["name"] for each in table["columns"]] == ["k", "x", "n", "t"]
    assert [each["nulls"] for each in table["columns"]] == [1, 1, 1, 1]
    assert texts(table["rows"][2])[:3] == ["null", "inf", "null"]
    assert texts(table["rows"][1])[0] == "<empty>"


def test_an_empty_cell_of_a_csv_is_null_whatever_the_column(look: Look, write: Look) -> None:
    frame = pd.DataFrame({"n": [1, None], "x": [0.5, np.nan], "k": ["a", None]})
    for seen in (look(frame, "f.csv"), write("theirs.csv", b"n,x,k\n1,0.5,a\n,,\n")):
        table = part(seen, "table")
        assert [each["nulls"] for each in table["columns"]] == [1, 1, 1]
        assert texts(table["rows"][1]) == ["null", "null", "null"]
    kept = part(look(pa.table({"x": [1.0, float("nan"), None]}), "arrow.parquet"), "table")
    assert [texts(row) for row in kept["rows"]] == [["1.0"], ["NaN"], ["null"]]
    assert kept["columns"][0]["nulls"] == 1


def test_a_large_csv_is_read_as_far_as_it_goes(write: Look) -> None:
    lines = b"".join(b"%d,name %d\n" % (n, n) for n in range(100_000))
    seen = write("large.csv", b"n,name\n" + lines)
    table = part(seen, "table")
    assert (len(table["rows"]), table["height"], table["width"]) == (50, None, 2)
    assert seen.notes[0].startswith("Read from the first 1.0 MB of 1.7 MB")
    assert "rows not counted" in repr(seen)


def test_a_csv_that_is_none_is_shown_as_text(write: Look) -> None:
    seen = write("broken.csv", b'a,b\n1,2,3\n"x')
    assert seen.kind == "text"
    assert "cannot be read as csv" in seen.notes[0]
    assert part(seen, "text")["text"].startswith("a,b")


def test_a_wide_table_says_how_wide_it_is(look: Look) -> None:
    seen = look(pd.DataFrame({f"c{n}": range(80) for n in range(200)}), "wide.parquet")
    table = part(seen, "table")
    assert (len(table["columns"]), table["width"], len(table["rows"])) == (50, 200, 50)
    assert "80 rows x 200 columns; shown: the first 10 rows, the first 12 columns" in repr(seen)
    assert len(seen._repr_html_()) <= 6_000


def test_a_parquet_file_whose_footer_lies_does_not_end_the_process(write: Look) -> None:
    body = Path(__file__).with_name("data").joinpath("footer_with_another_type.parquet").read_bytes()
    table = part(write("f.parquet", body), "table")
    assert [(each["name"], each["nulls"]) for each in table["columns"]] == [("a", 0), ("b", None)]


def test_parquet_of_any_types(write: Look) -> None:
    table = pa.table(
        {
            "nested": [{"a": [1, 2]}, None],
            "late": pa.array([2**62, None], pa.timestamp("us")),
            "zone": pa.array([0, None], pa.timestamp("us", "No/Where")),
            "single": pa.array([0.1, None], pa.float32()),
            "bytes": [b"\x00", None],
            "<b>\u202e\n": ["<i>", None],
        }
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    seen = write("any.parquet", sink.getvalue())
    [first, second] = part(seen, "table")["rows"]
    assert texts(first)[0] == "{'a': [1, 2]}"
    assert texts(first)[3:5] == ["0.1", "<bytes 1 B>"]
    assert [each for each in texts(second) if each not in {"null", ""}] == []
    assert "<b>" not in seen._repr_html_()
    assert part(seen, "table")["columns"][-1]["name"] == "<b>\\u202e\\n"


def test_an_empty_parquet_file_has_columns_and_no_rows(look: Look) -> None:
    table = part(look(FRAME.iloc[:0], "f.parquet"), "table")
    assert (len(table["columns"]), table["rows"], table["height"]) == (4, [], 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: pd.DataFrame({"a": [1, None], "b": ["x", None]}, index=["r1", "r2"]),
        lambda: pl.DataFrame({"a": [1, None], "b": ["x", None]}),
        lambda: pa.table({"a": [1, None], "b": ["x", None]}),
        lambda: pd.Series([1, None], name="a"),
        lambda: pl.Series("a", [1, None]),
    ],
)
def test_frames_that_a_provider_keeps_as_they_are(dm: DataManager, make: Callable[[], Any]) -> None:
    table = part(dm.preview(dm.store(make(), "values", "k")), "table")
    assert {each["name"]: each["nulls"] for each in table["columns"]}["a"] == 1
    assert len(table["rows"]) == 2


# Texts and bytes


@pytest.mark.parametrize(
    "body, encoding, text",
    [
        (b"plain\n", "ASCII", "plain\n"),
        ("Grüße".encode(), "UTF-8", "Grüße"),
        ("Grüße".encode("utf-8-sig"), "UTF-8 with a byte order mark", "Grüße"),
        ("Grüße".encode("utf-16"), "UTF-16", "Grüße"),
        ("Grüße".encode("latin-1"), "not UTF-8, here taken for Latin-1", "Grüße"),
        (b"a\r\nb\x1b[0m\xe2\x80\xaec", "UTF-8", "a\nb\\x1b[0m\\u202ec"),
    ],
)
def test_texts_name_their_encoding(write: Look, body: bytes, encoding: str, text: str) -> None:
    seen = write("t.txt", body)
    assert seen.kind == "text"
    assert seen.facts["encoding"] == encoding
    assert part(seen, "text")["text"] == text


def test_a_text_is_cut_at_four_kilobytes_unless_it_is_asked_for(write: Look, dm: DataManager) -> None:
    text = "ü" * 3_000_000
    seen = write("long.txt", text.encode())
    assert len(part(seen, "text")["text"]) == 2_048
    assert part(seen, "text")["more"] == 6_000_000 - 4_096
    assert seen.notes == ("The first 4.1 kB of 6.0 MB",)
    assert part(dm.preview(seen.reference, in_full=True), "text") == {"type": "text", "text": text, "more": 0}


def test_markdown_and_html_are_text(look: Look) -> None:
    for key in ("a.md", "a.html"):
        seen = look("# <b>bold</b>", key)
        assert part(seen, "text")["text"] == "# <b>bold</b>"
        assert "&lt;b&gt;" in seen._repr_html_()


def test_bytes_are_shown_as_hex_and_letters(look: Look) -> None:
    seen = look(bytes(range(256)) * 4)
    dump = part(seen, "hex")["text"].splitlines()
    assert dump[0] == "000000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f  ................"
    assert dump[4] == "000040  40 41 42 43 44 45 46 47 48 49 4a 4b 4c 4d 4e 4f  @ABCDEFGHIJKLMNO"
    assert len(dump) == 32
    assert part(seen, "hex")["more"] == 512


@pytest.mark.parametrize(
    "body, name",
    [
        (b"\x1f\x8b\x08", "gzip"),
        (b"SQLite format 3\x00", "sqlite"),
        (b"%PDF-1.7", "pdf"),
        (b"PK\x03\x04", "zip (also docx, xlsx, jar, npz)"),
        (b"\x80\x05.", "pickle, protocol 5"),
        (b"PAR1 and no more", "parquet, broken"),
        (b"RIFF\x00\x00\x00\x00WEBP", "webp"),
    ],
)
def test_bytes_say_what_they_look_like(write: Look, body: bytes, name: str) -> None:
    seen = write("thing", body)
    assert (seen.kind, seen.facts["looks like"]) == ("bytes", name)


def test_bytes_that_are_parquet_say_how_many_columns(write: Look) -> None:
    sink = io.BytesIO()
    FRAME.to_parquet(sink)
    assert write("thing", sink.getvalue()).facts["looks like"] == "parquet: 4 columns"


# Pickles


class Exploding:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return explode, ()


def explode() -> None:
    pytest.fail("it was unpickled")


def test_a_pickle_is_never_loaded_even_where_the_provider_may(write: Look, dm: DataManager) -> None:
    body = pickle.dumps({"a": Exploding()})
    for key in ("p.pkl", "p.pickle"):
        seen = write(key, body)
        assert seen.kind == "pickle"
        loaded = "with allow_pickle=True dm.retrieve(uri) runs code from it"
        assert seen.notes[0] == f"pickle, protocol {body[1]}, {len(body)} B; {loaded}"
        assert seen.facts["names"] == "test_preview.explode"


def test_bytes_that_are_a_pickle_are_said_to_come_back_as_bytes(tmp_path: Path) -> None:
    with DataManager({"files": FileSystemProvider(tmp_path)}) as dm:
        (tmp_path / "p.pkl").write_bytes(body := pickle.dumps({"a": Exploding()}))
        assert "gives its bytes" in dm.preview("praval://files/p.pkl").notes[0]
        assert dm.retrieve("praval://files/p.pkl") == body


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_names_what_it_would_import_and_imports_nothing(write: Look, protocol: int) -> None:
    sys.modules.pop("this", None)
    global_name = b"cthis\ns\n" if protocol < 4 else b"\x8c\x04this\x94\x8c\x01s\x94\x93"
    body = (b"\x80" + bytes([protocol]) if protocol > 1 else b"") + global_name + b"."
    seen = write("p.pkl", body)
    assert "this" not in sys.modules
    assert seen.facts["names"] == "this.s"
    repeated = pickle.dumps([Decimal(1), Decimal(2), np.float64(1)], protocol)
    names = write("q.pkl", repeated).facts["names"].split(", ")
    assert "decimal.Decimal" in names
    assert all("?" not in name for name in names)


def test_a_broken_pickle_is_said_to_be_broken(write: Look) -> None:
    seen = write("p.pkl", pickle.dumps(list(range(1_000)))[:-10])
    assert seen.kind == "pickle"
    assert seen.notes[-1] == "It breaks off, or is no pickle"


# Images


def image(mode: str = "RGB", size: tuple[int, int] = (60, 40)) -> Image.Image:
    return Image.new(mode, size)


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it has so many pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("suffix, mime", [("png", "png"), ("jpg", "jpeg"), ("gif", "gif"), ("webp", "webp")])
def test_a_small_image_is_shown_as_it_is(write: Look, suffix: str, mime: str) -> None:
    sink = io.BytesIO()
    image().save(sink, mime)
    seen = write(f"i.{suffix}", sink.getvalue())
    assert (seen.kind, seen.facts["pixels"]) == ("image", "60 x 40")
    shown = part(seen, "image")
    assert shown["mime"] == f"image/{mime}"
    assert seen.blobs[shown["blob"]] == sink.getvalue()
    assert shown["alt"] == f"image, 60 x 40 pixels, {len(sink.getvalue())} B"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "1", "I;16", "LA", "CMYK", "F"])
def test_other_images_are_shown_as_copies_a_browser_understands(look: Look, mode: str) -> None:
    seen = look(image(mode), "i.tiff")
    opened = Image.open(io.BytesIO(seen.blobs[0]))
    assert opened.size == (60, 40)
    assert opened.format in {"PNG", "JPEG"}


def test_a_large_image_is_made_small(write: Look) -> None:
    sink = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (1_200, 900, 3), dtype=np.uint8)
    Image.fromarray(noise).save(sink, "png")
    assert len(sink.getvalue()) > 2_000_000
    seen = write("noise.png", sink.getvalue())
    assert seen.facts["pixels"] == "900 x 1200"
    assert Image.open(io.BytesIO(seen.blobs[0])).size == (384, 512)


@pytest.mark.parametrize("width, height", [(8_000, 8_000), (100_000, 100_000)])
def test_a_decompression_bomb_is_not_decoded(write: Look, width: int, height: int) -> None:
    seen = write("bomb.png", png_of(width, height))
    assert (seen.kind, seen.blobs) == ("image", ())
    assert seen.notes == (
        f"Not decoded: {width * height:,} pixels would take too much memory".replace(",", " "),
    )


def test_a_broken_image_is_said_to_be_broken(write: Look) -> None:
    sink = io.BytesIO()
    image(size=(300, 300)).save(sink, "png")
    for body in (sink.getvalue()[:-60], b"GIF89a" + sink.getvalue(), b"\xff\xd8\xff\xe0"):
        seen = write("broken.png", body)
        assert seen.kind == "bytes"
        assert "cannot be read as png" in seen.notes[0]


SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'


def test_svg_is_only_ever_an_image(write: Look) -> None:
    seen = write("drawing.svg", SVG.encode())
    assert part(seen, "image")["mime"] == "image/svg+xml"
    assert base64.b64encode(SVG.encode()).decode() in seen._repr_html_()
    assert "<svg" not in seen._repr_html_()


def test_svg_with_entities_is_not_drawn(write: Look) -> None:
    seen = write("bomb.svg", b'<!DOCTYPE svg [<!ENTITY a "aaaa">]>' + SVG.encode())
    assert seen.blobs == ()
    assert "entities" in seen.notes[0]


def test_pillow_and_pyarrow_are_asked_for_where_they_are_missing(
    look: Look, dm: DataManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    references = {
        "images": look(image(), "i.png").reference,
        "frames": look(FRAME, "f.parquet").reference,
    }
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for extra, reference in references.items():
        seen = dm.preview(reference)
        assert seen.kind == "bytes"
        assert f"pip install 'praval_storage[{extra}]'" in seen.notes[0]


# Arrays


def test_arrays_show_their_figures(look: Look) -> None:
    seen = look(np.array([[1.0, np.nan], [3.0, 4.0]]))
    assert seen.kind == "array"
    expected = {"shape": "2 x 2", "dtype": "float64", "min": "1", "max": "4", "mean": "2.66667", "NaN": "1"}
    assert expected.items() <= seen.facts.items()
    assert part(seen, "image")["alt"] == "heat map, 2 x 2, dark 1 to bright 4"


@pytest.mark.parametrize(
    "array, drawn",
    [
        (np.arange(50), "sparkline"),
        (np.arange(50.0).reshape(5, 10), "image"),
        (np.arange(50.0).reshape(5, 10).T, "image"),
        (np.zeros((3, 3)), "image"),
        (np.array([[np.inf, -np.inf], [1.0, np.nan]]), "image"),
        (np.array([1e308, -1e308, 1e308]), "sparkline"),
        (np.array([[1e308, -1e308], [0, 0]]), "image"),
        (np.random.default_rng(0).random((500, 400)) > 0.5, "image"),
        (np.random.default_rng(0).integers(0, 255, (30, 20, 3), dtype=np.uint8), "image"),
        (np.array([np.nan, np.nan]), None),
        (np.array(5), None),
        (np.zeros((0, 3)), None),
        (np.arange(24).reshape(2, 3, 4), None),
        (np.array([1 + 2j, 3]), None),
        (np.array(["a", "b"]), None),
        (np.array(["2026-01-01", "NaT"], "M8[s]"), None),
        (np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]), None),
    ],
)
def test_arrays_of_any_shape_and_type(look: Look, dm: DataManager, array: Any, drawn: str | None) -> None:
    for seen in (look(array), dm.preview(dm.store(array, "values", "k"))):
        types = [each["type"] for each in seen.payload()["parts"]]
        if array.shape or seen.reference.storage_type == "files":
            assert types == ([] if drawn is None else [drawn]), seen
            assert seen.kind == "array"
        for blob in seen.blobs:
            assert max(Image.open(io.BytesIO(blob)).convert("RGBA").size) <= 80


def test_a_heat_map_has_the_colours_of_its_numbers(look: Look) -> None:
    seen = look(np.array([[0.0, 15.0], [np.nan, 7.0]]))
    pixels = Image.open(io.BytesIO(seen.blobs[0])).convert("RGBA")
    assert pixels.getpixel((0, 0)) == (0x44, 0x01, 0x54, 255)
    assert pixels.getpixel((1, 0)) == (0xFD, 0xE7, 0x25, 255)
    assert pixels.getpixel((0, 1))[3] == 0


def test_arrays_of_objects_are_never_loaded(write: Look) -> None:
    sink = io.BytesIO()
    np.save(sink, np.array([Exploding()], dtype=object), allow_pickle=True)
    seen = write("objects.npy", sink.getvalue())
    assert seen.kind == "array"
    assert seen.notes == ("It holds pickled Python objects, which are never loaded here",)


def test_of_a_large_array_the_beginning_is_looked_at(write: Look) -> None:
    sink = io.BytesIO()
    np.save(sink, np.arange(400_000.0).reshape(4_000, 100))
    seen = write("large.npy", sink.getvalue())
    assert seen.facts["shape"] == "4000 x 100"
    assert seen.notes[0].startswith("Of the first 131 056 values of 400 000")
    assert (seen.facts["min"], part(seen, "image")["alt"].split(",")[1]) == ("0", " 1310 x 100")


def test_a_lying_npy_header_is_only_a_broken_file(write: Look) -> None:
    def header(text: str) -> bytes:
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()

    seen = write(
        "a.npy", header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}\n") + b"\0" * 80
    )
    assert seen.notes[0].startswith("Of the first 10 values")
    assert write("b.npy", header("__import__('os').system('true')\n")).kind == "bytes"
    assert write("c.npy", header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n")).kind == "array"


# Vectors


def test_a_point_shows_its_payload_first_and_its_vector_as_a_line(dm: DataManager) -> None:
    dm.store_many(
        [{"vector": [1.0, n, 0.0], "n": n} for n in range(8)], "qdrant", [f"p{n}" for n in range(8)]
    )
    seen = dm.preview("praval://qdrant/p3")
    assert seen.kind == "vector"
    assert [each["type"] for each in seen.payload()["parts"]] == ["tree", "sparkline", "neighbours"]
    assert list(nodes(seen)) == ["n"]
    assert {"dimensions": "3", "norm": "3.162", "min": "0", "max": "3"}.items() <= seen.facts.items()
    assert len(part(seen, "neighbours")["items"]) == 5
    assert "neighbours" not in str(dm.preview("praval://qdrant/p3", neighbours=0).payload())


def test_the_vector_of_a_text_is_the_one_it_was_embedded_as(dm: DataManager) -> None:
    dm.store_many({"a": "short", "b": "longer text"}, "qdrant")
    seen = dm.preview("praval://qdrant/a")
    assert seen.kind == "text"
    assert [near["key"] for near in part(seen, "neighbours")["items"]] == ["b"]


def test_a_vector_with_which_nothing_can_be_searched_says_why(dm: DataManager) -> None:
    dm.store({"vector": [1.0, 0.0, 0.0]}, "qdrant", "ok")
    dm.store({"vector": [0.0, 0.0, 0.0]}, "qdrant", "zero")
    assert "all zeros" in dm.preview("praval://qdrant/zero").notes[0]


def test_vectors_elsewhere_have_a_line_and_no_neighbours(look: Look) -> None:
    seen = look({"vector": list(range(100)), "name": "x"})
    assert [each["type"] for each in seen.payload()["parts"]] == ["tree", "sparkline"]
    named = look({"vector": {"title": [1.0, 2.0], "body": [3, 4, 5]}})
    assert [each["name"] for each in named.payload()["parts"] if each["type"] == "sparkline"] == [
        "title",
        "body",
    ]
    assert (
        look({"vector": "abc"}).kind
        == look({"vector": [[1.0]]}).kind
        == look({"vector": None}).kind
        == "json"
    )
    assert [each["type"] for each in look([0.5] * 20).payload()["parts"]] == ["tree", "sparkline"]


# Whatever it is


def test_ordinary_records_have_a_small_form_that_says_which_record_it_is(look: Look) -> None:
    for value, key in (
        ({"a": list(range(50)), "b": {"c": "text " * 100}}, "a.json"),
        (FRAME, "f.parquet"),
        ("text\n" * 2_000, "t.txt"),
        (bytes(5_000), "b.bin"),
        (np.sin(np.arange(300)), "a.npy"),
    ):
        seen = look(value, key, metadata={"owner": "alice", "n": 1})
        html = seen._repr_html_()
        assert len(html) <= 6_000, key
        assert f"praval://files/{key}" in html
        assert 'metadata owner="alice", n=1' in repr(seen)
        assert seen.snippet == f"dm.retrieve('praval://files/{key}')"


def test_a_preview_is_the_same_every_time(look: Look) -> None:
    first, second = look({"a": {1, 2, 3}}), look({"a": {1, 2, 3}})
    assert repr(first).replace(first.facts["updated"], "") == repr(second).replace(
        second.facts["updated"], ""
    )
    assert first.payload()["parts"] == second.payload()["parts"]


def test_values_that_a_provider_keeps_as_they_are(dm: DataManager) -> None:
    kinds = {
        name: dm.preview(dm.store(value, "values", "k")).kind
        for name, value in {
            "json": {"a": 1},
            "text": "text",
            "bytes": b"\x1f\x8b",
            "image": image(),
            "object": object(),
            "none": None,
            "empty": "",
        }.items()
    }
    assert kinds == {
        "json": "json",
        "text": "text",
        "bytes": "bytes",
        "image": "image",
        "object": "json",
        "none": "json",
        "empty": "text",
    }
