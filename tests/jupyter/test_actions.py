"""Deleting, fetching and measuring while providers take their time and the user goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event
from time import monotonic, sleep
from typing import Any

import pytest
from harness.browsing import Page, Reluctant

from praval_storage import DataManager
from praval_storage.jupyter import Browser
from praval_storage.jupyter.lanes import Job, Lanes
from praval_storage.places import Count, Look, Measured, Seen
from praval_storage.testing import InMemoryProvider

KEYS = [f"k{n:02d}" for n in range(60)]


@pytest.fixture
def dm() -> DataManager:
    dm = DataManager({"memory": Reluctant(), "other": Reluctant("other")})
    for name in dm.providers:
        dm.store_many(dict.fromkeys(KEYS, 1), name).raise_for_errors()
    return dm


@pytest.fixture
def b(dm: DataManager) -> Iterator[Browser]:
    browser = Browser(dm, "memory", lanes=Lanes())
    browser.refresh()
    yield browser
    browser.close()


@pytest.fixture
def page(b: Browser) -> Page:
    return Page(b)


def memory(dm: DataManager) -> Any:
    return dm.providers["memory"]


def uri(key: str, provider: str = "memory") -> str:
    return f"praval://{provider}/{key}"


def finish(*jobs: Job | None) -> None:
    for job in jobs:
        if job is not None:
            job.wait(10)


def until(found: Callable[[], object]) -> None:
    end = monotonic() + 10
    while not found():
        assert monotonic() < end
        sleep(0.005)


def shown(b: Browser) -> list[str]:
    return [row["key"] for row in b.rows]


# -- what was confirmed is done


def test_every_deletion_that_was_confirmed_is_done(dm: DataManager, b: Browser, page: Page) -> None:
    memory(dm).door.clear()
    jobs = [page.delete(uri(key)) for key in KEYS[:3]]
    memory(dm).door.set()
    finish(*jobs)
    assert [dm.exists(uri(key)) for key in KEYS[:4]] == [False, False, False, True]
    until(lambda: shown(b) == KEYS[3:28])
    assert b.error == {}


def test_a_deletion_that_fails_is_shown_although_another_one_went_well(
    dm: DataManager, b: Browser, page: Page
) -> None:
    memory(dm).kept = {KEYS[0]}
    memory(dm).door.clear()
    jobs = [page.delete(uri(key)) for key in KEYS[:2]]
    memory(dm).door.set()
    finish(*jobs)
    until(lambda: KEYS[1] not in shown(b))
    assert b.error["title"] == f"deleting {KEYS[0]} failed"
    assert f"{KEYS[0]} is kept" in b.error["text"]
    assert not b.error["retry"], "it would have to ask again"
    page.ask("select", uri=uri(KEYS[5]))
    assert b.error == {}, "who goes on has seen it"


def test_of_several_failures_none_is_hidden(dm: DataManager, b: Browser, page: Page) -> None:
    memory(dm).kept = set(KEYS[:2])
    memory(dm).door.clear()
    jobs = [page.delete(uri(key)) for key in KEYS[:2]]
    memory(dm).door.set()
    finish(*jobs)
    assert b.error["title"] == f"deleting {KEYS[1]} failed"
    [before] = b.error["also"]
    assert f"deleting {KEYS[0]} failed" in before
    assert f"{KEYS[0]} is kept" in before


def test_what_was_confirmed_is_deleted_although_the_browser_is_closed(
    dm: DataManager, b: Browser, page: Page
) -> None:
    memory(dm).door.clear()
    jobs = [page.delete(uri(key)) for key in KEYS[:2]]
    dropped = page.ask("refresh")
    b.close()
    memory(dm).door.set()
    finish(*jobs, dropped)
    assert [dm.exists(uri(key)) for key in KEYS[:3]] == [False, False, True]


def test_a_deletion_that_ends_late_leaves_alone_where_the_user_is_by_then(
    dm: DataManager, b: Browser, page: Page
) -> None:
    memory(dm).door.clear()
    late = page.delete(uri(KEYS[0]))
    b.path = "other"
    b.selected = there = uri(KEYS[3], "other")
    page.ask("ask_delete", uri=there)
    asked = len(dm.providers["other"].threads)  # type: ignore[attr-defined]
    memory(dm).door.set()
    finish(late)
    assert not dm.exists(uri(KEYS[0]))
    assert (b.selected, b.preview["key"], b.state.confirm["uri"]) == (there, KEYS[3], there)
    assert len(dm.providers["other"].threads) == asked, "nothing is listed again"  # type: ignore[attr-defined]
    assert b.state.notice == f"deleted {uri(KEYS[0])}"


def test_a_deletion_that_ends_late_turns_no_page_back(dm: DataManager, b: Browser, page: Page) -> None:
    memory(dm).door.clear()
    late = page.delete(uri(KEYS[0]))
    assert memory(dm).knocked.wait(10)
    turned = page.ask("page", page=1)
    memory(dm).door.set()
    finish(late, turned)
    assert (b.page, shown(b)[0]) == (1, KEYS[25]), "by the token that was known"
    assert b.state.notice == f"deleted {uri(KEYS[0])}; 25 records in memory"


def test_what_was_deleted_is_told_with_the_rows_that_come_after_it(b: Browser, page: Page) -> None:
    notices: list[str] = []
    b.watch(lambda changed: notices.append(changed["notice"]) if "notice" in changed else None)
    finish(page.delete(uri(KEYS[0])))
    until(lambda: notices[-1] == f"deleted {uri(KEYS[0])}; 25 records in memory")
    page.browser.refresh()
    assert b.state.notice == "25 records in memory"


def test_python_waits_for_the_rows_after_a_deletion(dm: DataManager, b: Browser) -> None:
    for key in KEYS[:10]:
        b.selected = uri(key)
        b.delete()
        assert shown(b)[0] == KEYS[KEYS.index(key) + 1]


def test_every_download_is_answered(dm: DataManager, page: Page) -> None:
    memory(dm).entered.clear()
    memory(dm).gate.clear()
    page.ask("refresh")
    assert memory(dm).entered.wait(10)
    jobs = [page.ask("download", uri=uri(key)) for key in (KEYS[0], KEYS[1], "gone")]
    memory(dm).gate.set()
    finish(*jobs)
    assert [(message["op"], message.get("name")) for message, _ in page.answers] == [
        ("file", KEYS[0]),
        ("file", KEYS[1]),
        ("nothing", None),
    ]
    assert [message["ask"] for message, _ in page.answers] == ["2", "3", "4"]
    assert page.browser.error["title"] == "fetching gone failed"


# -- measuring


class Endless:
    """Counts as far as it is let."""

    def __init__(self, dm: DataManager) -> None:
        self.steps, self.ended = 0, Event()
        self.go = Event()
        dm.measure = self.measure  # type: ignore[method-assign]

    def measure(self, name: str, place: str) -> Iterator[Measured]:
        try:
            while True:
                self.steps += 1
                yield Measured(Count(self.steps), None, done=False)
                self.go.wait(0.001)
        finally:
            self.ended.set()


@pytest.fixture
def endless(dm: DataManager, monkeypatch: pytest.MonkeyPatch) -> Endless:
    monkeypatch.setattr("praval_storage.jupyter.core.PAUSE", 0)
    return Endless(dm)


def test_what_is_counted_stays_when_a_page_is_turned(b: Browser, page: Page, endless: Endless) -> None:
    page.ask("measure")
    until(lambda: b.state.table.get("measured"))
    b.page = 1
    assert b.state.table["measured"]["running"] is True
    before = b.state.table["measured"]["text"]
    until(lambda: b.state.table["measured"]["text"] != before)
    page.ask("stop")
    assert endless.ended.wait(10)
    counted = b.state.table["measured"]
    assert counted["running"] is False
    b.page = 0
    b.query = "k0"
    assert b.state.table["measured"] == counted


def test_what_is_counted_goes_with_the_place(b: Browser, page: Page, endless: Endless) -> None:
    table: list[Any] = []

    def watcher(changed: dict[str, Any]) -> None:
        if "table" in changed or "path" in changed:
            table.append((b.path, b.state.table.get("measured"), shown(b)))

    b.watch(watcher)
    for _ in range(20):
        endless.ended.clear()
        job = page.ask("measure")
        until(lambda: b.state.table.get("measured"))
        b.path = "other"
        assert endless.ended.wait(10), "nobody counts on"
        finish(job)
        assert "measured" not in b.state.table
        b.path = "memory"
    assert {bool(measured) for path, measured, _ in table if path == "other"} == {False}


def test_a_count_that_fails_is_running_no_more(dm: DataManager, b: Browser, page: Page) -> None:
    def measure(name: str, place: str) -> Iterator[Measured]:
        yield Measured(Count(3), None, done=False)
        raise OSError("the line went dead")

    dm.measure = measure  # type: ignore[method-assign]
    finish(page.ask("measure"))
    assert b.error["text"] == "the line went dead"
    assert b.state.table["measured"] == {"text": "3 records", "running": False}


# -- what expires


class Scans:
    """Finds a few rows at a time, as a server that scans its keys does."""

    def __init__(self, dm: DataManager) -> None:
        self.dm = dm
        self.looks = 0

    def look(self, name: str, request: Look) -> Seen:
        self.looks += 1
        at = int(request.token or 0)
        seen = self.dm.look(name, Look(limit=1_000))
        rows = [row for row in seen.rows if KEYS.index(row.key) // 4 == at]
        return Seen(rows=rows, scanned=10, stopped=at < 9, next=str(at + 1) if at < 9 else None)


@pytest.fixture
def scans(dm: DataManager) -> Scans:
    return Scans(dm)


@pytest.fixture
def scanning(dm: DataManager, scans: Scans) -> Browser:
    b = Browser(dm, "memory", look=scans.look)
    for _ in range(2):
        Page(b).ask("scan_on")
    assert shown(b) == KEYS[:12]
    return b


def test_what_was_found_by_looking_further_stays_when_one_row_expires(
    dm: DataManager, scanning: Browser, scans: Scans
) -> None:
    dm.delete(uri(KEYS[1]))
    looks = scans.looks
    Page(scanning).ask("expired", uris=[uri(KEYS[1]), uri(KEYS[2]), "praval://memory/no-such-row"])
    assert shown(scanning) == [KEYS[0], *KEYS[2:12]]
    assert scans.looks == looks, "only these rows were asked for"
    assert scanning.state.table["stopped"]
    Page(scanning).ask("scan_on")
    assert shown(scanning) == [KEYS[0], *KEYS[2:16]]


def test_a_refresh_looks_as_far_as_somebody_had_looked(dm: DataManager, scanning: Browser) -> None:
    dm.delete(uri(KEYS[1]))
    scanning.refresh()
    assert shown(scanning) == [KEYS[0], *KEYS[2:12]]
    scanning.selected = uri(KEYS[9])
    scanning.delete()
    assert shown(scanning) == [KEYS[0], *KEYS[2:9], *KEYS[10:12]]
    scanning.query = "k"
    assert shown(scanning) == [KEYS[0], *KEYS[2:4]], "another question begins anew"


def test_a_row_that_was_given_more_time_counts_down_anew(dm: DataManager) -> None:
    dm.store(1, "memory", "brief", ttl=1_000)
    b = Browser(dm, "memory")
    b.query = "brief"
    before = b.rows[0]["expires_in"]
    dm.store(1, "memory", "brief", ttl=9_000)
    Page(b).ask("expired", uris=[uri("brief")])
    assert b.rows[0]["expires_in"] > before + 7_000_000
    dm.store(1, "memory", "brief")
    Page(b).ask("expired", uris=[uri("brief")])
    assert b.rows[0]["expires_in"] is None
    dm.delete(uri("brief"))
    Page(b).ask("expired", uris=[uri("brief")])
    assert (b.rows, b.error) == ([], {})


def test_an_expired_row_is_one_less_of_all(dm: DataManager) -> None:
    dm = DataManager({"memory": InMemoryProvider()})
    dm.store_many({"a": 1, "b": 2}, "memory")
    look = lambda _, request: Seen(rows=dm.look("memory", request).rows, total=Count(2))  # noqa: E731
    b = Browser(dm, "memory", look=look)
    dm.delete(uri("a"))
    Page(b).ask("expired", uris=[uri("a")])
    assert (shown(b), b.total) == (["b"], 1)
