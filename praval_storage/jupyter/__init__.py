"""What a notebook user sees: the browser, as a widget where there are widgets, else as static HTML.

Loaded when somebody browses; nothing below imports it, and without ``ipywidgets`` and ``anywidget`` the
browser works all the same, without a front end.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from praval_storage.base import BaseStorageProvider
from praval_storage.jupyter.address import parse_address
from praval_storage.jupyter.controller import PAGE_SIZE, Browser
from praval_storage.jupyter.lanes import Lanes
from praval_storage.jupyter.outline import Looker
from praval_storage.jupyter.shelf import shelf
from praval_storage.manager import DataManager
from praval_storage.results.sequence import RowSequence

if TYPE_CHECKING:
    from praval_storage.jupyter.widget import BrowserWidget

__all__ = ["PAGE_SIZE", "Browser", "browse", "browse_provider", "browse_result"]

PATIENCE_KNOWN = 3.0
"""Seconds the first page of a provider that has answered before has to come before the browser is shown
without it. What is saved of a notebook is what was there when it was shown, and a cell that goes on with
``b.rows`` wants some."""
PATIENCE = 1.5
"""The same where nobody knows whether there is a server: a little more than loading the slowest driver and
its first answer take. Rows that come later are in the widget all the same."""
HINT = "For the live browser: pip install 'praval_storage[jupyter]', then restart the kernel"


def browse(
    dm: DataManager,
    path: str = "",
    *,
    read_only: bool = False,
    static: bool = False,
    page_size: int = PAGE_SIZE,
    delimiter: str = "",
    look: Looker | None = None,
) -> BrowserWidget | Browser:
    """The browser as a widget; as plain Python with a static form when asked for, or without the extra."""
    widget, hint = (None, "") if static else _widget()
    given: dict[str, Any] = {"read_only": read_only, "page_size": page_size, "delimiter": delimiter}
    made = partial(Browser, dm, path, look=look, **given)
    if widget is None:
        return made(hint=hint)
    patience = _patience(dm, path)
    browser = made(lanes=Lanes())
    browser.wait_for_first_page(patience)
    shown: BrowserWidget = widget(browser)
    return shown


def browse_provider(
    provider: BaseStorageProvider, place: str = "", *, read_only: bool = False, static: bool = False
) -> BrowserWidget | Browser:
    """The browser of one provider, under the name it calls itself."""
    path = f"{provider.name}/{place}" if place else provider.name
    return browse(DataManager({provider.name: provider}), path, read_only=read_only, static=static)


def browse_result(result: RowSequence[Any], *, static: bool = False) -> BrowserWidget | Browser:
    """The browser of the records of one result, which stays as it is: read-only."""
    dm, look = shelf(result)
    return browse(dm, result.storage_type, read_only=True, static=static, look=look)


def _patience(dm: DataManager, path: str) -> float:
    name = parse_address(path, dm.providers).storage_type
    known = name in dm.providers and dm.providers.calls(name).last.status == "up"
    return PATIENCE_KNOWN if known else PATIENCE


def _widget() -> tuple[type[BrowserWidget] | None, str]:
    try:
        return import_module("praval_storage.jupyter.widget").BrowserWidget, ""
    except ImportError as error:
        return None, f"{error}. {HINT}"
