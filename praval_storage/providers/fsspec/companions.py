"""Metadata beside files that cannot carry it: one companion for each key, which says what body it is about.

A companion names the versions of a record by the SHA-256 of their bodies: while a record is replaced the one
that is coming and the one that is there, afterwards only the latter, with a mark of its file (ETag or time
of change) that tells without reading the body that nobody replaced it. So whoever is killed, and whoever
overwrites a file without knowing of companions, never gives a body the metadata of another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from praval_storage.keys import RESERVED_PREFIX
from praval_storage.providers._objects.description import described, details, facts, understood
from praval_storage.records import Stored

COMPANIONS = f"{RESERVED_PREFIX}/metadata"
OBJECTS = f"{RESERVED_PREFIX}/objects"
"""Where the bodies of keys are that cannot be files: ``a`` beside ``a/b``."""

Version = Mapping[str, Any]


class Companion(NamedTuple):
    """What is known of a key beside its file.

    Attributes:
        name: The key with its collection.
        is_diverted: Whether its file is among ``OBJECTS``.
        versions: Descriptions with ``sha256``, ``size`` and, once written, ``mark``; newest first.
    """

    name: str
    is_diverted: bool = False
    versions: tuple[Version, ...] = ()

    @property
    def file(self) -> str:
        """Name of the file of the body."""
        return f"{OBJECTS}/{_hashed(self.name)}" if self.is_diverted else self.name

    def by_digest(self, sha256: str) -> Version | None:
        """The version with this body."""
        return next((version for version in self.versions if version["sha256"] == sha256), None)

    def by_mark(self, mark: str | None, size: int | None) -> Version | None:
        """The version whose file has not been touched since it was written."""
        if mark is None:
            return None
        present = (mark, size)
        return next((each for each in self.versions if (each.get("mark"), each["size"]) == present), None)

    def to_json(self) -> bytes:
        """The text of the companion."""
        return orjson.dumps({"key": self.name, "diverted": self.is_diverted, "versions": self.versions})


def place_of(name: str) -> str:
    """Name of the companion of a key."""
    return f"{COMPANIONS}/{_hashed(name)}.json"


def place_beside(file: str) -> str:
    """Name of the companion of a diverted file."""
    return f"{COMPANIONS}/{file.rpartition('/')[2]}.json"


def parsed(text: bytes | None, name: str | None = None) -> Companion | None:
    """A companion; ``None`` when there is none, or nothing of ours."""
    if text is None:
        return None

    def read() -> Companion:
        found = orjson.loads(text)
        versions = tuple(found["versions"])
        if any(not isinstance(version["sha256"], str) for version in versions):
            raise TypeError("a version is not described")
        return Companion(str(found["key"]) if name is None else name, found["diverted"] is True, versions)

    return understood(read)


def version(row: Stored, sha256: str, size: int) -> dict[str, Any]:
    """The description of a version that is about to be written."""
    return {"sha256": sha256, "size": size, **facts(row), **details(row)}


def restored(name: str, found: Version, body: bytes | None) -> Stored | None:
    """The record a version describes."""
    row = Stored(name, "bytes", body, size=found["size"], version=found["sha256"])
    return understood(lambda: described(row, found))


def _hashed(name: str) -> str:
    return blake2b(name.encode(), digest_size=20).hexdigest()
