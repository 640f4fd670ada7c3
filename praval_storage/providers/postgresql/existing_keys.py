"""The keys of rows that somebody else wrote.

A row's key is the text of its primary key, or of a unique index without nulls; several columns are joined
with ``/``, after ``/`` and ``%`` in each became ``%2F`` and ``%25``. A text that is no legal key, because
it is empty, too long, ends in ``/`` and so on, is replaced by ``%md5-`` and its MD5 digest, so that every
row has a key and is found again by it, though not by an index.

Where rows have no key of their own, that of a table's row is its address,
``row/<file>/<block>-<item>/<xmin>``: quick to find, and gone for good when the row or the file changes, so
that it never leads to another row. That of a view's row is ``%md5-`` and the digest of the row: equal rows
share one.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import LiteralString
from urllib.parse import unquote
from uuid import UUID

from praval_storage.keys import MAX_KEY_BYTES, RESERVED_PREFIX
from praval_storage.providers.postgresql.existing_catalog import INTEGER_BITS, Column, Kind, Relation
from praval_storage.providers.postgresql.existing_sql import Sql, compose, joined, like, listed, name, value

TEXT = name("pg_catalog", "text")
TEXTS = name("pg_catalog", "_text")
NEVER = compose("FALSE")

_DIGEST = "%md5-"
_CONTROLS = r"\u0001-\u001f\u007f-\u009f\u2028\u2029"
_ILLEGAL = rf"[{_CONTROLS}\\]|(^|/)(\.{{0,2}}|{re.escape(RESERVED_PREFIX)}[^/]*)(/|$)"
_ADDRESS = re.compile(r"row/[0-9]+/([0-9]{1,10})-([0-9]{1,5})/[0-9]+")


class Keys(ABC):
    """How the rows of a relation are told apart.

    Attributes:
        hint: What a user should know about keys like these.
        order: Columns to page by, in their order; empty where there is no index to do so.
        plain: Whether the key is the unchanged text of one column, always a legal key.
    """

    hint: str | None = None
    order: Sequence[Column] = ()
    plain: bool = False

    def __init__(self, relation: Relation) -> None:
        self.relation = relation

    @property
    @abstractmethod
    def text(self) -> Sql:
        """The key of a row, as SQL."""

    def are(self, keys: Sequence[str]) -> Sql:
        """A condition for the rows with these keys, and no others, by an index where there is one."""
        known = self._narrowed(keys)
        return self._exactly(keys) if known is None else known

    def begin_with(self, prefix: str) -> Sql:
        """A condition for the rows whose key begins like this."""
        return compose('starts_with({} COLLATE "C", {})', self.text, value(prefix, TEXT))

    @abstractmethod
    def _narrowed(self, keys: Sequence[str]) -> Sql | None:
        """The condition where an index can serve it; ``None``: it cannot."""

    def _exactly(self, keys: Sequence[str]) -> Sql:
        return compose('{} COLLATE "C" = ANY ({})', self.text, value(list(keys), TEXTS))


class ColumnKeys(Keys):
    """Rows known by the columns of a unique index."""

    def __init__(self, relation: Relation) -> None:
        super().__init__(relation)
        self.order = relation.key
        self._whole = all(column.kind in _ALWAYS_LEGAL for column in relation.key)
        self.plain = self._whole and len(relation.key) == 1

    @cached_property
    def text(self) -> Sql:
        """The key of a row, as SQL."""
        parts = [_part(column) for column in self.order]
        if len(parts) > 1:
            quoted = (
                part if column.kind in _ALWAYS_LEGAL else compose(_QUOTED, part)
                for part, column in zip(parts, self.order, strict=True)
            )
            parts = [listed(" || '/' || ", list(quoted))]
        return parts[0] if self._whole else _legal(parts[0], self.relation.utf8)

    def begin_with(self, prefix: str) -> Sql:
        """A condition for the rows whose key begins like this, by an index where there is one."""
        exactly = super().begin_with(prefix)
        [column, *others] = self.order
        # A digest begins with %, and another key is the column's own text.
        is_column = not others and column.kind is Kind.TEXT and column.bytewise and "%" not in prefix
        return joined(" AND ", [like(column.sql, prefix), exactly]) if is_column else exactly

    def _narrowed(self, keys: Sequence[str]) -> Sql | None:
        if any(key.startswith(_DIGEST) for key in keys):
            return None
        rows = [row for key in keys if (row := self._values(key)) is not None]
        if not rows:
            return NEVER
        columns = list(zip(*rows, strict=True))
        if any(part is None for column in columns for part in column):
            return None
        each = [
            compose("{} = ANY ({})", column.sql, value(list(parts), _array_of(column)))
            for column, parts in zip(self.order, columns, strict=True)
        ]
        # A key spelled otherwise, such as 007 for 7, finds the row and is still not its key.
        return joined(" AND ", [*each, self._exactly(keys)])

    def _values(self, key: str) -> list[str | None] | None:
        """The columns' texts; ``None`` in place of one that cannot be cast here, of a key that cannot be."""
        parts = [key] if len(self.order) == 1 else list(map(unquote, key.split("/")))
        if len(parts) != len(self.order):
            return None
        texts = [_castable(part, column) for part, column in zip(parts, self.order, strict=True)]
        return None if _IMPOSSIBLE in texts else texts


class RowAddresses(Keys):
    """Rows of a table without a key, known by where they are."""

    hint = (
        "the table has no primary key: keys are addresses of rows, which last until the row changes; "
        "a primary key makes them last"
    )

    @cached_property
    def text(self) -> Sql:
        """The key of a row, as SQL."""
        address = "'row/' || {} || '/' || translate({}::text, ',()', '-') || '/' || {}::text"
        file = value(str(self.relation.file), TEXT)
        return compose("({})", compose(address, file, name("t", "ctid"), name("t", "xmin")))

    def _narrowed(self, keys: Sequence[str]) -> Sql | None:
        found = [match.groups() for key in keys if (match := _ADDRESS.fullmatch(key))]
        places = [f"({block},{item})" for block, item in found if int(block) < 2**32 and int(item) < 2**16]
        near = compose("{} = ANY ({})", name("t", "ctid"), value(places, name("pg_catalog", "_tid")))
        return joined(" AND ", [near, self._exactly(keys)])


class RowDigests(Keys):
    """Rows of a view and the like, known by what they hold."""

    hint = (
        "there is no primary key: keys are digests of the rows, which equal rows share, "
        "and retrieving by one reads the whole relation"
    )

    @cached_property
    def text(self) -> Sql:
        """The key of a row, as SQL."""
        return compose("({} || md5((t.*)::text))", value(_DIGEST, TEXT))

    def _narrowed(self, keys: Sequence[str]) -> Sql | None:
        return None


def keys_of(relation: Relation) -> Keys:
    """How the rows of this relation are told apart."""
    if relation.key:
        return ColumnKeys(relation)
    return RowAddresses(relation) if relation.has_addresses else RowDigests(relation)


_ALWAYS_LEGAL = frozenset(
    (
        Kind.BOOL,
        Kind.INTEGER,
        Kind.FLOAT,
        Kind.NUMERIC,
        Kind.DATE,
        Kind.TIMESTAMP,
        Kind.TIMESTAMPTZ,
        Kind.TIME,
        Kind.UUID,
    )
)
_QUOTED: LiteralString = "replace(replace({}, '%%', '%%25'), '/', '%%2F')"


def _part(column: Column) -> Sql:
    # As it is cast, a bytea begins with a backslash, which no key may hold.
    return compose("encode({}, 'hex')" if column.kind is Kind.BYTES else "CAST({} AS text)", column.sql)


def _legal(text: Sql, utf8: bool) -> Sql:
    """The text if ``keys.validate_key`` takes it, else a digest."""
    controls_and_segments = value(_ILLEGAL if utf8 else _ILLEGAL.replace(_CONTROLS, r"\x01-\x1f\x7f"), TEXT)
    # What is in normal form C is only known of Unicode.
    normal = "{} IS NFC NORMALIZED" if utf8 else "{} !~ '[^\\x01-\\x7f]'"
    conditions = (
        compose("octet_length({}) <= {}", text, value(MAX_KEY_BYTES, name("pg_catalog", "int4"))),
        compose('{} COLLATE "C" !~ {}', text, controls_and_segments),
        compose("NOT starts_with({}, {})", text, value(_DIGEST, TEXT)),
        compose(normal, text),
    )
    digest = compose("{} || md5({})", value(_DIGEST, TEXT), text)
    return compose("(CASE WHEN {} THEN {} ELSE {} END)", joined(" AND ", conditions), text, digest)


# From the text of a key back to what its columns are compared with

_IMPOSSIBLE = "\0"
"""In place of a text that a column cannot hold: PostgreSQL has no texts like this."""
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")


def _castable(part: str, column: Column) -> str | None:
    """The text of a value to cast; ``None`` if only PostgreSQL could tell whether it is one."""
    check = _CHECKS.get(column.kind)
    return check(part, column) if check is not None and column.bytewise else None


def _array_of(column: Column) -> Sql:
    return compose("{}[]", column.type.sql)


def _text(part: str, _column: Column) -> str | None:
    return _IMPOSSIBLE if "\0" in part else part


def _integer(part: str, column: Column) -> str | None:
    limit = 2 ** INTEGER_BITS[column.type.name]
    return part if _INTEGER.fullmatch(part) and -limit <= int(part) < limit else _IMPOSSIBLE


def _uuid(part: str, _column: Column) -> str | None:
    try:
        return part if str(UUID(part)) == part else _IMPOSSIBLE
    except ValueError:
        return _IMPOSSIBLE


def _bytes(part: str, _column: Column) -> str | None:
    return rf"\x{part}" if re.fullmatch("([0-9a-f]{2})+", part) else None


def _matching(pattern: str, parse: Callable[[str], object]) -> Callable[[str, Column], str | None]:
    """A check that PostgreSQL takes a text as well: it is of this form, and Python makes something of it."""
    form = re.compile(pattern)

    def check(part: str, _column: Column) -> str | None:
        try:
            parse(part)
        except (ValueError, ArithmeticError):
            return None
        return part if form.fullmatch(part) else None

    return check


_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"

_CHECKS: dict[Kind, Callable[[str, Column], str | None]] = {
    Kind.TEXT: _text,
    Kind.PADDED: _text,
    Kind.INTEGER: _integer,
    Kind.UUID: _uuid,
    Kind.BYTES: _bytes,
    Kind.NUMERIC: _matching(r"-?[0-9]{1,400}(\.[0-9]{1,400})?", Decimal),
    Kind.DATE: _matching(_DAY, date.fromisoformat),
    Kind.TIMESTAMP: _matching(f"{_DAY} {_CLOCK}", datetime.fromisoformat),
    Kind.TIMESTAMPTZ: _matching(rf"{_DAY} {_CLOCK}\+00", datetime.fromisoformat),
}
