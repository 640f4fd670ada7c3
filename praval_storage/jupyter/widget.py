"""``BrowserWidget``: shows a ``Browser`` in a notebook, as one anywidget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from praval_storage.errors import ConfigurationError
from praval_storage.jupyter.controller import Browser
from praval_storage.jupyter.state import CHOSEN, NAMES
from praval_storage.jupyter.static import Snapshot
from praval_storage.reference import DataReference

_KNOWN = frozenset(NAMES).difference(CHOSEN)
"""What a page is told, and cannot say."""
_FRONT = Path(__file__).parent / "front"
_SCRIPTS = ("base", "tree", "table", "preview", "chart", "browser")


def _text(kind: str, *names: str) -> str:
    return "\n".join((_FRONT / f"{name}.{kind}").read_text(encoding="utf-8") for name in names)


class BrowserWidget(anywidget.AnyWidget):
    """The browser in a notebook; composes with other widgets, and its traits can be observed and linked.

    All it knows is in JSON traits, which a notebook that is saved with widget state holds; ``clear()``
    empties them. No trait ever holds a secret.

    Args:
        browser: What is shown.
    """

    _esm = _text("js", *_SCRIPTS)
    _css = _text("css", "browser")

    path = traitlets.Unicode("").tag(sync=True)
    query = traitlets.Unicode("").tag(sync=True)
    sort = traitlets.Unicode("").tag(sync=True)
    page = traitlets.Int(0).tag(sync=True)
    delimiter = traitlets.Unicode("").tag(sync=True)
    selected = traitlets.Unicode("").tag(sync=True)
    selected_ids = traitlets.List(traitlets.Unicode()).tag(sync=True)

    crumbs = traitlets.List(traitlets.Any()).tag(sync=True)
    tree = traitlets.List(traitlets.Any()).tag(sync=True)
    badges = traitlets.Dict().tag(sync=True)
    rows = traitlets.List(traitlets.Any()).tag(sync=True)
    total = traitlets.Int(None, allow_none=True).tag(sync=True)
    table = traitlets.Dict().tag(sync=True)
    preview = traitlets.Dict().tag(sync=True)
    chart = traitlets.Dict().tag(sync=True)
    confirm = traitlets.Dict().tag(sync=True)
    error = traitlets.Dict().tag(sync=True)
    busy = traitlets.Unicode("").tag(sync=True)
    notice = traitlets.Unicode("").tag(sync=True)
    read_only = traitlets.Unicode("").tag(sync=True)

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._heard = False
        super().__init__(**_traits({name: getattr(browser.state, name) for name in NAMES}))
        self._made_with = self.layout
        self.observe(self._chosen, CHOSEN)
        browser.watch(self._show)
        self.on_msg(self._receive)

    def references(self) -> list[DataReference]:
        """The records that are selected; see :meth:`Browser.references`."""
        return self._browser.references()

    refs = references

    def code(self) -> str:
        """The current view as Python."""
        return self._browser.code()

    def snapshot(self) -> Snapshot:
        """What is shown now, as plain HTML and text that need no kernel."""
        return self._browser.snapshot()

    def refresh(self) -> None:
        """Ask for the page again, and see whether providers have come or gone."""
        self._browser.refresh()

    def show_as(self, format: str = "") -> None:
        """Show the body of the record that is selected in another format; see :meth:`Browser.show_as`."""
        self._browser.show_as(format)

    def delete(self) -> None:
        """Delete the record that is selected, without asking; see :meth:`Browser.delete`."""
        self._browser.delete()

    def clear(self) -> None:
        """Forget what was seen, so that a notebook that is saved now holds nothing of it."""
        self._browser.clear()

    def close(self) -> None:
        """Ask nothing more, and take every view of this widget off the page."""
        self._browser.close()
        super().close()
        # It was made with this widget, and nothing else would ever let go of it.
        self._made_with.close()

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take over what somebody chose on a page; nothing waits for a provider then.

        What only this side knows, a page cannot say: it is told again, as is a value that cannot be.
        """
        told = {name: value for name, value in sync_data.items() if name not in _KNOWN}
        self._heard = True
        try:
            super().set_state(told)
            refused = sync_data.keys() - told.keys()
        except traitlets.TraitError as error:
            self._browser.refuse("setting " + ", ".join(told), ConfigurationError(str(error)))
            refused = sync_data.keys() & set(NAMES)
        finally:
            self._heard = False
        if refused:
            self.send_state(refused)

    def _chosen(self, change: Any) -> None:
        """A trait was set by Python, by a link or by our own answer."""
        name, value = change["name"], change["new"]
        if value == _plain(getattr(self._browser.state, name)):
            return
        try:
            self._browser.choose(name, value, wait=not self._heard)
        except Exception as error:
            if not self._heard:
                raise
            # Raised here, it would end in a log nobody opens.
            self._browser.refuse(f"setting {name}", error)
        finally:
            setattr(self, name, _plain(getattr(self._browser.state, name)))

    def _show(self, changed: dict[str, Any]) -> None:
        failed: list[Exception] = []
        with self.hold_sync():
            for name, value in _traits(changed).items():
                try:
                    setattr(self, name, value)
                except Exception as error:  # noqa: BLE001 - an observer failed: the other traits are set first
                    failed.append(error)
        if failed:
            raise failed[0]

    def _receive(self, _: object, message: Any, buffers: Sequence[Any]) -> None:
        if isinstance(message, Mapping):
            self.send({"op": "heard", "ask": message.get("id")})
        self._browser.handle(message, self.send)

    def __repr__(self) -> str:
        # Short, because the text of a box is that of all it holds.
        return f"{type(self).__name__}({self.path!r})"

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        # Of ipywidgets 7 it is a dict, of anywidget a pair, and nothing where there is no view.
        shown: Any = super()._repr_mimebundle_(**options)
        data, about = shown if isinstance(shown, tuple) else (shown or {}, {})
        static = {"text/plain": repr(self._browser), "text/html": self._browser._repr_html_()}
        return {**data, **static}, about


def _traits(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
