"""Fixtures of the tests in a browser; ``tests/conftest.py`` loads them as a plugin."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from harness import chromium

if TYPE_CHECKING:
    from ipywidgets import Widget
    from playwright.sync_api import Browser, BrowserContext, Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# JupyterLab's body has no height and hides what overflows: axe takes all text in it for clipped.
RUN_AXE = """async ([selector, options]) => {
    const { style } = document.body, before = style.overflow;
    style.overflow = "visible";
    try { return await axe.run(selector, options); } finally { style.overflow = before; }
}"""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "xdist_group(name): tests that one worker of pytest-xdist runs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last, together, so that the browser is started once and late."""
    items.sort(key=lambda item: "playing" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def browser_loop() -> chromium.Loop:
    return chromium.Loop()


@pytest.fixture(scope="session")
def chromium_browser(browser_loop: chromium.Loop) -> Iterator[Browser]:
    with chromium.launched(browser_loop) as browser:
        yield browser


@pytest.fixture
def playing(chromium_browser: Browser, browser_loop: chromium.Loop) -> Iterator[Browser]:
    """The browser, with its event loop running for as long as the test runs."""
    browser_loop.enter()
    yield chromium_browser
    browser_loop.leave()


@pytest.fixture(scope="session")
def browser_context(chromium_browser: Browser, browser_loop: chromium.Loop) -> Iterator[BrowserContext]:
    """One for the session: JupyterLab's scripts are then parsed once."""
    browser_loop.enter()
    context = chromium_browser.new_context(
        viewport={"width": 1280, "height": 800},
        reduced_motion="reduce",
        locale="en-US",
        timezone_id="UTC",
        permissions=["clipboard-read", "clipboard-write"],
        accept_downloads=True,
    )
    context.set_default_timeout(15_000)
    browser_loop.leave()
    yield context
    browser_loop.enter()
    context.close()
    browser_loop.leave()


@pytest.fixture(scope="session")
def _host_page(
    browser_context: BrowserContext, browser_loop: chromium.Loop
) -> Iterator[tuple[Any, Page, chromium.Watch]]:
    from harness.host import Host

    with Host() as host:
        browser_loop.enter()
        page = browser_context.new_page()
        watch = chromium.Watch(page)
        page.goto(host.url)
        browser_loop.leave()
        yield host, page, watch
        browser_loop.enter()
        page.close()
        browser_loop.leave()


class HostPage:
    """The page, with what tests do on it."""

    def __init__(self, host: Any, page: Page, watch: chromium.Watch) -> None:
        self.host = host
        self.page = page
        self.watch = watch

    def show(self, widget: Widget, theme: str = "light") -> Page:
        """Display one more view of a widget and wait until it stands there."""
        views = self.page.locator(".pvb").count()
        self.host.set_theme(theme)
        self.host.display(widget)
        self.page.locator(".pvb").nth(views).wait_for()
        return self.page

    def until(self, found: Callable[[], bool], seconds: float = 15) -> None:
        """Wait until something is so in this process."""
        end = monotonic() + seconds
        while not found():
            assert monotonic() < end
            self.page.wait_for_timeout(20)

    def settle(self, widget: Any) -> None:
        """Wait until everything that was clicked has been answered and drawn."""
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('.pvb')].every(x => x.getAttribute('aria-busy') === 'false')"
        )


@pytest.fixture
def host_page(playing: Browser, _host_page: tuple[Any, Page, chromium.Watch]) -> Iterator[HostPage]:
    """A bare page for widgets of this process; errors of any side fail the test."""
    host, page, watch = _host_page
    page.bring_to_front()  # a page behind another one is drawn once a second
    page.set_viewport_size({"width": 1280, "height": 800})
    epoch = host.reset()
    page.wait_for_function(f"window.epoch === {epoch}")
    watch.problems.clear()
    yield HostPage(host, page, watch)
    problems = [*watch.problems, *map(repr, host.errors)]
    host.reset()
    assert problems == []


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One JupyterLab for the session."""
    chromium.required()
    from harness.lab import LabServer

    root = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    with LabServer(tmp_path_factory.mktemp("lab"), environment={"PYTHONPATH": paths}) as server:
        yield server


@pytest.fixture(scope="session")
def _lab_page(
    lab_server: Any, browser_context: BrowserContext, browser_loop: chromium.Loop
) -> Iterator[tuple[Any, chromium.Watch]]:
    from harness.lab import LabPage

    browser_loop.enter()
    page = browser_context.new_page()
    watch = chromium.Watch(page)
    browser_loop.leave()
    yield LabPage(lab_server, page), watch
    browser_loop.enter()
    page.close()
    browser_loop.leave()


@pytest.fixture
def lab_page(playing: Browser, _lab_page: tuple[Any, chromium.Watch]) -> Iterator[Any]:
    """JupyterLab, ready to open a notebook; errors on its page and requests to elsewhere fail the test."""
    lab, watch = _lab_page
    lab.page.bring_to_front()
    lab.page.set_viewport_size({"width": 1280, "height": 800})
    watch.problems.clear()
    yield lab
    lab.close()
    assert watch.problems == []


Axe = Callable[..., list[str]]


@pytest.fixture
def axe() -> Axe:
    """``axe(page)``: what axe-core finds wrong with the accessibility of the browsers on a page."""
    import axe_playwright_python

    script = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text()

    def run(page: Page, selector: str = ".pvb") -> list[str]:
        if not page.evaluate("() => !!window.axe"):
            page.evaluate(script)
        options = {"runOnly": RULES, "resultTypes": ["violations"]}
        found = page.evaluate(RUN_AXE, [selector, options])["violations"]
        return [
            f"{each['id']}: {each['nodes'][0]['html'][:150]} {each['nodes'][0]['failureSummary']}"
            for each in found
        ]

    return run


@pytest.fixture
def shot(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Saves a picture when ``PRAVAL_SHOTS`` names a folder, for a person to look at."""
    folder = os.environ.get("PRAVAL_SHOTS")

    def take(target: Any, name: str = "") -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            target.screenshot(path=str(Path(folder, f"{name or request.node.name}.png")))

    return take
