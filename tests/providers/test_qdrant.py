"""The Qdrant provider on the real embedded engine, and on the client's in-memory mode."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import qdrant_edge as edge
from conftest import cases
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient, models

from praval_storage.errors import (
    ConfigurationError,
    KeyExistsError,
    KeyNotFoundError,
    SerializationError,
    StorageError,
    StorageTimeoutError,
    UnsupportedOperationError,
)
from praval_storage.filters import parse
from praval_storage.providers.qdrant import QdrantProvider, QdrantSettings
from praval_storage.providers.qdrant import folder as qdrant_folder
from praval_storage.providers.qdrant import optimize as qdrant_optimize
from praval_storage.providers.qdrant import reading as qdrant_reading
from praval_storage.providers.qdrant.edge import EdgeEngine
from praval_storage.providers.qdrant.engine import Point
from praval_storage.providers.qdrant.payload import foreign_id, id_of
from praval_storage.records import Draft, Record
from praval_storage.scan import Scan
from praval_storage.selection import SearchSelection, search, select
from praval_storage.testing import strategies
from praval_storage.testing.conformance._suite import wait_until

NOW = datetime(2026, 1, 15, 10, tzinfo=UTC)


@pytest.fixture(params=["embedded", "client"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[QdrantProvider]:
    made = (
        QdrantProvider(path=tmp_path / "q")
        if request.param == "embedded"
        else QdrantProvider(client=QdrantClient(":memory:"))
    )
    with made:
        yield made


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[QdrantProvider]:
    with QdrantProvider(path=tmp_path / "q") as made:
        yield made


def keys(provider: QdrantProvider, filters: dict[str, Any] | None = None) -> list[str]:
    return sorted(row.key for row in select(provider, Scan(parse(filters)), datetime.now(UTC)).rows)


def found(provider: QdrantProvider, vector: Any, limit: int = 10, **filters: Any) -> SearchSelection:
    return search(provider, vector, parse(filters), limit, datetime.now(UTC))


def draft(key: str, data: Any = None, **options: Any) -> Draft:
    return Draft(
        key, data, options.pop("metadata", {}), options.pop("written_at", datetime.now(UTC)), **options
    )


# Nothing before first use


def test_nothing_is_created_by_reading(tmp_path: Path) -> None:
    path = tmp_path / "q"
    with QdrantProvider(path=path) as provider:
        with pytest.raises(KeyNotFoundError):
            provider.retrieve("k")
        assert provider.delete("k") is False
        assert keys(provider) == []
        assert found(provider, [1.0, 2.0]).rows == []
        assert provider.collections() == []
        assert provider.purge_expired() == 0
        assert provider.metric == "cosine"
        assert "no collection" in provider.health()
        provider.optimize()
    assert not path.exists()


def test_drivers_are_imported_on_first_use() -> None:
    code = "import sys, praval_storage.providers.qdrant as q; q.QdrantProvider(path='x'); print([m for m in "
    code += "('qdrant_edge', 'qdrant_client') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


# What goes in comes back

VALUES = [
    None,
    True,
    0,
    -0.0,
    0.1,
    5e-324,
    1e300,
    2.7715077941825975e-163,
    0.9999999999999999,
    2**63,
    2**64,
    -(2**63),
    "",
    "text \x00 é漢😀",
    b"\x00\xff",
    [],
    {},
    [1, [2, [3, {"a": []}]]],
    {"z": 1, "a": {"y": 2, "b": 3}},
    {"": 1, "a.b": 2, 'say "x"': 3, "[0]": 4, "a[]": 5},
    {"when": NOW, "day": date(2026, 1, 1), "price": Decimal("1.10"), "id": UUID(int=7), "t": (1, 2)},
    {"nan": float("inf"), "set": {1, 2}},
    {"vector": "not a vector"},
    {"vector": [[1.0], [2.0]]},
    {"vector": []},
    {"vector": [True, False]},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back_exactly(provider: QdrantProvider, value: Any) -> None:
    provider.store("k", value, {"m": 2.7715077941825975e-163, "t": [1.0, None]})
    again = provider.retrieve("k")
    assert repr(again) == repr(value)
    [row] = provider.read(["k"])
    assert row is not None
    assert Record(row, provider.load).metadata == {"m": 2.7715077941825975e-163, "t": [1.0, None]}


@pytest.mark.parametrize("levels", [60, 64, 65, 120, 200])
def test_deep_nesting_does_not_harm_the_log(embedded: QdrantProvider, levels: int) -> None:
    """The engine writes deep payloads to its log and cannot read them again."""
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    embedded.store("k", value, {"m": value["a"]})
    embedded.close()
    assert embedded.retrieve("k") == value
    assert keys(embedded, {"a": {"$exists": True}}) == ["k"]


@pytest.mark.parametrize("distance", ["cosine", "dot", "euclid", "manhattan"])
@pytest.mark.parametrize(
    "vector",
    [
        [3.0, 4.0],
        (0.1, 0.2),
        [1, 2],
        [1, 0.5],
        np.array([3, 4], "f4"),
        np.array([0.1, 0.2], "f8"),
        np.array([1, 2], "i8"),
        np.array([1, 2], "f2"),
        np.array([0.1, 0.2], ">f8"),
    ],
    ids=repr,
)
def test_vectors_come_back_exactly(tmp_path: Path, distance: str, vector: Any) -> None:
    with QdrantProvider(path=tmp_path / "q", distance=distance) as provider:
        provider.store("k", {"vector": vector, "text": "t"}, {})
        again = provider.retrieve("k")
        assert list(again) == ["vector", "text"]
        assert type(again["vector"]) is type(vector)
        assert repr(again["vector"]) == repr(vector)
        assert getattr(again["vector"], "dtype", None) == getattr(vector, "dtype", None)
        assert found(provider, [3.0, 4.0]).rows[0].stored.key == "k"


def test_a_hundred_thousand_byte_body_and_the_limit(embedded: QdrantProvider) -> None:
    body = os.urandom(100_000)
    embedded.store("k", body, {})
    assert embedded.retrieve("k") == body
    with pytest.raises(SerializationError, match="more than the 33,554,432"):
        embedded.store("big", bytes(33 << 20), {})


def test_streams_are_read(embedded: QdrantProvider, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"a": [ ], "b": 1}')
    embedded.store("a.json", file, {})
    assert embedded.retrieve("a.json") == {"a": [], "b": 1}
    assert keys(embedded, {"a": {"$exists": True}}) == ["a.json"]


# Vectors that are none


@pytest.mark.parametrize(
    "bad, words",
    [
        ([float("nan"), 1.0], "NaN"),
        ([1.0, float("-inf")], "an infinity or a number beyond float32"),
        ([1e300, 1.0], "an infinity or a number beyond float32"),
    ],
)
def test_what_is_wrong_with_a_query_vector_is_not_said_of_a_record(
    embedded: QdrantProvider, bad: list[float], words: str
) -> None:
    embedded.store("k", {"vector": [1.0, 2.0]}, {})
    with pytest.raises(SerializationError, match=f"^The query vector holds {words}\\b") as caught:
        found(embedded, bad)
    assert "record" not in str(caught.value)
    assert "check what it was computed from" in str(caught.value)


@pytest.mark.parametrize(
    "bad", [[float("nan"), 1.0], [float("inf"), 1.0], [1e300, 1.0], [10**400, 1]], ids=repr
)
def test_vectors_that_are_not_finite_are_refused(provider: QdrantProvider, bad: Any) -> None:
    with pytest.raises(SerializationError, match="float32"):
        provider.store("k", {"vector": bad}, {})
    assert keys(provider) == []


def test_the_dimension_is_checked_before_sending(provider: QdrantProvider) -> None:
    provider.store("a", {"vector": [1.0, 2.0, 3.0]}, {})
    with pytest.raises(SerializationError, match=r"expects vectors with 3 dimensions, got 2"):
        provider.store("b", {"vector": [1.0, 2.0]}, {})
    with pytest.raises(SerializationError, match=r"expects vectors with 3 dimensions, got 2"):
        found(provider, [1.0, 2.0])
    with pytest.raises(SerializationError, match="one-dimensional"):
        found(provider, "text")
    with pytest.raises(SerializationError, match="all zeros"):
        found(provider, [0, 0, 0])
    assert keys(provider) == ["a"]


def test_one_bad_item_does_not_stop_the_others(provider: QdrantProvider) -> None:
    vectors = [[1.0, 2.0], [1.0], [2.0, 1.0], [float("nan"), 1.0]]
    results = provider.write([draft(f"k{i}", {"vector": vector}) for i, vector in enumerate(vectors)])
    assert [result.success for result in results] == [True, False, True, False]
    assert [result.key for result in results] == ["k0", "k1", "k2", "k3"]
    assert keys(provider) == ["k0", "k2"]


def test_records_without_vector_first(provider: QdrantProvider) -> None:
    provider.store("a", {"x": 1}, {})
    assert found(provider, [1.0]).rows == []
    provider.store("b", {"x": 1, "vector": [1.0, 0.0]}, {})
    provider.store("c", {"x": 2}, {})
    provider.close()
    assert [row.stored.key for row in found(provider, [1.0, 0.0]).rows] == ["b"]
    assert keys(provider, {"x": 1}) == ["a", "b"]


def test_explicit_settings_are_compared_with_the_collection(tmp_path: Path) -> None:
    with QdrantProvider(path=tmp_path, vector_size=2) as provider:
        with pytest.raises(SerializationError, match="expects vectors with 2"):
            provider.store("a", {"vector": [1.0]}, {})
        provider.store("a", {"vector": [1.0, 2.0]}, {})
    with (
        QdrantProvider(path=tmp_path, vector_size=3) as other,
        pytest.raises(ConfigurationError, match="vector_size=3"),
    ):
        found(other, [1.0, 2.0, 3.0])
    with (
        QdrantProvider(path=tmp_path, distance="dot") as other,
        pytest.raises(ConfigurationError, match="distance="),
    ):
        found(other, [1.0, 2.0])


# Keys, times, expiry


def test_ids_depend_on_the_key_only() -> None:
    # Changing this would lose every record there is.
    assert str(id_of("user_alice")) == "d8067b5b-e926-547d-be09-593bf107072c"
    assert foreign_id("17") == 17
    assert foreign_id("017") is None
    assert foreign_id("-1") is None
    assert foreign_id(str(2**64)) is None
    assert foreign_id("F47AC10B-58CC-4372-A567-0E02B2C3D479") is None
    assert foreign_id("f47ac10b-58cc-4372-a567-0e02b2c3d479") == UUID("f47ac10b-58cc-4372-a567-0e02b2c3d479")


def test_created_at_stays_and_updated_at_moves(provider: QdrantProvider) -> None:
    later = NOW + timedelta(hours=1)
    first = provider.write([draft("k", 1, written_at=NOW)])[0]
    second = provider.write([draft("k", 2, written_at=later)])[0]
    assert first.created_at == second.created_at == NOW
    assert first.version != second.version
    [row] = provider.read(["k"])
    assert row is not None
    assert (row.created_at, row.updated_at, row.version) == (NOW, later, second.version)
    copied = provider.write([draft("k", 2, created_at=NOW - timedelta(days=1))])[0]
    assert copied.created_at == NOW - timedelta(days=1)


def test_overwrite_false(provider: QdrantProvider) -> None:
    provider.write([draft("a", 1)])
    results = provider.write([draft("a", 2), draft("b", 3)], overwrite=False)
    assert [result.success for result in results] == [False, True]
    assert isinstance(results[0].error, KeyExistsError)
    assert provider.retrieve("a") == 1


def test_overwrite_false_is_atomic_between_writers(provider: QdrantProvider) -> None:
    provider.write([draft("other", 0)])
    results: list[Any] = []

    def write(number: int) -> None:
        results.extend(provider.write([draft("k", number)], overwrite=False))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(result.success for result in results) == 1


def test_insert_only_tells_who_lost() -> None:
    client = QdrantClient(":memory:")
    provider = QdrantProvider(client=client)
    provider.write([draft("a", 1)])
    engine = provider._engine
    [row] = engine.retrieve([id_of("a")], qdrant_reading.layout.WHOLE)
    point = engine.make(Point(id_of("a"), [], "", row.payload))
    fresh = engine.make(Point(id_of("b"), [], "", {**row.payload, "key": "b"}))
    assert engine.insert([point, fresh], [id_of("a"), id_of("b")]) == {id_of("a")}
    assert keys(provider) == ["a", "b"]


def test_expired_records_do_not_exist(provider: QdrantProvider) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    provider.write([draft("old", {"vector": [1.0, 0.0]}, expires_at=past, written_at=NOW)])
    provider.write([draft("new", {"vector": [0.0, 1.0]}, expires_at=past + timedelta(days=1))])
    assert keys(provider) == ["new"]
    assert [row.stored.key for row in found(provider, [1.0, 0.0], limit=1).rows] == ["new"]
    with pytest.raises(KeyNotFoundError):
        provider.retrieve("old")
    [again] = provider.write([draft("old", 2)], overwrite=False)
    assert again.success
    assert again.created_at != NOW
    provider.write([draft("old", 3, expires_at=past)])
    assert provider.delete("old") is False
    provider.write([draft("old", 3, expires_at=past)])
    assert provider.purge_expired() == 1
    assert provider.purge_expired() == 0
    assert keys(provider) == ["new"]


def test_batches_are_read_and_removed_in_order(provider: QdrantProvider) -> None:
    names = [f"k{number:04}" for number in range(2_500)]
    results = provider.write([draft(name, {"n": number}) for number, name in enumerate(names)])
    assert [result.key for result in results] == names
    rows = provider.read(["missing", *reversed(names)], bodies=False)
    assert [row and row.key for row in rows] == [None, *reversed(names)]
    assert rows[1] is not None
    assert rows[1].body is None
    assert provider.load(rows[1]) == {"n": 2_499}
    assert [row and row.body for row in provider.fill(rows[1:3])] == [b'{"n":2499}', b'{"n":2498}']
    assert len(keys(provider)) == 2_500
    assert provider.remove([names[1], "missing", names[0]]) == [True, False, True]
    assert len(keys(provider)) == 2_498


# Search


def test_the_best_comes_first_on_every_metric(tmp_path: Path) -> None:
    points = {"near": [1.0, 0.1], "far": [-1.0, 0.5], "middle": [0.5, 0.5]}
    for distance in ("cosine", "dot", "euclid", "manhattan"):
        for client in (None, QdrantClient(":memory:")):
            path = None if client else tmp_path / distance
            with QdrantProvider(path=path, client=client, distance=distance) as provider:
                provider.write([draft(key, {"vector": vector}) for key, vector in points.items()])
                rows = found(provider, [1.0, 0.0], limit=100).rows
                assert [row.stored.key for row in rows] == ["near", "middle", "far"]
                assert provider.metric == distance
                if distance == "manhattan":
                    assert [row.raw for row in rows] == pytest.approx([0.1, 1.0, 2.5])
                    assert [row.score for row in rows] == pytest.approx([1 / 1.1, 1 / 2, 1 / 3.5])
                if distance == "dot":
                    assert [row.score for row in rows] == pytest.approx([1.0, 0.5, -1.0])


def test_search_with_a_filter_and_the_plan(provider: QdrantProvider) -> None:
    rows = [draft(f"k{i}", {"vector": [1.0, i / 10], "n": i, "even": i % 2 == 0}) for i in range(20)]
    provider.write(rows)
    answer = found(provider, [1.0, 0.0], limit=3, even=True)
    assert [row.stored.key for row in answer.rows] == ["k0", "k2", "k4"]
    assert answer.truncated
    assert answer.plan.pushed == {"even": True}
    assert answer.plan.residual == {}
    assert answer.plan.index == "flat"
    assert [row.stored.key for row in found(provider, [1.0, 0.0], 2, n={"$gte": 5.0}).rows] == ["k5", "k6"]


def test_embedding(tmp_path: Path) -> None:
    def embed(text: str) -> Any:
        return np.array([len(text), 1.0])

    with QdrantProvider(path=tmp_path, embed=embed) as provider:
        data = {"text": "hello", "vector_of": "text"}
        provider.store("dict", data, {})
        provider.store("str", "a much longer text", {})
        provider.store("own", {"text": "x", "vector": [0.0, 1.0]}, {})
        provider.store("none", {"n": 1}, {})
        assert provider.retrieve("dict") == data
        assert provider.retrieve("str") == "a much longer text"
        rows = found(provider, provider.embed("hello")).rows
        assert [row.stored.key for row in rows] == ["dict", "str", "own"]
    with pytest.raises(UnsupportedOperationError, match="embed="):
        QdrantProvider(path=tmp_path).embed("text")


# Other people's points


def _fill_foreign(provider: QdrantProvider) -> None:
    """Points as other tools write them, behind the provider's back."""
    payloads = {1: {"name": "a", "n": 1, "tags": []}, 2: {"name": "b", "data": 5, "metadata": {"m": 1}}}
    number = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
    if provider._client is not None:
        vectors = {"size": 2, "distance": models.Distance.DOT}
        provider._client.create_collection("theirs", vectors_config=models.VectorParams(**vectors))
        points = [models.PointStruct(id=i, vector=[1.0, i], payload=p) for i, p in payloads.items()]
        points.append(models.PointStruct(id=number, vector={}, payload={"name": "c"}))
        provider._client.upsert("theirs", points)
        return
    path = Path(provider.settings.path or "") / "theirs"
    config = edge.EdgeConfig(vectors=edge.EdgeVectorParams(2, edge.Distance.Dot))
    shard = edge.EdgeShard.create(str(path), config) if not path.mkdir(parents=True) else None
    assert shard is not None
    edge_points = [edge.Point(i, [1.0, float(i)], p) for i, p in payloads.items()]
    edge_points.append(edge.Point(number, {}, {"name": "c"}))
    shard.update(edge.UpdateOperation.upsert_points(edge_points))
    shard.close()


def test_points_of_others_are_records(provider: QdrantProvider) -> None:
    _fill_foreign(provider)
    theirs = provider.in_collection("theirs")
    number = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
    assert "theirs" in provider.collections()
    assert keys(theirs) == ["1", "2", number]
    assert theirs.retrieve("1") == {"name": "a", "n": 1, "tags": [], "vector": [1.0, 1.0]}
    assert theirs.retrieve("2") == {"name": "b", "data": 5, "metadata": {"m": 1}, "vector": [1.0, 2.0]}
    assert theirs.retrieve(number) == {"name": "c"}
    with pytest.raises(KeyNotFoundError):
        theirs.retrieve("01")
    assert keys(theirs, {"name": "a"}) == ["1"]
    assert keys(theirs, {"data.data": 5}) == ["2"]
    assert keys(theirs, {"metadata.m": 1}) == []
    assert keys(theirs, {"key": number}) == [number]
    assert keys(theirs, {"key": "1"}) == ["1"]
    assert keys(theirs, {"tags": {"$exists": True}}) == ["1"]
    assert keys(theirs, {"vector": {"$exists": True}}) == ["1", "2"]
    assert [row.stored.key for row in found(theirs, [0.0, 1.0]).rows] == ["2", "1"]
    assert [row.stored.key for row in found(theirs, [0.0, 1.0], name="a").rows] == ["1"]
    assert theirs.metric == "dot"


def test_ours_and_theirs_together(provider: QdrantProvider) -> None:
    _fill_foreign(provider)
    mixed = provider.in_collection("theirs")
    mixed.store("mine", {"name": "a", "vector": [1.0, 5.0]}, {})
    assert keys(mixed, {"name": "a"}) == ["1", "mine"]
    assert isinstance(mixed.write([draft("1", 0)], overwrite=False)[0].error, KeyExistsError)
    mixed.store("1", {"name": "mine now"}, {})
    assert mixed.retrieve("1") == {"name": "mine now"}
    assert keys(mixed, {"name": "mine now"}) == ["1"]
    assert len(keys(mixed)) == 4
    assert mixed.remove(["2", "1", "mine", "nothing"]) == [True, True, True, False]
    assert len(keys(mixed)) == 1


def test_named_vectors() -> None:
    client = QdrantClient(":memory:")
    dense = models.VectorParams(size=2, distance=models.Distance.DOT)
    multi = models.VectorParams(
        size=2,
        distance=models.Distance.DOT,
        multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
    )
    sparse = {"words": models.SparseVectorParams()}
    client.create_collection(
        "c", vectors_config={"title": dense, "pages": multi}, sparse_vectors_config=sparse
    )
    words = models.SparseVector(indices=[1, 5], values=[0.5, 1.0])
    vector = {"title": [1.0, 2.0], "pages": [[1.0, 2.0], [3.0, 4.0]], "words": words}
    client.upsert("c", [models.PointStruct(id=7, vector=vector, payload={"n": 1})])
    provider = QdrantProvider(client=client, collection_name="c", vector_name="title")
    expected = {"title": [1.0, 2.0], "pages": [[1.0, 2.0], [3.0, 4.0]]}
    expected["words"] = {"indices": [1, 5], "values": [0.5, 1.0]}  # type: ignore[assignment]
    assert provider.retrieve("7") == {"n": 1, "vector": expected}
    assert [row.stored.key for row in found(provider, [1.0, 0.0]).rows] == ["7"]
    provider.store("own", {"vector": [5.0, 0.0]}, {})
    assert [row.stored.key for row in found(provider, [1.0, 0.0]).rows] == ["own", "7"]
    unclear = QdrantProvider(client=client, collection_name="c")
    with pytest.raises(ConfigurationError, match="'pages', 'title'"):
        found(unclear, [1.0, 0.0])


# Filters mean the same


def _agree(provider: QdrantProvider, table: list[strategies.Sample], filters: list[dict[str, Any]]) -> None:
    now = datetime.now(UTC)
    provider.write(
        [
            Draft(row.key, row.data, _legal(row.metadata), row.updated_at or now, created_at=row.created_at)
            for row in table
        ]
    )
    everything = select(provider, Scan(), now).rows
    for one in filters:
        node = parse(one)
        wanted = sorted(row.key for row in everything if node.matches(Record(row, provider.load)))
        assert keys(provider, one) == wanted, one


def _legal(metadata: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metadata.items() if not name.startswith("$")}


TABLES = strategies.tables(json_only=False, nan=True)
FILTERS = st.lists(strategies.filters(json_only=False, nan=True), min_size=1, max_size=4)
HEALTHY = list(HealthCheck)


@settings(max_examples=cases(300), suppress_health_check=HEALTHY)
@given(TABLES, FILTERS)
def test_filters_mean_what_matches_says(shared: QdrantProvider, table: Any, filters: Any) -> None:
    shared.remove(keys(shared))
    _agree(shared, table, filters)


@settings(max_examples=cases(60), suppress_health_check=HEALTHY)
@given(TABLES, FILTERS)
def test_filters_mean_the_same_with_indexes(indexed: QdrantProvider, table: Any, filters: Any) -> None:
    """Every field that a filter looks at gets its index at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qdrant_reading, "INDEX_FROM", 0)
        indexed.remove(keys(indexed))
        _agree(indexed, table, filters)


@settings(max_examples=cases(200), suppress_health_check=HEALTHY)
@given(TABLES, FILTERS, st.lists(strategies.documents(), max_size=3))
def test_filters_on_points_of_others(shared: QdrantProvider, table: Any, filters: Any, theirs: Any) -> None:
    shared.remove(keys(shared))
    _agree(shared, table, [])
    with shared._engine._shard() as shard:  # type: ignore[attr-defined]
        for number, payload in enumerate(theirs):
            try:
                shard.update(edge.UpdateOperation.upsert_points([edge.Point(number, {}, payload)]))
            except (TypeError, ValueError):
                continue  # a value the engine does not take
        shared._engine._folder.notes.clear()  # type: ignore[attr-defined]
    _agree(shared, table, filters)


@settings(max_examples=cases(100), suppress_health_check=HEALTHY)
@given(TABLES, FILTERS)
def test_filters_through_the_client(table: Any, filters: Any) -> None:
    _agree(QdrantProvider(client=QdrantClient(":memory:")), table, filters)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantProvider]:
    with QdrantProvider(path=tmp_path_factory.mktemp("q")) as provider:
        yield provider


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantProvider]:
    with QdrantProvider(path=tmp_path_factory.mktemp("q")) as provider:
        yield provider


def test_an_index_changes_no_answer(embedded: QdrantProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = [1, 1.0, 2.5, True, "1", "a", None, [], [1, "a"], 2**53 + 1, 2**64 - 1, 1e300, {"b": 1}, NOW]
    embedded.write([draft(f"k{number:02}", {"x": value}) for number, value in enumerate(odd)])
    operands = [1, 1.0, 2, True, "a", None, 2**53 + 1, 2**53, 1e300, 2**64 - 1]
    filters = [{"x": {op: operand}} for op in ("$eq", "$ne") for operand in operands]
    filters += [
        {"x": {op: n}} for op in ("$gt", "$gte", "$lt", "$lte") for n in (1, 1.0, 2**53, 2**64, "a", NOW)
    ]
    filters += [{"x": {"$in": [1, "a", True]}}, {"x": {"$prefix": "a"}}, {"x": {"$exists": True}}]
    before = [keys(embedded, one) for one in filters]
    for kind in ("keyword", "float", "bool"):
        embedded._engine.create_index("data.x", kind)
        assert [keys(embedded, one) for one in filters] == before
    monkeypatch.setattr(qdrant_reading, "INDEX_FROM", 0)
    plan = select(embedded, Scan(parse({"x": "a"})), datetime.now(UTC)).plan
    assert plan.index == "payload index on data.x"
    schema = embedded._engine.schema()
    assert schema is not None
    assert "data.x" in schema.indexes


def test_times_are_exact_to_the_microsecond(provider: QdrantProvider) -> None:
    step = timedelta(microseconds=1)
    provider.write([draft(f"k{n}", n, written_at=NOW + n * step) for n in range(3)])
    for op, wanted in {"$gt": ["k2"], "$gte": ["k1", "k2"], "$lt": ["k0"], "$eq": ["k1"]}.items():
        assert keys(provider, {"created_at": {op: NOW + step}}) == wanted


# Life cycle


def test_providers_of_one_path_share_the_engine(tmp_path: Path) -> None:
    first, second = QdrantProvider(path=tmp_path), QdrantProvider(path=str(tmp_path / "."))
    first.store("a", 1, {})
    assert second.retrieve("a") == 1
    first.close()
    assert second.retrieve("a") == 1
    second.close()
    assert first.retrieve("a") == 1
    first.close()
    assert [path.name for path in tmp_path.iterdir()] == ["praval_vectors"]


def test_closing_while_others_use_the_folder(tmp_path: Path) -> None:
    first, second = QdrantProvider(path=tmp_path), QdrantProvider(path=tmp_path)
    closed = threading.Event()

    def use(provider: QdrantProvider) -> None:
        while not closed.is_set():
            provider.store("a", {"vector": [1.0, 2.0]}, {})
            provider.retrieve("a")

    def close() -> None:
        for _ in range(20):
            first.close()
            second.close()

    with ThreadPoolExecutor(4) as threads:
        users = [threads.submit(use, each) for each in (first, first, second)]
        closer = threads.submit(close)
        try:
            closer.result(60)
        finally:
            closed.set()
        for user in users:
            user.result(60)
    first.close()
    second.close()
    edge.EdgeShard.load(str(tmp_path / "praval_vectors")).close()  # nobody holds it any more


def test_a_call_under_way_goes_on_with_the_folder_it_has(embedded: QdrantProvider) -> None:
    engine = embedded._engine
    assert isinstance(engine, EdgeEngine)
    embedded.store("a", 1, {})
    with engine.session():
        closer = threading.Thread(target=embedded.close, daemon=True)
        closer.start()
        wait_until(lambda: engine._lease._folder is None, "let go")
        assert engine.count({}) == 1  # with a new lease, and not as another opener
    closer.join(60)
    assert not closer.is_alive()
    engine.close()
    edge.EdgeShard.load(str(Path(engine.place, "praval_vectors"))).close()


def test_a_second_process_is_told_who_holds_the_folder(embedded: QdrantProvider) -> None:
    embedded.store("a", 1, {})
    code = (
        f"from praval_storage.providers.qdrant import QdrantProvider as Q; Q(path={embedded.settings.path!r})"
    )
    code += ".retrieve('a')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode
    assert "StorageConnectionError" in result.stderr
    assert f"process {os.getpid()} on" in result.stderr
    assert "provider.close()" in result.stderr
    assert "QDRANT_URL" in result.stderr


def in_child(work: Callable[[], str]) -> str:
    """What a forked child says."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, work().encode())
        except StorageError as error:
            os.write(write, repr(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as said:
        return said.read()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forking a process with threads is the point
def test_a_forked_child_may_use_what_its_parent_has_closed(embedded: QdrantProvider) -> None:
    embedded.store("a", 1, {})
    embedded.close()
    assert in_child(lambda: str(embedded.retrieve("a"))) == "1"
    embedded.retrieve("a")

    def close_and_retrieve() -> str:
        embedded.close()
        return str(embedded.retrieve("a"))

    assert "in use by" in in_child(close_and_retrieve)  # and so it is: by the parent
    assert embedded.retrieve("a") == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forking a process with threads is the point
def test_a_forked_child_waits_for_no_lock_of_its_parent(embedded: QdrantProvider) -> None:
    embedded.store("a", 1, {})
    embedded.close()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with qdrant_folder._folders_lock:
            held.set()
            done.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(60)
    try:
        assert in_child(lambda: str(embedded.retrieve("a"))) == "1"
    finally:
        done.set()
        holder.join(60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forking a process with threads is the point
def test_a_forked_child_is_refused(embedded: QdrantProvider) -> None:
    embedded.store("a", 1, {})
    said = in_child(lambda: str(embedded.retrieve("a")))
    assert said.startswith("StorageConnectionError(")
    assert "forked" in said
    assert embedded.retrieve("a") == 1


def test_providers_pickle_without_their_engine(embedded: QdrantProvider) -> None:
    embedded.store("a", 1, {})
    again = pickle.loads(pickle.dumps(embedded))
    assert again.retrieve("a") == 1
    again.close()
    with pytest.raises(ConfigurationError, match="client="):
        pickle.dumps(QdrantProvider(client=QdrantClient(":memory:")))


def test_a_client_passed_in_is_not_closed() -> None:
    client = QdrantClient(":memory:")
    with QdrantProvider(client=client) as provider:
        provider.store("a", 1, {})
    assert client.count("praval_vectors").count == 1


def test_a_removed_folder_is_an_empty_collection(embedded: QdrantProvider) -> None:
    embedded.store("a", 1, {})
    (Path(embedded.settings.path or "") / "praval_vectors").rename(
        Path(embedded.settings.path or "") / ".gone"
    )
    assert keys(embedded) == []
    embedded.store("b", 2, {})
    assert keys(embedded) == ["b"]


def test_threads_share_a_provider(embedded: QdrantProvider) -> None:
    embedded.store("first", {"vector": [0.0, 1.0]}, {})
    failures: list[Exception] = []

    def work(number: int) -> None:
        try:
            for step in range(20):
                key = f"t{number}-{step}"
                embedded.store(key, {"vector": [1.0, number + step]}, {})
                assert embedded.retrieve(key)["vector"] == [1.0, number + step]
                found(embedded, [1.0, 0.0], 3)
        except Exception as error:  # noqa: BLE001 - any failure of a thread is the finding
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(keys(embedded)) == 81


# The index


def _many(provider: QdrantProvider, count: int, size: int = 96) -> np.ndarray[Any, Any]:
    vectors = np.random.default_rng(1).standard_normal((count, size)).astype("f4")
    for start in range(0, count, 1_000):
        chunk = vectors[start : start + 1_000]
        provider.write([draft(f"k{start + i}", {"vector": v, "n": start + i}) for i, v in enumerate(chunk)])
    return vectors


def test_optimize_builds_the_index(embedded: QdrantProvider) -> None:
    vectors = _many(embedded, 4_000, 640)
    before = found(embedded, vectors[5])
    lines: list[str] = []
    embedded.optimize(lines.append)
    after = found(embedded, vectors[5])
    assert (before.plan.index, after.plan.index) == ("flat", "hnsw")
    assert after.rows[0].stored.key == before.rows[0].stored.key == "k5"
    assert "index built" in lines[-1]
    embedded.store("more", {"vector": vectors[5]}, {})
    assert {row.stored.key for row in found(embedded, vectors[5], 2).rows} == {"k5", "more"}


def test_more_candidates_find_more_of_the_nearest(tmp_path: Path) -> None:
    # Vectors without structure are the hardest for the index.
    with QdrantProvider(path=tmp_path, search_ef=1) as narrow:
        vectors = _many(narrow, 11_000, 256)
        narrow.optimize()
        queries = np.random.default_rng(2).standard_normal((40, 256)).astype("f4")
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        best = [{f"k{place}" for place in np.argsort(-(unit @ query))[:5]} for query in queries]

        def recall(provider: QdrantProvider) -> float:
            found_keys = [{row.stored.key for row in found(provider, query, 5).rows} for query in queries]
            return sum(len(a & b) for a, b in zip(best, found_keys, strict=True)) / (5 * len(queries))

        few = recall(narrow)
        with QdrantProvider(path=tmp_path, search_ef=2_000) as wide:
            assert few < 0.9 < 0.99 <= recall(wide)


@pytest.mark.parametrize("count", [9_900, 10_100])  # 10,000 KB are 10,000 vectors of 256 dimensions
def test_the_plan_says_flat_where_the_engine_scans(tmp_path: Path, count: int) -> None:
    # With one candidate, only a scan finds all of the nearest among vectors without structure.
    with QdrantProvider(path=tmp_path, search_ef=1) as provider:
        vectors = _many(provider, count, 256)
        provider.optimize()
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        queries = np.random.default_rng(2).standard_normal((10, 256)).astype("f4")
        for below, few, many in ((count, "flat", "hnsw"), (2_000, "flat", "hnsw, or flat where few match")):
            filters = {"data.n": {"$lt": below}} if below < count else {}
            best = [{f"k{place}" for place in np.argsort(-(unit[:below] @ query))[:5]} for query in queries]
            answers = [found(provider, query, 5, **filters) for query in queries]
            is_exact = [{row.stored.key for row in answer.rows} for answer in answers] == best
            [way] = {(answer.plan.index or "").partition(";")[0] for answer in answers}
            assert way == (few if count < 10_000 else many)
            assert is_exact == (count < 10_000 or below < count)


@pytest.mark.parametrize("ef", [0, -1])
def test_the_candidates_are_a_positive_number(ef: int) -> None:
    with pytest.raises(ConfigurationError, match="search_ef"):
        QdrantProvider(search_ef=ef)


def test_optimize_can_be_stopped(embedded: QdrantProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = _many(embedded, 4_000)
    monkeypatch.setattr(qdrant_optimize, "_STEP", 0.05)
    with pytest.raises(StorageTimeoutError, match="no data is lost"):
        embedded.optimize(timeout=0.3)

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embedded.optimize(interrupt)
    assert len(found(embedded, vectors[5]).rows) == 10
    assert "4,000 points" in embedded.health()


# Settings and errors of servers


def test_settings_from_the_environment(tmp_path: Path) -> None:
    assert QdrantSettings.from_env({}).path == os.path.join("storage", ".praval", "qdrant")  # noqa: PTH118
    assert QdrantSettings.from_env({"PRAVAL_STORAGE_PATH": "/a", "FILESYSTEM_BASE_PATH": "/b"}).path == (
        "/a/.praval/qdrant"
    )
    given = {"QDRANT_URL": "http://h:1", "QDRANT_API_KEY": "secret", "QDRANT_COLLECTION_NAME": "c"}
    found = QdrantSettings.from_env(given)
    assert (found.url, found.path, found.api_key, found.collection) == ("http://h:1", None, "secret", "c")
    assert "secret" not in repr(found)
    assert QdrantSettings.from_env({**given, "QDRANT_COLLECTION": "d"}).collection == "d"
    with pytest.raises(ConfigurationError, match="Both"):
        QdrantSettings.from_env({**given, "QDRANT_PATH": "/x"})
    provider = QdrantProvider.from_env(given)
    assert "secret" not in repr(provider)
    assert list(provider.secrets()) == ["secret"]


@pytest.mark.parametrize(
    "options",
    [
        {"url": "http://h", "path": "p"},
        {"distance": "euclidean"},
        {"vector_size": 0},
        {"collection_name": "../up"},
        {"collection_name": ""},
        {"path": "p", "client": object()},
    ],
    ids="-".join,
)
def test_settings_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        QdrantProvider(**options)
