"""The harness itself: it disturbs no other test, and nothing skips where a browser is required."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from harness import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.mark.xdist_group("browser")
def test_other_tests_may_run_event_loops_while_the_browser_is_open(chromium_browser: Browser) -> None:
    assert chromium_browser.is_connected()
    assert asyncio.run(asyncio.sleep(0, "done")) == "done"


def test_without_chromium_a_test_is_skipped_or_fails_where_one_is_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PRAVAL_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("PRAVAL_REQUIRE_BROWSER", "1")
    with pytest.raises(pytest.fail.Exception, match="no Chromium"):
        chromium.required()
    monkeypatch.delenv("PRAVAL_REQUIRE_BROWSER")
    with pytest.raises(pytest.skip.Exception, match="no Chromium"):
        chromium.required()
    monkeypatch.setenv("PRAVAL_CHROMIUM", "/somewhere/chromium")
    assert chromium.required() == "/somewhere/chromium"
