"""Looking around for some of the records: a text, a filter and an order hold over all pages."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from praval_storage.base import BaseStorageProvider, CanQuery, RecordProvider
from praval_storage.filters import parse, parse_order, sort_records
from praval_storage.manager import DataManager
from praval_storage.places import Look, containing
from praval_storage.testing.conformance._looking import HOSTILE, home, keys_on, labels, pages, store_numbers
from praval_storage.testing.conformance._suite import Suite, keys_in, needs


class SelectingTests(Suite):
    """``look`` with ``text``, ``where`` and ``order``."""

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
            answer = pages(dm, storage_type, home(provider), where=where, limit=limit)
            assert sorted(keys_on(answer)) == expected

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
        found = keys_on(answer)
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
        found = keys_on(answer)
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
        assert sorted(shown) == sorted([*keys_in(dm, storage_type), *gone])


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
