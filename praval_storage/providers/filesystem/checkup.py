"""Whether a directory can be used, and its index agrees with its files."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator

from praval_storage.diagnosis import Checkup, Finding
from praval_storage.display import counted
from praval_storage.providers.filesystem.database import is_allowed
from praval_storage.providers.filesystem.index import Index
from praval_storage.providers.filesystem.rows import ALWAYS, Row, Span
from praval_storage.providers.filesystem.tree import Tree

LOOKED_AT = 10_000
"""Rows of the index that are compared with their files."""
LITTLE = 100 << 20
"""Free bytes from which on a disk is nearly full."""


def examine(path: str, index: Index, tree: Tree, *, read_only: bool) -> Checkup:
    """Look at a directory.

    Args:
        path: The directory.
        index: Its index.
        tree: Its files.
        read_only: Whether nothing will be written.
    """
    server = f"SQLite {sqlite3.sqlite_version}"
    if not os.path.isdir(path):
        return Checkup(server)
    writing = [] if read_only else [*_room(path)]
    return Checkup(server, [*writing, *_agreement(index, tree)])


def _room(path: str) -> Iterator[Finding]:
    if not is_allowed(path, os.W_OK | os.X_OK):
        yield Finding(
            "The directory may not be written to",
            "Change its permissions, or register it with read_only=True",
        )
        return
    space = os.statvfs(path)
    if space.f_bavail * space.f_frsize < LITTLE:
        yield Finding("The disk is nearly full", "Free some space on it")


def _agreement(index: Index, tree: Tree) -> Iterator[Finding]:
    stale = sum(1 for row in _rows(index) if _is_stale(row, tree))
    if stale:
        yield Finding(
            f"The index has {counted(stale, 'row')} of files that were changed or removed by others",
            "The files are read as they are. Storing again gives them metadata; purge_expired() tidies up",
        )


def _rows(index: Index) -> Iterator[Row]:
    seen = 0
    for page in index.pages(ALWAYS, Span()):
        yield from page
        if (seen := seen + len(page)) >= LOOKED_AT:
            return


def _is_stale(row: Row, tree: Tree) -> bool:
    found = tree.stat(row.place or row.key, {})
    return found is None or row.signature != (found.st_mtime_ns, found.st_size)
