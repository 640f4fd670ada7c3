"""``%dm`` and ``%%dm_query``, in a real IPython shell and in a real kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pandas as pd
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.manager import start_new_kernel
from traitlets.config import Config

import praval_storage
from praval_storage import DataManager
from praval_storage.looking import Listed, Tree
from praval_storage.providers import FileSystemProvider, RedisProvider
from praval_storage.results import QueryResult
from praval_storage.testing import InMemoryProvider


@pytest.fixture
def shell(tmp_path: Path, free_tcp_port: int) -> Iterator[InteractiveShell]:
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    praval_storage.load_ipython_extension(shell)
    providers = {
        "files": FileSystemProvider(tmp_path),
        "memory": InMemoryProvider(),
        "redis": RedisProvider(port=free_tcp_port, password="pl4nted"),
    }
    with DataManager(providers) as dm:
        kinds = ("even", "odd")
        dm.store_many({f"lab/day-{n}": {"n": n, "kind": kinds[n % 2]} for n in range(12)}, "files")
        dm.store({"a b": 1}, "files", "with space")
        shell.user_ns["dm"] = dm
        yield shell
    shell.reset()


def test_ls_and_tree_and_health_and_get(shell: InteractiveShell) -> None:
    listed = shell.run_line_magic("dm", "ls files://lab/ --text DAY-1 --limit 2")
    assert isinstance(listed, Listed)
    assert [reference.key for reference in listed.references] == ["lab/day-1", "lab/day-10"]
    assert len(shell.run_line_magic("dm", "ls").places) == 3
    assert isinstance(shell.run_line_magic("dm", "tree files --depth 1"), Tree)
    with pytest.raises(UsageError, match="no delimiter that can be chosen"):
        shell.run_line_magic("dm", "ls files --delimiter -")
    assert "no delimiter" in str(shell.run_line_magic("dm", "tree files --delimiter /"))
    assert shell.run_line_magic("dm", "health files")["files"].status == "up"
    assert shell.run_line_magic("dm", "get praval://files/lab/day-3") == {"n": 3, "kind": "odd"}
    assert shell.run_line_magic("dm", "get 'praval://files/with space'") == {"a b": 1}


@pytest.mark.parametrize(
    "cell",
    [
        '{"kind": "odd", "n": {"$gt": 3}}',
        "{'kind': 'odd', 'n': {'$gt': 3}}",
        "\n {'kind': 'odd',\n 'n': {'$gt': 3}}\n",
    ],
)
def test_a_query_in_a_cell(shell: InteractiveShell, cell: str) -> None:
    result = shell.run_cell_magic("dm_query", "files --order-by -n --limit 3", cell)
    assert isinstance(result, QueryResult)
    assert [each["n"] for each in result] == [11, 9, 7]
    assert result.truncated


def test_a_query_into_a_frame(shell: InteractiveShell) -> None:
    said = shell.run_cell_magic("dm_query", "files --order-by n --limit 2 > df", "{'kind': 'odd'}")
    frame: Any = shell.user_ns["df"]
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["n"]) == [1, 3]
    assert repr(said).startswith("df: 2 rows, ")
    assert "cut at limit=2" in repr(said)
    said = shell.run_cell_magic("dm_query", "files --limit all >everything", "{'kind': {'$exists': True}}")
    assert len(shell.user_ns["everything"]) == 12
    assert "cut" not in repr(said)


@pytest.mark.parametrize(
    "line, word",
    [
        ("", "required"),
        ("nonsense", "invalid choice"),
        ("ls files --limit many", "invalid int"),
        ("ls files too many", "unrecognized"),
        ("ls s3://lab/", "not registered"),
        ("get nothing", "not a reference"),
        ("get praval://files/nothing", "KeyNotFoundError"),
        ("ls 'files", "quotation"),
        ("ls redis", "StorageConnectionError"),
        ("ls files --limit 0", "limit of a page"),
    ],
)
def test_a_mistake_is_one_line(shell: InteractiveShell, line: str, word: str) -> None:
    with pytest.raises(UsageError, match=word) as caught:
        shell.run_line_magic("dm", line)
    assert "\n" not in str(caught.value)
    assert "pl4nted" not in str(caught.value)


@pytest.mark.parametrize(
    "line, cell, word",
    [
        ("files", "{'n': {'$gtt': 3}}", "InvalidFilterError"),
        ("files", "n > 3", "neither JSON nor a Python literal"),
        ("files", "[1, 2]", "mapping of paths, not a list"),
        ("files", "__import__('os').system('true')", "neither"),
        ("files > 1df", "\n", "name of a variable"),
        ("files >", "\n", "name of a variable"),
        ("nowhere", "\n", "not registered"),
        ("", "\n", "required"),
    ],
)
def test_a_mistake_in_a_query_is_one_line(shell: InteractiveShell, line: str, cell: str, word: str) -> None:
    with pytest.raises(UsageError, match=word) as caught:
        shell.run_cell_magic("dm_query", line, cell)
    assert "\n" not in str(caught.value)


def test_commands_and_providers_are_completed(shell: InteractiveShell) -> None:
    assert {"ls", "tree", "health", "get"} <= completions(shell, "%dm ")
    assert {"files", "memory://", "redis"} <= completions(shell, "%dm ls ")
    assert "memory" in completions(shell, "%dm health me")


def completions(shell: InteractiveShell, line: str) -> set[str]:
    with provisionalcompleter():
        return {found.text for found in shell.Completer.completions(line, len(line))}


# A kernel


SETUP = """
import praval_storage
from praval_storage import DataManager
from praval_storage.providers import FileSystemProvider
dm = DataManager({"files": FileSystemProvider(%r)})
_ = dm.store_many({**{f"datasets/part-{n}.json": {"n": n} for n in range(3)}, "top": 1}, "files")
"""


def test_in_a_kernel(tmp_path: Path) -> None:
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        assert run(client, SETUP % str(tmp_path)) == []
        assert {'"files"]', 'files"]', "files", '"files'} & set(complete(client, 'dm["'))
        assert any("datasets/" in match for match in complete(client, 'dm["files"]["'))
        assert any("datasets/part-2.json" in match for match in complete(client, 'dm["files"]["datasets/'))
        assert any("part-1.json" in match for match in complete(client, 'dm["files"]["datasets/part-1'))
        assert run(client, "%load_ext praval_storage") == []
        [said] = run(client, '%%dm_query files > df\n{"n": {"$gte": 1}}')
        assert said.startswith("df: 2 rows")
        [listed] = run(client, "%dm ls files://datasets/")
        assert listed.startswith("files://datasets/: no places, 3 records")
        assert "files" in complete(client, "%dm ls fi")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def run(client: Any, code: str) -> list[str]:
    """Texts that a cell shows; fails when it fails."""
    request = client.execute(code)
    shown: list[str] = []
    while True:
        try:
            message = client.get_iopub_msg(timeout=60)
        except Empty:
            pytest.fail(f"no answer to {code!r}")
        if message["parent_header"].get("msg_id") != request:
            continue
        content = message["content"]
        if message["msg_type"] == "error":
            pytest.fail("\n".join(content["traceback"]))
        if message["msg_type"] in {"execute_result", "display_data"}:
            shown.append(content["data"]["text/plain"])
        if message["msg_type"] == "status" and content["execution_state"] == "idle":
            return shown


def complete(client: Any, code: str) -> list[str]:
    reply = client.complete(code, len(code), reply=True, timeout=60)
    matches: list[str] = reply["content"]["matches"]
    return matches
