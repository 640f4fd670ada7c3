"""The filesystem provider on real directories: records, foreign files, odd names, links."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from praval_storage.errors import (
    ConfigurationError,
    KeyExistsError,
    KeyNotFoundError,
    SerializationError,
    StorageError,
    StoragePermissionError,
)
from praval_storage.filters import parse, parse_order
from praval_storage.providers.filesystem import FileSystemProvider, FileSystemSettings
from praval_storage.providers.filesystem.tree import File
from praval_storage.records import Draft, Stored
from praval_storage.scan import Scan
from praval_storage.selection import select
from praval_storage.serialization import decode_metadata

NOW = datetime(2025, 1, 15, 12, tzinfo=UTC)
LATER = datetime(2025, 2, 1, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def provider(root: Path) -> Iterator[FileSystemProvider]:
    with FileSystemProvider(root, durable=False) as provider:
        yield provider


def put(provider: FileSystemProvider, key: str, data: Any = None, **options: Any) -> Stored:
    metadata = options.pop("metadata", {"of": key})
    overwrite = options.pop("overwrite", True)
    [result] = provider.write(
        [Draft(key, data, metadata, options.pop("at", NOW), **options)], overwrite=overwrite
    )
    if isinstance(result.error, Exception):
        raise result.error
    [stored] = provider.read([key])
    assert stored is not None
    assert (stored.version, stored.size) == (result.version, result.size)
    return stored


def keys(provider: FileSystemProvider, filters: Any = None, order_by: str | None = None) -> list[str]:
    request = Scan(parse(filters), parse_order(order_by))
    return [row.key for row in select(provider, request, datetime.now(UTC)).rows]


def metadata_of(provider: FileSystemProvider, key: str) -> dict[str, Any] | None:
    [stored] = provider.read([key], bodies=False)
    return None if stored is None else decode_metadata(stored.metadata)


class TestRecords:
    def test_the_data_is_where_the_key_says(self, provider: FileSystemProvider, root: Path) -> None:
        provider.store("greeting.json", {"content": "Hello, World!"}, {})
        assert (root / "greeting.json").read_text() == '{"content":"Hello, World!"}'
        provider.store("deep/er/still.txt", "text", {})
        assert (root / "deep/er/still.txt").read_text() == "text"

    def test_json_can_be_pretty(self, root: Path) -> None:
        with FileSystemProvider(root, pretty_json=True) as provider:
            provider.store("a.json", {"b": 1}, {})
            assert (root / "a.json").read_text() == '{\n  "b": 1\n}'
            assert provider.retrieve("a.json") == {"b": 1}

    def test_a_record_keeps_what_it_was_given(self, provider: FileSystemProvider) -> None:
        stored = put(
            provider,
            "a",
            {"when": NOW},
            metadata={"at": NOW, "tags": ["x"]},
            expires_at=datetime.max.replace(tzinfo=UTC),
        )
        assert provider.load(stored) == {"when": NOW}
        assert decode_metadata(stored.metadata) == {"at": NOW, "tags": ["x"]}
        assert (stored.created_at, stored.updated_at) == (NOW, NOW)
        assert stored.expires_at == datetime.max.replace(tzinfo=UTC)

    def test_replacing_keeps_created_at_and_permissions(
        self, provider: FileSystemProvider, root: Path
    ) -> None:
        put(provider, "a", 1)
        (root / "a").chmod(0o640)
        again = put(provider, "a", 2, at=LATER, metadata={"second": True})
        assert (again.created_at, again.updated_at) == (NOW, LATER)
        assert metadata_of(provider, "a") == {"second": True}
        assert stat.S_IMODE((root / "a").stat().st_mode) == 0o640
        assert put(provider, "a", 3, created_at=LATER).created_at == LATER

    def test_new_files_respect_the_umask(self, provider: FileSystemProvider, root: Path) -> None:
        before = os.umask(0o027)
        try:
            put(provider, "a", 1)
        finally:
            os.umask(before)
        assert stat.S_IMODE((root / "a").stat().st_mode) == 0o640

    def test_overwrite_false(self, provider: FileSystemProvider, root: Path) -> None:
        put(provider, "a", 1, overwrite=False)
        with pytest.raises(KeyExistsError):
            put(provider, "a", 2, overwrite=False)
        (root / "foreign").write_text("theirs")
        with pytest.raises(KeyExistsError):
            put(provider, "foreign", 2, overwrite=False)
        assert provider.retrieve("a") == 1
        assert (root / "foreign").read_text() == "theirs"

    def test_a_failing_item_does_not_stop_the_others(self, provider: FileSystemProvider) -> None:
        class Broken(BytesIO):
            def read(self, _size: int | None = -1) -> bytes:
                raise OSError(5, "broken source")

        put(provider, "there", 1)
        drafts = [
            Draft(key, data, {}, NOW)
            for key, data in [("a", 1), ("broken", Broken()), ("there", 2), ("b", 3)]
        ]
        results = provider.write(drafts, overwrite=False)
        assert [type(result.error) for result in results] == [
            type(None),
            StorageError,
            KeyExistsError,
            type(None),
        ]
        assert "broken source" in str(results[1].error)
        assert keys(provider) == ["a", "b", "there"]

    def test_errors_say_what_to_do(
        self, provider: FileSystemProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(provider, "a", 1)

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(StorageError, match=r"No space left.*'a'.*Free some"):
            provider.store("a", 2, {})
        assert provider.retrieve("a") == 1
        assert keys(provider) == ["a"]
        assert not [*provider.base_path.glob(".praval-*")]

    def test_remove_says_what_was_there(self, provider: FileSystemProvider, root: Path) -> None:
        put(provider, "a", 1)
        put(provider, "b/c", 1)
        assert provider.remove(["a", "nothing", "b/c", "b", "a"]) == [True, False, True, False, False]
        assert keys(provider) == []
        assert metadata_of(provider, "a") is None
        assert not (root / "a").exists()

    def test_batches_larger_than_a_group(self, provider: FileSystemProvider) -> None:
        names = [f"{n % 7}/{n:04d}" for n in range(300)]
        provider.write([Draft(name, n, {"n": n}, NOW) for n, name in enumerate(names)])
        assert [provider.load(row) for row in provider.read(names) if row] == [*range(300)]
        assert provider.remove(names[:200]) == [True] * 200
        assert keys(provider) == sorted(names[200:])

    def test_nothing_is_made_before_the_first_write(
        self, provider: FileSystemProvider, tmp_path: Path
    ) -> None:
        assert provider.read(["a"]) == [None]
        assert provider.remove(["a"]) == [False]
        assert (keys(provider), provider.collections(), provider.purge_expired()) == ([], [], 0)
        assert "first write" in provider.health()
        assert [*tmp_path.iterdir()] == []

    def test_reading_foreign_files_makes_nothing(self, provider: FileSystemProvider, root: Path) -> None:
        root.mkdir()
        (root / "a.json").write_text("[1]")
        assert provider.retrieve("a.json") == [1]
        assert keys(provider, {"metadata.a": None}) == ["a.json"]
        assert provider.remove(["a.json"]) == [True]
        assert [*root.iterdir()] == []


@pytest.mark.parametrize("size", [0, 300, 3 << 20])
def test_the_version_is_what_sha256sum_says(provider: FileSystemProvider, size: int) -> None:
    body = os.urandom(size)
    for data in (body, BytesIO(body)):
        stored = put(provider, "k", data)
        assert stored.version == hashlib.sha256(body).hexdigest()
        assert provider.retrieve("k") == body


class TestExpiry:
    def test_an_expired_record_is_absent(self, provider: FileSystemProvider, root: Path) -> None:
        now = datetime.now(UTC)
        provider.write([Draft("old", 1, {"of": 1}, NOW, expires_at=now)])
        assert (root / "old").exists()
        assert provider.read(["old"]) == provider.read(["old"], bodies=False) == [None]
        assert (keys(provider), keys(provider, {"metadata.of": 1})) == ([], [])
        with pytest.raises(KeyNotFoundError):
            provider.open("old")
        assert put(provider, "old", 2, overwrite=False, at=LATER).created_at == LATER

    def test_removing_an_expired_record(self, provider: FileSystemProvider, root: Path) -> None:
        provider.write([Draft("old", 1, {}, NOW, expires_at=NOW)])
        assert provider.remove(["old"]) == [False]
        assert not (root / "old").exists()

    def test_purge_reclaims_what_has_expired(self, provider: FileSystemProvider, root: Path) -> None:
        soon = datetime.now(UTC) + timedelta(hours=1)
        provider.write([Draft("a/x", 1, {}, NOW, expires_at=NOW), Draft("b", 1, {}, NOW, expires_at=NOW)])
        provider.write([Draft("a", 1, {}, NOW, expires_at=NOW), Draft("c", 1, {}, NOW, expires_at=soon)])
        provider.write([Draft("edited", 1, {}, NOW, expires_at=NOW)])
        (root / "edited").write_text("by hand, so it lives")
        assert provider.in_collection("a").purge_expired() == 1
        assert provider.purge_expired() == 2
        assert keys(provider) == ["c", "edited"]
        assert [*(root / ".praval/objects").iterdir()] == []


class TestForeignFiles:
    def test_a_file_put_there_by_hand(self, provider: FileSystemProvider, root: Path) -> None:
        put(provider, "a", 1)
        (root / "sub").mkdir()
        (root / "sub/data.json").write_text('{"x": 1}')
        moment = datetime(2024, 5, 1, tzinfo=UTC)
        os.utime(root / "sub/data.json", (moment.timestamp(),) * 2)
        [stored] = provider.read(["sub/data.json"])
        assert stored is not None
        assert (stored.format, stored.metadata, stored.size) == ("json", b"{}", 8)
        assert (stored.created_at, stored.updated_at, stored.version) == (None, moment, None)
        assert provider.read(["sub/data.json"], bodies=False) == [stored._replace(body=None)]
        assert keys(provider, {"x": 1}) == keys(provider, {"updated_at": moment}) == ["sub/data.json"]

    def test_a_file_edited_by_hand_loses_its_metadata(self, provider: FileSystemProvider, root: Path) -> None:
        put(provider, "a.json", {"x": 1})
        (root / "a.json").write_text('{"x": 2}')
        assert provider.retrieve("a.json") == {"x": 2}
        assert metadata_of(provider, "a.json") == {}
        assert keys(provider, {"metadata.of": "a.json"}) == []
        assert keys(provider, {"metadata.of": None}) == ["a.json"]

    def test_a_file_that_was_deleted_or_moved(self, provider: FileSystemProvider, root: Path) -> None:
        put(provider, "a", 1)
        put(provider, "b", 1)
        (root / "a").unlink()
        (root / "b").rename(root / "c")
        assert provider.read(["a"]) == [None]
        assert keys(provider) == ["c"]
        assert keys(provider, {"metadata.of": {"$exists": True}}) == []
        assert metadata_of(provider, "c") == {}

    @pytest.mark.parametrize("look", ["read", "metadata", "query", "walk"])
    def test_a_touched_file_keeps_its_metadata(
        self, provider: FileSystemProvider, root: Path, look: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put(provider, "a", 1)
        os.utime(root / "a")
        match look:
            case "read":
                assert provider.retrieve("a") == 1
            case "metadata":
                assert metadata_of(provider, "a") == {"of": "a"}
            case "query":
                assert keys(provider, {"metadata.of": "a"}) == ["a"]
            case _:
                assert keys(provider, {"metadata.b": None}) == ["a"]
        assert metadata_of(provider, "a") == {"of": "a"}
        # From now on without reading the file.
        monkeypatch.delattr(File, "digest")
        assert keys(provider, {"metadata.of": "a"}) == ["a"]

    @pytest.mark.parametrize("keep_times", [True, False])
    def test_a_copied_directory_is_the_same(
        self, provider: FileSystemProvider, root: Path, tmp_path: Path, keep_times: bool
    ) -> None:
        for name in ("a", "a/b", "c"):
            put(provider, name, name)
        provider.close()
        copied = tmp_path / "copy"
        shutil.copytree(root, copied, copy_function=shutil.copy2 if keep_times else shutil.copyfile)
        with FileSystemProvider(copied) as other:
            for name in ("a", "a/b", "c"):
                assert other.retrieve(name) == name
                assert metadata_of(other, name) == {"of": name}
            assert keys(other, {"metadata.of": {"$exists": True}}) == ["a", "a/b", "c"]

    def test_json_that_is_none(self, provider: FileSystemProvider, root: Path) -> None:
        root.mkdir()
        (root / "a.json").write_text("{oh no")
        with pytest.raises(SerializationError, match="not JSON"):
            provider.retrieve("a.json")

    def test_what_is_no_record_is_not_listed(self, provider: FileSystemProvider, root: Path) -> None:
        put(provider, "good", 1)
        os.mkfifo(root / "fifo")
        for name in (b"bad\xff", "e\u0301".encode(), b"back\\slash", b"new\nline", b".praval-x.tmp"):
            Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_text("x")
        (root / ".hidden").write_text("x")
        (root / "empty").mkdir()
        assert keys(provider) == [".hidden", "good"]
        assert (
            keys(provider, {"key": {"$prefix": ".praval/"}})
            == keys(provider, {"key": {"$prefix": "../"}})
            == []
        )
        assert (
            provider.read(["fifo", "empty"]) == provider.read(["fifo", "empty"], bodies=False) == [None, None]
        )
        assert provider.remove(["fifo", "empty"]) == [False, False]
        assert (root / "fifo").exists()


class TestKeysThatCannotBeFiles:
    @pytest.mark.parametrize("order", [["a", "a/b", "a/b/c"], ["a/b/c", "a/b", "a"]])
    @pytest.mark.parametrize("batch", [True, False])
    def test_a_record_beside_a_directory_of_its_name(
        self, provider: FileSystemProvider, order: list[str], batch: bool
    ) -> None:
        drafts = [Draft(key, key, {"of": key}, NOW) for key in order]
        for part in [drafts] if batch else [[one] for one in drafts]:
            assert all(result.success for result in provider.write(part, overwrite=False))
        assert [provider.retrieve(key) for key in order] == order
        assert keys(provider) == keys(provider, {"metadata.of": {"$exists": True}}) == sorted(order)
        assert keys(provider, {"key": {"$prefix": "a/"}}, "-key") == ["a/b/c", "a/b"]
        with pytest.raises(KeyExistsError):
            put(provider, "a", 2, overwrite=False)
        assert put(provider, "a", 2, at=LATER).created_at == NOW
        assert provider.remove(["a", "a"]) == [True, False]
        assert keys(provider) == ["a/b", "a/b/c"]

    def test_long_names(self, provider: FileSystemProvider, root: Path) -> None:
        names = ["x" * 500, "ü" * 200, "y" * 300 + "/z", "w" * 255]
        for name in names:
            assert provider.load(put(provider, name, name)) == name
        assert keys(provider) == sorted(names)
        assert (root / ("w" * 255)).exists()
        with provider.open("x" * 500) as file:
            assert file.read() == b"x" * 500

    def test_special_files_and_foreign_directories_stay(
        self, provider: FileSystemProvider, root: Path
    ) -> None:
        root.mkdir()
        os.mkfifo(root / "fifo")
        (root / "folder").mkdir()
        for name in ("fifo", "folder"):
            assert provider.load(put(provider, name, name)) == name
        assert (root / "fifo").is_fifo()
        assert keys(provider) == ["fifo", "folder"]

    def test_a_diverted_record_precedes_a_file_put_there_later(
        self, provider: FileSystemProvider, root: Path
    ) -> None:
        put(provider, "a/b", 1)
        put(provider, "a", "diverted")
        shutil.rmtree(root / "a")
        (root / "a").write_text("by hand")
        assert provider.retrieve("a") == "diverted"
        assert keys(provider) == ["a"]
        assert provider.load(put(provider, "a", "again")) == "again"
        assert provider.remove(["a"]) == [True]
        assert provider.read(["a"]) == [None]


class TestLinks:
    @pytest.fixture
    def outside(self, tmp_path: Path, root: Path) -> Path:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret.txt").write_text("secret")
        root.mkdir()
        (root / "folder").symlink_to(outside)
        (root / "file.txt").symlink_to(outside / "secret.txt")
        (root / "dangling").symlink_to(outside / "nothing")
        return outside

    def test_links_do_not_lead_out(self, provider: FileSystemProvider, outside: Path) -> None:
        names = ["folder/secret.txt", "file.txt", "dangling", "folder"]
        assert keys(provider) == keys(provider, {"key": {"$prefix": "folder/"}}) == []
        assert provider.read(names) == provider.read(names, bodies=False) == [None] * 4
        assert provider.remove(names) == [False] * 4
        assert provider.collections() == []
        with pytest.raises(KeyNotFoundError):
            provider.open("file.txt")
        assert (outside / "secret.txt").read_text() == "secret"

    def test_nothing_is_written_through_a_link_that_leads_out(
        self, provider: FileSystemProvider, root: Path, outside: Path
    ) -> None:
        for name in ("folder/secret.txt", "folder/new/er.txt"):
            with pytest.raises(StoragePermissionError, match="leads out"):
                provider.store(name, "mine", {})
        for name in ("file.txt", "dangling", "folder"):
            assert provider.load(put(provider, name, "mine")) == "mine"
            assert (root / name).is_symlink()
        assert {path.name: path.read_text() for path in outside.iterdir()} == {"secret.txt": "secret"}

    def test_a_directory_exchanged_for_a_link(
        self, provider: FileSystemProvider, root: Path, outside: Path
    ) -> None:
        put(provider, "sub/secret.txt", "mine")
        shutil.rmtree(root / "sub")
        (root / "sub").symlink_to(outside)
        assert provider.read(["sub/secret.txt"]) == [None]
        assert keys(provider, {"metadata.of": {"$exists": True}}) == []
        assert provider.remove(["sub/secret.txt"]) == [False]
        assert (outside / "secret.txt").exists()

    def test_links_that_stay_inside(self, provider: FileSystemProvider, root: Path) -> None:
        put(provider, "real/a.txt", "a")
        (root / "alias").symlink_to("real")
        (root / "one.txt").symlink_to("real/a.txt")
        (root / "real/up").symlink_to("..")
        (root / "real/self").symlink_to(".")
        assert keys(provider) == ["alias/a.txt", "one.txt", "real/a.txt"]
        assert provider.retrieve("alias/a.txt") == provider.retrieve("one.txt") == "a"
        put(provider, "one.txt", "own")
        assert not (root / "one.txt").is_symlink()
        assert provider.retrieve("real/a.txt") == "a"

    def test_the_directory_itself_may_be_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        with FileSystemProvider(tmp_path / "link", durable=False) as provider:
            put(provider, "sub/a", 1)
            assert keys(provider) == ["sub/a"]
            assert (tmp_path / "real/sub/a").exists()


class TestStreams:
    def test_files_go_in_and_come_out(self, provider: FileSystemProvider, tmp_path: Path) -> None:
        body = os.urandom(3_000_000)
        (tmp_path / "source.bin").write_bytes(body)
        put(provider, "from/path.bin", tmp_path / "source.bin")
        put(provider, "from/file.bin", BytesIO(body))
        for name in ("from/path.bin", "from/file.bin"):
            with provider.open(name) as file:
                assert file.read() == body
            assert provider.retrieve(name) == body

    def test_an_open_file_stays_the_version_it_was(self, provider: FileSystemProvider) -> None:
        put(provider, "a", b"first")
        with provider.open("a") as file:
            put(provider, "a", b"second")
            provider.remove(["a"])
            assert file.read() == b"first"

    def test_a_missing_key(self, provider: FileSystemProvider) -> None:
        with pytest.raises(KeyNotFoundError, match="nothing"):
            provider.open("nothing")


class TestSettings:
    def test_the_environment(self, tmp_path: Path) -> None:
        assert FileSystemSettings.from_env({}).base_path == "./storage"
        assert FileSystemSettings.from_env({"FILESYSTEM_BASE_PATH": "/a"}).base_path == "/a"
        both = {"FILESYSTEM_BASE_PATH": "/a", "PRAVAL_STORAGE_PATH": str(tmp_path)}
        assert FileSystemProvider.from_env(both).base_path == tmp_path

    def test_the_path_is_absolute_from_the_beginning(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        provider = FileSystemProvider("here", durable=False)
        monkeypatch.chdir("/")
        assert provider.base_path == tmp_path / "here"

    def test_without_auto_create_the_directory_must_be_there(self, tmp_path: Path) -> None:
        with FileSystemProvider(tmp_path / "missing", auto_create=False) as provider:
            for call in (
                lambda: provider.retrieve("a"),
                lambda: provider.store("a", 1, {}),
                lambda: provider.query({}, None),
                provider.health,
            ):
                with pytest.raises(ConfigurationError, match="auto_create=True"):
                    call()
            (tmp_path / "missing").mkdir()
            assert provider.store("a/b", 1, {}).success

    def test_a_file_is_no_directory(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ConfigurationError, match="not a directory"):
            FileSystemProvider(tmp_path / "file")

    def test_the_directory_may_vanish_and_come_back(self, provider: FileSystemProvider, root: Path) -> None:
        put(provider, "a", 1)
        shutil.rmtree(root)
        assert keys(provider) == []
        assert provider.load(put(provider, "a", 2)) == 2
        assert keys(provider, {"metadata.of": "a"}) == ["a"]


class TestCollections:
    def test_directories_are_collections(self, provider: FileSystemProvider, root: Path) -> None:
        for name in ("x", "runs/one/a.json", "runs/b.json", "other/c.json"):
            put(provider, name, name)
        assert (provider.collection, provider.collections()) == ("", ["other", "runs"])
        runs = provider.in_collection("runs")
        assert (runs.collection, runs.collections()) == ("runs", ["runs/one"])
        assert keys(runs) == keys(runs, {"metadata.of": {"$exists": True}}) == ["b.json", "one/a.json"]
        assert keys(runs, {"key": {"$prefix": "one/"}}) == keys(runs, {"key": {"$gt": "c"}}) == ["one/a.json"]
        assert runs.retrieve("b.json") == "runs/b.json"
        assert put(runs, "new", 1).key == "new"
        assert (root / "runs/new").exists()
        assert runs.remove(["new", "x"]) == [True, False]
        assert runs.in_collection("").collection == ""
        assert runs.in_collection("other").retrieve("c.json") == "other/c.json"
