"""Looking around through the manager, on providers of every degree of ability."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from praval_storage.base import CanBrowse, CanQuery
from praval_storage.errors import UnsupportedOperationError
from praval_storage.filters import EVERYTHING, Compare, Node, Order, Path, conjunction
from praval_storage.labels import natural
from praval_storage.paging import Batch, Entry, collect, in_any_order, whole
from praval_storage.places import Count, Look, Measured, Seen, as_folder, bad_token, folder, from_token
from praval_storage.provider_set import ProviderSet
from praval_storage.records import Stored
from praval_storage.scan import Scan
from praval_storage.selection import stream

_UNSPEAKABLE = re.compile(r"[\x00\ud800-\udfff]")
"""In no name that any backend could be asked for."""
_BY_KEY = Order(Path("key"))
_BEYOND = "\U0010ffff"
_PIECE = 1_000


def look(providers: ProviderSet, storage_type: str, request: Look) -> Seen:
    """One page of a place of a provider; an error where a delimiter is chosen that it does not honour."""
    provider = _able(providers, storage_type)
    if _UNSPEAKABLE.search(request.path + request.text):
        return Seen(note="Nothing has such a name")

    def work() -> Seen:
        return provider.look(request) if isinstance(provider, CanBrowse) else _scanned(provider, request)

    seen = providers.call(storage_type, "look", None, work)
    if request.delimiter not in (None, seen.delimiter):
        raise UnsupportedOperationError(
            f"The places of {storage_type!r} have no delimiter that can be chosen",
            hint="Look without a delimiter",
            provider=storage_type,
        )
    if request.order is None and request.token is None and seen.next is None:
        seen = replace(seen, rows=sorted(seen.rows, key=lambda row: natural(seen.label(row))))
    if provider.read_only and not seen.read_only:
        return replace(seen, read_only="the provider is registered read-only")
    return seen


def measure(providers: ProviderSet, storage_type: str, path: str) -> Iterator[Measured]:
    """Running totals of what is below a place."""
    provider = _able(providers, storage_type)
    totals = iter(provider.measure(path) if isinstance(provider, CanBrowse) else _counted(provider, path))
    while (
        measured := providers.call(storage_type, "measure", None, lambda: next(totals, None), again=False)
    ) is not None:
        yield measured


def _able(providers: ProviderSet, storage_type: str) -> CanBrowse | CanQuery:
    provider = providers[storage_type]
    if isinstance(provider, CanBrowse):
        return provider
    return providers.require(storage_type, CanQuery, "list what it holds")


# Providers that only scan: a tree of keys


def _scanned(provider: CanQuery, request: Look) -> Seen:
    order = request.order or _BY_KEY
    if order.path.root == "key":
        return _by_key(provider, request, descending=order.descending)
    prefix, now = as_folder(request.path), datetime.now(UTC)
    rows, tally = stream(provider, Scan(_below(prefix), bodies=order.path.root == "data"), now)
    entries = (_entry(row, prefix) for row in rows)
    seen = in_any_order(provider, entries, whole(provider, request.where), prefix, order, request)
    return replace(seen, scanned=tally.rows).noted(_PRICE)


_PRICE = "This provider has no pages, so each of them scans its keys"


def _by_key(provider: CanQuery, request: Look, *, descending: bool) -> Seen:
    position = from_token(request.token)
    batches = _batches(provider, request, position, descending=descending)

    def after(entry: Entry) -> Any:
        if isinstance(entry, Stored):
            return [entry.key, None]
        return [entry.path if descending else entry.path + _BEYOND, entry.path]

    prefix = as_folder(request.path)
    page = collect(request, prefix, batches, after, whole(provider, request.where))
    return replace(page.seen(prefix), note=_PRICE)


def _batches(provider: CanQuery, request: Look, position: Any, *, descending: bool) -> Iterator[Batch]:
    prefix = as_folder(request.path)
    where, shown = _below(prefix), None
    if position is not None:
        last, shown = _position(position)
        where = conjunction([where, Compare(Path("key"), "lt" if descending else "gt", last)])
    scan = Scan(where, Order(Path("key"), descending), bodies=request.bodies)
    rows, _ = stream(provider, scan, datetime.now(UTC))
    while piece := list(islice(rows, _PIECE)):
        entries: list[Entry] = []
        for row in piece:
            entry = _entry(row, prefix)
            if isinstance(entry, Stored):
                entries.append(entry)
            elif entry.path != shown:
                shown = entry.path
                entries.append(entry)
        more = len(piece) == _PIECE
        yield Batch(entries, len(piece), [piece[-1].key, shown] if more else None)


def _position(position: Any) -> tuple[str, str | None]:
    match position:
        case [str(last), None | str() as shown]:
            return last, shown
        case _:
            raise bad_token()


def _entry(row: Stored, prefix: str) -> Entry:
    """A row, or the place below the prefix that it is in."""
    label, separator, _ = row.key[len(prefix) :].partition("/")
    if not separator:
        return row
    return folder(f"{prefix}{label}/")


def _below(prefix: str) -> Node:
    return Compare(Path("key"), "prefix", prefix) if prefix else EVERYTHING


def _counted(provider: CanQuery, path: str) -> Iterator[Measured]:
    rows, _ = stream(provider, Scan(_below(as_folder(path)), bodies=False), datetime.now(UTC))
    records = size = 0
    while piece := list(islice(rows, _PIECE)):
        records += len(piece)
        size += sum(row.size or 0 for row in piece)
        yield Measured(Count(records), Count(size), done=False)
    yield Measured(Count(records), Count(size), done=True)
