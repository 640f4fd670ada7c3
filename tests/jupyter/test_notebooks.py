"""The notebooks of ``notebooks/`` in a real JupyterLab: as a reader opens them, and run to the end."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from harness.lab import VISIBLE, LabServer

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS = 240

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_are_notebooks() -> None:
    assert [path.name[:2] for path in NOTEBOOKS][:3] == ["01", "02", "03"]


@each_notebook
@pytest.mark.timeout(SECONDS + 60)
def test_reads_well_as_it_was_cloned_and_runs_from_top_to_bottom(path, lab_page, shot):
    lab = lab_page.open(path=path)
    # Nobody has trusted it yet: JupyterLab shows less of it than its author saw.
    shown = lab.page.locator(f"{VISIBLE} .jp-OutputArea-output")
    assert shown.count() == sum(len(cell.get("outputs", ())) for cell in lab.cells())
    assert [each for each in shown.all() if is_empty(each)] == []
    assert lab.page.get_by_text("Error displaying widget").count() == 0
    lab.run_all(seconds=SECONDS)
    code = [cell for cell in lab.cells() if cell["cell_type"] == "code"]
    # Run All stops at the first error; a cell that did not run keeps no number.
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert warnings_in(code) == []
    shot(lab.page, path.stem)


class MadeLab(LabServer):
    """What ``make lab`` starts, and the page it asks the reader's browser to open."""

    def _command(self) -> list[str]:
        browser = self.home / "browser"
        browser.write_text(f'#!/bin/sh\necho "$1" >"{self.home}/opened"\n')
        browser.chmod(0o755)
        variables = [f"JUPYTER_PORT={self.port}", f"JUPYTER_TOKEN={self.token}", f"BROWSER={browser} %s"]
        made = ["make", "-C", str(ROOT), "lab", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/.installed-lab"]
        return ["env", *variables, *made]

    def opened(self) -> str:
        path = self.home / "opened"
        while not (path.exists() and (address := path.read_text().strip())):
            time.sleep(0.05)
        return address


def test_make_lab_opens_the_quickstart_among_the_notebooks(tmp_path, playing, shot):
    paths = {"PYTHONPATH": str(ROOT)}
    with MadeLab(tmp_path, environment=paths) as lab, playing.new_context() as context:
        page = context.new_page()
        page.goto(lab.opened())
        page.locator(f"{VISIBLE} h1", has_text="Quickstart").wait_for(timeout=90_000)
        listed = page.locator(".jp-DirListing-itemText")
        listed.get_by_text(NOTEBOOKS[-1].name).wait_for()
        shot(page, "make-lab")
        assert {path.name for path in NOTEBOOKS} <= set(listed.all_inner_texts())


def warnings_in(code) -> list[str]:
    outputs = (output for cell in code for output in cell["outputs"])
    return [output["text"] for output in outputs if output.get("name") == "stderr"]


def is_empty(output) -> bool:
    return not output.inner_text().strip() and output.locator("img").count() == 0
