"""Expiry: from the last write, never sliding; what has expired does not exist."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import nan
from time import monotonic, sleep
from typing import Any

import pytest

from praval_storage.base import BaseStorageProvider, CanPurge, CanQuery, CanSearch, RecordProvider
from praval_storage.errors import ConfigurationError, KeyNotFoundError, UnsupportedOperationError
from praval_storage.manager import DataManager
from praval_storage.reference import DataReference
from praval_storage.testing.conformance._suite import (
    PATIENCE,
    Suite,
    keys_in,
    needs,
    record,
    wait_until_gone,
)

SOON = 0.06
"""Seconds until a record of these tests is gone."""
LONG = 600


class ExpiryTests(Suite):
    """``ttl=`` and ``metadata["ttl"]``."""

    def test_a_provider_without_records_refuses_expiry(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        if isinstance(provider, RecordProvider):
            assert dm.exists(dm.store(1, storage_type, "k", ttl=LONG))
            return
        with pytest.raises(UnsupportedOperationError, match="keeps no expiry"):
            dm.store(1, storage_type, "k", ttl=LONG)
        with pytest.raises(UnsupportedOperationError, match="keeps no expiry"):
            dm.store(1, storage_type, "k", {"ttl": LONG})
        assert not dm.exists_by_key(storage_type, "k")

    @pytest.mark.parametrize("ttl", [0, -1, nan, timedelta(0), True, "60", [60], timedelta.max])
    def test_a_ttl_is_a_positive_duration(self, dm: DataManager, storage_type: str, ttl: Any) -> None:
        with pytest.raises(ConfigurationError, match="ttl must be a positive number of seconds"):
            dm.store(1, storage_type, "k", ttl=ttl)
        with pytest.raises(ConfigurationError, match="ttl must be a positive number of seconds"):
            dm.store(1, storage_type, "k", {"ttl": ttl})
        assert not dm.exists_by_key(storage_type, "k")

    @needs(RecordProvider)
    def test_what_has_expired_is_absent(self, dm: DataManager, storage_type: str) -> None:
        gone = dm.store("gone", storage_type, "gone", ttl=SOON)
        kept = dm.store("kept", storage_type, "kept", ttl=LONG)
        plain = dm.store("plain", storage_type, "plain")
        wait_until_gone(dm, gone)
        with pytest.raises(KeyNotFoundError, match="gone"):
            dm.retrieve(gone)
        assert dm.retrieve(gone, default="default") == "default"
        assert dm.delete(gone) is False
        outcomes = dm.retrieve_many([gone, kept, plain])
        assert [type(outcome.error) for outcome in outcomes] == [KeyNotFoundError, type(None), type(None)]
        assert [outcome.value for outcome in dm.delete_many([gone, kept])] == [False, True]

    @needs(RecordProvider, CanQuery)
    def test_what_has_expired_is_not_found_listed_or_counted(
        self, dm: DataManager, storage_type: str
    ) -> None:
        gone = [dm.store({"n": n}, storage_type, f"gone{n}", {"kind": "x"}, ttl=SOON) for n in range(3)]
        dm.store({"n": 3}, storage_type, "kept", {"kind": "x"}, ttl=LONG)
        wait_until_gone(dm, *gone)
        assert keys_in(dm, storage_type) == ["kept"]
        assert dm.query(storage_type) == [{"n": 3}]
        assert dm.query(storage_type, {"n": {"$gte": 0}}, order_by="n") == [{"n": 3}]
        result = dm.query(storage_type, {"metadata.kind": "x"}, limit=1)
        assert (list(result), result.truncated) == ([{"n": 3}], False)
        assert [list(batch) for batch in dm.iter_query(storage_type)] == [[{"n": 3}]]

    @needs(RecordProvider, CanSearch)
    def test_what_has_expired_is_not_searched(self, dm: DataManager, storage_type: str) -> None:
        vector = [1.0, 0.0, 0.0, 0.0]
        gone = dm.store({"n": 1, "vector": vector}, storage_type, "gone", ttl=SOON)
        dm.store({"n": 2, "vector": [0.0, 1.0, 0.0, 0.0]}, storage_type, "kept")
        wait_until_gone(dm, gone)
        result = dm.search(storage_type, vector, limit=1)
        assert [data["n"] for data, _ in result] == [2]
        assert result.truncated is False

    @needs(RecordProvider)
    @pytest.mark.parametrize("ttl", [LONG, float(LONG), timedelta(seconds=LONG)])
    def test_expires_at_counts_from_the_write(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str, ttl: Any
    ) -> None:
        before = datetime.now(UTC)
        dm.store(1, storage_type, "k", ttl=ttl)
        expires_at = record(provider, "k").expires_at
        assert expires_at is not None
        wanted = timedelta(seconds=LONG)
        slack = timedelta(milliseconds=2)  # a backend may count in milliseconds
        assert before + wanted - slack <= expires_at <= datetime.now(UTC) + wanted + slack

    @needs(RecordProvider)
    def test_ttl_in_metadata_means_the_same_and_stays_there(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        kept = dm.store(1, storage_type, "kept", {"ttl": LONG, "a": 1})
        gone = dm.store(1, storage_type, "gone", {"ttl": SOON})
        assert record(provider, "kept").metadata == {"ttl": LONG, "a": 1}
        assert record(provider, "kept").expires_at is not None
        wait_until_gone(dm, gone)
        assert dm.exists(kept)

    @needs(RecordProvider)
    def test_the_argument_wins_over_metadata(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        dm.store(1, storage_type, "k", {"ttl": SOON}, ttl=LONG)
        expires_at = record(provider, "k").expires_at
        assert expires_at is not None
        assert expires_at > datetime.now(UTC) + timedelta(seconds=LONG / 2)

    @needs(RecordProvider)
    def test_reading_does_not_prolong(self, dm: DataManager, storage_type: str) -> None:
        reference = dm.store(1, storage_type, "k", ttl=0.3)
        deadline = monotonic() + PATIENCE
        while dm.retrieve(reference, default=None) is not None:
            assert monotonic() < deadline, "reading kept the record alive"

    @needs(RecordProvider)
    def test_writing_again_replaces_the_expiry(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        dm.store(1, storage_type, "cleared", ttl=SOON)
        cleared = dm.store(2, storage_type, "cleared")
        dm.store(1, storage_type, "longer", ttl=SOON)
        longer = dm.store(2, storage_type, "longer", ttl=LONG)
        wait_until_gone(dm, dm.store(1, storage_type, "watch", ttl=2 * SOON))
        assert (dm.retrieve(cleared), dm.retrieve(longer)) == (2, 2)
        assert record(provider, "cleared").expires_at is None

    @needs(RecordProvider)
    def test_an_expired_key_is_free_again(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        first = dm.store(1, storage_type, "k", {"old": True}, ttl=SOON)
        wait_until_gone(dm, first)
        second = dm.store(2, storage_type, "k", overwrite=False)
        assert dm.retrieve(second) == 2
        found = record(provider, "k")
        assert (found.metadata, found.expires_at) == ({}, None)
        assert first.created_at is not None
        assert found.created_at is not None
        assert found.created_at > first.created_at
        assert second.created_at == found.created_at

    @needs(RecordProvider)
    def test_each_record_of_a_batch_expires(self, dm: DataManager, storage_type: str) -> None:
        outcomes = dm.store_many([1, 2], storage_type, ["a", "b"], ttl=SOON)
        wait_until_gone(dm, *(outcome.value for outcome in outcomes))
        mixed = dm.store_many([1, 2], storage_type, ["c", "d"], [{"ttl": SOON}, {}])
        wait_until_gone(dm, DataReference(storage_type, "c"))
        assert dm.exists(list(mixed)[1].value)

    @needs(CanPurge)
    def test_purging_removes_what_has_expired_and_nothing_else(
        self, dm: DataManager, storage_type: str
    ) -> None:
        dm.store_many({"gone1": 1, "gone2": 2}, storage_type, ttl=SOON)
        dm.store_many({"kept": 3}, storage_type, ttl=LONG)
        dm.store(4, storage_type, "plain")
        sleep(2 * SOON)  # polling might let the backend reclaim one of them
        assert dm.purge_expired() == {storage_type: 2}
        assert dm.purge_expired(storage_type) == {storage_type: 0}
        assert dm.retrieve_by_key(storage_type, "kept") == 3
        assert dm.retrieve_by_key(storage_type, "plain") == 4
