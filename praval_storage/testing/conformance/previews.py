"""Previews and maps: everything can be looked at, nothing that is looked at can do harm."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest

from praval_storage.base import BaseStorageProvider, CanSearch, HasVectors, RecordProvider
from praval_storage.errors import KeyNotFoundError
from praval_storage.manager import DataManager
from praval_storage.testing.conformance._suite import Suite, needs, wait_until_gone
from praval_storage.testing.conformance.search import BY_DISTANCE, store_vectors
from praval_storage.testing.values import ROUND_TRIP_VALUES

KINDS = {"json", "table", "text", "image", "bytes", "pickle", "array", "vector"}
TAGS = {"div", "p", "em", "small", "br", "code", "pre", "details", "summary", "img", "span"} | {
    *("table", "thead", "tbody", "tr", "th", "td")
}
ATTRIBUTES = {"style", "open", "scope", "src", "alt", "width", "height"}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\u202e\"'&amp;\n\0"
SUFFIXES = ("json", "ndjson", "parquet", "npy", "png", "jpeg", "gif", "webp", "tiff", "bmp", "pkl")
BROKEN = (b"\xff\xfe\xfa{[<broken", b"PAR1\x93NUMPY\x80\x05.")


class Markup(HTMLParser):
    """The tags and attributes of a document, and the addresses it names."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses |= {str(value)[:11] for name, value in attrs if name == "src"}


class PreviewTests(Suite):
    """``dm.preview`` and ``dm.vector_map``."""

    @needs(RecordProvider)
    def test_every_type_can_be_looked_at(self, dm: DataManager, storage_type: str) -> None:
        for name, value, _ in ROUND_TRIP_VALUES:
            seen = look(dm, dm.store(value, storage_type, "value").uri)
            assert seen["kind"] in KINDS, name
            assert not [note for note in seen["notes"] if "cannot be read" in note], (name, seen["notes"])

    @needs(RecordProvider)
    def test_every_body_can_be_asked_for_in_any_format(self, dm: DataManager, storage_type: str) -> None:
        for name, value, _ in ROUND_TRIP_VALUES:
            reference = dm.store(value, storage_type, "value")
            formats = [format for format, _ in look(dm, reference.uri)["formats"]]
            assert formats == ["text", "json", "hex", "float32", "float64"], name
            for as_ in formats:
                seen = look(dm, reference.uri, as_=as_)
                assert (seen["as"], bool(seen["parts"] or seen["notes"])) == (as_, True), name
            assert look(dm, reference.uri, as_="hex")["kind"] == "bytes", name

    @needs(RecordProvider)
    def test_hostile_names_and_values_are_text(self, dm: DataManager, storage_type: str) -> None:
        key = HOSTILE.replace("\0", "").replace("\n", "").replace("/", "").replace("\u202e", "")
        for value in ({HOSTILE: [HOSTILE, {HOSTILE: HOSTILE}]}, HOSTILE.replace("\0", ""), HOSTILE.encode()):
            reference = dm.store(value, storage_type, key, {"m": HOSTILE})
            assert look(dm, reference.uri)["key"] == key

    def test_what_is_not_there_cannot_be_looked_at(self, dm: DataManager, storage_type: str) -> None:
        with pytest.raises(KeyNotFoundError, match="no such key"):
            dm.preview(f"praval://{storage_type}/no such key")

    @needs(RecordProvider)
    def test_what_has_expired_cannot_be_looked_at(self, dm: DataManager, storage_type: str) -> None:
        reference = dm.store(1, storage_type, "k", ttl=0.05)
        wait_until_gone(dm, reference)
        with pytest.raises(KeyNotFoundError):
            dm.preview(reference)

    @needs(RecordProvider, foreign=True)
    def test_what_cannot_be_decoded_is_shown_as_it_is_with_the_reason(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        for suffix in SUFFIXES:
            for place, body in enumerate(BROKEN):
                key = f"broken{place}.{suffix}"
                self.write_foreign(provider, key, body)
                seen = look(dm, f"praval://{storage_type}/{key}")
                assert seen["notes"], key
                assert seen["parts"], key

    @needs(RecordProvider, foreign=True)
    def test_what_is_empty_can_be_looked_at(
        self, dm: DataManager, provider: BaseStorageProvider, storage_type: str
    ) -> None:
        for suffix in (*SUFFIXES, "txt", "bin"):
            self.write_foreign(provider, f"empty.{suffix}", b"")
            assert look(dm, f"praval://{storage_type}/empty.{suffix}")["kind"] in KINDS, suffix

    @needs(CanSearch)
    def test_a_vector_has_a_line_and_neighbours(self, dm: DataManager, storage_type: str) -> None:
        store_vectors(dm, storage_type)
        seen = look(dm, f"praval://{storage_type}/{BY_DISTANCE[0]}")
        assert seen["kind"] == "vector"
        parts = {part["type"]: part for part in seen["parts"]}
        assert parts["tree"]["root"]["nodes"][0]["text"] == f'"{BY_DISTANCE[0]}"'
        found = parts["neighbours"]["items"]
        assert [near["key"] for near in found] == BY_DISTANCE[1:]
        assert [dm.retrieve(near["uri"])["name"] for near in found] == BY_DISTANCE[1:]
        scores = [near["score"] for near in found]
        assert scores == sorted(scores, reverse=True)
        assert (
            len(dm.preview(f"praval://{storage_type}/east", neighbours=2).payload()["parts"][-1]["items"])
            == 2
        )

    @needs(HasVectors, CanSearch)
    def test_a_map_has_every_vector_and_finds_neighbours(self, dm: DataManager, storage_type: str) -> None:
        assert dm.vector_map(storage_type).keys == []
        store_vectors(dm, storage_type)
        dm.store({"name": "nowhere"}, storage_type, "nowhere")
        found = dm.vector_map(storage_type, "name")
        assert sorted(found.keys) == sorted(BY_DISTANCE)
        assert found.points.shape == (len(BY_DISTANCE), 2)
        assert found.colours.values == found.keys
        assert found.notes == ["Not drawn: 1 record that have no such vector"]
        assert [key for key, _ in found.neighbours(BY_DISTANCE[0], 3)] == BY_DISTANCE[1:4]
        with pytest.raises(KeyNotFoundError):
            found.neighbours("nowhere")


def look(dm: DataManager, uri: str, as_: str | None = None) -> dict[str, Any]:
    """The payload of a preview that has all its forms."""
    preview = dm.preview(uri, as_=as_)
    payload: dict[str, Any] = json.loads(json.dumps(preview.payload(), allow_nan=False))
    markup = Markup(preview._repr_html_())
    assert markup.tags <= TAGS
    assert markup.attributes <= ATTRIBUTES
    assert markup.addresses <= {"data:image/"}
    assert repr(preview).startswith("Preview of praval://")
    assert "\u202e" not in repr(preview)
    return payload
