"""All that is known of a record but its body, as JSON text a person can read beside the object."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

import orjson

from praval_storage.base import Item
from praval_storage.records import Stored

T = TypeVar("T")

_UNSAFE = re.compile(r"[^\x20-\x7e]")


def drafted(name: str, item: Item, before: Stored | None) -> Stored:
    """The record a write makes, without its body: ``created_at`` of the one it replaces stays."""
    draft, content, metadata = item
    return Stored(
        name,
        content.format,
        types=content.types,
        metadata=metadata,
        created_at=draft.created_at or (before and before.created_at) or draft.written_at,
        updated_at=draft.written_at,
        expires_at=draft.expires_at,
    )


def facts(row: Stored) -> dict[str, Any]:
    """Format and times: what is short."""
    times = {name: getattr(row, name) for name in ("created_at", "updated_at", "expires_at")}
    return {"format": row.format, **{name: time.isoformat() for name, time in times.items() if time}}


def details(row: Stored) -> dict[str, Any]:
    """Metadata and types: what may be long. Each is left out when it is empty."""
    found: dict[str, Any] = {}
    if row.metadata != b"{}":
        found["metadata"] = orjson.Fragment(row.metadata)
    if row.types is not None:
        found["types"] = row.types
    return found


def described(row: Stored, description: Mapping[str, Any]) -> Stored:
    """The record with what its description says.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: It is not a description of ours.
    """
    return completed(row, description)._replace(
        format=str(description["format"]),
        created_at=_moment(description.get("created_at")),
        updated_at=_moment(description.get("updated_at")),
        expires_at=_moment(description.get("expires_at")),
    )


def completed(row: Stored, description: Mapping[str, Any]) -> Stored:
    """The record with the metadata and types of a description."""
    metadata = description.get("metadata", {})
    if not isinstance(metadata, dict):
        raise TypeError("metadata is not an object")
    return row._replace(metadata=orjson.dumps(metadata), types=description.get("types"))


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a time without offset")
    return found


def in_ascii(text: bytes) -> str:
    """JSON text as a header can carry it: printable ASCII, and no run of spaces that a proxy may collapse."""
    return _UNSAFE.sub(_escape, text.decode()).replace("  ", " \\u0020")


def _escape(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


def understood(read: Callable[[], T]) -> T | None:
    """What a description says, or ``None`` when somebody else wrote it and it says something else."""
    try:
        return read()
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
