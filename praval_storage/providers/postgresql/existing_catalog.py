"""What the catalog says of somebody else's table, view, materialized view or foreign table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from praval_storage.errors import StorageError
from praval_storage.providers.postgresql.existing_sql import Sql, compose, name

if TYPE_CHECKING:
    from psycopg import Connection

TABLE, MATERIALIZED_VIEW = "r", "m"
"""The kinds of relations whose rows have an address (``ctid``) of their own."""


class Kind(Enum):
    """What a column's values are in Python, and therefore how filters compare them."""

    BOOL = auto()
    INTEGER = auto()
    FLOAT = auto()
    NUMERIC = auto()
    TEXT = auto()
    PADDED = auto()
    SPELLED = auto()
    """Shown as text, and cast to it: enums, ``citext``."""
    DATE = auto()
    TIMESTAMP = auto()
    TIMESTAMPTZ = auto()
    TIME = auto()
    INTERVAL = auto()
    UUID = auto()
    BYTES = auto()
    JSON = auto()
    JSONB = auto()
    ARRAY = auto()
    OTHER = auto()
    """Compared in Python alone."""


class Type(NamedTuple):
    """A row of ``pg_type``.

    Attributes:
        oid: Its number, as in the description of a result.
        schema: Where it is defined.
        name: Name, without modifiers such as a length.
        form: ``typtype``: ``b`` base, ``d`` domain, ``e`` enum and so on.
        category: ``typcategory``: ``S`` for strings and so on.
        delimiter: What separates elements in the text of an array of it.
        base: Of a domain, what it is a domain over; else 0.
        element: Of an array, its elements; else 0.
    """

    oid: int
    schema: str
    name: str
    form: str
    category: str
    delimiter: str
    base: int
    element: int

    @property
    def sql(self) -> Sql:
        """The type in a cast, free of modifiers: a bare ``varchar`` cuts nothing off."""
        return name(self.schema, self.name)

    @property
    def kind(self) -> Kind:
        """How its values behave."""
        if self.element:
            return Kind.ARRAY
        if self.form == "e" or self.name == "citext":
            return Kind.SPELLED
        return _KINDS.get(self.name, Kind.OTHER) if self.schema == "pg_catalog" else Kind.OTHER


INTEGER_BITS = {"int2": 15, "int4": 31, "int8": 63}
"""Integer types and their bits, without that of the sign."""

_KINDS = {
    "bool": Kind.BOOL,
    **dict.fromkeys(INTEGER_BITS, Kind.INTEGER),
    "float8": Kind.FLOAT,
    "numeric": Kind.NUMERIC,
    **dict.fromkeys(("text", "varchar"), Kind.TEXT),
    "bpchar": Kind.PADDED,
    "date": Kind.DATE,
    "timestamp": Kind.TIMESTAMP,
    "timestamptz": Kind.TIMESTAMPTZ,
    "time": Kind.TIME,
    "interval": Kind.INTERVAL,
    "uuid": Kind.UUID,
    "bytea": Kind.BYTES,
    "json": Kind.JSON,
    "jsonb": Kind.JSONB,
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column, its type with domains resolved.

    Attributes:
        name: Its name: a key of the row's dict.
        type: Type of its values.
        element: Type of the elements, if it is an array.
        required: Whether it is declared ``NOT NULL``.
        bytewise: Whether texts in it are equal only when they are the same.
    """

    name: str
    type: Type
    element: Type | None
    required: bool
    bytewise: bool

    @property
    def kind(self) -> Kind:
        """How its values behave."""
        return self.type.kind

    @property
    def sql(self) -> Sql:
        """The column in a statement over the relation as ``t``."""
        return name("t", self.name)


@dataclass(frozen=True)
class Relation:
    """A relation as it is now.

    Attributes:
        schema: Its schema.
        name: Its name.
        form: ``relkind``.
        inherited: Whether other tables inherit from it, so that its own key and addresses say too little.
        file: Number of the file its rows are in; another one after the rows were rewritten.
        columns: Its columns, in their order.
        key: The columns of the primary key, else of a unique index without nulls; else empty.
        utf8: Whether the database holds any text, in code point order.
    """

    schema: str
    name: str
    form: str
    inherited: bool
    file: int | None
    columns: tuple[Column, ...]
    key: tuple[Column, ...]
    utf8: bool

    @property
    def sql(self) -> Sql:
        """The relation in a ``FROM``, called ``t``."""
        return compose("{} AS t", name(self.schema, self.name))

    @property
    def has_addresses(self) -> bool:
        """Whether file, ``ctid`` and ``xmin`` name a row of it."""
        return self.form in {TABLE, MATERIALIZED_VIEW} and not self.inherited

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        """The columns by name."""
        return {column.name: column for column in self.columns}


def describe(connection: Connection[Any], schema: str, table: str) -> Relation:
    """What the catalog says at this moment: somebody else may alter the table at any time.

    Raises:
        StorageError: There is no such relation.
    """
    found = connection.execute(_RELATION, (schema, table)).fetchone()
    if found is None:
        raise StorageError(
            f"There is no table {table!r} in schema {schema!r} any more",
            hint="Check its name with provider.collections()",
        )
    oid, form, inherited, file = found
    columns = _columns(connection, oid)
    unique = None if inherited else connection.execute(_KEY, (oid,)).fetchone()
    return Relation(
        schema,
        table,
        form,
        inherited,
        file,
        tuple(columns.values()),
        tuple(columns[number] for number in unique[0]) if unique else (),
        connection.info.parameter_status("server_encoding") == "UTF8",
    )


_RELATION = """
    SELECT c.oid, c.relkind::text AS form, c.relkind = 'r' AND c.relhassubclass AS inherited,
           pg_relation_filenode(c.oid)::int8 AS file
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""

_COLUMNS = """
    SELECT a.attnum AS number, a.attname::text AS name, a.atttypid AS type, a.attnotnull AS required,
           coalesce(c.collisdeterministic, true) AS bytewise
    FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation
    WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""

# The primary key first, then the unique index with the fewest columns, as long as it has no nulls.
_KEY = """
    SELECT (i.indkey::int2[])[0:i.indnkeyatts - 1] AS numbers
    FROM pg_catalog.pg_index i
    WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = i.indrelid AND NOT a.attnotnull
            AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
    ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1
"""

_TYPES = """
    SELECT t.oid, n.nspname::text, t.typname::text, t.typtype::text, t.typcategory::text, t.typdelim::text,
           t.typbasetype, CASE WHEN e.typarray = t.oid THEN e.oid ELSE 0 END
    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
         LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
    WHERE t.oid = ANY (%s)
"""


def _types(connection: Connection[Any], oids: Iterable[int]) -> dict[int, Type]:
    """These types, and those that they are made of."""
    found: dict[int, Type] = {}
    missing = set(oids)
    while missing:
        new = [Type(*row) for row in connection.execute(_TYPES, (list(missing),))]
        found |= {each.oid: each for each in new}
        missing = {oid for each in new for oid in (each.base, each.element) if oid} - found.keys()
    return found


def _columns(connection: Connection[Any], oid: int) -> dict[int, Column]:
    """The columns of a relation by number."""
    rows = connection.execute(_COLUMNS, (oid,)).fetchall()
    types = _types(connection, {row[2] for row in rows})
    columns = {}
    for number, label, type_oid, required, bytewise in rows:
        resolved = _resolved(types[type_oid], types)
        element = _resolved(types[resolved.element], types) if resolved.element else None
        columns[number] = Column(label, resolved, element, required, bytewise)
    return columns


def _resolved(found: Type, types: Mapping[int, Type]) -> Type:
    while found.base:
        found = types[found.base]
    return found
