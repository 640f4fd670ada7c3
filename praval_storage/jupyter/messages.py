"""What a page asks for, by the messages it sends: anybody can send one, so nothing in them is trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from praval_storage.display import printable
from praval_storage.errors import ConfigurationError
from praval_storage.jupyter.actions import Actions, Send
from praval_storage.jupyter.core import Core
from praval_storage.jupyter.expiry import Expiry
from praval_storage.jupyter.lanes import Job
from praval_storage.jupyter.outline import Outline
from praval_storage.jupyter.pages import Pages
from praval_storage.jupyter.viewing import Viewing

Message = Mapping[str, Any]

_UNASKED = frozenset({"hello", "blob", "points", "expired", "retry"})
"""What a page asks for by itself, or what needs the last error: nobody has gone on."""


class Messages:
    """Hands each message to the part that can do it.

    Args:
        core: The state and the way to ask.
        pages: The place that is shown.
        outline: The tree.
        viewing: The record or map that is shown.
        actions: What changes or fetches something.
        expiry: Rows whose time is over.
    """

    def __init__(
        self, core: Core, pages: Pages, outline: Outline, viewing: Viewing, actions: Actions, expiry: Expiry
    ) -> None:
        self._core = core
        self._pages = pages
        self._outline = outline
        self._viewing = viewing
        self._actions = actions
        self._expiry = expiry

    def handle(self, message: object, send: Send) -> Job | None:
        """Do what the front end asks for; what is malformed is shown as an error, and answered with nothing.

        Args:
            message: An object: ``op`` and its operands.
            send: Takes an answer that is not part of the state, and its buffers.
        """
        given: Message = message if isinstance(message, Mapping) else {}
        op = str(given.get("op"))
        if op not in _UNASKED:
            self._core.pardon()
        try:
            return self._ops(given, send).get(op, lambda: _malformed("op", given.get("op")))()
        except Exception as error:  # noqa: BLE001 - it would vanish in a log nobody opens
            self._core.refuse(f"doing {op!r}", error)
            send({"op": "nothing", "ask": given.get("id")}, [])
            return None

    def _ops(self, message: Message, send: Send) -> dict[str, Callable[[], Job | None]]:
        pages, outline, viewing, actions = self._pages, self._outline, self._viewing, self._actions
        given: Callable[[str], str] = lambda name: str(message.get(name) or "")  # noqa: E731
        return {
            "hello": self._welcome,
            "go": lambda: pages.go(given("path")),
            "open": lambda: outline.toggle(given("path"), _flag(message, "want"), pages.address),
            "more": lambda: outline.more(given("path"), pages.address),
            "query": lambda: self.filter(given("text")),
            "sort": lambda: pages.order_by(given("by")),
            "page": lambda: pages.turn_to(_number(message, "page")),
            "delimit": lambda: pages.delimit(given("by")),
            "scan_on": pages.scan_on,
            "select": lambda: viewing.select(given("uri")),
            "select_key": lambda: viewing.select(viewing.uri(given("key"))),
            "show_as": lambda: viewing.show_as(given("format")),
            "in_full": lambda: viewing.select(given("uri"), in_full=True),
            "ask_delete": lambda: actions.ask_delete(given("uri")),
            "keep": actions.keep,
            "delete": lambda: actions.confirm_delete(given("uri")),
            "retry": self._core.retry,
            "refresh": pages.refresh,
            "expired": lambda: self._expiry.ask(_texts(message, "uris")),
            "download": lambda: actions.download(given("uri"), given("id"), send),
            "measure": actions.measure,
            "stop": actions.stop,
            "blob": lambda: self._blob(message, send),
            "chart": lambda: self._chart(message),
            "colour": lambda: viewing.recolour(given("field") or None),
            "undraw": viewing.undraw,
            "points": lambda: send({"op": "points", "ask": given("id")}, viewing.points()),
            "choose": lambda: viewing.choose(_texts(message, "keys")),
        }

    def _welcome(self) -> None:
        """A view has been made: what counts down is counted from now."""
        if any(row.get("expires_in") is not None for row in self._core.state.rows):
            self._core.set(self._pages.drawn())

    def filter(self, text: str) -> Job | None:
        """Filter the rows, and the map where one is shown."""
        asked = self._pages.ask_for(text)
        return (self._viewing.redraw() or asked) if asked else None

    def _chart(self, message: Message) -> Job | None:
        return self._viewing.draw(
            colour=str(message.get("colour") or "") or None,
            vector=None if message.get("vector") is None else str(message.get("vector")),
            sample=_number(message, "sample", 2_000),
            seed=_number(message, "seed"),
        )

    def _blob(self, message: Message, send: Send) -> None:
        blobs = self._viewing.preview.blobs if self._viewing.preview else ()
        index = _number(message, "blob")
        found = [blobs[index]] if 0 <= index < len(blobs) else []
        send({"op": "blob" if found else "nothing", "ask": str(message.get("id"))}, found)


def _number(message: Message, name: str, default: int = 0) -> int:
    value = message.get(name)
    return default if value is None else value if isinstance(value, int) else _malformed(name, value)


def _texts(message: Message, name: str) -> list[str]:
    value = message.get(name)
    return [str(each) for each in value] if isinstance(value, list) else _malformed(name, value)


def _flag(message: Message, name: str) -> bool | None:
    value = message.get(name)
    return value if isinstance(value, bool | None) else _malformed(name, value)


def _malformed(name: str, value: object) -> NoReturn:
    raise ConfigurationError(f"{name} cannot be {printable(repr(value))}", hint="Reload the page")
