"""Every type comes back exactly as it went in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from praval_storage.base import BaseStorageProvider, CanQuery, RecordProvider
from praval_storage.errors import SerializationError
from praval_storage.manager import DataManager
from praval_storage.testing.conformance._suite import Suite, needs, record
from praval_storage.testing.values import ROUND_TRIP_VALUES

PLAIN = {
    "none": None,
    "true": True,
    "zero": 0,
    "float": 1.5,
    "text": "Gr\u00fc\u00dfe \U0001f600",
    "empty text": "",
    "list": [1, "a", None, [False]],
    "nested": {"user": "alice", "preferences": {"theme": "dark"}, "tags": ["a", "b"], "n": None},
    "empty list": [],
    "empty dict": {},
}
METADATA: dict[str, Any] = {
    "text": "\u00fc\U0001f600 'quoted' \"twice\" \\ %",
    "numbers": [1, 1.0, 2**53 + 1, -1.5],
    "nested": {"a": {"b": [None, True]}},
    "when": datetime(2025, 1, 15, 10, 30, 0, 1, tzinfo=UTC),
    "day": date(2025, 1, 15),
    "price": Decimal("1.10"),
    "id": UUID(int=7),
    "pair": (1, 2),
    "big": 10**30,
    "empty": {},
}


class Unstorable:
    """What no format can hold."""


class ValueTests(Suite):
    """Data and metadata keep value and type."""

    @pytest.mark.parametrize("value", PLAIN.values(), ids=PLAIN)
    def test_plain_values_come_back(self, dm: DataManager, storage_type: str, value: Any) -> None:
        found = dm.retrieve(dm.store(value, storage_type, "value"))
        assert (type(found), found) == (type(value), value)

    @pytest.mark.parametrize(
        "value, equality", [pytest.param(value, same, id=name) for name, value, same in ROUND_TRIP_VALUES]
    )
    @needs(RecordProvider)
    def test_every_type_comes_back_exactly(
        self, dm: DataManager, storage_type: str, value: Any, equality: Callable[[Any, Any], bool]
    ) -> None:
        found = dm.retrieve(dm.store(value, storage_type, "value"))
        assert equality(found, value), f"{found!r} is not {value!r}"

    @needs(RecordProvider, CanQuery)
    def test_every_type_comes_back_from_a_batch_and_a_query(self, dm: DataManager, storage_type: str) -> None:
        values = {f"{place:03}": value for place, (_, value, _) in enumerate(ROUND_TRIP_VALUES)}
        assert [outcome.error for outcome in dm.store_many(values, storage_type)] == [None] * len(values)
        found = dm.query(storage_type, limit=None, order_by="key")
        different = [
            name
            for (name, value, same), there in zip(ROUND_TRIP_VALUES, found, strict=True)
            if not same(there, value)
        ]
        assert different == []

    @needs(RecordProvider)
    def test_metadata_keeps_values_and_types(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        dm.store({"a": 1}, storage_type, "k", METADATA)
        found = record(provider, "k").metadata
        assert found == METADATA
        assert {name: type(value) for name, value in found.items()} == {
            name: type(value) for name, value in METADATA.items()
        }

    @needs(RecordProvider)
    def test_large_metadata_is_kept(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        metadata = {"notes": ["\u00fc" * 1_000] * 50}
        dm.store(1, storage_type, "k", metadata)
        assert record(provider, "k").metadata == metadata

    @needs(RecordProvider)
    def test_what_no_format_can_hold_is_refused_by_path_and_leaves_nothing(
        self, dm: DataManager, storage_type: str
    ) -> None:
        with pytest.raises(SerializationError, match=r"data\.a\.1.*Unstorable") as caught:
            dm.store({"a": [1, Unstorable()]}, storage_type, "k")
        assert (caught.value.provider, caught.value.key) == (storage_type, "k")
        with pytest.raises(SerializationError, match=r"metadata\.owner.*Unstorable"):
            dm.store(1, storage_type, "k", {"owner": Unstorable()})
        assert not dm.exists_by_key(storage_type, "k")

    @pytest.mark.parametrize("wrap", [lambda value: {"a": value}, lambda value: [value]])
    @needs(RecordProvider)
    def test_what_is_nested_too_deep_is_refused(
        self, dm: DataManager, storage_type: str, wrap: Callable[[Any], Any]
    ) -> None:
        deep: Any = 1
        for _ in range(10_000):
            deep = wrap(deep)
        for data, metadata in (({"a": deep}, {}), (1, {"a": deep})):
            with pytest.raises(SerializationError, match="deeper than 254 levels"):
                dm.store(data, storage_type, "k", metadata)
        assert not dm.exists_by_key(storage_type, "k")

    @needs(RecordProvider)
    def test_a_refused_value_leaves_what_was_there(self, dm: DataManager, storage_type: str) -> None:
        dm.store({"version": 1}, storage_type, "k")
        with pytest.raises(SerializationError):
            dm.store(Unstorable(), storage_type, "k")
        assert dm.retrieve_by_key(storage_type, "k") == {"version": 1}

    @needs(RecordProvider)
    def test_changing_a_retrieved_value_changes_nothing_stored(
        self, dm: DataManager, storage_type: str
    ) -> None:
        reference = dm.store({"list": [1]}, storage_type, "k")
        dm.retrieve(reference)["list"].append(2)
        assert dm.retrieve(reference) == {"list": [1]}
