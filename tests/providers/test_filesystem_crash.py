"""Whoever writes is killed at any moment; every key then holds one whole version with its own metadata."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
from conftest import cases

from praval_storage import DataManager, DataReference
from praval_storage.filters import parse
from praval_storage.providers.filesystem import FileSystemProvider
from praval_storage.records import Draft, Stored
from praval_storage.scan import Scan
from praval_storage.selection import select
from praval_storage.serialization import decode_metadata

# Plain ones, ones in directories, and ones that cannot be files as long as the others are there.
KEYS = [
    "a",
    "a/b",
    "a/b/c",
    "one.json",
    "two.json",
    "three",
    "deep/er/four.json",
    "deep/er",
    "x" * 260,
    "five",
]

Change = dict[str, int | None]
"""Key to the number it holds from then on; ``None`` = removed."""


def draft(key: str, number: int, filler: int) -> Draft:
    text = f"{key} {number} " + "x" * filler
    data = {"number": number, "text": text, "checksum": hashlib.sha256(text.encode()).hexdigest()}
    return Draft(key, data, {"number": number, "key": key}, datetime.now(UTC))


def check(provider: FileSystemProvider, key: str, stored: Stored) -> int:
    """That the record is whole and its metadata its own; its number."""
    data = provider.load(stored)
    metadata = decode_metadata(stored.metadata)
    assert hashlib.sha256(data["text"].encode()).hexdigest() == data["checksum"]
    assert data["text"].startswith(f"{key} {data['number']} ")
    assert metadata == {"number": data["number"], "key": key}
    assert stored.version is not None
    return int(data["number"])


def write_until_killed(
    folder: Path, seed: int, durable: bool, tell: Callable[[str, Change], None]
) -> NoReturn:
    chance = random.Random(seed)
    provider = FileSystemProvider(folder, durable=durable)
    number = seed * 1_000_000
    while True:
        keys = chance.sample(KEYS, chance.choice([1, 1, 1, 2, 5, len(KEYS)]))
        filler = chance.choice([0, 300, 100_000])
        if chance.random() < 0.2:
            tell("begin", dict.fromkeys(keys))
            provider.remove(keys)
            tell("end", dict.fromkeys(keys))
            continue
        change: Change = {key: number + place for place, key in enumerate(keys)}
        number += len(keys)
        tell("begin", change)
        drafts = [draft(key, change[key] or 0, filler) for key in keys]
        results = provider.write(drafts, overwrite=chance.random() < 0.8)
        tell("end", {result.key: change[result.key] for result in results if result.success})


def silent(_what: str, _change: Change) -> None:
    """Tell nobody."""


@contextmanager
def child(work: Callable[[], None]) -> Iterator[int]:
    """A forked process; killed at the end of the block."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(1)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status), "the writer failed before it was killed"


@contextmanager
def told() -> Iterator[tuple[Callable[[str, Change], None], list[tuple[str, Change]]]]:
    """A way for a child to tell what it does; what it told is known after the block."""
    reader, writer = os.pipe()
    lines: list[tuple[str, Change]] = []
    os.set_blocking(writer, True)

    def tell(what: str, change: Change) -> None:
        os.write(writer, (json.dumps([what, change]) + "\n").encode())

    yield tell, lines
    os.close(writer)
    with os.fdopen(reader) as text:
        lines += [tuple(json.loads(line)) for line in text]


def possible(lines: list[tuple[str, Change]], before: Change) -> dict[str, set[int | None]]:
    """What each key may hold: what was acknowledged last, or what was begun after that."""
    states: dict[str, set[int | None]] = {key: {number} for key, number in before.items()}
    begun: Change = {}
    for what, change in lines:
        if what == "begin":
            begun = change
            continue
        states |= {key: {number} for key, number in change.items()}
        begun = {}
    for key, number in begun.items():
        states[key] = states[key] | {number}
    return states


def numbers(folder: Path) -> Change:
    """What each key holds, found by reading and by querying alike."""
    with FileSystemProvider(folder) as provider:
        read = dict(zip(KEYS, provider.read(KEYS), strict=True))
        held = {key: None if stored is None else check(provider, key, stored) for key, stored in read.items()}
        for filters in ({}, {"metadata.number": {"$exists": True}}):
            rows = select(provider, Scan(parse(filters)), datetime.now(UTC)).rows
            assert [row.key for row in rows] == sorted(key for key in KEYS if held[key] is not None)
            assert [check(provider, row.key, row) for row in rows] == [held[row.key] for row in rows]
    return held


def test_what_is_durable_before_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync, replace, unlink = os.fsync, os.replace, os.unlink

    def record(event: str, result: object = None) -> None:
        events.append(event)

    monkeypatch.setattr(
        os,
        "fsync",
        lambda fd: record("sync folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "sync file", fsync(fd)),
    )
    monkeypatch.setattr(os, "replace", lambda *args, **folders: record("name", replace(*args, **folders)))
    monkeypatch.setattr(os, "unlink", lambda *args, **folders: record("remove", unlink(*args, **folders)))
    with FileSystemProvider(tmp_path) as provider:
        provider.store("a/b", 1, {})
        with provider._index._writer.writing() as connection:
            connection.set_trace_callback(
                lambda statement: record(statement.split("(")[0].split(" WHERE")[0].strip())
            )
        events.clear()
        provider.write([draft(key, 1, 10) for key in ("a/b", "a/c")])
        assert events == [
            "sync file",
            "sync file",
            "PRAGMA synchronous = FULL",
            "BEGIN IMMEDIATE",
            "INSERT OR IGNORE INTO versions VALUES",
            "INSERT OR IGNORE INTO versions VALUES",
            "COMMIT",
            "PRAGMA synchronous = NORMAL",
            "BEGIN IMMEDIATE",
            *[event for event in events if event.startswith("SELECT")],
            "name",
            "name",
            "sync folder",
            "DELETE FROM versions",
            "DELETE FROM versions",
            "COMMIT",
        ]
        events.clear()
        assert provider.remove(["a/b"]) == [True]
        assert [event for event in events if not event.startswith("SELECT")] == [
            "BEGIN IMMEDIATE",
            "remove",
            "sync folder",
            "DELETE FROM versions",
            "COMMIT",
        ]


def test_batches_share_what_makes_their_directories_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[tuple[str, str]] = []
    fsync, unlink = os.fsync, os.unlink

    def path_of(fd: int) -> str:
        return Path(f"/proc/self/fd/{fd}").readlink().name

    def syncing(fd: int) -> None:
        fsync(fd)
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            events.append(("sync", path_of(fd)))

    def removing(name: str, *, dir_fd: int) -> None:
        unlink(name, dir_fd=dir_fd)
        if name.startswith("k"):
            events.append(("remove", path_of(dir_fd)))

    keys = [f"folder{n % 12}/k{n}" for n in range(1_200)]
    everywhere = {f"folder{n}" for n in range(12)}
    with FileSystemProvider(tmp_path) as provider, DataManager({"files": provider}) as dm:
        dm.store_many(dict.fromkeys(keys, 1), "files").raise_for_errors()
        monkeypatch.setattr(os, "fsync", syncing)
        monkeypatch.setattr(os, "unlink", removing)
        dm.store_many(dict.fromkeys(keys, 2), "files").raise_for_errors()
        assert len(events) < 60, "64 records in a group, most groups in one directory or two"
        events.clear()
        references = [DataReference("files", key) for key in [*keys, keys[5], "folder3/none"]]
        assert dm.delete_many(references).values == [True] * len(keys) + [False, False]
        for folder in everywhere:
            of_folder = [event for event, where in events if where == folder]
            assert of_folder.count("remove") == 100
            assert of_folder[-1] == "sync"
        assert sum(event == "sync" for event, _ in events) <= len(everywhere) + 1
        assert not provider._index.rows(keys)


@pytest.mark.parametrize("durable", [True, False])
def test_a_killed_writer_leaves_whole_versions(tmp_path: Path, durable: bool) -> None:
    chance = random.Random(durable)
    with FileSystemProvider(tmp_path) as provider:
        provider.write([draft(key, 0, 10) for key in KEYS])
    held: Change = dict.fromkeys(KEYS, 0)
    changes = 0
    for seed in range(1, cases(100) + 1):
        with (
            told() as (tell, lines),
            child(lambda seed=seed, tell=tell: write_until_killed(tmp_path, seed, durable, tell)),  # type: ignore[misc]
        ):
            time.sleep(chance.uniform(0.001, 0.05))
        expected = possible(lines, held)
        held = numbers(tmp_path)
        assert {key: held[key] in expected[key] for key in KEYS} == dict.fromkeys(KEYS, True)
        changes += len(lines)
    assert changes > cases(100)


def test_writers_of_the_same_keys_are_killed_one_after_the_other(tmp_path: Path) -> None:
    chance = random.Random(7)
    for seed in range(1, cases(30) + 1):
        with child(lambda seed=seed: write_until_killed(tmp_path, 2 * seed, False, silent)):  # type: ignore[misc]
            with child(lambda seed=seed: write_until_killed(tmp_path, 2 * seed + 1, False, silent)):  # type: ignore[misc]
                time.sleep(chance.uniform(0.005, 0.05))
            time.sleep(chance.uniform(0.001, 0.02))
        numbers(tmp_path)


def test_what_killed_writers_leave_behind_is_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(3)
    for seed in range(1, 20):
        with child(lambda seed=seed: write_until_killed(tmp_path, seed, False, silent)):  # type: ignore[misc]
            time.sleep(chance.uniform(0.001, 0.03))
    before = numbers(tmp_path)
    monkeypatch.setattr("praval_storage.providers.filesystem.remover.ABANDONED", -60)
    with FileSystemProvider(tmp_path) as provider:
        assert provider.purge_expired() == 0
        rows: list[Any] = [row for page in provider._index.pages(*everything()) for row in page]
    assert sorted(row.key for row in rows) == sorted(key for key in KEYS if before[key] is not None)
    assert not list(tmp_path.rglob(".praval-*"))
    assert numbers(tmp_path) == before


def everything() -> tuple[Any, Any]:
    from praval_storage.providers.filesystem.rows import ALWAYS, Span

    return ALWAYS, Span()
