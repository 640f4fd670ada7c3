"""Pages in an order out of all rows: each row on one page, whatever the values, and whatever was deleted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from praval_storage import bookmarks
from praval_storage.errors import ConfigurationError
from praval_storage.filters import Order, Path, rank
from praval_storage.places import to_token
from praval_storage.records import Stored
from praval_storage.testing import strategies

MARK = Order(Path("data", ("v",)))
LONG = "x" * 9_000


class Thing:
    """Its repr is an address."""


VALUES = st.one_of(
    st.sampled_from([f"{LONG}{n}" for n in range(9)]),
    st.sampled_from(
        [
            *(strategies.TEXTS + strategies.INTEGERS + strategies.FLOATS + strategies.NOT_FINITE),
            *strategies.RICH,
            *(None, True, False, pd.NaT, pd.Timestamp(1), pd.Timestamp(2), pd.Timestamp(1, tz="UTC")),
            *(
                10**6_000,
                10**6_000 + 1,
                -(10**6_000),
                Decimal(10**6_000),
                Decimal("Infinity"),
                Decimal("NaN"),
            ),
            *(
                LONG,
                f"{LONG}a",
                f"{LONG}b",
                LONG.encode(),
                f"{LONG}\0".encode(),
                [LONG, 1],
                [LONG, 2],
                {"a": LONG},
            ),
            *("\ud800", f"{LONG}\ud800", datetime.min.replace(tzinfo=timezone(timedelta(hours=5)))),
            *(datetime.max.replace(tzinfo=UTC), timedelta(1), b"\xff'", Thing()),
        ]
    ),
    st.text(),
    st.binary(),
    st.floats(),
    st.decimals(),
    st.datetimes(timezones=st.timezones()),
)
ROWS = st.lists(st.tuples(VALUES, st.sampled_from("abcdefgh")), max_size=30)
"""Values and keys: some of both are equal, as those of the rows of a view are."""


@pytest.fixture(scope="module", params=[4_096, 8])
def longest(request: pytest.FixtureRequest) -> Iterator[None]:
    """The real bounds, and such that most values are too long for a token."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bookmarks, "LONGEST", request.param)
        patch.setattr(bookmarks, "BEGINNING", request.param // 8)
        yield


def walk(order: Order, rows: list[Any], limit: int) -> list[Any]:
    """All pages; each is made of the rows in another sequence."""
    shown: list[Any] = []
    token = None
    while True:
        rows = rows[1:] + rows[:1]
        found, token, note = bookmarks.page(order, rows, limit, token)
        assert len(found) <= limit
        assert not note
        assert len(token or "") < 10_000
        shown += found
        assert len(shown) <= len(rows)
        if token is None:
            return shown
        assert len(found) == limit


def as_rows(pairs: list[tuple[Any, str]]) -> list[Any]:
    return [(rank(value), Stored(key, "json", data=number)) for number, (value, key) in enumerate(pairs)]


@pytest.mark.usefixtures("longest")
@given(ROWS, st.booleans(), st.integers(1, 9))
@example([(pd.Timestamp(number), "k") for number in range(5)], False, 1)
def test_pages_are_the_order_cut_into_pieces(pairs: list[Any], descending: bool, limit: int) -> None:
    order, rows = Order(MARK.path, descending), as_rows(pairs)
    shown = walk(order, rows, limit)
    ranks = {row.data: ranked for ranked, row in rows}
    places = [order.placed(ranks[row.data], row.key) for row in shown]
    assert places == sorted(order.placed(ranked, row.key) for ranked, row in rows)


@pytest.mark.usefixtures("longest")
@given(ROWS, st.booleans(), st.integers(1, 9), st.data())
def test_what_was_deleted_takes_nothing_with_it(
    pairs: list[Any], descending: bool, limit: int, draw: st.DataObject
) -> None:
    pairs = [(value, f"k{number}") for number, (value, _) in enumerate(pairs)]
    order, rows = Order(MARK.path, descending), as_rows(pairs)
    token, shown, said = None, [], False
    while True:
        found, token, note = bookmarks.page(order, rows, limit, token)
        shown += [row.key for row in found]
        said = said or bool(note)
        if token is None:
            break
        gone = draw.draw(st.sets(st.sampled_from([row.key for row in found])))
        rows = [each for each in rows if each[1].key not in gone]
    assert {row.key for _, row in rows} <= set(shown)
    assert said or len(set(shown)) == len(shown)


@pytest.mark.parametrize(
    "position",
    [
        ["[3, 1]", "k", 0, []],
        ["[3, 1]", 7, 1, []],
        ["[3, \"x\"]", "k", 1, []],
        ["[3, true]", "k", 1, []],
        ['[3, {"decimal": "sNaN"}]', "k", 1, []],
        ['[3, {"eval": "1"}]', "k", 1, []],
        ['[8, {"time": "2024-01-01"}]', "k", 1, []],
        ["[4, [1]]", "k", 1, []],
        ["[4]", "k", 1, []],
        ["{}", "k", 1, []],
        ["x", "k", 1, []],
        ["[[[", "k", 1, []],
        ["[4, \"x\"]", "k", 1, [1]],
        ["[4, \"x\"]", "k", 1, [[]]],
        ["[8, 1]", "k", 1, ["x"]],
    ],
)  # fmt: skip
def test_a_token_of_something_else_is_refused(position: Any) -> None:
    with pytest.raises(ConfigurationError):
        bookmarks.page(
            MARK,
            as_rows([(1, "a"), ("x", "b"), (datetime(2024, 1, 1, tzinfo=UTC), "c")]),
            1,
            to_token(position),
        )
