"""The table in the middle: the rows of one page as JSON, under the columns that suit the place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any, NamedTuple, Self

from praval_storage.cells import cell
from praval_storage.display import counted_text, name_text, size_text
from praval_storage.errors import StorageError
from praval_storage.places import Column, Place, Seen
from praval_storage.records import MISSING, Stored
from praval_storage.reference import DataReference

WIDEST = 400
"""Letters of a name that are sent; a tool tip shows no more."""
MOST_COLUMNS = 12
"""Fields that are columns; the preview of a row has them all."""
LONGEST_LIST = 16
"""Elements of a list that may be in a cell."""
ABSENT = {"text": "", "kind": "absent"}


class Shown(NamedTuple):
    """One page of rows, and from where they are.

    Attributes:
        storage_type: Their provider.
        seen: The page.
        now: When it was seen.
        values: The data of each row that came with its data, else ``None``.
    """

    storage_type: str
    seen: Seen
    now: datetime
    values: Sequence[Any]

    @classmethod
    def of(cls, storage_type: str, seen: Seen, load: Callable[[Stored], Any]) -> Self:
        """A page as it is seen now.

        Args:
            storage_type: Its provider.
            seen: The page.
            load: Gives the value of a row.
        """
        values = [_value(row, load) if seen.columns else None for row in seen.rows]
        return cls(storage_type, seen, datetime.now(UTC), values)


def _value(row: Stored, load: Callable[[Stored], Any]) -> Any:
    if row.data is MISSING and row.body is None:
        return None
    try:
        return load(row)
    except StorageError:  # the preview of the record says why
        return None


def rows_to_json(shown: Shown) -> list[dict[str, Any]]:
    """One object for each row."""
    fields = fields_of(shown)
    return [_row(shown, row, value, fields) for row, value in zip(shown.seen.rows, shown.values, strict=True)]


def columns_to_json(shown: Shown) -> list[dict[str, Any]]:
    """The columns: the fields of the data where rows come with it, else those of files."""
    seen = shown.seen
    scores = [_head("score", "score", "number")] if seen.scores else []
    if fields := fields_of(shown):
        known = {column.name: column for column in seen.columns}
        return [_head("key", "key"), *scores, *(_field(name, known.get(name)) for name in fields)]
    # A server that has several types of values tells no times, but how long a value still has.
    expiring = bool(seen.types) or any(row.expires_at is not None for row in seen.rows)
    return [
        _head("name", "key"),
        *scores,
        _head("type" if seen.types else "kind", "format"),
        _head("size", "size", "number"),
        *([] if seen.types else [_head("modified", "updated_at", "time")]),
        *([_head("expires", "expires_at", "time")] if expiring else []),
    ]


def fields_of(shown: Shown) -> list[str]:
    """The fields of the data in the order of their first appearance, without long vectors."""
    found = chain.from_iterable(value.items() for value in shown.values if isinstance(value, Mapping))
    named = dict.fromkeys(name for name, value in found if isinstance(name, str) and not _is_vector(value))
    return list(named)[:MOST_COLUMNS]


def _is_vector(value: Any) -> bool:
    return hasattr(value, "shape") or (isinstance(value, list) and len(value) > LONGEST_LIST)


def places_to_json(storage_type: str, places: Sequence[Place]) -> list[dict[str, Any]]:
    """One object for each place in this place: they stand above the rows."""
    return [
        {
            "id": f"{storage_type}/{place.path}",
            "name": name_text(place.label, WIDEST),
            "kind": place.kind,
            "count": "" if place.count is None else place.count.words("record"),
            "size": "" if place.size is None else place.size.bytes(),
        }
        for place in places
    ]


def around(shown: Shown, before: int) -> dict[str, Any]:
    """What stands around the rows.

    Args:
        shown: The page.
        before: How many rows are on the pages before.
    """
    seen = shown.seen
    return {
        "columns": columns_to_json(shown),
        "fields": [[column.name, marks] for column in seen.columns if (marks := _marks(column))],
        "places": places_to_json(shown.storage_type, seen.places),
        "extent": extent(seen, before),
        "ordered": seen.ordered,
        "next": seen.next is not None and not seen.stopped,
        "stopped": seen.stopped,
        "statement": seen.statement if seen.rows or seen.stopped or not seen.places else "",
        "parameters": [repr(value) for value in seen.parameters],
        "note": seen.note,
    }


def measures(seen: Seen) -> str:
    """What can be counted on request: rows of a table or collection not yet counted, else a place's size."""
    if not seen.columns:
        return "compute size"
    return "" if seen.total is not None and seen.total.how == "exact" else "exact count"


def extent(seen: Seen, before: int) -> str:
    """``1–25 of 137``; with what was looked at where a budget ended the page."""
    first, last = counted_text(before + 1), counted_text(before + len(seen.rows))
    if seen.stopped and not seen.rows:
        return f"searched {counted_text(seen.scanned)} keys, none so far"
    if seen.stopped:
        of = f" of {seen.total}" if seen.total else ""
        return f"{counted_text(len(seen.rows))} shown, scanned {counted_text(seen.scanned)}{of}"
    if not seen.rows:
        return f"none of {seen.total}" if seen.total and seen.total.number else ""
    if seen.total:
        return f"{first}–{last} of {seen.total}"
    return f"{first}–{last}{f' of {last}' if seen.next is None else ', more follow'}"


def _head(name: str, path: str, kind: str = "text", note: str = "") -> dict[str, Any]:
    return {"name": name, "path": path, "kind": kind, "note": note}


def _field(name: str, column: Column | None) -> dict[str, Any]:
    return _head(name, f"data.{name}", "data", _marks(column) if column else "")


def _marks(column: Column) -> str:
    """``bigint · PK · index``."""
    marks = [column.type, "PK" if column.key else "", "index" if column.indexed else ""]
    marks.append("" if column.null or column.key else "not null")
    return " · ".join(filter(None, marks))


def _row(shown: Shown, row: Stored, value: Any, fields: Sequence[str]) -> dict[str, Any]:
    seen, now = shown.seen, shown.now
    known = {
        "uri": DataReference(shown.storage_type, row.key, collection=seen.collection).uri,
        "key": row.key,
        "name": name_text(seen.label(row) or row.key, WIDEST),
        "kind": seen.types.get(row.key, row.format),
        "size": row.size,
        "size_text": size_text(row.size),
        "updated": row.updated_at and row.updated_at.isoformat(timespec="seconds"),
        "age": row.updated_at and (now - row.updated_at).total_seconds(),
        "expires_in": row.expires_at and max(0.0, (row.expires_at - now).total_seconds() * 1e3),
    }
    if row.key in seen.scores:
        known["score"] = f"{seen.scores[row.key]:.4g}"
    return {**known, "cells": _cells(value, fields)} if fields else known


def _cells(value: Any, fields: Sequence[str]) -> list[dict[str, str]]:
    """What is absent is an empty cell, which is not the same as null."""
    values = value if isinstance(value, Mapping) else {}
    return [cell(values[name]).payload() if name in values else ABSENT for name in fields]
