"""What can be done with what is shown: delete in two steps, download, measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from praval_storage.base import HasVersions
from praval_storage.display import size_text
from praval_storage.errors import StorageError, StoragePermissionError
from praval_storage.jupyter.core import Changes, Core, Task
from praval_storage.jupyter.lanes import Job
from praval_storage.jupyter.pages import Pages
from praval_storage.jupyter.state import Json
from praval_storage.jupyter.viewing import Viewing
from praval_storage.places import Measured
from praval_storage.reference import DataReference

DOWNLOAD = 50_000_000
"""Bytes that are sent to the browser at most; beyond there is a link or the snippet."""
PIECE = 512_000
"""Bytes in one message: some hubs refuse more than a few megabytes."""

VERSIONED = "The bucket keeps versions: this adds a delete marker, and what was stored stays below it."

Send = Callable[[dict[str, Any], list[bytes]], None]


class Actions:
    """Asks for what changes or fetches something.

    Args:
        core: The state and the way to ask.
        pages: The place that is shown.
        viewing: The record that is shown.
    """

    def __init__(self, core: Core, pages: Pages, viewing: Viewing) -> None:
        self._core = core
        self._pages = pages
        self._viewing = viewing

    def ask_delete(self, uri: str) -> Job | None:
        """The first step: ask about the record that is selected, and see what deleting means there."""
        state = self._core.state
        if not uri or uri != state.selected or state.read_only:
            return None
        question = {"uri": uri, "words": f"Delete {uri}?"}
        self._core.set({"confirm": question})
        name = DataReference.from_uri(uri)
        provider = self._core.dm.providers.find(name.storage_type, name.collection)
        if not isinstance(provider, HasVersions):
            return None
        task = Task("confirm", name.storage_type, f"asking about {name.key}", lambda: self.ask_delete(uri))

        def then(keeps: bool) -> Changes:
            is_asked = self._core.state.confirm == question
            return {"confirm": {**question, "note": VERSIONED}} if keeps and is_asked else {}

        return self._core.ask(task, lambda: self._keeps(name.storage_type, provider), then)

    def _keeps(self, storage_type: str, provider: HasVersions) -> bool:
        try:
            return self._core.dm.providers.call(storage_type, "keeps_versions", None, provider.keeps_versions)
        except StorageError:  # not everybody may ask; the deletion itself will say what is wrong
            return False

    def keep(self) -> None:
        """Not to be deleted after all."""
        self._core.set({"confirm": {}})

    def confirm_delete(self, uri: str) -> Job | None:
        """The second step; nothing happens unless exactly this record was asked about and is still shown."""
        state = self._core.state
        return self.delete() if uri and uri == state.confirm.get("uri") == state.selected else None

    def delete(self) -> Job | None:
        """Delete the record that is selected.

        Raises:
            StoragePermissionError: The browser, or the place, is read-only.
        """
        if reason := self._core.state.read_only:
            raise StoragePermissionError(f"Nothing can be deleted here: {reason}")
        uri = self._core.state.selected
        if not uri:
            return None
        name = DataReference.from_uri(uri)
        # Another deletion must not replace this one, and trying it again takes both steps again.
        task = Task(f"delete {uri}", name.storage_type, f"deleting {name.key}", None, must=True)
        self._core.set({"confirm": {}})
        address = self._pages.address

        def then(was_there: bool) -> Changes:
            if self._core.state.selected == uri:
                self._viewing.select("")
            if self._pages.address == address and not self._core.waits("list"):
                self._pages.refresh()
            return self._pages.remark(f"deleted {uri}" if was_there else f"{uri} was gone already")

        return self._core.ask(task, lambda: self._core.dm.delete(name), then)

    def download(self, uri: str, ask: str, send: Send) -> Job:
        """Send the stored body, in pieces; of one that is too large for that a link, or why there is none.

        Args:
            uri: The record.
            ask: Number of the question, so that the view that asked takes the answer; where there is none
                to give, that is answered.
            send: Takes a message and its buffers.
        """
        name = DataReference.from_uri(uri)

        def failed() -> Changes:
            send({"op": "nothing", "ask": ask}, [])
            return {}

        task = Task(f"download {ask}", name.storage_type, f"fetching {name.key}", None, failed)

        def work() -> None:
            with self._core.dm.open(name) as source:
                body = source.read(DOWNLOAD + 1)
            if len(body) > DOWNLOAD:
                send({"op": "link", "ask": ask, **self._link(name)}, [])
            else:
                self._send_pieces(name, ask, body, send)

        return self._core.ask(task, work, lambda _: {"notice": f"fetched {name.key}"})

    def measure(self) -> Job:
        """Count what is in the place that is shown, with running totals."""
        name, place = self._pages.address
        lane, words = f"measure {name}", f"measuring {place or name}"
        task = Task("measure", name, words, self.measure, self._halted, lane)
        return self._core.follow(task, lambda: self._core.dm.measure(name, place), self._measured)

    def stop(self) -> None:
        """Measure no further; what was counted stays as at least so much."""
        with self._core.lock:
            self._core.forget("measure")
            self._core.set(self._halted())

    def _measured(self, measured: Measured) -> Changes:
        parts = [measured.records.words("record"), measured.size.bytes() if measured.size else ""]
        words = ", ".join(filter(None, parts))
        return self._counted({"text": words, "running": not measured.done})

    def _halted(self) -> Changes:
        known = self._pages.measured
        return self._counted({**known, "running": False}) if known else {}

    def _counted(self, known: Json) -> Changes:
        self._pages.measured = known
        return {"table": {**self._core.state.table, "measured": known}}

    def _link(self, name: DataReference) -> dict[str, Any]:
        provider = self._core.dm.providers.find(name.storage_type, name.collection)
        presign = getattr(provider, "presign", None)
        words = f"More than {size_text(DOWNLOAD)}: use dm.retrieve({name.uri!r}, into='file')"
        return {"url": presign(name.key) if presign else "", "words": words, "name": _file_name(name)}

    def _send_pieces(self, name: DataReference, ask: str, body: bytes, send: Send) -> None:
        starts = range(0, len(body), PIECE) or [0]
        about = {"op": "file", "ask": ask, "name": _file_name(name), "pieces": len(starts)}
        for place, start in enumerate(starts):
            send({**about, "piece": place}, [body[start : start + PIECE]])


def _file_name(name: DataReference) -> str:
    return name.key.rpartition("/")[2] or name.key
