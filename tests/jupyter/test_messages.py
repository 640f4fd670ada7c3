"""What a page may send, and what of it stays: nothing that is malformed, and nothing of the place before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.browsing import Page
from hypothesis import given
from hypothesis import strategies as st

from praval_storage import DataManager
from praval_storage.jupyter import Browser
from praval_storage.providers import FileSystemProvider, QdrantProvider
from praval_storage.testing import InMemoryProvider

OPS = (
    "hello", "go", "open", "more", "query", "sort", "page", "delimit", "scan_on", "select", "select_key",
    "in_full", "ask_delete", "keep", "delete", "retry", "refresh", "expired", "download", "measure", "stop",
    "blob", "chart", "colour", "undraw", "points", "choose", "no such",
)  # fmt: skip
OPERANDS = (
    "path", "want", "text", "by", "page", "uri", "uris", "key", "keys", "blob", "colour", "vector", "sample",
    "seed", "field", "id",
)  # fmt: skip


@pytest.fixture
def dm(tmp_path: Path) -> Iterator[DataManager]:
    with DataManager({"files": FileSystemProvider(tmp_path), "memory": InMemoryProvider()}) as dm:
        dm.store_many({f"k{n}": n for n in range(40)}, "memory").raise_for_errors()
        yield dm


@pytest.fixture
def b(dm: DataManager) -> Browser:
    return Browser(dm, "memory")


MALFORMED: list[Any] = [
    None, [], "go", 7, {}, {"op": None}, {"op": ["go"]}, {"op": {}}, {"op": "zzz"}, {"op": "__class__"},
    {"op": "page", "page": "x"}, {"op": "page", "page": []}, {"op": "page", "page": 1e400},
    {"op": "page", "page": float("nan")}, {"op": "select", "uri": 5}, {"op": "select", "uri": ["k1"]},
    {"op": "download", "uri": {}, "id": 3}, {"op": "blob", "blob": "first"}, {"op": "chart", "sample": "all"},
    {"op": "chart", "seed": {}}, {"op": "choose", "keys": 5}, {"op": "expired", "uris": 5},
    {"op": "sort", "by": "a..b"}, {"op": "delimit", "by": "letters"},
]  # fmt: skip


@pytest.mark.parametrize("message", MALFORMED, ids=repr)
def test_a_malformed_message_is_one_error_that_goes_with_the_next_thing_that_works(
    b: Browser, message: Any
) -> None:
    page, before = Page(b), b.state
    page.say(message)
    error = b.error
    assert error["kind"] == "message"
    assert error["class"] in {"ConfigurationError", "InvalidFilterError"}
    assert (error["where"], error["retry"]) == ("", False), "no provider had a part in it"
    assert (b.rows, b.path, b.page, b.selected) == (list(before.rows), "memory", 0, "")
    assert [answer["op"] for answer, _ in page.answers] == ["nothing"], "whoever waits is told"
    page.ask("hello")
    assert b.error == error, "a page says hello by itself"
    page.ask("refresh")
    assert b.error == {}


@pytest.mark.parametrize("page", [-1, -(10**400), 10**400])
def test_a_page_that_is_not_there_is_the_nearest_one(b: Browser, page: int) -> None:
    Page(b).ask("page", page=page)
    assert (b.page, b.error) == (0 if page < 0 else 1, {})


@pytest.mark.parametrize("blob", [-1, 10**400, 0, True])
def test_bytes_that_are_not_there_are_answered_with_nothing(b: Browser, blob: int) -> None:
    b.selected = b.rows[0]["uri"]
    page = Page(b)
    page.ask("blob", blob=blob)
    assert [answer["op"] for answer, _ in page.answers] == ["nothing"]
    assert b.error == {}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("praval://memory/k1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.lists(
        st.tuples(st.sampled_from(OPS), st.dictionaries(st.sampled_from(OPERANDS), ANYTHING)), max_size=5
    )
)
def test_whatever_a_page_sends_it_works_afterwards(messages: list[tuple[str, dict[str, Any]]]) -> None:
    dm = DataManager({"memory": InMemoryProvider()})
    dm.store_many({f"k{n}": n for n in range(40)}, "memory").raise_for_errors()
    b = Browser(dm, "memory", read_only=True)
    page = Page(b)
    for op, more in messages:
        page.say({**more, "op": op})
    page.ask("go", path="memory")
    page.ask("select", uri="praval://memory/k1")
    assert (len(b.rows), b.preview["key"], b.error, b.busy) == (25, "k1", {}, "")


def test_rows_that_cannot_be_listed_are_an_error_until_they_are(dm: DataManager, b: Browser) -> None:
    b.path = "nobody"
    listing = b.error
    assert listing["kind"] == "list"
    page = Page(b)
    page.say({"op": "zzz"})
    assert b.error["kind"] == "message"
    page.ask("keep")
    assert b.error == listing, "it would read as if there were no rows"
    dm.register_provider("nobody", InMemoryProvider())
    page.ask("retry")
    assert b.error == {}


def test_who_goes_on_has_seen_the_error_of_a_record(b: Browser) -> None:
    b.selected = "praval://memory/gone"
    assert b.error["title"] == "reading gone failed"
    b.selected = ""
    assert b.error == {}


def test_a_record_that_could_not_be_read_is_read_again(dm: DataManager, b: Browser) -> None:
    b.selected = "praval://memory/late"
    assert b.error["retry"]
    dm.store(1, "memory", "late")
    Page(b).ask("retry")
    assert (b.preview["key"], b.error) == ("late", {})


# -- what was seen of another place


@pytest.fixture
def drawn(tmp_path: Path) -> Iterator[Browser]:
    with DataManager({"vec": QdrantProvider(path=tmp_path), "memory": InMemoryProvider()}) as dm:
        rows = {f"p{n}": {"vector": [float(n), 1.0, 0.5], "n": n} for n in range(10)}
        dm.store_many(rows, "vec").raise_for_errors()
        yield Browser(dm, "vec")


@pytest.mark.parametrize("leave", ["go", "clear"])
def test_a_colour_that_comes_late_does_not_bring_the_map_back(drawn: Browser, leave: str) -> None:
    page = Page(drawn)
    page.ask("chart")
    assert drawn.state.chart["drawn"] == 1
    if leave == "go":
        page.ask("go", path="memory")
    else:
        drawn.clear()
    page.ask("colour", field="n")
    assert drawn.state.chart == {}
    page.ask("points")
    assert page.answers[-1] == ({"op": "points", "ask": page.answers[-1][0]["ask"]}, [])


def test_a_picture_that_is_not_shown_any_more_is_not_held(dm: DataManager) -> None:
    pillow = pytest.importorskip("PIL.Image")
    dm.store(pillow.new("RGB", (40, 30), "teal"), "files", "a/d.png")
    b = Browser(dm, "files/a/")
    page = Page(b)
    for leave in (b.clear, lambda: page.ask("go", path="memory"), lambda: page.ask("query", text="x")):
        b.path = "files/a/"
        b.selected = b.rows[0]["uri"]
        page.ask("blob", blob=0)
        assert page.answers.pop()[0]["op"] == "blob"
        leave()
        page.ask("blob", blob=0)
        assert page.answers.pop()[0]["op"] == "nothing"
        assert b._viewing.preview is None
