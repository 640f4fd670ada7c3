"""Pages in some order out of all rows there are, and tokens for where they end.

A place in an order is a rank (see ``filters.rank``) and a key. A token is of bounded length: it has a short
rank as it is. Of a long one it has the beginning, and digests of the last rows of the page: the next page
looks at all rows anyway, and finds the place again by those of them that are still there.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from itertools import takewhile
from typing import Any, NamedTuple

from praval_storage.filters import Kind, Order, Rank, classify
from praval_storage.places import bad_token, from_token, to_token
from praval_storage.records import Stored

LONGEST = 4_096
"""Characters of a rank that a token may hold."""
BEGINNING = 500
"""Characters of a longer one that it holds."""
LAST = 16
"""Rows of the page that a token knows by digest when it does not hold the rank."""
LOST = "the rows that the page before ended with have changed: some may be shown again"


class Placed(NamedTuple):
    """A row, the rank of its value, and its place in the order."""

    place: Any
    rank: Rank
    row: Stored


class Ordered(NamedTuple):
    """The rows of a page, the token of the next one, and what has to be said."""

    rows: list[Stored]
    next: str | None
    note: str


class Bookmark(NamedTuple):
    """Where a page ended.

    Attributes:
        rank: Rank of its last row, or the beginning of it.
        key: Key of its last row.
        number: How many rows with this rank and key were shown: equal rows of a view share both.
        digests: Of its last rows, the very last one first; empty when the rank is a whole one.
    """

    rank: Rank
    key: str
    number: int
    digests: Sequence[str]


def page(order: Order, rows: Iterable[tuple[Rank, Stored]], limit: int, token: str | None) -> Ordered:
    """The rows of a page.

    Args:
        order: The order.
        rows: All rows in any sequence, each with the rank of its value.
        limit: How many are wanted.
        token: Of the page before.

    Raises:
        ConfigurationError: The token is not one of an order.
    """
    placed: Iterable[Placed] = (Placed(order.placed(rank, row.key), rank, row) for rank, row in rows)
    mark, last, passed, note = _read(token), None, 0, ""
    if mark is not None:
        placed, last, passed, note = _from(order, mark, placed)
    found = heapq.nsmallest(passed + limit + 1, placed, key=lambda each: each.place)
    skipped = sum(1 for _ in takewhile(lambda each: each.place == last, found[:passed]))
    shown = found[skipped : skipped + limit]
    following = _write(shown, last, skipped) if len(found) > skipped + limit else None
    return Ordered([each.row for each in shown], following, note)


def token_of(rank: Rank, key: str) -> str | None:
    """The token of what comes after a row with a short rank; ``None`` if it is a long one."""
    text = _pack(rank)
    is_whole = len(text) <= LONGEST and _unpack(text) == rank
    return to_token([text, key, 1, []]) if is_whole else None


def _from(order: Order, mark: Bookmark, rows: Iterable[Placed]) -> tuple[Iterable[Placed], Any, int, str]:
    """Rows that are not before a place, the place, how many there were shown already, and a note."""
    if not mark.digests:
        place = order.placed(mark.rank, mark.key)
        return (row for row in rows if not row.place < place), place, mark.number, ""
    start = order.placed(mark.rank, "")
    near = [row for row in rows if not order.placed(_cut(row.rank, mark.rank), "") < start]
    ages = {digest: age for age, digest in reversed(list(enumerate(mark.digests)))}
    known = [(ages[digest], row.place) for row in near if (digest := _digest(row)) in ages]
    if not known:
        return near, None, 0, LOST
    age, place = min(known, key=lambda each: each[0])
    return (row for row in near if not row.place < place), place, mark.number if age == 0 else 1, ""


def _write(page: Sequence[Placed], before: Any, skipped: int) -> str:
    """The token of what comes after a page."""
    last = page[-1]
    number = sum(each.place == last.place for each in page) + (skipped if last.place == before else 0)
    if (token := token_of(last.rank, last.row.key)) is not None and number == 1:
        return token
    if token is not None:
        return to_token([_pack(last.rank), last.row.key, number, []])
    digests = [_digest(each) for each in reversed(page[-LAST:])]
    return to_token([_pack(_beginning(last.rank)), last.row.key, number, digests])


def _read(token: str | None) -> Bookmark | None:
    match from_token(token):
        case None:
            return None
        case [str(text), str(key), int(number), list(digests)] if number > 0 and all(
            isinstance(digest, str) for digest in digests
        ):
            rank = _unpack(text)
            if _is_rank(rank) if not digests else _is_beginning(rank):
                return Bookmark(rank, key, number, digests)
    raise bad_token()


# Ranks as text


def _pack(rank: Rank) -> str:
    return json.dumps([_plain(part) for part in rank])


def _plain(part: Any) -> Any:
    match part:
        case bool() | str() | float() | None:
            return part
        case int():
            return {"int": hex(part)} if part.bit_length() > _PRINTED else int(part)
        case Decimal():
            return {"decimal": str(part)}
        case _:
            return {"time": part.isoformat()}


_PRINTED = 10_000
"""Bits of the numbers that Python converts to decimal digits."""
_PARSERS: dict[str, Callable[[str], Any]] = {
    "int": lambda text: int(text, 16),
    "decimal": Decimal,
    "time": datetime.fromisoformat,
}


def _unpack(text: str) -> Any:
    """What :func:`_pack` made text of, or something else, or ``None``."""
    try:
        parts = json.loads(text)
        return tuple(_parsed(part) for part in parts) if isinstance(parts, list) else None
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError):
        return None


def _parsed(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    [(name, text)] = part.items()
    return _PARSERS[name](text)


def _is_rank(rank: Any) -> bool:
    match rank:
        case (Kind.NULL | Kind.NAN | Kind.NAT, None) | (Kind.BOOL, bool()) | (Kind.TEXT, str()):
            return True
        case (Kind.NUMBER, number):
            return classify(number)[0] is Kind.NUMBER
        case (Kind.AWARE, datetime() as moment):
            return moment.tzinfo is not None
        case (Kind.OTHER, str(), str()):
            return True
        case _:
            return False


# Ranks that are too long


def _beginning(rank: Rank) -> Rank:
    """What a rank begins with; that of every later rank is the same or a later one."""
    return (*rank[:-1], rank[-1][:BEGINNING]) if isinstance(rank[-1], str) else rank[:1]


def _is_beginning(rank: Any) -> bool:
    match rank:
        case (int(),) | (Kind.TEXT, str()) | (Kind.OTHER, str(), str()):
            return True
        case _:
            return False


def _cut(rank: Rank, beginning: Rank) -> Rank:
    """As much of a rank as compares with a beginning."""
    size = len(beginning)
    if len(rank) < size or not isinstance(rank[size - 1], str):
        return rank[:size]
    return (*rank[: size - 1], rank[size - 1][:BEGINNING])


def _digest(row: Placed) -> str:
    return blake2b(f"{_pack(row.rank)}\n{row.row.key}".encode(), digest_size=12).hexdigest()
