"""The place that is shown: its pages, in an order, under a filter."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from praval_storage.base import HasVectors
from praval_storage.display import counted
from praval_storage.errors import InvalidFilterError
from praval_storage.filters import EVERYTHING, parse_order
from praval_storage.jupyter import table
from praval_storage.jupyter.address import Address, parse_address
from praval_storage.jupyter.core import Changes, Core, Task
from praval_storage.jupyter.lanes import Job
from praval_storage.jupyter.outline import Looker, Outline
from praval_storage.jupyter.question import Question, parse_question
from praval_storage.jupyter.state import BLANK, Json
from praval_storage.places import Look, Seen
from praval_storage.records import MISSING

STRIDE = 50
"""Pages that are passed at most to reach one whose token is not known yet."""

_IN_COLUMNS = frozenset({"table", "view", "collection"})
"""Places whose rows are seen with their values; elsewhere these may be large, and are in the preview."""


class Page(NamedTuple):
    """A page that can be asked for: its token, and how many rows are before it."""

    token: str | None = None
    before: int = 0


class Wanted(NamedTuple):
    """What the rows are asked for by, as it was when somebody asked; and the pages known by then."""

    address: Address
    question: Question
    sort: str
    delimiter: str | None
    pages: tuple[Page, ...]


class Answer(NamedTuple):
    """A page that was asked for, all pages that are known by now, and what was asked and seen.

    Attributes:
        further: How many times somebody looked further where a budget ended the page.
    """

    page: int
    pages: list[Page]
    storage_type: str
    look: Look
    seen: Seen
    further: int = 0


class Pages:
    """Asks for rows, and says what they change in what is shown.

    Args:
        core: The state and the way to ask.
        look: Answers a look at a provider.
        outline: The tree, which learns from what is seen here.
        size: Rows and places on a page.
        read_only: Why nothing may be deleted anywhere, ``""`` if it may.

    Attributes:
        address: The place that is shown.
        question: What its rows have to match.
        answer: The page that is shown.
        measured: What has been counted of the place, and whether that goes on.
        listing: The last time that rows were asked for.
    """

    def __init__(self, core: Core, look: Looker, outline: Outline, size: int, read_only: str) -> None:
        self._core = core
        self._look = look
        self._outline = outline
        self.size = size
        self._read_only = read_only
        self._whole = look == core.dm.look
        self.address = Address()
        self.question = Question()
        self.answer: Answer | None = None
        self.measured: Json = {}
        self.listing: Job | None = None
        self._pages = [Page()]
        self._remark = ""

    @property
    def delimiter(self) -> str | None:
        """The delimiter that somebody chose for the provider that is shown."""
        return self._outline.chosen.get(self.address.storage_type)

    def go(self, path: str) -> Job | None:
        """Show another place."""
        core = self._core
        with core.lock:
            self.address = parse_address(path, core.dm.providers)
            self.question, self._pages, self.answer = Question(), [Page()], None
            self.measured, self._remark = {}, ""
            core.forget("list", "preview", "measure", "chart", "reveal")
            core.pardon(rows=True)
            delimiter = self._outline.used.get(self.address.storage_type, "")
            about = {"path": str(self.address), "delimiter": delimiter, "read_only": self._read_only}
            core.set({**BLANK, **about})
            self._outline.tree = self._outline.tree.opened(self.address)
            core.set(self._outline.drawn(self.address))
        job = self.turn_to(0)
        # Rows first: the way down to a place that has not been met may take several questions.
        return self._outline.enter(self.address) or job

    def refresh(self) -> Job | None:
        """Ask for the page again, as far as somebody looked, and see whether providers have come or gone."""
        with self._core.lock:
            self._outline.renew()
            self._core.set({"badges": self._core.badges(), **self._outline.drawn(self.address)})
            page, further = self._core.state.page, self.answer.further if self.answer else 0
        return self.turn_to(page, further)

    def turn_to(self, page: int, further: int = 0) -> Job | None:
        """Show another page, the last one there is if there are fewer.

        Args:
            page: Its number.
            further: How many times to look further where a budget ends it.
        """
        if not self.address.storage_type:
            return None
        wanted = self._wanted()

        def work() -> Answer:
            answer = self._reach(wanted, max(0, page))
            while answer.seen.stopped and answer.seen.next is not None and answer.further < further:
                answer = self._further(answer)
            return answer

        return self._ask(work)

    def ask_for(self, text: str) -> Job | None:
        """Show what matches the filter box; a text that is not a filter yet only changes a note."""
        with self._core.lock:
            try:
                self.question = parse_question(text)
            except InvalidFilterError as error:
                self._core.forget("list")
                self._core.set(
                    {"query": text, "table": {**self._core.state.table, "filter_note": str(error)}}
                )
                return None
            self._begin(query=text)
        return self.turn_to(0)

    def order_by(self, path: str) -> Job | None:
        """Order the rows by a path, ``-`` before it for descending, ``""`` = as they come."""
        with self._core.lock:
            parse_order(path or None)
            self._begin(sort=path)
        return self.turn_to(0)

    def delimit(self, delimiter: str) -> Job | None:
        """Have the places of the provider that is shown end with another delimiter, ``""`` = with its own.

        What is shown stays if it ends so as well; else it is no place any more, and the provider is shown.

        Raises:
            ConfigurationError: It can be none, or there is no choice.
        """
        with self._core.lock:
            name, place = self.address
            if not self._outline.delimit(name, delimiter):
                return None
        stays = delimiter != "" and place.endswith(delimiter)
        return self.go(str(Address(name, place if stays else "")))

    def filters(self) -> dict[str, Any]:
        """The filter box and the place as a filter; of a place also what is in the places below it."""
        text, where = self.question
        prefix = self.answer.seen.prefix if self.answer else ""
        parts = [{"key": {"$prefix": prefix}}] if prefix else []
        parts += [{"key": {"$regex": f"(?i){re.escape(text)}"}}] if text else []
        parts += [where.to_filters()] if where != EVERYTHING else []
        return {"$and": parts} if len(parts) > 1 else parts[0] if parts else {}

    def scan_on(self) -> Job | None:
        """Look further where a budget ended a page early, and add what is found to it."""
        answer = self.answer
        if answer is None or answer.seen.next is None:
            return None
        return self._ask(lambda: self._further(answer))

    def remark(self, words: str) -> Changes:
        """Tell something, and once more with rows that are on their way: their notice would replace it."""
        self._remark = words if self._core.waits("list") else ""
        return {"notice": words}

    def _begin(self, **chosen: Any) -> None:
        """From the first page on, with nothing selected."""
        self._pages = [Page()]
        self._core.forget("preview")
        self._core.set({"page": 0, "selected": "", "preview": {}, "confirm": {}, **chosen})

    def _ask(self, work: Callable[[], Answer]) -> Job:
        words = f"listing {_short(self.address)}"
        task = Task("list", self.address.storage_type, words, lambda: self._ask(work))
        self.listing = self._core.ask(task, work, self._shown)
        return self.listing

    def _wanted(self) -> Wanted:
        with self._core.lock:
            sort = self._core.state.sort
            return Wanted(self.address, self.question, sort, self.delimiter, tuple(self._pages))

    def _reach(self, wanted: Wanted, page: int) -> Answer:
        """The page, or the last one before it that there is."""
        pages, at = list(wanted.pages), min(page, len(wanted.pages) - 1)
        look, seen = self._page(wanted, pages[at])
        while at < page and seen.next is not None and at < len(wanted.pages) + STRIDE:
            at += 1
            pages[at:] = [Page(seen.next, pages[at - 1].before + len(seen.rows))]
            look, seen = self._page(wanted, pages[at])
        return Answer(at, pages, wanted.address.storage_type, look, seen)

    def _further(self, answer: Answer) -> Answer:
        seen = self._look(answer.storage_type, replace(answer.look, token=answer.seen.next))
        return answer._replace(seen=_joined(answer.seen, seen), further=answer.further + 1)

    def _page(self, wanted: Wanted, page: Page) -> tuple[Look, Seen]:
        (name, place), (text, where), sort, delimiter, _ = wanted
        order = parse_order(sort or None)
        bodies = self._outline.kind(wanted.address) in _IN_COLUMNS
        look = Look(place, text, where, order, self.size, page.token, bodies=bodies, delimiter=delimiter)
        seen = self._look(name, look)
        if seen.columns and not bodies and any(row.body is None and row.data is MISSING for row in seen.rows):
            # The tree has not met this place yet, and it turns out to be one of columns.
            look = replace(look, bodies=True)
            seen = self._look(name, look)
        return look, seen

    def _shown(self, answer: Answer) -> Changes:
        page, self._pages, seen = answer.page, answer.pages, answer.seen
        self.answer = answer
        if seen.next is not None:
            self._pages[page + 1 :] = [Page(seen.next, self._pages[page].before + len(seen.rows))]
        if page == 0 and self.question == Question() and not self._core.state.sort:
            self._outline.learn(self.address, seen)
        delimiter = self._outline.learn_delimiter(self.address.storage_type, seen)
        shown = self.drawn()
        notice = "; ".join(filter(None, [self._remark, shown["notice"]]))
        self._remark = ""
        about = {"page": page, "delimiter": delimiter, "notice": notice}
        return {**shown, **self._outline.drawn(self.address), **about}

    def showing(self, seen: Seen) -> Changes:
        """What somebody else found out about the rows of the page."""
        if self.answer is not None:
            self.answer = self.answer._replace(seen=seen)
        return self.drawn()

    def drawn(self) -> Changes:
        """What the page looks like now."""
        if self.answer is None:
            return {}
        seen, name = self.answer.seen, self.address.storage_type
        provider = self._core.dm.providers.find(name, seen.collection)
        shown = table.Shown.of(name, seen, provider.load)
        matching = f", matching {self._core.state.query}" if self.question != Question() else ""
        around = {
            **table.around(shown, self._pages[self.answer.page].before),
            "filtered": bool(matching),
            "measures": table.measures(seen) if self._whole else "",
            "mapped": self._whole and isinstance(provider, HasVectors) and bool(seen.rows),
            **({"measured": self.measured} if self.measured else {}),
        }
        return {
            "rows": table.rows_to_json(shown),
            "total": seen.total.number if seen.total else None,
            "table": around,
            "notice": f"{counted(len(seen.rows), 'record')} in {_short(self.address)}{matching}",
            "read_only": self._read_only or seen.read_only,
        }


def _joined(before: Seen, after: Seen) -> Seen:
    return replace(
        after,
        places=[*before.places, *after.places],
        rows=[*before.rows, *after.rows],
        types={**before.types, **after.types},
        scanned=before.scanned + after.scanned,
    )


def _short(address: Address) -> str:
    parts = [part for part in address.place.rstrip("/").split("/") if part]
    return parts[-1] if parts else address.storage_type
