"""Whether a server answers at all: asked once, within a time that no driver can keep by itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread


class FirstContact:
    """Asks a server for a sign of life before it is used, once for all threads of a process.

    Drivers limit single steps: resolving a name has no limit at all, each address of a host has its own, and
    so has each answer. A server that has answered once may take the time it needs.

    Args:
        seconds: How long the answer may take; ``None`` where what is asked sees to that itself.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._asked: Future[object] | None = None
        self._lock = Lock()
        self._pid = os.getpid()

    def ensure(self, ask: Callable[[], object]) -> None:
        """Return at once if the server has answered; else ask, and pass on how it failed.

        Args:
            ask: One small request. It runs in a thread of its own, which goes on unheard after the time.

        Raises:
            TimeoutError: There was no answer in time.
        """
        if self._pid != os.getpid():  # the thread that asked has stayed in the parent
            self._pid, self._lock, self._asked = os.getpid(), Lock(), None
        with self._lock:
            if self._asked is None:
                self._asked = _started(ask)
            asked = self._asked
        try:
            asked.result(self._seconds)
        except BaseException:
            self.forget(asked)
            raise

    def forget(self, asked: Future[object] | None = None) -> None:
        """Ask again next time: the server was lost. With ``asked``, only if nobody has asked since."""
        with self._lock:
            if asked is None or asked is self._asked:
                self._asked = None


def _started(ask: Callable[[], object]) -> Future[object]:
    future: Future[object] = Future()

    def run() -> None:
        try:
            future.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            future.set_exception(error)

    Thread(target=run, name="praval-storage-contact", daemon=True).start()
    return future
