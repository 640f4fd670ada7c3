"""Keys grouped by another delimiter in the browser: from Python, as a widget, and in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import ipywidgets
import pytest
from backends import make

from praval_storage import ConfigurationError, DataManager
from praval_storage.jupyter import Browser, browse
from praval_storage.jupyter.lanes import Lanes
from praval_storage.places import Look, Seen
from praval_storage.providers import FileSystemProvider

if TYPE_CHECKING:
    from harness.fixtures import Axe, HostPage
    from playwright.sync_api import Page

pytestmark = pytest.mark.xdist_group("browser")

KEYS = [*(f"app/users/{n}" for n in range(30)), "app/x:y", "app:x", "a::b", "a::c", "a:d", "top", "one two/x"]


@pytest.fixture
def dm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DataManager]:
    with DataManager({"redis": make("redis", request), "files": FileSystemProvider(tmp_path)}) as dm:
        dm.store_many(dict.fromkeys(KEYS, 1), "redis").raise_for_errors()
        dm.store(1, "files", "folder/x")
        yield dm


@pytest.fixture
def b(dm: DataManager) -> Browser:
    return Browser(dm, "redis", page_size=100)


def places(b: Any) -> list[str]:
    table = b.table if hasattr(b, "table") else b.state.table
    return [place["id"] for place in table.get("places", ())]  # none while an answer is waited for


def ids(b: Browser) -> list[str]:
    return [line["id"] for line in b.state.tree]


def test_places_tree_and_pages_follow(dm: DataManager, b: Browser) -> None:
    assert b.delimiter == ":"
    assert places(b) == ["redis/a:", "redis/app:", "redis/app/x:"]
    b.path = "redis/a:"
    b.query, b.sort, b.selected = "b", "-key", "praval://redis/a%3A%3Ab"
    b.delimiter = "/"
    assert (b.query, b.sort, b.selected, b.preview) == ("", "", "", {})
    assert (b.delimiter, b.path, b.page) == ("/", "redis", 0)
    assert places(b) == ["redis/app/", "redis/one two/"]
    assert ids(b) == ["redis", "redis/app/", "redis/one two/", "files"]
    b.path = "redis/app/users/"
    assert b.state.crumbs == [("redis", "redis"), ("redis/app/", "app"), ("redis/app/users/", "users")]
    b.handle({"op": "measure"}, lambda *_: None)
    assert b.state.table["measured"]["text"] == "30 records"
    small = Browser(dm, "redis/app/users/", delimiter="/", page_size=20)
    found = {row["key"] for row in small.rows}
    small.page = 1
    assert (small.page, found | {row["key"] for row in small.rows}) == (1, set(KEYS[:30]))


def test_a_prefix_stays_if_it_ends_so_as_well(b: Browser) -> None:
    b.path, b.delimiter = "redis/a:", "::"
    assert b.path == "redis", "a: is no place any more"
    b.path = "redis/a::"
    assert {row["key"] for row in b.rows} == {"a::b", "a::c"}
    b.delimiter = ":"
    assert (b.path, {row["key"] for row in b.rows}) == ("redis/a::", {"a::b", "a::c"})
    assert b.state.crumbs[1:] == [("redis/a:", "a"), ("redis/a::", "<empty>")]


def test_each_provider_has_its_own_and_one_may_go_back(b: Browser) -> None:
    b.delimiter = "/"
    b.path = "files"
    assert b.delimiter == ""
    with pytest.raises(ConfigurationError, match="'files' have no delimiter that can be chosen"):
        b.delimiter = "/"
    b.path = ""
    with pytest.raises(ConfigurationError, match="of a provider, and none is shown"):
        b.delimiter = "/"
    b.path = "redis/app/"
    assert (b.delimiter, len(b.rows)) == ("/", 1)
    b.delimiter = ""
    assert (b.delimiter, b.path, places(b)) == (":", "redis", ["redis/a:", "redis/app:", "redis/app/x:"])


@pytest.mark.parametrize("delimiter", ["ab", ":::::::::", "\n", 7, [":"], None])
def test_what_can_be_none_changes_nothing(b: Browser, delimiter: Any) -> None:
    before = b.state
    with pytest.raises(ConfigurationError, match="1 to 8 characters"):
        b.delimiter = delimiter
    assert b.state == before


def test_the_same_one_again_asks_nobody(dm: DataManager) -> None:
    asked: list[Look] = []

    def look(name: str, request: Look) -> Seen:
        asked.append(request)
        return dm.look(name, request)

    b = Browser(dm, "redis/app/", look=look, delimiter="/")
    b.refresh()
    assert {request.delimiter for request in asked} == {"/"}
    asked.clear()
    b.delimiter = "/"
    own = Browser(dm, "redis", look=look)
    asked.clear()
    own.delimiter = ":"
    assert asked == []
    assert own.code().startswith("dm.query("), "nobody has chosen anything"


def test_code_shows_the_choice(dm: DataManager, b: Browser) -> None:
    assert b.code().startswith("dm.query('redis', ")
    b.path, b.delimiter = "redis/a:", "/"
    b.path, b.query = "redis/app/", "X"
    assert b.code() == "dm.ls('redis://app/', text='X', limit=100, delimiter='/')"
    assert [each.key for each in eval(b.code()).references] == ["app/x:y"]
    b.query, b.sort = '{"size": {"$gt": 0}}', "-key"
    listed = eval(b.code())
    assert [each.key for each in listed.references] == [row["key"] for row in b.rows]
    dm.unregister_provider("redis")
    gone = Browser(dm, "redis/app/", delimiter="/")
    assert gone.error["class"] == "ProviderNotRegisteredError"
    assert gone.code() == "dm.browse('redis/app/', delimiter='/')"
    with pytest.raises(ConfigurationError, match="none is shown"):
        Browser(dm, delimiter="/")


def test_what_the_tree_asked_before_does_not_come_into_it(dm: DataManager) -> None:
    gate, entered = Event(), Event()

    def look(name: str, request: Look) -> Seen:
        entered.set()
        assert gate.wait(30)
        return dm.look(name, request)

    b = Browser(dm, lanes=Lanes(), look=look, page_size=100)
    b.handle({"op": "open", "path": "redis", "want": True}, lambda *_: None)
    assert entered.wait(10)
    b.choose("path", "redis", wait=False)
    b.choose("delimiter", "/", wait=False)
    gate.set()
    b.refresh()
    assert ids(b) == ["redis", "redis/app/", "redis/one two/", "files"]
    b.close()


def test_answers_under_the_delimiter_before_are_not_shown(dm: DataManager) -> None:
    gate, entered = Event(), Event()

    def look(name: str, request: Look) -> Seen:
        seen = dm.look(name, request)
        if request.delimiter is None and not gate.is_set():
            entered.set()
            assert gate.wait(30)
        return seen

    gate.set()
    b = Browser(dm, lanes=Lanes(), look=look)
    b.path = "redis"
    b.handle({"op": "open", "path": "redis", "want": False}, lambda *_: None)
    gate.clear()
    b.choose("page", 0, wait=False)
    assert entered.wait(10)
    # One question is being asked, those for the tree are queued behind it.
    b.handle({"op": "open", "path": "redis/a:", "want": True}, lambda *_: None)
    b.choose("delimiter", "/", wait=False)
    gate.set()
    b.path = "redis/app/users/"
    assert {line["id"] for line in b.state.tree} == {
        *("redis", "redis/app/", "redis/app/users/", "redis/one two/", "files")
    }
    assert all(row["key"].startswith("app/users/") for row in b.rows)
    assert (b.delimiter, b.error) == ("/", {})
    b.close()


@pytest.fixture
def widget(dm: DataManager) -> Iterator[Any]:
    widget = browse(dm, "redis", page_size=100)
    yield widget
    widget.close()


def test_as_a_trait(widget: Any) -> None:
    text, seen = ipywidgets.Text(), []
    ipywidgets.link((widget, "delimiter"), (text, "value"))
    widget.observe(lambda change: seen.append(change["new"]), "delimiter")
    assert text.value == ":"
    text.value = "/"
    assert (widget.delimiter, seen, places(widget)) == ("/", ["/"], ["redis/app/", "redis/one two/"])
    with pytest.raises(ConfigurationError):
        widget.delimiter = "ab"
    assert (widget.delimiter, text.value) == ("/", "/")
    widget.path = "files"
    assert (widget.delimiter, text.value) == ("", "")


# -- in a page


def test_the_control(
    host_page: HostPage, widget: Any, axe: Axe, shot: Callable[..., None], dm: DataManager
) -> None:
    page = host_page.show(widget)
    pick = page.get_by_label("delimiter", exact=True)
    assert pick.input_value() == ":"
    before = bars(page)
    pick.focus()
    page.keyboard.press("ArrowDown")
    page.get_by_role("treeitem", name="app/x").wait_for(state="hidden")
    page.get_by_role("treeitem", name="one two").wait_for()
    assert pick.input_value() == widget.delimiter == "/"
    assert bars(page) == before, "the control moves nothing"
    assert page.evaluate("() => document.activeElement.getAttribute('aria-label')") == "delimiter"
    page.get_by_role("treeitem", name="app").click()
    page.get_by_role("treeitem", name="users").wait_for()
    assert pick.is_visible()
    for theme in ("light", "dark"):
        host_page.host.set_theme(theme)
        page.wait_for_selector(f"body[data-jp-theme-light={str(theme == 'light').lower()}]")
        host_page.settle(widget)
        assert axe(page) == [], theme
        shot(page, f"delimiter-{theme}")
    page.set_viewport_size({"width": 480, "height": 800})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 480
    shot(page, "delimiter-480")
    # Where there is no choice there is no control, also not in an empty place of such a provider.
    page.get_by_role("treeitem", name="files").click()
    pick.wait_for(state="hidden")
    page.get_by_role("treeitem", name="redis").click()
    pick.wait_for()
    widget.path = "redis/no such place/"
    page.get_by_text("Nothing here yet.").wait_for()
    assert pick.is_visible()


def test_any_other_delimiter_is_typed(host_page: HostPage, widget: Any, axe: Axe) -> None:
    page = host_page.show(widget)
    pick, box = page.get_by_label("delimiter", exact=True), page.get_by_label("other delimiter")
    pick.select_option("other…")
    assert axe(page) == []
    page.keyboard.press("Escape")
    box.wait_for(state="hidden")
    assert pick.input_value() == ":"
    pick.select_option("other…")
    page.keyboard.type("::")
    page.keyboard.press("Enter")
    host_page.until(lambda: places(widget) == ["redis/a::"])
    host_page.until(lambda: pick.input_value() == "::")
    pick.select_option("other…")
    page.keyboard.type(" ")
    page.keyboard.press("Enter")
    host_page.until(lambda: places(widget) == ["redis/one "])
    host_page.until(lambda: pick.evaluate("e => e.selectedOptions[0].textContent") == "␣")
    pick.select_option("other…")
    page.keyboard.type("ab")
    page.keyboard.press("Enter")
    page.get_by_text("A delimiter is a text of 1 to 8 characters").wait_for()
    assert (pick.input_value(), widget.delimiter) == (" ", " ")
    pick.select_option("/")
    page.get_by_role("treeitem", name="one two").wait_for()
    assert widget.error == {}


def bars(page: Page) -> list[Any]:
    """Where the parts stand."""
    found: list[Any] = page.evaluate(
        """() => [".bar", ".bar input", ".bar .choice", ".tree", ".middle", ".pane", ".foot"]
        .map((part) => document.querySelector(part).getBoundingClientRect().toJSON())"""
    )
    return found
