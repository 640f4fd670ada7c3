"""Queries: names from a listing, then metadata and small bodies, many at a time, while rows are taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from praval_storage.filters import EVERYTHING, And, Compare, Node, Order, paths
from praval_storage.keys import Passed, is_legal
from praval_storage.providers._objects.store import Entry, ObjectStore
from praval_storage.pushdown import restrict
from praval_storage.records import Record, Stored
from praval_storage.scan import Scan, Scanned

INLINE = 16 << 10
"""Bytes of a body that is fetched together with its metadata when bodies are wanted: in one request."""
FIRST, LAST = 64, 512
"""Objects asked about at a time: few first, so that a low limit stops early."""


def scan(store: ObjectStore, start: str, request: Scan, load: Callable[[Stored], Any]) -> Scanned:
    """The records that match as far as a listing tells, with their metadata.

    Order by key (and by size, where listings tell it) is made from the listing alone.
    """
    names = _wanted_names(start, request.where)
    listed = store.listed if names is None else frozenset({"key"})
    split = restrict(request.where, listed)
    passed = Passed()
    by_listing = request.order is None or request.order.path.root in listed

    def matching() -> Iterator[Entry]:
        found = _entries(store, start, request) if names is None else (Entry(name, None) for name in names)
        for entry in found:
            if passed.legal(key := entry.name[len(start) :]) and _passes(split.condition, key, entry, load):
                yield entry

    return Scanned(
        _rows(store, start, _ordered(matching, request.order if by_listing else None), request.bodies),
        split.pushed,
        split.residual,
        ordered=by_listing,
        index=_listing(start + _key_prefix(request.where)) if names is None else "names",
        hint=_hint(request.where, narrowed=names is not None or _key_prefix(request.where) != ""),
        left_out=passed.hint,
    )


def chunks(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Small pieces first, larger ones later."""
    iterator, size = iter(entries), FIRST
    while chunk := list(islice(iterator, size)):
        yield chunk
        size = min(size * 2, LAST)


def _listing(prefix: str) -> str:
    return f"listing of {prefix!r}" if prefix else "listing of everything"


def _rows(store: ObjectStore, start: str, entries: Iterable[Entry], bodies: bool) -> Iterator[Stored]:
    skip = len(start)
    for chunk in chunks(entries):
        small = {each.name for each in chunk if bodies and each.size is not None and each.size <= INLINE}
        for row in store.fetch([entry.name for entry in chunk], small):
            if row is not None:
                yield row._replace(key=row.key[skip:]) if skip else row


def _entries(store: ObjectStore, start: str, request: Scan) -> Iterator[Entry]:
    is_whole = request.where == EVERYTHING and request.order is None
    expected = request.limit + 1 if is_whole and request.limit is not None else None
    return store.entries(start + _key_prefix(request.where), expected)


def _ordered(matching: Callable[[], Iterator[Entry]], order: Order | None) -> Iterator[Entry]:
    if order is None or (order.path.root == "key" and not order.descending):
        yield from matching()
        return
    by_size = order.path.root == "size"
    yield from sorted(
        matching(), key=lambda entry: (entry.size or 0) if by_size else entry.name, reverse=order.descending
    )


def _passes(condition: Node | None, key: str, entry: Entry, load: Callable[[Stored], Any]) -> bool:
    return condition is None or condition.matches(Record(Stored(key, "bytes", size=entry.size), load))


def _wanted_names(start: str, where: Node) -> list[str] | None:
    """The only names that can match, in order; ``None`` when the filter does not say them."""
    match where:
        case Compare(path=path, op="eq" | "in", operand=operand) if path.root == "key":
            operands: Sequence[Any] = operand if where.op == "in" else [operand]
            keys = {key for key in operands if isinstance(key, str) and is_legal(key)}
            return [start + key for key in sorted(keys)]
        case And(children=children):
            found = [names for child in children if (names := _wanted_names(start, child)) is not None]
            return min(found, key=len, default=None)
        case _:
            return None


def _key_prefix(where: Node) -> str:
    """What every key that matches starts with."""
    match where:
        case Compare(path=path, op="prefix", operand=str(prefix)) if path.root == "key":
            return prefix if prefix.isprintable() else ""
        case And(children=children):
            return max(map(_key_prefix, children), key=len, default="")
        case _:
            return ""


def _hint(where: Node, *, narrowed: bool) -> str | None:
    roots = {path.root for path in paths(where)}
    if "data" in roots:
        return "Conditions on data read the objects; keep what you often ask for in the metadata or the key"
    if not narrowed and roots - {"key", "size"}:
        return "Every object was asked for its metadata; {'key': {'$prefix': ...}} narrows that"
    return None
