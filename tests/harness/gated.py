"""A provider that is as slow, or as broken, as a test wants it to be."""

from __future__ import annotations

from threading import Event, Lock, current_thread

from praval_storage.scan import Scan, Scanned
from praval_storage.testing import InMemoryProvider


class Gated(InMemoryProvider):
    """Answers scans when its gate is open; refuses them while ``refusal`` is set.

    Attributes:
        gate: Scans wait for it.
        entered: Set when a scan has come to the gate.
        refusal: What scans raise.
        threads: Names of the threads that scanned, in order.
        at_work: How many scans are at work.
        most: How many scans were at work at the same time, at most.
    """

    def __init__(self, name: str = "memory") -> None:
        super().__init__(name)
        self.gate, self.entered = Event(), Event()
        self.gate.set()
        self.refusal: Exception | None = None
        self.threads: list[str] = []
        self.most = self.at_work = 0
        self._count = Lock()

    def scan(self, request: Scan) -> Scanned:
        with self._count:
            self.threads.append(current_thread().name)
            self.at_work += 1
            self.most = max(self.most, self.at_work)
        try:
            self.entered.set()
            assert self.gate.wait(30)
            if self.refusal is not None:
                raise self.refusal
            return super().scan(request)
        finally:
            with self._count:
                self.at_work -= 1
