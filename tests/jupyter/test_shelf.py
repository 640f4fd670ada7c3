"""The browser of a result: its rows and no others, in its order, with the scores of a search."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from praval_storage import DataManager, StoragePermissionError
from praval_storage.jupyter import Browser
from praval_storage.providers import FileSystemProvider, QdrantProvider

if TYPE_CHECKING:
    from harness.fixtures import Axe, HostPage

pytestmark = pytest.mark.xdist_group("browser")

DAYS = {f"reports/day-{n:03d}.json": {"day": n, "tags": ["a", "<b>"]} for n in range(60)}


@pytest.fixture
def dm(tmp_path: Path) -> Iterator[DataManager]:
    providers = {"files": FileSystemProvider(tmp_path / "f"), "qdrant": QdrantProvider(path=tmp_path / "q")}
    with DataManager(providers) as dm:
        dm.store_many(DAYS, "files").raise_for_errors()
        dm.store("hello", "files", "readme.txt")
        angles = {f"at-{n}": {"vector": [1.0, n / 10], "title": f"at {n}"} for n in range(9, -1, -1)}
        dm.store_many(angles, "qdrant").raise_for_errors()
        yield dm


def keys(browser: Browser) -> list[str]:
    return [row["key"] for row in browser.rows]


def columns(browser: Browser) -> list[str]:
    return [column["name"] for column in browser.state.table["columns"]]


def test_it_has_the_rows_of_the_result_to_look_at_and_not_to_change(dm: DataManager) -> None:
    b = dm.query("files", {"day": {"$gt": 55}}).browse(static=True)
    assert keys(b) == list(DAYS)[56:]
    assert b.state.table["extent"] == "1–4 of 4"
    b.query = '{"day": 57}'
    assert keys(b) == list(DAYS)[57:58]
    b.selected = b.rows[0]["uri"]
    assert b.preview["kind"] == "json"
    with pytest.raises(StoragePermissionError):
        b.delete()


def test_it_keeps_the_order_page_by_page(dm: DataManager) -> None:
    wanted = list(reversed(DAYS))
    b = dm.query("files", {"key": {"$prefix": "reports/"}}, order_by="-data.day").browse(static=True)
    assert (keys(b), b.total) == (wanted[:25], 60)
    b.page = 1
    assert keys(b) == wanted[25:50]
    b.page = 2
    assert (keys(b), b.state.table["extent"]) == (wanted[50:], "51–60 of 60")
    b.query = "day-00"
    assert keys(b) == wanted[50:]
    b.sort = "data.day"
    assert keys(b) == wanted[:49:-1]


def test_values_that_are_there_have_their_fields_as_columns(dm: DataManager) -> None:
    by_value = dm.query("files", {"data.day": {"$gt": 57}}).browse(static=True)
    assert columns(by_value) == ["key", "day", "tags"]
    assert [row["cells"][0]["text"] for row in by_value.rows] == ["58", "59"]
    by_name = dm.query("files", {"key": {"$prefix": "reports/"}}, limit=3).browse(static=True)
    assert columns(by_name) == ["name", "kind", "size", "modified"], "nothing was read for it"


def test_a_search_has_its_scores_best_first(dm: DataManager) -> None:
    found = dm.search("qdrant", [1.0, 0.0], limit=4)
    b = found.browse(static=True)
    assert columns(b)[:2] == ["key", "score"]
    assert keys(b) == ["at-0", "at-1", "at-2", "at-3"]
    assert [row["score"] for row in b.rows] == [f"{score:.4g}" for score in found.scores]
    assert repr(b).splitlines()[1].split()[:2] == ["key", "score"]
    assert ["at-1", "0.995"] in [line.split()[:2] for line in repr(b).splitlines()]
    b.sort = "-key"
    assert [(row["key"], row["score"]) for row in b.rows][-1] == ("at-0", "1")
    b.query = "at-1"
    assert [row["score"] for row in b.rows] == ["0.995"]


def test_scores_of_a_part_are_its_own(dm: DataManager) -> None:
    b = dm.search("qdrant", [1.0, 0.0], limit=4)[2:].browse(static=True)
    assert [(row["key"], row["score"]) for row in b.rows] == [("at-2", "0.9806"), ("at-3", "0.9578")]


def test_scores_on_the_page(
    host_page: HostPage, dm: DataManager, axe: Axe, shot: Callable[..., None]
) -> None:
    page = host_page.show(dm.search("qdrant", [1.0, 0.0], limit=4).browse())
    page.get_by_role("row", name="at-1").get_by_role("gridcell", name="0.995", exact=True).wait_for()
    head = page.get_by_role("columnheader", name="score")
    assert head.get_by_role("button").count() == 0, "it is in this order"
    assert axe(page) == []
    shot(page)
