"""Collections that others filled: integer and UUID ids, their own payloads, vectors of every kind, or none.

Each is written with the native library: ``qdrant_edge`` for the engine, ``QdrantClient`` for a server.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import qdrant_edge as edge
from qdrant_client import QdrantClient, models

from praval_storage import DataManager
from praval_storage.errors import ConfigurationError, KeyExistsError, SerializationError
from praval_storage.jupyter.shelf import shelf
from praval_storage.providers.qdrant import QdrantProvider

UUID_ID = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
LARGEST_ID = 2**64 - 1
WORDS = {"indices": [1, 5], "values": [0.5, 1.0]}
PAGES = [[1.0, 2.0], [3.0, 4.0]]

Vectors = dict[str, Any]
Points = dict[int | str, tuple[Vectors, dict[str, Any]]]

PLAIN: Points = {
    1: ({"": [1.0, 0.0]}, {"city": "Rome", "n": 1, "geo": {"lat": 41.9, "names": [{"it": "Roma"}]}}),
    17: ({"": [0.0, 1.0]}, {"city": "Oslo", "n": 2, "geo": {"lat": 59.9, "names": []}}),
    LARGEST_ID: ({"": [0.75, 0.5]}, {"city": "Rome", "n": 2.5, "tags": ["a", "b"]}),
    UUID_ID: ({}, {"city": None}),
    0: ({}, {}),
}
NAMED: Points = {
    7: ({"title": [1.0, 2.0], "body": [1.0, 2.0, 2.0], "pages": PAGES, "words": WORDS}, {"n": 1}),
    8: ({"title": [3.0, 0.0]}, {"n": 2}),
    9: ({"words": WORDS}, {"n": 3}),
    10: ({}, {"n": 4}),
}
RESERVED: Points = {
    1: ({}, {"key": "k", "data": {"x": 1}, "metadata": {"m": 1}, "created_at": "x", "format": "f"}),
    2: ({}, {"size": -1, "version": 3, "body": 5, "bytes": "?", "types": "no", "loose": "data", "nonce": 1}),
    3: ({}, {"_praval": "mine", "n": 1}),
    4: ({}, {"_praval": True, "n": 1}),
    5: ({}, {"_praval": 1, "n": 1, "key": 5}),
    6: ({}, {"expires_at": "2000-01-01T00:00:00Z", "n": 1, "vector": [1, 2]}),
}


class Native:
    """Writes points the way somebody else does."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.folder = folder
        self.client = QdrantClient(":memory:") if kind == "server" else None

    def provider(self, collection: str, **options: Any) -> QdrantProvider:
        if self.client is not None:
            return QdrantProvider(client=self.client, collection_name=collection, **options)
        return QdrantProvider(path=self.folder, collection_name=collection, **options)

    def fill(self, collection: str, points: Points, *, plain: bool) -> None:
        if self.client is not None:
            self._through_the_client(self.client, collection, points, plain)
        else:
            self._into_the_engine(self.folder / collection, points, plain)

    def _through_the_client(self, client: QdrantClient, name: str, points: Points, plain: bool) -> None:
        dense = models.VectorParams(size=2, distance=models.Distance.DOT)
        body = models.VectorParams(size=3, distance=models.Distance.EUCLID)
        each = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
        pages = models.VectorParams(size=2, distance=models.Distance.DOT, multivector_config=each)
        named = {"title": dense, "body": body, "pages": pages}
        sparse = None if plain else {"words": models.SparseVectorParams()}
        client.create_collection(name, vectors_config=dense if plain else named, sparse_vectors_config=sparse)
        for number, (vectors, payload) in points.items():
            vector: Any = {k: models.SparseVector(**v) if k == "words" else v for k, v in vectors.items()}
            client.upsert(name, [models.PointStruct(id=number, vector=vector, payload=payload)])

    def _into_the_engine(self, path: Path, points: Points, plain: bool) -> None:
        dense = edge.EdgeVectorParams(2, edge.Distance.Dot)
        body = edge.EdgeVectorParams(3, edge.Distance.Euclid)
        each = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim)
        pages = edge.EdgeVectorParams(2, edge.Distance.Dot, multivector_config=each)
        named = {"title": dense, "body": body, "pages": pages}
        sparse = None if plain else {"words": edge.EdgeSparseVectorParams()}
        config = edge.EdgeConfig(vectors=dense if plain else named, sparse_vectors=sparse)
        path.mkdir(parents=True)
        with closing(edge.EdgeShard.create(str(path), config)) as shard:
            for number, (vectors, payload) in points.items():
                vector: Any = {k: edge.SparseVector(**v) if k == "words" else v for k, v in vectors.items()}
                shard.update(edge.UpdateOperation.upsert_points([edge.Point(number, vector, payload)]))


@pytest.fixture(params=["embedded", "server"])
def native(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Native]:
    made = Native(request.param, tmp_path)
    yield made
    if made.client is not None:
        made.client.close()


@pytest.fixture
def dm() -> Iterator[DataManager]:
    with DataManager() as made:
        yield made


def as_read(points: Points) -> dict[str, Any]:
    """What the points are as records: the payload, and the vectors under ``vector``."""
    found = {}
    for number, (vectors, payload) in points.items():
        vector = vectors.get("") if vectors.keys() == {""} else vectors
        found[str(number)] = {**payload, "vector": vector} if vector else payload
    return found


def test_ids_are_keys(native: Native, dm: DataManager) -> None:
    native.fill("theirs", PLAIN, plain=True)
    dm.register_provider("q", native.provider("theirs"))
    expected = as_read(PLAIN)
    assert sorted(reference.key for reference in dm.list("q")) == sorted(expected)
    for key, data in expected.items():
        assert dm.retrieve_by_key("q", key) == data
        assert dm.query("q", {"key": key}) == [data]
        assert dm.exists_by_key("q", key)
    for absent in ("01", "-1", "2", UUID_ID.upper(), "f" * 36, str(2**64)):
        assert not dm.exists_by_key("q", absent)
    records = dm.query("q", limit=None).records
    assert {record.key: record.data for record in records} == expected
    assert [(record.metadata, record.created_at, record.expires_at) for record in records] == [
        ({}, None, None)
    ] * len(PLAIN)


def test_filters_on_their_payload(native: Native, dm: DataManager) -> None:
    native.fill("theirs", PLAIN, plain=True)
    dm.register_provider("q", native.provider("theirs"))

    def found(**filters: Any) -> set[str]:
        return set(dm.query("q", filters, limit=None).keys)

    assert found(city="Rome") == {"1", str(LARGEST_ID)}
    assert found(city=None) == {UUID_ID, "0"}
    assert found(n={"$gte": 2}) == {"17", str(LARGEST_ID)}
    assert found(n=2.5) == {str(LARGEST_ID)}
    assert found(**{"geo.lat": {"$lt": 50}}) == {"1"}
    assert found(**{"data.geo.names.it": {"$prefix": "Ro"}}) == {"1"}
    assert found(**{"geo.names": {"$exists": True}}) == {"1", "17"}
    assert found(tags="a") == {str(LARGEST_ID)}
    assert found(**{"metadata.city": "Rome"}) == set()
    assert found(**{"metadata.city": {"$exists": False}}) == set(as_read(PLAIN))
    assert found(vector={"$exists": False}) == {UUID_ID, "0"}
    assert found(**{"$not": {"city": "Rome"}}) == {"17", UUID_ID, "0"}
    assert found(key={"$in": ["1", UUID_ID]}) == {"1", UUID_ID}
    assert dm.query("q", {"city": {"$exists": True}}, order_by="-n").keys[:2] == [str(LARGEST_ID), "17"]


def test_searches_with_and_without_filters(native: Native, dm: DataManager) -> None:
    native.fill("theirs", PLAIN, plain=True)
    dm.register_provider("q", native.provider("theirs"))
    result = dm.search("q", [1.0, 0.0])
    assert result.keys == ["1", str(LARGEST_ID), "17"]
    assert result.metric == "dot"
    assert result[0] == (as_read(PLAIN)["1"], 1.0)
    assert dm.search("q", [0.0, 1.0], filters={"city": "Rome"}).keys == [str(LARGEST_ID), "1"]
    with pytest.raises(SerializationError, match="expects vectors with 2 dimensions, got 3"):
        dm.search("q", [1.0, 0.0, 0.0])


def test_frames(native: Native, dm: DataManager) -> None:
    native.fill("theirs", PLAIN, plain=True)
    dm.register_provider("q", native.provider("theirs"))
    frame = dm.query("q", {"city": {"$in": ["Rome", "Oslo"]}}, order_by="key").to_pandas()
    assert frame["key"].tolist() == ["1", "17", str(LARGEST_ID)]
    assert frame["city"].tolist() == ["Rome", "Oslo", "Rome"]
    assert frame["n"].tolist() == [1, 2, 2.5]
    assert [list(vector) for vector in frame["vector"]] == [[1.0, 0.0], [0.0, 1.0], [0.75, 0.5]]


@pytest.mark.parametrize("meant, metric, order", [("title", "dot", ["8", "7"]), ("body", "euclid", ["7"])])
def test_named_vectors(native: Native, dm: DataManager, meant: str, metric: str, order: list[str]) -> None:
    native.fill("theirs", NAMED, plain=False)
    dm.register_provider("q", native.provider("theirs", vector_name=meant))
    for key, data in as_read(NAMED).items():
        assert dm.retrieve_by_key("q", key) == data
    assert dm.query("q", {"n": {"$gt": 1}}, order_by="key").keys == ["10", "8", "9"]
    assert dm.query("q", {"vector.words.indices": 5}, order_by="key").keys == ["7", "9"]
    query = [2.0, 0.0] if meant == "title" else [1.0, 2.0, 2.0]
    result = dm.search("q", query)
    assert (result.keys, result.metric) == (order, metric)
    assert dm.search("q", query, filters={"n": 1}).keys == ["7"]
    frame = dm.query("q", order_by="key").to_pandas()
    assert frame["key"].tolist() == ["10", "7", "8", "9"]


def test_multivectors_are_searched_by_one_of_theirs(native: Native, dm: DataManager) -> None:
    native.fill("theirs", NAMED, plain=False)
    dm.register_provider("q", native.provider("theirs", vector_name="pages"))
    result = dm.search("q", [1.0, 0.0])
    assert result.keys == ["7"]
    assert result.scores == [3.0]


def test_which_of_several_vectors_has_to_be_said(native: Native, dm: DataManager) -> None:
    native.fill("theirs", NAMED, plain=False)
    dm.register_provider("q", native.provider("theirs"))
    with pytest.raises(ConfigurationError, match="vector_name="):
        dm.search("q", [1.0, 0.0])
    assert len(dm.list("q")) == len(NAMED)


def test_ours_go_beside_theirs(native: Native, dm: DataManager) -> None:
    native.fill("theirs", NAMED, plain=False)
    dm.register_provider("q", native.provider("theirs", vector_name="title"))
    data = {"n": 5, "vector": [5.0, 0.0]}
    dm.store(data, "q", "mine", {"m": 1})
    dm.store({"n": 6}, "q", "none")
    assert dm.retrieve_by_key("q", "mine") == data
    assert dm.search("q", [1.0, 0.0]).keys == ["mine", "8", "7"]
    assert dm.query("q", {"n": {"$gte": 4}}, order_by="key").keys == ["10", "mine", "none"]
    with pytest.raises(KeyExistsError):
        dm.store(0, "q", "7", overwrite=False)
    dm.store({"n": 7}, "q", "7")
    assert dm.query("q", {"key": "7"}) == [{"n": 7}]
    assert sorted(dm.query("q").keys) == ["10", "7", "8", "9", "mine", "none"]
    assert dm.delete_by_key("q", "7")
    assert not dm.exists_by_key("q", "7")
    for key, expected in as_read({number: NAMED[number] for number in (8, 9, 10)}).items():
        assert dm.retrieve_by_key("q", key) == expected


def test_an_index_over_their_vectors_harms_none(native: Native, dm: DataManager) -> None:
    native.fill("theirs", NAMED, plain=False)
    provider = native.provider("theirs", vector_name="title")
    dm.register_provider("q", provider)
    provider.optimize()
    provider.close()
    for key, data in as_read(NAMED).items():
        assert dm.retrieve_by_key("q", key) == data
    assert dm.search("q", [2.0, 0.0]).keys == ["8", "7"]


def test_their_names_may_be_those_of_our_fields(native: Native, dm: DataManager) -> None:
    native.fill("theirs", RESERVED, plain=True)
    dm.register_provider("q", native.provider("theirs"))
    for key, data in as_read(RESERVED).items():
        assert dm.retrieve_by_key("q", key) == data
        assert dm.query("q", {"key": key}) == [data]
    assert dm.query("q", {"data.key": "k"}).keys == ["1"]
    assert dm.query("q", {"data.x": 1}).keys == []
    assert dm.query("q", {"data.data.x": 1}).keys == ["1"]
    assert dm.query("q", {"metadata.m": 1}).keys == []
    assert dm.query("q", {"n": 1}, order_by="key").keys == ["3", "4", "5", "6"]
    assert dm.query("q", {"n": {"$ne": 1}}, order_by="key").keys == ["1", "2"]
    assert dm.query("q", {"body": 5}).keys == ["2"]
    assert dm.query("q", {"data._praval": "mine"}).keys == ["3"]
    assert dm.query("q", {"data.vector": 1}).keys == ["6"]
    dm.store({"n": 1}, "q", "mine")
    assert dm.query("q", {"n": 1}, order_by="key").keys == ["3", "4", "5", "6", "mine"]
    provider = dm.providers["q"]
    assert isinstance(provider, QdrantProvider)
    assert provider.purge_expired() == 0
    assert len(dm.list("q")) == len(RESERVED) + 1


def test_ours_can_be_multivectors(native: Native, dm: DataManager) -> None:
    native.fill("theirs", NAMED, plain=False)
    dm.register_provider("q", native.provider("theirs", vector_name="pages"))
    dm.store({"vector": [9.0, 0.0]}, "q", "mine")
    assert dm.retrieve_by_key("q", "mine") == {"vector": [9.0, 0.0]}
    assert dm.search("q", [1.0, 0.0]).keys == ["mine", "7"]


def test_a_sparse_collection(dm: DataManager) -> None:
    with closing(QdrantClient(":memory:")) as client:
        client.create_collection("theirs", sparse_vectors_config={"words": models.SparseVectorParams()})
        words = models.SparseVector(**WORDS)
        client.upsert("theirs", [models.PointStruct(id=1, vector={"words": words}, payload={"n": 1})])
        dm.register_provider("q", QdrantProvider(client=client, collection_name="theirs"))
        assert dm.retrieve_by_key("q", "1") == {"n": 1, "vector": {"words": WORDS}}
        assert list(dm.search("q", [1.0, 0.0])) == []
        assert dm.query("q", {"n": 1}).keys == ["1"]


def test_a_body_that_was_damaged_stops_no_search(native: Native, dm: DataManager) -> None:
    """What looks like ours, and whose text somebody has cut off."""
    facts = {"_praval": "praval_storage/1", "format": "json", "size": 9, "loose": ["data"]}
    points: Points = {
        1: ({"": [1.0, 0.0]}, {**facts, "key": "broken", "data": {"n": 1}, "body": '{"n": 1'}),
        2: ({"": [0.5, 0.5]}, {**facts, "key": "good", "data": {"n": 1}, "body": '{"n": 1}'}),
    }
    native.fill("damaged", points, plain=True)
    dm.register_provider("q", native.provider("damaged"))
    for found in (dm.search("q", [1.0, 0.0], filters={"n": 1}), dm.query("q", {"n": 1})):
        assert found.keys == ["good"]
        assert found.plan.unreadable == ("broken",)
    assert dm.search("q", [1.0, 0.0], filters={"n": 1}, limit=1).plan.unreadable == ("broken",)
    assert dm.search("q", [1.0, 0.0]).keys == ["broken", "good"]


IMAGES: Points = {
    1: ({"title": [1.0, 0.0], "body": [1.0, 0.0, 0.0]}, {"vector": "PAYLOAD", "a": 1}),
    2: ({"title": [0.0, 1.0], "body": [1.0, 0.5, 0.0]}, {"vector": [1.0, 2.0], "_vector": 5}),
    3: ({"title": [1.0, 0.5]}, {"vector": None}),
    4: ({"body": [0.0, 0.0, 1.0], "words": WORDS, "pages": PAGES}, {"a": 4}),
    5: ({}, {"vector": "PAYLOAD"}),
}


def test_a_payload_keeps_its_own_vector_field(native: Native, dm: DataManager) -> None:
    native.fill("theirs", IMAGES, plain=False)
    dm.register_provider("q", native.provider("theirs"))
    first, second = (IMAGES[number][0] for number in (1, 2))
    assert dm.retrieve_by_key("q", "1") == {"vector": "PAYLOAD", "a": 1, "_vector": first}
    assert dm.retrieve_by_key("q", "2") == {"vector": [1.0, 2.0], "_vector": 5, "__vector": second}
    assert dm.retrieve_by_key("q", "4")["vector"] == IMAGES[4][0]
    assert dm.retrieve_by_key("q", "5") == {"vector": "PAYLOAD"}

    def found(path: str, condition: Any) -> list[str]:
        return dm.query("q", {path: condition}, order_by="key").keys

    assert found("vector", "PAYLOAD") == ["1", "5"]
    assert found("_vector.title", 0.5) == ["3"]
    assert found("_vector", {"$exists": True}) == ["1", "2", "3"]
    assert found("_vector", 5) == found("__vector.body", 0.5) == ["2"]
    assert found("vector.body", {"$exists": True}) == ["4"]


def test_a_search_says_which_vector(native: Native, dm: DataManager) -> None:
    native.fill("theirs", IMAGES, plain=False)
    dm.register_provider("q", native.provider("theirs"))
    found = dm.search("q", [1.0, 0.0], vector_name="title")
    assert (found.keys, found.metric, found.vector_name) == (["1", "3", "2"], "dot", "title")
    found = dm.search("q", [1.0, 0.0, 0.0], limit=2, vector_name="body")
    assert (found.keys, found.metric, found[:1].vector_name) == (["1", "2"], "euclid", "body")
    assert dm.search("q", [1.0, 0.0], filters={"vector": "PAYLOAD"}, vector_name="title").keys == ["1"]
    with pytest.raises(
        ConfigurationError, match=r"'body', 'pages', 'title', and none was chosen.*vector_name="
    ):
        dm.search("q", [1.0, 0.0])
    with pytest.raises(ConfigurationError, match="'body', 'pages', 'title', none called 'img'"):
        dm.search("q", [1.0, 0.0], vector_name="img")
    wrong: Any = [1.0, 0.0]
    with pytest.raises(ConfigurationError, match="name of a vector, not list"):
        dm.search("q", [1.0, 0.0], vector_name=wrong)
    dm.register_provider("body", native.provider("theirs", vector_name="body"))
    assert dm.search("body", [1.0, 0.0, 0.0]).keys == ["1", "2", "4"]
    assert dm.search("body", [1.0, 0.0], vector_name="title").keys == ["1", "3", "2"]


def test_each_vector_is_shown_once_and_what_is_near_by_one_of_them(native: Native, dm: DataManager) -> None:
    native.fill("theirs", IMAGES, plain=False)
    dm.register_provider("q", native.provider("theirs"))

    def shown(key: str) -> tuple[list[str], str, list[str]]:
        parts = dm.preview(f"praval://q/{key}").payload()["parts"]
        *others, near = [part for part in parts if part["type"] != "tree"]
        names = [part["name"] for part in others]
        return names, near["metric"], [each["key"] for each in near["items"]]

    assert shown("1") == (["body", "title"], "euclid of body", ["2", "4"])
    assert shown("2") == (["vector", "body", "title"], "euclid of body", ["1", "4"])
    assert shown("3") == (["title"], "dot of title", ["1", "2"])
    assert shown("4") == (["body"], "euclid of body", ["1", "2"])
    text = repr(dm.preview("praval://q/4"))
    assert "pages" in text
    assert "words" in text
    assert "PAYLOAD" in repr(dm.preview("praval://q/1"))


def test_a_map_says_what_is_near_by_the_vector_it_draws(native: Native, dm: DataManager) -> None:
    native.fill("theirs", IMAGES, plain=False)
    dm.register_provider("q", native.provider("theirs"))
    drawn = dm.vector_map("q")
    assert drawn.vector == "body"
    assert [key for key, _ in drawn.neighbours("1", 1)] == ["2"]
    assert [key for key, _ in dm.vector_map("q", vector="title").neighbours("1", 1)] == ["3"]


def test_the_browser_of_a_search_says_what_is_near_by_what_was_searched(
    native: Native, dm: DataManager
) -> None:
    native.fill("theirs", IMAGES, plain=False)
    dm.register_provider("q", native.provider("theirs"))
    found = dm.search("q", [1.0, 0.0], vector_name="title")
    browser_of, _ = shelf(found)
    near = browser_of.preview("praval://q/1").payload()["parts"][-1]
    assert (near["metric"], [each["key"] for each in near["items"]]) == ("dot of title", ["3", "2"])


def test_a_single_named_vector_needs_no_choice(dm: DataManager) -> None:
    with closing(QdrantClient(":memory:")) as client:
        space = models.VectorParams(size=2, distance=models.Distance.COSINE)
        client.create_collection("theirs", vectors_config={"img": space})
        for number in (1, 2):
            vector = {"img": [1.0, number]}
            client.upsert("theirs", [models.PointStruct(id=number, vector=vector, payload={"n": number})])
        dm.register_provider("q", QdrantProvider(client=client, collection_name="theirs"))
        assert dm.search("q", [1.0, 0.0]).keys == dm.search("q", [1.0, 0.0], vector_name="img").keys
        _, line, near = dm.preview("praval://q/1").payload()["parts"]
        assert (line["name"], near["metric"], len(near["items"])) == ("img", "cosine", 1)
