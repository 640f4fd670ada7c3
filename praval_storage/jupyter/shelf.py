"""The records of a result as something to look around in: one list, in the order of the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

from praval_storage.base import BaseStorageProvider, HasVectors
from praval_storage.errors import StorageError, UnsupportedOperationError
from praval_storage.filters import EVERYTHING
from praval_storage.jupyter.outline import Looker
from praval_storage.manager import DataManager
from praval_storage.paging import Batch, Entry, collect, in_any_order, whole
from praval_storage.places import Column, Count, Look, Place, Seen, bad_token, from_token
from praval_storage.records import MISSING, Stored
from praval_storage.results import SearchResult
from praval_storage.results.sequence import RowSequence, Source


class Shelf(NamedTuple):
    """Holds the rows of a result; their bodies come from where the result gets them.

    Attributes:
        source: The source of the result.
        rows: Its rows.
        scores: Those of a search, by key.
    """

    source: Source
    rows: Sequence[Stored]
    scores: Mapping[str, float]

    def fill(self, rows: Sequence[Stored]) -> list[Stored | None]:
        """The rows with their bodies."""
        fill = getattr(self.source, "fill", None)
        return fill(rows) if fill else list(rows)

    def load(self, stored: Stored) -> Any:
        """The value of a row."""
        return self.source.load(stored)

    def look(self, request: Look) -> Seen:
        """One page of the rows."""
        sift = whole(self, request.where)
        if request.order is not None:
            seen = in_any_order(self, self.rows, sift, "", request.order, request)
        else:
            seen = collect(request, "", [self._rest(request)], self._after, sift).seen("")
        is_all = request.where == EVERYTHING and not request.text
        total = Count(len(self.rows)) if is_all else None
        return replace(seen, total=total, columns=self._columns(seen.rows), scores=self.scores)

    def _rest(self, request: Look) -> Batch:
        match from_token(request.token):
            case None:
                first = 0
            case [int(first)]:
                pass
            case _:
                raise bad_token()
        return Batch(self.rows[first:], len(self.rows), None)

    def _after(self, entry: Entry) -> Any:
        assert not isinstance(entry, Place)  # noqa: S101 - there are none in a result
        return [next(number for number, row in enumerate(self.rows, 1) if row.key == entry.key)]

    def _columns(self, rows: Sequence[Stored]) -> list[Column]:
        """The fields of rows that came with their values; nothing is read for it."""
        if any(row.data is MISSING and row.body is None for row in rows):
            return []
        with suppress(StorageError):  # the preview of the record says why
            values = [self.load(row) for row in rows]
            if all(isinstance(value, Mapping) for value in values):
                return [Column(name, "") for name in dict.fromkeys(chain.from_iterable(values))]
        return []


def shelf(result: RowSequence[Any]) -> tuple[DataManager, Looker]:
    """A manager of the provider a result came from, and what answers looks by its rows alone.

    Raises:
        UnsupportedOperationError: Its rows came from no manager.
    """
    source, name = result._source, result.storage_type  # noqa: SLF001 - what results are made of
    providers: Mapping[str, BaseStorageProvider] = getattr(source, "providers", {})
    if name not in providers:
        raise UnsupportedOperationError(f"The rows of this result came from {source!r}, not from a manager")
    rows = result._rows  # noqa: SLF001 - as above
    scores = result.scores if isinstance(result, SearchResult) else ()
    held = Shelf(source, rows, {row.key: score for row, score in zip(rows, scores, strict=False)})

    def look(_: str, request: Look) -> Seen:
        return replace(held.look(request), collection=result.collection) if not request.path else Seen()

    return DataManager({name: _searched(providers[name], result)}), look


def _searched(provider: BaseStorageProvider, result: RowSequence[Any]) -> BaseStorageProvider:
    """The provider, with the vector in mind by which a search compared: what is near is so by it as well."""
    which = result.vector_name if isinstance(result, SearchResult) else None
    return provider if which is None or not isinstance(provider, HasVectors) else provider.with_vector(which)
