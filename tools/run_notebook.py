"""Run a notebook without a browser and print what its cells answer, each as soon as it has finished.

    python tools/run_notebook.py notebooks/01_quickstart.ipynb
    python tools/run_notebook.py --save notebooks/*.ipynb

With ``--save`` the answers are put into the notebook, which is how those of ``notebooks/`` are made. The
kernel is this very Python, in a temporary folder with settings of its own: nothing of the setup of the user
matters and nothing is left behind. The exit status is 1 when a cell fails.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

CELL_TIMEOUT = 300  # seconds
WIDGET = "application/vnd.jupyter.widget-view+json"
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def main() -> int:
    """Run the notebooks named on the command line; 0 when every cell succeeded."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("notebooks", type=Path, nargs="+", metavar="notebook")
    parser.add_argument("--save", action="store_true", help="put the answers into the notebook")
    asked = parser.parse_args()
    for path in asked.notebooks:
        if not path.is_file():
            parser.error(f"there is no notebook {path}")
    failed = [path for path in asked.notebooks if not run_one(path, save=asked.save)]
    return 1 if failed else 0


def run_one(path: Path, *, save: bool) -> bool:
    """Run a notebook in a folder of its own; whether all cells succeeded."""
    started = perf_counter()
    with tempfile.TemporaryDirectory(prefix="run-notebook-") as folder:
        succeeded = run(path, Path(folder), save=save)
    print(f"\n{path.name}: {'done' if succeeded else 'FAILED'} after {perf_counter() - started:.1f} s")
    return succeeded


def run(path: Path, folder: Path, *, save: bool) -> bool:
    """Run the notebook inside ``folder`` and print its results; whether all cells succeeded."""
    workdir = isolate(folder)
    # Jupyter reads its settings while it is imported.
    import nbformat  # noqa: PLC0415
    from nbclient import NotebookClient  # noqa: PLC0415
    from nbclient.exceptions import CellExecutionError  # noqa: PLC0415

    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat is half typed
    resources = {"metadata": {"path": str(workdir)}}
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        resources=resources,
        timeout=CELL_TIMEOUT,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
    )
    # Else the kernel warns that its sockets are not encrypted; they are local and live for this run only.
    client.extra_arguments = ["--log-level=ERROR"]
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            try:
                client.execute_cell(cell, index)
            except CellExecutionError:
                show(cell)
                return False
            show(cell)
    if save:
        lasting(notebook)
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    return True


def lasting(notebook: NotebookNode) -> None:
    """Leave what reads the same tomorrow and elsewhere: no version of Python, no widgets without a kernel."""
    notebook.metadata.language_info = {"name": "python"}
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02}"
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop(WIDGET, None)


def isolate(folder: Path) -> Path:
    """Have Jupyter find its settings and this Python's kernel under ``folder``; the folder to work in."""
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        os.environ[name] = str(folder / name.lower())
    os.environ["JUPYTER_NO_CONFIG"] = "1"
    os.environ["JUPYTER_PATH"] = str(folder / "jupyter")  # searched before every other place
    os.environ.pop("PRAVAL_STORAGE_PATH", None)

    from ipykernel.kernelspec import write_kernel_spec  # noqa: PLC0415

    write_kernel_spec(folder / "jupyter" / "kernels" / "python3")
    workdir = folder / "work"
    workdir.mkdir()
    return workdir


def show(cell: NotebookNode) -> None:
    """Print a cell's headings or results."""
    texts = headings(cell.source) if cell.cell_type == "markdown" else results(cell)
    for text in texts:
        print(text, flush=True)


def headings(markdown: str) -> Iterator[str]:
    """The headings of a markdown cell, underlined."""
    for line in markdown.splitlines():
        if line.startswith("#"):
            title = line.lstrip("#").strip()
            yield f"\n{title}\n{'-' * len(title)}"


def results(cell: NotebookNode) -> Iterator[str]:
    """What a code cell wrote and answered, as plain text; for a failed one its code as well."""
    for output in cell.get("outputs", ()):
        if output.output_type == "stream":
            yield output.text.rstrip("\n")
        elif output.output_type == "error":
            yield f"In this cell:\n\n{cell.source}\n\n{ANSI.sub('', chr(10).join(output.traceback))}"
        elif text := output.data.get("text/plain"):
            yield text


if __name__ == "__main__":
    sys.exit(main())
