"""What the browser says: names nobody could read as they are, counts, orders, costs, reasons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import pytest
import redis

from praval_storage import DataManager
from praval_storage.jupyter import browse
from praval_storage.places import Look, Seen
from praval_storage.providers import FileSystemProvider, QdrantProvider, RedisProvider
from praval_storage.testing import InMemoryProvider

if TYPE_CHECKING:
    from harness.fixtures import HostPage
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.xdist_group("browser")


def shows(locator: Locator, text: str | re.Pattern[str]) -> None:
    locator.filter(has_text=text).first.wait_for()


def labels(page: Page) -> list[str]:
    return page.locator(".tree .label").all_inner_texts()


@pytest.fixture
def odd(redis_url: str) -> Iterator[str]:
    """A prefix with keys below it that only others would write."""
    name = f"words-{uuid4().hex[:8]}"
    keys = [":", ":x", "a\u202eb:y", " sp", "sp ", "in  side", "<script>1</script>"]
    with redis.Redis.from_url(redis_url) as client:
        client.mset({f"{name}:{key}": 1 for key in keys})
        yield name
        client.delete(*client.scan_iter(f"{name}:*"))


def test_names_of_places_and_records_can_be_seen(host_page: HostPage, redis_url: str, odd: str) -> None:
    b = browse(DataManager({"redis": RedisProvider(url=redis_url)}), f"redis/{odd}:")
    page = host_page.show(b)
    shows(page.get_by_role("row"), "a\\u202eb")
    host_page.settle(b)
    names = [text.partition("\t")[0] for text in page.locator("tbody tr").all_inner_texts()]
    assert any(name.startswith("<empty>") for name in names)
    assert {"␣sp", "sp␣", "in␣␣side", "<script>1</script>"} <= set(names)
    shows(page.locator(".tree .label"), "a\\u202eb")
    assert {"<empty>", "a\\u202eb"} <= set(labels(page))
    assert "\u202e" not in page.locator(".pvb").inner_text()
    for name in ("␣sp", "<script>1</script>"):
        page.get_by_role("row", name=name).click()
        shows(page.locator(".pane .title"), name)
        assert page.locator(".pane .title").inner_text() == name


def test_an_order_that_is_not_made_does_not_look_made(host_page: HostPage) -> None:
    with DataManager({"memory": InMemoryProvider()}) as dm:
        dm.store_many({f"{n:02}.json": "x" * n for n in range(40)}, "memory")

        def look(name: str, request: Look) -> Seen:
            if request.order is None or request.order.path.root == "key":
                return dm.look(name, request)
            return replace(dm.look(name, replace(request, order=None)), ordered=False, note="not sorted")

        b = browse(dm, "memory", look=look)
        page = host_page.show(b)
        page.get_by_role("button", name="size", exact=True).click()
        page.get_by_text("not sorted").wait_for()
        assert b.code() == "dm.query('memory', limit=25)", "as it is, which is not in this order"
        assert page.locator("th[aria-sort]:not([aria-sort=none])").count() == 0
        assert page.locator(".arrow").all_inner_texts() == [""] * 4
        page.get_by_role("button", name="name", exact=True).click()
        page.locator("th[aria-sort=ascending]").wait_for()


def test_one_record_is_one_record(host_page: HostPage, redis_url: str, odd: str) -> None:
    dm = DataManager({"redis": RedisProvider(url=redis_url)})
    page = host_page.show(browse(dm, f"redis/{odd}:"))
    shows(page.get_by_role("row", name="a\\u202eb"), "1 record")
    page.get_by_role("row", name="a\\u202eb").click()
    page.get_by_role("button", name="compute size").click()
    shows(page.locator(".foot .extent"), "1 record")
    assert not re.search(r"\b1 records", page.locator(".pvb").inner_text())


def test_pictures_of_arrays_say_the_shape_and_their_figures_once(host_page: HostPage) -> None:
    with DataManager({"memory": InMemoryProvider()}) as dm:
        dm.store(np.arange(2_400.0).reshape(40, 60), "memory", "heat")
        dm.store(np.sin(np.arange(500.0)), "memory", "line")
        b = browse(dm, "memory")
        page, pane = host_page.show(b), host_page.page.locator(".pane")
        b.selected = "praval://memory/heat"
        shows(pane.locator("figcaption"), "heat map, 40 x 60, dark 0 to bright 2399")
        assert "px" not in pane.inner_text()
        assert pane.locator("img").evaluate("(image) => image.width") >= 100
        b.selected = "praval://memory/line"
        shows(pane.locator("figcaption"), "values: 500 in order")
        assert page.locator(".pane dt", has_text="min").count() == 1


def test_a_number_of_points_is_the_same_wherever_it_stands(host_page: HostPage, tmp_path: Path) -> None:
    with DataManager({"qdrant": QdrantProvider(path=tmp_path / "q", collection_name="docs")}) as dm:
        rows = {f"doc/{n}": {"vector": [1.0, n], "title": f"Paper {n}"} for n in range(30)}
        dm.store_many(rows, "qdrant").raise_for_errors()
        b = browse(dm, "qdrant/docs")
        page = host_page.show(b)
        shows(page.locator(".foot .extent"), "1–25 of 30")
        shows(page.locator(".tree .badge"), re.compile("^30$"))
        assert not page.get_by_role("button", name="exact count").is_visible()
        page.get_by_role("button", name="map").click()
        page.locator(".points tr[data-key]").first.wait_for()
        host_page.settle(b)
        cells = page.locator(".points tr[data-key]").first.locator("td").all_inner_texts()
        assert re.fullmatch(r"doc/(\d+)", cells[0])
        assert cells[1] == f"Paper {cells[0][4:]}", "a title does not repeat the key"


def test_a_folder_is_not_counted_by_the_files_directly_in_it(tmp_path: Path) -> None:
    with DataManager({"files": FileSystemProvider(tmp_path)}) as dm:
        dm.store_many({"reports/a": 1, "reports/more/b": 2}, "files")
        b = browse(dm, "files", static=True)
        b.path = "files/reports/"
        assert b.total == 1
        assert [line["count"] for line in b.state.tree if line["level"] > 1] == ["", ""]


def test_rows_are_not_drawn_anew_while_totals_run(host_page: HostPage, tmp_path: Path) -> None:
    with DataManager({"files": FileSystemProvider(tmp_path)}) as dm:
        dm.store_many({f"{n}.json": n for n in range(3)}, "files")
        b = browse(dm, "files")
        page = host_page.show(b)
        page.get_by_role("row", name="1.json").evaluate("(row) => { row.dataset.mark = 'the same'; }")
        b.table = {**b.table, "measured": {"text": "2 records", "running": True}}
        shows(page.locator(".foot .extent"), "2 records")
        assert page.locator("tr[data-mark]").count() == 1
        b.sort = "-key"
        page.locator("th[aria-sort=descending]").wait_for()
        assert page.locator("tr[data-mark]").count() == 0


def test_what_costs_something_says_so_and_reasons_are_words(host_page: HostPage, tmp_path: Path) -> None:
    with DataManager({"files": FileSystemProvider(tmp_path)}) as dm:
        dm.store(1, "files", "a.json")
        b = browse(dm, "files", read_only=True)
        page = host_page.show(b)
        page.get_by_role("row", name="a.json").click()
        page.locator(".actions").get_by_text("read-only: opened with read_only=True").wait_for()
        named = page.locator(".bar .act, .foot .act[data-focus=measure], .foot .act[data-focus=further]")
        assert named.count() == 4
        for each in named.all():
            assert len(each.get_attribute("title") or "") > 20, each.evaluate("(e) => e.outerHTML")
        assert "1 000 objects" in (
            page.get_by_role("button", name="compute size").get_attribute("title") or ""
        )
