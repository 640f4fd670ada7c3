"""``DataReference``: equality, URIs, text, JSON, pickles."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from praval_storage.errors import ConfigurationError, InvalidKeyError
from praval_storage.keys import validate_key
from praval_storage.reference import DataReference

FULL = DataReference(
    "postgresql",
    "event_001",
    {"kind": "login"},
    datetime(2025, 1, 15, 10, tzinfo=UTC),
    size=12,
    format="json",
    version="abc",
    collection="events",
)
URIS = {
    "praval://postgresql/event_001": DataReference("postgresql", "event_001"),
    "praval://s3/datasets/training%20data.json": DataReference("s3", "datasets/training data.json"),
    "praval://redis/session%3Aabc123": DataReference("redis", "session:abc123"),
    "praval://filesystem/100%25%23%3F": DataReference("filesystem", "100%#?"),
    "praval://My%20Store%2F1/%C3%BC": DataReference("My Store/1", "\u00fc"),
    "praval://qdrant/k?collection=a%26b%3D%2F%2B%20c": DataReference("qdrant", "k", collection="a&b=/+ c"),
}
NO_URIS = [
    "",
    "event_001",
    "s3://bucket/key",
    "praval:filesystem/key",
    "praval://",
    "praval:///key",
    "praval://filesystem",
    "praval://filesystem/",
    "http://praval/filesystem/key",
    "praval://[bad/x",
    "praval://filesystem\uff0fx/k",
]


def is_legal(key: str) -> bool:
    try:
        return bool(validate_key(key))
    except InvalidKeyError:
        return False


keys = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).filter(is_legal)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda name: bool(name.strip()) and name.isprintable()
)


@pytest.mark.parametrize("uri, reference", URIS.items())
def test_uri_is_percent_encoded_and_reads_back(uri: str, reference: DataReference) -> None:
    assert reference.uri == uri
    assert DataReference.from_uri(uri) == reference
    assert str(reference) == uri


def test_a_reference_shares_nothing_with_the_metadata_it_was_made_from() -> None:
    metadata: dict[str, Any] = {"tags": ["a"], "in": {"to": [{"n": 1}]}, "pair": ([1], {2}), "n": 1}
    expected = copy.deepcopy(metadata)
    made = DataReference("redis", "k", metadata)
    again = DataReference.from_dict({"uri": made.uri, "metadata": metadata})
    metadata["tags"].append("b")
    metadata["in"]["to"][0]["n"] = 2
    metadata["pair"][0].append(2)
    metadata["pair"][1].add(3)
    metadata["new"] = 1
    assert made.metadata == again.metadata == expected


@given(names, keys, st.none() | names)
def test_every_legal_name_survives_its_uri(storage_type: str, key: str, collection: str | None) -> None:
    reference = DataReference(storage_type, key, collection=collection)
    again = DataReference.from_uri(reference.uri)
    assert (again.storage_type, again.key, again.collection) == (storage_type, key, collection)
    assert reference.uri.isascii()


@pytest.mark.parametrize("uri", NO_URIS)
def test_what_is_no_reference_uri_is_refused_with_an_example(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="praval://filesystem/user_alice"):
        DataReference.from_uri(uri)


def test_references_to_the_same_record_are_equal() -> None:
    bare = DataReference("postgresql", "event_001", collection="events")
    assert bare == FULL
    assert hash(bare) == hash(FULL)
    assert {bare: 1}[FULL] == 1


@pytest.mark.parametrize("reference", [FULL, *URIS.values()], ids=str)
def test_a_reference_is_its_uri_wherever_text_goes(reference: DataReference) -> None:
    assert isinstance(reference, str)
    assert reference == reference.uri
    assert {reference.uri: 1}[reference] == 1
    assert f"{reference}" == "".join([reference]) == str(reference) == reference.uri
    assert type(reference.uri) is type(str(reference)) is str
    for written in (json.dumps([reference]), orjson.dumps([reference]).decode()):
        assert json.loads(written) == [reference.uri]


def test_completion_offers_what_a_reference_is_for() -> None:
    offered = {name for name in dir(FULL) if not name.startswith("_")}
    assert offered == {*(each.name for each in dataclasses.fields(FULL)), "uri"} | {
        *("to_dict", "from_dict", "from_uri")
    }


def test_a_reference_can_be_made_of_anything_and_is_checked_when_it_is_used() -> None:
    for key in ("", "a//b", "\ud800", None, 5, b"k"):
        assert DataReference("filesystem", key).key == key  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"storage_type": "s3"}, {"key": "other"}, {"collection": None}])
def test_references_to_other_records_differ(change: dict[str, Any]) -> None:
    assert dataclasses.replace(FULL, **change) != FULL


@pytest.mark.parametrize("reference", [FULL, *URIS.values()], ids=str)
def test_pickle_and_json_keep_everything(reference: DataReference) -> None:
    for again in (
        pickle.loads(pickle.dumps(reference)),
        copy.deepcopy(reference),
        DataReference.from_dict(json.loads(json.dumps(reference.to_dict()))),
    ):
        assert type(again) is DataReference
        assert again == reference
        assert dataclasses.asdict(again) == dataclasses.asdict(reference)


def test_from_dict_needs_only_the_uri() -> None:
    assert DataReference.from_dict({"uri": FULL.uri}) == FULL


def test_a_reference_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        FULL.key = "other"  # type: ignore[misc]


def test_repr_makes_the_reference_again() -> None:
    assert eval(repr(FULL), {"DataReference": DataReference}) == FULL
