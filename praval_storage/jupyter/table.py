"""The table in the middle: the rows of one page as JSON, under the columns that suit the place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from praval_storage.cells import cell
from praval_storage.display import counted_text, printable, size_text
from praval_storage.places import Column, Place, Seen
from praval_storage.records import MISSING, Stored
from praval_storage.reference import DataReference

WIDEST = 400
"""Letters of a name that are sent; a tool tip shows no more."""
MOST_COLUMNS = 12
"""Columns of a foreign table; the preview of a row has them all."""


class Shown(NamedTuple):
    """One page of rows, and from where they are."""

    storage_type: str
    seen: Seen
    now: datetime
    load: Callable[[Stored], Any]


def rows_to_json(shown: Shown) -> list[dict[str, Any]]:
    """One object for each row."""
    paths = [column["path"] for column in columns_to_json(shown.seen)]
    return [_row(shown, row, paths) for row in shown.seen.rows]


def columns_to_json(seen: Seen) -> list[dict[str, Any]]:
    """The columns: those of the table or the payload where the backend has such, else those of files."""
    fields = [column for column in seen.columns if column.type != "vector"][:MOST_COLUMNS]
    if fields and any(row.data is not MISSING or row.body is not None for row in seen.rows):
        return [_head("key", "key"), *map(_field, fields)]
    # A server that has several types of values tells no times, but how long a value still has.
    expiring = bool(seen.types) or any(row.expires_at is not None for row in seen.rows)
    return [
        _head("name", "key"),
        _head("type" if seen.types else "kind", "format"),
        _head("size", "size", "number"),
        *([] if seen.types else [_head("modified", "updated_at", "time")]),
        *([_head("expires", "expires_at", "time")] if expiring else []),
    ]


def places_to_json(storage_type: str, places: Sequence[Place]) -> list[dict[str, Any]]:
    """One object for each place in this place: they stand above the rows."""
    return [
        {
            "id": f"{storage_type}/{place.path}",
            "name": place.label,
            "kind": place.kind,
            "count": "" if place.count is None else str(place.count),
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
    unordered = "" if seen.ordered else "not in this order: the backend cannot make it page by page"
    return {
        "columns": columns_to_json(seen),
        "places": places_to_json(shown.storage_type, seen.places),
        "extent": extent(seen, before),
        "next": seen.next is not None and not seen.stopped,
        "stopped": seen.stopped,
        "statement": seen.statement,
        "parameters": [repr(value) for value in seen.parameters],
        "note": "; ".join(filter(None, [seen.note, unordered])),
    }


def measures(kind: str) -> str:
    """What can be counted in a kind of place on request."""
    return "exact count" if kind in {"table", "view", "collection"} else "compute size"


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


def _field(column: Column) -> dict[str, Any]:
    marks = [column.type, "PK" if column.key else "", "index" if column.indexed else ""]
    marks.append("" if column.null or column.key else "not null")
    return _head(column.name, f"data.{column.name}", "data", " · ".join(filter(None, marks)))


def _row(shown: Shown, row: Stored, paths: Sequence[str]) -> dict[str, Any]:
    seen, now = shown.seen, shown.now
    name = DataReference(shown.storage_type, row.key, collection=seen.collection)
    label = seen.label(row) or row.key
    known = {
        "uri": name.uri,
        "key": row.key,
        "name": printable(label, WIDEST),
        "kind": seen.types.get(row.key, row.format),
        "size": row.size,
        "size_text": size_text(row.size),
        "updated": row.updated_at and row.updated_at.isoformat(timespec="seconds"),
        "age": row.updated_at and (now - row.updated_at).total_seconds(),
        "expires_in": row.expires_at and max(0.0, (row.expires_at - now).total_seconds() * 1e3),
    }
    fields = [path.removeprefix("data.") for path in paths if path.startswith("data.")]
    return {**known, "cells": _cells(shown, row, fields)} if fields else known


def _cells(shown: Shown, row: Stored, fields: Sequence[str]) -> list[dict[str, str]]:
    data = shown.load(row)
    values = data if isinstance(data, Mapping) else {}
    return [cell(values.get(name)).payload() for name in fields]
