"""Take the pictures of the README in a real JupyterLab, in both themes.

    python tools/screenshots.py                 # all of them, into docs/images/
    python tools/screenshots.py browser map     # some

The data is that of ``notebooks/05_browsers.ipynb``: its first cells run here, unseen. Needs what the tests in
a browser need: Chromium, playwright and Pillow. Look at every picture before you commit it.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import nbformat
from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # the harness of the tests drives JupyterLab

from harness import chromium  # noqa: E402
from harness.lab import VISIBLE, LabPage, LabServer  # noqa: E402

IMAGES = ROOT / "docs" / "images"
NOTEBOOK = ROOT / "notebooks" / "05_browsers.ipynb"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
WIDTH, SCALE = 1160, 1.15  # of the page in CSS pixels, and picture pixels for each: some 1,300 wide
MOST = 200_000  # bytes
# The first call to a provider imports its driver, which is not what a browser usually says of it.
WARM_UP = "for name in 2 * [*dm.providers]:\n    dm.ls(name)"


def no_act(_: Locator) -> None:
    """Nothing has to be clicked."""


def open_a_file(cell: Locator) -> None:
    """Look at one of the CSV files."""
    cell.get_by_role("row", name="gentoo.csv").click()
    cell.get_by_text("Biscoe").first.wait_for()
    # The first preview of a table imports pandas, which is not what S3 takes.
    cell.get_by_role("button", name="refresh").click()
    cell.locator(".pvb[aria-busy=false]").wait_for()


def open_the_map(cell: Locator) -> None:
    """Colour the map by label, and choose a point."""
    cell.get_by_role("button", name="map", exact=True).click()
    cell.get_by_label("colour by").select_option("metadata.label")
    cell.get_by_role("group", name="Legend").get_by_text("9").first.wait_for()
    points = cell.get_by_role("grid", name="Points of the map").get_by_role("row")
    points.nth(1).click()
    cell.get_by_text("nearest").first.wait_for()


class Shot(NamedTuple):
    """A picture: the cells that are in it, and what is clicked before it is taken."""

    cells: Sequence[str]
    act: Callable[[Locator], None] = no_act


SHOTS = {
    "browser": Shot(['b = dm.browse("s3/antarctica/penguins/")\nb'], open_a_file),
    "map": Shot(['vectors = dm.browse("qdrant/digits")\nvectors'], open_the_map),
    "query": Shot(
        [
            'strong = {"alcohol": {"$gt": 14}}\n'
            'wines = dm.query("postgresql", strong, collection="wines", order_by="-colour")\n'
            'wines.to_pandas(columns=["key", "cultivar", "alcohol", "colour"]).head(4)',
            'wines.profile(columns=["cultivar", "alcohol", "colour"])',
        ]
    ),
}


def main() -> int:
    """Take what the command line names; 1 when a picture is too large."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"some of {', '.join(SHOTS)}; by default all"
    )
    names = parser.parse_args().names or list(SHOTS)
    if unknown := set(names) - set(SHOTS):
        parser.error(f"there is no picture {', '.join(sorted(unknown))}")
    IMAGES.mkdir(parents=True, exist_ok=True)
    sizes = take(names)
    for path, size in sizes.items():
        print(f"{path.relative_to(ROOT)}  {size / 1e3:.0f} kB{'  TOO LARGE' if size > MOST else ''}")
    return 1 if max(sizes.values()) > MOST else 0


def take(names: Sequence[str]) -> dict[Path, int]:
    """Take the pictures; how large each file is."""
    environment = {"PYTHONPATH": str(ROOT)}
    with (
        tempfile.TemporaryDirectory(prefix="screenshots-", ignore_cleanup_errors=True) as home,
        LabServer(Path(home), environment=environment) as lab,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium.path(), args=chromium.ARGUMENTS)
        page = browser.new_page(viewport={"width": WIDTH, "height": 1600}, device_scale_factor=SCALE)
        notebook = LabPage(lab, page)
        made = dict(pictures(notebook, names))
        notebook.close()
        browser.close()
    return made


def pictures(notebook: LabPage, names: Sequence[str]) -> list[tuple[Path, int]]:
    """Run all cells once, and take each picture in both themes."""
    before = setup()
    cells = [cell for name in names for cell in SHOTS[name].cells]
    notebook.open([*before, *cells]).run_all(seconds=300)
    found, place = [], len(before)
    for name in names:
        shot = SHOTS[name]
        places = range(place, place := place + len(shot.cells))
        shown = [notebook.page.locator(f"{VISIBLE} .jp-Cell").nth(each) for each in places]
        shot.act(shown[0])
        # The active cell has a bar and buttons of its own.
        notebook.page.evaluate("jupyterapp.shell.currentWidget.content.activeCellIndex = 0")
        for theme, title in THEMES.items():
            notebook.set_theme(title)
            path = IMAGES / f"{name}-{theme}.png"
            found.append((path, save(notebook.page, shown, path)))
    return found


def setup() -> list[str]:
    """The cells of the notebook that fill the backends."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]  # nbformat is half typed
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    filling = code[: next(place for place, text in enumerate(code) if text.startswith("dm.tree"))]
    return [*filling, WARM_UP]


def save(page: Page, cells: Sequence[Locator], path: Path) -> int:
    """Save one picture of cells that follow each other; the size of the file."""
    cells[0].evaluate("cell => cell.scrollIntoView({ block: 'start' })")
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(2, 2)
    page.wait_for_timeout(700)  # what is drawn on a canvas follows the theme when it is idle
    boxes = [box for cell in cells if (box := cell.bounding_box())]
    x, y = boxes[0]["x"], boxes[0]["y"]
    bottom = boxes[-1]["y"] + boxes[-1]["height"]
    clip = {"x": x, "y": y, "width": boxes[0]["width"], "height": bottom - y}
    picture = Image.open(io.BytesIO(page.screenshot(clip=clip)))  # type: ignore[arg-type]
    # No palette: it would take the colours of a legend for those of their neighbours.
    picture.convert("RGB").save(path, optimize=True)
    return path.stat().st_size


if __name__ == "__main__":
    sys.exit(main())
