"""The widget in kernels of several versions, in JupyterLab and driven by the messages a front end sends.

ipykernel 7.0 to 7.3 run the callbacks of widgets on a thread of their own, at the same time as cells.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from harness.kernels import VERSIONS, offered, overlay, variables
from jupyter_client.manager import start_new_kernel

if TYPE_CHECKING:
    from harness.lab import LabPage

SETUP = """
from praval_storage import DataManager
from praval_storage.providers import FileSystemProvider
from praval_storage.testing import InMemoryProvider
dm = DataManager({"memory": InMemoryProvider(), "files": FileSystemProvider(base_path=%r)})
dm.store_many({f"day-{n:03d}": {"n": n} for n in range(60)}, "memory").raise_for_errors()
dm.store_many({f"day-{n:03d}.json": {"n": n} for n in range(60)}, "files").raise_for_errors()
b = dm.browse()
print(b.model_id, end="")
"""


class Kernel:
    """A kernel, and the front end's side of the widget in it."""

    def __init__(self, folder: Path | None, workdir: Path) -> None:
        environment = {**os.environ, **variables(folder)}
        self.manager, self.client = start_new_kernel(kernel_name="python3", env=environment, cwd=str(workdir))
        self.comm = ""
        self.state: dict[str, Any] = {}
        self.answers: list[dict[str, Any]] = []
        self.ended: list[str] = []
        self.concurrent = False

    def run(self, code: str) -> str:
        """Run a cell to its end; what it printed."""
        text = ""

        def hook(message: dict[str, Any]) -> None:
            nonlocal text
            self._take(message)
            text += message["content"].get("text", "") if message["msg_type"] == "stream" else ""

        reply = self.client.execute_interactive(code, timeout=60, output_hook=hook)
        assert reply["content"]["status"] == "ok", reply["content"].get("evalue")
        return text

    def begin(self, code: str) -> str:
        """Begin to run a cell; its number."""
        return str(self.client.execute(code))

    def subshell(self) -> str | None:
        """A thread for comms, where the kernel has such."""
        if "kernel subshells" not in self._info().get("supported_features", ()):
            return None
        session = self.client.session
        self.client.control_channel.send(session.msg("create_subshell_request"))
        reply = self.client.get_control_msg(timeout=20)
        return str(reply["content"]["subshell_id"])

    def tell(self, op: str, *, subshell: str | None = None, **message: Any) -> None:
        """Send what a click sends."""
        content = {"op": op, "id": f"t:{op}", **message}
        data = {"comm_id": self.comm, "data": {"method": "custom", "content": content}}
        whole = self.client.session.msg("comm_msg", data)
        if subshell:
            whole["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(whole)

    def until(self, found: Any, seconds: float = 30) -> None:
        """Take messages until something is so."""
        end = monotonic() + seconds
        while not found():
            assert monotonic() < end, (self.state, self.answers)
            try:
                self._take(self.client.get_iopub_msg(timeout=1))
            except Empty:
                continue

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def _info(self) -> dict[str, Any]:
        self.client.kernel_info()
        while True:
            reply = self.client.get_shell_msg(timeout=20)
            if reply["msg_type"] == "kernel_info_reply":
                return dict(reply["content"])

    def _take(self, message: dict[str, Any]) -> None:
        content, kind = message["content"], message["msg_type"]
        if kind == "status" and content["execution_state"] == "idle":
            self.ended.append(message["parent_header"].get("msg_id", ""))
        if kind != "comm_msg" or content["comm_id"] != self.comm:
            return
        data = content["data"]
        if data["method"] == "update":
            self.state.update(data["state"])
        elif data["method"] == "custom":
            self.answers.append(data["content"])


@pytest.fixture(params=VERSIONS)
def kernel(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kernel]:
    packages = VERSIONS[request.param]
    made = Kernel(overlay(request, *packages) if packages else None, tmp_path)
    made.comm = made.run(SETUP % str(tmp_path / "files"))
    if packages:
        version = made.run("import ipykernel; print(ipykernel.__version__, end='')")
        assert packages[0] == f"ipykernel=={version}"
    # 7.4 has such threads as well, and uses the one that the widget last spoke from: here that of the cells.
    made.concurrent = request.param == "ipykernel 7.3"
    yield made
    made.close()


def test_a_click_is_answered(kernel: Kernel) -> None:
    kernel.tell("go", path="files")
    kernel.until(lambda: len(kernel.state.get("rows", ())) == 25)
    assert {"op": "heard", "ask": "t:go"} in kernel.answers
    kernel.tell("select", uri=kernel.state["rows"][3]["uri"])
    kernel.until(lambda: kernel.state.get("preview", {}).get("key") == "day-003.json")
    assert kernel.run("print(b.selected, b.error, end='')") == "praval://files/day-003.json {}"


def test_clicks_while_a_cell_runs_are_answered_and_none_is_lost(kernel: Kernel) -> None:
    thread = kernel.subshell()
    # The cell uses the same provider all the time: SQLite and the locks of both are used from two threads.
    cell = kernel.begin(
        "from time import monotonic\nend = monotonic() + 3\n"
        "while monotonic() < end:\n    dm.query('files', {'n': 3})\n    dm.store(1, 'files', 'day-099.json')"
    )
    for n in range(10):
        kernel.tell("go", path="files", subshell=thread)
        kernel.tell("select", uri=f"praval://files/day-{n:03d}.json", subshell=thread)
    kernel.until(lambda: kernel.state.get("preview", {}).get("key") == "day-009.json")
    if kernel.concurrent:
        assert cell not in kernel.ended, "answered while the cell was running"
    kernel.until(lambda: cell in kernel.ended)
    assert len([each for each in kernel.answers if each["op"] == "heard"]) == 20
    assert kernel.state.get("error", {}) == {}
    assert kernel.run("print(b.selected, b.error, b.busy, end='')") == "praval://files/day-009.json {} "


@pytest.mark.parametrize(
    "version, first, waits",
    [
        ("ipykernel 6.31", "", True),
        ("ipykernel 7.3", "b.refresh()", False),
        ("installed", "b.refresh()", True),
    ],
)
def test_a_click_while_a_cell_runs_is_answered_at_once_or_says_that_the_kernel_is_busy(
    lab_page: LabPage, request: pytest.FixtureRequest, tmp_path: Path, version: str, first: str, waits: bool
) -> None:
    packages = VERSIONS[version]
    spec = offered(lab_page, version, overlay(request, *packages) if packages else None)
    lab = lab_page.open([SETUP % str(tmp_path / "files") + "b.path = 'memory'\nb"], spec=spec).run_all()
    if packages:
        assert lab.in_kernel("import ipykernel; print(ipykernel.__version__, end='')") in packages[0]
    out = lab.output(0)
    words, title = out.get_by_text("kernel busy, waiting…"), out.locator(".title")
    out.get_by_role("row", name="day-003").click()
    title.filter(has_text="day-003").wait_for()
    with lab.busy(first):
        out.get_by_role("row", name="day-004").click()
        if waits:
            words.wait_for()
            assert title.inner_text() == "day-003"
        title.filter(has_text="day-003" if waits else "day-004").wait_for()
        assert words.is_visible() == waits
    title.filter(has_text="day-004").wait_for()
    words.wait_for(state="hidden")


def test_with_ipywidgets_7_it_works_too(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    packages = ("ipywidgets==7.7.1", "ipython_genutils==0.2.0", "ipykernel==6.31.0")
    kernel = Kernel(overlay(request, *packages), tmp_path)
    try:
        kernel.comm = kernel.run(SETUP % str(tmp_path / "files"))
        assert kernel.run("import ipywidgets; print(ipywidgets.__version__, end='')") == "7.7.1"
        assert "text/html" in kernel.run("print(*b._repr_mimebundle_()[0], end='')")
        kernel.tell("go", path="memory")
        kernel.until(lambda: len(kernel.state.get("rows", ())) == 25)
        kernel.run("b.query = 'day-05'; assert len(b.rows) == 10; b.close()")
    finally:
        kernel.close()
