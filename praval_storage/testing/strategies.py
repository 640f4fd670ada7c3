"""Hypothesis strategies: random records and random filters that meet each other.

Names and values come from small pools, so that filters hit, and the pools hold what a naive backend
confuses: ``True`` and ``1``, ``1`` and ``1.0``, ``"1"`` and ``1``, 2**53 and its neighbour, strings that look
like dates or need escaping, names that look like paths, and the same name with values of many types.

Flags, the same everywhere:

``json_only``
    Only what JSON text holds exactly (the default); otherwise datetimes, dates, ``Decimal``, bytes, UUIDs,
    tuples and sets as well.
``nan``
    NaN and the infinities too.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import strategies as st

TEXTS = (
    "", " ", "a", "A", "ab", "abc", "b", "e\u0301", "\u00e9", "\uffff", "\U0001f600", "\U0001f600a",
    "0", "1", "1.0", "true", "null", "2025-01-15", "2025-01-15T10:00:00+00:00", "2025-01-15 10:00:00",
    "a%", "a_c", "a*", "a.c", "[a]", "it's \"quoted\"", "back\\slash", "line\nbreak", "nul\x00", "$a",
)  # fmt: skip
"""Code point order differs from UTF-16 order at U+FFFF, and from that of any locale at case and accents."""

INTEGERS = (
    0, 1, 2, -1, 10, 2**31, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, 2**64, 10**30,
)  # fmt: skip
FLOATS = (0.0, -0.0, 1.0, 0.1, 0.5, -1.5, 2.0**53, 2.0**63, 1e30, 1e300, -1e300, 5e-324)
NOT_FINITE = (math.nan, math.inf, -math.inf)
RICH = (
    datetime(2025, 1, 15, 10, tzinfo=UTC),
    datetime(2025, 1, 15, 12, tzinfo=timezone(timedelta(hours=2))),
    datetime(2025, 1, 15, 10, 0, 0, 1, tzinfo=UTC),
    datetime(2025, 1, 15, 10),  # noqa: DTZ001 - naive ones are data too
    datetime(1969, 12, 31, tzinfo=UTC),
    date(2025, 1, 15),
    date(2024, 2, 29),
    Decimal("0.1"),
    Decimal(1),
    Decimal("1E+30"),
    b"",
    b"a",
    UUID(int=1),
    (1, "a"),
    (),
    frozenset({1, "a"}),
)
"""Scalars and small collections that JSON does not have."""

FIELDS = (
    "a",
    "b",
    "A",
    "tags",
    "0",
    "key",
    "size",
    "data",
    "with space",
    "it's",
    'say "x"',
    "\u00fc\U0001f600",
    "$a",
    "x[]",
    "x*",
)
"""Field names that a path can address."""
UNADDRESSABLE = ("a.b", "", ".")
"""Field names that no path can address, and that must not be mistaken for one that can."""
INDEXES = ("0", "1", "00", "-1")

PATTERNS = ("a", "^a", "b$", "^$", "[0-9]+", "(?i)^A", ".", "\u00e9", r"\.", "^(a|b)")
KEYS = (
    "k1",
    "k2",
    "K1",
    "k10",
    "dir/k1",
    "dir/k2",
    "dir/sub/k1",
    "dir-x",
    "a b",
    "100%",
    "it's",
    "\u00fc",
    "\uff5e",
    "\U0001f600",
    "x*",
)
"""Legal keys of which no one is a folder of another."""
TIMES = tuple(datetime(2025, 1, 15, tzinfo=UTC) + timedelta(hours=hours) for hours in (0, 1, 24, -24))
FORMATS = ("json", "text", "bytes")
ROOTS = ("data", "metadata", "key", "created_at", "updated_at", "size", "format")


@dataclass(frozen=True)
class Sample:
    """A record as filters see it, held in memory.

    Attributes:
        key: Key of the record.
        data: Any value.
        metadata: The user's metadata.
        created_at: First write, aware UTC.
        updated_at: Last write, aware UTC.
        size: Bytes of the stored body.
        format: Stored format of the data.
    """

    key: str
    data: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    size: int | None = None
    format: str | None = None


COMMON_FIELDS = ("a", "b", "tags")
COMMON = (1, True, 1.0, 2, "a", "ab", "1", "abc", None, "2025-01-15")
"""What most draws come from, so that filters hit; the rest of the pools is for the odd ones."""

T = TypeVar("T")


def _mostly(*strategies: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """One of them, each as often as it is named: ``one_of`` would count the alternatives inside of each."""
    return st.sampled_from(strategies).flatmap(lambda strategy: strategy)


# Data


def scalars(*, json_only: bool = True, nan: bool = False) -> st.SearchStrategy[Any]:
    """Single values from the pools."""
    odd = TEXTS + INTEGERS + FLOATS + (False,) + (NOT_FINITE if nan else ()) + (() if json_only else RICH)
    return _mostly(st.sampled_from(COMMON), st.sampled_from(COMMON), st.sampled_from(odd))


def values(*, json_only: bool = True, nan: bool = False, max_leaves: int = 8) -> st.SearchStrategy[Any]:
    """Nested lists and mappings of :func:`scalars`."""
    leaves = scalars(json_only=json_only, nan=nan)
    return _mostly(leaves, leaves, st.recursive(leaves, _containers, max_leaves=max_leaves))


def documents(
    *, json_only: bool = True, nan: bool = False, max_leaves: int = 8
) -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects, also empty ones: what most ``data`` and all ``metadata`` are."""
    inner = values(json_only=json_only, nan=nan, max_leaves=max_leaves)
    usual = {"a": inner, "b": inner, "tags": _tags(scalars(json_only=json_only, nan=nan))}
    odd = st.dictionaries(_names(), inner, max_size=3)
    return _mostly(st.fixed_dictionaries(usual), st.fixed_dictionaries({}, optional=usual), odd)


def _tags(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    items = st.fixed_dictionaries({}, optional={"a": inner, "b": inner})
    return _mostly(st.lists(inner, max_size=3), st.lists(items, max_size=3), inner)


def keys() -> st.SearchStrategy[str]:
    """Legal keys from the pool; a set of them can be stored on a file system side by side."""
    return st.sampled_from(KEYS)


def _names() -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(COMMON_FIELDS), st.sampled_from(FIELDS + UNADDRESSABLE))


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(_names(), inner, max_size=3))


# Records


def records(*, json_only: bool = True, nan: bool = False) -> st.SearchStrategy[Sample]:
    """Records with every attribute set: mostly objects as data, sometimes any other value."""
    objects = documents(json_only=json_only, nan=nan)
    data = _mostly(objects, objects, objects, values(json_only=json_only, nan=nan))
    return st.builds(
        Sample,
        key=keys(),
        data=data,
        metadata=documents(),
        created_at=st.sampled_from(TIMES),
        updated_at=st.sampled_from(TIMES),
        size=st.sampled_from((0, 1, 10, 2**31)),
        format=st.sampled_from(FORMATS),
    )


def tables(
    *, json_only: bool = True, nan: bool = False, min_size: int = 1, max_size: int = 8
) -> st.SearchStrategy[list[Sample]]:
    """Lists of records with distinct keys."""
    one = records(json_only=json_only, nan=nan)
    return st.lists(one, min_size=min_size, max_size=max_size, unique_by=lambda record: record.key)


# Filters


def paths(*, roots: Collection[str] = ROOTS) -> st.SearchStrategy[str]:
    """Paths as text, most of them into data and metadata.

    Args:
        roots: Which of ``data metadata key created_at updated_at size format`` may occur.
    """
    trees = [_below(root) for root in ("data", "metadata") if root in roots]
    attributes = sorted(set(roots) - {"data", "metadata"})
    return _mostly(*trees * 2, *([st.sampled_from(attributes)] if attributes else []))


def filters(
    *, json_only: bool = True, nan: bool = False, roots: Collection[str] = ROOTS, depth: int = 3
) -> st.SearchStrategy[dict[str, Any]]:
    """Legal filters over the pools, with every operator, nested at most ``depth`` logical operators deep.

    Args:
        json_only: No operand that JSON does not hold, but for times under ``created_at`` and ``updated_at``.
        nan: NaN and the infinities as operands too.
        roots: Which of ``data metadata key created_at updated_at size format`` may occur.
        depth: Levels of ``$and $or $not``.
    """
    one = paths(roots=roots).flatmap(lambda path: _entries(path, json_only, nan))
    two = st.tuples(one, one).map(_joined)
    strategy = _mostly(one, one, one, two, two, st.just({}))
    for _ in range(depth):
        strategy = _mostly(strategy, _logical(strategy))
    return strategy


def orders(*, roots: Collection[str] = ROOTS) -> st.SearchStrategy[str | None]:
    """Values for ``order_by``: paths in either direction, and ``None``."""
    return st.one_of(st.none(), st.builds(str.__add__, st.sampled_from(("", "-")), paths(roots=roots)))


def limits() -> st.SearchStrategy[int | None]:
    """Values for ``limit``: small ones that cut, one that does not, and ``None`` for all."""
    return st.sampled_from((None, 1, 2, 3, 5, 100))


def _below(root: str) -> st.SearchStrategy[str]:
    names = st.one_of(st.sampled_from(COMMON_FIELDS), st.sampled_from(FIELDS + INDEXES))
    usual = st.sampled_from(COMMON_FIELDS).map(lambda name: (name,))
    parts = _mostly(usual, usual, st.lists(names, max_size=3).map(tuple))
    return st.builds(_dotted, st.just(root), parts, st.booleans())


def _dotted(root: str, parts: tuple[str, ...], bare: bool) -> str:
    must_say = root != "data" or not parts or parts[0] in ROOTS or parts[0].startswith("$")
    return ".".join(parts if bare and not must_say else (root, *parts))


def _joined(pair: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    return pair[0] | pair[1]


def _logical(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    some = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        some.map(lambda filters: {"$and": filters}),
        some.map(lambda filters: {"$or": filters}),
        inner.map(lambda filters: {"$not": filters}),
        st.tuples(inner, some.map(lambda filters: {"$or": filters})).map(_joined),
    )


@cache
def _entries(path: str, json_only: bool, nan: bool) -> st.SearchStrategy[dict[str, Any]]:
    root = path if path in ROOTS else "data"
    literals, bounds = _operands(root, json_only, nan)
    conditions = _conditions(literals, bounds, texts=root not in {"created_at", "updated_at", "size"})
    negated = conditions.map(lambda condition: {"$not": condition})
    plain = literals.filter(lambda value: not isinstance(value, dict) or not _has_operator(value))
    return _mostly(plain, conditions, conditions, negated).map(lambda condition: {path: condition})


@cache
def _operands(root: str, json_only: bool, nan: bool) -> tuple[st.SearchStrategy[Any], st.SearchStrategy[Any]]:
    """What ``$eq`` and what ``$gt`` may take under a root."""
    own: dict[str, st.SearchStrategy[Any]] = {
        "key": keys(),
        "format": st.sampled_from(FORMATS),
        "size": st.sampled_from((0, 1, 1.0, 9.5, 10, 2**31)),
        "created_at": _times(),
        "updated_at": _times(),
    }
    if root in own:
        return own[root] | st.none(), own[root]
    rich = () if json_only else tuple(value for value in RICH if isinstance(value, (date, Decimal)))
    odd = TEXTS + INTEGERS + FLOATS + (NOT_FINITE if nan else ()) + rich
    bounds = _mostly(st.sampled_from((1, 1.0, 2, "a", "ab", "1")), st.sampled_from(odd))
    literals = scalars(json_only=json_only, nan=nan)
    return _mostly(literals, literals, values(json_only=json_only, nan=nan, max_leaves=3)), bounds


def _times() -> st.SearchStrategy[Any]:
    moments = st.sampled_from(TIMES)
    return st.one_of(moments, moments.map(datetime.isoformat), moments.map(datetime.date))


def _conditions(
    literals: st.SearchStrategy[Any], bounds: st.SearchStrategy[Any], *, texts: bool
) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(literals, max_size=3)
    operators: dict[str, st.SearchStrategy[Any]] = {
        "$eq": literals,
        "$ne": literals,
        "$in": several,
        "$nin": several,
        **dict.fromkeys(("$gt", "$gte", "$lt", "$lte"), bounds),
        "$exists": st.booleans(),
    }
    if texts:
        operators |= {
            "$contains": literals.filter(lambda value: value is not None),
            "$prefix": st.one_of(st.sampled_from(("", "a", "1", "ab", "k")), st.sampled_from(TEXTS)),
            "$regex": st.sampled_from(PATTERNS),
        }
    names = st.lists(st.sampled_from(sorted(operators)), min_size=1, max_size=2, unique=True)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: operators[name] for name in chosen}))


def _has_operator(value: dict[str, Any]) -> bool:
    return any(name.startswith("$") for name in value) or any(
        isinstance(inner, dict) and _has_operator(inner) for inner in value.values()
    )
