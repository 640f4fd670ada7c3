"""A process that stores into the embedded engine is killed; what it was told is stored is there, and whole.

A fork server imports everything once; each writer is a fresh fork that opens the folder itself.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from praval_storage.providers.qdrant import QdrantProvider
from praval_storage.records import Draft, Record
from praval_storage.scan import Scan
from praval_storage.selection import select

KILLS = 200
PER_FOLDER = 20
KEYS = [f"k{number}" for number in range(12)]
SIZE = 32


def value(key: str, version: int) -> dict[str, Any]:
    """Every part of a record says which version it belongs to."""
    return {"key": key, "version": version, "vector": [float(version)] * SIZE, "text": f"{version} " * 200}


def draft(key: str, version: int) -> Draft:
    return Draft(key, value(key, version), {"version": version}, datetime.now(UTC))


def write(path: str, seed: int, log: int) -> None:
    """Store and delete at random, for ever; announce an attempt before it and its success after it."""
    rng = random.Random(seed)
    provider = QdrantProvider(path=path)
    version = seed * 100_000
    while True:
        version += 1
        chosen = rng.sample(KEYS, rng.choice((1, 1, 3, len(KEYS))))
        deleting = rng.random() < 0.15
        line = f"{'delete' if deleting else 'store'} {version} {' '.join(chosen)}\n"
        os.write(log, f"try {line}".encode())
        if deleting:
            provider.remove(chosen)
        else:
            results = provider.write([draft(key, version) for key in chosen])
            assert all(result.success for result in results)
        os.write(log, f"did {line}".encode())


def serve() -> None:
    """Fork a writer per request, kill it after a while: lines of ``path seed writing seconds log``."""
    for request in sys.stdin:
        path, seed, writing, seconds, log = request.rstrip("\n").split("\t")
        child = os.fork()
        if child == 0:
            write(path, int(seed), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
        if writing == "True":
            await_success(Path(log))
        sleep(float(seconds))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        sys.stdout.write("killed\n")
        sys.stdout.flush()


def await_success(log: Path) -> None:
    """Until the first record is stored, however busy the machine is."""
    deadline = monotonic() + 60
    while monotonic() < deadline and not (log.exists() and b"did " in log.read_bytes()):
        sleep(0.002)


class Expected:
    """What may be under each key, by what the writers announced: ``None`` stands for no record."""

    def __init__(self) -> None:
        self.possible: dict[str, set[int | None]] = {key: {None} for key in KEYS}

    def learn(self, log: str) -> None:
        for line in log.splitlines():
            stage, what, version, *chosen = line.split()
            result = None if what == "delete" else int(version)
            for key in chosen:
                # Acknowledged: only this. Attempted: this, or what was there.
                self.possible[key] = {result} if stage == "did" else self.possible[key] | {result}

    def check(self, path: Path) -> None:
        with QdrantProvider(path=path) as provider:
            rows = {row.key: row for row in select(provider, Scan(), datetime.now(UTC)).rows}
            assert rows.keys() <= set(KEYS)
            for key in KEYS:
                found = None
                if key in rows:
                    record = Record(rows[key], provider.load)
                    found = record.data["version"]
                    assert record.data == value(key, found)
                    assert record.metadata == {"version": found}
                assert found in self.possible[key], f"{key}: {found}, not one of {self.possible[key]}"
                self.possible[key] = {found}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    rng = random.Random(20260115)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    options: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environ}
    acknowledged = 0
    with subprocess.Popen([sys.executable, __file__], **options) as server:
        for number in range(KILLS):
            if number % PER_FOLDER == 0:  # making a folder is interrupted as well
                folder, expected = tmp_path / f"q{number}", Expected()
            # Some while the folder is being made or opened, most while records are written.
            writing, seconds = rng.random() < 0.7, rng.uniform(0, 0.1)
            log = tmp_path / f"{number}.log"
            server.stdin.write(f"{folder}\t{number + 1}\t{writing}\t{seconds}\t{log}\n")
            server.stdin.flush()
            assert server.stdout.readline() == "killed\n"
            lines = log.read_text() if log.exists() else ""
            expected.learn(lines)
            acknowledged += lines.count("did ")
            if number % 2:
                expected.check(folder)
        server.stdin.close()
    assert acknowledged > KILLS / 2


if __name__ == "__main__":
    serve()
