"""Batches: one outcome for each item, in order, whatever happens to the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from praval_storage.base import BaseStorageProvider, CanQuery, RecordProvider
from praval_storage.errors import (
    ConfigurationError,
    InvalidKeyError,
    KeyExistsError,
    KeyNotFoundError,
    SerializationError,
)
from praval_storage.manager import DataManager
from praval_storage.reference import DataReference
from praval_storage.testing.conformance._suite import Suite, keys_in, needs, record
from praval_storage.testing.conformance.values import Unstorable

MANY = 2_500
"""More than any page or batch."""


class BatchTests(Suite):
    """``store_many``, ``retrieve_many``, ``delete_many``."""

    def test_outcomes_are_references_in_order(self, dm: DataManager, storage_type: str) -> None:
        keys = ["c", "a", "b"]
        outcomes = list(dm.store_many([{"n": n} for n in range(3)], storage_type, keys))
        assert [outcome.key for outcome in outcomes] == keys
        assert [outcome.error for outcome in outcomes] == [None] * 3
        assert [outcome.value for outcome in outcomes] == [DataReference(storage_type, key) for key in keys]
        values = [outcome.value for outcome in dm.retrieve_many([outcome.value for outcome in outcomes])]
        assert values == [{"n": 0}, {"n": 1}, {"n": 2}]

    def test_a_failing_item_stops_no_other(self, dm: DataManager, storage_type: str) -> None:
        keys = ["a", "bad\\key", "b", "", None]
        outcomes = list(dm.store_many([1, 2, 3, 4, 5], storage_type, keys))
        kinds = [type(outcome.error) for outcome in outcomes]
        assert kinds == [type(None), InvalidKeyError, type(None), InvalidKeyError, type(None)]
        assert [outcome.key for outcome in outcomes[:4]] == keys[:4]
        assert [outcome.value is None for outcome in outcomes] == [False, True, False, True, False]
        assert [dm.retrieve(outcomes[place].value) for place in (0, 2, 4)] == [1, 3, 5]

    @needs(RecordProvider)
    def test_an_unstorable_item_stops_no_other(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        data = [1, Unstorable(), 3, 4]
        metadata: list[dict[str, Any]] = [{"n": 0}, {"n": 1}, {"n": Unstorable()}, {"n": 3}]
        outcomes = list(dm.store_many(data, storage_type, ["a", "b", "c", "d"], metadata))
        assert [type(outcome.error) for outcome in outcomes] == [
            type(None),
            SerializationError,
            SerializationError,
            type(None),
        ]
        assert [outcome.error and outcome.error.key for outcome in outcomes] == [None, "b", "c", None]
        assert record(provider, "d").metadata == {"n": 3}
        assert [dm.exists_by_key(storage_type, key) for key in "abcd"] == [True, False, False, True]

    def test_of_equal_keys_the_last_one_stays(self, dm: DataManager, storage_type: str) -> None:
        outcomes = list(dm.store_many([1, 2, 3, 4], storage_type, ["a", "b", "a", "a"]))
        assert [outcome.error for outcome in outcomes] == [None] * 4
        assert dm.retrieve_by_key(storage_type, "a") == 4
        assert dm.retrieve_by_key(storage_type, "b") == 2

    def test_overwrite_false_holds_for_each_item(self, dm: DataManager, storage_type: str) -> None:
        dm.store("old", storage_type, "a")
        outcomes = list(dm.store_many([1, 2, 3, 4], storage_type, ["a", "b", "b", "c"], overwrite=False))
        kinds = [type(outcome.error) for outcome in outcomes]
        assert kinds == [KeyExistsError, type(None), KeyExistsError, type(None)]
        assert [dm.retrieve_by_key(storage_type, key) for key in "abc"] == ["old", 2, 4]

    @needs(RecordProvider)
    def test_metadata_for_all_or_for_each(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        dm.store_many({"a": 1, "b": 2}, storage_type, metadata={"batch": 1})
        dm.store_many([3, 4], storage_type, ["c", "d"], [{"n": 3}, None])
        assert [record(provider, key).metadata for key in "abcd"] == [
            {"batch": 1},
            {"batch": 1},
            {"n": 3},
            {},
        ]

    def test_a_uri_that_names_nothing_fails_alone(self, dm: DataManager, storage_type: str) -> None:
        mixed = [dm.store(1, storage_type, "a"), "garbage", "praval://[bad/x", f"{storage_type}/a"]
        expected = [type(None), *[ConfigurationError] * 3]
        for batch in (dm.retrieve_many, dm.delete_many):
            assert [type(outcome.error) for outcome in batch(mixed)] == expected
        assert not dm.exists_by_key(storage_type, "a")
        dm.store(1, storage_type, "a")
        copies = dm.copy(mixed, storage_type, key=lambda each: f"{each.key}b")
        assert [type(outcome.error) for outcome in copies] == expected

    def test_retrieving_reports_what_is_missing(self, dm: DataManager, storage_type: str) -> None:
        dm.store_many({"a": 1, "b": None}, storage_type)
        references = [DataReference(storage_type, key) for key in ("a", "missing", "b", "a")]
        outcomes = list(dm.retrieve_many(references))
        assert [type(outcome.error) for outcome in outcomes] == [
            type(None),
            KeyNotFoundError,
            *[type(None)] * 2,
        ]
        assert [outcome.value for outcome in outcomes] == [1, None, None, 1]
        assert [outcome.key for outcome in outcomes] == ["a", "missing", "b", "a"]
        assert outcomes[1].error is not None
        assert "missing" in str(outcomes[1].error)

    def test_deleting_says_what_was_there(self, dm: DataManager, storage_type: str) -> None:
        dm.store_many({"a": 1, "b": 2, "c": 3}, storage_type)
        references = [DataReference(storage_type, key) for key in ("a", "missing", "b", "a")]
        outcomes = list(dm.delete_many([reference.uri for reference in references]))
        assert [outcome.error for outcome in outcomes] == [None] * 4
        assert [outcome.value for outcome in outcomes] == [True, False, True, False]
        assert [dm.exists_by_key(storage_type, key) for key in "abc"] == [False, False, True]

    def test_empty_batches_do_nothing(self, dm: DataManager, storage_type: str) -> None:
        assert list(dm.store_many([], storage_type)) == []
        assert list(dm.store_many({}, storage_type)) == []
        assert list(dm.retrieve_many([])) == []
        assert list(dm.delete_many([])) == []

    @needs(RecordProvider, CanQuery)
    def test_more_records_than_a_page(self, dm: DataManager, storage_type: str) -> None:
        def values() -> Iterator[dict[str, Any]]:
            for n in range(MANY):
                yield {"n": n, "even": n % 2 == 0}

        keys = [f"many/{n:05}" for n in range(MANY)]
        outcomes = dm.store_many(values(), storage_type, iter(keys), {"batch": "big"})
        assert len(outcomes) == MANY
        assert {outcome.error for outcome in outcomes} == {None}

        assert keys_in(dm, storage_type) == keys
        assert len(dm.query(storage_type, {"metadata.batch": "big"}, None)) == MANY
        assert len(dm.query(storage_type, {"even": True}, limit=None)) == MANY // 2
        last = dm.query(storage_type, {"n": {"$gte": MANY - 3}}, order_by="-n")
        assert [value["n"] for value in last] == [MANY - 1, MANY - 2, MANY - 3]
        assert [len(batch) for batch in dm.iter_query(storage_type, batch_size=1_000)] == [1_000, 1_000, 500]

        references = [DataReference(storage_type, key) for key in keys]
        assert [outcome.value["n"] for outcome in dm.retrieve_many(references)] == [*range(MANY)]
        assert all(outcome.value for outcome in dm.delete_many(references))
        assert keys_in(dm, storage_type) == []
