"""Collections: the same connection bound to another directory, table, prefix or collection."""

from __future__ import annotations

import pytest

from praval_storage.base import BaseStorageProvider, CanQuery, HasCollections
from praval_storage.errors import KeyNotFoundError
from praval_storage.manager import DataManager
from praval_storage.reference import DataReference
from praval_storage.testing.conformance._suite import Suite, keys_in, needs


class CollectionTests(Suite):
    """``collection=`` and the provider's own methods."""

    @needs(HasCollections)
    def test_a_collection_is_another_place(self, dm: DataManager, storage_type: str) -> None:
        own = dm.store("own", storage_type, "k", {"in": "own"})
        other = dm.store("other", storage_type, "k", {"in": "other"}, collection="other")
        assert other.collection == "other"
        assert own != other
        assert (dm.retrieve(own), dm.retrieve(other)) == ("own", "other")
        assert dm.retrieve(other.uri) == "other"
        assert dm.retrieve_by_key(storage_type, "k", collection="other") == "other"
        assert dm.retrieve_many([other, own]).values == ["other", "own"]
        assert dm.delete(own)
        assert dm.exists(other)
        assert dm.exists_by_key(storage_type, "k", collection="other")
        assert dm.delete_by_key(storage_type, "k", collection="other")
        with pytest.raises(KeyNotFoundError):
            dm.retrieve(other)

    @needs(HasCollections, CanQuery)
    def test_queries_and_listings_stay_in_one_collection(self, dm: DataManager, storage_type: str) -> None:
        dm.store({"n": 1}, storage_type, "mine")
        dm.store_many({"a": {"n": 1}, "b": {"n": 2}}, storage_type, collection="other")
        # A collection may hold others, as a directory or a key prefix does.
        inner = {f"other{separator}{key}" for separator in "/:" for key in "ab"}
        assert {"mine"} <= set(keys_in(dm, storage_type)) <= {"mine", *inner}
        listed = dm.list(storage_type, order_by="key", collection="other")
        assert list(listed) == [DataReference(storage_type, key, collection="other") for key in "ab"]
        assert dm.query(storage_type, {"n": 1}, collection="other").references == (
            DataReference(storage_type, "a", collection="other"),
        )
        assert [len(batch) for batch in dm.iter_query(storage_type, collection="other")] == [2]

    @needs(HasCollections)
    def test_the_provider_lists_and_enters_its_collections(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        assert isinstance(provider, HasCollections)
        own = provider.collection
        dm.store(1, storage_type, "k")
        dm.store(2, storage_type, "k", collection="other")
        assert "other" in provider.collections()
        bound = provider.in_collection("other")
        assert type(bound) is type(provider)
        assert bound.collection == "other"
        assert provider.collection == own
        assert bound.retrieve("k") == 2
        assert provider.retrieve("k") == 1

    @needs(HasCollections)
    def test_copy_and_move_between_collections(self, dm: DataManager, storage_type: str) -> None:
        own = dm.store("data", storage_type, "k")
        copied = dm.copy(own, storage_type, collection="other")
        assert (dm.retrieve(own), dm.retrieve(copied), copied.collection) == ("data", "data", "other")
        moved = dm.move(copied, storage_type, collection="third")
        assert dm.retrieve(moved) == "data"
        assert not dm.exists(copied)

    @needs(HasCollections)
    def test_moving_onto_itself_under_another_name_loses_nothing(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        assert isinstance(provider, HasCollections)
        reference = dm.store("data", storage_type, "k")
        dm.move(reference, storage_type, collection=provider.collection)
        assert dm.retrieve(reference) == "data"
        dm.move(DataReference(storage_type, "k", collection=provider.collection), storage_type)
        assert dm.retrieve(reference) == "data"

    @needs(HasCollections, CanQuery)
    def test_moving_out_of_a_collection_within_another_loses_nothing(
        self, dm: DataManager, storage_type: str
    ) -> None:
        inner = dm.store("data", storage_type, "k", collection="other")
        for outer in dm.list(storage_type):  # a directory lists what its subdirectories hold
            dm.move(outer, storage_type, key="k", collection="other")
        assert dm.retrieve(inner) == "data"

    @needs(HasCollections)
    def test_a_collection_that_is_not_there_is_empty(self, dm: DataManager, storage_type: str) -> None:
        missing = DataReference(storage_type, "k", collection="never made")
        assert not dm.exists(missing)
        assert not dm.delete(missing)
