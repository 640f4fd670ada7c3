"""A real JupyterLab in a real Chromium: for tests, and for scripts that run notebooks or take pictures.

with LabServer(folder) as lab, sync_playwright() as playwright:
    page = playwright.chromium.launch(executable_path=chromium.path(), args=chromium.ARGUMENTS).new_page()
    notebook = LabPage(lab, page).open(cells=["1 + 1"])
    notebook.run_all()
    notebook.output(0).screenshot(path="output.png")
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

REPOSITORY = Path(__file__).resolve().parents[2]
VISIBLE = ".jp-NotebookPanel:not(.lm-mod-hidden)"

SETTINGS: dict[str, dict[str, Any]] = {
    # Else a toast about Jupyter news covers a corner of the page.
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
    "@jupyterlab/notebook-extension/tracker": {
        "autoStartDefaultKernel": True,
        "kernelShutdown": True,
        "windowingMode": "none",
    },
}

# Kernels 7.0 to 7.3 may leave the first message unread until somebody else connects (ipython/ipykernel#1554).
NUDGE = """() => {
        const other = jupyterapp.serviceManager.kernels.connectTo({ model: kernel.model });
        setTimeout(() => other.dispose(), 1000);
    }"""

# The toolbar says "idle" before there is a session, and running a cell then asks to choose a kernel.
READY = """async () => {
    const panel = jupyterapp.shell.currentWidget;
    await panel.context.ready;
    await panel.revealed;
    await panel.sessionContext.ready;
    const { kernel } = panel.sessionContext.session, nudge = setInterval(NUDGE, 5000);
    await kernel.info.finally(() => clearInterval(nudge));
}"""

RUN_ALL = """async (milliseconds) => {
    const dialog = () => document.querySelector(".jp-Dialog")?.innerText || "no dialog";
    const late = new Promise((_, no) => setTimeout(
        () => no(new Error("cells did not finish: " + dialog())), milliseconds));
    const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
    const nudge = setInterval(NUDGE, 5000);
    const run = async () => {
        await jupyterapp.commands.execute("notebook:run-all-cells");
        while (kernel.status !== "idle") await new Promise((done) => setTimeout(done, 25));
    };
    await Promise.race([run(), late]).finally(() => clearInterval(nudge));
}"""

IN_KERNEL = """async (code) => {
    const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const future = kernel.requestExecute({ code, store_history: false });
    let text = "";
    future.onIOPub = ({ header, content }) => {
        if (header.msg_type === "stream") text += content.text;
        if (header.msg_type === "error") text += content.ename + ": " + content.evalue;
    };
    await future.done;
    return text;
}"""

# Until the code has printed something; `window.begun` is over when the code is.
BEGIN = """async (code) => {
    const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const future = kernel.requestExecute({ code, store_history: false });
    window.begun = future.done;
    await new Promise((said) => { future.onIOPub = ({ header }) => header.msg_type === "stream" && said(); });
}"""

BUSY = """
import pathlib, time
print("busy", flush=True)
while not pathlib.Path({over!r}).exists():
    time.sleep(0.02)
"""

CLOSE = """async () => {
    const panel = jupyterapp.shell.currentWidget;
    if (!panel || !panel.sessionContext) return;
    await panel.sessionContext.shutdown().catch(() => 0);
    panel.context.model.dirty = false;
    panel.close();
    while (!panel.isDisposed) await new Promise((done) => setTimeout(done, 20));
}"""


class LabServer:
    """A JupyterLab with folders of its own, a free port and a token; stopped with everything it started.

    Args:
        home: An empty folder; notebooks are in ``home/root``.
        theme: ``"JupyterLab Light"`` or ``"JupyterLab Dark"``.
        environment: More variables for the server and its kernels.
    """

    def __init__(
        self, home: Path, *, theme: str = "JupyterLab Light", environment: Mapping[str, str] | None = None
    ) -> None:
        self.home = home
        self.root = home / "root"
        self.token = secrets.token_hex(16)
        self.port = 0
        self._environment = dict(environment or {})
        self.root.mkdir(parents=True, exist_ok=True)
        for name, values in {**SETTINGS, "@jupyterlab/apputils-extension/themes": {"theme": theme}}.items():
            path = home / "settings" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))

    def __enter__(self) -> LabServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, patience: float = 90) -> LabServer:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._log = (self.home / "lab.log").open("wb")
        self._process = subprocess.Popen(
            self._command(),
            env=self._variables(),
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        end = time.monotonic() + patience
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(
                    f"JupyterLab did not start:\n{(self.home / 'lab.log').read_text()[-3000:]}"
                )
            time.sleep(0.1)
        return self

    def stop(self) -> None:
        """End the server and its kernels, which are in one process group."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(20)
        self._log.close()

    def _command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
            *(f"--port={self.port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={self.token}"),
            *("--expose-app-in-browser", "--LabApp.extension_manager=readonly", "--LabApp.news_url="),
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            f"--ServerApp.root_dir={self.root}",
        ]

    def _variables(self) -> dict[str, str]:
        own = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "IPYTHONDIR": "ipython",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        }
        folders = {name: str(self.home / folder) for name, folder in own.items()}
        # The tests' own setting would hide the widgets' front end, which is found through configuration.
        rest = {name: value for name, value in os.environ.items() if name != "JUPYTER_NO_CONFIG"}
        return {**rest, **folders, **self._environment}

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/api/status?token={self.token}", timeout=2).read()
        except (urllib.error.URLError, OSError):
            return False
        return True


class MadeLab(LabServer):
    """``make lab`` in a copy of the notebooks, and the page it asks the reader's browser to open."""

    def _command(self) -> list[str]:
        browser = self.home / "browser"
        browser.write_text(f'#!/bin/sh\necho "$1" >"{self.home}/opened"\n')
        browser.chmod(0o755)
        variables = [f"JUPYTER_PORT={self.port}", f"JUPYTER_TOKEN={self.token}", f"BROWSER={browser} %s"]
        made = ["make", "-C", str(self._clone()), "lab", f"VENV={sys.prefix}"]
        return ["env", *variables, *made, "-o", f"{sys.prefix}/.installed-lab"]

    def _clone(self) -> Path:
        (self.root / "notebooks").mkdir()
        for path in (*REPOSITORY.glob("notebooks/*.ipynb"), REPOSITORY / "Makefile"):
            shutil.copy(path, self.root / path.relative_to(REPOSITORY))
        return self.root

    def opened(self) -> str:
        path = self.home / "opened"
        while not (path.exists() and (address := path.read_text().strip())):
            time.sleep(0.05)
        return address


class LabPage:
    """Notebooks in a JupyterLab, one after the other on one page: loading Lab takes longer than a kernel."""

    def __init__(self, lab: LabServer, page: Page) -> None:
        self.lab = lab
        self.page = page

    def open(
        self,
        cells: Sequence[str] = (),
        *,
        path: Path | None = None,
        kernel: bool = True,
        spec: str = "python3",
    ) -> LabPage:
        """Open a notebook made of cells, or a copy of one, and wait for its kernel."""
        name = path.name if path else f"cells-{secrets.token_hex(4)}.ipynb"
        if path:
            shutil.copy(path, self.lab.root / name)
        else:
            (self.lab.root / name).write_text(json.dumps(_notebook(cells, spec)))
        return self.visit(name, kernel=kernel)

    def load(self) -> None:
        """Show JupyterLab itself, unless that was done before."""
        if self.page.url.startswith(self.lab.url):
            return
        # One document without side bars; a workspace from before is not restored.
        self.page.goto(f"{self.lab.url}/doc?token={self.lab.token}&reset", timeout=90_000)
        self.page.wait_for_function("window.jupyterapp", timeout=90_000)
        self.page.evaluate("async () => { await jupyterapp.restored; }")

    def visit(self, name: str, *, kernel: bool = True) -> LabPage:
        """Show a notebook that is in the server's folder."""
        self.load()
        self.page.evaluate(
            """async (path) => {
                const options = { path, factory: "Notebook" };
                const widget = await jupyterapp.commands.execute("docmanager:open", options);
                await widget.revealed;
            }""",
            name,
        )
        self.page.wait_for_selector(f"{VISIBLE} .jp-Cell", timeout=60_000)
        self.page.wait_for_function("() => jupyterapp.shell.currentWidget?.context")
        if kernel:
            self.page.evaluate(READY.replace("NUDGE", NUDGE))
        return self

    def run_all(self, *, seconds: float = 60, errors: bool = False) -> LabPage:
        """Run every cell through the page and wait until the kernel has answered the last one."""
        self.page.evaluate(RUN_ALL.replace("NUDGE", NUDGE), seconds * 1000)
        failed = [
            f"{output['ename']}: {output['evalue']}"
            for cell in self.cells()
            for output in cell.get("outputs", ())
            if output["output_type"] == "error"
        ]
        assert errors or not failed, "\n".join(failed)
        return self

    def cells(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.page.evaluate(
            "() => jupyterapp.shell.currentWidget.content.model.toJSON().cells"
        )
        return found

    def output(self, place: int) -> Locator:
        return self.page.locator(f"{VISIBLE} .jp-Cell").nth(place).locator(".jp-Cell-outputArea")

    def in_kernel(self, code: str) -> str:
        """Run code in the kernel without a cell; what it printed, or its error."""
        text: str = self.page.evaluate(IN_KERNEL, code)
        return text

    @contextmanager
    def busy(self, first: str = "") -> Iterator[None]:
        """Keep the kernel busy for as long as the block runs, with code that begins with ``first``."""
        over = self.lab.home / f"over-{secrets.token_hex(4)}"
        self.page.evaluate(BEGIN, first + BUSY.format(over=str(over)))
        try:
            yield
        finally:
            over.touch()
        self.page.evaluate("() => window.begun")

    def command(self, name: str) -> None:
        self.page.evaluate("(name) => jupyterapp.commands.execute(name)", name)

    def set_theme(self, name: str) -> None:
        self.page.evaluate("(theme) => jupyterapp.commands.execute('apputils:change-theme', { theme })", name)
        light = "true" if "Light" in name else "false"
        self.page.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")
        # It covers the page for a while, and axe does not judge the contrast of what is covered.
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    def save(self) -> Path:
        """Save the notebook; where it is."""
        self.page.evaluate("async () => { await jupyterapp.shell.currentWidget.context.save(); }")
        return self.lab.root / str(self.page.evaluate("() => jupyterapp.shell.currentWidget.context.path"))

    def close(self) -> None:
        """End the kernel and close the notebook; Lab stays for the next one."""
        self.page.evaluate(CLOSE)


def _notebook(cells: Sequence[str], spec: str) -> dict[str, Any]:
    """A notebook of code cells, in the format that is on disk."""
    blank: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    made = [{**blank, "id": f"cell-{place}", "source": text} for place, text in enumerate(cells)]
    about = {"kernelspec": {"name": spec, "display_name": spec, "language": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": about, "cells": made}
