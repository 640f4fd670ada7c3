"""Looking around: pages of places and rows."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from praval_storage.base import BaseStorageProvider, CanBrowse, CanQuery, RecordProvider
from praval_storage.errors import ConfigurationError, UnsupportedOperationError
from praval_storage.filters import Order, parse, parse_order, sort_records
from praval_storage.manager import DataManager
from praval_storage.places import Look, Place, Seen, containing, natural
from praval_storage.records import Record
from praval_storage.reference import DataReference
from praval_storage.testing.conformance._suite import Suite, needs, wait_until_gone

HOSTILE = [
    *("a", "a/b", "a/b/c", "a0", "a/b-", "Z", "point-1", "point-2", "point-10", "-dash", "~", "a+b", "100%"),
    *("x:y", "x:y:z", "x:", "x::z", ":x", "sp ace/q?&#%41.txt", "quote's\"", "[glob]*?", "[glob]/x", "a_b"),
    *("<img src=x onerror=alert(1)>", "<b>/\u202e", "\u00e9/x", "\u65e5\u672c/\u8a9e", "\uffff", "\uffff/x"),
    *("\U0001f600", "\U0001f600/\U0001f600", "a.b.c/d.e", 'p"q.r', "$where", "{}", "aXb"),
    *("long/" + "n" * 300, "\u00fc" * 200),
]  # fmt: skip
"""Keys that mean something to a path, a pattern, a query or a page of HTML."""
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
        if not _has_delimiters(dm, storage_type, provider):
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

    @pytest.mark.parametrize("order", [None, parse_order("-key")])
    @needs(RecordProvider, CanQuery)
    def test_a_token_of_another_delimiter_is_refused(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider, order: Order | None
    ) -> None:
        if not _has_delimiters(dm, storage_type, provider):
            pytest.skip("its delimiter cannot be chosen")
        dm.store_many(dict.fromkeys(["a:b/c", "a/b:c", "x", "y", "z"], 1), storage_type)
        for one, other in ((":", "/"), ("/", ":"), (None, "/"), ("/", None), ("|", ":")):
            request = Look(home(provider), order=order, limit=1, delimiter=one)
            token = dm.look(storage_type, request).next
            assert token is not None
            with pytest.raises(ConfigurationError, match="delimiter"):
                dm.look(storage_type, replace(request, delimiter=other, token=token))
            assert len(dm.look(storage_type, replace(request, token=token)).rows) <= 1

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
        places = [
            place.label for seen in pages(dm, storage_type, home(provider), limit=2) for place in seen.places
        ]
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

    @pytest.mark.parametrize(
        "text", ["point", "POINT-1", "1", "\u00e9", "\u00c9", "%", "_", "[", "*", '"', "'", "\\"]
    )
    @needs(RecordProvider, CanQuery)
    def test_text_is_looked_for_in_labels(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider, text: str
    ) -> None:
        dm.store_many(dict.fromkeys([*HOSTILE, "Point-3", "\u00c9/x", "K"], 1), storage_type)
        every = labels(dm, storage_type, home(provider))
        fits = containing(text)
        found = labels(dm, storage_type, home(provider), text=text, limit=2)
        assert sorted(found) == sorted(filter(fits, every))

    @pytest.mark.parametrize(
        "filters",
        [
            {"n": {"$gt": 3}},
            {"metadata.kind": "even"},
            {"metadata.kind": {"$ne": "even"}},
            {"key": {"$prefix": "k1"}},
            {"key": {"$in": ["k2", "k5", "nowhere"]}},
            {"$or": [{"n": 1}, {"metadata.kind": "odd", "n": {"$lt": 6}}]},
            {"$not": {"tags": "x"}},
            {"size": {"$gt": 1}, "n": {"$exists": True}},
            {"nothing": "like this"},
        ],
    )
    @needs(RecordProvider, CanQuery)
    def test_rows_are_those_that_match(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider, filters: dict[str, Any]
    ) -> None:
        store_numbers(dm, storage_type, 13)
        where = parse(filters)
        every = dm.query(storage_type, limit=None).records
        expected = sorted(record.key for record in every if where.matches(record))
        for limit in (2, 1_000):
            found = [
                row.key
                for seen in pages(dm, storage_type, home(provider), where=where, limit=limit)
                for row in seen.rows
            ]
            assert sorted(found) == expected

    @pytest.mark.parametrize("order_by", ["key", "-key", "size", "-updated_at", "metadata.kind", "-data.n"])
    @needs(RecordProvider, CanQuery)
    def test_an_order_holds_over_all_pages_or_is_not_claimed(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider, order_by: str
    ) -> None:
        store_numbers(dm, storage_type, 13)
        order = parse_order(order_by)
        every = dm.query(storage_type, limit=None).records
        expected = [record.key for record in sort_records(every, order)]
        answer = list(pages(dm, storage_type, home(provider), order=order, limit=4))
        found = [row.key for seen in answer for row in seen.rows]
        if all(seen.ordered for seen in answer):
            assert found == expected
        assert sorted(found) == sorted(expected)

    @pytest.mark.parametrize("order_by", ["data.v", "-data.v"])
    @pytest.mark.parametrize("limit", [1, 4, 25])
    @needs(RecordProvider, CanQuery)
    def test_an_order_shows_every_row_once_whatever_the_values(
        self,
        dm: DataManager,
        storage_type: str,
        provider: BaseStorageProvider,
        order_by: str,
        limit: int,
    ) -> None:
        store_odd_values(dm, storage_type)
        order = parse_order(order_by)
        every = dm.query(storage_type, limit=None).records
        expected = [record.key for record in sort_records(every, order)]
        answer = list(pages(dm, storage_type, home(provider), order=order, limit=limit))
        found = [row.key for seen in answer for row in seen.rows]
        assert sorted(found) == sorted(expected)
        assert found == expected or not all(seen.ordered for seen in answer)
        assert all(seen.ordered or "not sorted by" in seen.note for seen in answer)
        assert all(len(seen.next or "") < 10_000 for seen in answer)

    @needs(RecordProvider, CanQuery)
    def test_an_order_goes_on_after_a_row_that_was_deleted(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        store_odd_values(dm, storage_type)
        look = Look(home(provider), order=parse_order("data.v"), limit=5)
        gone: set[str] = set()
        shown: list[str] = []
        while True:
            seen = dm.look(storage_type, look)
            shown += [row.key for row in seen.rows]
            if seen.next is None:
                break
            gone.add(shown[-1])
            dm.delete_by_key(storage_type, shown[-1])
            look = replace(look, token=seen.next)
        kept = [reference.key for reference in dm.list(storage_type, limit=None)]
        assert sorted(shown) == sorted([*kept, *gone])

    @needs(CanQuery)
    def test_what_stopped_goes_on(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        store_numbers(dm, storage_type, 13)
        for where in ({}, {"nothing": "like this"}, {"n": {"$gt": 3}}):
            for order_by in (None, "-data.n", "size"):
                order = parse_order(order_by)
                look = Look(home(provider), where=parse(where), order=order, limit=5, budget=4)
                answer = list(pages_of(dm, storage_type, look))
                assert all(seen.next is not None for seen in answer if seen.stopped)
                assert all(seen.ordered or "not sorted by" in seen.note for seen in answer)
                found = [row.key for seen in answer for row in seen.rows]
                expected = dm.query(storage_type, where, None, order_by=order_by).keys
                assert found == expected or order is None or not all(seen.ordered for seen in answer)
                assert sorted(found) == sorted(expected)

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

    @needs(RecordProvider, CanBrowse)
    def test_tokens_are_json_and_outlive_the_provider(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        store_numbers(dm, storage_type, 9)
        first = dm.look(storage_type, Look(home(provider), limit=4))
        assert first.next is not None
        json.loads(first.next)
        provider.close()
        other = DataManager({storage_type: _again(provider)})
        rest = [
            row.key
            for seen in pages(other, storage_type, home(provider), token=first.next)
            for row in seen.rows
        ]
        assert sorted([row.key for row in first.rows] + rest) == sorted(f"k{n}" for n in range(9))

    @needs(RecordProvider, CanQuery)
    def test_writes_between_pages_do_not_move_what_they_do_not_touch(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        untouched = [f"key{n}" for n in range(40)]
        others = [f"key{n}+" for n in range(0, 40, 3)]
        dm.store_many(dict.fromkeys([*untouched, *others], 1), storage_type)
        shown: list[str] = []
        for number, seen in enumerate(pages(dm, storage_type, home(provider), limit=5)):
            shown += [row.key for row in seen.rows]
            if seen.rows and seen.rows[-1].key in others:
                dm.delete_by_key(storage_type, seen.rows[-1].key)
            dm.delete_by_key(storage_type, others[number % len(others)])
            dm.store_many(dict.fromkeys([f"key{number}-{n}" for n in range(30)], 1), storage_type)
            if number > 500:
                break
        assert sorted(key for key in shown if key in untouched) == sorted(untouched)

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
        [row], collection = _rows(dm, storage_type, home(provider))
        [expected] = dm.query(storage_type).records
        seen = Record(row, provider.load)
        assert (seen.format, seen.size, seen.metadata) == (expected.format, expected.size, {"kind": "first"})
        assert (seen.created_at, seen.updated_at) == (expected.created_at, expected.updated_at)
        assert dm.retrieve(DataReference(storage_type, row.key, collection=collection)) == {"n": 1}
        [row], _ = _rows(dm, storage_type, home(provider), bodies=True)
        assert row.body is not None
        assert provider.load(row) == {"n": 1}

    @needs(RecordProvider, CanBrowse)
    def test_without_metadata_the_rows_are_the_same(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        store_numbers(dm, storage_type, 7)
        found = [
            row.key
            for seen in pages(dm, storage_type, home(provider), metadata=False, limit=3)
            for row in seen.rows
        ]
        assert sorted(found) == sorted(f"k{n}" for n in range(7))

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
        if _has_delimiters(dm, storage_type, provider):
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

    @pytest.mark.parametrize("token", ["", "x", "{}", "[]", "[1.5]", "null", '"k"', "[[]]", "7"])
    @needs(CanQuery)
    def test_a_token_of_something_else_is_refused(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider, token: str
    ) -> None:
        dm.store(1, storage_type, "k")
        with pytest.raises(ConfigurationError):
            dm.look(storage_type, Look(home(provider), token=token))

    @needs(BaseStorageProvider)
    def test_a_provider_without_a_list_of_its_records_says_so(
        self, dm: DataManager, storage_type: str, provider: BaseStorageProvider
    ) -> None:
        if isinstance(provider, CanQuery | CanBrowse):
            pytest.skip("it has one")
        with pytest.raises(UnsupportedOperationError, match="cannot list"):
            dm.look(storage_type, Look())


def home(provider: BaseStorageProvider) -> str:
    """Path of the place that has the provider's own records."""
    return provider.home() if isinstance(provider, CanBrowse) else ""


def pages(dm: DataManager, storage_type: str, path: str, **options: Any) -> Iterator[Seen]:
    """All pages of a place."""
    return pages_of(dm, storage_type, Look(path, **options))


def pages_of(dm: DataManager, storage_type: str, first: Look) -> Iterator[Seen]:
    """A page and all that follow."""
    token = first.token
    while True:
        seen = dm.look(storage_type, replace(first, token=token))
        yield seen
        token = seen.next
        if token is None:
            return


def walk(
    dm: DataManager, storage_type: str, path: str, limit: int = 25, delimiter: str | None = None
) -> Iterator[str]:
    """Keys of all records in a place and below, as they are shown."""
    below: list[Place] = []
    for seen in pages(dm, storage_type, path, limit=limit, delimiter=delimiter):
        yield from (row.key for row in seen.rows)
        below += seen.places
    for place in below:
        yield from walk(dm, storage_type, place.path, limit, delimiter)


def _places(dm: DataManager, storage_type: str, path: str, limit: int, delimiter: str) -> Iterator[Place]:
    """All places in a place and below, as often as they are shown; each has the label that its path says."""
    for seen in pages(dm, storage_type, path, limit=limit, delimiter=delimiter):
        for place in seen.places:
            assert place.path == f"{path}{place.label}{delimiter}"
            yield place
            yield from _places(dm, storage_type, place.path, limit, delimiter)


def _has_delimiters(dm: DataManager, storage_type: str, provider: BaseStorageProvider) -> bool:
    return bool(dm.look(storage_type, Look(home(provider), limit=1)).delimiter)


def labels(dm: DataManager, storage_type: str, path: str, **options: Any) -> list[str]:
    """What all pages of a place show."""
    shown: list[str] = []
    for seen in pages(dm, storage_type, path, **options):
        shown += [*map(seen.label, seen.rows), *(place.label for place in seen.places)]
    return shown


def store_tree(dm: DataManager, storage_type: str, separator: str) -> None:
    """Twelve places of two records each, and three records beside them."""
    inner = [f"point-{n}{separator}{leaf}" for n in range(1, 13) for leaf in "xy"]
    dm.store_many(dict.fromkeys([*inner, "p", "q", "r"], 1), storage_type).raise_for_errors()


def store_numbers(dm: DataManager, storage_type: str, count: int) -> None:
    """Records with a number, tags, and metadata."""
    data = [{"n": n, "tags": ["x"] if n % 3 else []} for n in range(count)]
    metadata = [{"kind": "odd" if n % 2 else "even"} for n in range(count)]
    dm.store_many(data, storage_type, [f"k{n}" for n in range(count)], metadata).raise_for_errors()


def store_odd_values(dm: DataManager, storage_type: str) -> None:
    """Records whose values are large and alike, of several types, equal, absent or not numbers."""
    long = "x" * 9_000
    values = [
        *(f"{long}{n}" for n in range(6)),
        *(long.encode() + bytes([n]) for n in (0, 1, 39, 255)),
        *([long, n] for n in range(3)),
        *(long, long, "", "\u00e9" * 3_000, b"", b"\x00", None, True, 7, 7.0, Decimal(7), 10**40),
        *(math.nan, math.inf, -math.inf, Decimal("0.1"), 0.1, Decimal(10) ** -900),
        *(date(2024, 2, 29), datetime(2024, 2, 29, tzinfo=UTC), timedelta(1)),
        *({"a": long}, {}, [], ["x"]),
    ]
    data: list[dict[str, Any]] = [{"v": value} for value in values]
    data += [{}, {"other": 1}]
    # Against any order of the values.
    keys = [f"k{(7 * n) % len(data):02}" for n in range(len(data))]
    dm.store_many(data, storage_type, keys).raise_for_errors()


def _rows(dm: DataManager, storage_type: str, path: str, **options: Any) -> tuple[Any, str | None]:
    seen = dm.look(storage_type, Look(path, **options))
    return seen.rows, seen.collection


def _again(provider: BaseStorageProvider) -> BaseStorageProvider:
    """Another provider for the same place, where one can be made."""
    try:
        other: BaseStorageProvider = pickle.loads(pickle.dumps(provider))  # noqa: S301 - our own
    except ConfigurationError:  # made with a client of the caller's
        return provider
    return other
