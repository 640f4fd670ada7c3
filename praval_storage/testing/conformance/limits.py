"""Limits and truncation, reading in batches, listing by prefix."""

from __future__ import annotations

from typing import Any

import pytest

from praval_storage.base import BaseStorageProvider, CanQuery, RecordProvider
from praval_storage.errors import ConfigurationError
from praval_storage.manager import DataManager
from praval_storage.testing.conformance._suite import Suite, needs

TOTAL = 12


class LimitTests(Suite):
    """How much comes back, and that a cut is always visible."""

    @needs(CanQuery)
    @pytest.mark.parametrize("limit", [0, 1, TOTAL - 1, TOTAL, TOTAL + 1, 10**9, None])
    def test_limit_and_truncated(self, dm: DataManager, storage_type: str, limit: int | None) -> None:
        store_numbers(dm, storage_type)
        wanted = TOTAL if limit is None else min(limit, TOTAL)
        for result in (
            dm.query(storage_type, limit=limit),
            dm.query(storage_type, {"n": {"$gte": 0}}, limit, order_by="-n"),
            dm.list(storage_type, limit=limit),
        ):
            assert len(result) == len(result.keys) == len(list(result)) == wanted
            assert result.truncated is (wanted < TOTAL)
            assert (str(limit) in repr(result)) >= (result.truncated and wanted > 0)

    @needs(CanQuery)
    def test_truncated_counts_only_what_matches(self, dm: DataManager, storage_type: str) -> None:
        store_numbers(dm, storage_type)
        assert dm.query(storage_type, {"n": {"$lt": 3}}, 3).truncated is False
        assert dm.query(storage_type, {"n": {"$lt": 3}}, 2).truncated is True
        assert dm.query(storage_type, {"n": {"$lt": 0}}, 1).truncated is False

    @needs(CanQuery)
    def test_the_default_limit_is_100(self, dm: DataManager, storage_type: str) -> None:
        dm.store_many(range(101), storage_type)
        assert (len(dm.query(storage_type)), dm.query(storage_type).truncated) == (100, True)
        assert (len(dm.list(storage_type)), dm.list(storage_type).truncated) == (100, True)
        assert len(dm.query(storage_type, limit=None)) == 101

    @needs(CanQuery)
    @pytest.mark.parametrize("limit", [-1, 1.5, "10", True, [1]])
    def test_a_limit_is_a_count(self, dm: DataManager, storage_type: str, limit: Any) -> None:
        with pytest.raises(ConfigurationError, match="limit must be an int >= 0 or None"):
            dm.query(storage_type, limit=limit)
        with pytest.raises(ConfigurationError, match="limit must be an int >= 0 or None"):
            dm.list(storage_type, limit=limit)

    @needs(CanQuery)
    @pytest.mark.parametrize("batch_size", [1, 5, TOTAL, TOTAL + 1])
    def test_reading_in_batches(self, dm: DataManager, storage_type: str, batch_size: int) -> None:
        store_numbers(dm, storage_type)
        batches = list(dm.iter_query(storage_type, batch_size=batch_size))
        full, rest = divmod(TOTAL, batch_size)
        assert [len(batch) for batch in batches] == [batch_size] * full + [rest] * (rest > 0)
        assert sorted(data["n"] for batch in batches for data in batch) == [*range(TOTAL)]
        few = dm.iter_query(storage_type, {"n": {"$lt": 4}}, batch_size=3, order_by="-n")
        assert [[data["n"] for data in batch] for batch in few] == [[3, 2, 1], [0]]

    @needs(CanQuery)
    def test_reading_in_batches_of_nothing(self, dm: DataManager, storage_type: str) -> None:
        assert list(dm.iter_query(storage_type)) == []
        with pytest.raises(ConfigurationError, match="batch_size"):
            dm.iter_query(storage_type, batch_size=0)

    @needs(CanQuery)
    def test_writing_while_reading_in_batches(self, dm: DataManager, storage_type: str) -> None:
        store_numbers(dm, storage_type)
        seen = []
        for batch in dm.iter_query(storage_type, batch_size=2):
            seen += [data["n"] for data in batch]
            dm.store({"n": -1}, storage_type, f"extra/{len(seen)}")
            if len(seen) > 3 * TOTAL:
                break
        assert set(range(TOTAL)) <= set(seen)

    @needs(CanQuery)
    def test_listing_by_prefix(self, dm: DataManager, storage_type: str) -> None:
        keys = ["a", "a/b", "a/b/c", "a/bc", "ab", "b", "a%", "a_", "a*", "A/b"]
        dm.store_many(dict.fromkeys(keys, 1), storage_type)
        for prefix in ("", "a", "a/", "a/b", "a/b/", "a%", "a_", "a*", "A", "c", "\u00fc"):
            wanted = sorted(key for key in keys if key.startswith(prefix))
            assert dm.list(storage_type, prefix, order_by="key").keys == wanted, prefix
        assert dm.list(storage_type, "a/", limit=2, order_by="key").truncated

    @needs(RecordProvider, CanQuery)
    def test_records_and_listings_agree(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        stored = {key: dm.store({"n": 1}, storage_type, key, {"of": key}, ttl=600) for key in ("a", "b")}
        [one, two] = dm.query(storage_type, order_by="key").records
        [kept] = provider.read(["a"])
        assert kept is not None
        assert (one.key, one.data, one.metadata) == ("a", {"n": 1}, {"of": "a"})
        assert (one.created_at, one.updated_at, one.expires_at) == kept[5:8]
        assert (one.size, one.format, one.version) == (kept.size, kept.format, kept.version)
        assert two.created_at != one.created_at
        for listed in dm.list(storage_type):
            reference = stored[listed.key]
            assert listed == reference
            assert listed.metadata == reference.metadata == {"of": listed.key}
            assert listed.created_at == reference.created_at
            assert (listed.size, listed.format) == (reference.size, reference.format)
            assert listed.version == reference.version

    @needs(CanQuery)
    def test_an_empty_provider_has_nothing(self, dm: DataManager, storage_type: str) -> None:
        for result in (dm.query(storage_type), dm.query(storage_type, {"a": 1}), dm.list(storage_type)):
            assert (len(result), result.truncated, list(result)) == (0, False, [])
            assert not result
            assert repr(result)


def store_numbers(dm: DataManager, storage_type: str) -> None:
    """``TOTAL`` records with the field ``n``."""
    dm.store_many([{"n": n} for n in range(TOTAL)], storage_type).raise_for_errors()
