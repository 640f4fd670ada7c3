"""Fifteen things a picky user checks, each where it shows: in this process, in Chromium, or in JupyterLab."""

from __future__ import annotations

import gc
import json
import math
import os
import pickle
import re
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from harness.gated import Gated

from praval_storage import DataManager
from praval_storage.jupyter import browse
from praval_storage.providers import FileSystemProvider, PostgreSQLProvider, RedisProvider, S3Provider
from praval_storage.testing import InMemoryProvider

if TYPE_CHECKING:
    from harness.fixtures import Axe, HostPage
    from harness.lab import LabPage
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.xdist_group("browser")

DAYS = {f"reports/2026/day-{n:03d}.json": {"day": n, "tags": ["a", "b"]} for n in range(60)}


@pytest.fixture
def dm(tmp_path: Path) -> Iterator[DataManager]:
    with DataManager({"files": FileSystemProvider(tmp_path), "memory": Gated()}) as dm:
        dm.store_many(DAYS, "memory").raise_for_errors()
        yield dm


def memory(dm: DataManager) -> Any:
    return dm.providers["memory"]


def row(page: Page | Locator, name: str) -> Locator:
    return page.get_by_role("row", name=name)


def title(page: Page | Locator) -> Locator:
    return page.locator(".pane .title")


def shows(locator: Locator, text: str | re.Pattern[str]) -> None:
    locator.filter(has_text=text).first.wait_for()


def focused(page: Page) -> str:
    script = "(e = document.activeElement) => e.dataset.focus || e.getAttribute('aria-label') || ''"
    return str(page.evaluate(f"() => ({script})()"))


# -- 1


HOSTILE = [
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "<b>bold</b> &amp; 'single' \"double\"",
    "two\nlines",
    "🦆 naïve 漢字",
    "\u202eright to left \u05d0\u05d1",
    "x" * 5_000,
    "",
]


class Anything(Gated):
    """Holds records under names that only others would give them."""

    def take(self, names: list[str]) -> None:
        self.retrieve("model")
        model = self._rows["model"]
        for name in names:
            self._rows[name] = model._replace(key=name)


def test_01_hostile_names_and_values_are_text(
    host_page: HostPage, axe: Axe, shot: Callable[..., None]
) -> None:
    dm = DataManager({"<b>provider</b>": Anything()})
    provider: Any = dm.providers["<b>provider</b>"]
    dm.store({text[:50]: text for text in HOSTILE}, "<b>provider</b>", "model")
    provider.take([text for text in HOSTILE if text])
    b = browse(dm, "<b>provider</b>")
    page = host_page.show(b)
    host_page.settle(b)
    assert len(b.rows) >= len(HOSTILE) - 3, "names with / are places"
    row(page, "model").click()
    shows(title(page), "model")
    host_page.settle(b)
    shot(page)
    assert page.title() == "One widget"
    assert page.locator(".pvb script, .pvb b, .pvb img").count() == 0
    assert page.get_by_text("<b>bold</b> &amp;").count() > 0
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("() => document.querySelector('.pvb').offsetHeight") <= 460
    assert axe(page) == []
    for each in b.rows:
        b.selected = each["uri"]
        assert b.error.get("class") in {None, "KeyNotFoundError", "InvalidKeyError"}
        host_page.settle(b)
    assert page.title() == "One widget"
    assert "<script" not in browse(dm, "<b>provider</b>", static=True)._repr_html_()


# -- 2


def test_02_a_large_collection_opens_fast_and_in_flat_memory(tmp_path: Path) -> None:
    with DataManager({"files": FileSystemProvider(tmp_path)}) as dm:
        folder = tmp_path / "many"
        folder.mkdir()
        for n in range(20_000):
            (folder / f"r{n:06d}.json").write_bytes(b"1")
        b = browse(dm, "files/many/", static=True)
        gc.collect()
        tracemalloc.start()
        for page in range(1, 12):
            b.page = page
            assert len(b.rows) == 25
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert grown < 2_000_000
        assert "of" in b.state.table["extent"] or "more follow" in b.state.table["extent"]
        assert len(json.dumps(b.state.rows)) + len(json.dumps(b.state.tree)) < 20_000


# -- 3


def test_03_one_provider_down_and_the_others_work(
    host_page: HostPage, dm: DataManager, free_tcp_port: int, axe: Axe, shot: Callable[..., None]
) -> None:
    dm.register_provider("redis", RedisProvider(host="127.0.0.1", port=free_tcp_port, password="pl4nted"))
    b = browse(dm)
    page = host_page.show(b)
    page.get_by_role("treeitem", name="redis").click()
    alert = page.get_by_role("alert")
    shows(alert, f"127.0.0.1:{free_tcp_port}")
    shows(alert, "StorageConnectionError")
    shows(page.get_by_role("treeitem", name="redis"), "down")
    shot(page)
    assert axe(page) == []
    page.get_by_role("treeitem", name="memory").click()
    row(page, "reports").wait_for()
    assert alert.inner_text() == ""
    dm.register_provider("redis", InMemoryProvider())
    dm.store(1, "redis", "back")
    page.get_by_role("treeitem", name="redis").click()
    row(page, "back").wait_for()


def test_03_retry_asks_again(host_page: HostPage, dm: DataManager) -> None:
    memory(dm).refusal = ConnectionRefusedError("refused")
    page = host_page.show(browse(dm, "memory"))
    shows(page.get_by_role("alert"), "refused")
    memory(dm).refusal = None
    page.get_by_role("button", name="retry").click()
    row(page, "reports").wait_for()
    assert page.get_by_role("alert").inner_text() == ""
    page.get_by_role("button", name="retry").wait_for(state="hidden")


# -- 4


def test_04_a_slow_provider_says_so_and_only_the_last_answer_is_shown(
    host_page: HostPage, dm: DataManager, axe: Axe, shot: Callable[..., None]
) -> None:
    b = browse(dm, "memory/reports/2026/")
    page = host_page.show(b)
    row(page, "day-000.json").wait_for()
    page.evaluate(
        """() => { window.seen = [];
        const count = () => seen.push(document.querySelectorAll('tr[data-uri]').length);
        new MutationObserver(count).observe(document.querySelector('.list tbody'), { childList: true }); }"""
    )
    memory(dm).entered.clear()
    memory(dm).gate.clear()
    box = page.get_by_role("searchbox", name="Filter")
    box.fill("day-0")
    assert memory(dm).entered.wait(10)
    shows(page.locator(".doing"), "listing 2026…")
    assert page.locator(".pvb").get_attribute("aria-busy") == "true"
    box.press_sequentially("59")
    assert box.input_value() == "day-059"
    shot(page)
    assert axe(page) == []
    host_page.until(lambda: b.query == "day-059")  # the keys are collected for a moment before they are sent
    memory(dm).gate.set()
    row(page, "day-059.json").wait_for()
    page.wait_for_function("() => document.querySelectorAll('tr[data-uri]').length === 1")
    host_page.settle(b)
    assert page.evaluate("() => seen") == [1]
    assert page.locator(".doing").inner_text() == ""


# -- 5


def test_05_keyboard_alone(host_page: HostPage, dm: DataManager) -> None:
    b = browse(dm)
    page = host_page.show(b)
    press = page.keyboard.press
    for _ in range(20):
        press("Tab")
        if focused(page) == "files":
            break
    assert focused(page) == "files"
    press("ArrowDown")
    press("ArrowRight")
    page.get_by_role("treeitem", name="reports").wait_for()
    assert focused(page) == "memory", "the focus stays where it was after a redraw"
    press("ArrowRight")
    press("ArrowRight")
    page.get_by_role("treeitem", name="2026").wait_for()
    press("End")
    assert focused(page) == "memory/reports/2026/"
    press("Enter")
    row(page, "day-000.json").wait_for()
    press("/")
    assert focused(page) == "Filter"
    page.keyboard.type("day-0")
    host_page.until(lambda: b.query == "day-0")
    host_page.settle(b)
    press("ArrowDown")
    assert focused(page).endswith("day-000.json")
    press("PageDown")
    shows(page.locator(".extent"), "26–50")
    assert focused(page).endswith("day-025.json")
    press("PageUp")
    shows(page.locator(".extent"), "1–25")
    press("ArrowDown")
    press("Enter")
    shows(title(page), "day-001.json")
    assert focused(page).endswith("day-001.json")
    press("Delete")
    page.get_by_role("alertdialog").wait_for()
    assert focused(page) == "keep"
    press("Escape")
    page.get_by_role("alertdialog").wait_for(state="hidden")
    assert focused(page) == "delete"
    assert dm.exists(b.selected)
    press("Escape")
    shows(page.locator(".extent"), re.compile("^1–25"))
    assert b.query == ""
    assert page.evaluate("() => outsideKeys") == ["Tab"] * len(page.evaluate("() => outsideKeys")), (
        "a notebook would act on these"
    )


def test_05_focus_is_visible_and_each_part_is_one_tab_stop(host_page: HostPage, dm: DataManager) -> None:
    b = browse(dm, "memory/reports/2026/")
    page = host_page.show(b)
    row(page, "day-000.json").wait_for()
    host_page.settle(b)
    stops = page.evaluate(
        '() => [...document.querySelectorAll(\'.tree [tabindex="0"], .list tbody [tabindex="0"]\')].length'
    )
    assert stops == 2
    page.get_by_role("treeitem", name="memory").focus()
    page.keyboard.press("ArrowDown")
    outline = page.evaluate("() => getComputedStyle(document.activeElement).outline")
    assert "2px" in outline
    marked = page.evaluate(
        "() => [...document.querySelectorAll('.pvb button, .pvb input, .pvb [tabindex]')]"
        ".filter((e) => e.dataset.lmSuppressShortcuts !== 'true').length"
    )
    assert marked == 0


def test_05_no_cell_changes_while_typing_in_lab(lab_page: LabPage) -> None:
    lab = lab_page.open([LAB_SETUP, "2"]).run_all()
    out = lab.output(0)
    out.get_by_role("treeitem", name="files").click()
    row(out, "day-003.json").click()
    shows(title(out), "day-003.json")
    before = [cell["source"] for cell in lab.cells()]
    targets = [row(out, "day-003.json"), out.get_by_role("treeitem", name="files")]
    targets += [out.get_by_role("button", name=name) for name in ("copy snippet", "next", "refresh")]
    for target in targets:
        target.focus()
        for key in ("d", "d", "x", "a", "b", "j", "m", "y", "z", "1"):
            lab.page.keyboard.press(key)
    assert [cell["source"] for cell in lab.cells()] == before
    assert {cell["cell_type"] for cell in lab.cells()} == {"code"}
    assert lab.in_kernel("print(b.selected)") == "praval://files/day-003.json\n"


# -- 6


def test_06_dark_light_and_high_contrast_also_while_it_is_open(
    host_page: HostPage, dm: DataManager, axe: Axe, shot: Callable[..., None]
) -> None:
    b = browse(dm, "memory/reports/2026/")
    page = host_page.show(b)
    row(page, "day-001.json").click()
    shows(title(page), "day-001.json")
    found = {}
    for theme, light in (("light", "true"), ("dark", "false"), ("contrast", "false")):
        host_page.host.set_theme(theme)
        page.wait_for_selector(f"body[data-jp-theme-light={light}]")
        page.wait_for_timeout(50)
        found[theme] = page.evaluate("() => getComputedStyle(document.querySelector('.pvb')).backgroundColor")
        shot(page, f"theme-{theme}")
        assert axe(page) == [], theme
    assert len(set(found.values())) >= 2
    page.emulate_media(forced_colors="active")
    shot(page, "theme-forced")
    page.emulate_media(forced_colors="none")


# -- 7


@pytest.mark.parametrize("width, zoom", [(480, 1), (1600, 1), (1280, 2)])
def test_07_narrow_wide_and_zoomed_nothing_is_cut(
    host_page: HostPage, dm: DataManager, axe: Axe, shot: Callable[..., None], width: int, zoom: int
) -> None:
    b = browse(dm, "memory/reports/2026/")
    page = host_page.show(b)
    page.set_viewport_size({"width": width // zoom, "height": 800})
    page.evaluate("(zoom) => { document.body.style.fontSize = `${13 * zoom}px`; }", zoom)
    row(page, "day-001.json").click()
    shows(title(page), "day-001.json")
    host_page.settle(b)
    shot(page)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    clipped = page.evaluate(
        """() => { const box = document.querySelector('.pvb').getBoundingClientRect();
        return [...document.querySelectorAll('.pvb > *:not(.aloud)')].filter((e) => {
            const r = e.getBoundingClientRect();
            return r.width && (r.right > box.right + 1 || r.bottom > box.bottom + 1 || r.left < box.left - 1);
        }).map((e) => e.className); }"""
    )
    assert clipped == []
    for name in ("copy snippet", "next", "refresh"):
        page.get_by_role("button", name=name).click(trial=True)
    assert axe(page) == []
    page.evaluate("() => { document.body.style.fontSize = ''; }")


# -- 8 and 9


LAB_SETUP = """
import shutil
from praval_storage import DataManager
from praval_storage.providers import FileSystemProvider
shutil.rmtree("store", ignore_errors=True)
dm = DataManager({"files": FileSystemProvider(base_path="store")})
dm.store_many({f"day-{n:03d}.json": {"day": n} for n in range(40)}, "files")
b = dm.browse("files")
b.refresh()
b
"""


def test_08_saved_reopened_untrusted_and_converted_it_can_be_read(
    lab_page: LabPage, shot: Callable[..., None]
) -> None:
    lab = lab_page.open([LAB_SETUP]).run_all()
    row(lab.output(0), "day-003.json").wait_for()
    path = lab.save()
    saved = nbformat.read(path, as_version=4)
    [output] = saved.cells[0].outputs
    assert output.data["text/plain"].startswith("Storage browser: files, 1–25 of 40")
    assert "day-003.json" in output.data["text/html"]
    lab.close()
    # A copy that nobody here has signed, as from a colleague: Lab shows the static form.
    copy = path.with_name(f"untrusted-{path.name}")
    saved.metadata.pop("signature", None)
    saved.cells[0].source += "\n# changed"
    nbformat.write(saved, copy)
    lab.visit(copy.name, kernel=False)
    shows(lab.output(0), "day-003.json")
    shows(lab.output(0), "run the cell")
    shot(lab.page)
    exported = subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to", "html", "--stdout", str(path)],
        check=True, capture_output=True, text=True, env=None,
    ).stdout  # fmt: skip
    assert "day-003.json" in exported


def test_09_kernel_busy_and_kernel_restarted_in_lab(lab_page: LabPage, shot: Callable[..., None]) -> None:
    lab = lab_page.open([LAB_SETUP]).run_all()
    out = lab.output(0)
    row(out, "day-003.json").click()
    shows(title(out), "day-003.json")
    waiting = out.get_by_text("kernel busy, waiting…")
    # ipykernel 7.4 answers where the browser last spoke from; when that was a cell, a click is behind it.
    with lab.busy("b.refresh()"):
        row(out, "day-004.json").click()
        waiting.wait_for()
        assert title(out).inner_text() == "day-003.json"
        shot(lab.page, "busy-in-lab")
    shows(title(out), "day-004.json")
    waiting.wait_for(state="hidden")
    lab.page.evaluate(
        "async () => { await jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart(); }"
    )
    lab.page.wait_for_function(
        "() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"
    )
    row(out, "day-005.json").click()
    shows(out, "run the cell again")
    shot(lab.page)


# -- 10


def test_10_run_again_and_show_twice(lab_page: LabPage) -> None:
    show = "import ipywidgets\nif 'b' in globals(): b.close()\nb = dm.browse('files')\nb"
    lab = lab_page.open([LAB_SETUP.partition("b = ")[0], show, "b"])
    lab.run_all()
    count = "print(len(ipywidgets.widgets.widget._instances))"
    after_one = None
    for _ in range(5):
        lab.run_all()
        row(lab.output(1), "day-003.json").wait_for()
        if after_one is None:
            after_one = int(lab.in_kernel(count))
    row(lab.output(1), "day-003.json").click()
    shows(title(lab.output(2)), "day-003.json")
    row(lab.output(2), "day-004.json").click()
    shows(title(lab.output(1)), "day-004.json")
    assert int(lab.in_kernel(count)) == after_one


def test_10_clicks_make_no_widgets(host_page: HostPage, dm: DataManager) -> None:
    from ipywidgets.widgets import widget

    b = browse(dm, "memory/reports/2026/")
    page = host_page.show(b)
    row(page, "day-000.json").wait_for()
    before = len(widget._instances)
    for n in range(10):
        row(page, f"day-{n:03d}.json").click()
        shows(title(page), f"day-{n:03d}.json")
    assert len(widget._instances) == before
    b.close()
    assert len(widget._instances) == before - 2, "the browser and its layout are gone"


# -- 11


def test_11_deleting_asks_keeps_cancels_and_never_hits_another(
    host_page: HostPage, dm: DataManager, axe: Axe, shot: Callable[..., None]
) -> None:
    b = browse(dm, "memory/reports/2026/")
    page = host_page.show(b)
    row(page, "day-001.json").click()
    page.get_by_role("button", name="delete…").click()
    dialog = page.get_by_role("alertdialog")
    shows(dialog, "praval://memory/reports/2026/day-001.json")
    assert focused(page) == "keep"
    shot(page)
    assert axe(page) == []
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    page.get_by_role("button", name="delete…").click()
    dialog.wait_for()
    row(page, "day-002.json").click()
    shows(title(page), "day-002.json")
    assert dialog.count() == 0
    page.get_by_role("button", name="delete…").click()
    # The second of two quick clicks arrives when the record has gone and another one is selected.
    page.get_by_role("button", name="delete", exact=True).dblclick()
    row(page, "day-002.json").wait_for(state="hidden")
    host_page.settle(b)
    left = {reference.key for reference in dm.list("memory", limit=None).references}
    assert set(DAYS) - left == {"reports/2026/day-002.json"}
    closed = browse(dm, "memory/reports/2026/", read_only=True)
    host_page.show(closed)
    second = page.locator(".pvb").nth(1)
    row(second, "day-003.json").click()
    shows(second.locator(".pane"), "read-only")
    assert second.get_by_role("button", name="delete…").count() == 0


# -- 12


NUMBERS = {
    "none": None, "nan": math.nan, "empty": "", "blanks": "  ", "zero": 0, "big": 2**63, "tiny": 1e-300,
    "minus zero": -0.0, "plus zero": 0.0, "text null": "null", "text zero": "0", "yes": True,
    "naive": datetime.fromisoformat("2026-01-02T03:04"), "aware": datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
}  # fmt: skip


def test_12_numbers_and_nulls_are_all_different(
    host_page: HostPage, dm: DataManager, shot: Callable[..., None]
) -> None:
    dm.store(NUMBERS, "memory", "numbers")
    b = browse(dm, "memory")
    page = host_page.show(b)
    row(page, "numbers").click()
    shows(title(page), "numbers")
    shot(page)
    leaves = page.locator(".json .leaf").all_inner_texts()
    shown = dict(text.split(": ", 1) for text in leaves)
    assert list(shown) == list(NUMBERS)
    assert len(set(shown.values())) == len(NUMBERS)
    assert (shown["big"], shown["minus zero"], shown["tiny"]) == (str(2**63), "-0.0", "1e-300")


# -- 13


def test_13_with_all_servers_off_it_opens_at_once_and_shows_no_password(free_tcp_port: int) -> None:
    secret, port = "pl4nted", free_tcp_port
    dm = DataManager(
        {
            "redis": RedisProvider(host="127.0.0.1", port=port, password=secret),
            "postgresql": PostgreSQLProvider(
                host="127.0.0.1", port=port, user="u", password=secret, database="d", timeout=2
            ),
            "s3": S3Provider(
                "bucket", "access", secret, "us-east-1", endpoint_url=f"http://127.0.0.1:{port}"
            ),
        }
    )
    started = time.perf_counter()
    b = browse(dm)
    text = repr(dm) + repr(b) + json.dumps(b.get_state(), default=str)
    assert time.perf_counter() - started < 5, "nobody was asked"
    quiet = browse(dm, static=True)
    for name in dm.providers:
        quiet.path = name
        assert quiet.error["class"] in {"StorageConnectionError", "StorageTimeoutError"}, name
        text += json.dumps(quiet.error) + quiet.code() + quiet._repr_html_() + repr(quiet.snapshot())
    b.close()
    assert secret not in text


# -- 14


REPR = """
from praval_storage import DataManager
from praval_storage.testing import InMemoryProvider
dm = DataManager({"memory": InMemoryProvider(), "other": InMemoryProvider()})
dm.store_many({f"k{n}": {"n": n, "s": {"x", "y"}} for n in range(30)}, "memory")
b = dm.browse()
print(repr(b))
b.path = "memory"
print(repr(b))
b.selected = b.rows[3]["uri"]
print(repr(b), repr(b.snapshot()).partition("updated")[0], b.code())
print(b._repr_mimebundle_()[0]["text/plain"])
b.close()
"""


def test_14_the_text_is_the_same_in_every_run() -> None:
    def run(seed: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", REPR], check=False, capture_output=True, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = run("1")
    assert first == run("2")
    assert "Storage browser: memory, 1–25, more follow" in first
    assert not re.search(r"0x[0-9a-f]{6}", first)


# -- 15


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("loaded",)


def test_15_offline_and_a_pickle_is_never_loaded(
    host_page: HostPage, dm: DataManager, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bomb.pickle").write_bytes(pickle.dumps(Bomb()))
    b = browse(dm, "files")
    page = host_page.show(b)
    row(page, "bomb.pickle").click()
    shows(title(page), "bomb.pickle")
    host_page.settle(b)
    assert "loaded" not in capfd.readouterr().out
    with page.expect_download() as waiting:
        page.get_by_role("button", name="download").click()
    assert Path(waiting.value.path()).read_bytes() == (tmp_path / "bomb.pickle").read_bytes()
    assert host_page.watch.problems == []
    front = Path(sys.modules["praval_storage.jupyter.widget"].__file__ or "").parent / "front"
    text = "".join(path.read_text() for path in front.iterdir())
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == []
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text) == []
