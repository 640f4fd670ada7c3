"""The browser in a real JupyterLab: a first-time user, other widgets beside it, themes and scrolling away."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

import boto3
import pytest
from backends import S3_CREDENTIALS

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

FIVE_CLICKS = """
from praval_storage import DataManager
from praval_storage.providers import S3Provider
dm = DataManager({"s3": S3Provider(%r, "testing", "testing", "us-east-1", endpoint_url=%r)})
dm.browse()
"""


@pytest.fixture
def bucket(s3_endpoint: str) -> str:
    """A bucket with a CSV file that somebody else put there."""
    access, secret, region = S3_CREDENTIALS
    session = boto3.Session(access, secret, region_name=region)
    client = session.client("s3", endpoint_url=s3_endpoint)
    name = f"weather-{uuid4().hex[:8]}"
    client.create_bucket(Bucket=name)
    text = b"city,day,degrees\nOslo,2026-01-01,-3.5\nRome,2026-01-01,11.0\n"
    client.put_object(Bucket=name, Key="stations/january.csv", Body=text)
    return name


def test_a_first_time_user_needs_five_clicks_from_the_tree_to_a_frame_and_its_code(
    lab_page: LabPage, bucket: str, s3_endpoint: str, shot: Callable[..., None]
) -> None:
    lab = lab_page.open([FIVE_CLICKS % (bucket, s3_endpoint)]).run_all()
    out = lab.output(0)
    out.get_by_role("treeitem", name="s3").click()  # 1
    out.get_by_role("row", name=bucket).click()  # 2
    out.get_by_role("row", name="stations").click()  # 3
    out.get_by_role("row", name="january.csv").click()  # 4
    frame = out.get_by_role("region", name="Rows of the table")
    frame.get_by_role("columnheader", name="degrees").wait_for()
    out.get_by_role("button", name="copy snippet").click()  # 5
    out.get_by_role("button", name="copied").wait_for()
    shot(lab.page)
    snippet = lab.page.evaluate("() => navigator.clipboard.readText()")
    printed = lab.in_kernel(f"frame = {snippet}\nprint(type(frame).__name__, frame.degrees.tolist())")
    assert printed == "DataFrame [-3.5, 11.0]\n"


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
