"""A source of records that are kept in a list, and results made of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from praval_storage.records import NO_METADATA, Stored
from praval_storage.results import QueryResult
from praval_storage.scan import Plan
from praval_storage.serialization import decode, encode, encode_metadata

WHEN = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
PLAN = Plan({}, {}, 0, 0)


class Shelf:
    """Decodes records and has the bodies of those that came without; remembers what it was asked for."""

    def __init__(self, *rows: Stored) -> None:
        self.rows = {row.key: row for row in rows}
        self.loaded: list[str] = []
        self.filled: list[list[str]] = []

    def load(self, stored: Stored) -> Any:
        self.loaded.append(stored.key)
        return decode(stored.content)

    def fill(self, rows: Sequence[Stored]) -> list[Stored | None]:
        self.filled.append([row.key for row in rows])
        return [self.rows.get(row.key) for row in rows]


def stored(key: str, data: Any, metadata: dict[str, Any] | None = None, **facts: Any) -> Stored:
    content = encode(data, key=key)
    body = content.read()
    text = NO_METADATA if metadata is None else encode_metadata(metadata)
    return Stored(key, content.format, body, content.types, text, WHEN, WHEN, size=len(body), **facts)


def foreign(*texts: str | bytes) -> QueryResult:
    """Records that others wrote as JSON text."""
    return result(
        [Stored(f"k{i}", "json", t if isinstance(t, bytes) else t.encode()) for i, t in enumerate(texts)]
    )


def result(rows: Sequence[Stored], source: Shelf | None = None) -> QueryResult:
    return QueryResult(rows, source or Shelf(), storage_type="shelf", truncated=False, limit=None, plan=PLAN)


def of(*data: Any) -> QueryResult:
    return result([stored(f"k{place}", value) for place, value in enumerate(data)])
