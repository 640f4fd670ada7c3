from __future__ import annotations

import pytest

from praval_storage import DataManager
from praval_storage.jupyter import browse
from praval_storage.providers import FileSystemProvider


@pytest.fixture
def dm(tmp_path):
    with DataManager({"filesystem": FileSystemProvider(base_path=tmp_path)}) as dm:
        dm.store_many(
            {
                f"reports/2026/day-{i:03d}.json": {
                    "day": i,
                    "tags": ["a", "<b>x</b>"],
                    "deep": {"k": [1, 2, {"z": None}]},
                }
                for i in range(60)
            },
            "filesystem",
        )
        dm.store("hello", "filesystem", "readme.txt")
        yield dm


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_look(host_page, dm, axe, shot, theme):
    b = browse(dm)
    page = host_page.show(b, theme)
    page.get_by_role("treeitem", name="filesystem").click()
    page.get_by_role("treeitem", name="reports").click()
    page.get_by_role("treeitem", name="2026").click()
    page.get_by_role("row", name="day-013.json").click()
    page.locator(".title", has_text="day-013.json").wait_for()
    host_page.settle(b)
    shot(page)
    assert axe(page) == []
