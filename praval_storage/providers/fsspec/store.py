"""Records as files with companions: reading, writing, deleting and listing them."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import chain
from threading import RLock
from typing import BinaryIO, ClassVar

from praval_storage.base import Item
from praval_storage.errors import KeyExistsError, StorageError
from praval_storage.keys import RESERVED_PREFIX
from praval_storage.providers._objects.description import drafted
from praval_storage.providers._objects.reader import reading
from praval_storage.providers._objects.store import Entry, Guard, Level, ObjectStore, Outcome, gone
from praval_storage.providers.fsspec.companions import (
    COMPANIONS,
    OBJECTS,
    Companion,
    Version,
    parsed,
    place_beside,
    place_of,
    restored,
    version,
)
from praval_storage.providers.fsspec.files import PIECE, Files, NoPlaceError, mark, modified
from praval_storage.records import Stored

GRACE = timedelta(hours=1)
"""How old a companion must be before it can be a leftover: its file may be on its way."""

# One writer of a file at a time in this process, whatever provider it uses.
_LOCKS: list[RLock] = []


def _renew_locks() -> None:
    _LOCKS[:] = [RLock() for _ in range(64)]


_renew_locks()
os.register_at_fork(after_in_child=_renew_locks)


class FileStore(ObjectStore):
    """Records as files with companions.

    Args:
        files: The folder they are in.
        format_of: Format of a file that others wrote, by its name.
    """

    price: ClassVar[str] = "Each page lists its whole folder: fsspec has no pages"

    def __init__(self, files: Files, format_of: Callable[[str], str]) -> None:
        self._files = files
        self._format_of = format_of

    # Listing

    def entries(self, prefix: str, expected: int | None = None) -> Iterator[Entry]:
        folder = prefix.rpartition("/")[0]
        own = (
            Entry(name, info.get("size"))
            for name, info in self._files.walk(folder)
            if name.startswith(prefix) and not name.startswith(f"{RESERVED_PREFIX}/")
        )
        found = {entry.name: entry for entry in chain(own, self._all_diverted())}
        yield from (found[name] for name in sorted(found) if name.startswith(prefix))

    def level(self, prefix: str, after: str | None, count: int) -> Level:
        folder = prefix.removesuffix("/")
        own = ((f"{prefix}{name}", info) for name, info in self._files.level(folder))
        found = {
            f"{name}/" if info.get("type") == "directory" else name: Entry(
                name, info.get("size"), modified(info)
            )
            for name, info in own
        }
        for entry in self._all_diverted():
            if entry.name.startswith(prefix):
                inner, slash, _ = entry.name[len(prefix) :].partition("/")
                found.setdefault(f"{prefix}{inner}{slash}", entry)
        names = sorted(name for name in found if after is None or name > after)
        part = names[:count]
        return Level(
            [found[name] for name in part if not name.endswith("/")],
            [name for name in part if name.endswith("/")],
            part[-1] if len(names) > len(part) else None,
            f"ls({self._files.path(folder)!r})",
        )

    def folders(self, prefix: str) -> list[str]:
        own = {prefix + name for name in self._files.folders(prefix.removesuffix("/"))}
        names = (entry.name for entry in self._all_diverted() if entry.name.startswith(prefix))
        rests = (name[len(prefix) :].partition("/") for name in names)
        return sorted(own | {prefix + folder for folder, slash, _ in rests if slash})

    def _all_diverted(self) -> list[Entry]:
        return [*filter(None, self._files.each(self._diverted, self._files.walk(OBJECTS)))]

    def _diverted(self, found: tuple[str, Mapping[str, object]]) -> Entry | None:
        file, info = found
        companion = parsed(self._files.read(place_beside(file)))
        size = info.get("size")
        return companion and Entry(companion.name, size if isinstance(size, int) else None)

    # Reading

    def fetch(self, names: Sequence[str], bodies: Collection[str] = ()) -> list[Stored | None]:
        return self._files.each(lambda name: self._find(name, body=name in bodies), names)

    def open(self, stored: Stored) -> BinaryIO:
        companion = self._companion(stored.key)
        size = stored.size or 0

        def fetch(start: int, end: int) -> bytes:
            chunk = self._files.read(companion.file, start, end)
            if not chunk:
                raise gone(stored.key)
            return chunk

        return reading(fetch, size)

    def _find(self, name: str, *, body: bool) -> Stored | None:
        companion = self._companion(name)
        while True:
            found, is_known = self._match(companion, body)
            if is_known or not companion.versions:
                return found
            # Of a body that is not described the description may just have been on its way.
            again = self._companion(name)
            if again == companion:
                return found
            companion = again

    def _match(self, companion: Companion, body: bool) -> tuple[Stored | None, bool]:
        """The record, and whether a version of the companion describes it."""
        if not body:
            info = self._files.info(companion.file)
            if info is None:
                return None, False
            known = companion.by_mark(mark(info), info.get("size"))
            if known is not None and (stored := restored(companion.name, known, None)) is not None:
                return stored, True
            if not companion.versions:
                return self._foreign(companion, None), False
        read = self._files.read(companion.file)
        if read is None:
            return None, False
        found = companion.by_digest(hashlib.sha256(read).hexdigest())
        kept = read if body else None
        stored = None if found is None else restored(companion.name, found, kept)
        return (self._foreign(companion, kept), False) if stored is None else (stored, True)

    def _companion(self, name: str) -> Companion:
        return parsed(self._files.read(place_of(name)), name) or Companion(name)

    def _foreign(self, companion: Companion, body: bytes | None) -> Stored | None:
        info = self._files.info(companion.file)
        if info is None:
            return None
        size = info.get("size") if body is None else len(body)
        return Stored(
            companion.name, self._format_of(companion.name), body, updated_at=modified(info), size=size
        )

    # Writing

    def write(self, items: Mapping[str, Item], guard: Guard, *, overwrite: bool) -> dict[str, Outcome]:
        def one(name: str) -> Outcome:
            try:
                with guard(name), ExitStack() as stack:
                    body = _spooled(items[name].content.body, stack)
                    stack.enter_context(self._lock(name))
                    return self._put(name, items[name], body, overwrite)
            except StorageError as error:
                return error

        return dict(zip(items, self._files.each(one, items), strict=True))

    def _put(self, name: str, item: Item, body: bytes | BinaryIO, overwrite: bool) -> Stored:
        before = self._find(name, body=False)
        live = None if before is None or before.expired(datetime.now(UTC)) else before
        if live is not None and not overwrite:
            raise KeyExistsError("The key exists and overwrite=False")
        sha256, size = _digest(body)
        row = drafted(name, item, live)._replace(size=size, version=sha256)
        new = version(row, sha256, size)
        old = self._companion(name)
        is_folder = before is None and not old.is_diverted and self._files.is_folder(name)
        companion = old._replace(
            is_diverted=old.is_diverted or is_folder, versions=(new, *_described(old, before))
        )
        self._replace(companion, body)
        return row

    def _replace(self, companion: Companion, body: bytes | BinaryIO) -> None:
        """First what is coming, then the body, then what is there."""
        self._files.write(place_of(companion.name), companion.to_json())
        try:
            self._files.write(companion.file, body)
        except NoPlaceError:
            if companion.is_diverted:
                raise
            self._replace(companion._replace(is_diverted=True), body)
            return
        info = self._files.info(companion.file)
        if info is not None and (marked := mark(info)) is not None:
            written = companion._replace(versions=({**companion.versions[0], "mark": marked},))
            self._files.write(place_of(companion.name), written.to_json())

    def _lock(self, name: str) -> RLock:
        return _LOCKS[hash(self._files.path(name)) % len(_LOCKS)]

    # Deleting

    def delete(self, names: Sequence[str]) -> list[Stored | None]:
        return self._files.each(self._delete, names)

    def _delete(self, name: str) -> Stored | None:
        with self._lock(name):
            found = self._find(name, body=False)
            if found is not None:
                # A body without a companion would be somebody else's.
                self._files.remove(self._companion(name).file)
                self._files.remove(place_of(name))
            return found

    def tidy(self) -> None:
        before = datetime.now(UTC) - GRACE
        for place, info in self._files.walk(COMPANIONS):
            written = modified(info)
            companion = parsed(self._files.read(place))
            if companion is None or written is None or written > before:
                continue
            with self._lock(companion.name):
                if self._files.info(companion.file) is None:
                    self._files.remove(place)

    # Care

    def health(self) -> str:
        self._files.folders("")
        return ""

    def close(self) -> None:
        self._files.close()


def _described(companion: Companion, before: Stored | None) -> tuple[Version, ...]:
    """The version that is there, if it is one of ours."""
    known = None if before is None or before.version is None else companion.by_digest(before.version)
    return () if known is None else (known,)


def _spooled(body: bytes | BinaryIO, stack: ExitStack) -> bytes | BinaryIO:
    """The body; of a stream a copy on the local disk: one that breaks must not leave half a file."""
    if isinstance(body, bytes):
        return body
    copied: BinaryIO = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is, the caller's
    shutil.copyfileobj(body, copied, PIECE)
    copied.seek(0)
    return copied


def _digest(body: bytes | BinaryIO) -> tuple[str, int]:
    if isinstance(body, bytes):
        return hashlib.sha256(body).hexdigest(), len(body)
    digest = hashlib.sha256()
    while piece := body.read(PIECE):
        digest.update(piece)
    return digest.hexdigest(), body.tell()
