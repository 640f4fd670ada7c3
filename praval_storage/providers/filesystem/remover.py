"""Removing records, and what is left over of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from praval_storage.providers.filesystem.index import Exclusive, Index
from praval_storage.providers.filesystem.reader import Reader, is_expired
from praval_storage.providers.filesystem.rows import Row, Span, Sql, now
from praval_storage.providers.filesystem.staging import Folder, Folders, groups
from praval_storage.providers.filesystem.tree import Tree

GROUP = 1_000
"""Records that share one lock and one commit: others who write wait for that long."""
ABANDONED = 3_600
"""Seconds after which nobody will come back for a temporary file or to a row."""


class Remover:
    """Removes from one directory: the file goes first, durably, then its rows.

    Args:
        tree: The files.
        index: The rows.
        reader: Brings the two together.
        durable: Whether to wait until the disk has it.
    """

    def __init__(self, tree: Tree, index: Index, reader: Reader, *, durable: bool) -> None:
        self._tree = tree
        self._index = index
        self._reader = reader
        self._durable = durable

    def remove(self, names: Sequence[str], *, expired: bool = False) -> list[bool]:
        """Remove records; whether each was there. One that comes twice is there only once.

        Args:
            names: Their names.
            expired: Remove only those that have expired; whether each had.
        """
        results: dict[str, bool] = {}
        for group in groups(dict.fromkeys(names), GROUP):
            with self._folders() as folders, self._locked() as index:
                results |= zip(group, self._remove_group(group, folders, index, expired), strict=True)
        return [results.pop(name, False) for name in names]

    def purge(self, start: str) -> int:
        """Remove expired records, and rows and temporary files left behind; how many had expired."""
        ended = Sql("expires_at <= ?", (now(),))
        purged = 0
        for page in self._index.pages(ended, Span.of_prefix(start)):
            purged += sum(self.remove([*dict.fromkeys(row.key for row in page)], expired=True))
        self._drop_stale(start)
        for path in self._tree.leftovers(start, time.time() - ABANDONED):
            Path(path).unlink(missing_ok=True)
        return purged

    def _remove_group(
        self, names: Sequence[str], folders: Folders, index: Exclusive | None, expired: bool
    ) -> list[bool]:
        rows = {} if index is None else index.rows(names)
        known: dict[str, bool] = {}
        touched: set[Folder] = set()
        dropped: list[Row] = []
        results: list[bool] = []
        for name in names:
            versions = rows.get(name, [])
            is_there, row = self._present(name, versions, known)
            has_ended = row is not None and is_expired(row)
            results.append(is_there and has_ended == expired)
            if row is not None and has_ended:
                # Other rows may be of writers that are not done.
                touched |= self._unlink({row.place or name}, folders, known)
                dropped.append(row)
            elif results[-1]:
                touched |= self._unlink({name, *(other.place or name for other in versions)}, folders, known)
                dropped += versions if row is None or row in versions else [*versions, row]
        folders.sync(touched)
        if index is not None:
            index.drop(dropped)
        return results

    def _present(self, name: str, versions: list[Row], known: dict[str, bool]) -> tuple[bool, Row | None]:
        """Whether there is a file, and its row."""
        if not versions:
            return self._tree.stat(name, known) is not None, None
        found = self._reader.find(name, versions)
        if found is None:
            return False, None
        found.file.close()
        return True, found.row

    def _unlink(self, places: set[str], folders: Folders, known: dict[str, bool]) -> set[Folder]:
        touched = set()
        for place in places:
            if self._tree.stat(place, known) is not None:
                above, _, last = place.rpartition("/")
                folder = folders.get(above)
                folder.unlink(last)
                touched.add(folder)
        return touched

    def _drop_stale(self, start: str) -> None:
        old = Sql("updated_at < ?", (now() - ABANDONED * 1_000_000,))
        for page in self._index.pages(old, Span.of_prefix(start)):
            known: dict[str, bool] = {}
            stale = [row for row in page if not self._is_true(row, known)]
            if stale:
                with self._index.exclusive() as index:
                    index.drop(stale)

    def _is_true(self, row: Row, known: dict[str, bool]) -> bool:
        found = self._tree.stat(row.place or row.key, known)
        if found is None or row.signature == (found.st_mtime_ns, found.st_size):
            return found is not None
        _, true = self._present(row.key, [row], known)
        # A version that was copied or touched has its row linked to the new file now.
        return true is not None and true._replace(mtime_ns=row.mtime_ns) == row

    def _folders(self) -> Folders:
        return Folders(self._tree, auto_create=False, durable=self._durable)

    def _locked(self) -> AbstractContextManager[Exclusive | None]:
        """Removing what others wrote needs no index."""
        return self._index.exclusive() if self._index.exists() else nullcontext()
