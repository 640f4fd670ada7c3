"""A browser in a test: what the front end would send, and a provider that takes its time to delete."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import Any

from harness.gated import Gated
from praval_storage import StoragePermissionError
from praval_storage.jupyter import Browser
from praval_storage.jupyter.lanes import Job


class Reluctant(Gated):
    """Deletes when its door is open, and never what is ``kept``.

    Attributes:
        door: Deletions wait for it.
        knocked: Set when a deletion has come to the door.
        kept: Keys whose deletion is refused.
    """

    def __init__(self, name: str = "memory") -> None:
        super().__init__(name)
        self.door, self.knocked = Event(), Event()
        self.door.set()
        self.kept: set[str] = set()

    def remove(self, keys: Sequence[str]) -> list[bool]:
        self.knocked.set()
        assert self.door.wait(30)
        if self.kept.intersection(keys):
            raise StoragePermissionError(f"{keys[0]} is kept")
        return super().remove(keys)


class Page:
    """The other end of a browser: asks, and keeps what is answered."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.answers: list[tuple[dict[str, Any], list[bytes]]] = []
        self._count = 0

    def ask(self, op: str, **more: Any) -> Job | None:
        """Send a message as a page does, each with a number of its own."""
        self._count += 1
        return self.say({"op": op, "id": str(self._count), **more})

    def say(self, message: Any) -> Job | None:
        """Send anything."""
        return self.browser.handle(message, lambda *answer: self.answers.append(answer))

    def delete(self, uri: str) -> Job | None:
        """Select a record, ask for its deletion and confirm it."""
        self.ask("select", uri=uri)
        self.ask("ask_delete", uri=uri)
        return self.ask("delete", uri=uri)
