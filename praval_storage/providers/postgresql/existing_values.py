"""The values of somebody else's columns in Python: every type has one, and what Python cannot say is text.

A timestamp that is infinite, before year 1 or after 9999, a time of 24:00 and an interval with months are
the text that ``psql`` shows, and so are the values of all types that are not named here. ``char(n)`` is
without its padding, which SQL does not count as part of the value either.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
from psycopg import adapters
from psycopg.adapt import Loader
from psycopg.pq import Format
from psycopg.types import TypeInfo
from psycopg.types.string import TextLoader

from praval_storage.errors import SerializationError
from praval_storage.providers.postgresql.existing_catalog import Column, Type
from praval_storage.serialization import decode_json

if TYPE_CHECKING:
    from psycopg.abc import AdaptContext, Buffer
    from psycopg.abc import Loader as LoaderProtocol


class _Padded(Loader):
    def load(self, data: Buffer) -> str:
        return bytes(data).decode(_encoding(self.connection)).rstrip(" ")


class _Json(Loader):
    def load(self, data: Buffer) -> Any:
        text = bytes(data)
        try:
            return decode_json(text)
        except SerializationError:  # nested too deep for Python
            return text.decode()


class _OrText(Loader):
    """What psycopg makes of a value, or else its text."""

    inner: type[LoaderProtocol]

    def __init__(self, oid: int, context: AdaptContext | None = None):
        super().__init__(oid, context)
        self._inner = self.inner(oid, context)

    def load(self, data: Buffer) -> Any:
        try:
            return self._inner.load(data)
        except psycopg.DataError:
            return bytes(data).decode()


class _Interval(_OrText):
    def load(self, data: Buffer) -> Any:
        text = bytes(data)
        # psycopg would count a month as 30 days and a year as 365.
        return text.decode() if b"mon" in text or b"year" in text else super().load(data)


_BY_DEFAULT = frozenset(
    ("bool", "int2", "int4", "int8", "oid", "float4", "float8", "numeric", "bytea", "uuid")
)
_WITH_ODD_ONES = frozenset(("date", "time", "timetz", "timestamp", "timestamptz"))


def adapt(cursor: psycopg.Cursor[Any], columns: Iterable[Column]) -> None:
    """Let a cursor read these columns as this module says, whatever its connection is set to."""
    for column in columns:
        read = column.element or column.type
        cursor.adapters.register_loader(read.oid, _loader(read.oid, _family(read)))
        if column.element is not None:
            array = TypeInfo(read.name, read.oid, column.type.oid, delimiter=read.delimiter)
            array.register(cursor)


_EXAMPLES: dict[str, Any] = {
    "bool": False,
    **dict.fromkeys(("int2", "int4", "int8", "oid"), 0),
    **dict.fromkeys(("float4", "float8"), 0.0),
    "numeric": Decimal(0),
    "bytea": b"",
    "uuid": UUID(int=0),
    "date": date(1970, 1, 1),
    "time": time(),
    "timetz": None,
    "timestamp": datetime(1970, 1, 1),  # noqa: DTZ001 - it has no zone
    "timestamptz": datetime(1970, 1, 1, tzinfo=UTC),
    "interval": timedelta(),
    "json": None,
    "jsonb": None,
}


def example(columns: Iterable[Column]) -> dict[str, Any]:
    """A row of these columns, made up: values of the types that those of rows have; ``None`` where a
    frame has no type for them, or each may be of another.
    """
    return {column.name: _example(column) for column in columns}


def _example(column: Column) -> Any:
    value = _EXAMPLES.get(_family(column.element or column.type), "")
    return value if column.element is None else [value]


def _family(of: Type) -> str:
    return of.name if of.schema == "pg_catalog" else ""


@cache
def _loader(oid: int, family: str) -> type[LoaderProtocol]:
    if family in _BY_DEFAULT:
        return _of_psycopg(oid)
    if family in _WITH_ODD_ONES:
        return type("OrText", (_OrText,), {"inner": _of_psycopg(oid)})
    if family == "interval":
        return type("Interval", (_Interval,), {"inner": _of_psycopg(oid)})
    return {"bpchar": _Padded, "json": _Json, "jsonb": _Json}.get(family, TextLoader)


def _of_psycopg(oid: int) -> type[LoaderProtocol]:
    return adapters.get_loader(oid, Format.TEXT) or TextLoader


def _encoding(connection: psycopg.BaseConnection[Any] | None) -> str:
    return connection.info.encoding if connection is not None else "utf-8"
