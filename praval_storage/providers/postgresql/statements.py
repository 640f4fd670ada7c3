"""The statements on a table of our layout.

``data`` and ``metadata`` are JSONB, for psql and for filters. JSONB orders the keys of objects anew, so the
exact texts stand beside them, with a checksum of what JSONB made of them: where the two no longer agree,
somebody has changed a row with SQL, and the row says what it says now. Metadata that is no object then says
nothing.
"""

from __future__ import annotations

from typing import LiteralString, NamedTuple

from psycopg import sql

from praval_storage.providers.postgresql.existing_sql import name

MARK = "praval_storage: records, layout 1"
"""The comment on a table of ours."""
COLUMNS = frozenset(
    {
        *("key text", "data jsonb", "metadata jsonb", "format text", "size bigint", "version bigint"),
        *(f"{which}_at timestamp with time zone" for which in ("created", "updated", "expires")),
        *("loose text[]", "types bytea", "body bytea", "metadata_body bytea", "checksum bigint"),
    }
)
"""Its columns, by which it is known where a restored backup has left out the comment."""

_CREATE = """
CREATE TABLE {table} (
    key text COLLATE "C" PRIMARY KEY,
    data jsonb,
    metadata jsonb NOT NULL DEFAULT '{{}}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    format text COLLATE "C" NOT NULL DEFAULT 'json',
    size bigint,
    version bigint NOT NULL DEFAULT 1,
    loose text[],
    types bytea,
    body bytea,
    metadata_body bytea,
    checksum bigint
)
"""
INDEXES: tuple[LiteralString, ...] = (
    "gin (data jsonb_path_ops)",
    "gin (metadata jsonb_path_ops)",
    "gin (loose) WHERE (loose IS NOT NULL)",
    "btree (expires_at) WHERE (expires_at IS NOT NULL)",
    "btree (created_at)",
)
"""Its indexes, as the server writes them after ``USING``."""
SIZE: LiteralString = "coalesce(size, octet_length(data::text), 0)"
"""Of a row somebody made with SQL, the length of its data."""

# NULL for a row somebody made with SQL, and therefore not true.
_CHECKED: LiteralString = (
    "SELECT *, checksum = hashtextextended(coalesce(data::text, '') || metadata::text, 0) AS unchanged"
)
_COLUMNS = """
    key, format, {size}, version::text, created_at, updated_at, nullif(expires_at, 'infinity'),
    CASE WHEN unchanged THEN metadata_body
         WHEN jsonb_typeof(metadata) = 'object' THEN convert_to(metadata::text, 'UTF8') ELSE '{{}}' END
"""
_BODY = """,
    CASE WHEN unchanged OR data IS NULL THEN coalesce(body, 'null')
         ELSE convert_to(CASE format WHEN 'text' THEN data #>> '{{}}' ELSE data::text END, 'UTF8') END,
    CASE WHEN unchanged OR data IS NULL THEN types END
"""
_BY_KEY = "WHERE key = ANY (%s) AND (expires_at IS NULL OR expires_at > %s)"
_INSERT = """
INSERT INTO {table} AS t (
    key, data, metadata, created_at, updated_at, expires_at, format, size, loose, types, body, metadata_body,
    checksum
)
SELECT *, hashtextextended(coalesce(data::text, '') || metadata::text, 0)
FROM (
    SELECT key, data::jsonb, metadata::jsonb, created_at::timestamptz, updated_at::timestamptz,
        expires_at::timestamptz, format, size::bigint, loose::text[], types, body, metadata_body
    FROM unnest(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) AS given (
        key, data, metadata, created_at, updated_at, expires_at, format, size, loose, types, body,
        metadata_body
    )
    OFFSET 0
) AS made
ON CONFLICT (key) DO UPDATE SET
    data = EXCLUDED.data, metadata = EXCLUDED.metadata, updated_at = EXCLUDED.updated_at,
    expires_at = EXCLUDED.expires_at, format = EXCLUDED.format, size = EXCLUDED.size, loose = EXCLUDED.loose,
    types = EXCLUDED.types, body = EXCLUDED.body, metadata_body = EXCLUDED.metadata_body,
    checksum = EXCLUDED.checksum, version = t.version + 1, created_at = {created}
{only}
RETURNING key, created_at, version::text
"""
_FIRST_CREATED = "CASE WHEN t.expires_at <= %s THEN EXCLUDED.created_at ELSE t.created_at END"


class Statements(NamedTuple):
    """The statements of one table, named with its schema if that is known."""

    names: tuple[str, ...]

    @property
    def table(self) -> sql.Identifier:
        """The table in a statement without parameters."""
        return sql.Identifier(*self.names)

    @property
    def escaped(self) -> sql.Composed:
        """The table in a statement with parameters: psycopg looks for placeholders in quoted names too."""
        return name(*self.names).text

    def create(self) -> list[sql.Composed]:
        """Make the table, its indexes and its mark."""
        texts: list[LiteralString] = [
            _CREATE,
            *("CREATE INDEX ON {table} USING " + index for index in INDEXES),
        ]
        made = [sql.SQL(text).format(table=self.table) for text in texts]
        return [*made, sql.SQL("COMMENT ON TABLE {} IS {}").format(self.table, sql.Literal(MARK))]

    def insert(self, *, overwrite: bool, own_times: bool) -> sql.Composed:
        """Upsert arrays of columns; what exists and may not be replaced is not returned.

        Args:
            overwrite: Whether records that are there are replaced; expired ones always are.
            own_times: Whether ``created_at`` is the given one also for keys that exist.
        """
        created: sql.Composable = sql.SQL("EXCLUDED.created_at" if own_times else _FIRST_CREATED)
        only: sql.Composable = sql.SQL("" if overwrite else "WHERE t.expires_at <= %s")
        return sql.SQL(_INSERT).format(table=self.escaped, created=created, only=only)

    def selected(self, rows: sql.Composable, *, bodies: bool, more: sql.Composable) -> sql.Composed:
        """The columns of :func:`rows.stored_row`, and more, of rows with all columns."""
        columns: LiteralString = _COLUMNS + _BODY if bodies else _COLUMNS
        # Checked once a row, however many columns depend on it.
        return sql.SQL("SELECT {}, {} FROM ({} FROM ({}) AS wanted OFFSET 0) AS checked").format(
            sql.SQL(columns).format(size=sql.SQL(SIZE)), more, sql.SQL(_CHECKED), rows
        )

    def by_keys(self, *, bodies: bool) -> sql.Composed:
        """The rows with some keys that have not expired."""
        rows = sql.SQL("SELECT * FROM {} {}").format(self.escaped, sql.SQL(_BY_KEY))
        return self.selected(rows, bodies=bodies, more=sql.SQL("FALSE"))

    def delete(self) -> sql.Composed:
        """Delete by key; returns the keys that were there and had not expired."""
        return sql.SQL(
            "DELETE FROM {} WHERE key = ANY(%s) RETURNING key, coalesce(expires_at > %s, true)"
        ).format(self.escaped)

    def purge(self) -> sql.Composed:
        """Delete what has expired."""
        return sql.SQL("DELETE FROM {} WHERE expires_at <= %s").format(self.escaped)
