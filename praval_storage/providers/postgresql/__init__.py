"""Records in PostgreSQL (psycopg 3): a table of our own, or the tables that are there."""

from praval_storage.providers.postgresql.provider import PostgreSQLProvider
from praval_storage.providers.postgresql.settings import PostgreSQLSettings

__all__ = ["PostgreSQLProvider", "PostgreSQLSettings"]
