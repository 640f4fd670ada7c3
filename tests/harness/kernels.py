"""Kernels of several versions: each is the installed Python with other packages put before its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.lab import REPOSITORY, LabPage

VERSIONS = {
    "ipykernel 6.31": ("ipykernel==6.31.0",),
    "ipykernel 7.3": ("ipykernel==7.3.0",),
    "installed": (),
}


def overlay(request: pytest.FixtureRequest, *packages: str) -> Path:
    """A folder with exactly these packages, to be put before what is installed."""
    folder = Path(request.config.cache.mkdir("overlays"), "+".join(packages).replace("==", "-"))
    done = folder / ".done"
    if not done.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
        made = subprocess.run([*command, *packages], check=False, capture_output=True, text=True)
        if made.returncode and os.environ.get("PRAVAL_REQUIRE_BROWSER") != "1":
            pytest.skip(f"cannot install {packages}: {made.stderr[-200:]}")
        assert made.returncode == 0, made.stderr
        done.touch()
    return folder


def variables(folder: Path | None) -> dict[str, str]:
    """What makes a Python take the packages of a folder first, then ours."""
    paths = [*filter(None, [folder]), REPOSITORY, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(map(str, paths))}


def offered(lab: LabPage, title: str, folder: Path | None) -> str:
    """The name of one more kernel that a JupyterLab offers from now on."""
    name = title.replace(" ", "-")
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": title, "language": "python", "env": variables(folder)}
    place = lab.lab.home / "data" / "kernels" / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "kernel.json").write_text(json.dumps(spec))
    lab.load()
    lab.page.evaluate("async () => { await jupyterapp.serviceManager.kernelspecs.refreshSpecs(); }")
    return name
