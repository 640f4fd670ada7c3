"""What is particular to file systems of fsspec: companions, keys that cannot be files, foreign writers."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import pickle
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import pandas as pd
import pytest
from backends import S3_CREDENTIALS

from praval_storage import DataManager
from praval_storage.errors import ConfigurationError, KeyExistsError, KeyNotFoundError, StorageError
from praval_storage.providers.fsspec import FsspecProvider, FsspecSettings
from praval_storage.providers.fsspec import store as file_store
from praval_storage.providers.fsspec.files import Files, NoPlaceError
from praval_storage.records import Draft
from praval_storage.scan import Scan
from praval_storage.selection import select
from praval_storage.serialization import decode_metadata

NOW = datetime(2025, 1, 15, 12, tzinfo=UTC)
SYSTEMS = ["memory", "file", "s3"]


@pytest.fixture(params=SYSTEMS)
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FsspecProvider]:
    name = f"test-{uuid4().hex}"
    if request.param == "s3":
        user, secret, _ = S3_CREDENTIALS
        endpoint = request.getfixturevalue("s3_endpoint")
        options = {"key": user, "secret": secret, "endpoint_url": endpoint}
        fsspec.filesystem("s3", skip_instance_cache=True, **options).mkdir(name)
        made = FsspecProvider(f"s3://{name}/folder", storage_options=options)
    elif request.param == "file":
        made = FsspecProvider(f"file://{tmp_path}/data")
    else:
        made = memory()
    with made:
        yield made


def memory() -> FsspecProvider:
    return FsspecProvider(f"memory://test-{uuid4().hex}/folder")


def theirs(provider: FsspecProvider) -> tuple[Any, str]:
    """The file system as others see it, and the folder."""
    options = dict(provider.settings.storage_options)
    system, root = fsspec.core.url_to_fs(provider.settings.url, skip_instance_cache=True, **options)
    return system, root


def overwrite(provider: FsspecProvider, key: str, body: bytes) -> None:
    system, root = theirs(provider)
    if provider.settings.url.startswith("file:"):
        Path(root, key).parent.mkdir(parents=True, exist_ok=True)
    system.pipe_file(f"{root}/{key}", body)


def metadata_of(provider: FsspecProvider, key: str, *, bodies: bool = False) -> dict[str, Any]:
    [stored] = provider.read([key], bodies=bodies)
    assert stored is not None
    return decode_metadata(stored.metadata)


def keys(provider: FsspecProvider) -> list[str]:
    return [row.key for row in select(provider, Scan(), datetime.now(UTC)).rows]


def companions(provider: FsspecProvider) -> list[str]:
    system, root = theirs(provider)
    return list(system.find(f"{root}/.praval/metadata"))


class TestFiles:
    def test_the_file_holds_the_data_as_stored(self, provider: FsspecProvider) -> None:
        provider.store("a/b.csv", "x,y\n1,2\n", {"kind": "table"})
        system, root = theirs(provider)
        assert system.cat_file(f"{root}/a/b.csv") == b"x,y\n1,2\n"
        assert (keys(provider), provider.collections()) == (["a/b.csv"], ["a"])
        assert provider.query({"metadata.kind": "table"}, 10) == ["x,y\n1,2\n"]

    def test_a_collection_shares_the_companions(self, provider: FsspecProvider) -> None:
        inner = provider.in_collection("a")
        inner.store("b", 1, {"by": "inner"})
        assert metadata_of(provider, "a/b") == {"by": "inner"}
        provider.store("a/c", 2, {"by": "outer"})
        assert metadata_of(inner, "c") == {"by": "outer"}
        assert (keys(inner), inner.collection, inner.collections()) == (["b", "c"], "a", [])

    def test_what_others_wrote_is_read_by_its_suffix(self, provider: FsspecProvider) -> None:
        frame = pd.DataFrame({"n": [1, 2]})
        parquet = BytesIO()
        frame.to_parquet(parquet)
        overwrite(provider, "t.parquet", parquet.getvalue())
        overwrite(provider, "folder/o.json", b'{"n": 3}')
        with DataManager({"files": provider}) as dm:
            assert dm.retrieve_by_key("files", "t.parquet").equals(frame)
            [record] = dm.query("files", {"n": 3}).records
            assert (record.key, record.metadata) == ("folder/o.json", {})
            assert record.updated_at is not None
            assert dm.query("files", {"n": 3}).to_pandas()["n"].tolist() == [3]

    @pytest.mark.parametrize("order", [("a", "a/b", "a/b/c"), ("a/b/c", "a/b", "a")])
    def test_a_key_that_is_a_folder_is_a_record_too(
        self, provider: FsspecProvider, order: tuple[str, ...]
    ) -> None:
        for key in order:
            provider.store(key, {"key": key}, {"key": key})
        assert keys(provider) == ["a", "a/b", "a/b/c"]
        assert [provider.retrieve(key)["key"] for key in order] == list(order)
        assert [metadata_of(provider, key)["key"] for key in order] == list(order)
        provider.store("a", "again", {})
        with provider.open("a") as file:
            assert file.read() == b"again"
        assert provider.delete("a/b")
        assert keys(provider) == ["a", "a/b/c"]
        assert provider.collections() == ["a"]

    def test_a_body_is_read_piecewise(self, provider: FsspecProvider) -> None:
        body = bytes(range(256)) * 40_000
        [result] = provider.write([Draft("k", BytesIO(body), {"a": 1}, NOW)])
        assert (result.error, result.size) == (None, len(body))
        with provider.open("k") as file, provider.open("k") as other:
            assert (file.read(3), other.read(2), file.read(1)) == (body[:3], body[:2], body[3:4])
            file.seek(-2, 2)
            assert file.read() == body[-2:]
        with provider.open("k") as file:
            provider.delete("k")
            with pytest.raises(KeyNotFoundError, match="deleted or replaced"):
                file.read()

    def test_a_stream_that_breaks_leaves_what_was_there(self, provider: FsspecProvider) -> None:
        class Breaking(BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                if self.tell() > 0:
                    raise OSError("the disk is gone")
                return super().read(10)

        provider.store("k", "before", {"a": 1})
        [result] = provider.write([Draft("k", Breaking(bytes(100)), {}, NOW)])
        assert "the disk is gone" in str(result.error)
        assert (provider.retrieve("k"), metadata_of(provider, "k")) == ("before", {"a": 1})


class TestCompanions:
    @pytest.mark.parametrize("bodies", [False, True])
    @pytest.mark.parametrize("body", [b"theirs", b"other size"])
    def test_what_others_overwrite_has_no_metadata_of_ours(
        self, provider: FsspecProvider, body: bytes, bodies: bool
    ) -> None:
        provider.store("k", b"ours..", {"by": "us"})
        assert metadata_of(provider, "k", bodies=bodies) == {"by": "us"}
        overwrite(provider, "k", body)
        assert metadata_of(provider, "k", bodies=bodies) == {}
        assert provider.retrieve("k") == body
        provider.store("k", b"ours again", {"by": "us again"})
        assert metadata_of(provider, "k", bodies=bodies) == {"by": "us again"}

    @pytest.mark.parametrize("bodies", [False, True])
    @pytest.mark.parametrize("survives, expected", [(1, "old"), (2, "new")])
    def test_who_dies_leaves_one_version_with_its_own_metadata(
        self,
        provider: FsspecProvider,
        monkeypatch: pytest.MonkeyPatch,
        survives: int,
        expected: str,
        bodies: bool,
    ) -> None:
        provider.store("k", ("old", 1), {"version": "old"})
        write, done = Files.write, []

        def dies(files: Files, name: str, body: Any) -> None:
            if len(done) == survives:
                raise OSError("killed")
            done.append(name)
            write(files, name, body)

        monkeypatch.setattr(Files, "write", dies)
        with pytest.raises(StorageError, match="killed"):
            provider.store("k", ("new", 2), {"version": "new"})
        monkeypatch.undo()
        assert provider.retrieve("k")[0] == metadata_of(provider, "k", bodies=bodies)["version"] == expected
        provider.store("k", "next", {"version": "next"})
        assert metadata_of(provider, "k", bodies=bodies) == {"version": "next"}

    def test_a_copied_file_keeps_its_metadata(self, provider: FsspecProvider) -> None:
        provider.store("k", b"data", {"a": 1})
        overwrite(provider, "k", b"data")
        assert metadata_of(provider, "k") == metadata_of(provider, "k", bodies=True) == {"a": 1}

    def test_they_go_with_their_files(
        self, provider: FsspecProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for key in ("kept", "gone", "deleted"):
            provider.store(key, 1, {})
        assert provider.delete("deleted")
        system, root = theirs(provider)
        system.rm_file(f"{root}/gone")
        assert (keys(provider), len(companions(provider))) == (["kept"], 2)
        provider.purge_expired()
        assert len(companions(provider)) == 2, "its file may be on its way"
        monkeypatch.setattr(file_store, "GRACE", timedelta(seconds=-5))
        assert provider.purge_expired() == 0
        assert len(companions(provider)) == 1

    def test_one_that_is_broken_is_as_if_there_were_none(self, provider: FsspecProvider) -> None:
        provider.store("k", b"data", {"a": 1})
        system, _ = theirs(provider)
        for broken in (b"", b"[]", b'{"key": "k", "diverted": false, "versions": [{}]}'):
            system.pipe_file(companions(provider)[0], broken)
            assert (metadata_of(provider, "k"), provider.retrieve("k")) == ({}, b"data")


class TestAtTheSameTime:
    def test_in_memory_a_file_does_not_take_the_place_of_a_folder_that_came_meanwhile(self) -> None:
        files = Files(FsspecSettings(f"memory://{uuid4().hex}"))
        files.write("a/b", b"below")
        files._system.pseudo_dirs.clear()  # as while the other thread makes its folder
        with pytest.raises(NoPlaceError):
            files.write("a", b"above")
        assert files.read("a/b") == b"below"

    def test_eight_threads_lose_nothing(self) -> None:
        provider = memory()

        def work(thread: int) -> int:
            won = 0
            for number in range(500):
                provider.store(f"{thread}/{number % 100}", {"n": number}, {"by": thread})
                draft = Draft(f"shared/{number}", thread, {"by": thread}, NOW)
                [result] = provider.write([draft], overwrite=False)
                won += result.success
                assert result.success or isinstance(result.error, KeyExistsError)
            return won

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(work, range(8))) == 500
        found = select(provider, Scan(), NOW).rows
        assert len(found) == 8 * 100 + 500
        for row in found:
            [stored] = provider.read([row.key])
            assert stored is not None
            by = decode_metadata(stored.metadata)["by"]
            assert (
                provider.load(stored) == by if row.key.startswith("shared") else row.key.startswith(f"{by}/")
            )

    @pytest.mark.parametrize("provider", ["file", "s3"], indirect=True)
    def test_it_survives_a_fork(self, provider: FsspecProvider) -> None:
        provider.store("k", "from the parent", {})
        context = multiprocessing.get_context("fork")
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=lambda: sender.send(provider.retrieve("k")))
        child.start()
        assert receiver.poll(30)
        assert receiver.recv() == "from the parent"
        child.join(30)
        assert provider.retrieve("k") == "from the parent"

    def test_it_works_inside_a_running_event_loop(self, provider: FsspecProvider) -> None:
        async def cell() -> Any:
            provider.store("k", 1, {})
            return provider.retrieve("k")

        assert asyncio.run(cell()) == 1


class TestLifeCycle:
    def test_nothing_is_made_before_the_first_write(self, tmp_path: Path) -> None:
        with FsspecProvider(f"file://{tmp_path}/data") as provider:
            assert (keys(provider), provider.delete("k"), provider.collections()) == ([], False, [])
            assert str(tmp_path) in provider.health()
            assert list(tmp_path.iterdir()) == []

    def test_a_pickle_of_it_works_elsewhere(self, provider: FsspecProvider) -> None:
        provider.store("a/k", 1, {"a": 1})
        restored = pickle.loads(pickle.dumps(provider.in_collection("a")))
        assert (restored.retrieve("k"), metadata_of(restored, "k")) == (1, {"a": 1})
        restored.close()

    def test_a_given_filesystem_is_used(self, tmp_path: Path) -> None:
        system = fsspec.filesystem("file", skip_instance_cache=True)
        provider = FsspecProvider(f"file://{tmp_path}/data", filesystem=system)
        provider.store("k", 1, {"a": 1})
        provider.close()
        assert (provider.retrieve("k"), (tmp_path / "data/k").read_bytes()) == (1, b"1")
        with pytest.raises(ConfigurationError, match="filesystem="):
            pickle.dumps(provider)
        with pytest.raises(ConfigurationError, match="together"):
            FsspecProvider("file://" + "/data", filesystem=system, storage_options={"a": 1})

    @pytest.mark.parametrize("url", ["", "folder", "/folder", "sftp://user:planted@host/folder"])
    def test_an_url_of_the_wrong_shape_is_refused(self, url: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            FsspecProvider(url)
        assert "planted" not in str(caught.value)

    def test_an_unknown_protocol_is_named(self) -> None:
        with pytest.raises(StorageError, match="nothing-like-it"):
            FsspecProvider("nothing-like-it://x").retrieve("k")

    def test_nothing_shows_a_secret(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        options = {
            "key": "planted key",
            "secret": "planted secret",
            "endpoint_url": "http://127.0.0.1:1",
            "config_kwargs": {"retries": {"total_max_attempts": 1}},
        }
        provider = FsspecProvider(f"s3://{uuid4().hex}", storage_options=options)
        with pytest.raises(StorageError, match=r"http://127\.0\.0\.1:1") as caught:
            provider.store("k", 1, {})
        error = caught.value
        seen = [repr(provider), repr(provider.settings), str(error), *traceback.format_exception(error)]
        seen += [record.getMessage() for record in caplog.records if record.name.startswith("praval")]
        assert [text for text in seen if "planted" in text] == []
        provider.close()

    def test_the_environment_configures_it(self) -> None:
        settings = FsspecProvider.from_env({"FSSPEC_URL": "memory://x"}).settings
        assert settings == FsspecSettings("memory://x")
        with pytest.raises(ConfigurationError, match="FSSPEC_URL"):
            FsspecProvider.from_env({})
