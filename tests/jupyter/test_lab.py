"""The browser in a real JupyterLab: other widgets beside it, themes and scrolling away."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.fixtures import Axe
    from harness.lab import LabPage

pytestmark = pytest.mark.xdist_group("browser")

SETUP = """
import shutil, ipywidgets
from praval_storage import DataManager
from praval_storage.providers import FileSystemProvider
shutil.rmtree("shelf", ignore_errors=True)
dm = DataManager({"files": FileSystemProvider(base_path="shelf")})
dm.store_many({f"day-{n:03d}.json": {"day": n} for n in range(40)}, "files").raise_for_errors()
"""


def test_it_stands_beside_other_widgets_and_is_linked_with_them(lab_page: LabPage) -> None:
    cell = SETUP + (
        "b = dm.browse('files')\ntext = ipywidgets.Text(description='find')\n"
        "ipywidgets.link((b, 'query'), (text, 'value'))\nipywidgets.HBox([text, b])"
    )
    lab = lab_page.open([cell]).run_all()
    out = lab.output(0)
    out.get_by_role("row", name="day-003.json").wait_for()
    out.get_by_label("find").fill("day-03")
    out.get_by_role("row", name="day-003.json").wait_for(state="hidden")
    out.get_by_role("row", name="day-030.json").click()
    out.locator(".title", has_text="day-030.json").wait_for()
    assert lab.in_kernel("print(len(b.rows), b.selected)") == "10 praval://files/day-030.json\n"


def test_themes_in_lab(lab_page: LabPage, axe: Axe, shot: Callable[..., None]) -> None:
    lab = lab_page.open([SETUP + "b = dm.browse('files')\nb"]).run_all()
    out = lab.output(0)
    out.get_by_role("row", name="day-003.json").click()
    out.locator(".title", has_text="day-003.json").wait_for()
    try:
        for theme in ("JupyterLab Dark", "JupyterLab Dark High Contrast", "JupyterLab Light"):
            lab.set_theme(theme)
            shot(out, f"lab-{theme.replace(' ', '-')}")
            assert axe(lab.page) == [], theme
    finally:
        lab.set_theme("JupyterLab Light")


def test_it_is_as_it_was_after_scrolling_away(lab_page: LabPage) -> None:
    lab = lab_page.open([SETUP + "b = dm.browse('files')\nb", *["print('x\\n' * 30)"] * 20]).run_all()
    out = lab.output(0)
    out.get_by_role("row", name="day-020.json").click()
    out.locator(".title", has_text="day-020.json").wait_for()
    out.get_by_role("searchbox").fill("day-02")
    out.locator(".extent", has_text=re.compile("of 10|1–10")).first.wait_for()
    lab.page.evaluate("() => document.querySelectorAll('.jp-Cell')[20].scrollIntoView()")
    lab.page.evaluate("() => document.querySelectorAll('.jp-Cell')[0].scrollIntoView()")
    assert out.get_by_role("searchbox").input_value() == "day-02"
    assert out.get_by_role("row", name=re.compile("day-02")).count() == 10


def test_without_a_widget_the_static_form_is_shown(lab_page: LabPage) -> None:
    lab = lab_page.open([SETUP + "b = dm.browse('files', static=True)\nb"]).run_all()
    lab.output(0).get_by_role("cell", name="day-003.json").wait_for()
    assert lab.output(0).locator(".pvb").count() == 0
