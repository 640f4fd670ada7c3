"""Maps of vectors: the projection against the exact one, samples, colours, and what cannot be drawn."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import qdrant_edge as edge
from backends import make
from conftest import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from qdrant_client import QdrantClient, models

from praval_storage import ConfigurationError, DataManager, UnsupportedOperationError
from praval_storage.mapping.colouring import COLOURS, SCALE, colouring
from praval_storage.mapping.fields import fields_of, title_of
from praval_storage.mapping.projection import project
from praval_storage.providers import QdrantProvider
from praval_storage.sampling import VectorRow
from praval_storage.testing import InMemoryProvider
from praval_storage.testing.conformance.previews import ATTRIBUTES, TAGS, Markup


@pytest.fixture(params=["qdrant-embedded", "qdrant-server"])
def dm(request: pytest.FixtureRequest) -> Iterator[DataManager]:
    with DataManager({"vec": make(request.param, request), "memory": InMemoryProvider()}) as manager:
        yield manager


def clusters(count: int, size: int = 16) -> list[dict[str, Any]]:
    """Records around three corners."""
    random = np.random.default_rng(5)
    corners = np.eye(size)[:3] * 10
    return [
        {
            "vector": (corners[n % 3] + random.normal(size=size)).tolist(),
            "topic": ("law", "physics", "<b>art</b>")[n % 3],
            "n": n,
            "title": f"On {n}",
        }
        for n in range(count)
    ]


# The projection


def exact(vectors: Any) -> tuple[Any, float]:
    """The first two principal components by the eigenvectors of the whole covariance, in double precision."""
    centred = np.asarray(vectors, float) - np.mean(vectors, axis=0, dtype=float)
    values, directions = np.linalg.eigh(centred.T @ centred)
    points = centred @ directions[:, ::-1][:, :2]
    total = values.sum()
    return points, float(values[::-1][:2].sum() / total) if total else 0.0


SHAPES = [(500, 64), (60, 300), (2_000, 16), (3, 50), (2, 2), (1, 5), (40, 3)]


@pytest.mark.parametrize("count, size", SHAPES)
@pytest.mark.parametrize("decay", [0.3, 0.9, 1.0])
def test_the_projection_is_that_of_exact_principal_components(count: int, size: int, decay: float) -> None:
    random = np.random.default_rng(count + size)
    vectors = (random.normal(size=(count, size)) * decay ** np.arange(size) + 3).astype(np.float32)
    found = project(vectors)
    points, explained = exact(vectors)
    assert found.points.dtype == np.float32
    assert found.points.shape == (count, 2)
    # Where no direction stands out, any plane that shows nearly as much is as good.
    assert found.explained == pytest.approx(explained, rel=0.05 if decay == 1.0 else 1e-4, abs=1e-6)
    if decay < 1.0 and count > 2:
        for axis in range(2):
            mine, theirs = found.points[:, axis], points[:, axis]
            scale = np.abs(theirs).max() or 1
            assert min(np.abs(mine - theirs).max(), np.abs(mine + theirs).max()) < 0.01 * scale


@settings(max_examples=cases(100))
@given(st.integers(1, 60), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from([1e-30, 1, 1e37]))
def test_the_projection_never_shows_more_than_there_is(
    count: int, size: int, seed: int, scale: float
) -> None:
    vectors = (np.random.default_rng(seed).normal(size=(count, size)) * scale).astype(np.float32)
    found = project(vectors)
    assert np.isfinite(found.points).all()
    assert -1e-6 <= found.explained <= 1 + 1e-4
    again = project(vectors)
    assert (found.points == again.points).all()


def test_the_order_and_place_of_the_vectors_do_not_turn_the_picture() -> None:
    random = np.random.default_rng(1)
    vectors = (random.normal(size=(300, 20)) * 0.7 ** np.arange(20)).astype(np.float32)
    order = random.permutation(300)
    first, second = project(vectors).points, project(vectors[order] + 5).points
    assert np.abs(first[order] - second).max() < 1e-3


# Samples


def test_a_map_has_points_colours_and_the_list_beside_it(dm: DataManager) -> None:
    dm.store_many(clusters(90), "vec", [f"p{n:02}" for n in range(90)], {"set": "x"})
    found = dm.vector_map("vec", "topic")
    assert sorted(found.keys) == [f"p{n:02}" for n in range(90)]
    assert np.abs(found.points).max() == pytest.approx(1)
    assert (found.metric, found.size, found.total, list(found.vectors)) == ("cosine", 16, 90, [""])
    assert found.explained is not None
    assert 0.3 < found.explained < 1
    assert [(entry.label, entry.count) for entry in found.colours.legend] == [
        ('"<b>art</b>"', 30),
        ("law", 30),
        ("physics", 30),
        ("other", 0),
        ("none", 0),
    ]
    # Each topic is a cluster: points are nearer to their own middle than to the others'.
    frame = found.to_pandas()
    middles = frame.groupby("topic")[["x", "y"]].mean()
    nearest = [
        middles.index[((middles - row[["x", "y"]].astype(float)) ** 2).sum(axis=1).argmin()]
        for _, row in frame.iterrows()
    ]
    assert nearest == frame["topic"].tolist()
    assert repr(found).startswith("VectorMap: vec, cosine, 16 dimensions, all 90 records\nPCA, ")
    assert "  On 43" in repr(found)


def test_a_sample_is_even_and_the_same_for_the_same_seed(dm: DataManager) -> None:
    dm.store_many(clusters(300), "vec", [f"p{n:03}" for n in range(300)])
    found = dm.vector_map("vec", sample=60)
    assert (len(found.keys), found.total) == (60, 300)
    assert "sampled 60 of 300" in repr(found)
    assert found.payload()["sample_text"] == "sampled 60 of 300"
    again = dm.vector_map("vec", sample=60)
    assert (again.keys, again.points.tolist()) == (found.keys, found.points.tolist())
    other = dm.vector_map("vec", sample=60, seed=1)
    assert set(other.keys) != set(found.keys)
    # The picture is of the data, not of the sample.
    assert other.explained == pytest.approx(found.explained, abs=0.1)
    assert {fields["topic"] for fields in found.known} == {"law", "physics", "<b>art</b>"}


@pytest.mark.parametrize("sample", [0, -1, 20_001])
def test_a_sample_has_a_size_that_can_be_shown(dm: DataManager, sample: int) -> None:
    with pytest.raises(ConfigurationError, match="between 1 and 20,000"):
        dm.vector_map("vec", sample=sample)


@pytest.mark.parametrize(
    "filters",
    [
        {"topic": "law"},
        {"n": {"$gte": 30, "$lt": 60}},
        {"key": {"$regex": "(?i)P.5"}},
        {"metadata.set": "x", "topic": {"$in": ["law", "physics"]}},
        {"n": -1},
    ],
)
def test_a_map_of_what_matches_is_of_nothing_else(dm: DataManager, filters: dict[str, Any]) -> None:
    dm.store_many(clusters(90), "vec", [f"p{n:02}" for n in range(90)], {"set": "x"})
    keys = sorted(each.key for each in dm.query("vec", filters, limit=None).references)
    found = dm.vector_map("vec", "topic", filters=filters)
    assert sorted(found.keys) == keys
    assert (found.total, len(found.points)) == (len(keys), len(keys))
    assert found.filters is not None
    assert "that match" in repr(found)
    some = dm.vector_map("vec", filters=filters, sample=7)
    assert set(some.keys) <= set(keys)
    assert len(some.keys) == min(7, len(keys))
    assert list(some.keys) == list(dm.vector_map("vec", filters=filters, sample=7).keys)


def test_of_very_many_matches_the_first_are_sampled(dm: DataManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("praval_storage.mapping.making.FOUND", 20)
    dm.store_many(clusters(90), "vec", [f"p{n:02}" for n in range(90)])
    found = dm.vector_map("vec", filters={"topic": "law"})
    assert len(found.keys) == 20
    assert found.notes == ["The sample is of the first 20 records that match; there may be more"]


def test_the_words_for_a_sample_of_what_matches(dm: DataManager) -> None:
    dm.store_many(clusters(30), "vec", [f"p{n:02}" for n in range(30)])
    words = lambda filters, sample=50: dm.vector_map("vec", filters=filters, sample=sample)._sample()  # noqa: E731
    assert words(None) == words({}) == "all 30 records"
    assert words({"topic": "law"}, 3) == "sampled 3 of 10 that match"
    assert words({"topic": "law"}) == "all 10 records that match"
    assert words({"n": 4}) == "1 record that matches"
    assert words({"n": -1}) == "no records that match"


def test_very_many_points_are_sampled_from_the_first(
    dm: DataManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("praval_storage.providers.qdrant.sampling.MOST", 40)
    monkeypatch.setattr("praval_storage.providers.qdrant.sampling._PAGE", 25)
    dm.store_many(clusters(100), "vec")
    found = dm.vector_map("vec", sample=20)
    assert (len(found.keys), found.total) == (20, 100)
    assert "The sample is of the first 40 records by id" in found.notes


def test_the_payload_is_json_and_two_buffers(dm: DataManager) -> None:
    dm.store_many(clusters(50), "vec", [f"p{n}" for n in range(50)])
    found = dm.vector_map("vec", "n")
    payload = json.loads(json.dumps(found.payload(), allow_nan=False))
    points = np.frombuffer(found.blobs[payload["points"]], "<f4").reshape(-1, 2)
    assert (points == found.points).all()
    codes = list(found.blobs[payload["colour"]["codes"]])
    assert len(codes) == len(payload["keys"]) == len(payload["titles"]) == 50
    assert max(codes) < len(payload["colour"]["legend"])
    assert payload["colour"]["kind"] == "number"
    assert set(payload["fields"]) == {"n", "title", "topic"}
    assert payload["titles"][0] == f"On {payload['colour']['values'][0]}"


def test_neighbours_come_from_the_backend(dm: DataManager) -> None:
    dm.store_many(clusters(90), "vec", [f"p{n:02}" for n in range(90)])
    found = dm.vector_map("vec", sample=10)
    near = found.neighbours("p00", 7)
    vector = dm.retrieve("praval://vec/p00")["vector"]
    wanted = dm.search("vec", vector, limit=8)
    assert [key for key, _ in near] == wanted.keys[1:]
    assert [score for _, score in near] == pytest.approx(wanted.scores[1:])


def test_other_colours_need_no_reading_and_name_the_fields(dm: DataManager) -> None:
    dm.store_many(clusters(30), "vec")
    found = dm.vector_map("vec")
    dm.close()
    assert found.coloured_by("n").colours.kind == "number"
    assert found.coloured_by("topic").coloured_by(None).colours == found.colours
    with pytest.raises(ConfigurationError, match="Fields: n, title, topic"):
        found.coloured_by("no such")


def test_what_gives_out_no_vectors_is_refused(dm: DataManager) -> None:
    with pytest.raises(UnsupportedOperationError, match="these can: vec"):
        dm.vector_map("memory")


# What cannot be drawn


def test_an_empty_collection_has_an_empty_map(dm: DataManager) -> None:
    found = dm.vector_map("vec")
    assert (found.keys, found.points.shape, found.explained) == ([], (0, 2), None)
    assert "no records" in repr(found)
    assert found.to_pandas().shape == (0, 3)
    assert "img" not in found._repr_html_()


def test_records_without_vectors_are_counted(dm: DataManager) -> None:
    dm.store_many([{"a": n} for n in range(5)], "vec")
    nothing = dm.vector_map("vec", "a")
    assert nothing.notes == ["Not drawn: there is no dense vector"]
    assert (len(nothing.keys), len(nothing.points)) == (5, 0)
    assert "a" in repr(nothing)
    dm.store_many(clusters(10), "vec")
    some = dm.vector_map("vec")
    assert some.notes == ["Not drawn: 5 records that have no such vector"]
    assert len(some.keys) == len(some.points) == 10


def test_equal_vectors_and_those_of_one_dimension_are_drawn_and_said_so(dm: DataManager) -> None:
    dm.store_many([{"vector": [1.0, 2.0]}] * 5, "vec", collection="equal")
    equal = dm.vector_map("vec", collection="equal")
    assert equal.notes == ["All vectors are equal: the points lie on each other"]
    assert np.abs(equal.points).max() < 1e-3
    dm.store_many([{"vector": [float(n + 1)]} for n in range(5)], "vec", collection="line")
    line = dm.vector_map("vec", collection="line")
    assert any("one dimension" in note or "equal" in note for note in line.notes)
    assert (line.points[:, 1] == 0).all()
    assert line._repr_html_()
    dm.store({"vector": [1.0, 2.0, 3.0]}, "vec", "single", collection="single")
    single = dm.vector_map("vec", collection="single")
    assert (single.points.tolist(), single.explained) == ([[0, 0]], 0)


def test_expired_records_are_not_drawn(dm: DataManager) -> None:
    dm.store_many(clusters(10), "vec", [f"p{n}" for n in range(10)])
    dm.store({"vector": [1.0] * 16}, "vec", "late", ttl=1e-6)
    assert "late" not in dm.vector_map("vec").keys


# Collections of others


@pytest.fixture
def foreign() -> Iterator[DataManager]:
    """Named vectors of every kind on a client."""
    client = QdrantClient(":memory:")
    each = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    client.create_collection(
        "docs",
        vectors_config={
            "title": models.VectorParams(size=3, distance=models.Distance.DOT),
            "body": models.VectorParams(size=4, distance=models.Distance.EUCLID),
            "pages": models.VectorParams(size=2, distance=models.Distance.DOT, multivector_config=each),
        },
        sparse_vectors_config={"words": models.SparseVectorParams()},
    )
    client.upsert(
        "docs",
        [
            models.PointStruct(
                id=n,
                vector={
                    "title": [float(n), 1.0, 0.0],
                    "body": [float(n % 2) * 5, float(n), 0.0, 1.0],
                    "pages": [[1.0, 2.0], [3.0, float(n)]],
                    "words": models.SparseVector(indices=[n], values=[1.0]),
                },
                payload={"topic": "ab"[n % 2], "geo": {"city": "Rome"}, "tags": ["x"]},
            )
            for n in range(20)
        ],
    )
    with DataManager({"vec": QdrantProvider(client=client, collection_name="docs")}) as manager:
        yield manager
    client.close()


def test_of_several_vectors_one_is_chosen_by_name(foreign: DataManager) -> None:
    first = foreign.vector_map("vec", "topic")
    assert (first.vector, first.size, first.metric) == ("body", 4, "euclid")
    assert first.vectors == ("body", "pages", "title")
    title = foreign.vector_map("vec", "topic", vector="title")
    assert (title.vector, title.size, title.metric) == ("title", 3, "dot")
    body = foreign.vector_map("vec", "topic", vector="body")
    assert (body.vector, body.size, body.metric) == ("body", 4, "euclid")
    assert body.fields == ["geo.city", "topic"]
    assert sorted(body.keys, key=int) == [str(n) for n in range(20)]
    assert "vector 'body'" in repr(body)
    near = body.neighbours("4", 2)
    assert {key for key, _ in near} == {"2", "6"}
    assert near[0][1] == pytest.approx(1 / 3)
    with pytest.raises(ConfigurationError, match="none is called 'no such'"):
        foreign.vector_map("vec", vector="no such")


def test_what_others_wrote_is_filtered_as_well(foreign: DataManager) -> None:
    found = foreign.vector_map("vec", "topic", filters={"topic": "a"})
    assert sorted(found.keys, key=int) == [str(n) for n in range(0, 20, 2)]
    assert [(entry.label, entry.count) for entry in found.colours.legend if entry.count] == [("a", 10)]
    assert found.known[0]["geo.city"] == "Rome"


def test_several_vectors_per_record_are_listed_and_not_drawn(foreign: DataManager) -> None:
    pages = foreign.vector_map("vec", vector="pages")
    assert pages.notes == ["Not drawn: a record has several of these vectors"]
    assert (len(pages.keys), len(pages.points)) == (20, 0)
    assert pages.payload()["keys"]
    assert "img" not in pages._repr_html_()


def test_a_collection_of_the_engine_that_somebody_else_made(tmp_path: Any) -> None:
    path = tmp_path / "docs"
    path.mkdir()
    shard = edge.EdgeShard.create(
        str(path), edge.EdgeConfig(vectors={"": edge.EdgeVectorParams(size=2, distance=edge.Distance.Dot)})
    )
    points = [edge.Point(n, [float(n), float(n * n)], {"n": n, "name": f"x{n}"}) for n in range(9)]
    shard.update(edge.UpdateOperation.upsert_points(points))
    shard.close()
    with DataManager({"vec": QdrantProvider(path=tmp_path, collection_name="docs")}) as manager:
        found = manager.vector_map("vec", "n")
        assert sorted(found.keys) == [str(n) for n in range(9)]
        assert found.explained == pytest.approx(1)
        assert manager.preview("praval://vec/3").kind == "vector"


# Colours


def test_the_ten_largest_categories_have_colours_of_their_own() -> None:
    names = "abcdefghijkl"
    points: list[Any] = [{"c": name} for place, name in enumerate(names) for _ in range(20 - place)]
    found = colouring([*points, {}, {"c": None}], "c")
    assert [(entry.label, entry.count) for entry in found.legend] == [
        *((name, 20 - place) for place, name in enumerate(names[:10])),
        ("other", 10 + 9),
        ("none", 2),
    ]
    assert [entry.colour for entry in found.legend[:10]] == list(COLOURS)
    assert len({entry.shape for entry in found.legend}) == 12
    assert [found.legend[code].label for code in found.codes[:21]] == ["a"] * 20 + ["b"]
    assert found.codes[-2:] == [11, 11]
    assert found.values[-1] == "null"


def test_colours_do_not_depend_on_the_order_of_the_points() -> None:
    points: list[Any] = [{"c": name} for name in "abcabcd"]
    assert colouring(points, "c").legend == colouring(points[::-1], "c").legend


@pytest.mark.parametrize(
    "values, kind",
    [
        (list(range(10)), "category"),
        (list(range(11)), "number"),
        ([n / 7 for n in range(100)], "number"),
        ([0, 1, 2] * 5, "category"),
        ([True, False], "category"),
        ([*range(20), "x"], "category"),
        ([*range(20), None], "number"),
        ([*range(20), True], "number"),
        ([-1e308, 1e308, *range(20)], "category"),
        ([2**200, *range(20)], "number"),
        (["a"] * 3, "category"),
        ([], "category"),
    ],
)
def test_numbers_are_on_a_scale_and_all_else_are_categories(values: list[Any], kind: str) -> None:
    found = colouring([{"v": value} for value in values], "v")
    assert found.kind == kind
    assert len(found.codes) == len(values)
    assert all(0 <= code < len(found.legend) for code in found.codes)
    assert sum(entry.count for entry in found.legend) == len(values)


def test_a_scale_goes_from_low_to_high() -> None:
    found = colouring([{"v": n / 10} for n in range(161)], "v")
    assert [entry.colour for entry in found.legend[:-1]] == list(SCALE)
    assert (found.legend[0].label, found.legend[15].label) == ("0 to 1", "15 to 16")
    assert list(found.codes) == sorted(found.codes)
    few = colouring([{"v": n} for n in range(11)], "v")
    assert [entry.label for entry in few.legend] == [*map(str, range(11)), "none"]


# Pictures and words


def test_the_picture_has_the_colours_of_the_legend_on_a_clear_ground(dm: DataManager) -> None:
    dm.store_many(clusters(60), "vec")
    found = dm.vector_map("vec", "topic")
    html = found._repr_html_()
    markup = Markup(html)
    assert markup.tags <= TAGS
    assert markup.attributes <= ATTRIBUTES
    assert len(html) < 6_000
    assert "<b>art" not in html
    from praval_storage.mapping.drawing import draw

    picture = Image.open(io.BytesIO(draw(found.points, found.colours))).convert("RGBA")
    seen = {colour for _, colour in picture.getcolors(100_000) or []}
    drawn = {(*bytes.fromhex(entry.colour[1:]), 255) for entry in found.colours.legend if entry.count}
    assert drawn | {(0, 0, 0, 0)} == seen


@pytest.mark.parametrize("points, most", [(150, 6_000), (400, 6_000), (800, 6_000), (2_000, 7_500)])
def test_a_map_of_points_all_over_the_plane_is_a_small_picture(
    dm: DataManager, points: int, most: int
) -> None:
    vectors = np.random.default_rng(0).normal(size=(points, 16)).tolist()
    dm.store_many(
        [{"vector": vector, "topic": f"topic {n % 10}"} for n, vector in enumerate(vectors)], "vec"
    ).raise_for_errors()
    assert len(dm.vector_map("vec", "topic")._repr_html_()) < most


def test_fields_are_paths_of_scalars_and_long_texts_are_cut() -> None:
    row = VectorRow(
        "k", None, {"key": 1, "a": {"b": {"c": 1, "d": {"e": 1}}}, "l": [1], "t": "x" * 999}, {"m": 1}
    )
    assert fields_of(row) == {"data.key": 1, "a.b.c": 1, "t": "x" * 200, "metadata.m": 1}
    assert fields_of(VectorRow("k", None, "text", None)) == {"data": "text"}
    assert len(fields_of(VectorRow("k", None, {str(n): n for n in range(99)}, None))) == 50
    assert title_of({"name": "x\u202ey"}) == "x\\u202ey"
    assert title_of({"n": 1}) == ""


def test_a_field_path_of_the_map_is_the_path_of_a_filter(dm: DataManager) -> None:
    dm.store_many([{**record, "size": n} for n, record in enumerate(clusters(12))], "vec", metadata={"m": 1})
    found = dm.vector_map("vec")
    assert set(found.fields) == {"n", "title", "topic", "data.size", "metadata.m"}
    for path in found.fields:
        assert len(dm.query("vec", {path: {"$exists": True}})) == 12
    assert isinstance(found.to_pandas(), pd.DataFrame)
