"""What to know about the table, and about what this role may do with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from praval_storage.diagnosis import Checkup, Finding
from praval_storage.providers.postgresql.statements import INDEXES, MARK, Statements

_TABLE = """
SELECT current_user AS role, to_regclass(%(table)s) IS NULL AS is_missing,
    obj_description(to_regclass(%(table)s), 'pg_class') AS comment,
    ARRAY(SELECT given FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS given
          WHERE NOT has_table_privilege(to_regclass(%(table)s), given)) AS refused,
    ARRAY(SELECT split_part(pg_get_indexdef(indexrelid), ' USING ', 2) FROM pg_index
          WHERE indrelid = to_regclass(%(table)s) AND indisvalid) AS indexes
"""
_MAY_CREATE = """
SELECT coalesce(%(schema)s, current_schema()) AS schema, CASE
    WHEN coalesce(%(schema)s, current_schema()) IS NULL THEN false
    WHEN to_regnamespace(quote_ident(coalesce(%(schema)s, current_schema()))) IS NULL
        THEN has_database_privilege(current_database(), 'CREATE')
    ELSE has_schema_privilege(to_regnamespace(quote_ident(coalesce(%(schema)s, current_schema()))), 'CREATE')
    END AS allowed
"""

Connection = psycopg.Connection[Any]


def examine(
    connection: Connection, statements: Statements, schema: str | None, *, read_only: bool
) -> Checkup:
    """Look at the table of a provider.

    Args:
        connection: To its database.
        statements: Those of the table.
        schema: Its schema; ``None`` = the first of the search path.
        read_only: Whether nothing will be written.
    """
    server = (connection.info.parameter_status("server_version") or "").partition(" ")[0]
    table = statements.table.as_string(connection)
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(_TABLE, {"table": table}).fetchone() or {}
        if not found["is_missing"]:
            findings = [
                *_rights(found, table, read_only=read_only),
                *_indexes(found, statements.table, connection),
            ]
        elif read_only:
            findings = []
        else:
            may = cursor.execute(_MAY_CREATE, {"schema": schema}).fetchone() or {}
            findings = [] if may["allowed"] else [_no_table(found["role"], may["schema"])]
    return Checkup(f"PostgreSQL {server}", findings)


def _no_table(role: str, schema: str | None) -> Finding:
    return Finding(
        f"The table is not there, and role {role!r} may not make it in schema {schema!r}",
        f"GRANT CREATE ON SCHEMA {_quoted(schema or '...')} TO {_quoted(role)}, or choose another: schema=",
    )


def _rights(found: dict[str, Any], table: str, *, read_only: bool) -> Iterator[Finding]:
    refused = [right for right in found["refused"] if right == "SELECT" or not read_only]
    if refused:
        rights = ", ".join(refused)
        yield Finding(
            f"Role {found['role']!r} lacks {rights} on {table}",
            f"GRANT {rights} ON {table} TO {_quoted(found['role'])}",
        )


def _indexes(found: dict[str, Any], table: sql.Identifier, connection: Connection) -> Iterator[Finding]:
    """Indexes that are missing, or that a concurrent build has left invalid."""
    if found["comment"] != MARK:  # the indexes of other people's tables are theirs
        return
    for index in INDEXES:
        if index not in found["indexes"]:
            statement = sql.SQL("CREATE INDEX CONCURRENTLY ON {} USING " + index).format(table)
            column = index.partition("(")[2].partition(")")[0].split()[0]
            what = "GIN index" if index.startswith("gin") else "index"
            yield Finding(
                f"The {what} on {column} is missing: what it serves reads the whole table",
                f"Run {statement.as_string(connection)}",
            )


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string(None)
