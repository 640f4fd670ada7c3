"""The browser in a real JupyterLab."""

from __future__ import annotations

SETUP = """
from praval_storage import DataManager
from praval_storage.providers import FileSystemProvider
dm = DataManager({"filesystem": FileSystemProvider(base_path="store")})
dm.store_many({f"reports/day-{n:03d}.json": {"day": n, "tags": ["a", "b"]} for n in range(60)}, "filesystem")
b = dm.browse()
b
"""


def test_in_lab(lab_page, shot):
    lab = lab_page.open([SETUP, "2"])
    lab.run_all()
    out = lab.output(0)
    out.get_by_role("treeitem", name="filesystem").click()
    out.get_by_role("treeitem", name="reports").click()
    out.get_by_role("row", name="day-003.json").click()
    out.locator(".title", has_text="day-003.json").wait_for()
    shot(lab.page)
    assert lab.in_kernel("print(b.selected)") == "praval://filesystem/reports/day-003.json\n"
