"""A table, view, materialized view or foreign table that somebody else made, for reading.

A row is a record: its data are the columns as a dict, its key that of ``existing_keys``, its version the
transaction that wrote it. It has no metadata, and nobody knows when it was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from praval_storage.base import Item, StorageResult
from praval_storage.errors import UnsupportedOperationError
from praval_storage.filters import Node, Order, paths
from praval_storage.providers.postgresql.connections import Connections
from praval_storage.providers.postgresql.existing_catalog import describe
from praval_storage.providers.postgresql.existing_filters import FORMAT, RowFilter
from praval_storage.providers.postgresql.existing_keys import keys_of
from praval_storage.providers.postgresql.existing_order import ordering
from praval_storage.providers.postgresql.existing_pages import fetch, indexes, pages
from praval_storage.providers.postgresql.existing_statements import Select, reading
from praval_storage.providers.postgresql.existing_values import example
from praval_storage.records import Stored
from praval_storage.scan import Scan, Scanned


class ExistingTable:
    """Reads a relation that does not have our layout; every call sees it as it is then.

    Args:
        connections: Where connections come from.
        schema: The relation's schema.
        table: The relation's name.
    """

    def __init__(self, connections: Connections, schema: str, table: str) -> None:
        self._connections = connections
        self._schema = schema
        self._table = table

    def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
        """Refuses.

        Raises:
            UnsupportedOperationError: The table is somebody else's.
        """
        self._refuse()

    def remove(self, keys: Sequence[str]) -> list[bool]:
        """Refuses.

        Raises:
            UnsupportedOperationError: The table is somebody else's.
        """
        self._refuse()

    def purge_expired(self) -> int:
        """Nothing expires here."""
        return 0

    def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
        """The rows with these keys, in order, ``None`` where there is none."""
        with reading(self._connections) as connection:
            relation = describe(connection, self._schema, self._table)
            known = keys_of(relation)
            rows = fetch(connection, Select(relation, known, known.are(keys), bodies=bodies))
        by_key = {row.key: row for row in rows}
        return [by_key.get(key) for key in keys]

    def scan(self, request: Scan) -> Scanned:
        """Rows that include every match, in the order asked for where PostgreSQL can make it."""
        with reading(self._connections) as connection:
            relation = describe(connection, self._schema, self._table)
            keys = keys_of(relation)
            compiled = RowFilter(relation, keys).compile(request.where)
            order = None if request.order is None else ordering(connection, relation, keys, request.order)
            to_sort = request.order if order is None else None
            bodies = request.bodies or _needs_data(compiled.residual, to_sort)
            select = Select(relation, keys, compiled.condition, order, bodies)
            helped = indexes(connection, select) if compiled.condition or order else None
        rows = pages(self._connections, select, request.limit)
        return Scanned(
            rows,
            compiled.pushed,
            compiled.residual,
            order is not None,
            helped,
            keys.hint,
            example=Stored("", FORMAT, data=example(relation.columns)),
        )

    def _refuse(self) -> NoReturn:
        raise UnsupportedOperationError(
            f"The table {self._schema}.{self._table} was made by somebody else and is only read",
            hint="Store into a table of your own: PostgreSQLProvider(..., table='another_name')",
        )


def _needs_data(residual: Node, to_sort: Order | None) -> bool:
    """Whether what is left to do here looks at the columns: rows without a lasting key are not read twice."""
    roots = {path.root for path in paths(residual)} | ({to_sort.path.root} if to_sort else set())
    return "data" in roots
