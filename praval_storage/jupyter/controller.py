"""``Browser``: looks around in all providers. Plain Python; a widget only shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from praval_storage.errors import ConfigurationError
from praval_storage.jupyter import static
from praval_storage.jupyter.actions import Actions, Send
from praval_storage.jupyter.address import parse_address
from praval_storage.jupyter.code import view_as_code
from praval_storage.jupyter.core import Core, Watcher
from praval_storage.jupyter.expiry import Expiry
from praval_storage.jupyter.lanes import Job, Lanes
from praval_storage.jupyter.messages import Messages
from praval_storage.jupyter.outline import Looker, Outline
from praval_storage.jupyter.pages import Pages
from praval_storage.jupyter.state import State
from praval_storage.jupyter.viewing import Viewing
from praval_storage.manager import DataManager
from praval_storage.reference import DataReference

PAGE_SIZE = 25


class Browser:
    """Where one is, what is there, and the record that is looked at.

    Set ``path``, ``query``, ``sort``, ``page``, ``delimiter`` or ``selected``, and look at ``rows``,
    ``total`` and ``preview``; setting waits for the answer. A provider that fails raises nothing:
    ``error`` says why, as it does in the notebook.

    Args:
        dm: The manager whose providers are shown.
        path: Where to begin: ``"s3"``, ``"s3/reports/2026/"``.
        read_only: Whether nothing may be deleted.
        page_size: Rows and places on a page, 1 to 1 000.
        delimiter: What ends a prefix in the provider of ``path``, where that can be chosen.
        lanes: Where questions are asked; by default at once, by the caller.
        look: Answers looks in the place of ``dm.look``.
        hint: A line under the static form.
    """

    def __init__(
        self,
        dm: DataManager,
        path: str = "",
        *,
        read_only: bool = False,
        page_size: int = PAGE_SIZE,
        delimiter: str = "",
        lanes: Lanes | None = None,
        look: Looker | None = None,
        hint: str = "",
    ) -> None:
        given: object = page_size  # notebooks are not type-checked
        if not isinstance(given, int) or not 1 <= given <= 1_000:
            raise ConfigurationError(f"page_size is an int from 1 to 1000, not {page_size!r}")
        self._core = Core(dm, lanes or Lanes(threads=False), State())
        look = look or dm.look
        self._outline = Outline(self._core, look)
        self._pages = Pages(
            self._core, look, self._outline, page_size, "opened with read_only=True" if read_only else ""
        )
        self._viewing = Viewing(self._core, self._pages)
        self._actions = Actions(self._core, self._pages, self._viewing)
        expiry = Expiry(self._core, self._pages)
        self._messages = Messages(
            self._core, self._pages, self._outline, self._viewing, self._actions, expiry
        )
        self._hint = hint
        self._outline.delimit(parse_address(path, dm.providers).storage_type, delimiter)
        self._opening = self._pages.go(path)

    # -- what is chosen

    @property
    def path(self) -> str:
        """Where one is: ``"s3/reports/2026/"``. Another place begins without filter, order and selection."""
        return self.state.path

    @path.setter
    def path(self, path: str) -> None:
        self.choose("path", path)

    @property
    def query(self) -> str:
        """Part of a name, or a filter: ``'{"size": {"$gt": 1000}}'``."""
        return self.state.query

    @query.setter
    def query(self, text: str) -> None:
        self.choose("query", text)

    @property
    def sort(self) -> str:
        """Path the rows are ordered by, ``-`` before it for descending; ``""`` = the backend's own order."""
        return self.state.sort

    @sort.setter
    def sort(self, path: str) -> None:
        self.choose("sort", path)

    @property
    def page(self) -> int:
        """Number of the page, from 0; beyond the last one is the last one."""
        return self.state.page

    @page.setter
    def page(self, page: int) -> None:
        self.choose("page", page)

    @property
    def delimiter(self) -> str:
        """What ends a prefix of keys in the provider that is shown, ``""`` if that cannot be chosen.

        Setting it shows the provider's keys anew, ``""`` with its own delimiter.
        """
        return self.state.delimiter

    @delimiter.setter
    def delimiter(self, delimiter: str) -> None:
        self.choose("delimiter", delimiter)

    @property
    def selected(self) -> str:
        """URI of the record that is shown, ``""`` for none."""
        return self.state.selected

    @selected.setter
    def selected(self, uri: str) -> None:
        self.choose("selected", uri)

    @property
    def selected_ids(self) -> tuple[str, ...]:
        """Keys of the points chosen on a map."""
        return tuple(self.state.selected_ids)

    @selected_ids.setter
    def selected_ids(self, keys: Sequence[str]) -> None:
        self.choose("selected_ids", keys)

    def choose(self, name: str, value: Any, *, wait: bool = True) -> None:
        """Set ``path``, ``query``, ``sort``, ``page``, ``delimiter``, ``selected`` or ``selected_ids``.

        Args:
            name: Which.
            value: What it shall be.
            wait: Whether to wait for the answer.
        """
        setters: dict[str, Callable[[Any], Job | None]] = {
            "path": self._pages.go,
            "query": self._messages.filter,
            "sort": self._pages.order_by,
            "page": self._pages.turn_to,
            "delimiter": self._pages.delimit,
            "selected": self._viewing.select,
            "selected_ids": self._viewing.choose,
        }
        self._core.pardon()
        job = setters[name](value)
        if wait and job is not None:
            job.wait()

    # -- what is seen

    @property
    def state(self) -> State:
        """All that is shown."""
        return self._core.state

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The records of the page: ``uri``, ``key``, ``name``, ``kind``, ``size``, ``updated``, ..."""
        return [dict(row) for row in self.state.rows]

    @property
    def total(self) -> int | None:
        """Records that match; ``None`` where the backend would have to count. May be an estimate."""
        return self.state.total

    @property
    def preview(self) -> dict[str, Any]:
        """The record that is shown, as ``dm.preview`` describes it."""
        return dict(self.state.preview)

    @property
    def error(self) -> dict[str, Any]:
        """Why the last question failed, empty if it did not."""
        return dict(self.state.error)

    @property
    def busy(self) -> str:
        """What is being done, in words."""
        return self.state.busy

    def references(self) -> list[DataReference]:
        """The records that are selected: the points chosen on a map, else the one that is shown."""
        if self.state.selected_ids:
            return [DataReference.from_uri(self._viewing.uri(key)) for key in self.state.selected_ids]
        return [DataReference.from_uri(self.state.selected)] if self.state.selected else []

    refs = references

    def code(self) -> str:
        """The current view as Python."""
        return view_as_code(self.state, self._pages)

    def snapshot(self) -> static.Snapshot:
        """What is shown now, as plain HTML and text that need no kernel."""
        state = self._core.state
        return static.Snapshot(state, self._viewing.preview if state.preview else None)

    # -- what can be done

    def wait_for_first_page(self, seconds: float) -> None:
        """Give the provider that was named at the beginning a moment to answer."""
        if self._opening is not None:
            self._opening.wait(seconds)

    def refresh(self) -> None:
        """Ask for the page again, and see whether providers have come or gone."""
        self._core.pardon()
        _wait(self._pages.refresh())

    def show_as(self, format: str = "") -> None:
        """Show the body of the record that is selected in another format, until another record is.

        Args:
            format: As ``as_`` of ``dm.preview``; ``""`` = as its kind suggests.

        Raises:
            ConfigurationError: There is no such format.
        """
        _wait(self._viewing.show_as(format))

    def delete(self) -> None:
        """Delete the record that is selected, without asking.

        Raises:
            StoragePermissionError: The browser, or the place, is read-only.
        """
        self._core.pardon()
        _wait(self._actions.delete())
        _wait(self._pages.listing)

    def clear(self) -> None:
        """Forget what was seen, so that a notebook that is saved now holds nothing of it."""
        self._pages.go("")

    def close(self) -> None:
        """Ask nothing more. What was seen stays."""
        self._core.close()

    def watch(self, watcher: Watcher) -> None:
        """Have a function told of every change: names and values."""
        self._core.watch(watcher)

    def handle(self, message: object, send: Send) -> Job | None:
        """Do what the front end asks for; see :class:`Messages`."""
        return self._messages.handle(message, send)

    def refuse(self, words: str, error: Exception) -> None:
        """Show why what a page asked for is not even begun; who asks for something else has seen it.

        Args:
            words: What it was: "setting sort".
            error: Why.
        """
        self._core.refuse(words, error)

    # -- how it looks without a front end

    def __repr__(self) -> str:
        return static.as_text(self.state, self._hint)

    def _repr_html_(self) -> str:
        return static.as_html(self.state, hint=self._hint)


def _wait(job: Job | None) -> None:
    if job is not None:
        job.wait()
