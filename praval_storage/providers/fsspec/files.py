"""A folder of an fsspec file system: opened when first used, and again after a fork."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from threading import RLock
from typing import Any, BinaryIO, TypeVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

from praval_storage.providers.fsspec.settings import FsspecSettings

A = TypeVar("A")
B = TypeVar("B")
Info = dict[str, Any]

PIECE = 4 << 20
"""Bytes copied at a time."""
# What file systems call the things that change when a file is replaced.
_MARKS = ("ETag", "etag", "e_tag", "md5Hash", "generation", "mtime", "created", "last_modified")
_TIMES = ("LastModified", "last_modified", "mtime", "modified", "updated", "created")
# A file system that is closed in a forked child would wait for a thread that only its parent has.
_LEFT_TO_THE_PARENT: list[Any] = []
_IN_MEMORY = RLock()


class NoPlaceError(Exception):
    """The file system cannot give a file this name: a folder has it, or a file has that of a folder above."""


class Files:
    """A folder and everything in it; names are relative to it.

    Args:
        settings: Where it is.
        given: A ready file system to use instead of an own one.
    """

    def __init__(self, settings: FsspecSettings, given: Any = None) -> None:
        self._settings = settings
        self._given = given
        self._opened: tuple[Any, str] | None = None
        self._pid = os.getpid()
        self._lock = RLock()

    def path(self, name: str) -> str:
        """A name as its file system writes it."""
        root = self._ready()[1]
        return f"{root}/{name}" if name else root

    def info(self, name: str) -> Info | None:
        """What is known of a file; ``None`` when there is none."""
        with suppress(FileNotFoundError, NotADirectoryError):
            found: Info = self._system.info(self.path(name))
            return found if found.get("type") != "directory" else None
        return None

    def is_folder(self, name: str) -> bool:
        """Whether the name is that of a folder."""
        return bool(self._system.isdir(self.path(name)))

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes | None:
        """The body of a file, or a part of it; ``None`` when there is none."""
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            body: bytes = self._system.cat_file(self.path(name), start=start, end=end)
            return body
        return None

    def write(self, name: str, body: bytes | BinaryIO) -> None:
        """Write a file with the folders above it; of a file object all that is in it.

        Raises:
            NoPlaceError: The file system cannot give it this name.
        """
        path = self.path(name)
        try:
            try:
                self._write(path, body)
            except FileNotFoundError:
                self._system.makedirs(self._system._parent(path), exist_ok=True)  # noqa: SLF001 - no other way
                self._write(path, body)
        except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
            raise NoPlaceError(name) from error

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        with suppress(FileNotFoundError, NotADirectoryError):
            self._system.rm_file(self.path(name))

    def walk(self, folder: str) -> list[tuple[str, Info]]:
        """Every file below a folder with its name, in code point order."""
        try:
            found: dict[str, Info] = self._system.find(self.path(folder), detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        skip = len(self.path("")) + 1
        inside = f"{self.path(folder)}/"
        return sorted((path[skip:], info) for path, info in found.items() if path.startswith(inside))

    def folders(self, folder: str) -> list[str]:
        """Names of the folders in a folder."""
        return sorted({name for name, info in self.level(folder) if info["type"] == "directory"})

    def level(self, folder: str) -> list[tuple[str, Info]]:
        """Files and folders directly in a folder, each with its name there."""
        try:
            found: list[Info] = self._system.ls(self.path(folder), detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        # Of a file some file systems list the file itself, of a bucket some list its marker.
        inside = f"{self.path(folder)}/"
        named = ((info["name"].rstrip("/"), info) for info in found)
        return [(name.rpartition("/")[2], info) for name, info in named if f"{name}/" != inside]

    def each(self, work: Callable[[A], B], items: Iterable[A]) -> list[B]:
        """Do the same with every item, several at a time."""
        todo = list(items)
        if len(todo) < 2:
            return [work(item) for item in todo]
        with ThreadPoolExecutor(min(self._settings.max_concurrency, len(todo))) as pool:
            return list(pool.map(work, todo))

    def close(self) -> None:
        """Forget the file system; it is opened again when it is needed."""
        with self._lock:
            self._opened = None

    @property
    def scope(self) -> tuple[str, str]:
        """What two providers have in common that write to the same files."""
        system, root = self._ready()
        protocol = system.protocol
        return (protocol if isinstance(protocol, str) else protocol[0], root)

    @property
    def _system(self) -> Any:
        return self._ready()[0]

    def _ready(self) -> tuple[Any, str]:
        if self._pid != os.getpid():
            _LEFT_TO_THE_PARENT.append(self._opened)
            self._opened, self._pid, self._lock = None, os.getpid(), RLock()
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> tuple[Any, str]:
        if self._given is not None:
            return self._given, self._given._strip_protocol(self._settings.url).rstrip("/")  # noqa: SLF001
        options = dict(self._settings.storage_options)
        system, root = fsspec.core.url_to_fs(self._settings.url, skip_instance_cache=True, **options)
        if (cache := getattr(system, "dircache", None)) is not None:
            cache.use_listings_cache = False
        return system, root.rstrip("/")

    def _write(self, path: str, body: bytes | BinaryIO) -> None:
        if isinstance(body, bytes):
            with self._placing(path):
                self._system.pipe_file(path, body)
            return
        body.seek(0)
        with self._placing(path):
            opened = self._system.open(path, "wb")
        with opened as file:
            shutil.copyfileobj(body, file, PIECE)

    @contextmanager
    def _placing(self, path: str) -> Iterator[None]:
        """In memory a file gets its place when it is opened, even that of a folder that came meanwhile."""
        if not isinstance(self._system, MemoryFileSystem):
            yield
            return
        with _IN_MEMORY:
            if self._system.isdir(path):
                raise IsADirectoryError(path)
            yield


def mark(info: Info) -> str | None:
    """What tells one version of a file from another; ``None`` where the file system has nothing that does."""
    found = {name: _plain(info[name]) for name in _MARKS if info.get(name) is not None}
    return f"{info.get('size')} {found}" if found else None


def modified(info: Info) -> datetime | None:
    """When a file was last written, where the file system knows."""
    value = next((info[name] for name in _TIMES if info.get(name) is not None), None)
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str):
        with suppress(ValueError):
            value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return None


def _plain(value: Any) -> Any:
    return value.timestamp() if isinstance(value, datetime) else value
