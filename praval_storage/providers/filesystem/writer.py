"""Writing records, so that whoever is killed leaves whole versions with their own metadata.

1. The body goes to a temporary file beside its destination, gets a modification time that no version of the
   record has had, and is made durable.
2. A row for that version is added to the index and made durable: a file that has its name has its row.
3. While nobody else writes, the file gets its name, the directory is made durable and the rows of other
   versions go. A writer whose row has gone by then was overtaken: what it wrote was replaced already.

Killed before 3, the record is the old version; after, the new one. What is left over is a row that no file
answers to and a temporary file, which ``purge_expired`` collects.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

import orjson

from praval_storage.base import Item
from praval_storage.errors import KeyExistsError, StorageError
from praval_storage.providers.filesystem.index import FOLDER, Exclusive, Index
from praval_storage.providers.filesystem.opaque import opaque_fields
from praval_storage.providers.filesystem.reader import Reader, has_ended
from praval_storage.providers.filesystem.rows import Row, microseconds
from praval_storage.providers.filesystem.staging import (
    Folder,
    Folders,
    NotAFileNameError,
    Staged,
    groups,
    sync_all,
)
from praval_storage.providers.filesystem.tree import Tree
from praval_storage.records import Stored

OBJECTS = f"{FOLDER}/objects"
"""Where the files of keys are that cannot be file names."""
GROUP = 64
"""Records that share one lock and one commit; each holds a file descriptor or two."""

Guard = Callable[[str | None], AbstractContextManager[None]]
Outcomes = dict[str, Row | StorageError]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a file goes.

    Attributes:
        folder: The directory.
        name: Its name there.
        place: Its name in the tree when that is not the record's own.
        replaced: The file that has the name now.
    """

    folder: Folder
    name: str
    place: str | None = None
    replaced: os.stat_result | None = None


@dataclass(slots=True, eq=False)
class Pending:
    """A record whose file is staged."""

    row: Row
    staged: Staged
    to: Destination
    is_temporary: bool = True

    def take_name(self) -> None:
        """Give the file its name, which may be another's."""
        self.to.folder.replace(self.staged, self.to.name)
        self.is_temporary = False


class Writer:
    """Writes to one directory.

    Args:
        tree: The files.
        index: The rows.
        reader: Brings the two together.
        guard: Turns what goes wrong, with one record or with all, into a ``StorageError``.
        auto_create: Whether the directory may be made.
        durable: Whether to wait until the disk has it.
    """

    def __init__(
        self, tree: Tree, index: Index, reader: Reader, guard: Guard, *, auto_create: bool, durable: bool
    ) -> None:
        self._tree = tree
        self._index = index
        self._reader = reader
        self._guard = guard
        self._auto_create = auto_create
        self._durable = durable

    def put(self, items: Mapping[str, Item], *, overwrite: bool) -> Outcomes:
        """Write records by name; for each its row, or why it was not written."""
        outcomes: Outcomes = {}
        for names in groups(items, GROUP):
            group = {name: items[name] for name in names}
            with (
                Folders(self._tree, auto_create=self._auto_create, durable=self._durable) as folders,
                self._caught(outcomes, *group),
            ):
                self._put_group(group, folders, outcomes, overwrite)
        return outcomes

    def _put_group(
        self, items: Mapping[str, Item], folders: Folders, outcomes: Outcomes, overwrite: bool
    ) -> None:
        rows = self._index.rows([*items])
        pending: list[Pending] = []
        try:
            for name, item in items.items():
                with self._caught(outcomes, name), item.content:
                    pending.append(self._stage(name, item, rows.get(name, []), folders, overwrite))
            self._sync([one.staged.fd for one in pending])
            waiting = pending
            while waiting:
                self._index.add([one.row for one in waiting])
                waiting = self._publish(waiting, folders, outcomes, overwrite)
        finally:
            for one in pending:
                os.close(one.staged.fd)
                if one.is_temporary:
                    one.staged.folder.unlink(one.staged.temporary)

    # 1. Staging

    def _stage(self, name: str, item: Item, rows: list[Row], folders: Folders, overwrite: bool) -> Pending:
        present = self._reader.glance(name, rows, {})
        if present is not None and has_ended(present):
            present = None
        if present is not None and not overwrite:
            raise KeyExistsError("The key exists and overwrite=False")
        to = self._destination(name, rows, folders)
        mode, taken = None, {row.mtime_ns for row in rows}
        if to.replaced is not None:
            mode = stat.S_IMODE(to.replaced.st_mode)
            taken.add(to.replaced.st_mtime_ns)
        staged = to.folder.stage(item.content.body, mode, taken)
        return Pending(_row(name, item, staged, to.place, present), staged, to)

    def _destination(self, name: str, rows: list[Row], folders: Folders) -> Destination:
        is_diverted = any(row.place and self._tree.stat(row.place, {}) for row in rows)
        if not is_diverted:
            with suppress(NotAFileNameError):
                above, _, last = name.rpartition("/")
                folder = folders.get(above)
                return Destination(folder, last, replaced=self._replaceable(name, folder.look(last)))
        return _diverted(name, folders)

    def _replaceable(self, name: str, found: os.stat_result | None) -> os.stat_result | None:
        """The file a new one may take the name of.

        Raises:
            NotAFileNameError: It is something else, and not ours to take away.
        """
        if found is None or stat.S_ISREG(found.st_mode):
            return found
        # A directory, a FIFO or a link that leads out of the tree counts as nothing, and stays.
        target = self._tree.stat(name, {}) if stat.S_ISLNK(found.st_mode) else None
        if target is None:
            raise NotAFileNameError(name)
        return target

    def _sync(self, fds: Sequence[int]) -> None:
        if self._durable:
            sync_all(fds)

    # 3. Publishing

    def _publish(
        self, waiting: Sequence[Pending], folders: Folders, outcomes: Outcomes, overwrite: bool
    ) -> list[Pending]:
        """Give files their names; those that have to be diverted after all are returned."""
        named: list[Pending] = []
        diverted: list[Pending] = []
        with self._index.exclusive() as index:
            rows = index.rows([one.row.key for one in waiting])
            for one in waiting:
                with self._caught(outcomes, one.row.key):
                    try:
                        if self._give_name(one, rows.get(one.row.key, []), overwrite):
                            named.append(one)
                        outcomes[one.row.key] = one.row
                    except NotAFileNameError:
                        diverted.append(one)
            folders.sync({one.to.folder for one in named})
            _settle(index, waiting, named)
        for one in diverted:
            one.to = _diverted(one.row.key, folders)
            one.row = one.row._replace(place=one.to.place)
        return diverted

    def _give_name(self, one: Pending, rows: list[Row], overwrite: bool) -> bool:
        """Give a file its name; whether it still needed one."""
        is_overtaken = one.row not in rows
        if overwrite:
            if not is_overtaken:
                one.take_name()
            return not is_overtaken
        others = [row for row in rows if row.mtime_ns != one.row.mtime_ns]
        present = self._reader.glance(one.row.key, others, {})
        if is_overtaken or (present is not None and not has_ended(present)):
            raise KeyExistsError("The key exists and overwrite=False")
        if present is not None:
            one.take_name()
            return True
        try:
            one.to.folder.add(one.staged, one.to.name)
        except FileExistsError as error:
            # Somebody who knows nothing of the lock was faster: with a file, or with something else.
            is_file = self._tree.stat(one.row.place or one.row.key, {}) is not None
            raise (KeyExistsError("The key exists") if is_file else NotAFileNameError()) from error
        return True

    @contextmanager
    def _caught(self, outcomes: Outcomes, *names: str) -> Iterator[None]:
        """Note what goes wrong for these records, unless it is known what became of them."""
        try:
            with self._guard(names[0] if len(names) == 1 else None):
                yield
        except StorageError as error:
            for name in names:
                outcomes.setdefault(name, error)


def _settle(index: Exclusive, waiting: Sequence[Pending], named: Sequence[Pending]) -> None:
    """Leave the rows of what was named, and none of what was not."""
    index.keep_only([one.row for one in named])
    index.drop([one.row for one in waiting if one not in named])


def _diverted(name: str, folders: Folders) -> Destination:
    file_name = hashlib.blake2b(name.encode(), digest_size=32).hexdigest()
    return Destination(folders.get(OBJECTS), file_name, f"{OBJECTS}/{file_name}")


def _row(name: str, item: Item, staged: Staged, place: str | None, present: Stored | None) -> Row:
    draft, content, metadata = item
    written_at = microseconds(draft.written_at)
    created_at = draft.created_at or (present and present.created_at)
    return Row(
        name,
        staged.signature.mtime_ns,
        staged.signature.size,
        place,
        content.format,
        None if content.types is None else orjson.dumps(content.types).decode(),
        metadata.decode(),
        opaque_fields(metadata),
        written_at if created_at is None else microseconds(created_at),
        written_at,
        None if draft.expires_at is None else microseconds(draft.expires_at),
        staged.digest,
    )
