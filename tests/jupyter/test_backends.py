"""The views of each backend, on real servers: buckets, tables, keys that expire, maps of collections."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pandas as pd
import psycopg
import pytest
import redis
from backends import S3_CREDENTIALS, boto

from praval_storage import DataManager, StorageError
from praval_storage.jupyter import browse
from praval_storage.providers import PostgreSQLProvider, QdrantProvider, RedisProvider, S3Provider

if TYPE_CHECKING:
    from pathlib import Path

    from harness.fixtures import Axe, HostPage
    from playwright.sync_api import Locator, Page

Shot = Callable[..., None]

pytestmark = pytest.mark.xdist_group("browser")

TOPICS = ("physics", "biology", "law", "history")


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row", name=name)


def shows(locator: Locator, text: str | re.Pattern[str]) -> None:
    locator.filter(has_text=text).first.wait_for()


@pytest.fixture
def name() -> str:
    return f"browse-{uuid4().hex[:12]}"


# -- a bucket


@pytest.fixture
def bucket(s3_endpoint: str, name: str) -> S3Provider:
    provider = S3Provider(name, *S3_CREDENTIALS, endpoint_url=s3_endpoint, auto_create=True)
    with DataManager({"s3": provider}) as dm:
        days = [f"reports/{year}/day-{n:03d}.json" for year in (2025, 2026) for n in range(40)]
        dm.store_many({key: {"n": 1} for key in days}, "s3")
        dm.store_many({f"many/f-{n:03d}/x": n for n in range(120)}, "s3")
    return provider


@pytest.fixture
def s3(s3_endpoint: str) -> Iterator[Any]:
    """What others use."""
    with closing(boto(s3_endpoint)) as client:
        yield client


def test_a_bucket(host_page: HostPage, bucket: S3Provider, name: str, axe: Axe, shot: Shot) -> None:
    b = browse(DataManager({"s3": bucket}))
    page = host_page.show(b)
    page.get_by_role("treeitem", name="s3").click()
    page.get_by_role("treeitem", name=name).click()
    page.get_by_role("treeitem", name="reports").click()
    page.get_by_role("treeitem", name="2026").click()
    shows(page.locator(".extent"), "1–25")
    page.get_by_role("button", name="next").click()
    shows(page.locator(".extent"), "26–40")
    row(page, "day-030.json").click()
    shows(page.locator(".title"), "day-030.json")
    shows(page.locator(".statement code"), "ListObjectsV2")
    page.get_by_role("button", name="compute size").click()
    shows(page.locator(".extent"), re.compile(r"40 records, [\d.]+ "))
    host_page.settle(b)
    shot(page)
    assert axe(page) == []
    page.get_by_role("searchbox").fill("day-039")
    row(page, "day-039.json").wait_for()
    page.get_by_role("treeitem", name="many").press("ArrowRight")
    page.get_by_role("treeitem", name="load more").click()
    page.get_by_role("treeitem", name="f-119").wait_for()


def test_deleting_in_a_versioned_bucket_adds_a_marker_and_says_so(
    host_page: HostPage, bucket: S3Provider, s3: Any, name: str, axe: Axe, shot: Shot
) -> None:
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    b = browse(DataManager({"s3": bucket}), f"s3/{name}/reports/2026/")
    page = host_page.show(b)
    row(page, "day-007.json").click()
    page.get_by_role("button", name="delete…").click()
    asked = page.get_by_role("alertdialog")
    asked.get_by_text("adds a delete marker").wait_for()
    assert page.get_by_role("button", name="keep").evaluate("each => each === document.activeElement")
    shot(page)
    assert axe(page) == []
    asked.get_by_role("button", name="delete").click()
    row(page, "day-007.json").wait_for(state="detached")
    left = s3.list_object_versions(Bucket=name, Prefix="reports/2026/day-007.json")
    assert (len(left["DeleteMarkers"]), len(left["Versions"])) == (1, 1)


def test_what_is_too_large_to_send_is_a_presigned_link(
    host_page: HostPage, bucket: S3Provider, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("praval_storage.jupyter.actions.DOWNLOAD", 3)
    b = browse(DataManager({"s3": bucket}), f"s3/{name}/reports/2026/")
    page = host_page.show(b)
    row(page, "day-001.json").click()
    with page.context.expect_event("request", lambda request: "X-Amz-Signature" in request.url):
        page.get_by_role("button", name="download").click()
    shows(page.locator(".title"), "day-001.json")
    assert page.url == host_page.host.url, "the notebook stays"
    assert "X-Amz" not in str(b.get_state()), "a link that lets anybody in is not saved with the notebook"


# -- a table


@pytest.fixture
def table(postgres_dsn: str, name: str) -> Iterator[PostgreSQLProvider]:
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        schema = psycopg.sql.Identifier(name)
        run = lambda text: connection.execute(psycopg.sql.SQL(text).format(schema))  # noqa: E731
        run("CREATE SCHEMA {}")
        run("CREATE TABLE {}.customers (id bigint PRIMARY KEY, name text NOT NULL, city text, spent numeric)")
        run("CREATE INDEX ON {}.customers (city)")
        run(
            "INSERT INTO {}.customers SELECT n, 'name ' || n, CASE WHEN n % 3 > 0 THEN 'Paris' END, n * 1.5"
            " FROM generate_series(1, 120) n"
        )
        run(f'CREATE VIEW {{}}.rich AS SELECT * FROM "{name}".customers WHERE spent > 100')
        run("ANALYZE {}.customers")
        yield PostgreSQLProvider(dsn=postgres_dsn, schema=name)
        run("DROP SCHEMA {} CASCADE")


def test_a_table(host_page: HostPage, table: PostgreSQLProvider, name: str, axe: Axe, shot: Shot) -> None:
    b = browse(DataManager({"postgresql": table}), f"postgresql/{name}.customers")
    page = host_page.show(b)
    shows(page.get_by_role("columnheader", name="id").first, "PK")
    shows(page.get_by_role("columnheader", name="city"), "index")
    shows(page.get_by_role("columnheader", name="name"), "not null")
    shows(page.locator(".statement code"), "SELECT")
    page.get_by_role("button", name="copy the statement").click()
    assert "ORDER BY" in page.evaluate("() => navigator.clipboard.readText()")
    assert page.locator("td.special", has_text="null").count() > 0
    page.get_by_role("button", name="exact count").click()
    shows(page.locator(".extent"), "120 records")
    box = page.get_by_role("searchbox")
    box.fill('{"spent": {"$gt": 170}}')
    page.locator("tbody tr[data-uri]").nth(5).wait_for()
    shows(page.locator(".extent"), "1–7")
    page.locator(".statement summary").first.click()
    shows(page.locator(".statement pre").first, "parameters")
    page.locator(".statement summary").first.click()
    page.locator("tbody tr[data-uri]").first.click()
    shows(page.locator(".pane"), "name 114")
    host_page.settle(b)
    shot(page)
    assert axe(page) == []
    b.path = f"postgresql/{name}.rich"
    page.locator("tbody tr[data-uri]").first.click()
    shows(page.locator(".pane"), "read-only")


# -- keys that expire


@pytest.fixture
def keyspace(redis_url: str, name: str) -> Iterator[RedisProvider]:
    with redis.Redis.from_url(redis_url) as client:
        client.hset(f"{name}:hash", mapping={"a": "1"})
        client.rpush(f"{name}:list", "x", "y")
        client.set(f"{name}:text", "hello", ex=4_000)
        client.set(f"{name}:short", "bye", px=2_500)
        yield RedisProvider(url=redis_url)
        client.delete(*client.scan_iter(f"{name}:*"))


def test_keys(host_page: HostPage, keyspace: RedisProvider, name: str, axe: Axe, shot: Shot) -> None:
    b = browse(DataManager({"redis": keyspace}), f"redis/{name}:")
    page = host_page.show(b)
    kinds = [("hash", "hash", "no limit"), ("list", "list", "no limit"), ("text", "string", "1 h")]
    for key, kind, expires in kinds:
        shows(row(page, key).locator(".tag"), kind)
        shows(row(page, key), expires)
    shows(page.locator(".statement code"), "SCAN MATCH browse")
    shows(row(page, "short"), "soon")
    shot(page)
    assert axe(page) == []
    row(page, "short").wait_for(state="hidden")
    row(page, "hash").click()
    shows(page.locator(".title"), "hash")


def test_a_value_in_the_format_that_is_chosen(
    host_page: HostPage, keyspace: RedisProvider, redis_url: str, name: str, axe: Axe, shot: Shot
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set(f"{name}:vector", (np.arange(64, dtype="<f4") / 64).tobytes())
    b = browse(DataManager({"redis": keyspace}), f"redis/{name}:")
    page = host_page.show(b)
    row(page, "vector").click()
    pick = page.get_by_label("show as")
    pick.wait_for()
    assert pick.locator("option").all_text_contents() == [
        *("automatic", "text", "JSON", "hex", "vector of float32", "vector of float64")
    ]
    assert pick.evaluate("e => e.selectedOptions[0].textContent") == "automatic"
    pick.focus()
    page.keyboard.press("v")
    page.get_by_role("img", name=re.compile("dimensions 64")).wait_for()
    pane = page.locator(".pane")
    shows(pane, "0.984375")
    assert page.evaluate("() => document.activeElement.dataset.focus") == "show as"
    for theme in ("light", "dark"):
        host_page.host.set_theme(theme)
        page.wait_for_selector(f"body[data-jp-theme-light={str(theme == 'light').lower()}]")
        assert axe(page) == [], theme
        shot(page, f"format-{theme}")
    page.set_viewport_size({"width": 480, "height": 800})
    shot(page, "format-480")
    pick.select_option("JSON")
    shows(pane.locator(".note"), re.compile("not JSON: .*; shown as hex"))
    assert axe(page) == []
    shot(page, "format-fallback")
    # Another record starts with what its kind suggests; what has no body has nothing to choose from.
    row(page, "text").click()
    shows(page.locator(".title"), "text")
    host_page.until(lambda: b.preview.get("key") == f"{name}:text")
    page.wait_for_function("() => document.querySelector('.pane select')?.value === ''")
    row(page, "hash").click()
    shows(page.locator(".title"), "hash")
    assert pick.count() == 0


def test_a_format_that_could_not_be_had_is_not_shown_as_chosen(
    host_page: HostPage, keyspace: RedisProvider, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dm = DataManager({"redis": keyspace})
    b = browse(dm, f"redis/{name}:")
    page = host_page.show(b)
    row(page, "text").click()
    pick = page.get_by_label("show as")
    pick.select_option("hex")
    page.locator(".pane pre", has_text="68 65 6c 6c 6f").wait_for()

    def refuse(*_: object, **__: object) -> None:
        raise StorageError("the cable was pulled")

    monkeypatch.setattr(dm, "preview", refuse)
    pick.select_option("JSON")
    page.get_by_text("the cable was pulled").wait_for()
    page.wait_for_function("() => document.querySelector('.pane select').value === 'hex'")


def test_a_scan_that_stops_says_so_and_goes_on(host_page: HostPage, redis_url: str, name: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        with client.pipeline() as pipe:
            for n in range(25_000):
                pipe.set(f"{name}:{n:06d}", 1)
            pipe.execute()
        try:
            b = browse(DataManager({"redis": RedisProvider(url=redis_url)}), f"redis/{name}:")
            page = host_page.show(b)
            page.locator("tbody tr[data-uri]").first.wait_for()
            page.get_by_role("searchbox").fill("no such key")
            shows(page.locator(".extent"), re.compile(r"searched [\d\s]+ keys, none so far"))
            page.get_by_text("Nothing matches so far.").wait_for()
            further = page.get_by_role("button", name="keep looking")
            for _ in range(9):
                if not further.is_visible():
                    break
                further.click()
                host_page.settle(b)
                page.wait_for_timeout(100)
            page.get_by_text("Nothing here matches the filter.").wait_for()
        finally:
            client.delete(*client.scan_iter(f"{name}:*", count=5_000))


# -- a collection of vectors


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[DataManager]:
    chance = np.random.default_rng(0)
    centres = chance.normal(size=(4, 16)) * 3
    with DataManager({"qdrant": QdrantProvider(path=tmp_path / "q", collection_name="docs")}) as dm:
        dm.store_many(
            {
                f"doc-{n}": {
                    "vector": (centres[n % 4] + chance.normal(size=16)).tolist(),
                    "topic": TOPICS[n % 4],
                    "title": f"On {TOPICS[n % 4]} {n}",
                }
                for n in range(300)
            },
            "qdrant",
        ).raise_for_errors()
        yield dm


COUNT_BRIGHT = """() => {
    const c = document.querySelector('.pvb canvas');
    const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
    let n = 0; for (let i = 3; i < d.length; i += 4) if (d[i] > 150) n++; return n; }"""


def bright(page: Page) -> int:
    """Pixels of the canvas that are drawn at all."""
    return int(page.evaluate(COUNT_BRIGHT))


def wait_for_fewer(page: Page, pixels: float) -> None:
    """The canvas is drawn with the next frame, not with the click."""
    page.wait_for_function(f"(most) => ({COUNT_BRIGHT})() < most", arg=pixels)


def place_of(page: Page, key: str) -> dict[str, int]:
    """Where a point of the map is, by its tool tip, which is also how a person would find it."""
    found: dict[str, int] | None = page.evaluate(
        """(key) => {
        const canvas = document.querySelector(".pvb canvas"), tip = document.querySelector(".pvb .tip");
        const { left, top, width, height } = canvas.getBoundingClientRect();
        for (let y = 3; y < height; y += 2) for (let x = 3; x < width; x += 2) {
            canvas.dispatchEvent(new PointerEvent("pointermove", { clientX: left + x, clientY: top + y }));
            if (!tip.hidden && tip.textContent.startsWith(key + " ")) return { x, y };
        }
        return null; }""",
        key,
    )
    assert found, f"{key} is nowhere on the map"
    return found


def test_a_map(host_page: HostPage, collection: DataManager, axe: Axe, shot: Shot) -> None:
    b = browse(collection, "qdrant/docs")
    page = host_page.show(b)
    page.get_by_role("button", name="map").click()
    page.get_by_text(re.compile("PCA, [0-9]+ % of the variance")).wait_for()
    page.get_by_label("colour by").select_option("topic")
    page.locator(".legend").get_by_role("button", name=re.compile("physics")).wait_for()
    page.wait_for_function("() => document.querySelectorAll('.points tr[data-key]').length === 100")
    assert page.get_by_role("img", name=re.compile("Map of .* list below")).count() == 1
    page.wait_for_function(f"() => ({COUNT_BRIGHT})() > 500")
    everything = bright(page)
    # An entry of the legend takes its points away, on the canvas and in the list.
    page.locator(".legend").get_by_role("button", name=re.compile("physics")).click()
    wait_for_fewer(page, everything)
    assert page.locator(".points tr[data-key]", has_text="physics").count() == 0
    page.locator(".legend").get_by_role("button", name=re.compile("physics")).click()
    # A point that is clicked, here in the list, is shown with its neighbours; the others are dimmed.
    page.locator(".points tr[data-key]").first.click()
    page.locator(".pane .near li").nth(4).wait_for()
    host_page.settle(b)
    anchor = b.preview["key"]
    assert page.locator(".points tr[aria-selected=true]").count() <= 1
    wait_for_fewer(page, everything / 2)
    shot(page)
    assert axe(page) == []
    # The same point, hovered and clicked on the canvas.
    found = place_of(page, anchor)
    page.locator("canvas").click(position={"x": 2, "y": 2})
    page.get_by_text("Choose a record to see it here.").wait_for()
    page.locator("canvas").click(position=found)
    shows(page.locator(".title"), re.compile("doc-"))
    # A box chooses points for Python.
    box = page.locator("canvas").bounding_box()
    assert box
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + box["height"] - 1)
    page.mouse.up()
    page.keyboard.up("Shift")
    host_page.settle(b)
    page.wait_for_function("() => true")
    assert len(b.selected_ids) == 300
    assert len(b.references()) == 300
    assert len(eval(b.code(), {"dm": collection})) == 300
    for theme in ("dark", "contrast"):
        host_page.host.set_theme(theme)
        page.wait_for_selector("body[data-jp-theme-light=false]")
        assert axe(page) == [], theme
    shot(page, "map-dark")
    page.get_by_role("button", name="show rows").click()
    page.locator(".list tbody tr[data-uri]").first.wait_for()


def test_the_filter_box_is_for_the_map_as_well(host_page: HostPage, collection: DataManager) -> None:
    b = browse(collection, "qdrant/docs")
    page = host_page.show(b)
    page.get_by_role("button", name="map").click()
    page.get_by_label("colour by").select_option("topic")
    shows(page.locator(".legend"), "physics 75")
    points = page.locator(".points tr[data-key]")
    page.get_by_role("searchbox").fill('{"topic": "physics"}')
    shows(page.locator(".controls"), "all 75 records that match")
    page.wait_for_function("() => document.querySelectorAll('.points tr[data-key]').length === 75")
    assert page.locator(".legend button").count() == 1, "the colours stay those of the field"
    page.get_by_role("searchbox").fill("OC-11")
    shows(page.locator(".controls"), "all 11 records that match")
    page.wait_for_function("() => document.querySelectorAll('.points tr[data-key]').length === 11")
    assert set(points.evaluate_all("(rows) => rows.map((row) => row.dataset.key)")) == {
        "doc-11",
        *(f"doc-11{n}" for n in range(10)),
    }
    page.get_by_role("searchbox").fill("no such key")
    shows(page.locator(".controls"), "no records that match")
    page.wait_for_function("() => document.querySelectorAll('.points tr[data-key]').length === 0")
    page.keyboard.press("Escape")
    shows(page.locator(".controls"), "all 300 records")
    shows(page.locator(".legend"), "physics 75")
    page.get_by_role("button", name="show rows").click()
    page.get_by_role("searchbox").fill("oc-11")
    shows(page.locator(".extent"), "of 11")
    assert not page.locator(".chart").is_visible(), "rows stay rows"


def test_the_list_of_a_map_goes_by_arrows(host_page: HostPage, collection: DataManager) -> None:
    b = browse(collection, "qdrant/docs")
    page = host_page.show(b)
    page.get_by_role("button", name="map").click()
    first = page.locator(".points tr[data-key]").first
    first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator(".pane .near").wait_for()
    assert b.preview["key"] == page.evaluate("() => document.activeElement.dataset.key")
    page.get_by_role("button", name=re.compile("show 100 more")).click()
    page.wait_for_function("() => document.querySelectorAll('.points tr[data-key]').length === 200")


def test_foreign_csv_in_a_bucket_is_a_frame(
    host_page: HostPage, bucket: S3Provider, s3: Any, name: str
) -> None:
    text = io.StringIO()
    pd.DataFrame({"city": ["Oslo", "Rome"], "n": [1, 2]}).to_csv(text, index=False)
    s3.put_object(Bucket=name, Key="foreign/cities.csv", Body=text.getvalue().encode())
    b = browse(DataManager({"s3": bucket}), f"s3/{name}/foreign/")
    page = host_page.show(b)
    row(page, "cities.csv").click()
    page.locator(".pane").get_by_role("columnheader", name="city").wait_for()
    shows(page.locator(".pane"), "2 rows × 2 columns")
