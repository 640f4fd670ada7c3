"""How things look in a notebook: no I/O, nothing trusted, the same in every run, small."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from praval_storage import DataManager, StorageError, set_options
from praval_storage.providers import FileSystemProvider, QdrantProvider, RedisProvider
from praval_storage.testing import InMemoryProvider

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>\n\u202e\"quoted'"
ALLOWED = {
    *("div", "p", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "code"),
    *("ul", "li", "meter"),
}
"""What JupyterLab keeps of HTML in a notebook that is not trusted, as far as we need it."""


class Tags(HTMLParser):
    """Collects the tags and attributes of a document."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.fixture
def dm(tmp_path: Path, free_tcp_port: int) -> Iterator[DataManager]:
    with DataManager(
        {
            "memory": InMemoryProvider(),
            "files": FileSystemProvider(tmp_path),
            "redis": RedisProvider(port=free_tcp_port, password="pl4nted"),
        }
    ) as manager:
        yield manager


def things(dm: DataManager) -> dict[str, Any]:
    """One of each that has an HTML form, all with hostile texts in them."""
    reference = dm.store({HOSTILE: HOSTILE}, "memory", "k", {HOSTILE[:40]: HOSTILE, "n": list(range(1_000))})
    result = dm.query("memory", {"data": {"$ne": HOSTILE}})
    failing = {f"{n} {HOSTILE.partition(chr(10))[0]}": object() for n in range(50)}
    return {
        "reference": reference,
        "record": result.records[0],
        "result": result,
        "listing": dm.list("memory"),
        "plan": result.plan,
        "batch": dm.store_many(failing, "memory"),
        "provider": dm.providers["memory"],
        "health": dm.health(),
        "manager": dm,
        "listed": dm.ls("memory"),
        "tree": dm.tree("memory"),
        "view": dm["memory"],
    }


def test_html_has_nothing_that_runs_and_nothing_a_notebook_drops(dm: DataManager) -> None:
    for name, thing in things(dm).items():
        html = thing._repr_html_()
        tags = Tags(html)
        assert tags.names <= ALLOWED, name
        assert tags.attributes <= {"scope", "open", "style"}, name
        assert len(html) <= 6_000, name
        assert "pl4nted" not in html + repr(thing), name


def test_text_is_the_same_in_every_run(tmp_path: Path) -> None:
    def shown() -> list[str]:
        with DataManager({"memory": InMemoryProvider()}) as dm:
            dm.store({"n": 1}, "memory", "k")
            return [repr(dm), repr(dm.health()), repr(dm.query("memory", {"n": 1}).plan)]

    first = shown()
    assert first == shown()
    assert first == [
        "DataManager: 1 provider\n  provider  state\n  memory    up",
        "1 provider: 1 up, 0 down\n  provider  state  detail\n  memory    up",
        "Plan: 1 row read, 1 returned\n"
        "  pushed down   nothing\n  applied here  {'n': 1}\n  order         any",
    ]


def test_a_manager_says_what_it_knows_and_asks_nobody(dm: DataManager) -> None:
    assert "redis     unknown  not used yet" in repr(dm)
    with pytest.raises(StorageError):
        dm.retrieve_by_key("redis", "k")
    dm.store(1, "memory", "k")
    assert repr(dm).splitlines() == [
        "DataManager: 3 providers, 1 down",
        "  provider  state",
        "  memory    up",
        "  files     unknown  not used yet",
        "  redis     down     StorageConnectionError",
    ]
    assert ">down</td>" in dm._repr_html_()


def test_a_record_that_is_missing_says_nothing_of_the_server(dm: DataManager) -> None:
    assert dm.retrieve_by_key("memory", "no such", default=None) is None
    assert "memory    down" not in repr(dm)


def test_a_record_and_a_reference_fetch_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with DataManager({"files": FileSystemProvider(tmp_path)}) as dm:
        reference = dm.store({"n": 1}, "files", "k")
        record = dm.query("files").records[0]
        monkeypatch.setattr(FileSystemProvider, "read", lambda *_, **__: pytest.fail("data was fetched"))
        assert "json" in record._repr_html_()
        assert "praval://files/k" in reference._repr_html_()


def test_a_health_report_is_a_dict_and_says_why(dm: DataManager) -> None:
    report = dm.health()
    assert {name: each.status for name, each in report.items()} == {
        "memory": "up",
        "files": "up",
        "redis": "down",
    }
    assert repr(report).startswith("3 providers: 2 up, 1 down")
    assert "Could not connect to Redis" in repr(report)


def test_details_of_each_provider_and_three_next_steps(dm: DataManager) -> None:
    with pytest.raises(StorageError):
        dm.retrieve_by_key("redis", "k")
    html = dm._repr_html_()
    assert html.count("<details>") == len(dm.providers)
    assert "<summary>redis</summary>" in html
    assert "last error" in html
    assert "retrieve: Could not connect" in html
    assert "pl4nted" not in html
    assert html.count("<code>") == 3
    assert " ago" in html


def test_a_provider_that_was_not_used_is_not_made_for_its_looks(tmp_path: Path) -> None:
    with DataManager({}) as dm:
        dm.register_provider("later", lambda: pytest.fail("it was made"))
        assert "unknown" in dm._repr_html_()
        assert "unknown" in repr(dm)
        assert "unknown" in repr(dm["later"]) + dm["later"]._repr_html_()
        assert [place.label for place in dm.ls().places] == ["later"]


def test_many_providers_stay_within_the_size_of_a_repr(tmp_path: Path) -> None:
    providers = {f"files{n}": FileSystemProvider(tmp_path / ("long" * 20) / str(n)) for n in range(40)}
    with DataManager(providers) as dm:
        html = dm._repr_html_()
        assert "left out" in html
        assert len(html) <= 16_000  # forty rows are more than any cut can help


def test_stable_html_has_neither_latency_nor_age_nor_address(dm: DataManager, tmp_path: Path) -> None:
    dm.store({"n": 1}, "files", "k")
    result = dm.query("files", {"n": 1})
    health = dm.health()
    varying = re.compile(rf"\d+ ms|\d+ s ago|took|last call|{re.escape(str(tmp_path))}")
    for thing in (things := (dm, result.plan, health, dm["files"], dm.doctor())):
        assert varying.search(thing._repr_html_())
    with set_options(stable_repr=True):
        for thing in things:
            assert not varying.search(thing._repr_html_())
    assert varying.search(dm._repr_html_())
    set_options(stable_repr=True)
    try:
        assert not varying.search(dm._repr_html_())
    finally:
        set_options(stable_repr=False)


def test_html_says_where_a_provider_is_and_what_can_be_done_with_a_result(
    dm: DataManager, tmp_path: Path
) -> None:
    result = dm.query("files", {"n": 1})
    assert f"{tmp_path}" in dm._repr_html_()
    assert "FileSystemProvider(" not in dm._repr_html_()
    assert "<code>.to_pandas()</code>" in result._repr_html_()
    assert all(
        ability in dm.providers["files"]._repr_html_() for ability in dm.providers["files"].abilities()
    )


def test_values_that_are_easily_confused_look_different(dm: DataManager) -> None:
    values = [None, "", "  ", float("nan"), float("inf"), "null", "NaN", 0, "0", False, b"x"]
    reference = dm.store(1, "memory", "k", {str(n): value for n, value in enumerate(values)})
    found = re.findall(r"<td[^>]*>(.*?)</td>", reference._repr_html_().partition("metadata (")[2])
    assert len(set(found[1::2])) == len(found[1::2])
    assert {"null", "&lt;empty&gt;", "NaN", "inf"} <= set(found)


def test_a_score_has_a_bar(tmp_path: Path) -> None:
    vectors = {"a": [1.0, 0.0, 0.0, 0.0], "b": [0.6, 0.8, 0.0, 0.0]}
    with DataManager({"vectors": QdrantProvider(path=tmp_path)}) as dm:
        dm.store_many({key: {"vector": vector} for key, vector in vectors.items()}, "vectors")
        found = dm.search("vectors", [1.0, 0.0, 0.0, 0.0])
        html = found._repr_html_()
        assert html.count("<meter") == 2
        assert 'value="0.600"></meter> 0.6' in html
        assert Tags(html).attributes <= {"scope", "style", "min", "max", "value"}
        assert "meter" not in repr(found)


def test_text_does_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    code = (
        "from praval_storage import DataManager\n"
        "from praval_storage.testing import InMemoryProvider\n"
        "dm = DataManager({'m': InMemoryProvider()})\n"
        "keys = [f'{a}/{b}' for a in 'xyz' for b in 'uvw']\n"
        "ref = dm.store_many(dict.fromkeys(keys, {'tags': {'p', 'q', 'r'}}), 'm',"
        " metadata={'t': {'u', 'v', 'w'}})\n"
        "print(dm, dm['m'], dm.ls(), dm.tree(), dm.query('m', {'tags': 'p'}).plan, dm.health(), sep='\\n')\n"
        "print([reference.key for reference in dm.ls('m://x/').references])\n"
    )
    shown = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "77")
    }
    assert len(shown) == 1
