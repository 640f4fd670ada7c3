"""A record whose body is not what its format says stops nobody from finding the others, and is named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from praval_storage.base import BaseStorageProvider, CanQuery, CanSearch, HasVectors, RecordProvider
from praval_storage.errors import SerializationError
from praval_storage.filters import parse, parse_order
from praval_storage.manager import DataManager
from praval_storage.records import Draft
from praval_storage.serialization import Content
from praval_storage.testing.conformance._looking import home, keys_on, pages
from praval_storage.testing.conformance._suite import Suite, keys_in, needs

BROKEN = {
    "l.csv": Content("csv", "id,name\n1,M\u00fcller\n".encode("latin-1")),
    "half.json": Content("json", b'{"n": 1'),
    "not.parquet": Content("parquet", b"PAR1"),
}
EAST = [1.0, 0.0, 0.0, 0.0]
GOOD = {"n": 1, "vector": EAST}


class UnreadableTests(Suite):
    """Records that cannot be decoded, beside one that can."""

    @pytest.mark.parametrize("key", BROKEN)
    @pytest.mark.parametrize(
        "filters", [{"n": 1}, {"n": {"$gt": 0}}, {"$or": [{"n": 1}, {"n": {"$regex": "x"}}]}]
    )
    @needs(RecordProvider, CanQuery)
    def test_it_stops_no_query_and_is_named(
        self, dm: DataManager, storage_type: str, key: str, filters: dict[str, Any]
    ) -> None:
        store_beside(dm, storage_type, key)
        found = dm.query(storage_type, filters)
        assert found == [GOOD]
        # A backend that knows without decoding it that it does not match has nothing to say.
        assert set(found.plan.unreadable) <= {key}
        assert len(found.plan.unreadable) == repr(found).count(f"1 record could not be read: {key!r}")
        [batch] = dm.iter_query(storage_type, filters)
        assert (batch, batch.plan.unreadable) == (found, found.plan.unreadable)
        assert found.profile().rows == 1

    @pytest.mark.parametrize("key", BROKEN)
    @needs(RecordProvider, CanQuery)
    def test_what_needs_no_data_finds_it(self, dm: DataManager, storage_type: str, key: str) -> None:
        store_beside(dm, storage_type, key)
        assert keys_in(dm, storage_type) == sorted([key, "ok"])
        found = dm.query(storage_type, {"key": key, "metadata.kind": "broken"})
        assert (found.keys, found.plan.unreadable) == ([key], ())
        assert dm.query(storage_type, {"n": 1, "metadata.kind": "good"}).plan.unreadable == ()
        with pytest.raises(SerializationError, match=key):
            found[0]

    @pytest.mark.parametrize("key", BROKEN)
    @needs(RecordProvider, CanQuery)
    def test_pages_go_on(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider, key: str
    ) -> None:
        store_beside(dm, storage_type, key)
        where = parse({"n": 1})
        for order in (None, parse_order("data.n"), parse_order("key")):
            assert keys_on(pages(dm, storage_type, home(provider), where=where, order=order)) == ["ok"]
            assert sorted(keys_on(pages(dm, storage_type, home(provider), order=order))) == sorted(
                [key, "ok"]
            )

    @pytest.mark.parametrize("key", BROKEN)
    @needs(RecordProvider, CanSearch, HasVectors)
    def test_it_is_not_searched_and_not_drawn(self, dm: DataManager, storage_type: str, key: str) -> None:
        store_beside(dm, storage_type, key)
        assert dm.search(storage_type, EAST).keys == ["ok"]
        assert dm.search(storage_type, EAST, filters={"n": 1}).keys == ["ok"]
        assert dm.vector_map(storage_type).keys == ["ok"]
        assert dm.vector_map(storage_type, filters={"n": 1}).keys == ["ok"]


def store_beside(dm: DataManager, storage_type: str, key: str) -> None:
    """One of the broken records, and a good one."""
    dm.store(GOOD, storage_type, "ok", {"kind": "good"})
    draft = Draft(key, BROKEN[key], {"kind": "broken"}, datetime.now(UTC))
    [outcome] = dm.providers[storage_type].write([draft])
    assert outcome.success, outcome.error
