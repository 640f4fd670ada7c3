"""A body in the format that somebody chose: what is shown of it, and what is said where it is none such."""

from __future__ import annotations

import io
import json
import math
import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from backends import make
from conftest import cases
from custom_provider import MyCustomProvider
from hypothesis import example, given, settings
from hypothesis import strategies as st

from praval_storage import ConfigurationError, DataManager
from praval_storage.preview import Preview, beginning
from praval_storage.preview.beginning import Window
from praval_storage.preview.formats import FORMATS
from praval_storage.providers import FileSystemProvider
from praval_storage.testing import InMemoryProvider

Show = Callable[..., Preview]

KINDS = {
    "text": {"text"},
    "json": {"json", "vector", "table"},
    "hex": {"bytes"},
    "float32": {"vector"},
    "float64": {"vector"},
}


@pytest.fixture
def dm(tmp_path: Path) -> Iterator[DataManager]:
    files = FileSystemProvider(tmp_path / "files", allow_pickle=True)
    with DataManager({"files": files, "values": MyCustomProvider({})}) as manager:
        yield manager


@pytest.fixture
def show(dm: DataManager) -> Show:
    """A value in a format."""
    return lambda value, as_, **options: dm.preview(dm.store(value, "files", "k"), as_=as_, **options)


def part(seen: Preview, kind: str) -> dict[str, Any]:
    return next(each for each in seen.payload()["parts"] if each["type"] == kind)


def entries(seen: Preview) -> list[str]:
    return [node["text"] for node in part(seen, "tree")["root"]["nodes"]]


def test_numbers_are_those_that_numpy_wrote(show: Show) -> None:
    values = [0.1, -2.5, 1e-30, math.pi, math.nan, math.inf]
    seen = show(np.array(values, "<f4").tobytes(), "float32")
    assert (seen.kind, seen.facts["dimensions"], seen.facts["not finite"]) == ("vector", "6", "2")
    assert entries(seen) == ["0.1", "-2.5", "1e-30", "3.1415927", "NaN", "inf"]
    assert part(seen, "sparkline")["name"] == "values"
    seen = show(np.array(values, "<f8").tobytes(), "float64")
    assert (entries(seen)[3], seen.facts["min"], seen.notes) == (str(math.pi), "-2.5", ())


def test_of_many_numbers_the_first_are_shown_and_all_are_counted(show: Show) -> None:
    seen = show(np.arange(1_536, dtype="<f4").tobytes(), "float32")
    root = part(seen, "tree")["root"]
    assert (root["text"], len(root["nodes"]), root["more"]) == ("[1536]", 100, 1_436)
    assert (seen.facts["dimensions"], seen.facts["max"], seen.notes) == ("1536", "1535", ())
    assert "[1536]" in repr(seen)


def test_what_a_value_is_stored_as_can_be_seen(show: Show) -> None:
    value = {"at": datetime(2026, 1, 1, tzinfo=UTC), "n": [1, 2]}
    assert part(show(value, None), "tree")["root"]["nodes"][0]["type"] == "datetime"
    assert part(show(value, "json"), "tree")["root"]["nodes"][0]["type"] == "", "JSON knows no times"
    assert part(show(value, "text"), "text")["text"].startswith('{"at":')
    assert part(show(value, "hex"), "hex")["text"].startswith("000000  7b 22 61 74")
    assert entries(show('{"a": [1]}', "json")) == ["[1]"]


@pytest.mark.parametrize(
    "body, as_, note",
    [
        ("a text", "json", "not JSON: unexpected character, expected a JSON value: line 1"),
        ('{"a": 1} {"b": 2}', "json", "not JSON: "),
        (b"\xff\x00", "json", "not JSON: "),
        (b"", "json", "not JSON: "),
        (b"\xff\x00", "text", "not text: it holds control characters; shown as hex"),
        (b"12345", "float32", "not a vector of float32: 5 bytes are no multiple of 4; shown as hex"),
        (b"1234", "float64", "not a vector of float64: 4 bytes are no multiple of 8; shown as hex"),
        (b"", "float64", "not a vector of float64: it is empty; shown as hex"),
    ],
)
def test_what_is_none_such_is_hex_with_the_reason(show: Show, body: Any, as_: str, note: str) -> None:
    seen = show(body, as_)
    assert seen.kind == "bytes"
    assert seen.notes[0].startswith(note)
    assert seen.notes[0].endswith("; shown as hex")
    assert (seen.payload()["as"], note in repr(seen), "shown as hex" in seen._repr_html_()) == (
        as_,
        True,
        True,
    )


@settings(max_examples=cases(300, 3_000))
@given(st.binary(max_size=80) | st.text(max_size=20).map(str.encode), st.sampled_from([*FORMATS]))
@example(b"\x01\x00\x80\x7f", "float32")  # a signalling NaN
@example(b"\xff\xff\xff\xff\xff\xff\xef\x7f" * 3, "float64")
@example(b'["\xed\xa0\x80"]', "json")
def test_any_body_can_be_asked_for_in_any_format(body: bytes, as_: str) -> None:
    with DataManager({"memory": InMemoryProvider()}) as dm:
        seen = dm.preview(dm.store(body, "memory", "k"), as_=as_)
        payload = json.loads(json.dumps(seen.payload(), allow_nan=False))
    assert (payload["as"], [name for name, _ in payload["formats"]]) == (as_, [*FORMATS])
    is_hex = any(note.endswith("; shown as hex") for note in seen.notes)
    assert seen.kind in ({"bytes"} if is_hex else KINDS[as_])
    if as_.startswith("float"):
        assert is_hex is (not body or len(body) % np.dtype(as_).itemsize != 0)
        expected = [] if is_hex else np.frombuffer(body, as_)
        assert is_hex or entries(seen) == [_written(value) for value in expected]


def _written(value: Any) -> str:
    return "NaN" if np.isnan(value) else str(float(str(value)))


class Bomb:
    def __reduce__(self) -> Any:
        return (exec, ("raise AssertionError('it was loaded')",))


@pytest.mark.parametrize("as_", [None, *FORMATS])
def test_a_pickle_is_never_loaded_whatever_is_chosen(
    dm: DataManager, tmp_path: Path, as_: str | None
) -> None:
    (tmp_path / "files").mkdir(exist_ok=True)
    body = pickle.dumps(Bomb(), protocol=2)
    for name in ("bomb.pkl", "bomb.bin"):
        (tmp_path / "files" / name).write_bytes(body)
        seen = dm.preview(f"praval://files/{name}", as_=as_)
        assert seen.parts or seen.notes


@pytest.mark.parametrize("as_", ["pickle", "", "HEX", "float16", 3, ["hex"]])
def test_there_are_no_other_formats(dm: DataManager, as_: Any) -> None:
    with pytest.raises(ConfigurationError, match="one of text, json, hex, float32, float64, not as"):
        dm.preview(dm.store(1, "files", "k"), as_=as_)


def test_what_has_no_body_says_so(request: pytest.FixtureRequest, redis_url: str, dm: DataManager) -> None:
    provider = make("redis", request)
    dm.register_provider("redis", provider)
    with redis.Redis.from_url(redis_url) as client:
        client.hset(f"{provider.settings.prefix}hash", mapping={"a": "1"})
        client.rpush(f"{provider.settings.prefix}list", "x")
        client.set(f"{provider.settings.prefix}vector", np.array([0.5, 1.5], "<f4").tobytes())
        client.set(f"{provider.settings.prefix}text", '{"a": 1}')
    for key in ("hash", "list"):
        plain, seen = (dm.preview(f"praval://redis/{key}", as_=as_) for as_ in (None, "hex"))
        assert (plain.payload()["formats"], plain.notes) == ([], ())
        assert (seen.payload()["formats"], seen.payload()["as"]) == ([], "")
        assert seen.notes == ("It has no body, so it is shown as what it is",)
        assert seen.payload()["parts"] == plain.payload()["parts"]
    assert entries(dm.preview("praval://redis/vector", as_="float32")) == ["0.5", "1.5"]
    assert entries(dm.preview("praval://redis/text", as_="json")) == ["1"]
    for value, has in ((b"\x00\x00\x80?", True), ("text", True), ({"a": 1}, False)):
        seen = dm.preview(dm.store(value, "values", "k"), as_="float32")
        assert bool(seen.payload()["formats"]) is has, value


def test_a_large_body_is_read_no_further_than_the_first_megabyte(
    dm: DataManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "files").mkdir()
    with (tmp_path / "files" / "large.bin").open("wb") as file:
        file.truncate(100_000_000)
    read: list[int] = []

    class Counting(Window):
        def take(self, length: int) -> bytes:
            taken = super().take(length)
            read.append(len(taken))
            return taken

    monkeypatch.setattr(beginning, "Window", Counting)
    shown = {as_: dm.preview("praval://files/large.bin", as_=as_) for as_ in FORMATS}
    assert read == [1 << 20] * len(FORMATS)
    assert shown["float32"].facts["dimensions"] == "262144"
    assert shown["float32"].notes == ("Of the first 262 144 values of 25 000 000",)
    assert shown["float64"].notes == ("Of the first 131 072 values of 12 500 000",)
    assert shown["hex"].notes == ("The first 512 of 100.0 MB",)
    assert shown["text"].notes == ("The first 4.1 kB of 100.0 MB",)
    assert shown["json"].notes[0].startswith("not JSON: ")


def test_a_hex_dump_in_full_is_longer_and_has_an_end(show: Show) -> None:
    small, large = bytes(1_000), bytes(200_000)
    assert part(show(small, "hex"), "hex")["more"] == 488
    whole = show(small, "hex", in_full=True)
    assert (part(whole, "hex")["more"], len(part(whole, "hex")["text"].splitlines())) == (0, 63)
    cut = show(large, "hex", in_full=True)
    assert (part(cut, "hex")["more"], cut.notes) == (0, ("The first 65536 of 200.0 kB",))
    assert len(json.dumps(cut.payload())) < 500_000


def test_the_beginning_of_a_large_json_can_be_asked_for(dm: DataManager) -> None:
    body = json.dumps([{"n": n} for n in range(200_000)]).encode()
    seen = dm.preview(dm.store(io.BytesIO(body), "files", "large.bin"), as_="json")
    assert seen.kind in {"json", "table"}
    assert seen.notes == (f"Read from the first 1.0 MB of {len(body) / 1e6:.1f} MB",)
    broken = dm.preview(dm.store(io.BytesIO(b"1, ]" * 500_000), "files", "broken.bin"), as_="json")
    assert broken.notes[0] == "not JSON: it closes a bracket that it never opened; shown as hex"
