"""The guardian: the parent of a sandbox's servers, which ends them when their owner has ended in any way.

A script of its own that needs nothing but the standard library, so that it starts in a few milliseconds:
``python -I guardian_process.py '{"owner": 4711, "run": "/tmp/x", "data": "/data", "keep": true}'``. It reads
orders as lines of JSON and answers each with one line. The servers are its children and not the owner's,
because the kernel ends a child when the *thread* that started it ends (PR_SET_PDEATHSIG), and in a notebook
that may be any; here there is only one.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any

TICK = 0.2
"""Seconds until the owner's end is noticed."""
PATIENCE = 30.0
"""Seconds a server may take to end in an orderly way."""

_PROC = Path("/proc")
_SEGMENTS = _PROC / "sysvipc/shm"
_PR_SET_PDEATHSIG = 1
_IPC_RMID = 0

Json = dict[str, Any]


class Server:
    """A running child.

    Args:
        order: ``arguments``, ``environment``, ``cwd``, ``log``; ``account`` = user and group to run as, or
            null; ``reach`` = folder the account may not be able to walk to, or null; ``stop`` and ``abort`` =
            signals that end it in an orderly way and at once.
    """

    def __init__(self, order: Json) -> None:
        self.stop, self.abort = int(order["stop"]), int(order["abort"])
        self.process = launch(order)

    def pause(self) -> None:
        """Stop the server and the processes it has started."""
        self.process.send_signal(signal.SIGSTOP)
        if self.process.poll() is None and sys.platform.startswith("linux"):
            # When it has stopped, it forks nobody who would be overlooked.
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        self._send_children(signal.SIGSTOP)

    def resume(self) -> None:
        """Let the server and the processes it has started go on."""
        self._send_children(signal.SIGCONT)
        self.process.send_signal(signal.SIGCONT)

    def _send_children(self, number: int) -> None:
        for pid in children(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self, first: int) -> None:
        """End it: that signal first, then harder ones; returns when it has ended."""
        for number, seconds in ((first, PATIENCE), (self.abort, 5.0), (signal.SIGKILL, 5.0)):
            self.process.send_signal(number)
            self.resume()
            if _wait(self.process, seconds):
                return


def launch(order: Json) -> subprocess.Popen[bytes]:
    """Start a process as ordered."""
    arguments: list[str] = order["arguments"]
    user, group = order["account"] or (None, None)
    with ExitStack() as stack:
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        stack.callback(os.close, log)
        folders = []
        if order["reach"] is not None:
            folder = os.open(order["reach"], os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, folder)
            folders.append(folder)
            # A folder that is open already can be used whatever lies above it.
            arguments = [each.replace(order["reach"], f"/proc/self/fd/{folder}") for each in arguments]
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=order["cwd"],
            env=order["environment"],
            pass_fds=folders,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
            preexec_fn=_end_with_parent(int(order["stop"])),  # noqa: PLW1509 - there is one thread
        )


def _end_with_parent(number: int) -> Callable[[], None] | None:
    """The last thing a child does before it becomes the server, where the kernel can do it."""
    if not sys.platform.startswith("linux"):
        return None
    return partial(_ask_for_signal, ctypes.CDLL(None).prctl, number, os.getpid())


def _ask_for_signal(prctl: Callable[[int, int], int], number: int, parent: int) -> None:
    prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def children(parent: int) -> list[int]:
    """Process numbers of the children of a process; none where there is no ``/proc``."""
    found = []
    for stat in _PROC.glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended while we looked
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def _wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    deadline = monotonic() + seconds
    while process.poll() is None:
        if monotonic() > deadline:
            return False
        sleep(0.005)
    return True


class Guardian:
    """Carries out orders until the owner closes the line or is gone.

    Args:
        owner: Process number of the owner, which is our parent.
    """

    def __init__(self, owner: int) -> None:
        self.owner = owner
        self.servers: dict[str, Server] = {}
        self.ending = False
        self.orders: dict[str, Callable[[Json], Any]] = {
            "run": lambda order: launch(order).wait(),
            "start": self.start,
            "stop": lambda order: self.stop(order["name"], lambda server: server.stop),
            "kill": lambda order: self.stop(order["name"], lambda server: server.abort),
            "pause": lambda order: self.servers[order["name"]].pause(),
            "resume": lambda order: self.servers[order["name"]].resume(),
            "status": lambda order: self.servers[order["name"]].process.poll(),
        }

    def start(self, order: Json) -> int:
        """Start a server; its process number."""
        # There is one already when an owner that was interrupted does not know that it has started it.
        self.stop(order["name"], lambda server: server.stop)
        self.servers[order["name"]] = server = Server(order)
        return server.process.pid

    def stop(self, name: str, signal_of: Callable[[Server], int]) -> None:
        """End a server with one of its signals, if it runs."""
        if server := self.servers.pop(name, None):
            server.end(signal_of(server))

    def end(self) -> None:
        """Come to an end after the order in hand."""
        self.ending = True

    def lines(self) -> Iterator[bytes]:
        """Orders, until there can be no more."""
        buffer = b""
        while not self.ending and os.getppid() == self.owner:
            if select.select([0], [], [], TICK)[0]:
                read = os.read(0, 65_536)
                if not read:
                    return
                *lines, buffer = (buffer + read).split(b"\n")
                yield from lines
            for server in self.servers.values():
                server.process.poll()  # leaves no zombie

    def obey(self, line: bytes) -> Json:
        """Carry out one order; what went wrong is part of the answer."""
        order = json.loads(line)
        try:
            return {"id": order["id"], "value": self.orders[order["do"]](order)}
        except (OSError, LookupError, subprocess.SubprocessError) as error:
            return {"id": order["id"], "error": f"{type(error).__name__}: {error}"}

    def serve(self, *, keep: bool) -> None:
        """Carry out orders to the end, then end the servers: in an orderly way if their data is kept."""
        try:
            for line in self.lines():
                os.write(1, json.dumps(self.obey(line)).encode() + b"\n")
        except BrokenPipeError:
            pass  # the owner went while it waited for an answer
        finally:
            for server in self.servers.values():
                server.process.send_signal(server.stop if keep else server.abort)
            for server in self.servers.values():
                server.end(server.stop if keep else server.abort)


def remove_segments(data: Path) -> None:
    """Remove the System V shared memory of a PostgreSQL server in a folder that ended without doing so.

    Its ``postmaster.pid`` names the process on the first line and key and number of the segment on the
    seventh (https://www.postgresql.org/docs/18/storage-file-layout.html). A segment that somebody else made
    since, or is attached to, is left alone.
    """
    for file in data.glob("postgresql/*/postmaster.pid"):
        lines = [line.split() for line in file.read_text().splitlines()]
        if len(lines) < 7 or not _SEGMENTS.exists():
            continue
        wanted = [*lines[6], *lines[0], "0"]
        for line in _SEGMENTS.read_text().splitlines()[1:]:
            key, number, _, _, creator, _, attached, *_ = line.split()
            if [key, number, creator, attached] == wanted:
                ctypes.CDLL(None).shmctl(int(number), _IPC_RMID, None)


def main() -> None:
    """Be the guardian that the first argument describes."""
    settings = json.loads(sys.argv[1])
    guardian = Guardian(settings["owner"])
    # Interrupts of a cell and the end of a terminal are not for the servers.
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: guardian.end())
    guardian.serve(keep=settings["keep"])
    remove_segments(Path(settings["data"]))
    # What cannot be removed now, the next start of a sandbox removes.
    shutil.rmtree(settings["run"], ignore_errors=True)


if __name__ == "__main__":
    main()
