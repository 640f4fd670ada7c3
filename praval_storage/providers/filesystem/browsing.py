"""Looking around in a directory: one level, a page at a time, without asking what is on other pages."""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from praval_storage.display import counted_text
from praval_storage.filters import EVERYTHING
from praval_storage.keys import Passed
from praval_storage.labels import containing, natural
from praval_storage.paging import Batch, Entry, Source, collect, in_any_order, named
from praval_storage.places import (
    MOST,
    Count,
    Look,
    Measured,
    Place,
    Seen,
    as_folder,
    bad_token,
    folder,
    from_token,
)
from praval_storage.providers.filesystem.listing import Place as Ground
from praval_storage.providers.filesystem.rows import Span
from praval_storage.records import Stored

NATURAL = 10_000
"""Up to so many entries come in natural order, directories first; more come by code point."""
_PIECE = 1_000
_LISTED = frozenset({"key"})


def look(source: Source, ground: Ground, request: Look) -> Seen:
    """One page of a directory. Its names are all looked at, the files of the page alone are."""
    if request.order is None or request.order.path.root == "key":
        return _by_name(source, ground, request)
    passed = Passed()
    names = list(islice(_names(ground, as_folder(request.path), passed), request.budget + 1))
    if len(names) > request.budget:
        return _by_name(source, ground, request).unordered(
            request.order, f"no more than {counted_text(request.budget)} files are sorted"
        )
    prefix = as_folder(request.path)
    entries = [_entry(prefix, name) for name in names]
    sift = named(source, replace(request, metadata=True), _LISTED)
    seen = in_any_order(source, entries, sift, prefix, request.order, request)
    return replace(seen, scanned=len(names)).noted(passed.note())


def measure(ground: Ground, path: str) -> Iterator[Measured]:
    """Count the files below a directory and their bytes."""
    records = size = 0
    prefix = as_folder(path)
    for name, entry in ground.tree.walk(ground.start, prefix, Passed(), descending=False):
        try:
            size += entry.stat(follow_symlinks=entry.is_symlink()).st_size
        except FileNotFoundError:  # gone since it was listed
            continue
        del name
        records += 1
        if records % _PIECE == 0:
            yield Measured(Count(records), Count(size), done=False)
    for key in ground.index.diverted(Span.of_prefix(ground.start + prefix), MOST * _PIECE):
        [found] = ground.reader.look([key])
        if found is not None:
            records, size = records + 1, size + (found.size or 0)
    yield Measured(Count(records), Count(size), done=True)


def _by_name(source: Source, ground: Ground, request: Look) -> Seen:
    prefix, passed = as_folder(request.path), Passed()
    names = _names(ground, prefix, passed)
    head = list(islice(names, NATURAL + 1)) if request.order is None else []
    sequence = _sequence(request, is_short=len(head) <= NATURAL)
    tally = _Tally(request.text)
    wanted = request.limit if request.where == EVERYTHING else request.budget
    best = sequence.first(tally.counted(chain(head, names)), wanted + 1)
    entries = [_entry(prefix, name) for name in best[:wanted]]
    following = sequence.position(best[wanted - 1]) if len(best) > wanted else None

    def after(entry: Entry) -> Any:
        name = f"{entry.label}/" if isinstance(entry, Place) else entry.key[len(prefix) :]
        return sequence.position(name)

    page = collect(
        request, prefix, [Batch(entries, len(entries), following)], after, named(source, request, _LISTED)
    )
    is_certain = request.where == EVERYTHING and not ground.index.expiring(
        Span.of_prefix(ground.start + prefix)
    )
    total = Count(tally.rows) if is_certain else None
    return replace(page.seen(prefix), total=total, scanned=tally.names).noted(passed.note())


class _Tally:
    """Counts names, and files among them, on their way."""

    def __init__(self, text: str) -> None:
        self._fits = containing(text) if text else None
        self.names = self.rows = 0

    def counted(self, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            self.names += 1
            if self._fits is None or self._fits(name.removesuffix("/")):
                self.rows += not name.endswith("/")
                yield name


class _Sequence:
    """An order of names, from a position on."""

    def __init__(self, kind: str, key: Callable[[str], Any], last: str | None, *, descending: bool) -> None:
        self._kind, self._key, self._last, self._descending = kind, key, last, descending

    def first(self, names: Iterable[str], number: int) -> list[str]:
        """The first names after the position, in order."""
        if self._last is not None:
            key, last = self._key, self._key(self._last)
            names = (
                (name for name in names if key(name) < last)
                if self._descending
                else (name for name in names if key(name) > last)
            )
        choose = heapq.nlargest if self._descending else heapq.nsmallest
        return choose(number, names, key=None if self._key is str else self._key)

    def position(self, name: str) -> Any:
        return [self._kind, name]


def _sequence(request: Look, *, is_short: bool) -> _Sequence:
    """The order that was asked for; that of a token goes on as it began."""
    match from_token(request.token):
        case None:
            last = None
            kind = "natural" if request.order is None and is_short else "name"
        case ["natural" | "name" as kind, str(last)]:
            pass
        case _:
            raise bad_token()
    descending = request.order is not None and request.order.path.root == "key" and request.order.descending
    return _Sequence(kind, _naturally if kind == "natural" else str, last, descending=descending)


def _naturally(name: str) -> Any:
    return not name.endswith("/"), natural(name.removesuffix("/"))


def _names(ground: Ground, prefix: str, passed: Passed) -> Iterator[str]:
    """Everything directly in a directory, what is kept elsewhere because it cannot be a file among it."""
    span = Span.of_prefix(ground.start + prefix)
    tree, inside = ground.tree, ground.start + prefix
    diverted = [key[len(inside) :] for key in ground.index.diverted(span, NATURAL * 10)]
    if not diverted:
        yield from tree.level(ground.start, prefix, passed)
        return
    special = {name for name in diverted if "/" not in name}
    for name in tree.level(ground.start, prefix, passed):
        special.discard(name)
        yield name
    yield from special
    folders = {f"{name.partition('/')[0]}/" for name in diverted if "/" in name}
    yield from (name for name in sorted(folders) if not os.path.isdir(tree.absolute(inside + name)))


def _entry(prefix: str, name: str) -> Entry:
    return folder(prefix + name) if name.endswith("/") else Stored(prefix + name, "bytes")
