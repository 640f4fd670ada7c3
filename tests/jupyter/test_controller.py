"""The browser without a front end: what it shows, asks and does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from harness.gated import Gated

from praval_storage import ConfigurationError, DataManager, InvalidFilterError, StoragePermissionError
from praval_storage.jupyter import Browser, browse
from praval_storage.jupyter.address import Address, parse_address
from praval_storage.jupyter.lanes import Job, Lanes
from praval_storage.jupyter.question import Question, parse_question
from praval_storage.jupyter.tree import Tree
from praval_storage.places import Count, Measured, Place, Seen
from praval_storage.providers import FileSystemProvider
from praval_storage.testing import InMemoryProvider

DAYS = {f"reports/2026/day-{n:03d}.json": {"day": n, "tags": ["a", "<b>"]} for n in range(60)}


@pytest.fixture
def dm(tmp_path: Path) -> Iterator[DataManager]:
    with DataManager({"files": FileSystemProvider(tmp_path), "memory": Gated()}) as dm:
        dm.store_many(DAYS, "files").raise_for_errors()
        dm.store("hello", "files", "readme.txt")
        yield dm


@pytest.fixture
def b(dm: DataManager) -> Browser:
    return Browser(dm)


def keys(browser: Browser) -> list[str]:
    return [row["key"] for row in browser.rows]


def ids(browser: Browser) -> list[str]:
    return [line["id"] for line in browser.state.tree]


def tell(browser: Browser, op: str, **message: Any) -> list[tuple[dict[str, Any], list[bytes]]]:
    """Send what the front end would send; the answers."""
    answers: list[tuple[dict[str, Any], list[bytes]]] = []
    job = browser.handle({"op": op, "id": "1", **message}, lambda *answer: answers.append(answer))
    if job is not None:
        job.wait()
    return answers


# -- where one is


def test_it_opens_without_asking_anybody(dm: DataManager, b: Browser) -> None:
    assert (b.path, b.rows, b.total, b.preview, b.error, b.busy) == ("", [], None, {}, {}, "")
    assert ids(b) == ["files", "memory"]
    assert dm.providers["memory"].threads == []  # type: ignore[attr-defined]
    assert b.state.badges["memory"]["state"] == "unknown"


def test_a_place_that_is_shown_at_once_is_open_with_what_is_in_it(dm: DataManager) -> None:
    b = Browser(dm, "files/reports/")
    assert ids(b) == ["files", "files/reports/", "files/reports/2026/", "memory"]


def test_a_path_shows_its_rows_and_opens_the_tree(b: Browser) -> None:
    b.path = "files/reports/2026/"
    assert keys(b) == list(DAYS)[:25]
    assert b.total == 60
    assert b.state.table["extent"] == "1–25 of 60"
    assert ids(b) == ["files", "files/reports/", "files/reports/2026/", "memory"]
    assert b.state.crumbs == [
        ("files", "files"),
        ("files/reports/", "reports"),
        ("files/reports/2026/", "2026"),
    ]
    assert b.state.badges["files"]["state"] == "up"


def test_a_path_may_be_written_as_a_url(b: Browser) -> None:
    b.path = "files://reports/2026/"
    assert b.path == "files/reports/2026/"


def test_the_longest_storage_type_is_meant() -> None:
    assert parse_address("a/b/c", ["a", "a/b"]) == Address("a/b", "c")
    assert parse_address("a/b", ["a"]) == Address("a", "b")
    assert parse_address("", ["a"]) == Address()
    assert parse_address("nobody/x", ["a"]) == Address("nobody", "x")
    assert str(Address("a", "b/")) == "a/b/"


def test_places_stand_above_rows(b: Browser) -> None:
    b.path = "files"
    assert [place["id"] for place in b.state.table["places"]] == ["files/reports/"]
    assert keys(b) == ["readme.txt"]


def test_a_provider_that_is_not_there_is_an_error_in_words(b: Browser) -> None:
    b.path = "nobody/at/home"
    assert b.error["class"] == "ProviderNotRegisteredError"
    assert "Registered: files, memory" in b.error["text"]


def test_a_provider_that_comes_is_in_the_tree_after_a_refresh(dm: DataManager, b: Browser) -> None:
    dm.register_provider("later", InMemoryProvider())
    dm.unregister_provider("memory")
    b.refresh()
    assert ids(b) == ["files", "later"]


def test_natural_order_in_the_tree(dm: DataManager, b: Browser) -> None:
    dm.store_many({f"point-{n}/x": n for n in (10, 2, 1)}, "memory")
    b.path = "memory"
    assert [line["label"] for line in b.state.tree if line["level"] == 2] == [
        "point-1",
        "point-2",
        "point-10",
    ]


def test_a_tree_offers_more_after_what_it_has() -> None:
    def place(name: str, *, parent: bool = False) -> Place:
        return Place(f"{name}/", name, "folder", parent=parent, records=True)

    tree = Tree.of(["s3"]).opened(Address("s3"))
    tree = tree.seen(Address("s3"), Seen([place("a", parent=True), place("b")], next="t"))
    lines = [(line.node.place.label, line.more) for line in tree.shown()]
    assert lines == [("s3", False), ("a", False), ("b", False), ("s3", True)]
    tree = tree.seen(Address("s3"), Seen([place("b"), place("c")]), more=True)
    assert [line.node.place.label for line in tree.shown()] == ["s3", "a", "b", "c"]
    assert tree.opened(Address("s3"), wanted=False).find(Address("s3", "c/")) is not None


def test_the_tree_opens_and_closes_by_itself(b: Browser) -> None:
    tell(b, "open", path="files")
    assert ids(b) == ["files", "files/reports/", "memory"]
    assert b.path == ""
    tell(b, "open", path="files", want=False)
    assert ids(b) == ["files", "memory"]
    tell(b, "open", path="no/such/node")
    assert b.error == {}


# -- filter, order, pages


def test_plain_text_is_part_of_a_name(b: Browser) -> None:
    b.path = "files/reports/2026/"
    b.query = "DAY-01"
    assert keys(b) == list(DAYS)[10:20]
    assert b.state.notice == "10 records in 2026, matching DAY-01"


@pytest.mark.parametrize("text", ['{"day": {"$gt": 57}}', "{'day': {'$gt': 57}}", '  {"day": {"$gt": 57}} '])
def test_a_brace_begins_a_filter(b: Browser, text: str) -> None:
    b.path = "files/reports/2026/"
    b.query = text
    assert keys(b) == list(DAYS)[58:]


def test_a_filter_that_is_not_finished_changes_only_a_note(b: Browser) -> None:
    b.path = "files/reports/2026/"
    before = keys(b)
    for text in ('{"day": ', "{[]}", "{'day': {'$gtt': 1}}", "{1, 2}"):
        b.query = text
        assert keys(b) == before
        assert b.error == {}
        assert b.state.table["filter_note"]
    b.query = ""
    assert "filter_note" not in b.state.table


def test_a_question_is_parsed() -> None:
    assert parse_question("  day ") == Question("day")
    assert parse_question("") == Question()
    assert parse_question('{"a": null}') == parse_question("{'a': None}") != Question()
    with pytest.raises(InvalidFilterError, match="not a filter yet"):
        parse_question("{" * 10_000)


def test_pages_by_their_tokens(b: Browser) -> None:
    b.path = "files/reports/2026/"
    b.page = 2
    assert (b.page, keys(b)) == (2, list(DAYS)[50:])
    assert b.state.table["extent"] == "51–60 of 60"
    b.page = 1
    assert keys(b) == list(DAYS)[25:50]
    b.page = 99
    assert b.page == 2
    b.page = -1
    assert b.page == 0


def test_an_order(b: Browser) -> None:
    b.path = "files/reports/2026/"
    b.page = 1
    b.sort = "-key"
    assert (b.page, keys(b)[0]) == (0, "reports/2026/day-059.json")
    b.sort = "key"
    assert keys(b)[0] == "reports/2026/day-000.json"
    with pytest.raises(InvalidFilterError):
        b.sort = "a..b"
    assert b.sort == "key"


def test_another_place_begins_anew(b: Browser) -> None:
    b.path = "files/reports/2026/"
    b.query, b.sort, b.page = "day", "-key", 1
    b.selected = b.rows[0]["uri"]
    b.path = "files"
    assert (b.query, b.sort, b.page, b.selected, b.preview) == ("", "", 0, "", {})


def test_a_budget_that_ends_a_page_early_is_said_and_can_be_extended() -> None:
    rows = iter(range(10))

    def look(_: str, request: Any) -> Seen:
        at = next(rows)
        return Seen(scanned=10_000, stopped=at < 2, next="t" if at < 2 else None)

    b = Browser(DataManager({"m": InMemoryProvider()}), "m", look=look)
    assert b.state.table["extent"] == "searched 10 000 keys, none so far"
    tell(b, "scan_on")
    assert b.state.table["extent"] == "searched 20 000 keys, none so far"
    tell(b, "scan_on")
    assert not b.state.table["stopped"]


# -- a record


def test_a_record_is_shown(b: Browser) -> None:
    b.path = "files/reports/2026/"
    b.selected = b.rows[13]["uri"]
    assert b.preview["kind"] == "json"
    assert b.preview["parts"][0]["root"]["nodes"][0] == {
        **b.preview["parts"][0]["root"]["nodes"][0],
        "text": "13",
    }
    assert [each.key for each in b.references()] == ["reports/2026/day-013.json"]
    assert b.refs() == b.references()
    assert b.code() == "dm.retrieve('praval://files/reports/2026/day-013.json')"
    b.selected = ""
    assert (b.preview, b.references()) == ({}, [])


def test_a_body_is_shown_in_another_format_until_another_record_is(b: Browser) -> None:
    b.path = "files/reports/2026/"
    b.selected = b.rows[13]["uri"]
    assert (b.preview["as"], [name for name, _ in b.preview["formats"]]) == (
        "",
        ["text", "json", "hex", "float32", "float64"],
    )
    tell(b, "show_as", format="hex")
    assert (b.preview["as"], b.preview["kind"], b.preview["parts"][0]["type"]) == ("hex", "bytes", "hex")
    tell(b, "select", uri=b.selected)
    tell(b, "in_full", uri=b.selected)
    assert b.preview["as"] == "hex", "it is the same record"
    b.show_as("float32")
    assert b.preview["notes"][0].startswith("not a vector of float32: ")
    b.show_as()
    assert (b.preview["as"], b.preview["kind"]) == ("", "json")
    b.show_as("text")
    b.selected = b.rows[14]["uri"]
    assert (b.preview["as"], b.preview["kind"]) == ("", "json")
    b.show_as("text")
    b.query = "day-01"
    b.selected = b.rows[4]["uri"]
    assert b.preview["as"] == "", "it was not selected any more"


def test_a_format_that_there_is_not_changes_nothing(b: Browser) -> None:
    b.path = "files/reports/2026/"
    b.selected = b.rows[0]["uri"]
    before = b.preview
    with pytest.raises(ConfigurationError, match="one of text, json, hex"):
        b.show_as("pickle")
    tell(b, "show_as", format="pickle")
    assert b.error["class"] == "ConfigurationError"
    assert b.preview == before
    tell(b, "in_full", uri=b.selected)
    assert b.preview["as"] == ""
    b.selected = ""
    b.show_as("hex")
    assert b.preview == {}


def test_code_gives_what_is_listed(dm: DataManager, b: Browser) -> None:
    assert b.code() == "dm.browse()"
    b.path, b.query = "files/reports/2026/", '{"day": {"$gt": 57}}'
    assert [data["day"] for data in eval(b.code())] == [58, 59]
    b.query, b.sort = "day-01", "-key"
    assert [data["day"] for data in eval(b.code())] == [*range(19, 9, -1)]


def test_what_is_selected_must_be_a_uri(b: Browser) -> None:
    with pytest.raises(ConfigurationError):
        b.selected = "no uri"
    assert b.selected == ""


def test_a_record_that_has_gone_is_an_error_in_words(dm: DataManager, b: Browser) -> None:
    b.path = "files"
    uri = b.rows[0]["uri"]
    dm.delete(uri)
    b.selected = uri
    assert b.error["class"] == "KeyNotFoundError"
    assert b.error["title"] == "reading readme.txt failed"


# -- deleting


def test_deleting_takes_two_steps_on_the_same_record(dm: DataManager, b: Browser) -> None:
    b.path = "files/reports/2026/"
    first, second = b.rows[0]["uri"], b.rows[1]["uri"]
    b.selected = first
    tell(b, "delete", uri=first)
    assert dm.exists(first), "nobody was asked"
    tell(b, "ask_delete", uri=second)
    assert b.state.confirm == {}, "it is not the one that is shown"
    tell(b, "ask_delete", uri=first)
    assert first in b.state.confirm["words"]
    tell(b, "delete", uri=second)
    assert dm.exists(second)
    tell(b, "delete", uri=first)
    assert not dm.exists(first)
    assert (b.selected, b.preview, b.state.confirm, b.total) == ("", {}, {}, 59)
    tell(b, "delete", uri=first)
    assert b.total == 59


def test_another_selection_or_keep_cancels(b: Browser) -> None:
    b.path = "files/reports/2026/"
    b.selected = b.rows[0]["uri"]
    tell(b, "ask_delete", uri=b.selected)
    tell(b, "select", uri=b.rows[1]["uri"])
    assert b.state.confirm == {}
    tell(b, "ask_delete", uri=b.selected)
    tell(b, "keep")
    assert b.state.confirm == {}


def test_python_deletes_in_one_step_and_never_where_it_is_read_only(dm: DataManager, b: Browser) -> None:
    b.path = "files"
    b.delete()  # nothing is selected
    b.selected = uri = b.rows[0]["uri"]
    b.delete()
    assert not dm.exists(uri)
    closed = Browser(dm, "files/reports/2026/", read_only=True)
    closed.selected = kept = closed.rows[0]["uri"]
    tell(closed, "ask_delete", uri=kept)
    assert closed.state.confirm == {}
    with pytest.raises(StoragePermissionError, match="read_only=True"):
        closed.delete()
    assert dm.exists(kept)


# -- fetching and measuring


def test_a_download_comes_in_pieces_with_the_number_of_the_question(
    dm: DataManager, b: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("praval_storage.jupyter.actions.PIECE", 1_000)
    body = bytes(range(256)) * 10
    ref = dm.store(body, "files", "raw.bin")
    answers = tell(b, "download", uri=ref.uri)
    assert [message["piece"] for message, _ in answers] == [0, 1, 2]
    assert {(message["ask"], message["name"], message["pieces"]) for message, _ in answers} == {
        ("1", "raw.bin", 3)
    }
    assert b"".join(buffers[0] for _, buffers in answers) == body
    empty = dm.store(b"", "files", "empty.bin")
    assert [buffers for _, buffers in tell(b, "download", uri=empty.uri)] == [[b""]]


def test_what_is_too_large_to_send_is_a_snippet(
    dm: DataManager, b: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("praval_storage.jupyter.actions.DOWNLOAD", 100)
    ref = dm.store(b"x" * 101, "files", "large.bin")
    [(message, buffers)] = tell(b, "download", uri=ref.uri)
    assert (message["op"], message["url"], buffers) == ("link", "", [])
    assert "dm.retrieve('praval://files/large.bin', into=" in message["words"]


def test_what_is_below_a_place_is_measured_on_request(b: Browser) -> None:
    b.path = "files"
    assert "measured" not in b.state.table
    tell(b, "measure")
    assert b.state.table["measured"]["text"].startswith("61 records, ")
    assert b.state.table["measured"]["running"] is False


def test_measuring_can_be_stopped(dm: DataManager) -> None:
    gate, begun = Event(), Event()

    asked: list[int] = []

    def measured(_: str, place: str) -> Iterator[Measured]:
        for number in range(3):
            asked.append(number)
            yield Measured(Count(number), None, done=False)
            begun.set()
            assert gate.wait(10)

    lanes = Lanes()
    b = Browser(dm, "files", lanes=lanes)
    b.refresh()
    dm.measure = measured  # type: ignore[method-assign]
    b.handle({"op": "measure"}, lambda *_: None)
    assert begun.wait(10)
    b.handle({"op": "stop"}, lambda *_: None)
    assert b.busy == ""
    assert b.state.table["measured"]["running"] is False
    gate.set()
    lanes.submit("measure files", Job("after it", lambda: None)).wait()
    assert asked == [0, 1], "the one that was on its way, and none after it"
    b.close()


# -- failures, and answers that come too late


def test_a_failure_names_class_and_place_and_is_tried_again(dm: DataManager, b: Browser) -> None:
    memory: Any = dm.providers["memory"]
    memory.refusal = ConnectionRefusedError("refused by 10.0.0.5:6379")
    b.path = "memory"
    assert b.error["title"] == "listing memory failed"
    assert b.error["class"] == "StorageConnectionError"
    assert "refused by 10.0.0.5:6379" in b.error["text"]
    assert b.state.badges["memory"]["state"] == "down"
    memory.refusal = None
    tell(b, "retry")
    assert b.error == {}
    assert b.state.badges["memory"]["state"] == "up"


def test_a_provider_that_hangs_holds_up_neither_the_caller_nor_the_others(dm: DataManager) -> None:
    memory: Any = dm.providers["memory"]
    memory.gate.clear()
    b = Browser(dm, lanes=Lanes())
    b.handle({"op": "go", "path": "memory"}, lambda *_: None)
    assert memory.entered.wait(10)
    assert b.busy == "listing memory"
    b.path = "files/reports/2026/"
    assert len(b.rows) == 25
    assert b.busy == ""
    assert memory.at_work == 1, "the first question is still being asked"
    memory.gate.set()
    b.path = "memory"  # behind the old question, whose answer nobody sees
    assert b.path == "memory"
    assert memory.most == 1
    b.close()


def test_only_the_last_answer_is_shown_and_what_nobody_waits_for_is_not_asked(dm: DataManager) -> None:
    memory: Any = dm.providers["memory"]
    dm.store_many({"apple": 1, "banana": 2, "cherry": 3}, "memory")
    b = Browser(dm, "memory", lanes=Lanes())
    b.refresh()
    asked = len(memory.threads)
    shown: list[list[str]] = []
    b.watch(
        lambda changed: shown.append([row["key"] for row in changed["rows"]]) if "rows" in changed else None
    )
    memory.entered.clear()
    memory.gate.clear()
    b.handle({"op": "query", "text": "a"}, lambda *_: None)
    assert memory.entered.wait(10)
    for text in ("b", "c", "ch"):
        last = b.handle({"op": "query", "text": text}, lambda *_: None)
    memory.gate.set()
    assert last is not None
    last.wait()
    assert shown[1:] == [["cherry"]]
    assert len(memory.threads) - asked == 2, "of four questions the first and the last"
    b.close()


def test_whatever_goes_wrong_is_shown(b: Browser) -> None:
    for message in ({"op": "no such"}, {}, {"op": "page", "page": "x"}, {"op": "select", "uri": "?"}):
        b.handle(message, lambda *_: None)
        assert b.error["class"] in {"KeyError", "ValueError", "ConfigurationError"}, message


def test_an_observer_that_fails_is_shown_and_the_lane_goes_on(dm: DataManager) -> None:
    b = Browser(dm, lanes=Lanes())
    failing = True

    def watcher(changed: dict[str, Any]) -> None:
        if failing and changed.get("rows"):
            raise ZeroDivisionError("in an observer")

    b.watch(watcher)
    b.path = "files"
    assert b.error["class"] == "ZeroDivisionError"
    failing = False
    b.path = "files/reports/2026/"
    assert (b.error, len(b.rows)) == ({}, 25)
    b.close()


def test_an_observer_may_set_things_itself(dm: DataManager) -> None:
    b = Browser(dm, lanes=Lanes())
    done = Event()

    def select_the_first(changed: dict[str, Any]) -> None:
        if changed.get("rows") and not b.selected:
            b.selected = changed["rows"][0]["uri"]
        if changed.get("preview"):
            done.set()

    b.watch(select_the_first)
    b.path = "files"
    assert done.wait(10)
    assert b.preview["key"] == "readme.txt"
    b.close()


def test_many_threads_may_use_one_browser(dm: DataManager) -> None:
    b = Browser(dm, lanes=Lanes())
    paths = ["files", "files/reports/2026/", "memory", ""]

    def wander(start: int) -> None:
        for step in range(30):
            b.path = paths[(start + step) % 4]
            b.query = "day" if step % 2 else ""

    threads = [Thread(target=wander, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    b.path = "files/reports/2026/"
    assert (keys(b), b.error, b.busy) == (list(DAYS)[:25], {}, "")
    b.close()


def test_a_browser_that_is_closed_asks_nothing_more(dm: DataManager) -> None:
    b = Browser(dm, lanes=Lanes())
    b.close()
    b.path = "memory"
    assert dm.providers["memory"].threads == []  # type: ignore[attr-defined]


# -- without a widget


def test_a_preview_that_comes_after_another_question_is_not_shown(
    dm: DataManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory: Any = dm.providers["memory"]
    dm.store_many({"apple": 1, "banana": 2}, "memory")
    b = Browser(dm, "memory", lanes=Lanes())
    b.refresh()
    entered, gate, preview = Event(), Event(), dm.preview

    def slow(*given: Any, **options: Any) -> Any:
        entered.set()
        assert gate.wait(10)
        return preview(*given, **options)

    monkeypatch.setattr(dm, "preview", slow)
    b.handle({"op": "select", "uri": b.rows[0]["uri"]}, lambda *_: None)
    assert entered.wait(10)
    asked = b.handle({"op": "query", "text": "banana"}, lambda *_: None)
    gate.set()
    assert asked is not None
    asked.wait()
    assert (keys(b), b.selected, b.preview) == (["banana"], "", {})
    assert memory.most == 1
    b.close()


def test_a_view_that_is_made_later_counts_down_from_then(dm: DataManager) -> None:
    dm.store("x", "memory", "session", ttl=60)
    b = Browser(dm, "memory")
    before = b.rows[0]["expires_in"]
    while b.rows[0]["expires_in"] == before:  # a millisecond, if time goes on
        tell(b, "hello")
    assert before - 10_000 < b.rows[0]["expires_in"] < before


def test_clear_leaves_nothing_that_a_saved_notebook_could_hold(b: Browser) -> None:
    b.path = "files/reports/2026/"
    b.selected = b.rows[0]["uri"]
    b.clear()
    assert (b.rows, b.preview, b.selected, b.path, b.state.table) == ([], {}, "", "", {})


def test_the_state_is_json(b: Browser) -> None:
    b.path = "files/reports/2026/"
    b.selected = b.rows[0]["uri"]
    json.dumps([b.state.tree, b.state.rows, b.state.table, b.state.preview, b.state.crumbs])


def test_page_size_is_checked(dm: DataManager) -> None:
    with pytest.raises(ConfigurationError, match="page_size"):
        Browser(dm, page_size=0)
    assert len(Browser(dm, "files/reports/2026/", page_size=7).rows) == 7


def test_static_text_and_html(dm: DataManager) -> None:
    b = browse(dm, "files/reports/2026/", static=True)
    assert isinstance(b, Browser)
    text, html = repr(b), b._repr_html_()
    assert text.splitlines()[0] == "Storage browser: files/reports/2026/, 1–25 of 60"
    assert "... 5 more" in text
    assert html.count("<tr>") == 21
    assert len(html) < 6_000
    assert repr(b) == text


def test_a_snapshot_stays_as_it_was(b: Browser) -> None:
    b.path = "files/reports/2026/"
    b.selected = b.rows[13]["uri"]
    snapshot = b.snapshot()
    b.path = "memory"
    assert "day-013.json" in repr(snapshot)
    assert "day-013.json" in snapshot.html == snapshot._repr_html_()
    assert "13" in snapshot.html


def test_a_provider_can_be_browsed(dm: DataManager) -> None:
    one = dm.providers["files"].browse("reports/2026/", static=True)
    assert one.path == "filesystem/reports/2026/"
    assert len(one.rows) == 25


WITHOUT = """
import sys
sys.modules["anywidget"] = sys.modules["ipywidgets"] = None
from praval_storage import DataManager
from praval_storage.testing import InMemoryProvider
dm = DataManager({"memory": InMemoryProvider()})
dm.store(1, "memory", "one")
b = dm.browse("memory")
assert "pip install 'praval_storage[jupyter]'" in repr(b), repr(b)
assert "pip install" in b._repr_html_()
b.selected = b.rows[0]["uri"]
print(b.preview["key"])
"""


def test_without_the_extra_it_is_static_and_says_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], check=False, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("one\n", "")
