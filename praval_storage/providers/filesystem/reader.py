"""Which version of a record is there now: files and index rows brought together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

import orjson

from praval_storage.providers.filesystem.index import Index
from praval_storage.providers.filesystem.rows import Row, moment, now
from praval_storage.providers.filesystem.tree import File, Signature, Tree
from praval_storage.records import Stored

CHUNK = 256


class Found(NamedTuple):
    """The present version of a record: its file, and its row unless others wrote it."""

    file: File
    row: Row | None


class Reader:
    """Finds the present version of records.

    Args:
        tree: The files.
        index: The rows.
        format_of: Format of a file that others wrote, by its key.
    """

    def __init__(self, tree: Tree, index: Index, format_of: Callable[[str], str]) -> None:
        self._tree = tree
        self._index = index
        self._format_of = format_of

    def find(self, key: str, rows: Sequence[Row] | None = None) -> Found | None:
        """The present version of a key, its file open; expired or not.

        A row is written before its file gets its name. So a file that no row describes although the rows
        were read after the file was seen, and which is still the same, was written by others.

        Args:
            key: Name of the record.
            rows: Its rows if they were read already.
        """
        if rows is None:
            rows = self._index.rows([key]).get(key, ())
        seen = None
        while True:
            candidates = self._candidates(key, rows)
            for file, row in candidates:
                if row is not None and row.signature == file.signature:
                    _close(candidates, but=file)
                    return Found(file, row)
            signatures = [file.signature for file, _ in candidates]
            if not candidates or signatures == seen:
                return self._settled(candidates, rows)
            _close(candidates)
            seen, rows = signatures, self._index.rows([key]).get(key, ())

    def read(self, keys: Sequence[str]) -> Iterator[Stored | None]:
        """The records under the keys, in order, with their bodies; ``None`` for those absent or expired."""
        for rows_by_key, key in self._with_rows(keys):
            found = self.find(key, rows_by_key.get(key, ()))
            if found is None:
                yield None
                continue
            try:
                is_live = found.row is None or not is_expired(found.row)
                yield self._stored(key, found, found.file.read()) if is_live else None
            finally:
                found.file.close()

    def look(self, keys: Sequence[str]) -> Iterator[Stored | None]:
        """:meth:`read` without bodies."""
        known: dict[str, bool] = {}
        for rows_by_key, key in self._with_rows(keys):
            stored = self.glance(key, rows_by_key.get(key, ()), known)
            yield stored if stored is None or not has_ended(stored) else None

    def glance(self, key: str, rows: Sequence[Row], known: dict[str, bool]) -> Stored | None:
        """The record under a key, from its rows and what is known of its file; expired or not."""
        for row in rows:
            found = self._tree.stat(row.place or key, known)
            if found is not None and row.signature == (found.st_mtime_ns, found.st_size):
                return stored_row(row)
        if not rows:
            found = self._tree.stat(key, known)
            return None if found is None else self.foreign(key, Signature(found.st_mtime_ns, found.st_size))
        version = self.find(key, rows)
        if version is None:
            return None
        version.file.close()
        return self._stored(key, version, None)

    def proves(self, row: Row) -> bool:
        """Whether the file a row describes is there."""
        file = self._tree.open(row.place or row.key)
        if file is None:
            return False
        with closing(file):
            same_size = row.size == file.signature.size
            return row.signature == file.signature or (same_size and row.digest == file.digest())

    def foreign(self, key: str, signature: Signature, body: bytes | None = None) -> Stored:
        """A record that others wrote. When it was made nobody knows."""
        updated_at = moment(signature.mtime_ns // 1_000)
        return Stored(key, self._format_of(key), body, updated_at=updated_at, size=signature.size)

    def _with_rows(self, keys: Sequence[str]) -> Iterator[tuple[dict[str, list[Row]], str]]:
        for start in range(0, len(keys), CHUNK):
            chunk = keys[start : start + CHUNK]
            rows = self._index.rows(chunk)
            for key in chunk:
                yield rows, key

    def _candidates(self, key: str, rows: Sequence[Row]) -> list[tuple[File, Row | None]]:
        """The files that may be the record, diverted ones first, each with the row that told of it."""
        candidates: list[tuple[File, Row | None]] = [
            (file, row)
            for row in rows
            if row.place is not None and (file := self._tree.open(row.place)) is not None
        ]
        if (file := self._tree.open(key)) is not None:
            natural = [row for row in rows if row.place is None]
            candidates.append((file, next((row for row in natural if row.signature == file.signature), None)))
        return candidates

    def _settled(self, candidates: list[tuple[File, Row | None]], rows: Sequence[Row]) -> Found | None:
        """What no row describes: a version that was copied or touched, or something foreign."""
        for file, own in candidates:
            for row in reversed(rows):
                same_place = own is row if own is not None else row.place is None
                if same_place and row.size == file.signature.size and row.digest == file.digest():
                    _close(candidates, but=file)
                    return Found(file, self._relinked(row, file.signature))
        natural = [file for file, row in candidates if row is None]
        _close(candidates, but=natural[0] if natural else None)
        return Found(natural[0], None) if natural else None

    def _relinked(self, row: Row, signature: Signature) -> Row:
        if self._index.is_writable():
            with self._index.exclusive() as index:
                index.relink(row, signature)
        return row._replace(mtime_ns=signature.mtime_ns)

    def _stored(self, key: str, found: Found, body: bytes | None) -> Stored:
        if found.row is None:
            return self.foreign(key, found.file.signature, body)
        return stored_row(found.row, body)


def stored_row(row: Row, body: bytes | None = None) -> Stored:
    """The record a row describes."""
    return Stored(
        row.key,
        row.format,
        body,
        None if row.types is None else orjson.loads(row.types),
        row.metadata.encode(),
        moment(row.created_at),
        moment(row.updated_at),
        None if row.expires_at is None else moment(row.expires_at),
        row.size,
        row.digest,
    )


def is_expired(row: Row) -> bool:
    """Whether the record no longer exists."""
    return row.expires_at is not None and row.expires_at <= now()


def has_ended(stored: Stored) -> bool:
    """Whether the record no longer exists."""
    return stored.expires_at is not None and stored.expires_at <= moment(now())


def _close(candidates: Iterable[tuple[File, Row | None]], but: File | None = None) -> None:
    for file, _ in candidates:
        if file is not but:
            file.close()
