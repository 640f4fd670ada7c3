"""The notebooks of ``notebooks/`` in a real JupyterLab: as a reader opens them, and run to the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.lab import VISIBLE

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


def warnings_in(code) -> list[str]:
    outputs = (output for cell in code for output in cell["outputs"])
    return [output["text"] for output in outputs if output.get("name") == "stderr"]


def is_empty(output) -> bool:
    return not output.inner_text().strip() and output.locator("img").count() == 0
