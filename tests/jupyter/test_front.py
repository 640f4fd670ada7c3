"""The front end in a real Chromium, with the live widget in this process: looks, clicks and keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from harness.gated import Gated

from praval_storage import DataManager
from praval_storage.jupyter import browse
from praval_storage.places import Look, Seen
from praval_storage.providers import FileSystemProvider

if TYPE_CHECKING:
    from harness.fixtures import Axe, HostPage
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.xdist_group("browser")

HOSTILE = {
    "script": "<script>document.title='owned'</script>",
    "image": "<img src=x onerror=\"document.title='owned'\">",
    "bold": "<b>bold</b> & 'quoted' \"twice\"",
    "emoji": "🦆 naïve 漢字",
    "right to left": "\u202eabc\u05d0\u05d1\u05d2",
    "long": "x" * 500,
}
DAYS = {f"reports/2026/day-{n:03d}.json": {"day": n, "tags": ["a", "b"]} for n in range(60)}


@pytest.fixture
def dm(tmp_path: Path) -> Iterator[DataManager]:
    with DataManager({"files": FileSystemProvider(tmp_path), "memory": Gated()}) as dm:
        dm.store_many(DAYS, "files").raise_for_errors()
        yield dm


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row", name=name)


def title(page: Page) -> Locator:
    return page.locator(".pane .title")


def wait_for_text(locator: Locator, text: str | re.Pattern[str]) -> None:
    locator.filter(has_text=text).first.wait_for()


def focused(page: Page) -> str:
    """What is focused: its mark, else its role or name."""
    return str(
        page.evaluate(
            "() => { const e = document.activeElement;"
            " return e.dataset.focus || e.getAttribute('aria-label') || e.tagName; }"
        )
    )


def colours(page: Page, selector: str) -> tuple[str, str]:
    found: list[str] = page.evaluate(
        "(s) => { const e = document.querySelector(s), c = getComputedStyle(e);"
        " return [c.color, getComputedStyle(e.closest('.pvb')).backgroundColor]; }",
        selector,
    )
    return found[0], found[1]


# -- walking through it


def test_from_the_tree_to_a_record_and_back(host_page: HostPage, dm: DataManager) -> None:
    b = browse(dm)
    page = host_page.show(b)
    page.get_by_text("Open a provider on the left.").wait_for()
    page.get_by_text("Choose a record to see it here.").wait_for()
    page.get_by_role("treeitem", name="files").click()
    page.get_by_role("treeitem", name="reports").click()
    row(page, "2026").click()
    row(page, "day-013.json").click()
    wait_for_text(title(page), "day-013.json")
    assert b.path == "files/reports/2026/"
    assert b.selected.endswith("/day-013.json")
    page.get_by_role("button", name="next").click()
    wait_for_text(page.locator(".extent"), "26–50 of 60")
    page.get_by_role("navigation", name="Path").get_by_role("button", name="files").click()
    row(page, "reports").wait_for()
    assert b.path == "files"


def test_what_python_sets_is_drawn(host_page: HostPage, dm: DataManager) -> None:
    b = browse(dm)
    page = host_page.show(b)
    b.path = "files/reports/2026/"
    row(page, "day-024.json").wait_for()
    b.query = "day-05"
    wait_for_text(page.locator(".extent"), "1–10 of 10")
    assert page.get_by_role("searchbox", name="Filter").input_value() == "day-05"
    b.selected = b.rows[0]["uri"]
    wait_for_text(title(page), "day-050.json")
    assert row(page, "day-050.json").get_attribute("aria-selected") == "true"
    assert page.get_by_role("treeitem", name="2026").get_attribute("aria-selected") == "true"


def test_the_filter_takes_names_and_the_grammar(host_page: HostPage, dm: DataManager) -> None:
    b = browse(dm, "files/reports/2026/")
    page = host_page.show(b)
    box = page.get_by_role("searchbox", name="Filter")
    box.press_sequentially('{"day": {"$gt": 57}')
    page.get_by_text("is not a filter yet").wait_for()
    assert box.get_attribute("aria-invalid") == "true"
    assert page.locator(".problem").inner_text() == ""
    box.press("End")
    box.press_sequentially("}")
    wait_for_text(page.locator(".extent"), "1–2 of 2")
    assert box.get_attribute("aria-invalid") == "false"
    box.press("Escape")
    wait_for_text(page.locator(".extent"), "1–25 of 60")
    box.fill("no such name")
    page.get_by_text("Nothing here matches the filter.").wait_for()


def test_headers_sort(host_page: HostPage, dm: DataManager) -> None:
    b = browse(dm, "files/reports/2026/")
    page = host_page.show(b)
    header = page.get_by_role("columnheader", name="name")
    for state, first in (
        ("ascending", "day-000.json"),
        ("descending", "day-059.json"),
        ("none", "day-000.json"),
    ):
        header.get_by_role("button").click()
        page.wait_for_selector(f"th[aria-sort={state}] button[data-focus='sort key']")
        page.locator("tbody tr[data-uri]").first.filter(has_text=first).wait_for()
        assert focused(page) == "sort key"


def test_the_tree_loads_more(host_page: HostPage, dm: DataManager) -> None:
    dm.store_many({f"folder-{n:03d}/x": n for n in range(130)}, "memory")
    page = host_page.show(browse(dm))
    page.get_by_role("treeitem", name="memory").press("ArrowRight")
    page.get_by_role("treeitem", name="folder-099").wait_for()
    page.get_by_role("treeitem", name="load more").click()
    page.get_by_role("treeitem", name="folder-129").wait_for()
    assert page.get_by_role("treeitem", name="load more").count() == 0


def test_what_is_below_is_measured_on_request(host_page: HostPage, dm: DataManager) -> None:
    page = host_page.show(browse(dm, "files"))
    page.get_by_role("button", name="compute size").click()
    page.get_by_text(re.compile(r"60 records, [\d.]+ kB")).wait_for()


# -- records of every kind


def kinds(folder: Path) -> dict[str, Any]:
    pillow = pytest.importorskip("PIL.Image")
    return {
        "a.json": {"list": [1, None, {"deep": "text"}], "big": 2**63},
        "b.parquet": pd.DataFrame({"n": [1, 2, 3], "s": ["a", None, ""], "f": [1.5, float("nan"), -0.0]}),
        "c.txt": "line\n" * 3_000,
        "d.png": pillow.new("RGB", (40, 30), "teal"),
        "e.bin": bytes(range(256)) * 10,
        "f.npy": np.arange(600.0).reshape(20, 30),
        "g.csv": pd.DataFrame({"x": [1, 2], "y": ["p", "q"]}),
    }


def test_each_kind_of_record_has_its_preview(
    host_page: HostPage, dm: DataManager, tmp_path: Path, axe: Axe, shot: Callable[..., None]
) -> None:
    for key, value in kinds(tmp_path).items():
        dm.store(value, "memory", f"kinds/{key}")
    b = browse(dm, "memory/kinds/")
    page = host_page.show(b)
    pane = page.get_by_role("region", name="Preview")
    seen = {
        "a.json": pane.get_by_text("9223372036854775808"),
        "b.parquet": pane.get_by_role("columnheader", name="s"),
        "c.txt": pane.get_by_role("button", name=re.compile("show all")),
        "d.png": pane.get_by_role("img"),
        "e.bin": pane.get_by_text(re.compile("00 01 02")),
        "f.npy": pane.get_by_role("img").first,
        "g.csv": pane.get_by_role("columnheader", name="y"),
    }
    for key, part in seen.items():
        row(page, key).click()
        wait_for_text(title(page), key)
        part.wait_for()
        host_page.settle(b)
        shot(page, f"kind-{key}")
        assert axe(page) == [], key
    assert page.evaluate(
        "() => [...document.images].every((image) => !image.complete || image.naturalWidth > 0)"
    )


def test_a_long_text_is_shown_in_full_when_asked(host_page: HostPage, dm: DataManager) -> None:
    dm.store("line\n" * 3_000 + "the end", "memory", "long.txt")
    page = host_page.show(browse(dm, "memory"))
    row(page, "long.txt").click()
    page.get_by_role("button", name=re.compile("show all")).click()
    wait_for_text(page.locator(".pane pre"), "the end")


# -- what can be done


def test_the_snippet_is_copied(host_page: HostPage, dm: DataManager) -> None:
    b = browse(dm, "files/reports/2026/")
    page = host_page.show(b)
    row(page, "day-001.json").click()
    page.get_by_role("button", name="copy snippet").click()
    page.get_by_role("button", name="copied").wait_for()
    snippet = page.evaluate("() => navigator.clipboard.readText()")
    assert eval(snippet) == {"day": 1, "tags": ["a", "b"]}


def test_where_the_clipboard_is_refused_the_snippet_appears_selected(
    host_page: HostPage, dm: DataManager
) -> None:
    page = host_page.show(browse(dm, "files/reports/2026/"))
    row(page, "day-001.json").click()
    page.get_by_role("button", name="copy snippet").wait_for()
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')); }")
    page.get_by_role("button", name="copy snippet").click()
    snippet = "dm.retrieve('praval://files/reports/2026/day-001.json')"
    page.get_by_text(snippet).wait_for()
    assert page.evaluate("() => getSelection().toString()").strip() == snippet
    page.evaluate("() => { delete navigator.clipboard.writeText; }")


def test_a_download_has_the_bytes_that_are_stored(
    host_page: HostPage, dm: DataManager, tmp_path: Path
) -> None:
    body = bytes(np.random.default_rng(0).integers(0, 256, 1_500_000, "uint8"))
    dm.store(body, "memory", "folder/raw.bin")
    page = host_page.show(browse(dm, "memory/folder/"))
    row(page, "raw.bin").click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="download").click()
    waiting.value.save_as(tmp_path / "got")
    assert waiting.value.suggested_filename == "raw.bin"
    assert (tmp_path / "got").read_bytes() == body


def test_every_click_on_download_is_answered_although_a_listing_takes_its_time(
    host_page: HostPage, dm: DataManager
) -> None:
    dm.store(1, "memory", "raw.bin")
    memory: Any = dm.providers["memory"]
    page = host_page.show(browse(dm, "memory"))
    row(page, "raw.bin").click()
    wait_for_text(title(page), "raw.bin")
    names: list[str] = []
    page.on("download", lambda each: names.append(each.suggested_filename))
    memory.entered.clear()
    memory.gate.clear()
    page.get_by_role("button", name="refresh").click()
    host_page.until(memory.entered.is_set)
    for _ in range(3):
        page.get_by_role("button", name="download").click()
    page.wait_for_timeout(100)
    assert names == []
    memory.gate.set()
    host_page.until(lambda: names == ["raw.bin"] * 3)


def test_a_download_that_fails_says_so_until_the_user_goes_on(host_page: HostPage, dm: DataManager) -> None:
    dm.store_many({"gone": 1, "raw.bin": 1}, "memory")
    page = host_page.show(browse(dm, "memory"))
    row(page, "gone").click()
    wait_for_text(title(page), "gone")
    dm.delete("praval://memory/gone")
    page.get_by_role("button", name="download").click()
    wait_for_text(page.get_by_role("alert"), "fetching gone failed")
    assert page.get_by_role("button", name="retry").is_hidden()
    row(page, "raw.bin").click()
    wait_for_text(title(page), "raw.bin")
    assert page.get_by_role("alert").inner_text() == ""


def test_what_is_too_large_to_download_says_how_to_get_it(
    host_page: HostPage, dm: DataManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("praval_storage.jupyter.actions.DOWNLOAD", 10)
    page = host_page.show(browse(dm, "files/reports/2026/"))
    row(page, "day-001.json").click()
    page.get_by_role("button", name="download").click()
    page.locator(
        ".snippet", has_text="dm.retrieve('praval://files/reports/2026/day-001.json', into="
    ).wait_for()


# -- states


def test_two_views_of_one_browser_show_the_same(host_page: HostPage, dm: DataManager) -> None:
    b = browse(dm, "files/reports/2026/")
    page = host_page.show(b)
    host_page.show(b)
    first, second = page.locator(".pvb").nth(0), page.locator(".pvb").nth(1)
    first.get_by_role("row", name="day-002.json").click()
    wait_for_text(second.locator(".title"), "day-002.json")
    downloads: list[Any] = []
    # Playwright marks its listeners, which a method of a list does not let it.
    page.on("download", lambda each: downloads.append(each))  # noqa: PLW0108
    with page.expect_download():
        second.get_by_role("button", name="download").click()
    first.get_by_role("button", name="next").click()
    wait_for_text(second.locator(".extent"), "26–50 of 60")
    assert len(downloads) == 1, "only the view that asked takes the file"
    b.close()
    page.wait_for_function("() => document.querySelectorAll('.pvb').length === 0")


def test_a_kernel_that_is_busy_is_waited_for_and_one_that_is_gone_is_told_of(
    host_page: HostPage, dm: DataManager, axe: Axe
) -> None:
    page = host_page.show(browse(dm))
    page.get_by_role("treeitem", name="memory").click()
    page.get_by_text("Nothing here yet.").wait_for()  # the kernel has been met
    go = Event()
    host_page.host.block(go)
    page.get_by_role("treeitem", name="files").click()
    page.get_by_text("kernel busy, waiting…").wait_for()
    assert axe(page) == []
    go.set()
    row(page, "reports").wait_for()
    page.get_by_text("kernel busy, waiting…").wait_for(state="hidden")
    page.evaluate("() => { window.kernelGone = true; }")
    page.get_by_role("treeitem", name="memory").click()
    page.get_by_text("run the cell again").wait_for()
    assert page.get_by_role("button", name="refresh").is_disabled()
    assert axe(page) == []


def test_who_clicks_again_and_again_is_told_of_a_busy_kernel_as_well(
    host_page: HostPage, dm: DataManager
) -> None:
    page = host_page.show(browse(dm))
    page.get_by_role("treeitem", name="files").click()
    row(page, "reports").wait_for()
    go = Event()
    host_page.host.block(go)
    page.evaluate("""() => { const button = document.querySelector("[data-focus=refresh]");
        window.clicking = setInterval(() => button.click(), 200); }""")
    page.get_by_text("kernel busy, waiting…").wait_for()
    page.evaluate("() => clearInterval(window.clicking)")
    go.set()
    page.get_by_text("kernel busy, waiting…").wait_for(state="hidden")


def test_a_view_that_has_met_no_kernel_says_what_to_do(host_page: HostPage, dm: DataManager) -> None:
    go = Event()
    host_page.host.block(go)
    page = host_page.show(browse(dm))
    page.get_by_text("no answer yet: the kernel is busy, or run the cell").wait_for()
    go.set()
    page.get_by_text("no answer yet").wait_for(state="hidden")


def test_what_expires_counts_down_without_the_kernel(host_page: HostPage, dm: DataManager) -> None:
    dm.store(1, "memory", "soon", ttl=3)
    dm.store(1, "memory", "later", ttl=4_000)
    dm.store(1, "memory", "never")
    b = browse(dm, "memory")
    page = host_page.show(b)
    wait_for_text(row(page, "soon"), "00:0")
    wait_for_text(row(page, "later"), "1 h 06 min")
    wait_for_text(row(page, "never"), "no limit")
    go = Event()
    host_page.host.block(go)
    wait_for_text(row(page, "soon"), "expired")
    go.set()
    row(page, "soon").wait_for(state="hidden")
    assert [each["key"] for each in b.rows] == ["later", "never"]


def test_what_was_found_by_looking_further_stays_when_a_row_expires(
    host_page: HostPage, dm: DataManager
) -> None:
    dm.store(1, "memory", "first", ttl=3)
    dm.store(1, "memory", "second")
    looks: list[str | None] = []

    def look(name: str, request: Look) -> Seen:
        looks.append(request.token)
        key = "second" if request.token else "first"
        rows = [each for each in dm.look(name, Look()).rows if each.key == key]
        return Seen(rows=rows, scanned=10, stopped=True, next="t")

    page = host_page.show(browse(dm, "memory", look=look))
    row(page, "first").wait_for()
    page.get_by_role("button", name="scan more").click()
    row(page, "second").wait_for()
    row(page, "first").wait_for(state="hidden")
    assert row(page, "second").is_visible()
    assert looks == [None, "t"], "the row was asked for, and nothing else"


# -- every state, in light and dark, for everybody


def states(page: Page, dm: DataManager, b: Any, go: Event) -> Iterator[str]:
    """Leads the browser through its states, and says which it is in."""
    memory: Any = dm.providers["memory"]
    page.get_by_text("Open a provider on the left.").wait_for()
    yield "never opened"
    b.path = "memory"
    page.get_by_text("Nothing here yet.").wait_for()
    yield "empty"
    b.path = "files"
    page.get_by_text("No records directly here: open a place above.").wait_for()
    yield "only places"
    b.path = "files/reports/2026/"
    row(page, "day-001.json").click()
    wait_for_text(title(page), "day-001.json")
    yield "a record"
    page.get_by_role("button", name="delete…").click()
    page.get_by_role("alertdialog").wait_for()
    yield "a question"
    page.keyboard.press("Escape")
    b.query = "nothing like this"
    page.get_by_text("Nothing here matches the filter.").wait_for()
    yield "no match"
    b.query = "{"
    page.get_by_text("is not a filter yet").wait_for()
    yield "half a filter"
    memory.gate.clear()
    memory.refusal = ConnectionRefusedError("refused")
    page.get_by_role("treeitem", name="memory").click()
    wait_for_text(page.locator(".doing"), "listing memory…")
    yield "loading"
    memory.gate.set()
    wait_for_text(page.get_by_role("alert"), "refused")
    yield "failed"
    page.get_by_role("button", name="refresh").click()
    page.get_by_text("kernel busy, waiting…").wait_for()
    yield "busy"
    go.set()
    page.get_by_text("kernel busy, waiting…").wait_for(state="hidden")
    page.evaluate("() => { window.kernelGone = true; }")
    page.get_by_role("button", name="refresh").click()
    page.get_by_text("run the cell again").wait_for()
    yield "gone"


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_every_state_is_accessible(
    host_page: HostPage, dm: DataManager, axe: Axe, shot: Callable[..., None], theme: str
) -> None:
    b, go = browse(dm), Event()
    page = host_page.show(b, theme)
    for state in states(page, dm, b, go):
        if state != "loading":
            host_page.settle(b)
        shot(page, f"state-{theme}-{state.replace(' ', '-')}")
        assert axe(page) == [], state
        if state == "failed":
            host_page.host.block(go)
