"""Which process a number means: numbers are used again, a number with its start time is not."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Self

_PROC = Path("/proc")
_BOOT = _PROC / "sys/kernel/random/boot_id"


@dataclass(frozen=True, slots=True)
class Process:
    """A process, told from every other one this computer ever ran.

    Attributes:
        pid: Its number.
        started: When it started, in the system's own terms.
    """

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """The running process with a number; ``None`` when there is none (or it has ended already)."""
        state, started = _from_proc(pid) if _BOOT.exists() else _from_ps(pid)
        return None if not started or state.startswith("Z") else cls(pid, started)

    def runs(self) -> bool:
        """Whether this very process still runs."""
        return type(self).of(self.pid) == self

    def end(self, first: int = signal.SIGTERM, seconds: float = 10.0) -> None:
        """End it: by a signal first, then by force. Another process that has its number is left alone."""
        for number, patience in ((first, seconds), (signal.SIGKILL, 5.0)):
            if not self.runs():
                return
            for each in (number, signal.SIGCONT):
                with suppress(ProcessLookupError):
                    os.kill(self.pid, each)
            deadline = monotonic() + patience
            while self.runs() and monotonic() < deadline:
                sleep(0.01)


def _from_proc(pid: int) -> tuple[str, str]:
    try:
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return "", ""
    return fields[0], f"{_BOOT.read_text().strip()}:{fields[19]}"  # ticks since the boot


def _from_ps(pid: int) -> tuple[str, str]:
    command = ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    state, _, started = done.stdout.strip().partition(" ")
    return state, started.strip()
