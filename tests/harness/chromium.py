"""The browser: where it is, how it is started, and what it must not do."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

ARGUMENTS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
# JupyterLab's debugger, of a kernel that is restarted while it asks.
LABS_OWN = ("Could not restore the debugger state",)
LOCAL = {"127.0.0.1", "localhost"}


def path() -> str | None:
    """The executable: what ``PRAVAL_CHROMIUM`` names, else ``chromium`` on the PATH."""
    return os.environ.get("PRAVAL_CHROMIUM") or shutil.which("chromium")


def required() -> str:
    """The executable; without one the test skips, unless ``PRAVAL_REQUIRE_BROWSER=1`` wants it run."""
    if (found := path()) is not None:
        return found
    reason = "no Chromium: set PRAVAL_CHROMIUM or put chromium on the PATH"
    if os.environ.get("PRAVAL_REQUIRE_BROWSER") == "1":
        pytest.fail(f"PRAVAL_REQUIRE_BROWSER=1, but {reason}")
    pytest.skip(reason)


class Loop:
    """Playwright's event loop, which counts as running in this thread only while a browser test runs.

    Its synchronous interface leaves a loop "running" in the thread that uses it, and ``asyncio.run`` of any
    later test would refuse to start another.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def leave(self) -> None:
        self._loop = asyncio._get_running_loop()
        asyncio._set_running_loop(None)

    def enter(self) -> None:
        asyncio._set_running_loop(self._loop)


@contextmanager
def launched(loop: Loop) -> Iterator[Browser]:
    """A Chromium for the session."""
    executable = required()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        loop.leave()
        yield browser
        loop.enter()
        browser.close()


class Watch:
    """Collects what a page must not do: errors, and requests that leave the machine."""

    def __init__(self, page: Page) -> None:
        self.problems: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(LABS_OWN):
            self.problems.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob", "file"} and parts.hostname not in LOCAL:
            self.problems.append(f"external request: {request.url}")
