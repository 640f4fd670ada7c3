"""Rows whose time is over: asked for again, alone, so that what was found beside them stays."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from praval_storage.display import counted
from praval_storage.jupyter.core import Changes, Core, Task
from praval_storage.jupyter.lanes import Job
from praval_storage.jupyter.pages import Pages
from praval_storage.places import Seen
from praval_storage.records import Stored
from praval_storage.reference import DataReference

Found = Mapping[str, Stored | None]


class Expiry:
    """Takes rows off the page that is shown.

    Args:
        core: The state and the way to ask.
        pages: The place that is shown.
    """

    def __init__(self, core: Core, pages: Pages) -> None:
        self._core = core
        self._pages = pages

    def ask(self, uris: Collection[str]) -> Job | None:
        """See which of these rows are still there, and for how long; what is gone is shown no more."""
        answer = self._pages.answer
        name, seen = (answer.storage_type, answer.seen) if answer else ("", Seen())
        names = [DataReference(name, row.key, collection=seen.collection) for row in seen.rows]
        keys = [each.key for each in names if each.uri in uris]
        if not keys:
            return None
        providers = self._core.dm.providers
        provider = providers.find(name, seen.collection)

        def work() -> Found:
            rows = providers.call(name, "read", None, lambda: provider.read(keys, bodies=False))
            return dict(zip(keys, rows, strict=True))

        def then(found: Found) -> Changes:
            now = self._pages.answer
            # Another place may hold other records under these keys.
            same = now and (now.storage_type, now.seen.collection) == (name, seen.collection)
            return self._pages.showing(_updated(now.seen, found)) if now and same else {}

        # Rows that expire later are another question, which must not replace this one.
        task = Task(f"expired {keys}", name, f"looking for {counted(len(keys), 'record')}", None)
        return self._core.ask(task, work, then)


def _updated(seen: Seen, found: Found) -> Seen:
    gone = {key for key, row in found.items() if row is None}
    rows = [
        row._replace(expires_at=now.expires_at) if (now := found.get(row.key)) else row
        for row in seen.rows
        if row.key not in gone
    ]
    total = seen.total and seen.total._replace(number=seen.total.number - len(seen.rows) + len(rows))
    return replace(seen, rows=rows, total=total)
