"""Building the HNSW index in a child process: ``python -m <this module> <shard>``.

The engine's ``optimize`` holds the interpreter lock for its whole run (minutes, for millions of vectors) and
cannot be stopped; in a notebook that would be a dead kernel. A child process can be watched and killed, and
what it had not finished is not there.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any

from praval_storage.errors import StorageError, StorageTimeoutError
from praval_storage.providers.qdrant.engine import Progress

_STEP = 1.0
_PR_SET_PDEATHSIG = 1


def run_optimizer(path: Path, progress: Progress, timeout: float | None) -> None:
    """Optimize a closed shard in a child process, and return when it is done.

    Raises:
        StorageTimeoutError: It took longer than ``timeout`` seconds and was stopped; no data is lost.
        StorageError: The child failed; the text is its own.
    """
    started = monotonic()
    command = [sys.executable, "-m", __name__, str(path)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    # Its own session: an interrupt goes to us alone, and we decide.
    options: Any = {"env": environ, "stderr": subprocess.PIPE, "start_new_session": True}
    with subprocess.Popen(command, **options) as child:  # noqa: S603 - our own module
        try:
            _wait(child, progress, started, timeout)
        finally:
            child.kill()  # does nothing to one that has ended
        if child.returncode:
            reason = child.stderr.read().decode(errors="replace").strip() if child.stderr else ""
            raise StorageError(
                f"Building the index failed: {reason.splitlines()[-1] if reason else 'killed'}"
            )
    progress(f"index built in {monotonic() - started:.1f} s")


def _wait(child: subprocess.Popen[bytes], progress: Progress, started: float, timeout: float | None) -> None:
    while True:
        with suppress(subprocess.TimeoutExpired):
            child.wait(_STEP)
            return
        seconds = monotonic() - started
        if timeout is not None and seconds > timeout:
            raise StorageTimeoutError(
                f"Building the index took longer than {timeout:g} s and was stopped; no data is lost",
                hint="Call optimize() with a larger timeout, or with none",
            )
        progress(f"building the index: {seconds:.0f} s")


def _die_with_parent() -> None:
    """On Linux: a killed kernel must not leave a child that holds the files."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    _die_with_parent()
    # By name: only the child needs the engine for this.
    import_module("praval_storage.providers.qdrant.shard").optimize_shard(Path(sys.argv[1]))
