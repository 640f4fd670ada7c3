"""What looking around costs: the first page of 100,000 records, a click in JupyterLab, and memory.

    python benchmarks/bench_browser.py [--records 100000] [--backends filesystem,redis] [--no-lab]

For each backend the floor is the client's own call for the names of the first 25 records. Floor and browser
take turns, so that a busy machine is busy for both; each number is a median. A click is measured in Chromium,
from the event to the preview of a 10 kB record that stands on the page. Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from threading import Event
from time import perf_counter
from typing import Any, NamedTuple

import boto3
import psycopg
import redis

from praval_storage import DataManager
from praval_storage.jupyter import Browser
from praval_storage.jupyter.lanes import Lanes
from praval_storage.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 15
OURS_MS, CLICK_MS = 300.0, 150.0
CLICKS = 30


class Case(NamedTuple):
    """A place with many records, and the client's own way to its first page, where it has one."""

    path: str
    floor: Callable[[], object] | None


def milliseconds(work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return (perf_counter() - started) * 1e3


def filesystem(sandbox: Sandbox, records: int) -> Case:
    folder = sandbox.directory / "many"
    folder.mkdir(parents=True)
    for n in range(records):
        (folder / f"r{n:06d}.json").write_bytes(b'{"n": 1}')

    def floor() -> object:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries)[:25]

    return Case("filesystem/many/", floor)


def s3(sandbox: Sandbox, records: int) -> Case:
    client = boto3.client("s3", **client_options(sandbox))
    bucket = sandbox.s3.bucket
    sandbox.manager.store(1, "s3", "makes the bucket")

    def put(n: int) -> None:
        client.put_object(Bucket=bucket, Key=f"many/r{n:06d}.json", Body=b'{"n": 1}')

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(records)))
    return Case(
        f"s3/{bucket}/many/",
        lambda: client.list_objects_v2(Bucket=bucket, Prefix="many/", Delimiter="/", MaxKeys=25),
    )


def client_options(sandbox: Sandbox) -> dict[str, str]:
    return {
        "endpoint_url": sandbox.s3.endpoint_url,
        "aws_access_key_id": sandbox.s3.access_key_id,
        "aws_secret_access_key": sandbox.s3.secret_access_key,
        "region_name": "us-east-1",
    }


def postgresql(sandbox: Sandbox, records: int) -> Case:
    connection = psycopg.connect(sandbox.postgresql.dsn, autocommit=True)
    connection.execute("CREATE TABLE many (id bigint PRIMARY KEY, name text, n int)")
    connection.execute(
        "INSERT INTO many SELECT g, 'name ' || g, g %% 7 FROM generate_series(1, %s) g", [records]
    )
    connection.execute("ANALYZE many")
    query = "SELECT * FROM many ORDER BY id LIMIT 25"
    return Case("postgresql/public.many", lambda: connection.execute(query).fetchall())


def redis_(sandbox: Sandbox, records: int) -> Case:
    client = redis.Redis.from_url(sandbox.redis.url)
    for start in range(0, records, 10_000):
        client.mset({f"many:r{n:06d}": b'{"n": 1}' for n in range(start, min(records, start + 10_000))})

    def floor() -> object:
        _, keys = client.scan(0, match="many:*", count=500)
        return client.mget(keys[:25])

    return Case("redis/many:", floor)


def qdrant(sandbox: Sandbox, records: int) -> Case:
    for start in range(0, records, 10_000):
        numbers = range(start, min(records, start + 10_000))
        rows = {f"r{n:06d}": {"vector": [n % 97, n % 13, n % 7, 1.0], "n": n} for n in numbers}
        sandbox.manager.store_many(rows, "qdrant").raise_for_errors()
    # The embedded engine has no client: all its time counts as ours.
    return Case(Browser(sandbox.manager, "qdrant").state.table["places"][0]["id"], None)


BACKENDS = {"filesystem": filesystem, "s3": s3, "postgresql": postgresql, "redis": redis_, "qdrant": qdrant}


def memory() -> float:
    """Megabytes this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def first_page(dm: DataManager, path: str) -> None:
    """Open a browser as the widget does, until the first rows are there."""
    there = Event()
    browser = Browser(dm, path, lanes=Lanes())
    browser.watch(lambda changed: there.set() if changed.get("rows") else None)
    assert there.wait(60)
    browser.close()


def measure(dm: DataManager, name: str, case: Case) -> bool:
    browser = Browser(dm, case.path)
    assert len(browser.rows) == 25, browser.error
    ours: list[float] = []
    floor: list[float] = []
    for _ in range(ROUNDS):
        ours.append(milliseconds(lambda: first_page(dm, case.path)))
        floor.append(milliseconds(case.floor) if case.floor else 0.0)
    before = memory()
    for page in range(1, 101):
        browser.page = page
    grown = memory() - before
    over = median(ours) - median(floor)
    sent = len(json.dumps([browser.state.rows, browser.state.table, browser.state.tree]))
    print(
        f"{name:11} first page {median(ours):7.1f} ms, floor {median(floor):7.1f} ms, ours {over:7.1f} ms;"
        f" {sent / 1e3:.0f} kB to the page, {grown:+.1f} MB after {browser.page} pages"
    )
    return over <= OURS_MS


CELL = """
from praval_storage import DataManager
from praval_storage.providers import FileSystemProvider
dm = DataManager({"files": FileSystemProvider(base_path="shelf")})
record = {f"field {n}": "x" * 80 for n in range(105)}
dm.store_many({f"day-{n:03d}.json": record for n in range(25)}, "files").raise_for_errors()
b = dm.browse("files")
b
"""

CLICK = """(row) => new Promise((done) => {
    const pane = document.querySelector(".pvb .pane"), name = row.querySelector(".name").textContent;
    const stands = () => pane.querySelector(".title")?.textContent === name && pane.querySelector(".json");
    const started = performance.now();
    const watch = new MutationObserver(() => {
        if (!stands()) return;
        watch.disconnect();
        requestAnimationFrame(() => done(performance.now() - started));
    });
    watch.observe(pane, { childList: true, subtree: true });
    row.click();
})"""


@contextmanager
def lab_page() -> Iterator[Any]:
    sys.path.insert(0, str(ROOT / "tests"))
    from harness import chromium
    from harness.lab import LabPage, LabServer
    from playwright.sync_api import sync_playwright

    with (
        tempfile.TemporaryDirectory() as folder,
        LabServer(Path(folder), environment={"PYTHONPATH": str(ROOT)}) as lab,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium.path(), args=chromium.ARGUMENTS)
        yield LabPage(lab, browser.new_page())
        browser.close()


def clicks() -> bool:
    with lab_page() as lab:
        out = lab.open([CELL]).run_all().output(0)
        rows = out.locator("tr[data-uri]")
        rows.nth(24).wait_for()
        took = [float(rows.nth(n % 25).evaluate(CLICK)) for n in range(CLICKS)][5:]
        lab.close()
    print(f"JupyterLab  click to preview of 10 kB: {median(took):.0f} ms", end="")
    print(f" (best {min(took):.0f}, worst {max(took):.0f})")
    return median(took) <= CLICK_MS


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--backends", default=",".join(BACKENDS))
    parser.add_argument("--no-lab", action="store_true")
    options = parser.parse_args()
    met = []
    sandbox = Sandbox()
    with sandbox as dm:
        names = filter(None, options.backends.split(","))
        met += [measure(dm, name, BACKENDS[name](sandbox, options.records)) for name in names]
    if not options.no_lab:
        met.append(clicks())
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
