"""All that a manager keeps, for tests that compare before and after."""

from __future__ import annotations

from typing import Any

from praval_storage import DataManager

Kept = dict[tuple[str, str], tuple[Any, ...]]


def state(dm: DataManager) -> Kept:
    """Everything that is kept, byte for byte, but for the time and the version of the last write."""
    return {(name, row.key): _facts(row) for name in dm.providers for row in _rows(dm, name)}


def _rows(dm: DataManager, name: str) -> list[Any]:
    keys = [reference.key for reference in dm.list(name, limit=None, order_by="key")]
    return dm.providers[name].read(keys)


def _facts(row: Any) -> tuple[Any, ...]:
    # Redis counts what is left in milliseconds.
    expires = row.expires_at and round(row.expires_at.timestamp(), 2)
    return (row.format, row.body, row.types, row.metadata, row.created_at, expires, row.size)
