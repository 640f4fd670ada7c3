"""Files on their way: written beside their final name, made durable, then given it."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import BinaryIO, NamedTuple, Self

from praval_storage.errors import ConfigurationError, StoragePermissionError
from praval_storage.keys import RESERVED_PREFIX
from praval_storage.providers.filesystem.database import sync_folder
from praval_storage.providers.filesystem.tree import CHUNK, Signature, Tree, real_path

THREADS = 8
FOLDERS = 64
"""Directories that one group of names is in; each holds a file descriptor."""
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NOT_A_NAME = frozenset({errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP})
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})
# FAT keeps modification times to two seconds.
_COARSEST_NS = 2_000_000_000


class NotAFileNameError(Exception):
    """A key cannot be a file: too long, or a directory is in its place, or a file in the place of one."""


class Staged(NamedTuple):
    """A complete file under a temporary name; its descriptor is open until it is durable."""

    folder: Folder
    temporary: str
    fd: int
    signature: Signature
    digest: str


class Folder:
    """An open directory: stays the same when its name is given to another."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def look(self, name: str) -> os.stat_result | None:
        """What is under a name, itself if it is a link; ``None`` when nothing is."""
        try:
            with _names():
                return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def stage(self, body: bytes | BinaryIO, mode: int | None, taken: set[int]) -> Staged:
        """Write a file under a temporary name.

        Args:
            body: Its content.
            mode: Its permissions, if they are not to be the usual ones.
            taken: Modification times that versions of this record have had: this one gets another.
        """
        temporary = f"{RESERVED_PREFIX}-{secrets.token_hex(8)}.tmp"
        fd = os.open(temporary, _WRITE, 0o666, dir_fd=self.fd)
        try:
            digest = _copy(body, fd)
            if mode is not None:
                os.fchmod(fd, mode)
            return Staged(self, temporary, fd, _stamped(fd, taken), digest)
        except BaseException:
            os.close(fd)
            self.unlink(temporary)
            raise

    def replace(self, staged: Staged, name: str) -> None:
        """Give a staged file a name, taking it from what has it."""
        with _names():
            os.replace(staged.temporary, name, src_dir_fd=staged.folder.fd, dst_dir_fd=self.fd)

    def add(self, staged: Staged, name: str) -> None:
        """Give a staged file a name nothing has; a ``FileExistsError`` when something does."""
        try:
            os.link(
                staged.temporary, name, src_dir_fd=staged.folder.fd, dst_dir_fd=self.fd, follow_symlinks=False
            )
        except OSError as error:
            # Where there are no links, only those are kept out that hold the index's lock.
            if error.errno not in _NO_LINKS:
                raise
            self.replace(staged, name)

    def unlink(self, name: str) -> None:
        """Take a name away, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)


class Folders:
    """The directories one call writes to: each is opened, checked and made durable once.

    Args:
        tree: The directory everything lies in.
        auto_create: Whether that directory may be made.
        durable: Whether to wait until the disk has what was done.
    """

    def __init__(self, tree: Tree, *, auto_create: bool, durable: bool) -> None:
        self._tree = tree
        self._auto_create = auto_create
        self._durable = durable
        self._open: dict[str, Folder] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for folder in self._open.values():
            os.close(folder.fd)

    def get(self, path: str) -> Folder:
        """The directory of this name, made with all above it where it is missing.

        Raises:
            NotAFileNameError: A file is in the way.
            StoragePermissionError: A link leads out of the tree.
        """
        if path not in self._open:
            try:
                with _names():
                    fd = os.open(self._tree.absolute(path), _DIRECTORY)
                self._open[path] = self._checked(fd, path)
            except FileNotFoundError:
                self._open[path] = Folder(self._made(path))
        return self._open[path]

    def sync(self, folders: Iterable[Folder]) -> None:
        """Make the names in these directories durable."""
        if self._durable:
            sync_all([folder.fd for folder in folders])

    def _checked(self, fd: int, path: str) -> Folder:
        if not path or self._tree.holds(real_path(fd, self._tree.absolute(path))):
            return Folder(fd)
        os.close(fd)
        raise StoragePermissionError(
            f"{path!r} leads out of {self._tree.path} through a symbolic link",
            hint="Nothing is written through such a link; make a provider for the directory it leads to",
        )

    def _made(self, path: str) -> int:
        if not path:
            self._make_root()
            return os.open(self._tree.path, _DIRECTORY)
        above, _, name = path.rpartition("/")
        parent = self.get(above)
        with _names():
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=parent.fd)
                self.sync([parent])
            return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent.fd)

    def _make_root(self) -> None:
        if not self._auto_create:
            raise missing_root(self._tree.path)
        missing = []
        path = self._tree.path
        while not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        for path in reversed(missing):
            with suppress(FileExistsError):
                os.mkdir(path)
            if self._durable:
                sync_folder(os.path.dirname(path))


def groups(names: Iterable[str], most: int) -> Iterator[list[str]]:
    """The names in groups of so many at most, in few directories each: one is made durable for all in it."""
    group: list[str] = []
    folders: set[str] = set()
    for name in sorted(names, key=_above):
        if len(group) == most or (len(folders) == FOLDERS and _above(name) not in folders):
            yield group
            group, folders = [], set()
        group.append(name)
        folders.add(_above(name))
    if group:
        yield group


def sync_all(fds: Sequence[int]) -> None:
    """Make these files or directories durable."""
    if len(fds) == 1:
        os.fsync(fds[0])
        return
    # A journal writes what several threads wait for in one go.
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(os.fsync, fds))


def _above(name: str) -> str:
    return name.rpartition("/")[0]


def missing_root(path: str) -> ConfigurationError:
    """The error for a directory that is not there and must not be made."""
    return ConfigurationError(f"There is no directory {path}", hint="Make it, or pass auto_create=True")


def _copy(body: bytes | BinaryIO, fd: int) -> str:
    """Write a body; its SHA-256, what ``sha256sum`` says of the file."""
    digest = hashlib.sha256()
    if isinstance(body, bytes) and len(body) > CHUNK:
        # Both sides let go of the interpreter: a large frame is hashed while it is written.
        with ThreadPoolExecutor(1) as pool:
            hashed = pool.submit(digest.update, body)
            _write_all(fd, body)
            hashed.result()
        return digest.hexdigest()
    for chunk in _chunks(body):
        digest.update(chunk)
        _write_all(fd, chunk)
    return digest.hexdigest()


def _write_all(fd: int, body: bytes) -> None:
    done = os.write(fd, body)
    while done < len(body):
        done += os.write(fd, memoryview(body)[done:])


def _chunks(body: bytes | BinaryIO) -> Iterator[bytes]:
    if isinstance(body, bytes):
        yield body
        return
    while chunk := body.read(CHUNK):
        yield chunk


def _stamped(fd: int, taken: set[int]) -> Signature:
    """Give a file a modification time that is not taken."""
    wanted = time.time_ns()
    while True:
        os.utime(fd, ns=(wanted, wanted))
        found = os.fstat(fd)
        if found.st_mtime_ns not in taken:
            return Signature(found.st_mtime_ns, found.st_size)
        wanted += _COARSEST_NS


@contextmanager
def _names() -> Iterator[None]:
    """What the system says of names that cannot be, as one error."""
    try:
        yield
    except OSError as error:
        if error.errno in _NOT_A_NAME:
            raise NotAFileNameError(str(error)) from error
        raise
