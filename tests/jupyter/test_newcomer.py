"""What somebody sees who has typed ``make lab`` for the first time, and how few clicks lead to their data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from backends import S3_CREDENTIALS, boto
from harness.chromium import Watch
from harness.lab import REPOSITORY, VISIBLE, MadeLab

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.xdist_group("browser")

IDLE = "Python 3 (ipykernel) | Idle"  # in the status bar; the toolbar says so before there is a kernel
LOADING = 90_000  # milliseconds for JupyterLab to appear, and for a notebook to run


@pytest.fixture(scope="module")
def bucket(s3_endpoint: str) -> str:
    """A bucket with a CSV file that somebody else put there."""
    client = boto(s3_endpoint)
    name = f"weather-{uuid4().hex[:8]}"
    client.create_bucket(Bucket=name)
    text = b"city,day,degrees\nOslo,2026-01-01,-3.5\nRome,2026-01-01,11.0\n"
    client.put_object(Bucket=name, Key="stations/january.csv", Body=text)
    return name


@pytest.fixture(scope="module")
def made_lab(bucket: str, s3_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MadeLab]:
    """``make lab`` where the environment names a bucket, as those of people who have one do."""
    access, secret, region = S3_CREDENTIALS
    names = {
        "PYTHONPATH": str(REPOSITORY),
        "AWS_S3_BUCKET": bucket,
        "S3_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": region,
    }
    with MadeLab(tmp_path_factory.mktemp("make-lab"), environment=names) as lab:
        yield lab


@pytest.fixture
def page(made_lab: MadeLab, playing: Browser) -> Iterator[Page]:
    """The page that ``make lab`` opens, in a browser that was never there."""
    allowed = ["clipboard-read", "clipboard-write"]
    with playing.new_context(viewport={"width": 1280, "height": 800}, permissions=allowed) as context:
        page = context.new_page()
        page.set_default_timeout(15_000)
        watch = Watch(page)
        page.goto(made_lab.opened())
        wait_for_notebook(page, "Quickstart")
        yield page
        assert watch.problems == []


def test_make_lab_opens_the_quickstart_among_the_notebooks(page: Page, shot: Callable[..., None]) -> None:
    names = [path.name for path in REPOSITORY.glob("notebooks/*.ipynb")]
    listed = page.locator(".jp-DirListing-itemText")
    listed.get_by_text(max(names)).wait_for()
    shot(page, "make-lab")
    assert set(names) <= set(listed.all_inner_texts())


def test_five_clicks_lead_from_the_tree_to_a_frame_of_foreign_csv_and_its_code(
    page: Page, bucket: str, shot: Callable[..., None]
) -> None:
    run_all(page)
    click_through(page, "s3", bucket, "stations", "january.csv")
    shot(page, "own-bucket")
    copy_snippet(page)  # the fifth click
    printed = run_pasted(page, "print(frame.dtypes.astype(str).to_dict(), frame.degrees.tolist())")
    assert printed == "{'city': 'str', 'day': 'str', 'degrees': 'float64'} [-3.5, 11.0]"
    # Who has no bucket follows a link of this notebook, to one with a bucket of its own.
    page.get_by_role("link", name="05_browsers").click()
    wait_for_notebook(page, "Browsing")
    run_all(page)
    click_through(page, "s3", "antarctica", "penguins", "adelie.csv")
    shot(page, "bucket-of-a-notebook")
    copy_snippet(page)
    printed = run_pasted(page, "print(frame.shape, frame.dtypes['body_mass_g'], frame.body_mass_g.max())")
    assert printed == "(152, 8) float64 4775.0"


# -- what somebody does who knows JupyterLab and nothing of us


def wait_for_notebook(page: Page, title: str) -> None:
    """Wait until a notebook is shown and its kernel is there: before that Lab still moves things about."""
    page.locator(f"{VISIBLE} h1", has_text=title).wait_for(timeout=LOADING)
    page.get_by_text(IDLE).wait_for(timeout=LOADING)


def run_all(page: Page) -> None:
    """Choose "Run All Cells" in the menu, and wait until the kernel has done so."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    shown(page).wait_for(timeout=LOADING)
    page.get_by_text(IDLE).wait_for(timeout=LOADING)


def shown(page: Page) -> Locator:
    """The first browser of the notebook."""
    return page.locator(f"{VISIBLE} .pvb").first


def click_through(page: Page, provider: str, *rows: str) -> None:
    """Click on a provider in the tree and then on one row after the other, until a frame is shown."""
    shown(page).get_by_role("treeitem", name=provider).click()
    for name in rows:
        shown(page).get_by_role("row", name=name).click()
    shown(page).locator(".title", has_text=rows[-1]).wait_for()
    shown(page).get_by_role("region", name="Rows of the table").wait_for()


def copy_snippet(page: Page) -> None:
    shown(page).get_by_role("button", name="copy snippet").click()
    shown(page).get_by_role("button", name="copied").wait_for()


def run_pasted(page: Page, then: str) -> str:
    """Give what the clipboard holds a name in a new cell, run it; what ``then`` prints."""
    toolbar = page.locator(VISIBLE).get_by_role("toolbar", name="main area toolbar")
    toolbar.get_by_role("button", name="Insert a cell below (B)").click()
    page.locator(f"{VISIBLE} .jp-Cell.jp-mod-active .cm-content").click()
    page.keyboard.insert_text("frame = ")
    page.keyboard.press("ControlOrMeta+v")
    page.keyboard.press("Enter")
    page.keyboard.insert_text(then)
    page.keyboard.press("Shift+Enter")
    ran = page.locator(f"{VISIBLE} .jp-Cell", has_text=then)
    return ran.locator(".jp-OutputArea-output").inner_text().strip()
