"""What others wrote to the same backend is there as if we had, with empty metadata."""

from __future__ import annotations

from praval_storage.base import BaseStorageProvider, CanQuery
from praval_storage.manager import DataManager
from praval_storage.testing.conformance._suite import Suite, keys_in, needs

BODY = b'{"n": 1, "tags": ["x"]}'
DATA = {"n": 1, "tags": ["x"]}
KEY = "folder/theirs.json"


class ForeignTests(Suite):
    """Writing behind the provider's back, then using the provider."""

    @needs(CanQuery, foreign=True)
    def test_it_is_listed_found_and_read(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        dm.store({"n": 2}, storage_type, "ours.json", {"kind": "ours"})
        self.write_foreign(provider, KEY, BODY)
        assert dm.exists_by_key(storage_type, KEY)
        assert dm.retrieve_by_key(storage_type, KEY) == DATA
        assert keys_in(dm, storage_type) == [KEY, "ours.json"]
        assert dm.query(storage_type, {"tags": "x"}) == [DATA]
        assert dm.query(storage_type, {"metadata.kind": {"$ne": "ours"}}) == [DATA]
        [theirs] = dm.query(storage_type, {"key": KEY}).records
        assert (theirs.metadata, theirs.expires_at) == ({}, None)

    @needs(CanQuery, foreign=True)
    def test_it_can_be_copied_replaced_and_deleted(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        self.write_foreign(provider, KEY, BODY)
        [theirs] = dm.list(storage_type)
        copied = dm.copy(theirs, storage_type, key="copy")
        dm.store({"n": 3}, storage_type, KEY, {"kind": "ours"})
        assert dm.query(storage_type, {"metadata.kind": "ours"}) == [{"n": 3}]
        assert dm.retrieve(copied) == DATA
        assert dm.delete(theirs)
        assert not dm.exists(theirs)

    @needs(CanQuery, foreign=True)
    def test_it_replaces_ours(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        dm.store({"n": 3}, storage_type, KEY)
        self.write_foreign(provider, KEY, BODY)
        assert dm.retrieve_by_key(storage_type, KEY) == DATA
        assert dm.query(storage_type, {"n": 3}) == []
        assert dm.query(storage_type, {"n": 1}) == [DATA]
