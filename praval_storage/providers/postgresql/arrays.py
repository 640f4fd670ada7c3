"""Columns of many rows as one parameter each, in PostgreSQL's binary format: nothing is escaped."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

if TYPE_CHECKING:
    from psycopg import Cursor

_NULL = struct.pack("!i", -1)
_LENGTH = struct.Struct("!i")
_HEADER = struct.Struct("!iiIii")


class Texts(list[bytes | None]):
    """Texts in UTF-8, for a ``text[]``."""


class Blobs(list[bytes | None]):
    """Bytes, for a ``bytea[]``."""


def columns(rows: Iterable[Sequence[Any]], blobs: int) -> list[Texts | Blobs]:
    """The columns of rows: ``blobs`` last ones as bytes, the others as texts for PostgreSQL to cast."""
    made = list(zip(*rows, strict=True))
    return [*map(_texts, made[:-blobs]), *map(Blobs, made[-blobs:])]


def adapt(cursor: Cursor[Any]) -> None:
    """Let a cursor take such columns as parameters."""
    cursor.adapters.register_dumper(Texts, _TextsDumper)
    cursor.adapters.register_dumper(Blobs, _BlobsDumper)


def _texts(values: Iterable[Any]) -> Texts:
    return Texts(None if value is None else str(value).encode() for value in values)


class _Dumper(Dumper):
    format = Format.BINARY
    element: int

    def dump(self, obj: Sequence[bytes | None]) -> Buffer:
        """The array: its one dimension, then each element after its length."""
        parts = [_HEADER.pack(1, 1, self.element, len(obj), 1)]
        for value in obj:
            parts += [_NULL] if value is None else [_LENGTH.pack(len(value)), value]
        return b"".join(parts)


class _TextsDumper(_Dumper):
    oid = psycopg.adapters.types["text"].array_oid
    element = psycopg.adapters.types["text"].oid


class _BlobsDumper(_Dumper):
    oid = psycopg.adapters.types["bytea"].array_oid
    element = psycopg.adapters.types["bytea"].oid
