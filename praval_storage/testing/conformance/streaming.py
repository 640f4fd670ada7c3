"""Files in and out: paths and file objects stand for their content."""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest

from praval_storage.base import BaseStorageProvider, RecordProvider
from praval_storage.errors import KeyNotFoundError, StorageError, UnsupportedOperationError
from praval_storage.manager import DataManager
from praval_storage.reference import DataReference
from praval_storage.testing.conformance._suite import Suite, needs

BIG = bytes(range(256)) * 4 * 8192
"""8 MiB."""


class StreamingTests(Suite):
    """``Path`` and file objects for ``data``, ``into=`` and ``open``."""

    def test_a_file_object_stands_for_its_content(self, dm: DataManager, storage_type: str) -> None:
        file = BytesIO(b"skipped,content \x00\xff")
        file.seek(8)
        assert dm.retrieve(dm.store(file, storage_type, "k")) == b"content \x00\xff"
        assert not file.closed
        assert dm.retrieve(dm.store(BytesIO(), storage_type, "empty")) == b""

    def test_a_path_stands_for_its_content(self, dm: DataManager, storage_type: str, tmp_path: Path) -> None:
        path = tmp_path / "source"
        path.write_bytes(b"\x00\xff content")
        assert dm.retrieve(dm.store(path, storage_type, "k")) == b"\x00\xff content"
        assert path.read_bytes() == b"\x00\xff content"

    @needs(RecordProvider)
    def test_the_suffix_says_what_a_file_holds(
        self, dm: DataManager, storage_type: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "source.json"
        path.write_bytes(b'{"n": [1, 2]}')
        assert dm.retrieve(dm.store(path, storage_type, "k.json")) == {"n": [1, 2]}
        assert dm.retrieve(dm.store(path, storage_type, "k.txt")) == '{"n": [1, 2]}'
        assert dm.retrieve(dm.store(path, storage_type)) == {"n": [1, 2]}

    def test_a_missing_file_is_an_error_and_stores_nothing(
        self, dm: DataManager, storage_type: str, tmp_path: Path
    ) -> None:
        with pytest.raises(StorageError, match="missing"):
            dm.store(tmp_path / "missing", storage_type, "k")
        assert not dm.exists_by_key(storage_type, "k")

    def test_a_file_that_breaks_while_it_is_read_leaves_what_was_there(
        self, dm: DataManager, storage_type: str
    ) -> None:
        dm.store("before", storage_type, "k")
        with pytest.raises(StorageError, match="the disk is gone"):
            dm.store(Breaking(BIG), storage_type, "k")
        assert dm.retrieve_by_key(storage_type, "k") == "before"
        outcomes = dm.store_many([1, Breaking(BIG), 3], storage_type, ["a", "k", "b"])
        assert [outcome.ok for outcome in outcomes] == [True, False, True]

    def test_large_files_come_back_whole(self, dm: DataManager, storage_type: str, tmp_path: Path) -> None:
        (tmp_path / "big").write_bytes(BIG)
        for source in (tmp_path / "big", BytesIO(BIG)):
            reference = dm.store(source, storage_type, "big")
            assert sha256(dm.retrieve(reference)).digest() == sha256(BIG).digest()
            assert reference.size in {None, len(BIG)}

    @needs(RecordProvider)
    def test_into_writes_the_body_as_it_is(self, dm: DataManager, storage_type: str, tmp_path: Path) -> None:
        reference = dm.store(BytesIO(BIG), storage_type, "big")
        path, text, file = tmp_path / "a", str(tmp_path / "b"), BytesIO()
        assert dm.retrieve(reference, into=path) == path
        assert dm.retrieve(reference.uri, into=text) == text
        assert dm.retrieve(reference, into=file) is file
        assert path.read_bytes() == Path(text).read_bytes() == file.getvalue() == BIG
        dm.retrieve(dm.store("\u00fc", storage_type, "text"), into=path)
        assert path.read_bytes() == "\u00fc".encode()

    @needs(RecordProvider)
    def test_into_leaves_the_file_alone_when_there_is_no_record(
        self, dm: DataManager, storage_type: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "target"
        path.write_bytes(b"before")
        missing = DataReference(storage_type, "missing")
        with pytest.raises(KeyNotFoundError, match="missing"):
            dm.retrieve(missing, into=path)
        assert dm.retrieve(missing, default="default", into=path) == "default"
        assert path.read_bytes() == b"before"

    @needs(RecordProvider)
    def test_open_reads_piecewise(self, dm: DataManager, storage_type: str) -> None:
        reference = dm.store(BytesIO(BIG), storage_type, "big")
        with dm.open(reference) as file:
            assert file.readable()
            assert file.read(10) == BIG[:10]
            assert sum(len(piece) for piece in iter(lambda: file.read(1 << 20), b"")) == len(BIG) - 10
        with pytest.raises(KeyNotFoundError, match="missing"):
            dm.open(DataReference(storage_type, "missing"))

    @needs(RecordProvider)
    def test_the_body_of_json_is_json(self, dm: DataManager, storage_type: str) -> None:
        with dm.open(dm.store({"a": [1, "\u00fc"]}, storage_type, "k")) as file:
            assert b"".join(file.read().split()) == '{"a":[1,"\u00fc"]}'.encode()

    def test_a_provider_without_bodies_says_so(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str, tmp_path: Path
    ) -> None:
        reference = dm.store(b"abc", storage_type, "k")
        if isinstance(provider, RecordProvider):
            with dm.open(reference) as file:
                assert file.read() == b"abc"
            return
        with pytest.raises(UnsupportedOperationError):
            dm.open(reference)
        with pytest.raises(UnsupportedOperationError):
            dm.retrieve(reference, into=tmp_path / "target")


class Breaking(BytesIO):
    """A file whose second half cannot be read."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0 or self.tell() >= len(BIG) // 2:
            raise OSError("the disk is gone")
        return super().read(min(size, len(BIG) // 2))
