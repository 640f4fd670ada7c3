"""Writing, replacing, missing keys, deleting, copying."""

from __future__ import annotations

from datetime import UTC, datetime
from time import sleep
from typing import Any

import pytest

from praval_storage.base import BaseStorageProvider, CanQuery, RecordProvider
from praval_storage.errors import ConfigurationError, KeyExistsError, KeyNotFoundError
from praval_storage.manager import DataManager
from praval_storage.reference import DataReference
from praval_storage.testing.conformance._suite import Suite, is_recent, keys_in, needs, record


class WritingTests(Suite):
    """One key holds one record, the last one written."""

    def test_storing_again_replaces(self, dm: DataManager, storage_type: str) -> None:
        first = dm.store({"version": 1, "only": "here"}, storage_type, "k", {"a": 1})
        second = dm.store({"version": 2}, storage_type, "k", {"b": 2})
        assert first == second
        assert dm.retrieve(first) == {"version": 2}

    @needs(RecordProvider)
    def test_replacing_leaves_nothing_of_the_old_record(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        dm.store({"version": 1, "when": datetime(2025, 1, 15, tzinfo=UTC)}, storage_type, "k", {"a": 1})
        dm.store(b"\x00\xff", storage_type, "k")
        assert record(provider, "k").data == b"\x00\xff"
        assert record(provider, "k").metadata == {}
        dm.store({"version": "2025"}, storage_type, "k", {"b": 2})
        assert record(provider, "k").data == {"version": "2025"}
        assert record(provider, "k").metadata == {"b": 2}

    @needs(RecordProvider)
    def test_replacing_keeps_created_at_and_moves_updated_at(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        first_reference = dm.store(1, storage_type, "k")
        first = record(provider, "k")
        sleep(0.002)
        second_reference = dm.store(2, storage_type, "k")
        second = record(provider, "k")
        assert is_recent(first.created_at)
        assert is_recent(first.updated_at)
        assert second.created_at == first.created_at
        assert second.updated_at is not None
        assert first.updated_at is not None
        assert second.updated_at > first.updated_at
        assert (first_reference.created_at, second_reference.created_at) == (first.created_at,) * 2

    @needs(RecordProvider)
    def test_a_deleted_key_starts_anew(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        reference = dm.store(1, storage_type, "k", {"a": 1})
        before = record(provider, "k").created_at
        dm.delete(reference)
        sleep(0.002)
        dm.store(2, storage_type, "k")
        after = record(provider, "k").created_at
        assert before is not None
        assert after is not None
        assert after > before
        assert record(provider, "k").metadata == {}

    def test_overwrite_false_stores_only_what_is_not_there(self, dm: DataManager, storage_type: str) -> None:
        reference = dm.store(1, storage_type, "k", overwrite=False)
        with pytest.raises(KeyExistsError, match="overwrite=False") as caught:
            dm.store(2, storage_type, "k", overwrite=False)
        assert (caught.value.provider, caught.value.key) == (storage_type, "k")
        assert isinstance(caught.value, FileExistsError)
        assert dm.retrieve(reference) == 1
        dm.delete(reference)
        assert dm.retrieve(dm.store(3, storage_type, "k", overwrite=False)) == 3

    def test_a_missing_key_is_an_error_or_the_default(self, dm: DataManager, storage_type: str) -> None:
        missing = DataReference(storage_type, "missing/key")
        with pytest.raises(KeyNotFoundError, match="missing/key") as caught:
            dm.retrieve(missing)
        assert (caught.value.provider, caught.value.key) == (storage_type, "missing/key")
        assert isinstance(caught.value, LookupError)
        with pytest.raises(KeyNotFoundError, match="missing/key"):
            dm.retrieve_by_key(storage_type, "missing/key")
        assert dm.retrieve(missing, default=None) is None
        assert dm.retrieve_by_key(storage_type, "missing/key", default=7) == 7
        assert dm.exists(missing) is False

    def test_a_stored_none_is_there(self, dm: DataManager, storage_type: str) -> None:
        reference = dm.store(None, storage_type, "k")
        assert dm.exists(reference) is True
        assert dm.retrieve(reference, default="default") is None
        with pytest.raises(KeyExistsError):
            dm.store(1, storage_type, "k", overwrite=False)
        assert dm.delete(reference) is True

    def test_deleting_says_whether_it_was_there(self, dm: DataManager, storage_type: str) -> None:
        reference = dm.store(1, storage_type, "k")
        assert dm.delete(reference) is True
        assert dm.delete(reference) is False
        assert dm.delete_by_key(storage_type, "never there") is False
        with pytest.raises(KeyNotFoundError):
            dm.retrieve(reference)

    @needs(CanQuery)
    def test_what_is_deleted_is_not_found(self, dm: DataManager, storage_type: str) -> None:
        references = [dm.store({"n": n}, storage_type, f"k{n}", {"n": n}) for n in range(3)]
        dm.delete(references[1])
        assert keys_in(dm, storage_type) == ["k0", "k2"]
        assert dm.query(storage_type, {"n": 1}) == []
        assert dm.query(storage_type, {"metadata.n": 1}) == []

    @pytest.mark.parametrize("metadata", ["text", [("a", 1)], 7, {1, 2}])
    def test_metadata_is_a_mapping(self, dm: DataManager, storage_type: str, metadata: Any) -> None:
        with pytest.raises(ConfigurationError, match=f"mapping, not {type(metadata).__name__}"):
            dm.store(1, storage_type, "k", metadata)
        assert not dm.exists_by_key(storage_type, "k")

    def test_a_copy_is_independent(self, dm: DataManager, storage_type: str) -> None:
        original = dm.store({"n": 1}, storage_type, "a")
        copied = dm.copy(original, storage_type, key="b")
        dm.store({"n": 2}, storage_type, "a")
        assert copied.key == "b"
        assert dm.retrieve(copied) == {"n": 1}

    @needs(RecordProvider)
    def test_a_copy_keeps_metadata_creation_expiry_format_and_types(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        when = datetime(2025, 1, 15, tzinfo=UTC)
        original = dm.store({"when": when, "pair": (1, 2)}, storage_type, "a", {"when": when}, ttl=1_000)
        sleep(0.002)
        dm.copy(original, storage_type, key="b")
        first, second = record(provider, "a"), record(provider, "b")
        assert second.data == {"when": when, "pair": (1, 2)}
        assert second.metadata == {"when": when}
        assert second.created_at == first.created_at
        assert second.expires_at == first.expires_at
        assert second.expires_at is not None
        assert second.format == first.format
        dm.copy(original, storage_type, key="b")
        assert record(provider, "b").created_at == first.created_at

    def test_moving_leaves_only_the_new_key(self, dm: DataManager, storage_type: str) -> None:
        original = dm.store({"n": 1}, storage_type, "a")
        moved = dm.move(original, storage_type, key="b")
        assert not dm.exists(original)
        assert dm.retrieve(moved) == {"n": 1}
        assert dm.retrieve(dm.move(moved, storage_type)) == {"n": 1}

    def test_moving_to_another_name_of_the_same_place_loses_nothing(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        reference = dm.store({"n": 1}, storage_type, "k")
        dm.register_provider("alias", provider)
        moved = dm.move(reference, "alias")
        assert dm.retrieve(moved) == dm.retrieve(reference) == {"n": 1}

    def test_copy_and_move_mind_overwrite_and_missing_keys(self, dm: DataManager, storage_type: str) -> None:
        first, second = dm.store(1, storage_type, "a"), dm.store(2, storage_type, "b")
        for transfer in (dm.copy, dm.move):
            with pytest.raises(KeyExistsError):
                transfer(first, storage_type, key="b", overwrite=False)
            with pytest.raises(KeyNotFoundError, match="missing"):
                transfer(DataReference(storage_type, "missing"), storage_type, key="b")
        assert (dm.retrieve(first), dm.retrieve(second)) == (1, 2)
