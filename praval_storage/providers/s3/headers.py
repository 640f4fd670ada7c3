"""How what is known of a record travels with its object: as user metadata, in the same request.

S3 allows 2 KB of user metadata (https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html).
Metadata and types that do not fit go into a companion object that is written before, and that the header
names: whoever reads the object reads its own version's companion.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from mimetypes import guess_type
from typing import Any, NamedTuple

import orjson

from praval_storage.keys import RESERVED_PREFIX, new_key
from praval_storage.providers._objects.description import (
    completed,
    described,
    details,
    facts,
    in_ascii,
    understood,
)
from praval_storage.records import Stored

HEADER = "praval"
LIMIT = 2_000
"""Bytes of our header: 2,048 less its name, and room for a header of somebody else's proxy."""
COMPANIONS = f"{RESERVED_PREFIX}/metadata/"


_MEDIA_TYPES = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "text": "text/plain; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    **{name: f"image/{name}" for name in ("png", "jpeg", "gif", "webp", "tiff", "bmp")},
}


class Found(NamedTuple):
    """A record, and the name of the companion that holds its metadata, if one does."""

    stored: Stored
    companion: str | None = None


class Sealed(NamedTuple):
    """The user metadata of an object, and the companion to be written before it."""

    header: dict[str, str]
    companion: str | None = None
    body: bytes = b""


def seal(row: Stored, prefix: str) -> Sealed:
    """What to send with the object of a record."""
    text = in_ascii(orjson.dumps({**facts(row), **details(row)}))
    if len(text) <= LIMIT:
        return Sealed({HEADER: text})
    companion = f"{prefix}{COMPANIONS}{new_key()}.json"
    text = in_ascii(orjson.dumps({**facts(row), "companion": companion}))
    return Sealed({HEADER: text}, companion, orjson.dumps({"object": row.key, **details(row)}))


def media_type(row: Stored) -> str:
    """What browsers and consoles take the object for."""
    return _MEDIA_TYPES.get(row.format) or guess_type(row.key)[0] or "application/octet-stream"


def unseal(row: Stored, answer: Mapping[str, Any]) -> Found:
    """The record an answer to GET or HEAD describes; without our header it is foreign."""
    header = answer.get("Metadata", {}).get(HEADER)
    if header is not None:
        found = understood(lambda: _unsealed(row, header))
        if found is not None:
            return found
    return Found(row._replace(updated_at=_modified(answer)))


def complete(row: Stored, companion: bytes) -> Stored | None:
    """The record with what its companion holds; ``None`` when that is nothing of ours."""
    return understood(lambda: completed(row, orjson.loads(companion)))


def owner_of(companion: bytes) -> str | None:
    """Name of the record a companion belongs to; ``None`` when it is nothing of ours."""
    return understood(lambda: str(orjson.loads(companion)["object"]))


def _unsealed(row: Stored, header: str) -> Found:
    description = orjson.loads(header)
    return Found(described(row, description), description.get("companion"))


def _modified(answer: Mapping[str, Any]) -> datetime | None:
    moment: datetime | None = answer.get("LastModified")
    return moment
