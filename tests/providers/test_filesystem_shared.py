"""Several threads, processes and users of one directory, and an index that is broken, lost or not ours."""

from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from praval_storage.errors import KeyExistsError, StorageError, StoragePermissionError, StorageTimeoutError
from praval_storage.filters import parse
from praval_storage.providers.filesystem import FileSystemProvider, database, staging
from praval_storage.records import Draft
from praval_storage.scan import Scan
from praval_storage.selection import select
from praval_storage.serialization import decode_metadata

NOW = datetime(2025, 1, 15, 12, tzinfo=UTC)


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[FileSystemProvider]:
    with FileSystemProvider(tmp_path / "data", durable=False) as provider:
        yield provider


@pytest.fixture
def other(tmp_path: Path) -> Iterator[FileSystemProvider]:
    """Another process, as far as the files can tell."""
    with FileSystemProvider(tmp_path / "data", durable=False) as provider:
        yield provider


def keys(provider: FileSystemProvider, filters: Any = None) -> list[str]:
    return [row.key for row in select(provider, Scan(parse(filters)), datetime.now(UTC)).rows]


def metadata_of(provider: FileSystemProvider, key: str) -> dict[str, Any] | None:
    [stored] = provider.read([key], bodies=False)
    return None if stored is None else decode_metadata(stored.metadata)


def meanwhile(patch: pytest.MonkeyPatch, provider: FileSystemProvider, work: Callable[[], Any]) -> None:
    """Do something when the provider's next write has its row and not yet its file."""
    add = provider._index.add

    def added(rows: Any) -> None:
        add(rows)
        patch.undo()
        work()

    patch.setattr(provider._index, "add", added)


class TestWritersThatMeet:
    def test_the_later_one_wins_with_its_own_metadata(
        self, provider: FileSystemProvider, other: FileSystemProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        provider.store("a", "old", {"by": "nobody"})
        meanwhile(monkeypatch, provider, lambda: other.store("a", "second", {"by": "other"}))
        assert provider.store("a", "first", {"by": "provider"}).success
        assert (provider.retrieve("a"), metadata_of(other, "a")) == ("second", {"by": "other"})

    def test_only_one_creates(
        self, provider: FileSystemProvider, other: FileSystemProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        meanwhile(monkeypatch, provider, lambda: other.write([Draft("a", "other", {}, NOW)], overwrite=False))
        [result] = provider.write([Draft("a", "mine", {}, NOW)], overwrite=False)
        assert isinstance(result.error, KeyExistsError)
        assert provider.retrieve("a") == "other"

    def test_a_file_put_there_meanwhile_is_not_overwritten(
        self, provider: FileSystemProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        provider.store("b", 1, {})
        meanwhile(monkeypatch, provider, lambda: Path(provider.base_path, "a").write_text("by hand"))
        [result] = provider.write([Draft("a", "mine", {}, NOW)], overwrite=False)
        assert isinstance(result.error, KeyExistsError)
        assert Path(provider.base_path, "a").read_text() == "by hand"

    @pytest.mark.parametrize("overwrite", [True, False])
    def test_a_directory_made_meanwhile(
        self,
        provider: FileSystemProvider,
        other: FileSystemProvider,
        monkeypatch: pytest.MonkeyPatch,
        overwrite: bool,
    ) -> None:
        meanwhile(monkeypatch, provider, lambda: other.store("a/b", "below", {}))
        [result] = provider.write([Draft("a", "above", {"by": 1}, NOW)], overwrite=overwrite)
        assert result.success
        assert (other.retrieve("a"), other.retrieve("a/b")) == ("above", "below")
        assert metadata_of(other, "a") == {"by": 1}

    def test_a_removal_meanwhile_comes_after_the_write(
        self, provider: FileSystemProvider, other: FileSystemProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        provider.store("a", "old", {})
        meanwhile(monkeypatch, provider, lambda: other.remove(["a"]))
        provider.store("a", "new", {})
        assert provider.read(["a"]) == [None]

    def test_a_removal_that_finds_nothing_loses_nothing(
        self, provider: FileSystemProvider, other: FileSystemProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        removed: list[list[bool]] = []
        meanwhile(monkeypatch, provider, lambda: removed.append(other.remove(["a"])))
        provider.store("a", "new", {"by": 1})
        assert removed == [[False]]
        assert metadata_of(other, "a") == {"by": 1}

    def test_a_purge_meanwhile_takes_only_what_has_expired(
        self, provider: FileSystemProvider, other: FileSystemProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        provider.write([Draft("a", "old", {}, NOW, expires_at=NOW)])
        meanwhile(monkeypatch, provider, other.purge_expired)
        provider.store("a", "new", {"by": 1})
        assert metadata_of(other, "a") == {"by": 1}

    def test_versions_never_share_a_signature(
        self, provider: FileSystemProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(staging.time, "time_ns", lambda: 1_700_000_000_000_000_000)
        for number in range(5):
            provider.store("a", number, {"number": number})
            assert metadata_of(provider, "a") == {"number": number}
        assert keys(provider, {"metadata.number": 4}) == ["a"]


class TestThreads:
    def test_one_provider_in_many_threads(self, provider: FileSystemProvider) -> None:
        def work(number: int) -> None:
            for turn in range(10):
                key = f"{(number + turn) % 5}"
                provider.store(key, {"n": number}, {"n": number})
                [stored] = provider.read([key])
                assert stored is not None
                assert decode_metadata(stored.metadata) == provider.load(stored)
                assert set(keys(provider, {"metadata.n": {"$gte": 0}})) <= set("01234")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        assert keys(provider) == [*"01234"]

    def test_a_record_that_is_being_replaced_is_always_there(
        self, provider: FileSystemProvider, other: FileSystemProvider
    ) -> None:
        provider.write([Draft(f"k{n}", 0, {"n": 0}, NOW) for n in range(10)])
        done = threading.Event()

        def replace() -> None:
            turn = 0
            while not done.is_set():
                turn += 1
                other.write([Draft(f"k{n}", turn, {"n": turn}, NOW) for n in range(10)])

        thread = threading.Thread(target=replace)
        thread.start()
        try:
            for _ in range(60):
                assert len(keys(provider)) == len(keys(provider, {"metadata.n": {"$gte": 0}})) == 10
                for stored in provider.read([f"k{n}" for n in range(10)]):
                    assert stored is not None
                    assert decode_metadata(stored.metadata) == {"n": provider.load(stored)}
        finally:
            done.set()
            thread.join()

    def test_writing_while_a_query_is_read(
        self, provider: FileSystemProvider, other: FileSystemProvider
    ) -> None:
        provider.write([Draft(f"{n:04d}", n, {"n": n}, NOW) for n in range(300)])
        rows = provider.scan(Scan(parse({"metadata.n": {"$exists": True}}))).rows
        seen = []
        for row in rows:
            seen.append(row.key)
            if len(seen) % 50 == 1:
                other.store("zz", 1, {})
                provider.store(row.key, "again", {"n": -1})
                provider.store("0000", "again", {"n": -2})
        assert seen == [f"{n:04d}" for n in range(300)]


class TestProcesses:
    def test_a_forked_child(self, provider: FileSystemProvider) -> None:
        provider.store("parent", 1, {"by": "parent"})
        pid = os.fork()
        if pid == 0:
            try:
                provider.store("child", 2, {"by": "child"})
                provider.close()
                os._exit(0 if provider.retrieve("parent") in {1, 3} else 2)
            finally:
                os._exit(1)
        provider.store("parent", 3, {"by": "parent"})
        assert os.waitpid(pid, 0)[1] == 0
        assert keys(provider, {"metadata.by": {"$exists": True}}) == ["child", "parent"]

    def test_a_fork_while_another_thread_writes(self, provider: FileSystemProvider) -> None:
        provider.store("a", 1, {})
        writing, done = threading.Event(), threading.Event()

        def write() -> None:
            with provider._index.exclusive():
                writing.set()
                done.wait()

        thread = threading.Thread(target=write)
        thread.start()
        writing.wait()
        threading.Timer(0.1, done.set).start()
        pid = os.fork()
        if pid == 0:
            try:
                # The locks of that thread are nobody's here.
                os._exit(0 if provider.store("b", 2, {"by": "child"}).success else 2)
            finally:
                os._exit(1)
        thread.join()
        assert os.waitpid(pid, 0)[1] == 0
        assert metadata_of(provider, "b") == {"by": "child"}

    def test_providers_pickle(self, tmp_path: Path) -> None:
        made = FileSystemProvider(tmp_path, False, True, allow_pickle=True, durable=False)
        made.store("x/a", {1, 2}, {"by": 1})
        for provider in (made, made.in_collection("x")):
            copy = pickle.loads(pickle.dumps(provider))
            assert (copy.settings, copy.collection) == (provider.settings, provider.collection)
            assert copy.in_collection("x").retrieve("a") == {1, 2}
            copy.close()
        made.close()

    def test_two_processes_store_into_one_new_directory(self, tmp_path: Path) -> None:
        script = (
            "import sys\n"
            "from praval_storage.providers import FileSystemProvider\n"
            "provider = FileSystemProvider(sys.argv[1], durable=False)\n"
            "for n in range(30): provider.store(f'{sys.argv[2]}/{n}', n, {'by': sys.argv[2]})\n"
        )
        command = [sys.executable, "-c", script, str(tmp_path / "new")]
        started = [subprocess.Popen([*command, name]) for name in ("one", "two", "three")]
        assert [process.wait(60) for process in started] == [0, 0, 0]
        with FileSystemProvider(tmp_path / "new") as provider:
            assert len(keys(provider, {"metadata.by": {"$in": ["one", "two", "three"]}})) == 90

    def test_a_writer_that_never_ends(
        self, provider: FileSystemProvider, other: FileSystemProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database, "PATIENCE", 0.05)
        provider.store("a", 1, {})
        with other._index.exclusive():
            with pytest.raises(StorageTimeoutError, match="Another process"):
                provider.store("a", 2, {})
            assert provider.retrieve("a") == 1
        assert provider.store("a", 3, {}).success
        assert not [*provider.base_path.glob(".praval-*")]


class TestTheIndex:
    def path(self, provider: FileSystemProvider) -> Path:
        return provider.base_path / ".praval/index.sqlite"

    def test_it_may_be_closed_deleted_and_replaced_at_any_time(self, provider: FileSystemProvider) -> None:
        provider.store("a", 1, {"by": 1})
        provider.close()
        assert metadata_of(provider, "a") == {"by": 1}
        shutil.rmtree(provider.base_path / ".praval")
        assert metadata_of(provider, "a") == {}
        provider.store("b", 1, {"by": 2})
        assert (metadata_of(provider, "b"), keys(provider)) == ({"by": 2}, ["a", "b"])

    def test_it_may_be_exchanged_by_another_process(
        self, provider: FileSystemProvider, other: FileSystemProvider
    ) -> None:
        provider.store("a", 1, {"by": 1})
        assert other.rebuild_index() == 1
        provider.store("b", 1, {"by": 2})
        assert (metadata_of(other, "a"), metadata_of(other, "b")) == ({"by": 1}, {"by": 2})
        assert keys(provider, {"metadata.by": {"$gte": 1}}) == ["a", "b"]

    def test_a_broken_one_says_what_to_do_and_is_rebuilt(self, provider: FileSystemProvider) -> None:
        provider.write([Draft(f"k{n:04d}", n, {"n": n, "pad": "x" * 500}, NOW) for n in range(400)])
        provider.store("edited", 1, {"by": 1})
        Path(provider.base_path, "edited").write_text("2")
        Path(provider.base_path, "k0000").unlink()
        os.utime(provider.base_path / "k0001")
        provider.close()
        with self.path(provider).open("r+b") as file:
            file.seek(self.path(provider).stat().st_size // 2 // 4096 * 4096)
            file.write(b"\xff" * 8192)
        with pytest.raises(StorageError, match="rebuild_index"):
            keys(provider, {"metadata.n": {"$gte": 0}})
        saved = provider.rebuild_index()
        assert 200 < saved < 400
        assert len(keys(provider)) == 400
        assert len(keys(provider, {"metadata.n": {"$exists": True}})) == saved
        assert metadata_of(provider, "k0001")["n"] == 1  # type: ignore[index]
        assert metadata_of(provider, "edited") == {}
        assert [*self.path(provider).parent.glob("index.sqlite.broken-*")]

    def test_one_that_is_no_database(self, provider: FileSystemProvider) -> None:
        provider.store("a", 1, {"by": 1})
        provider.close()
        self.path(provider).write_bytes(b"not a database at all" * 1_000)
        for call in (lambda: provider.retrieve("a"), lambda: provider.store("a", 2, {}), provider.health):
            with pytest.raises(StorageError, match="rebuild_index"):
                call()
        assert provider.rebuild_index() == 0
        assert (provider.retrieve("a"), metadata_of(provider, "a")) == (b"1", {})
        assert provider.store("a", 2, {"by": 2}).success

    def test_rebuilding_without_need(self, provider: FileSystemProvider) -> None:
        assert provider.rebuild_index() == 0
        provider.store("a", 1, {"by": 1})
        provider.store("a/b", 1, {"by": 2})
        assert provider.rebuild_index() == 2
        assert (metadata_of(provider, "a"), metadata_of(provider, "a/b")) == ({"by": 1}, {"by": 2})

    def test_one_of_a_later_release(self, provider: FileSystemProvider) -> None:
        provider.store("a", 1, {})
        provider.close()
        with sqlite3.connect(self.path(provider)) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
        with pytest.raises(StorageError, match="version 99"):
            provider.retrieve("a")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
class TestOtherUsers:
    @pytest.fixture
    def folder(self) -> Iterator[Path]:
        # Pytest's own directory is for its user alone.
        with tempfile.TemporaryDirectory() as name:
            Path(name).chmod(0o755)
            yield Path(name)

    @pytest.fixture
    def as_nobody(self) -> Iterator[Callable[[], None]]:
        yield lambda: os.seteuid(65_534)
        os.seteuid(0)

    @pytest.mark.parametrize("leftover_wal", [True, False])
    def test_a_directory_that_cannot_be_written(
        self, folder: Path, as_nobody: Callable[[], None], leftover_wal: bool
    ) -> None:
        owner = FileSystemProvider(folder)
        owner.store("a.json", {"x": 1}, {"by": 1})
        (folder / "foreign.json").write_text("[1]")
        if not leftover_wal:
            owner.close()
        as_nobody()
        reader = FileSystemProvider(folder)
        assert (reader.retrieve("a.json"), metadata_of(reader, "a.json")) == ({"x": 1}, {"by": 1})
        assert keys(reader) == ["a.json", "foreign.json"]
        assert keys(reader, {"metadata.by": 1}) == ["a.json"]
        assert "read-only" in reader.health()
        for call in (
            lambda: reader.store("a.json", 2, {}),
            lambda: reader.store("new", 2, {}),
            lambda: reader.delete("a.json"),
        ):
            with pytest.raises(StoragePermissionError):
                call()
        assert reader.retrieve("a.json") == {"x": 1}
        reader.close()

    def test_a_touched_file_in_a_directory_that_cannot_be_written(
        self, folder: Path, as_nobody: Callable[[], None]
    ) -> None:
        with FileSystemProvider(folder) as owner:
            owner.store("a", 1, {"by": 1})
        os.utime(folder / "a")
        as_nobody()
        with FileSystemProvider(folder) as reader:
            assert metadata_of(reader, "a") == {"by": 1}

    def test_what_may_not_be_read(
        self, folder: Path, as_nobody: Callable[[], None], caplog: pytest.LogCaptureFixture
    ) -> None:
        (folder / "locked").mkdir(mode=0o700)
        (folder / "secret").touch(mode=0o600)
        (folder / "open").touch()
        as_nobody()
        with FileSystemProvider(folder) as reader:
            assert keys(reader) == ["open", "secret"]
            assert "locked was left out" in caplog.text
            with pytest.raises(StoragePermissionError):
                reader.retrieve("secret")
