"""What the servers of a sandbox have in common: they start, stop, pause, and keep their port."""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from typing import Any, ClassVar

from praval_storage.errors import StorageConnectionError
from praval_storage.sandbox.folders import make_private
from praval_storage.sandbox.guardian import Guardian
from praval_storage.sandbox.ports import HOST, accepts, free_port

START_TIMEOUT = 60.0
"""Seconds a server may take to start; on a busy computer one needs ten."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server runs.

    Attributes:
        guardian: Who starts it.
        run: Folder for what lives as long as the sandbox: logs and settings.
        data: Folder that has one folder for the data of each server.
        keep: Whether the data is kept when the sandbox ends.
    """

    guardian: Guardian
    run: Path
    data: Path
    keep: bool


class Service(ABC):
    """A server of a sandbox. Its port and its data stay the same when it is stopped and started again.

    Args:
        place: Where it runs.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[int] = signal.SIGTERM
    abort_signal: ClassVar[int] = signal.SIGKILL

    def __init__(self, place: Place) -> None:
        self._place = place
        self._folder = make_private(place.data / self.name)
        self._log = place.run / f"{self.name}.log"
        self._launched = False
        self._answered = False
        self.port = free_port()

    @abstractmethod
    def _prepare(self) -> None:
        """Make what the server needs before it can start."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Program and arguments; no secret among them, since every user can list them."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the server is ready for clients."""

    @abstractmethod
    def variables(self) -> dict[str, str]:
        """The environment variables that lead to the server."""

    @property
    def host(self) -> str:
        """Address the server listens on: this computer only."""
        return HOST

    @property
    def running(self) -> bool:
        """Whether there is a process; a paused one is there as well."""
        return self._launched and self._ask("status") is None

    def start(self) -> None:
        """Start the server and wait until it answers; does nothing when it runs.

        Raises:
            StorageConnectionError: It does not start; the message has the end of its log.
        """
        self.launch()
        self.wait()

    def stop(self) -> None:
        """Stop the server in an orderly way; does nothing when it does not run."""
        self._launched = False
        self._place.guardian.stop(self.name, at_once=False)

    def kill(self) -> None:
        """End the server at once, as a crash would; does nothing when it does not run."""
        self._launched = False
        self._place.guardian.stop(self.name, at_once=True)

    def restart(self) -> None:
        """Stop the server and start it again."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the server: it keeps its connections and answers nobody, as one does that hangs."""
        self._ask("pause")

    def resume(self) -> None:
        """Let a paused server go on."""
        self._ask("resume")

    def log(self) -> str:
        """What the server has written to its log."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def launch(self) -> None:
        """Start the server without waiting until it answers; does nothing when it runs."""
        if self.running:
            return
        self._prepare()
        self._place.guardian.start(self.name, self._order(self._command()))
        self._launched = True

    def wait(self) -> None:
        """Wait until the server answers."""
        deadline = monotonic() + START_TIMEOUT
        while not self._answers():
            if self._ask("status") is not None:
                self._try_another_port()
            elif monotonic() > deadline:
                raise self._failure()
            sleep(0.01)
        self._answered = True

    def _try_another_port(self) -> None:
        # A port that was free can be taken before the server has it; clients know it once it has answered.
        if self._answered or not accepts(self.port):
            raise self._failure()
        self.stop()
        self.port = free_port()
        self.launch()

    def _ask(self, do: str) -> Any:
        if not self._launched:
            raise StorageConnectionError(f"{self.name} does not run", hint=f"sandbox.{self.name}.start()")
        return self._place.guardian.ask(do, self.name)

    def _order(self, command: list[str]) -> dict[str, Any]:
        return {
            "arguments": command,
            "environment": self._environment(),
            "cwd": str(self._place.run),
            "log": str(self._log),
            "account": None,
            "reach": None,
            "stop": int(self.stop_signal),
            "abort": int(self.abort_signal),
        }

    def _environment(self) -> Mapping[str, str]:
        """The process environment; nothing of the user's settings, which name other servers."""
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

    def _failure(self) -> StorageConnectionError:
        end = self.log().splitlines()[-10:]
        return StorageConnectionError("\n".join([f"{self.name} of the sandbox does not start:", *end]))


def package_folder(package: str) -> Path:
    """Where an installed package lies; it is not imported.

    Raises:
        ImportError: It is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"The sandbox needs {package}: pip install 'praval_storage[sandbox]'", name=package)
    return Path(spec.submodule_search_locations[0])
