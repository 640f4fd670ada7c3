"""Looking around: what is in a place, which places are in it, and how much that is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from praval_storage.base import BaseStorageProvider, CanBrowse, CanQuery, RecordProvider
from praval_storage.errors import UnsupportedOperationError
from praval_storage.manager import DataManager
from praval_storage.places import Look, Place, natural
from praval_storage.records import Record
from praval_storage.reference import DataReference
from praval_storage.testing.conformance._looking import (
    HOSTILE,
    has_delimiters,
    home,
    keys_on,
    pages,
    store_numbers,
    walk,
)
from praval_storage.testing.conformance._suite import Suite, needs, wait_until_gone

DELIMITERS = [":", "/", ".", "-", "_", "|", "::", "<", " ", "*", "[", "?&#%", "\u2192", "\U0001f600"]


class BrowsingTests(Suite):
    """``look`` and ``measure``."""

    separator: ClassVar[str] = "/"
    """Between the places of a key; ``""`` = all records are in one place."""

    @pytest.mark.parametrize("limit", [1, 3, 7, 1_000])
    @needs(RecordProvider, CanQuery)
    def test_walking_all_pages_shows_every_record_once(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider, limit: int
    ) -> None:
        dm.store_many(dict.fromkeys(HOSTILE, 1), storage_type).raise_for_errors()
        walked = list(walk(dm, storage_type, home(provider), limit=limit))
        assert sorted(walked) == sorted(HOSTILE)

    @pytest.mark.parametrize("limit", [1, 5, 1_000])
    @needs(RecordProvider, CanQuery)
    def test_a_delimiter_is_honoured_on_all_pages_or_refused(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider, limit: int
    ) -> None:
        dm.store_many(dict.fromkeys(HOSTILE, 1), storage_type).raise_for_errors()
        if not has_delimiters(dm, storage_type, provider):
            with pytest.raises(UnsupportedOperationError, match="no delimiter"):
                dm.look(storage_type, Look(home(provider), delimiter="|"))
            return
        for delimiter in DELIMITERS:
            walked = list(walk(dm, storage_type, home(provider), limit, delimiter))
            assert sorted(walked) == sorted(HOSTILE), delimiter
            found = list(_places(dm, storage_type, home(provider), limit, delimiter))
            parts = [key.split(delimiter) for key in HOSTILE]
            above = {delimiter.join([*each[:n], ""]) for each in parts for n in range(1, len(each))}
            assert sorted(place.path for place in found) == sorted(above), delimiter

    @needs(RecordProvider, CanQuery)
    def test_a_page_has_no_more_than_was_asked_for(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        store_tree(dm, storage_type, self.separator or "/")
        for limit in (1, 4, 9):
            for seen in pages(dm, storage_type, home(provider), limit=limit):
                assert len(seen.rows) + len(seen.places) <= limit

    @needs(RecordProvider, CanQuery)
    def test_places_come_in_natural_order_and_once(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        if not self.separator:
            pytest.skip("its records are all in one place")
        store_tree(dm, storage_type, self.separator)
        [seen] = pages(dm, storage_type, home(provider), limit=1_000)
        assert [place.label for place in seen.places] == [f"point-{n}" for n in range(1, 13)]
        assert [place.path for place in seen.places] == [
            f"{home(provider)}point-{n}{self.separator}" for n in range(1, 13)
        ]
        answer = pages(dm, storage_type, home(provider), limit=2)
        places = [place.label for seen in answer for place in seen.places]
        assert sorted(places, key=natural) == [f"point-{n}" for n in range(1, 13)]

    @needs(RecordProvider, CanQuery)
    def test_rows_come_in_natural_order_where_all_are_on_one_page(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        wanted = [f"point-{n}" for n in range(1, 13)]
        dm.store_many(dict.fromkeys(reversed(wanted), 1), storage_type).raise_for_errors()
        [seen] = pages(dm, storage_type, home(provider), limit=12)
        assert [row.key for row in seen.rows] == wanted

    @needs(RecordProvider, CanQuery)
    def test_what_is_in_a_place_has_labels_without_it(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        separator = self.separator or "/"
        store_tree(dm, storage_type, separator)
        path = f"{home(provider)}point-2{separator}" if self.separator else home(provider)
        prefix = f"point-2{separator}" if self.separator else ""
        [seen] = pages(dm, storage_type, path, limit=1_000)
        labels = sorted(map(seen.label, seen.rows))
        assert [prefix + label for label in labels] == sorted(row.key for row in seen.rows)
        assert labels == ["x", "y"] or not self.separator

    @needs(RecordProvider, CanQuery)
    def test_what_has_expired_is_not_shown(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        dm.store("kept", storage_type, "kept", ttl=3_600)
        gone = [dm.store("gone", storage_type, f"gone{n}", ttl=0.05) for n in range(3)]
        wait_until_gone(dm, *gone)
        assert list(walk(dm, storage_type, home(provider), limit=1)) == ["kept"]
        [seen] = pages(dm, storage_type, home(provider), limit=10)
        assert [row.expires_at is not None for row in seen.rows] == [True]

    @needs(CanQuery)
    def test_an_empty_place_and_one_that_is_not_there_are_empty(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        here = home(provider)
        odd = ("..", "../", "./", "\\", "%", "'", "no:such:", "\0", "\ud800", "\n", "x" * 900)
        for name in ("", "no such place", "no such/place/", *odd):
            path = here + name
            seen = dm.look(storage_type, Look(path))
            assert (list(seen.rows), list(seen.places), seen.next) == ([], [], None), path
        for text in ("\0", "\ud800", "x" * 900):
            assert list(dm.look(storage_type, Look(here, text=text)).rows) == []

    @needs(RecordProvider, CanQuery)
    def test_rows_are_records_that_references_name(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        dm.store({"n": 1}, storage_type, "k", {"kind": "first"}, ttl=900)
        page = dm.look(storage_type, Look(home(provider)))
        [row] = page.rows
        [expected] = dm.query(storage_type).records
        seen = Record(row, provider.load)
        assert (seen.format, seen.size, seen.metadata) == (expected.format, expected.size, {"kind": "first"})
        assert (seen.created_at, seen.updated_at) == (expected.created_at, expected.updated_at)
        assert dm.retrieve(DataReference(storage_type, row.key, collection=page.collection)) == {"n": 1}
        [row] = dm.look(storage_type, Look(home(provider), bodies=True)).rows
        assert row.body is not None
        assert provider.load(row) == {"n": 1}

    @needs(RecordProvider, CanBrowse)
    def test_without_metadata_the_rows_are_the_same(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        store_numbers(dm, storage_type, 7)
        answer = pages(dm, storage_type, home(provider), metadata=False, limit=3)
        assert sorted(keys_on(answer)) == sorted(f"k{n}" for n in range(7))

    @needs(CanQuery, foreign=True)
    def test_what_others_wrote_is_shown(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        dm.store({"n": 2}, storage_type, "folder:x/ours.json")
        self.write_foreign(provider, "folder:x/theirs.json", b'{"n": 1}')
        walked = sorted(walk(dm, storage_type, home(provider)))
        assert walked == ["folder:x/ours.json", "folder:x/theirs.json"]

    @needs(RecordProvider, CanQuery)
    def test_measuring_counts_what_is_there(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        dm.store_many(dict.fromkeys(HOSTILE, "some text"), storage_type).raise_for_errors()
        *_, last = dm.measure(storage_type, home(provider))
        assert (last.records.number, last.done) == (len(HOSTILE), True)
        assert last.size is None or last.size.number > 0
        if self.separator:
            path = f"{home(provider)}x:" if self.separator == ":" else f"{home(provider)}a/"
            *_, part = dm.measure(storage_type, path)
            assert part.records.number == sum(key.startswith(path[len(home(provider)) :]) for key in HOSTILE)
        if has_delimiters(dm, storage_type, provider):
            for path in ("a/", "x::", "p-", "a.", "<"):
                *_, part = dm.measure(storage_type, path)
                assert part.records.number == sum(key.startswith(path) for key in HOSTILE), path

    @needs(RecordProvider, CanQuery)
    def test_measuring_can_be_stopped(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        store_numbers(dm, storage_type, 3)
        assert next(iter(dm.measure(storage_type, home(provider)))).records.number >= 0
        assert len(dm.list(storage_type)) == 3

    @needs(BaseStorageProvider)
    def test_a_provider_without_a_list_of_its_records_says_so(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        if isinstance(provider, CanQuery | CanBrowse):
            pytest.skip("it has one")
        with pytest.raises(UnsupportedOperationError, match="cannot list"):
            dm.look(storage_type, Look())


def store_tree(dm: DataManager, storage_type: str, separator: str) -> None:
    """Twelve places of two records each, and three records beside them."""
    inner = [f"point-{n}{separator}{leaf}" for n in range(1, 13) for leaf in "xy"]
    dm.store_many(dict.fromkeys([*inner, "p", "q", "r"], 1), storage_type).raise_for_errors()


def _places(dm: DataManager, storage_type: str, path: str, limit: int, delimiter: str) -> Iterator[Place]:
    """All places in a place and below, as often as they are shown; each has the label that its path says."""
    for seen in pages(dm, storage_type, path, limit=limit, delimiter=delimiter):
        for place in seen.places:
            assert place.path == f"{path}{place.label}{delimiter}"
            yield place
            yield from _places(dm, storage_type, place.path, limit, delimiter)
