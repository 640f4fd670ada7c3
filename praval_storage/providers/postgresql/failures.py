"""What PostgreSQL refuses: which error of ours it is, and the cure."""

from __future__ import annotations

import psycopg

from praval_storage.base import ErrorMap
from praval_storage.errors import (
    StorageConnectionError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
)

ERRORS: ErrorMap = {
    psycopg.errors.InsufficientPrivilege: StoragePermissionError,
    psycopg.errors.InvalidAuthorizationSpecification: StoragePermissionError,
    psycopg.errors.ReadOnlySqlTransaction: StoragePermissionError,
    psycopg.errors.QueryCanceled: StorageTimeoutError,
    psycopg.errors.LockNotAvailable: StorageTimeoutError,
    psycopg.errors.InsufficientResources: StorageError,
    psycopg.errors.ProgramLimitExceeded: StorageError,
    psycopg.OperationalError: StorageConnectionError,
    psycopg.InterfaceError: StorageConnectionError,
    psycopg.Error: StorageError,
}
CURES: dict[type[BaseException], str] = {
    psycopg.errors.InsufficientPrivilege: "Ask the owner of the table to GRANT this role what it needs;"
    " dm.doctor() says what is missing",
    psycopg.errors.ReadOnlySqlTransaction: "This server or database takes no writes: connect to the primary",
    psycopg.errors.QueryCanceled: "Ask for less at once, make an index, or raise statement_timeout=",
    psycopg.errors.LockNotAvailable: "Somebody holds a lock on the table: try again, or raise lock_timeout",
    psycopg.errors.DiskFull: "Free some space on the disk of the server",
    psycopg.errors.InsufficientResources: "The server has no room for this now: try again, or ask for less",
    psycopg.errors.ProgramLimitExceeded: "This is too large for PostgreSQL (a text in JSON holds 256 MB, a"
    " row 1 GB, an index entry 2.7 kB): store it on filesystem or s3, and its reference here",
    psycopg.errors.DeadlockDetected: "Try again: two writers were waiting for each other",
}
