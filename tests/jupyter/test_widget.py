"""The widget as Python sees it: traits, links, messages and what a notebook saves. No page is needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from threading import Event, current_thread
from typing import Any

import anywidget
import ipywidgets
import pytest
from harness.gated import Gated

from praval_storage import DataManager, StorageError
from praval_storage.jupyter import PATIENCE, PATIENCE_KNOWN, Browser, browse
from praval_storage.jupyter.state import CHOSEN, NAMES
from praval_storage.jupyter.widget import BrowserWidget

KEYS = [f"day-{n:03d}" for n in range(60)]


@pytest.fixture
def dm() -> DataManager:
    dm = DataManager({"memory": Gated()})
    dm.store_many(dict.fromkeys(KEYS, 1), "memory")
    return dm


@pytest.fixture
def b(dm: DataManager) -> Iterator[Any]:
    widget = browse(dm)
    assert isinstance(widget, BrowserWidget)
    yield widget
    widget.close()


def test_no_trait_hides_anything_of_a_widget() -> None:
    assert set(NAMES) & set(dir(anywidget.AnyWidget)) == set()
    assert set(NAMES) <= set(BrowserWidget.class_trait_names(sync=True))


def test_setting_a_trait_waits_for_the_answer(b: Any) -> None:
    b.path = "memory"
    assert [row["key"] for row in b.rows] == KEYS[:25]
    b.query = "day-05"
    assert len(b.rows) == 10
    b.selected = b.rows[0]["uri"]
    assert b.preview["kind"] == "json"
    assert [reference.key for reference in b.references()] == ["day-050"]
    assert b.refs() == b.references()
    assert b.code() == "dm.retrieve('praval://memory/day-050')"
    b.page = 99
    assert b.page == 0
    b.clear()
    assert (b.path, b.rows, b.preview) == ("", [], {})


def test_it_composes_links_and_can_be_observed(b: Any) -> None:
    assert isinstance(b, ipywidgets.DOMWidget)
    assert ipywidgets.HBox([b]).children == (b,)
    text, seen = ipywidgets.Text(), []
    ipywidgets.link((b, "query"), (text, "value"))
    b.observe(lambda change: seen.append(change["new"]), "selected")
    b.path = "memory"
    text.value = "day-003"
    assert [row["key"] for row in b.rows] == ["day-003"]
    b.selected = b.rows[0]["uri"]
    assert seen == ["praval://memory/day-003"]
    b.path = ""
    assert (text.value, seen[-1]) == ("", "")


def test_what_a_page_asks_waits_for_nobody(dm: DataManager, b: Any) -> None:
    memory: Any = dm.providers["memory"]
    memory.gate.clear()
    sent: list[Any] = []
    b.send = lambda content, buffers=None: sent.append(content)
    b._handle_custom_msg({"op": "go", "path": "memory", "id": "v:1"}, [])
    assert sent == [{"op": "heard", "ask": "v:1"}]
    b.set_state({"path": "memory"})  # as a link between two widgets on the page does
    assert memory.entered.wait(10)
    memory.gate.set()
    done = Event()
    b.observe(lambda change: change["new"] and done.set(), "rows")
    b.refresh()
    assert done.is_set() or b.rows
    assert current_thread().name not in memory.threads, "every question is asked elsewhere"


def test_an_observer_that_fails_is_the_error_state(b: Any) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("mine")

    b.observe(fail, "rows")
    b.path = "memory"
    assert b.error["class"] == "ZeroDivisionError"
    assert b.table["extent"], "the other traits were set all the same"
    b.unobserve(fail, "rows")
    b.refresh()
    assert b.error == {}


def test_the_traits_are_json_and_so_is_what_a_notebook_saves(b: Any) -> None:
    b.path = "memory"
    b.selected = b.rows[0]["uri"]
    state = {name: value for name, value in b.get_state().items() if name in NAMES}
    assert json.loads(json.dumps(state)) == json.loads(json.dumps({name: getattr(b, name) for name in NAMES}))


def test_it_carries_a_static_copy_beside_the_view(b: Any) -> None:
    b.path = "memory"
    data, _ = b._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "day-003" in data["text/plain"]
    assert data["text/plain"].startswith("Storage browser: memory")
    assert repr(b) == "BrowserWidget('memory')", "short, for the text of a box is that of all it holds"
    assert "run the cell" in data["text/html"]
    assert "day-003" in data["text/html"]
    assert len(data["text/html"]) < 6_000
    assert "day-003" in b.snapshot().html


def test_python_may_delete(dm: DataManager, b: Any) -> None:
    b.path = "memory"
    b.selected = b.rows[0]["uri"]
    b.delete()
    assert (b.selected, dm.exists_by_key("memory", KEYS[0])) == ("", False)
    assert b.rows[0]["key"] == KEYS[1]


def test_the_plain_browser_has_the_same_names(b: Any, dm: DataManager) -> None:
    plain = Browser(dm)
    methods = {"references", "refs", "code", "snapshot", "refresh", "show_as", "delete", "clear", "close"}
    seen = {
        "path",
        "query",
        "sort",
        "page",
        "delimiter",
        "selected",
        "selected_ids",
        "rows",
        "total",
        "preview",
        "error",
        "busy",
    }
    for name in methods | seen:
        assert hasattr(plain, name), name
        assert hasattr(b, name), name
    assert set(CHOSEN) <= seen


# -- what a page may write, and what not


def test_what_cannot_be_chosen_goes_back_and_is_raised_where_python_chose_it(b: Any) -> None:
    b.path = "memory"
    for name, value in (("selected", "nope"), ("sort", "a..b"), ("delimiter", "letters")):
        before = getattr(b, name)
        with pytest.raises(StorageError):
            setattr(b, name, value)
        assert getattr(b, name) == before == getattr(b._browser, name)
        assert b.error == {}


def test_what_a_link_on_a_page_cannot_choose_goes_back_and_is_shown(b: Any) -> None:
    b.path = "memory"
    sent: list[Any] = []
    b._send = lambda message, buffers=None: sent.append(message)
    b.set_state({"sort": "a..b"})
    assert (b.sort, b._browser.sort) == ("", "")
    assert b.error["title"] == "setting sort failed"
    assert b.error["class"] == "InvalidFilterError"
    assert "" in [message["state"].get("sort") for message in sent if message["method"] == "update"]
    b.set_state({"sort": "-key"})
    b.refresh()
    assert (b.sort, b.rows[0]["key"], b.error) == ("-key", KEYS[-1], {})


@pytest.mark.parametrize(
    "state",
    [{"page": "x"}, {"page": None}, {"path": 5}, {"selected_ids": 7}, {"selected_ids": [7]}, {"query": {}}],
    ids=repr,
)
def test_what_is_no_value_of_a_trait_goes_back_and_is_shown(b: Any, state: dict[str, Any]) -> None:
    b.path = "memory"
    before = {name: getattr(b, name) for name in CHOSEN}
    b.set_state({"sort": "key", **state})
    assert {name: getattr(b, name) for name in CHOSEN} == before
    assert b.error["kind"] == "message"
    b.set_state({"query": "day-01"})
    b.refresh()
    assert (len(b.rows), b.error) == (10, {})


def test_a_page_says_nothing_of_what_only_the_kernel_knows(dm: DataManager) -> None:
    b: Any = browse(dm, "memory", read_only=True)
    before = {name: getattr(b, name) for name in NAMES}
    sent: list[Any] = []
    b._send = lambda message, buffers=None: sent.append(message)
    forged: dict[str, Any] = {name: type(value)() for name, value in before.items() if value is not None}
    b.set_state({**{name: forged.get(name) for name in NAMES if name not in CHOSEN}, "total": 7})
    assert {name: getattr(b, name) for name in NAMES} == before
    told = {name for message in sent for name in message["state"]}
    assert told == set(NAMES) - set(CHOSEN), "the page hears what is true"
    b.close()


def test_a_widget_takes_over_its_layout_from_a_page(b: Any) -> None:
    other = ipywidgets.Layout()
    b.set_state({"layout": f"IPY_MODEL_{other.model_id}"})
    assert b.layout is other


# -- how long a cell is held


@pytest.mark.parametrize("known, seconds", [(True, PATIENCE_KNOWN), (False, PATIENCE)])
def test_a_cell_waits_longer_for_a_provider_that_has_answered(
    dm: DataManager, monkeypatch: pytest.MonkeyPatch, known: bool, seconds: float
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(Browser, "wait_for_first_page", lambda _, given: waited.append(given))
    if not known:
        dm.register_provider("another", Gated())
    browse(dm, "memory" if known else "another").close()
    assert waited == [seconds]


def test_a_provider_that_never_answers_does_not_hold_the_cell_for_long(dm: DataManager) -> None:
    silent = Gated()
    silent.gate.clear()
    dm.register_provider("silent", silent)
    b: Any = browse(dm, "silent")
    assert (b.rows, b.busy) == ([], "listing silent")
    silent.gate.set()
    b.refresh()
    assert b.busy == ""
    b.close()
