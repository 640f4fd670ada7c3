"""What is particular to S3: metadata that travels with objects, pages, parts, credentials, failures."""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import backends
import numpy as np
import pandas as pd
import pytest
import s3fs
from backends import S3_CREDENTIALS

from praval_storage import DataManager
from praval_storage.errors import (
    ConfigurationError,
    KeyExistsError,
    KeyNotFoundError,
    StorageConnectionError,
    StorageError,
    StoragePermissionError,
)
from praval_storage.filters import parse, parse_order
from praval_storage.providers._objects.reader import BUFFER
from praval_storage.providers.s3 import S3Provider, S3Settings, upload
from praval_storage.providers.s3 import store as s3_store
from praval_storage.providers.s3.connection import Connection
from praval_storage.providers.s3.flow import Flow
from praval_storage.records import Draft
from praval_storage.scan import Scan
from praval_storage.selection import select
from praval_storage.serialization import decode_metadata

NOW = datetime(2025, 1, 15, 12, tzinfo=UTC)
USER, SECRET, REGION = S3_CREDENTIALS
LONG = {"notes": "x" * 5_000, "n": 1}
"""Metadata that no header can hold."""


@pytest.fixture
def bucket() -> str:
    return f"test-{uuid4().hex}"


@pytest.fixture
def boto(s3_endpoint: str, bucket: str) -> Any:
    """What others use; the bucket is made."""
    client = backends.boto(s3_endpoint)
    client.create_bucket(Bucket=bucket)
    yield client
    client.close()


@pytest.fixture
def provider(bucket: str, s3_endpoint: str) -> Iterator[S3Provider]:
    with make(bucket, s3_endpoint) as provider:
        yield provider


@pytest.fixture
def dm(provider: S3Provider) -> Iterator[DataManager]:
    with DataManager({"s3": provider}) as dm:
        yield dm


def make(bucket: str, endpoint: str, **options: Any) -> S3Provider:
    return S3Provider(bucket, USER, SECRET, REGION, endpoint_url=endpoint, auto_create=True, **options)


def metadata_of(provider: S3Provider, key: str) -> dict[str, Any]:
    [stored] = provider.read([key], bodies=False)
    assert stored is not None
    return decode_metadata(stored.metadata)


def names(boto: Any, bucket: str, prefix: str = "") -> list[str]:
    return [found["Key"] for found in boto.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", ())]


class TestObjects:
    def test_the_object_holds_the_data_and_its_header_the_rest(
        self, provider: S3Provider, boto: Any, bucket: str
    ) -> None:
        provider.store("a/b.csv", "x,y\n1,2\n", {"kind": "table"})
        found = boto.get_object(Bucket=bucket, Key="a/b.csv")
        assert found["Body"].read() == b"x,y\n1,2\n"
        assert found["ContentType"].startswith("text/")
        assert '"kind":"table"' in found["Metadata"]["praval"]
        assert names(boto, bucket) == ["a/b.csv"]

    @pytest.mark.parametrize(
        "metadata",
        [
            {"text": "Zürich 日本語 \U0001f600 \x7f"},
            {"spaces": "  a    b  ", "control": "\t\n\r\x00"},
            {"quotes": '"\\"', "number": 2**70, "float": 1e300, "when": NOW, "pair": (1, 2)},
        ],
    )
    def test_any_metadata_fits_a_header(self, provider: S3Provider, metadata: dict[str, Any]) -> None:
        provider.store("k", 1, metadata)
        assert metadata_of(provider, "k") == metadata

    def test_a_prefix_keeps_providers_apart(self, boto: Any, bucket: str, s3_endpoint: str) -> None:
        with make(bucket, s3_endpoint, prefix="team/") as ours, make(bucket, s3_endpoint) as all_of_it:
            ours.store("k", 1, LONG)
            all_of_it.store("other", 2, {})
            assert [name for name in names(boto, bucket) if ".praval" not in name] == ["other", "team/k"]
            assert ours.query({}, None) == [1]
            assert metadata_of(all_of_it, "team/k") == LONG
            assert (ours.collections(), all_of_it.collections()) == ([], ["team"])

    def test_folder_markers_and_illegal_names_are_passed_over(
        self, provider: S3Provider, boto: Any, bucket: str
    ) -> None:
        for name in ("folder/", "a//b", "/absolute", "a/../b", "legal", "back\\slash"):
            boto.put_object(Bucket=bucket, Key=name, Body=b"1")
        assert [row.key for row in provider.scan(Scan()).rows] == ["legal"]
        assert provider.purge_expired() == 0
        assert provider.collections() == ["folder", "a"][::-1]

    def test_what_others_wrote_is_read_by_its_suffix(self, dm: DataManager, boto: Any, bucket: str) -> None:
        frame = pd.DataFrame({"n": [1, 2], "name": ["x", "y"]})
        parquet, npy = BytesIO(), BytesIO()
        frame.to_parquet(parquet)
        np.save(npy, np.arange(3))
        for name, body in {
            "t.csv": frame.to_csv(index=False).encode(),
            "t.parquet": parquet.getvalue(),
            "a.npy": npy.getvalue(),
            "lines.ndjson": b'{"n": 1}\n{"n": 2}\n',
            "o.json": b'{"n": 3}',
        }.items():
            boto.put_object(Bucket=bucket, Key=name, Body=body, Metadata={"praval": "somebody else's"})
        assert dm.retrieve_by_key("s3", "t.csv").equals(frame)
        assert dm.retrieve_by_key("s3", "t.parquet").equals(frame)
        assert dm.retrieve_by_key("s3", "a.npy").tolist() == [0, 1, 2]
        assert dm.retrieve_by_key("s3", "lines.ndjson") == [{"n": 1}, {"n": 2}]
        assert dm.query("s3", {"n": 3}) == [{"n": 3}]
        [theirs] = dm.query("s3", {"key": "o.json"}).records
        assert (theirs.metadata, theirs.created_at) == ({}, None)
        assert theirs.updated_at is not None
        assert dm.query("s3", {"key": "o.json"}).to_pandas()["n"].tolist() == [3]


class TestCompanions:
    def test_long_metadata_is_in_an_object_that_is_never_listed(
        self, provider: S3Provider, boto: Any, bucket: str
    ) -> None:
        provider.store("k", (1, 2), LONG)
        assert (metadata_of(provider, "k"), provider.retrieve("k")) == (LONG, (1, 2))
        [companion] = names(boto, bucket, ".praval/")
        assert companion in boto.head_object(Bucket=bucket, Key="k")["Metadata"]["praval"]
        assert [row.key for row in provider.scan(Scan()).rows] == ["k"]
        assert provider.collections() == []
        assert provider.query({"metadata.n": 1}, None) == [(1, 2)]

    def test_it_goes_with_its_object(self, provider: S3Provider, boto: Any, bucket: str) -> None:
        provider.store("k", 1, LONG)
        provider.store("k", 2, LONG)
        assert len(names(boto, bucket, ".praval/")) == 1
        provider.store("k", 3, {})
        assert (names(boto, bucket, ".praval/"), metadata_of(provider, "k")) == ([], {})
        provider.store("k", 4, LONG)
        assert provider.delete("k")
        assert names(boto, bucket) == []

    def test_who_dies_between_the_two_leaves_the_old_version(
        self, provider: S3Provider, boto: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        provider.store("k", "old", {**LONG, "version": "old"})
        with monkeypatch.context() as patch:
            patch.setattr(upload.Uploader, "send", dies)
            with pytest.raises(StorageError, match="killed"):
                provider.store("k", "new", {**LONG, "version": "new"})
        assert (provider.retrieve("k"), metadata_of(provider, "k")["version"]) == ("old", "old")
        assert len(names(boto, bucket, ".praval/")) == 2
        provider.purge_expired()
        assert len(names(boto, bucket, ".praval/")) == 2, "it may be on its way"
        monkeypatch.setattr(s3_store, "GRACE", timedelta(seconds=-5))
        provider.purge_expired()
        assert len(names(boto, bucket, ".praval/")) == 1
        assert metadata_of(provider, "k")["version"] == "old"

    def test_one_that_is_lost_costs_the_metadata_and_a_warning(
        self, provider: S3Provider, boto: Any, bucket: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        provider.store("k", 1, LONG)
        boto.delete_object(Bucket=bucket, Key=names(boto, bucket, ".praval/")[0])
        assert (provider.retrieve("k"), metadata_of(provider, "k")) == (1, {})
        assert "metadata of 'k' is missing" in caplog.text

    def test_readers_meet_whole_versions_while_it_is_replaced(self, provider: S3Provider) -> None:
        provider.store("k", 0, {**LONG, "version": 0})

        def write() -> None:
            for version in range(1, 30):
                provider.store("k", version, {**LONG, "version": version})

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            while not writing.done():
                [stored] = provider.read(["k"])
                assert stored is not None
                assert decode_metadata(stored.metadata)["version"] == provider.load(stored)
            writing.result()


async def dies(*_: object) -> None:
    raise OSError("killed")


class TestListing:
    def test_more_objects_than_a_page_and_no_body_is_read(
        self, dm: DataManager, boto: Any, bucket: str
    ) -> None:
        def put(number: int) -> None:
            boto.put_object(Bucket=bucket, Key=f"n/{number:05}.txt", Body=b"x" * (number % 7))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(put, range(1_100)))
        provider = dm.providers["s3"]
        assert isinstance(provider, S3Provider)
        assert [entry.name for entry in provider._store.entries("")] == [
            f"n/{n:05}.txt" for n in range(1_100)
        ]
        first = dm.list("s3", limit=5)
        assert (first.keys, first.truncated) == ([f"n/{n:05}.txt" for n in range(5)], True)
        last = dm.list("s3", limit=3, order_by="-key")
        assert (last.keys, last.plan.order) == ([f"n/{n:05}.txt" for n in (1099, 1098, 1097)], "native")
        largest = dm.list("s3", limit=2, order_by="-size")
        assert (largest.keys, largest.plan.scanned) == (["n/00006.txt", "n/00013.txt"], 3)

    def test_the_plan_says_what_a_listing_decided(self, dm: DataManager, provider: S3Provider) -> None:
        dm.store_many(
            {f"{folder}/{n}": {"n": n} for folder in "ab" for n in range(3)}, "s3", metadata={"m": 1}
        )
        found = dm.query("s3", {"key": {"$prefix": "a/"}, "metadata.m": 1, "n": 2})
        assert found.keys == ["a/2"]
        assert found.plan.pushed == {"key": {"$prefix": "a/"}}
        assert found.plan.residual == {"metadata.m": 1, "n": 2}
        assert (found.plan.scanned, found.plan.index) == (3, "listing of 'a/'")
        assert dm.query("s3").plan.index == "listing of everything"
        named = dm.query("s3", {"key": {"$in": ["b/0", "missing", "a//b"]}})
        assert (named.keys, named.plan.scanned, named.plan.index) == (["b/0"], 1, "names")
        assert dm.query("s3", {"size": {"$gt": 100}}).plan.scanned == 0
        assert dm.query("s3", {"metadata.m": 1}).plan.hint is not None

    def test_large_bodies_are_read_when_they_are_looked_at(self, provider: S3Provider) -> None:
        provider.store("large", b"x" * 20_000, {})
        provider.store("small", b"x" * 2_000, {})
        large, small = select(provider, Scan(order=parse_order("key")), NOW).rows
        assert (large.body, small.body) == (None, b"x" * 2_000)
        assert [row and row.body for row in provider.fill([large, small])] == [b"x" * 20_000, b"x" * 2_000]
        listed = select(provider, Scan(parse({"metadata.a": None}), bodies=False), NOW).rows
        assert [row.body for row in listed] == [None, None]


@pytest.mark.parametrize("status", ["", "Enabled", "Suspended"])
def test_whether_a_deletion_keeps_what_was_stored(
    provider: S3Provider, boto: Any, bucket: str, status: str
) -> None:
    if status:
        boto.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
    provider.store("k", 1, {})
    provider.delete("k")
    assert ("Versions" in boto.list_object_versions(Bucket=bucket)) is (status == "Enabled")
    assert provider.keeps_versions() is (status == "Enabled")


class TestParts:
    def test_a_body_of_many_parts_has_its_metadata(
        self, provider: S3Provider, boto: Any, bucket: str, tmp_path: Path
    ) -> None:
        body = os.urandom(3 * upload.PART + 17)
        (tmp_path / "file.bin").write_bytes(body)
        [result] = provider.write([Draft("k", tmp_path / "file.bin", {"a": "ü", **LONG}, NOW)])
        assert (result.error, result.size) == (None, len(body))
        assert boto.head_object(Bucket=bucket, Key="k")["ETag"].endswith('-4"')
        assert (metadata_of(provider, "k")["a"], provider.retrieve("k")) == ("ü", body)
        with provider.open("k") as file:
            file.seek(-17, os.SEEK_END)
            assert (file.read(), file.tell()) == (body[-17:], len(body))
            file.seek(upload.PART - 1)
            assert file.read(3) == body[upload.PART - 1 : upload.PART + 2]

    def test_parts_are_taken_back_when_the_source_breaks(
        self, provider: S3Provider, boto: Any, bucket: str
    ) -> None:
        provider.store("k", "before", {})

        class Breaking(BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                if self.tell() > upload.PART:
                    raise OSError("the disk is gone")
                return super().read(min(size or 0, 1 << 20))

        [result] = provider.write([Draft("k", Breaking(bytes(2 * upload.PART)), {}, NOW)])
        assert "the disk is gone" in str(result.error)
        assert provider.retrieve("k") == "before"
        assert "Uploads" not in boto.list_multipart_uploads(Bucket=bucket)

    def test_parts_do_not_replace_what_is_there_either(self, provider: S3Provider) -> None:
        provider.store("k", 1, {})
        body = BytesIO(bytes(2 * upload.PART))
        [result] = provider.write([Draft("k", body, {}, NOW)], overwrite=False)
        assert isinstance(result.error, KeyExistsError)
        assert provider.retrieve("k") == 1

    def test_a_body_that_is_replaced_while_it_is_read_says_so(self, provider: S3Provider) -> None:
        provider.store("k", bytes(9 << 20), {})
        with provider.open("k") as file:
            assert file.read(1) == b"\0"
            provider.store("k", b"new", {})
            with pytest.raises(KeyNotFoundError, match="replaced while it was read"):
                file.read()

    def test_memory_stays_flat(self, bucket: str, s3_endpoint: str, tmp_path: Path) -> None:
        found = run(FLAT, bucket, s3_endpoint, str(tmp_path / "big"))
        before, after = map(int, found.split())
        assert after - before < 64 << 10, "KiB"


class TestFlows:
    """A body that is read on and on comes in one answer, not in ranges."""

    @pytest.fixture
    def body(self) -> bytes:
        return os.urandom(5 * BUFFER + 17)

    @pytest.fixture
    def asked(self, provider: S3Provider, body: bytes, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The ranges that are asked for of the object ``k``."""
        provider.store("k", body, {})
        ranges: list[str] = []
        call = Connection.call

        async def recording(self: Connection, method: str, **parameters: Any) -> Any:
            if method == "get_object":
                ranges.append(parameters["Range"])
            return await call(self, method, **parameters)

        monkeypatch.setattr(Connection, "call", recording)
        return ranges

    def test_it_takes_two_requests(
        self, dm: DataManager, body: bytes, asked: list[str], tmp_path: Path
    ) -> None:
        dm.retrieve("praval://s3/k", into=tmp_path / "k")
        assert (tmp_path / "k").read_bytes() == body
        assert asked == [f"bytes=0-{BUFFER - 1}", f"bytes={BUFFER}-"]

    def test_one_that_breaks_off_goes_on_where_it_was(
        self, provider: S3Provider, body: bytes, asked: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read, left = Flow.read, [2]

        def breaking(self: Flow, length: int) -> bytes:
            left[0] -= 1
            if left[0] == 0:
                asyncio.run_coroutine_threadsafe(close(self), self._loop).result()
            return read(self, length)

        async def close(flow: Flow) -> None:
            flow._stream._raw_stream.connection.close()

        monkeypatch.setattr(Flow, "read", breaking)
        with provider.open("k") as file:
            assert b"".join(iter(lambda: file.read(1 << 20), b"")) == body
        assert len(asked) == 4

    @pytest.mark.parametrize("seed", range(3))
    def test_it_may_be_left_for_any_other_place(
        self, provider: S3Provider, body: bytes, asked: list[str], seed: int
    ) -> None:
        random = Random(seed)
        with provider.open("k") as file, BytesIO(body) as expected:
            for _ in range(25):
                if random.random() < 0.3:
                    place = random.randrange(len(body))
                    assert file.seek(place) == expected.seek(place)
                length = random.choice([1, 1000, BUFFER - 1, BUFFER, 2 * BUFFER])
                assert file.read(length) == expected.read(length)

    def test_bodies_that_are_half_read_leave_connections_to_others(
        self, bucket: str, s3_endpoint: str, body: bytes
    ) -> None:
        with make(bucket, s3_endpoint, max_concurrency=4) as provider:
            provider.store("k", body, {})
            files = [provider.open("k") for _ in range(6)]
            for file in files:
                assert file.read(2 * BUFFER) == body[: 2 * BUFFER]
                assert file.read(BUFFER) == body[2 * BUFFER : 3 * BUFFER]
            flows = [file.raw._flow for file in files]  # type: ignore[attr-defined]
            assert [flow is not None for flow in flows] == [True, True, False, False, False, False]
            provider.store("other", 1, {})
            for file in files:
                file.close()
            with provider.open("k") as file:
                file.read(2 * BUFFER)
                file.read(BUFFER)
                assert file.raw._flow is not None  # type: ignore[attr-defined]

    def test_one_that_is_forgotten_is_closed(self, provider: S3Provider, asked: list[str]) -> None:
        file = provider.open("k")
        file.read(2 * BUFFER)
        file.read(BUFFER)
        raw_stream = file.raw._flow._stream._raw_stream  # type: ignore[attr-defined]
        del file
        deadline = time.monotonic() + 30
        while not raw_stream.closed:
            assert time.monotonic() < deadline, "nobody closes it"
            time.sleep(0.01)

    def test_it_outlives_closing_and_a_fork(
        self, provider: S3Provider, body: bytes, asked: list[str]
    ) -> None:
        file = provider.open("k")
        assert file.read(2 * BUFFER) == body[: 2 * BUFFER]
        context = multiprocessing.get_context("fork")
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=lambda: sender.send(file.read() == body[2 * BUFFER :]))
        child.start()
        assert receiver.poll(30)
        assert receiver.recv() is True
        child.join(30)
        assert file.read(BUFFER) == body[2 * BUFFER : 3 * BUFFER]
        provider.close()
        assert file.read() == body[3 * BUFFER :]
        file.close()


FLAT = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from praval_storage.providers.s3 import S3Provider
from praval_storage.records import Draft
bucket, endpoint, path = sys.argv[1:]
def peak():
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1])
with open(path, "wb") as file:
    for _ in range(128):
        file.write(os.urandom(1 << 20))
with S3Provider(bucket, "testing", "testing", endpoint_url=endpoint, auto_create=True) as provider:
    provider.store("warm", b"up", {})
    before = peak()
    [result] = provider.write([Draft("big", Path(path), {}, datetime.now(UTC))])
    assert result.success, result.error
    with provider.open("big") as file:
        assert sum(len(piece) for piece in iter(lambda: file.read(1 << 20), b"")) == 128 << 20
    print(before, peak())
    provider.delete("big")
"""


def run(script: str, *arguments: str) -> str:
    """A script in a process of its own; what it prints."""
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


class TestAtTheSameTime:
    def test_of_several_creators_one_wins(self, provider: S3Provider, bucket: str, s3_endpoint: str) -> None:
        provider.store("there", 1, {})
        others = [make(bucket, s3_endpoint) for _ in range(4)]

        def create(other: S3Provider) -> list[bool]:
            drafts = [Draft(f"k{n}", n, {}, NOW) for n in range(10)]
            return [result.success for result in other.write(drafts, overwrite=False)]

        with ThreadPoolExecutor(4) as pool:
            won = list(pool.map(create, others))
        for other in others:
            other.close()
        # The test server looks and writes in two steps, so two may rarely win; one always does.
        assert [any(column) for column in zip(*won, strict=True)] == [True] * 10
        assert sum(map(sum, won)) <= 12

    def test_a_conditional_write_is_refused_by_the_server_itself(
        self, provider: S3Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        provider.store("k", 1, {})
        monkeypatch.setattr(s3_store.S3Store, "_look", sees_nothing)
        [result] = provider.write([Draft("k", 2, {}, NOW)], overwrite=False)
        assert isinstance(result.error, KeyExistsError)
        monkeypatch.undo()
        assert provider.retrieve("k") == 1

    def test_two_processes_make_the_bucket(self, bucket: str, s3_endpoint: str) -> None:
        at = str(time.time() + 4)
        command = [sys.executable, "-c", CREATE, bucket, s3_endpoint]
        processes = [
            subprocess.Popen([*command, str(number), at], stderr=subprocess.PIPE) for number in range(2)
        ]
        errors = [process.communicate(timeout=60)[1] for process in processes]
        assert errors == [b"", b""]
        with make(bucket, s3_endpoint) as provider:
            assert provider.query({}, None) == [0, 1]

    def test_eight_threads_lose_nothing(self, provider: S3Provider) -> None:
        # 100 rounds and not 500: the test server takes 10 ms for a request, one at a time.
        def work(thread: int) -> None:
            for number in range(100):
                provider.store(f"{thread}/{number % 20}", {"n": number}, {"by": thread})

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        found = select(provider, Scan(), datetime.now(UTC)).rows
        assert len(found) == len({row.key for row in found}) == 160
        assert sorted({provider.load(row)["n"] for row in found}) == list(range(80, 100))

    def test_a_call_under_way_outlasts_closing(self, provider: S3Provider) -> None:
        provider.store("k", 1, {})
        closed = threading.Event()

        def use() -> None:
            while not closed.is_set():
                assert provider.retrieve("k") == 1

        with ThreadPoolExecutor(4) as pool:
            users = [pool.submit(use) for _ in range(4)]
            for _ in range(20):
                provider.retrieve("k")
                provider.close()
            closed.set()
            for user in users:
                user.result()

    def test_it_survives_a_fork(self, provider: S3Provider) -> None:
        provider.store("k", "from the parent", {})
        context = multiprocessing.get_context("fork")
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=lambda: sender.send(provider.retrieve("k")))
        child.start()
        assert receiver.poll(30)
        assert receiver.recv() == "from the parent"
        child.join(30)
        assert child.exitcode == 0
        assert provider.retrieve("k") == "from the parent"

    def test_it_works_inside_a_running_event_loop(self, provider: S3Provider) -> None:
        async def cell() -> Any:
            provider.store("k", 1, {})
            return provider.retrieve("k")

        assert asyncio.run(cell()) == 1


CREATE = """
import sys, time
from praval_storage.providers.s3 import S3Provider
bucket, endpoint, number, at = sys.argv[1:]
# The test server, like S3, tells a bucket that is there already only outside of us-east-1.
options = {"region_name": "eu-west-1", "endpoint_url": endpoint, "auto_create": True}
with S3Provider(bucket, "testing", "testing", **options) as provider:
    time.sleep(max(0, float(at) - time.time()))
    provider.store(number, int(number), {})
"""


async def sees_nothing(*_: object, **__: object) -> None:
    return None


class TestLifeCycle:
    def test_the_bucket_is_made_by_the_first_write_and_not_before(
        self, bucket: str, s3_endpoint: str, provider: S3Provider
    ) -> None:
        assert provider.query({}, None) == []
        assert provider.delete("k") is False
        assert "will be made" in provider.health()
        assert bucket not in provider.buckets()
        provider.store("k", 1, {})
        assert bucket in provider.buckets()
        assert "will be made" not in provider.health()

    def test_a_given_filesystem_is_used_and_never_closed(
        self, boto: Any, bucket: str, s3_endpoint: str
    ) -> None:
        files = s3fs.S3FileSystem(key=USER, secret=SECRET, endpoint_url=s3_endpoint, skip_instance_cache=True)
        provider = S3Provider(bucket, filesystem=files)
        provider.store("k", 1, {})
        session = files._s3._endpoint.http_session
        provider.close()
        assert session._sessions is not None
        assert files.cat_file(f"{bucket}/k") == b"1"
        assert provider.retrieve("k") == 1
        with pytest.raises(ConfigurationError, match="filesystem="):
            pickle.dumps(provider)
        with pytest.raises(ConfigurationError, match="together"):
            S3Provider(bucket, USER, SECRET, filesystem=files)

    def test_closing_lets_go_of_the_connections(self, provider: S3Provider) -> None:
        provider.store("k", 1, {})
        files = provider._connection._opened
        assert files is not None
        provider.close()
        assert provider._connection._opened is None
        assert provider.retrieve("k") == 1
        assert provider._connection._opened is not files

    def test_a_presigned_url_needs_no_credentials(self, provider: S3Provider) -> None:
        provider.store("a b/ü?versionId=1.json", {"n": 1}, {})
        url = provider.presign("a b/ü?versionId=1.json", expires=60)
        with urllib.request.urlopen(url) as answer:
            assert (answer.read(), answer.headers["Content-Type"]) == (b'{"n":1}', "application/json")
        assert "X-Amz-Expires=60" in url
        assert SECRET not in url.replace(USER, "", 1)
        with pytest.raises(ConfigurationError, match="expires"):
            provider.presign("k", expires=0)

    def test_the_environment_configures_it(self) -> None:
        settings = S3Provider.from_env(
            {
                "AWS_S3_BUCKET": "data",
                "AWS_ACCESS_KEY_ID": "id",
                "AWS_SECRET_ACCESS_KEY": "planted secret",
                "AWS_SESSION_TOKEN": "planted token",
                "AWS_REGION": "eu-central-1",
                "AWS_ENDPOINT_URL": "http://localhost:9000",
            }
        ).settings
        assert (settings.bucket, settings.region) == ("data", "eu-central-1")
        assert (settings.endpoint_url, settings.session_token) == ("http://localhost:9000", "planted token")
        assert "planted" not in repr(settings)
        assert (
            S3Settings.from_env({"S3_BUCKET_NAME": "other", "S3_ENDPOINT_URL": "http://h"}).bucket == "other"
        )
        with pytest.raises(ConfigurationError, match="AWS_S3_BUCKET"):
            S3Provider.from_env({})

    @pytest.mark.parametrize(
        "options",
        [
            {"bucket_name": "s3://bucket"},
            {"bucket_name": "bucket/folder"},
            {"bucket_name": ""},
            {"aws_access_key_id": "alone"},
            {"endpoint_url": "localhost:9000"},
            {"endpoint_url": "http://user:planted@localhost:9000"},
            {"prefix": "/absolute"},
            {"prefix": ".praval/"},
            {"timeout": 0},
            {"max_concurrency": 0},
        ],
    )
    def test_settings_of_the_wrong_shape_are_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError) as caught:
            S3Provider(**{"bucket_name": "bucket", **options})
        assert "planted" not in str(caught.value)


class TestFailures:
    def test_a_missing_bucket_is_named_with_its_cure(self, bucket: str, s3_endpoint: str) -> None:
        provider = S3Provider(bucket, USER, SECRET, endpoint_url=s3_endpoint)
        for attempt in (
            lambda: provider.store("k", 1, {}),
            lambda: provider.retrieve("k"),
            lambda: provider.query({}, None),
            provider.collections,
            provider.health,
        ):
            with pytest.raises(ConfigurationError, match=f"{bucket}.*auto_create=True"):
                attempt()

    def test_a_bucket_that_goes_away_is_made_again(
        self, provider: S3Provider, boto: Any, bucket: str
    ) -> None:
        provider.store("k", 1, {})
        provider.delete("k")
        boto.delete_bucket(Bucket=bucket)
        assert provider.query({}, None) == []
        provider.store("k", 2, {})
        assert provider.retrieve("k") == 2

    @pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "http://no-such-host.invalid:9000"])
    def test_a_wrong_server_is_named_at_once(self, endpoint: str) -> None:
        provider = make("bucket", endpoint)
        started = time.monotonic()
        with pytest.raises(StorageConnectionError, match="endpoint_url") as caught:
            provider.store("k", 1, {})
        assert time.monotonic() - started < 10
        assert endpoint in str(caught.value)
        provider.close()

    @pytest.mark.parametrize("answers", [b"", b"-ERR unknown command\r\n"])
    def test_a_server_that_speaks_something_else(self, answers: bytes) -> None:
        with stranger(answers) as endpoint:
            provider = make("bucket", endpoint, timeout=1.0)
            started = time.monotonic()
            with pytest.raises(StorageConnectionError, match=endpoint):
                provider.store("k", 1, {})
            assert time.monotonic() - started < 10
            provider.close()

    def test_a_batch_does_not_ask_a_server_that_has_gone_for_every_item(self, own_server: Server) -> None:
        provider = own_server.provider("bucket")
        provider.store("k", 1, {})
        own_server.stop()
        results = provider.write([Draft(f"k{n}", n, {}, NOW) for n in range(5)])
        assert {type(result.error) for result in results} == {StorageConnectionError}
        provider.close()

    def test_a_server_that_restarts_is_found_again(self, own_server: Server) -> None:
        with DataManager({"s3": own_server.provider("bucket")}) as dm:
            dm.store(1, "s3", "k")
            own_server.stop()
            with pytest.raises(StorageConnectionError):
                dm.retrieve_by_key("s3", "k")
            own_server.start()
            dm.store(2, "s3", "k")
            assert dm.retrieve_by_key("s3", "k") == 2

    def test_nothing_shows_a_secret(
        self, own_server: Server, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level(logging.DEBUG)
        own_server.require_credentials()
        planted = {"aws_access_key_id": "AKIAPLANTED", "aws_secret_access_key": "planted/secret"}
        provider = S3Provider(
            "bucket", **planted, aws_session_token="planted token", endpoint_url=own_server.endpoint
        )
        seen = [repr(provider), repr(provider.settings), str(vars(provider)["settings"])]
        with DataManager({"s3": provider}) as dm:
            for attempt in (
                lambda: dm.store(1, "s3", "k"),
                lambda: dm.retrieve_by_key("s3", "k"),
                lambda: dm.exists_by_key("s3", "k"),
                lambda: list(dm.query("s3")),
            ):
                with pytest.raises(StoragePermissionError, match="credentials") as caught:
                    attempt()
                seen += [str(caught.value), "".join(traceback.format_exception(caught.value))]
        ours = [record.getMessage() for record in caplog.records if record.name.startswith("praval")]
        seen += [*ours, *capfd.readouterr()]
        assert [text for text in seen if "planted" in text.lower()] == []


@contextmanager
def stranger(answer: bytes) -> Iterator[str]:
    """A server of another kind: says that, or nothing and keeps the line."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                if answer:
                    connection.sendall(answer)
                    connection.close()

    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    for connection in connections:
        connection.close()


class TestCredentials:
    def test_wrong_ones_are_refused_with_advice(self, own_server: Server) -> None:
        key, secret = own_server.create_user()
        own_server.require_credentials()
        for wrong in ((key, "wrong"), ("wrong", secret)):
            provider = S3Provider("bucket", *wrong, REGION, endpoint_url=own_server.endpoint)
            for attempt in (lambda: provider.retrieve("k"), lambda: provider.store("k", 1, {})):  # noqa: B023
                with pytest.raises(StoragePermissionError, match=r"credentials.*Check access key"):
                    attempt()
            provider.close()

    def test_expired_ones_are_looked_up_again(
        self, own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        chain = Chain(tmp_path / "credentials", monkeypatch)
        first, second = own_server.create_user(), own_server.create_user()
        own_server.require_credentials()
        chain.hold(*first)
        with S3Provider(
            "bucket", None, None, REGION, endpoint_url=own_server.endpoint, auto_create=True
        ) as own:
            own.store("k", 1, {})
            own_server.revoke(first)
            with pytest.raises(StoragePermissionError, match="InvalidAccessKeyId"):
                own.retrieve("k")
            chain.hold(*second)
            for attempt, expected in (
                (lambda: own.retrieve("k"), 1),
                (lambda: [stored is not None for stored in own.read(["k"], bodies=False)], [True]),
                (lambda: own.query({}, None), [1]),
            ):
                assert attempt() == expected  # type: ignore[no-untyped-call]

    def test_none_at_all_are_missed(
        self, own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Chain(tmp_path / "credentials", monkeypatch)
        provider = S3Provider("bucket", region_name=REGION, endpoint_url=own_server.endpoint)
        with pytest.raises(StoragePermissionError, match="anon=True"):
            provider.retrieve("k")
        provider.close()

    def test_who_may_not_list_may_still_write_and_is_told_of_the_right(self, own_server: Server) -> None:
        key, secret = own_server.create_user("s3:PutObject", "s3:GetObject")
        own_server.provider("bucket").store("k", 1, {})
        own_server.require_credentials()
        with S3Provider("bucket", key, secret, REGION, endpoint_url=own_server.endpoint) as provider:
            results = provider.write([Draft(f"k{n}", n, {}, NOW) for n in range(20)])
            assert {result.error for result in results} == {None}
            assert provider.retrieve("k7") == 7
            with pytest.raises(StoragePermissionError, match="s3:ListBucket"):
                provider.query({}, None)

    def test_the_doctor_names_the_right_without_which_a_bucket_does_not_answer(
        self, own_server: Server
    ) -> None:
        own_server.provider("bucket").store("k", 1, {})
        key, secret = own_server.create_user("s3:GetObject")
        own_server.require_credentials()
        with DataManager(
            {"s3": S3Provider("bucket", key, secret, REGION, endpoint_url=own_server.endpoint)}
        ) as dm:
            [found] = dm.doctor().values()
        assert (found.status, found.error) == ("down", "StoragePermissionError")
        assert "s3:ListBucket" in found.cure
        assert secret not in repr(found)

    @pytest.mark.parametrize(
        "actions, missing",
        [
            (("s3:*",), []),
            (("s3:ListBucket", "s3:GetObject"), ["s3:PutObject"]),
            (("s3:ListBucket", "s3:PutObject", "s3:AbortMultipartUpload"), ["s3:GetObject"]),
            (("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"), ["s3:ListBucket"]),
        ],
        ids="+".join,
    )
    def test_the_doctor_names_the_rights_that_are_missing_and_leaves_nothing(
        self, own_server: Server, actions: tuple[str, ...], missing: list[str]
    ) -> None:
        owner = own_server.provider("bucket")
        owner.store("k", 1, {})
        # Of moto alone HEAD of a bucket is a right of its own.
        key, secret = own_server.create_user("s3:HeadBucket", *actions)
        own_server.require_credentials()
        with (
            S3Provider("bucket", key, secret, REGION, endpoint_url=own_server.endpoint) as provider,
            DataManager({"s3": provider}) as dm,
            DataManager({"s3": provider}, read_only=True) as reader,
        ):
            [found] = dm.doctor().values()
            assert (found.status, found.reason) == ("up", "")
            named = {finding.cure.split()[1] for finding in found.findings}
            assert named == {*missing}
            [found] = reader.doctor().values()
            assert {finding.cure.split()[1] for finding in found.findings} == {*missing} - {"s3:PutObject"}
        own_server.let(1_000)
        uploads = owner._connection.run(owner._connection.call("list_multipart_uploads"))
        assert not uploads.get("Uploads")
        assert owner.query({}, None) == [1]


class Chain:
    """AWS's usual chain, with nothing in it but one file."""

    def __init__(self, file: Path, patch: pytest.MonkeyPatch) -> None:
        self._file = file
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
        patch.setenv("AWS_CONFIG_FILE", str(file) + ".none")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def hold(self, key: str, secret: str) -> None:
        self._file.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")


class Server:
    """A moto server of this test alone, which can be stopped, and told to ask for credentials."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.users: dict[str, str] = {}
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not self.is_up():
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.05)

    def is_up(self) -> bool:
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def provider(self, bucket: str, **options: Any) -> S3Provider:
        return make(bucket, self.endpoint, **options)

    def create_user(self, *actions: str) -> tuple[str, str]:
        name = f"user{len(self.users)}"
        statement = {"Effect": "Allow", "Action": list(actions) or ["s3:*"], "Resource": "*"}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        self.iam("create_user", UserName=name)
        self.iam("put_user_policy", UserName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
        made = self.iam("create_access_key", UserName=name)["AccessKey"]
        self.users[made["AccessKeyId"]] = name
        return made["AccessKeyId"], made["SecretAccessKey"]

    def revoke(self, pair: tuple[str, str]) -> None:
        self.let(1_000)
        self.iam("delete_access_key", UserName=self.users[pair[0]], AccessKeyId=pair[0])
        self.require_credentials()

    def require_credentials(self) -> None:
        self.let(0)

    def let(self, requests: int) -> None:
        """How many requests need no credentials from now on."""
        url = f"{self.endpoint}/moto-api/reset-auth"
        media_type = {"Content-Type": "text/plain"}
        with urllib.request.urlopen(urllib.request.Request(url, str(requests).encode(), media_type)):
            pass

    def iam(self, operation: str, **parameters: Any) -> Any:
        client = backends.boto(self.endpoint, "iam")
        try:
            return getattr(client, operation)(**parameters)
        finally:
            client.close()


@pytest.fixture
def own_server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()
