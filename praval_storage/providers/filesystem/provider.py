"""Files in a directory: data exactly where its key says, metadata in one SQLite index beside it.

``greeting.json`` is stored as ``<base_path>/greeting.json``. Metadata, times, expiry and formats are in
``<base_path>/.praval/index.sqlite``; files that others put there, edit, move or delete simply are what they
are. The few keys that cannot be a file (``a`` beside ``a/b``, or a name too long) are kept below ``.praval``.

The index uses SQLite's WAL mode, which needs a local file system: several processes of one machine may
share a directory, several machines may not write to it at the same time.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Self

from praval_storage.base import (
    CanBrowse,
    CanPurge,
    CanQuery,
    CanStream,
    ErrorMap,
    HasCollections,
    Item,
    RecordProvider,
    StorageResult,
    boundary,
    changes,
)
from praval_storage.diagnosis import Checkup
from praval_storage.errors import (
    ConfigurationError,
    KeyNotFoundError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
)
from praval_storage.keys import validate_key
from praval_storage.places import Look, Measured, Seen
from praval_storage.providers.filesystem import browsing
from praval_storage.providers.filesystem.checkup import examine
from praval_storage.providers.filesystem.database import is_allowed
from praval_storage.providers.filesystem.index import Index
from praval_storage.providers.filesystem.listing import Place, scan
from praval_storage.providers.filesystem.reader import Reader, is_expired
from praval_storage.providers.filesystem.remover import Remover
from praval_storage.providers.filesystem.rows import Row, moment
from praval_storage.providers.filesystem.settings import DEFAULT_PATH, FileSystemSettings
from praval_storage.providers.filesystem.staging import missing_root
from praval_storage.providers.filesystem.tree import Tree
from praval_storage.providers.filesystem.writer import Writer
from praval_storage.records import Draft, Stored
from praval_storage.scan import Scan, Scanned
from praval_storage.serialization import Content, encode, foreign
from praval_storage.settings import DEFAULT

_ADVICE = {
    errno.ENOSPC: "Free some space on that disk",
    errno.EDQUOT: "Free some space: the quota is used up",
    errno.EROFS: "The file system is mounted read-only",
    errno.EACCES: "Check the permissions of base_path and below",
    errno.EPERM: "Check the permissions of base_path and below",
    errno.EMFILE: "Raise the limit of open files (ulimit -n)",
    errno.EIO: "The disk reports an error; check it before relying on it",
}


class FileSystemProvider(RecordProvider, CanQuery, CanStream, CanPurge, CanBrowse, HasCollections):
    """Records as files in a directory.

    Writes are atomic and durable, also against other processes and being killed. Symbolic links are followed
    as long as they stay inside ``base_path``. Nothing is created before the first write.

    Args:
        base_path: Directory of the data.
        auto_create: Make the directory on the first write if it is missing.
        pretty_json: Write JSON over several lines.
        allow_pickle: Write and read pickles. Reading a pickle runs code.
        durable: Return from a write only when the disk has it; otherwise a power failure may lose it.

    Raises:
        ConfigurationError: ``base_path`` is there and is no directory.
    """

    errors: ClassVar[ErrorMap] = {
        PermissionError: StoragePermissionError,
        TimeoutError: StorageTimeoutError,
        Exception: StorageError,
    }

    def __init__(
        self,
        base_path: str | Path = DEFAULT_PATH,
        auto_create: bool = True,
        pretty_json: bool = False,
        *,
        allow_pickle: bool = False,
        durable: bool = True,
    ) -> None:
        super().__init__("filesystem", allow_pickle=allow_pickle)
        path = os.path.abspath(Path(base_path).expanduser())
        if os.path.exists(path) and not os.path.isdir(path):
            raise ConfigurationError(f"base_path {path} is not a directory", provider="filesystem")
        # It is made absolute, so that it stays the same wherever the process goes.
        sources = {"base_path": DEFAULT} if str(base_path) == DEFAULT_PATH else {}
        self.settings = FileSystemSettings(
            path, auto_create, pretty_json, allow_pickle, durable, sources=sources
        )
        self._start = ""
        self._tree = Tree(path)
        self._index = Index(path, durable=durable)
        self._reader = Reader(self._tree, self._index, self._foreign_format)
        self._writer = Writer(
            self._tree, self._index, self._reader, self._guarded, auto_create=auto_create, durable=durable
        )
        self._remover = Remover(self._tree, self._index, self._reader, durable=durable)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        found = FileSystemSettings.from_env(environ)
        try:
            provider = cls(found.base_path)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{found.sources['base_path']}: {error.message}", hint="Name a directory"
            ) from None
        provider.settings = replace(provider.settings, sources={**provider.settings.sources, **found.sources})
        return provider

    @property
    def base_path(self) -> Path:
        """The directory, absolute."""
        return Path(self.settings.base_path)

    @property
    def collection(self) -> str:
        """The directory below ``base_path`` this provider is bound to; ``""`` = ``base_path`` itself."""
        return self._start.removesuffix("/")

    # Records

    def encode(self, draft: Draft) -> Content:
        """The body to write for a draft."""
        return encode(
            draft.data,
            key=draft.key,
            format=draft.format,
            allow_pickle=self.allow_pickle,
            pretty=self.settings.pretty_json,
        )

    def put(self, items: Sequence[Item], *, overwrite: bool) -> list[StorageResult]:
        named = {self._start + item.draft.key: item for item in items}
        outcomes = self._writer.put(named, overwrite=overwrite)
        return [_result(item.draft.key, outcomes[name]) for name, item in named.items()]

    def read(self, keys: Sequence[str], *, bodies: bool = True) -> list[Stored | None]:
        self._check_root()
        names = [self._start + key for key in keys]
        found = self._reader.read(names) if bodies else self._reader.look(names)
        return [None if stored is None else self._own(stored) for stored in found]

    def remove(self, keys: Sequence[str]) -> list[bool]:
        self._check_root()
        return self._remover.remove([self._start + key for key in keys])

    def open(self, key: str) -> BinaryIO:
        self._check_root()
        found = self._reader.find(self._start + key)
        if found is None:
            raise KeyNotFoundError(f"No record under {key!r}", provider=self.name, key=key)
        if found.row is not None and is_expired(found.row):
            found.file.close()
            raise KeyNotFoundError(f"The record under {key!r} has expired", provider=self.name, key=key)
        return found.file.stream()

    # Queries

    def scan(self, request: Scan) -> Scanned:
        self._check_root()
        return scan(self._ground, request, self.load)

    def fill(self, rows: Sequence[Stored]) -> list[Stored | None]:
        return self.read([row.key for row in rows])

    def home(self) -> str:
        return ""

    def look(self, request: Look) -> Seen:
        self._check_root()
        return browsing.look(self, self._ground, request)

    def measure(self, path: str) -> Iterator[Measured]:
        self._check_root()
        return browsing.measure(self._ground, path)

    def collections(self) -> list[str]:
        self._check_root()
        return [self._start + name for name in self._tree.folders(self.collection)]

    def in_collection(self, name: str) -> Self:
        """The same directory and index, bound to one of its directories; ``""`` = ``base_path`` itself."""
        bound = copy(self)
        bound._start = f"{validate_key(name)}/" if name else ""  # noqa: SLF001 - a copy of ourselves
        return bound

    # Care

    def purge_expired(self) -> int:
        """Remove expired records, and what killed processes left behind; how many had expired."""
        self._check_root()
        return self._remover.purge(self._start)

    @changes
    def rebuild_index(self) -> int:
        """Make the index anew, for when it is broken or lost; how many records have their metadata again.

        The old index stays beside the new one under another name. Every row that can be read from it is
        taken over if its file is there and, by signature or digest, the one it describes. Data is not
        touched. Nobody should be writing meanwhile.
        """
        rows = [row for row in self._index.set_aside() if self._reader.proves(row)]
        if rows:
            self._index.add(rows)
        return len({row.key for row in rows})

    def health(self) -> str:
        path = str(self.settings.base_path)
        if not os.path.isdir(path):
            self._check_root()
            return f"{path}: will be made on the first write"
        if not is_allowed(path, os.R_OK | os.X_OK):
            raise StoragePermissionError(f"{path} cannot be read", hint="Check its permissions")
        self._index.rows([""])
        return path if is_allowed(path, os.W_OK) else f"{path}, read-only"

    def diagnose(self) -> Checkup:
        return examine(str(self.settings.base_path), self._index, self._tree, read_only=self.read_only)

    def close(self) -> None:
        self._index.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.settings, self.collection)

    @property
    def place(self) -> str:
        where = f", collection {self.collection!r}" if self._start else ""
        return f"{str(self.settings.base_path)!r}{where}"

    @contextmanager
    def _guarded(self, key: str | None) -> Iterator[None]:
        """The error boundary of one write, with advice."""
        try:
            with boundary(self, "store", key):
                yield
        except StorageError as error:
            if isinstance(error.__cause__, OSError):
                error.hint = error.hint or _ADVICE.get(error.__cause__.errno or 0)
            raise

    def _check_root(self) -> None:
        if not self.settings.auto_create and not os.path.isdir(self.settings.base_path):
            raise missing_root(str(self.settings.base_path))

    @property
    def _ground(self) -> Place:
        return Place(self._tree, self._index, self._reader, self._start)

    def _own(self, stored: Stored) -> Stored:
        """The record with the key it has in this collection."""
        return stored._replace(key=stored.key[len(self._start) :]) if self._start else stored

    def _foreign_format(self, name: str) -> str:
        return foreign(name, b"", allow_pickle=self.allow_pickle).format


def _restored(
    kind: type[FileSystemProvider], settings: FileSystemSettings, collection: str
) -> FileSystemProvider:
    provider = kind(
        settings.base_path,
        settings.auto_create,
        settings.pretty_json,
        allow_pickle=settings.allow_pickle,
        durable=settings.durable,
    )
    return provider.in_collection(collection) if collection else provider


def _result(key: str, outcome: Row | StorageError) -> StorageResult:
    if isinstance(outcome, StorageError):
        return StorageResult(success=False, key=key, error=outcome)
    return StorageResult(
        success=True,
        key=key,
        size=outcome.size,
        version=outcome.digest,
        created_at=moment(outcome.created_at),
        format=outcome.format,
    )
