"""Nothing is cut and nothing lies over anything: every view, narrow and wide pages, large text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pandas as pd
import psycopg
import pytest
import redis
from harness.gated import Gated

from praval_storage import DataManager
from praval_storage.jupyter import browse
from praval_storage.providers import (
    FileSystemProvider,
    PostgreSQLProvider,
    QdrantProvider,
    RedisProvider,
)

if TYPE_CHECKING:
    from harness.fixtures import HostPage
    from playwright.sync_api import Page

pytestmark = pytest.mark.xdist_group("browser")

SIZES = [(480, 13), (640, 13), (900, 13), (1280, 13), (1600, 13), (1280, 26), (900, 26)]
"""Width of the page and size of its text, in pixels."""

FIND_PROBLEMS = (Path(__file__).parents[1] / "harness" / "problems.js").read_text()

Check = Callable[[str], None]


@pytest.fixture
def check(host_page: HostPage, shot: Callable[..., None]) -> Check:
    """Looks at what is shown in every size, and puts the page back."""

    def check(view: str) -> None:
        page, found = host_page.page, {}
        for width, text in SIZES:
            resize(page, width, text)
            shot(page, f"layout-{view}-{width}-{text}")
            found[width, text] = page.evaluate(FIND_PROBLEMS)
        resize(page, 1280, 13)
        assert {size: problems for size, problems in found.items() if problems} == {}, view

    return check


def resize(page: Page, width: int, text: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(
        "(text) => document.querySelector('.pvb-host').style.setProperty('--jp-ui-font-size1', `${text}px`)",
        text,
    )
    # A canvas and a container query follow in the next frame.
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


@pytest.fixture
def dm(tmp_path: Path) -> Iterator[DataManager]:
    with DataManager({"postgresql": FileSystemProvider(tmp_path / "files"), "memory": Gated()}) as dm:
        days = {f"reports/2026/2026-11-{n:02d}-of-the-plant-in-the-north.json": {"n": n} for n in range(40)}
        dm.store_many({**days, "reports/2026/raw/x": 1, "reports/2026/more/y": 2}, "postgresql")
        yield dm


def values() -> dict[str, Any]:
    frame = pd.DataFrame({f"column {n}": np.arange(60) / 7 for n in range(30)})
    return {
        "array.npy": np.sin(np.arange(500.0)),
        "bytes.bin": bytes(range(256)) * 10,
        "frame.parquet": frame,
        "heat.npy": np.arange(2_400.0).reshape(40, 60),
        "image.png": pytest.importorskip("PIL.Image").new("RGB", (900, 600), "teal"),
        "text.txt": "a line of words, rather a long one, to be read from the beginning to the end\n" * 300,
        "tree.json": {"list": [1, None, {"deep": "text " * 60}], "x" * 80: 2**63},
    }


def test_a_folder_a_question_and_an_error(host_page: HostPage, dm: DataManager, check: Check) -> None:
    b = browse(dm, "postgresql/reports/2026/")
    page = host_page.show(b)
    b.badges = {
        **b.badges,
        "postgresql": {"state": "up", "text": "312 ms", "title": "as far away as it gets"},
    }
    page.locator(".tree").evaluate("(tree) => { tree.style.paddingRight = '15px'; }")  # a scroll bar
    page.get_by_role("row", name="2026-11-07").wait_for()
    check("folder")
    page.get_by_role("row", name="2026-11-07").click()
    page.get_by_role("button", name="delete…").click()
    page.get_by_role("alertdialog").wait_for()
    check("question")
    b.sort = "-key"
    b.query = "{"
    page.get_by_text("is not a filter yet").wait_for()
    memory: Any = dm.providers["memory"]
    memory.refusal = ConnectionRefusedError(
        "the server at the other end of a long line refused to listen " * 3
    )
    b.path = "memory"
    page.get_by_role("alert").filter(has_text="refused").wait_for()
    check("error")


def test_each_kind_of_preview(host_page: HostPage, dm: DataManager, check: Check) -> None:
    dm.store_many({f"kinds/{key}": value for key, value in values().items()}, "memory").raise_for_errors()
    b = browse(dm, "memory/kinds/")
    page = host_page.show(b)
    for row in b.rows:
        b.selected = row["uri"]
        page.locator(".pane .title", has_text=row["name"]).wait_for()
        host_page.settle(b)
        check(row["name"])


def test_a_table(host_page: HostPage, postgres_dsn: str, check: Check) -> None:
    name = f"layout-{uuid4().hex[:8]}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        run = lambda text: connection.execute(psycopg.sql.SQL(text).format(psycopg.sql.Identifier(name)))  # noqa: E731
        run("CREATE SCHEMA {}")
        try:
            run("CREATE TABLE {}.customers (id bigint PRIMARY KEY, name text, city text, spent numeric)")
            run("INSERT INTO {}.customers SELECT n, 'a name', 'Paris', n * 1.5 FROM generate_series(1, 99) n")
            with DataManager({"postgresql": PostgreSQLProvider(dsn=postgres_dsn, schema=name)}) as dm:
                b = browse(dm, f"postgresql/{name}.customers")
                page = host_page.show(b)
                page.locator("tbody tr[data-uri]").first.click()
                page.locator(".pane .title").wait_for()
                check("table")
        finally:
            run("DROP SCHEMA {} CASCADE")


def test_keys(host_page: HostPage, redis_url: str, check: Check) -> None:
    name = f"layout-{uuid4().hex[:8]}"
    with redis.Redis.from_url(redis_url) as client:
        client.set(f"{name}:text", "hello", ex=400_000)
        client.hset(f"{name}:a-hash-with-a-long-name-in-it", mapping={"a": "1"})
        client.set(f"{name}:more:1", 1)
        try:
            b = browse(DataManager({"redis": RedisProvider(url=redis_url)}), f"redis/{name}:")
            page = host_page.show(b)
            page.get_by_role("row", name="a-hash").click()
            page.locator(".pane .title", has_text="a-hash").wait_for()
            check("keys")
        finally:
            client.delete(*client.scan_iter(f"{name}:*"))


def test_a_map(host_page: HostPage, tmp_path: Path, check: Check) -> None:
    chance = np.random.default_rng(0)
    papers = {
        f"doc/{n}": {
            "vector": chance.normal(size=8).tolist(),
            "topic": f"topic {n % 9}",
            "title": f"Paper {n}: on what is far away and what is near",
        }
        for n in range(600)
    }
    with DataManager({"qdrant": QdrantProvider(path=tmp_path / "q", collection_name="docs")}) as dm:
        dm.store_many(papers, "qdrant").raise_for_errors()
        b = browse(dm, "qdrant/docs")
        page = host_page.show(b)
        page.get_by_role("button", name="map").click()
        page.get_by_text(re.compile("PCA, [0-9]+ % of the variance")).wait_for()
        page.get_by_label("colour by").select_option("topic")
        page.locator(".points tr[data-key]").first.click()
        page.locator(".pane .near li").nth(4).wait_for()
        host_page.settle(b)
        check("map")
