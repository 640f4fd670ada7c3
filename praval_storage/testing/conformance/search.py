"""Vector search: best first, higher is better, ties by key, exact filters."""

from __future__ import annotations

from typing import Any

import pytest

from praval_storage.base import CanQuery, CanSearch
from praval_storage.errors import ConfigurationError, InvalidFilterError, StorageError
from praval_storage.manager import DataManager
from praval_storage.testing.conformance._suite import Suite, needs

EAST, NORTH, WEST = [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0]
NEAR_EAST, NORTH_EAST = [0.8, 0.6, 0.0, 0.0], [0.6, 0.8, 0.0, 0.0]
VECTORS = {"west": WEST, "north": NORTH, "east": EAST, "north east": NORTH_EAST, "near east": NEAR_EAST}
"""Unit vectors: seen from the east every metric puts them in the order of :data:`BY_DISTANCE`."""
BY_DISTANCE = ["east", "near east", "north east", "north", "west"]


class SearchTests(Suite):
    """``dm.search``."""

    @needs(CanSearch)
    def test_best_first_and_higher_is_better(self, dm: DataManager, storage_type: str) -> None:
        store_vectors(dm, storage_type)
        result = dm.search(storage_type, EAST)
        assert result.keys == BY_DISTANCE
        scores = [score for _, score in result]
        assert all(isinstance(score, float) for score in scores)
        assert scores == sorted(scores, reverse=True) == result.scores
        assert len(set(scores)) == len(scores)
        assert [data["name"] for data, _ in result] == BY_DISTANCE
        assert result.truncated is False
        assert result.metric in {"cosine", "dot", "euclid", "manhattan"}
        assert len(result.distances) == len(result)

    @needs(CanSearch)
    @pytest.mark.parametrize("limit", range(1, 8))
    def test_limits(self, dm: DataManager, storage_type: str, limit: int) -> None:
        store_vectors(dm, storage_type)
        result = dm.search(storage_type, EAST, limit)
        assert result.keys == BY_DISTANCE[:limit]
        assert result.truncated is (limit < len(VECTORS))

    @needs(CanSearch)
    def test_ties_are_in_key_order_at_any_limit(self, dm: DataManager, storage_type: str) -> None:
        keys = [f"tie{n:02}" for n in (7, 3, 11, 1, 9, 0, 5, 8, 2, 10, 4, 6)]
        dm.store_many([{"vector": NORTH} for _ in keys], storage_type, keys)
        dm.store({"vector": EAST}, storage_type, "other")
        for limit in range(1, len(keys) + 1):
            assert dm.search(storage_type, NORTH, limit).keys == sorted(keys)[:limit]
        assert dm.search(storage_type, EAST, 3).keys == ["other", "tie00", "tie01"]

    @needs(CanSearch)
    def test_filters_choose_among_all_records(self, dm: DataManager, storage_type: str) -> None:
        store_vectors(dm, storage_type)

        def found(filters: dict[str, Any], limit: int = 10) -> list[str]:
            return dm.search(storage_type, EAST, limit, filters).keys

        assert found({"metadata.side": "left"}) == ["west"]
        assert found({"name": {"$contains": "north"}}) == ["north east", "north"]
        assert found({"name": {"$regex": "st$"}}, 2) == ["east", "near east"]
        assert found({"$not": {"name": "east"}}, 1) == ["near east"]
        assert found({"key": {"$in": ["north", "west", "none"]}}, 1) == ["north"]
        assert found({"n": {"$gt": 100}}) == []
        with pytest.raises(InvalidFilterError, match="\\$bigger"):
            found({"n": {"$bigger": 1}})

    @needs(CanSearch)
    def test_vectors_come_back_as_they_went_in(self, dm: DataManager, storage_type: str) -> None:
        long = [3.0, 4.0, 0.1, -12.5]
        whole = [1, 2, 3, 4]
        assert dm.retrieve(dm.store({"vector": long, "text": "t"}, storage_type, "a")) == {
            "vector": long,
            "text": "t",
        }
        found = dm.retrieve(dm.store({"vector": whole}, storage_type, "b"))["vector"]
        assert [(type(each), each) for each in found] == [(int, each) for each in whole]
        assert dm.retrieve(dm.store({"vector": tuple(long)}, storage_type, "c"))["vector"] == tuple(long)
        searched = dm.search(storage_type, EAST)
        assert {key: data["vector"] for key, (data, _) in zip(searched.keys, searched, strict=True)} == {
            "a": long,
            "b": whole,
            "c": tuple(long),
        }

    @needs(CanSearch)
    def test_arrays_of_numpy_are_vectors(self, dm: DataManager, storage_type: str) -> None:
        numpy = pytest.importorskip("numpy")
        store_vectors(dm, storage_type)
        for dtype in ("float32", "float64", "int8"):
            vector = numpy.array(EAST, dtype)
            found = dm.retrieve(dm.store({"vector": vector}, storage_type, dtype))["vector"]
            assert (type(found), found.dtype) == (numpy.ndarray, vector.dtype)
            assert found.tolist() == vector.tolist()
            assert dm.search(storage_type, vector, 1).keys == ["east"]

    @needs(CanSearch)
    def test_the_dimension_is_checked(self, dm: DataManager, storage_type: str) -> None:
        store_vectors(dm, storage_type)
        with pytest.raises(StorageError, match=r"4.* 3|3.* 4"):
            dm.store({"vector": [1.0, 2.0, 3.0]}, storage_type, "short")
        with pytest.raises(StorageError, match=r"4.* 3|3.* 4"):
            dm.search(storage_type, [1.0, 2.0, 3.0])
        assert not dm.exists_by_key(storage_type, "short")
        outcomes = dm.store_many([{"vector": EAST}, {"vector": [1.0]}], storage_type, ["fits", "does not"])
        assert [outcome.ok for outcome in outcomes] == [True, False]

    @needs(CanSearch)
    @pytest.mark.parametrize(
        "vector", [[], "east", 7, [1.0, None, 0.0, 0.0], [[1.0, 0.0, 0.0, 0.0]], [float("nan")] * 4]
    )
    def test_a_query_vector_is_numbers(self, dm: DataManager, storage_type: str, vector: Any) -> None:
        store_vectors(dm, storage_type)
        with pytest.raises(StorageError):
            dm.search(storage_type, vector)

    @needs(CanSearch)
    def test_arguments_are_checked(self, dm: DataManager, storage_type: str) -> None:
        store_vectors(dm, storage_type)
        with pytest.raises(ConfigurationError, match="either query_vector or query_text"):
            dm.search(storage_type)
        with pytest.raises(ConfigurationError, match="either query_vector or query_text"):
            dm.search(storage_type, EAST, query_text="east")
        wrong: Any
        for wrong in (0, -1, 1.5, None, True):
            with pytest.raises(ConfigurationError, match=f"must be an int >= 1, not {wrong}"):
                dm.search(storage_type, EAST, limit=wrong)

    @needs(CanSearch)
    def test_replacing_and_deleting_changes_what_is_found(self, dm: DataManager, storage_type: str) -> None:
        store_vectors(dm, storage_type)
        dm.store({"name": "west now east", "vector": EAST}, storage_type, "west")
        assert dm.search(storage_type, EAST, 2).keys == ["east", "west"]
        dm.delete_by_key(storage_type, "east")
        assert dm.search(storage_type, EAST, 1).keys == ["west"]

    @needs(CanSearch)
    def test_records_without_a_vector_are_kept_and_not_searched(
        self, dm: DataManager, storage_type: str
    ) -> None:
        plain = dm.store({"name": "plain"}, storage_type, "plain")
        store_vectors(dm, storage_type)
        assert dm.retrieve(plain) == {"name": "plain"}
        assert dm.search(storage_type, EAST).keys == BY_DISTANCE

    @needs(CanSearch, CanQuery)
    def test_searched_records_are_the_queried_ones(self, dm: DataManager, storage_type: str) -> None:
        store_vectors(dm, storage_type)
        [searched] = dm.search(storage_type, EAST, 1).records
        [queried] = dm.query(storage_type, {"key": "east"}).records
        assert (searched.data, searched.metadata) == (queried.data, queried.metadata)
        assert searched.created_at == queried.created_at

    @needs(CanSearch)
    def test_an_empty_provider_finds_nothing(self, dm: DataManager, storage_type: str) -> None:
        assert list(dm.search(storage_type, EAST)) == []


def store_vectors(dm: DataManager, storage_type: str) -> None:
    """The vectors under their names."""
    dm.store_many(
        [{"name": name, "n": n, "vector": vector} for n, (name, vector) in enumerate(VECTORS.items())],
        storage_type,
        VECTORS,
        [{"side": "left" if name == "west" else "right"} for name in VECTORS],
    ).raise_for_errors()
