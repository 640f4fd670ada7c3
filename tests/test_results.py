"""Results as sequences: lazy, list-like, honest about what the limit cut off."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from shelf import PLAN, WHEN, Shelf, of, stored

from praval_storage.errors import KeyExistsError, KeyNotFoundError, StorageError
from praval_storage.records import Stored
from praval_storage.reference import DataReference
from praval_storage.results import BatchResult, Listing, Outcome, QueryResult, SearchResult
from praval_storage.scan import Neighbour

DATA = [{"n": place} for place in range(600)]
ROWS = [stored(f"k{place}", value) for place, value in enumerate(DATA)]
BARE = [row._replace(body=None) for row in ROWS]


def query(rows: Sequence[Stored], shelf: Any = None, **facts: Any) -> QueryResult:
    given = {"storage_type": "shelf", "truncated": False, "limit": 100, "plan": PLAN, **facts}
    return QueryResult(rows, shelf or Shelf(), **given)


def search(count: int = 3, **facts: Any) -> SearchResult:
    rows = [Neighbour(row, 1 - place / 10, float(place)) for place, row in enumerate(ROWS[:count])]
    given = {
        "storage_type": "shelf",
        "truncated": False,
        "limit": 10,
        "plan": PLAN,
        "metric": "euclid",
        **facts,
    }
    return SearchResult(rows, Shelf(), **given)


# -- like a list


def test_is_a_sequence_of_data() -> None:
    found = of("a", "b", "c")
    assert len(found) == 3
    assert found[0] == "a"
    assert found[-1] == "c"
    assert list(found) == ["a", "b", "c"]
    assert list(reversed(found)) == ["c", "b", "a"]
    assert "b" in found
    assert "z" not in found
    assert found.index("b") == 1
    assert found.count("c") == 1
    assert found
    assert not of()
    for place in (3, -4):
        with pytest.raises(IndexError):
            found[place]


def test_equals_lists_tuples_and_results_of_the_same_items() -> None:
    found = of({"a": 1}, [2])
    assert found == [{"a": 1}, [2]]
    assert found == ({"a": 1}, [2])
    assert [{"a": 1}, [2]] == found  # noqa: SIM300 - the other way round
    assert found == of({"a": 1}, [2])
    assert found != [{"a": 1}]
    assert found != [{"a": 1}, [3]]
    assert found != "text"
    with pytest.raises(TypeError, match="unhashable"):
        hash(found)


def test_a_slice_is_a_result_of_the_same_kind() -> None:
    found = query(ROWS[:10], truncated=True, limit=10)
    part = found[2:8:2]
    assert type(part) is QueryResult
    assert part == [DATA[2], DATA[4], DATA[6]]
    assert part.keys == ["k2", "k4", "k6"]
    assert [record.key for record in part.records] == [ref.key for ref in part.references] == part.keys
    assert part.truncated
    assert part.plan is found.plan
    assert found[::-1][0] == DATA[9]
    assert list(part.to_pandas()["n"]) == [2, 4, 6]


def test_items_may_be_values_that_have_no_body() -> None:
    class Values:
        def load(self, row: Stored) -> Any:
            return row.data

    found = query([Stored("", "object", data=value) for value in ({"a": None}, None, {1, 2})], Values())
    assert found == [{"a": None}, None, {1, 2}]
    assert found.to_pandas()["data"].tolist() == [None, None, {1, 2}]


def test_results_pickle() -> None:
    found = query(ROWS[:3])
    assert pickle.loads(pickle.dumps(found)) == found


# -- what is loaded when


def test_an_item_is_decoded_once_when_it_is_looked_at() -> None:
    shelf = Shelf()
    found = query(ROWS, shelf)
    assert (len(found), found.keys[0], len(found.records), len(found.references)) == (600, "k0", 600, 600)
    assert repr(found)
    assert shelf.loaded == []
    assert found[5] is found[5]
    assert found[5:][0] is found[5]
    assert shelf.loaded == ["k5"]


def test_bodies_are_fetched_for_what_is_looked_at() -> None:
    shelf = Shelf(*ROWS)
    found = query(BARE, shelf)
    assert found.references[3].size == ROWS[3].size
    assert shelf.filled == []
    assert found[7] == DATA[7]
    assert shelf.filled == [["k7"]]
    assert found[590:] == DATA[590:]
    assert shelf.filled[1:] == [[f"k{place}" for place in range(590, 600)]]


def test_iteration_fetches_bodies_in_chunks_and_only_missing_ones() -> None:
    shelf = Shelf(*ROWS)
    found = query(BARE, shelf)
    found[7]
    assert list(found) == DATA
    assert [len(keys) for keys in shelf.filled] == [1, 255, 256, 88]
    assert list(found) == DATA
    assert len(shelf.filled) == 4
    assert len(shelf.loaded) == 600


def test_a_frame_fetches_bodies_together() -> None:
    shelf = Shelf(*ROWS)
    assert list(query(BARE, shelf).to_pandas()["n"]) == list(range(600))
    assert [len(keys) for keys in shelf.filled] == [600]


def test_a_source_that_cannot_fill_loads() -> None:
    class Slow:
        def load(self, row: Stored) -> Any:
            return row.key

    assert list(query(BARE[:2], Slow())) == ["k0", "k1"]
    assert list(query(BARE[:2], Slow()).to_pandas()["data"]) == ["k0", "k1"]


def test_records_that_have_gone_are_never_left_out_silently() -> None:
    shelf = Shelf(*ROWS[:1], *ROWS[2:3])
    found = query(BARE[:10], shelf)
    assert found[0] == DATA[0]
    with pytest.raises(KeyNotFoundError, match=r"1 record gone .*'k1'"):
        found[1]
    for use in (list, QueryResult.to_pandas, QueryResult.to_arrow):
        with pytest.raises(KeyNotFoundError, match=r"8 records gone .*: 'k1', 'k3', 'k4' and 5 more"):
            use(found)
    assert found[2] == DATA[2]
    with pytest.raises(KeyNotFoundError) as caught:
        found.index("x")
    assert caught.value.provider == "shelf"


# -- records, references, searches, listings


def test_records_and_references_say_all_that_is_known() -> None:
    row = stored("k", {"n": 1}, {"team": "red"}, version="v1")
    found = query([row], collection="other")
    [record] = found.records
    assert (record.key, record.data, record.metadata) == ("k", {"n": 1}, {"team": "red"})
    [reference] = found.references
    assert reference == DataReference("shelf", "k", collection="other")
    assert reference.to_dict() == {
        "uri": "praval://shelf/k?collection=other",
        "metadata": {"team": "red"},
        "created_at": WHEN.isoformat(),
        "size": 7,
        "format": "json",
        "version": "v1",
    }


def test_search_result_has_data_scores_and_raw_distances() -> None:
    found = search()
    assert found == [({"n": 0}, 1.0), ({"n": 1}, 0.9), ({"n": 2}, 0.8)]
    assert found[1:].scores == [0.9, 0.8]
    assert found[1:].distances == [1.0, 2.0]
    assert found[1:].metric == "euclid"
    assert list(found[1:].to_pandas()["score"]) == [0.9, 0.8]


def test_listing_has_references_and_fetches_nothing() -> None:
    shelf = Shelf(*ROWS)
    found = Listing(BARE[:3], shelf, storage_type="shelf", truncated=False, limit=None, plan=PLAN)
    assert found == [DataReference("shelf", key) for key in ("k0", "k1", "k2")]
    assert found[1:][0].key == "k1"
    assert shelf.filled == shelf.loaded == []
    assert found.records[0].key == "k0"


# -- text


def test_repr_is_a_table() -> None:
    rows = [stored("a", {"n": 1}), stored("longer.txt", "x" * 1_234_567), Stored("c", "parquet")]
    assert repr(query(rows)) == (
        "QueryResult: 3 records from shelf\n"
        "  key         format     size  updated\n"
        "  a           json        7 B  2026-01-02 03:04\n"
        "  longer.txt  text     1.2 MB  2026-01-02 03:04\n"
        "  c           parquet       -  -"
    )


def test_repr_of_a_search_shows_scores() -> None:
    assert repr(search(2, truncated=True, limit=2)) == (
        "SearchResult: first 2 records from shelf (limit=2 cut the rest off; a higher limit for more)\n"
        "  score  key  format  size  updated\n"
        "      1  k0   json     7 B  2026-01-02 03:04\n"
        "    0.9  k1   json     7 B  2026-01-02 03:04"
    )


@pytest.mark.parametrize(
    "found, title",
    [
        (query([]), "QueryResult: no records from shelf"),
        (query(ROWS[:1], collection="{}"), "QueryResult: 1 record from shelf/{}"),
        (
            query(ROWS[:100], truncated=True),
            "QueryResult: first 100 records from shelf (limit=100 cut the rest off; limit=None for all)",
        ),
        (
            query(ROWS[:100], truncated=True)[:7],
            "QueryResult: 7 records from shelf (of a result that limit=100 cut off)",
        ),
        (query(ROWS * 2), "QueryResult: 1 200 records from shelf"),
    ],
)
def test_title_says_how_many_and_what_was_cut(found: QueryResult, title: str) -> None:
    assert repr(found).split("\n")[0] == title
    assert f"<p>{title}</p>" in found._repr_html_()


def test_long_results_are_cut_in_text_and_html() -> None:
    found = query(ROWS)
    assert repr(found).endswith("\n... 590 more")
    assert repr(found).count("\n") == 12
    assert "<p>... 590 more</p></div>" in found._repr_html_()


HOSTILE = "\n\x1b[31m\u202e\ud800{}<img src=x>&\"'" + "é'" * 200


def test_names_cannot_break_out_of_a_repr() -> None:
    found = query([Stored(HOSTILE, HOSTILE, b"1")] * 20, storage_type=HOSTILE, truncated=True, limit=20)
    text, html = repr(found), found._repr_html_()
    assert text.count("\n") == 12
    assert text.replace("\n", "").isprintable()
    assert "<img" not in html
    assert "&lt;img" in html
    assert len(html) <= 6_000 * 2
    assert len(query([Stored("'" * 500, "json")] * 500)._repr_html_()) <= 6_000


# -- batches

REFERENCE = DataReference("shelf", "a")
GOOD = Outcome("a", REFERENCE)


def bad(key: str | None, error: StorageError | None = None) -> Outcome:
    return Outcome(key, None, error or KeyExistsError("there already", key=key))


def test_outcome() -> None:
    assert GOOD.ok
    assert GOOD.unwrap() is REFERENCE
    assert not bad("b").ok
    with pytest.raises(KeyExistsError, match="there already"):
        bad("b").unwrap()
    with pytest.raises(FrozenInstanceError):
        GOOD.key = "b"  # type: ignore[misc]


def test_batch_of_successes() -> None:
    batch = BatchResult(iter([GOOD, GOOD]))
    assert batch.ok
    assert batch.values == batch.references == [REFERENCE, REFERENCE]
    assert batch.failed == []
    assert batch == [GOOD, GOOD]
    assert batch[1:] == BatchResult([GOOD])
    assert batch[0] is GOOD
    assert repr(batch) == "BatchResult: 2 of 2 succeeded"
    batch.raise_for_errors()


def test_batch_with_failures() -> None:
    batch = BatchResult([GOOD, bad("b"), bad(None), bad("c"), bad("d\n"), Outcome("e", True)])
    assert not batch.ok
    assert batch.values == [REFERENCE, None, None, None, None, True]
    assert batch.references == [REFERENCE]
    assert [outcome.key for outcome in batch.failed] == ["b", None, "c", "d\n"]
    summary = "2 of 6 succeeded; 4 failed: 'b': there already, no key: there already, 'c': there already"
    assert repr(batch).startswith(f"BatchResult: {summary}")
    assert repr(batch).endswith("and 1 more")
    assert "\n" not in repr(batch)


def test_raise_for_errors_is_of_the_class_of_all_failures() -> None:
    first = KeyExistsError("there already")
    with pytest.raises(KeyExistsError, match="1 of 3 succeeded; 2 failed") as caught:
        BatchResult([GOOD, bad("b", first), bad("c")]).raise_for_errors()
    assert caught.value.__cause__ is first
    with pytest.raises(StorageError, match="0 of 2 succeeded") as mixed:
        BatchResult([bad("b"), bad("c", KeyNotFoundError("gone"))]).raise_for_errors()
    assert type(mixed.value) is StorageError
