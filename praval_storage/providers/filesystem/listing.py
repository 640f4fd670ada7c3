"""Queries: the files of a tree and the rows of its index merged by key, read on while they are taken."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from praval_storage.filters import And, Compare, Node, matches_foreign, paths
from praval_storage.keys import Passed
from praval_storage.providers.filesystem.filters import SqlFilter
from praval_storage.providers.filesystem.index import FIRST_PAGE, LAST_PAGE, Index
from praval_storage.providers.filesystem.opaque import doubts, looked_at, with_doubts
from praval_storage.providers.filesystem.reader import Reader, stored_row
from praval_storage.providers.filesystem.rows import ALWAYS, Span, Sql
from praval_storage.providers.filesystem.tree import Signature, Tree
from praval_storage.pushdown import restrict
from praval_storage.records import Record, Stored
from praval_storage.scan import Scan, Scanned

# All that is known of a record before its body is read.
_ROOTS = ("key", "metadata", "created_at", "updated_at", "size", "format")

Candidate = tuple[Stored, bool]
"""A record, and whether it is known to match."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look.

    Attributes:
        tree: The files.
        index: The rows.
        reader: Brings the two together.
        start: The collection: what every name starts with and no key does.
    """

    tree: Tree
    index: Index
    reader: Reader
    start: str


def scan(place: Place, request: Scan, load: Callable[[Stored], Any]) -> Scanned:
    """The records that match as far as rows and file attributes tell, always in key order.

    When only a record with metadata can match, the rows are asked and their files looked at; otherwise the
    tree is walked beside the rows.
    """
    by_key = request.order is None or request.order.path.root == "key"
    descending = by_key and request.order is not None and request.order.descending
    pushdown = SqlFilter(len(place.start)).compile(request.where)
    query = _Query(place, request.where, pushdown.condition or ALWAYS, pushdown.pushed, descending)
    by_index = not matches_foreign(request.where)
    return Scanned(
        query.rows(by_index, load),
        pushdown.pushed,
        pushdown.residual,
        ordered=by_key,
        index="index.sqlite" if by_index else "directory walk",
        hint=_hint(request.where, by_index),
        left_out=query.passed.hint,
    )


def _hint(where: Node, by_index: bool) -> str | None:
    roots = {path.root for path in paths(where)}
    if "data" in roots:
        return "Conditions on data read the files; keep what you often ask for in the metadata"
    if "metadata" in roots and not by_index:
        return "Files without metadata may match, so every name was looked at"
    return None


class _Query:
    def __init__(self, place: Place, where: Node, condition: Sql, pushed: Node, descending: bool) -> None:
        self._tree, self._index, self._reader = place.tree, place.index, place.reader
        self._start = place.start
        self._fields = looked_at(pushed)
        self._mark = with_doubts(condition, self._fields)
        self._check = restrict(pushed, _ROOTS).condition
        self._prefix = _key_prefix(where)
        self._span = Span.of_prefix(self._start + self._prefix)
        self._descending = descending
        self.passed = Passed()

    def rows(self, by_index: bool, load: Callable[[Stored], Any]) -> Iterator[Stored]:
        """The records that match, with the keys of the collection."""
        skip = len(self._start)
        for stored, sure in self._indexed() if by_index else self._walked():
            if skip:
                stored = stored._replace(key=stored.key[skip:])
            if sure or self._check is None or self._check.matches(Record(stored, load)):
                yield stored

    # Rows first: each is true if its file is there and has its signature

    def _indexed(self) -> Iterator[Candidate]:
        done = None
        for page in self._index.pages(self._mark, self._span, descending=self._descending):
            known: dict[str, bool] = {}
            for row in page:
                if row.key == done:
                    continue
                found = self._tree.stat(row.place or row.key, known)
                if found is None:
                    continue
                done = row.key
                if row[1:3] == (found.st_mtime_ns, found.st_size):
                    yield stored_row(row), not doubts(row.opaque, self._fields)
                else:
                    yield from self._present(row.key, known)

    def _present(self, key: str, known: dict[str, bool]) -> Iterator[Candidate]:
        """The present version of a record that was replaced, copied or touched."""
        stored = self._reader.glance(key, self._index.rows([key]).get(key, ()), known)
        if stored is not None:
            yield stored, False

    # Files and rows side by side

    def _walked(self) -> Iterator[Candidate]:
        names = self._tree.walk(self._start, self._prefix, self.passed, descending=self._descending)
        span, size, ended = self._span, FIRST_PAGE, False
        while not ended:
            entries = list(islice(names, size))
            ended = len(entries) < size
            signatures = dict(_signatures(entries))
            # The rows are read after the files: whatever we wrote has one.
            part, span = (span, span) if ended else self._split(span, entries[-1][0])
            yield from self._merged(signatures, part)
            size = min(size * 4, LAST_PAGE)

    def _split(self, span: Span, last: str) -> tuple[Span, Span]:
        """The span up to a key, and the rest."""
        if self._descending:
            return Span(last, span.beyond), Span(span.first, last)
        after = f"{last}\0"
        return Span(span.first, after), Span(after, span.beyond)

    def _merged(self, signatures: dict[str, tuple[int, int]], span: Span) -> Iterator[Candidate]:
        found = self._index.marked(self._mark, span)
        rows = {row.key: row for row in found}
        # Those with leftovers, and those whose file is elsewhere.
        special = {row.key for row in found if row.place is not None or rows[row.key] is not row}
        known: dict[str, bool] = {}
        for key in sorted(signatures.keys() | special, reverse=self._descending):
            row, signature = rows.get(key), signatures.get(key, _NOTHING)
            if row is None:
                yield self._reader.foreign(key, Signature(*signature)), False
            elif key in special or row[1:3] != signature:
                yield from self._present(key, known)
            elif row.selected:
                yield stored_row(row), not doubts(row.opaque, self._fields)


_NOTHING = (0, -1)


def _signatures(
    entries: Sequence[tuple[str, os.DirEntry[str]]],
) -> Iterator[tuple[str, tuple[int, int]]]:
    for name, entry in entries:
        try:
            found = entry.stat(follow_symlinks=entry.is_symlink())
        except FileNotFoundError:  # gone since it was listed
            continue
        yield name, (found.st_mtime_ns, found.st_size)


def _key_prefix(where: Node) -> str:
    """What every key that matches starts with."""
    match where:
        case Compare(path=path, op="prefix" | "eq", operand=str(prefix)) if path.root == "key":
            # Not everything that a str can hold can be a name or be given to SQLite.
            return prefix if prefix.isprintable() else ""
        case And(children=children):
            return max(map(_key_prefix, children), key=len, default="")
        case _:
            return ""
