"""The owner's side of the guardian: the process that runs a sandbox's servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any

from praval_storage.errors import ConfigurationError, StorageConnectionError
from praval_storage.sandbox.folders import note_processes

SCRIPT = Path(__file__).with_name("guardian_process.py")


class Guardian:
    """A process that starts servers for this one, and ends them when this one has ended.

    Args:
        run: Folder that the guardian removes at the end.
        data: Folder of the servers' data; may be the same.
        locks: Open, locked files; they stay locked as long as the guardian lives.
        keep: Whether the data is kept: then the servers are ended in an orderly way.
    """

    def __init__(self, run: Path, data: Path, locks: Sequence[int], *, keep: bool) -> None:
        self._owner = os.getpid()
        self._lock = Lock()
        self._ids = count()
        self._run = run
        self._stop_signals: dict[str, tuple[int, int]] = {}
        settings = {"owner": self._owner, "run": str(run), "data": str(data), "keep": keep}
        with (run / "guardian.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(SCRIPT), json.dumps(settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                pass_fds=locks,
                start_new_session=True,  # Jupyter interrupts and ends a whole process group
            )

    def start(self, name: str, order: Mapping[str, Any]) -> None:
        """Start a server."""
        self._stop_signals[name] = self.ask("start", name, order), order["stop"]
        self._note()

    def stop(self, name: str, *, at_once: bool) -> None:
        """End a server, in an orderly way or at once, if it runs."""
        self.ask("kill" if at_once else "stop", name)
        self._stop_signals.pop(name, None)
        self._note()

    def _note(self) -> None:
        note_processes(self._run, dict(self._stop_signals.values()))

    def ask(self, do: str, name: str, order: Mapping[str, Any] | None = None) -> Any:
        """Have an order carried out and wait for the answer.

        Raises:
            ConfigurationError: This process was forked from the owner.
            StorageConnectionError: It could not be carried out, or the guardian has ended.
        """
        if os.getpid() != self._owner:
            raise ConfigurationError(f"The sandbox belongs to process {self._owner}", hint="Make one here")
        with self._lock:
            answer = self._exchange({"id": next(self._ids), "do": do, "name": name, **(order or {})})
        if "error" in answer:
            raise StorageConnectionError(f"The sandbox cannot {do} {name}: {answer['error']}")
        return answer["value"]

    def _exchange(self, order: Mapping[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101 - as asked for above
        assert stdout is not None  # noqa: S101
        try:
            stdin.write(json.dumps(order).encode() + b"\n")
            stdin.flush()
            # An answer nobody waited for, because a cell was interrupted, is passed over.
            for line in stdout:
                answer: dict[str, Any] = json.loads(line)
                if answer["id"] == order["id"]:
                    return answer
        except BrokenPipeError:
            pass
        raise StorageConnectionError("The sandbox has ended", hint="Start a new one")

    def close(self) -> None:
        """End the servers and the guardian."""
        with self._lock:
            # The end of its input tells it to, in whatever state the conversation is.
            self._process.communicate()
