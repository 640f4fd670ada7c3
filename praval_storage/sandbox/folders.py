"""The folders of sandboxes, and whose they are: a folder belongs to whoever holds the lock in it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import monotonic, sleep

from praval_storage.errors import ConfigurationError
from praval_storage.sandbox.guardian_process import remove_segments
from praval_storage.sandbox.processes import Process

PREFIX = "praval-sandbox-"
LOCK = ".lock"
PROCESSES = "processes.json"

LOCK_TIMEOUT = 40.0
"""Seconds to wait for the servers of a sandbox whose owner was killed: they write their data first."""


def make_run_folder() -> tuple[Path, int]:
    """A new, locked folder for what lives as long as the servers, and its lock.

    Other accounts can pass through it and not look in.
    """
    # It gets its name when it is locked: one without a lock is removed by whoever starts a sandbox just then.
    made = Path(tempfile.mkdtemp(prefix=f"new-{PREFIX}"))
    made.chmod(0o711)
    lock = lock_folder(made)
    return made.rename(made.with_name(made.name.removeprefix("new-"))), lock


def make_data_folder(path: Path) -> Path:
    """The folder of a sandbox that keeps its data."""
    path = path.expanduser().absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    return make_private(path)


def make_private(folder: Path) -> Path:
    """A folder that nobody else can look into."""
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def try_lock(folder: Path) -> int | None:
    """The open, locked file that makes a folder ours; ``None`` when another process has it."""
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def lock_folder(folder: Path) -> int:
    """The open, locked file that makes a folder ours.

    Raises:
        ConfigurationError: Another sandbox uses the folder.
    """
    deadline = monotonic() + LOCK_TIMEOUT
    while (lock := try_lock(folder)) is None:
        owner = _owner(folder)
        if monotonic() > deadline or (owner and owner.runs()):
            raise ConfigurationError(
                f"The sandbox in {folder} is in use{f' by process {owner.pid}' if owner else ''}",
                hint="Close it there, or choose another folder",
            )
        sleep(0.05)
    if me := Process.of(os.getpid()):
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps([me.pid, me.started]).encode(), 0)
    return lock


def _owner(folder: Path) -> Process | None:
    try:
        return Process(*json.loads((folder / LOCK).read_text()))
    except ValueError:  # it is just being written
        return None


def note_processes(folder: Path, stop_signals: Mapping[int, int]) -> None:
    """Write down which servers run and what stops them, for whoever finds the folder after a crash."""
    noted = [
        (process.pid, process.started, number)
        for pid, number in stop_signals.items()
        if (process := Process.of(pid))
    ]
    new = folder / f"{PROCESSES}.new"
    new.write_text(json.dumps(noted))
    new.replace(folder / PROCESSES)


def remove_leftovers() -> None:
    """End and remove what sandboxes of this user left behind when their guardians were killed, too."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            lock = try_lock(folder) if folder.lstat().st_uid == os.geteuid() else None
        except (FileNotFoundError, NotADirectoryError):  # it went just now, or is no sandbox
            continue
        if lock is not None:
            _end_processes(folder)
            remove_segments(folder)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _end_processes(folder: Path) -> None:
    try:
        noted = json.loads((folder / PROCESSES).read_text())
    except FileNotFoundError:  # the crash came before there were any
        return
    for pid, started, stop_signal in noted:
        Process(pid, started).end(stop_signal)
