"""The objects of the S3 endpoint on disk: moto keeps them in memory only.

What is kept: buckets with their versioning and tags, objects with all versions, headers, tags and locks. What
is not: access control, policies and other settings of buckets, and uploads in parts that are not complete.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, S3Backend, s3_backends

_SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (name PRIMARY KEY, region, state);
CREATE TABLE IF NOT EXISTS versions (bucket, name, position, state, PRIMARY KEY (bucket, name, position));
CREATE TABLE IF NOT EXISTS bodies (bucket, name, position, part, bytes,
    PRIMARY KEY (bucket, name, position, part));
"""
_PART = 64 << 20
"""Bytes of a body in one row: SQLite takes a billion at most."""

# Attributes of moto's own classes: it has no other way to make an object with a given ETag and time.
_BUCKET = ("creation_date", "versioning_status", "object_lock_enabled")
_MARKER = ("last_modified", "_version_id")
_OBJECT = (
    *("last_modified", "_version_id", "_is_versioned", "_etag", "_storage_class", "_expiry"),
    *("checksum_algorithm", "checksum_value", "checksum_type", "checksum_parts"),
    *("encryption", "kms_key_id", "bucket_key_enabled", "website_redirect_location"),
    *("lock_mode", "lock_legal_status", "lock_until"),
)
_TIMES = {"creation_date", "last_modified", "_expiry"}

Version = FakeKey | FakeDeleteMarker
Name = tuple[str, str]


class Objects:
    """All buckets and objects of this process's moto, and a file that has what changed of them.

    Args:
        file: SQLite database; made when it is not there.
    """

    def __init__(self, file: Path) -> None:
        self.is_new = not file.exists()
        self._lock = Lock()
        self._database = sqlite3.connect(file, check_same_thread=False)
        self._database.executescript(_SCHEMA)
        self._backend: S3Backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        self._saved: dict[Name, int] = {}

    def make_bucket(self, name: str, region: str) -> FakeBucket:
        """Make a bucket."""
        return self._backend.create_bucket(name, region)

    def load(self) -> None:
        """Have in memory what the file has."""
        for name, region, state in self._database.execute("SELECT name, region, state FROM buckets"):
            bucket = self.make_bucket(name, region)
            self._restore(bucket, state)
            with closing(self._database.cursor()) as rows:
                rows.execute("SELECT DISTINCT name FROM versions WHERE bucket = ?", (name,))
                for (key,) in rows.fetchall():
                    versions = list(self._load(bucket, key))
                    bucket.keys.setlist(key, versions)
                    self._saved[name, key] = hash(tuple(map(self._state, versions)))

    def _load(self, bucket: FakeBucket, name: str) -> Iterator[Version]:
        query = "SELECT position, state FROM versions WHERE bucket = ? AND name = ? ORDER BY position"
        latest = FakeKey(name, b"", DEFAULT_ACCOUNT_ID, bucket.region_name)
        for position, state in self._database.execute(query, (bucket.name, name)).fetchall():
            version: Version
            if "_etag" in json.loads(state):
                body = self._body((bucket.name, name, position))
                version = latest = FakeKey(
                    name, body, DEFAULT_ACCOUNT_ID, bucket.region_name, bucket_name=bucket.name
                )
            else:
                version = FakeDeleteMarker(latest)
            self._restore(version, state)
            yield version

    def _body(self, place: tuple[str, str, int]) -> bytes:
        query = "SELECT bytes FROM bodies WHERE bucket = ? AND name = ? AND position = ? ORDER BY part"
        return b"".join(part for (part,) in self._database.execute(query, place))

    def save(self) -> None:
        """Have in the file what memory has, in one transaction."""
        with self._lock, self._database:
            self._database.execute("DELETE FROM buckets")
            there: set[Name] = set()
            for bucket in list(self._backend.buckets.values()):
                row = (bucket.name, bucket.region_name, self._state(bucket))
                self._database.execute("INSERT INTO buckets VALUES (?, ?, ?)", row)
                for name, versions in bucket.keys.lists():
                    there.add((bucket.name, name))
                    self._save((bucket.name, name), list(versions))
            for gone in self._saved.keys() - there:
                self._forget(gone)

    def _save(self, name: Name, versions: list[Version]) -> None:
        states = tuple(map(self._state, versions))
        if self._saved.get(name) == hash(states):
            return
        self._forget(name)
        for position, (version, state) in enumerate(zip(versions, states, strict=True)):
            self._database.execute("INSERT INTO versions VALUES (?, ?, ?, ?)", (*name, position, state))
            body = memoryview(version.value if isinstance(version, FakeKey) else b"")
            self._database.executemany(
                "INSERT INTO bodies VALUES (?, ?, ?, ?, ?)",
                ((*name, position, at, body[at : at + _PART]) for at in range(0, len(body), _PART)),
            )
        self._saved[name] = hash(states)

    def _forget(self, name: Name) -> None:
        self._saved.pop(name, None)
        for table in ("versions", "bodies"):
            self._database.execute(f"DELETE FROM {table} WHERE bucket = ? AND name = ?", name)  # noqa: S608

    def _state(self, of: FakeBucket | Version) -> str:
        """What is kept besides the body."""
        state: dict[str, Any] = {name: getattr(of, name) for name in _attributes(of)}
        if isinstance(of, FakeKey):
            state |= {"_etag": of.etag.strip('"'), "metadata": dict(of.metadata)}
        if not isinstance(of, FakeDeleteMarker):
            state["tags"] = self._backend.tagger.get_tag_dict_for_resource(of.arn)
        return json.dumps(state, default=datetime.isoformat)

    def _restore(self, to: FakeBucket | Version, text: str) -> None:
        state = json.loads(text)
        for name in _attributes(to):
            is_time = name in _TIMES and state[name] is not None
            setattr(to, name, datetime.fromisoformat(state[name]) if is_time else state[name])
        if isinstance(to, FakeKey):
            to.set_metadata(state["metadata"])
        if not isinstance(to, FakeDeleteMarker) and state["tags"]:
            tags = self._backend.tagger.convert_dict_to_tags_input(state["tags"])
            self._backend.tagger.tag_resource(to.arn, tags)


def _attributes(of: FakeBucket | Version) -> tuple[str, ...]:
    if isinstance(of, FakeBucket):
        return _BUCKET
    return _OBJECT if isinstance(of, FakeKey) else _MARKER
