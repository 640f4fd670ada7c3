"""Files below one directory and nothing outside it: opened, looked at and listed in key order.

Symbolic links may stay inside the directory; one that leads out of it is as good as not there. What was
*opened* is checked, not what was about to be opened, so exchanging a directory for a link in between does
not help (where there is no ``/proc``, the path is checked instead).
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from praval_storage.keys import MAX_KEY_BYTES, RESERVED_PREFIX, Passed, is_legal

CHUNK = 1 << 20

# What open and stat say of a name that no file can have, or that is a socket.
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO})
# Without O_NONBLOCK, opening a FIFO would wait for its other end.
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK

logger = logging.getLogger("praval_storage")


class Signature(NamedTuple):
    """What tells one version of a file from another without reading it."""

    mtime_ns: int
    size: int


class File:
    """An open regular file: stays the same version when its name is given to another."""

    __slots__ = ("fd", "signature")

    def __init__(self, fd: int, signature: Signature) -> None:
        self.fd = fd
        self.signature = signature

    def read(self) -> bytes:
        """The whole content."""
        body = os.read(self.fd, self.signature.size)
        if len(body) == self.signature.size:
            return body
        return b"".join([body, *self._chunks()])

    def digest(self) -> str:
        """The digest of the content, from the start."""
        os.lseek(self.fd, 0, os.SEEK_SET)
        found = hashlib.sha256()
        for chunk in self._chunks():
            found.update(chunk)
        os.lseek(self.fd, 0, os.SEEK_SET)
        return found.hexdigest()

    def stream(self) -> BinaryIO:
        """A file object that takes this one over."""
        return os.fdopen(self.fd, "rb")

    def close(self) -> None:
        """Let go of the file."""
        os.close(self.fd)

    def _chunks(self) -> Iterator[bytes]:
        while chunk := os.read(self.fd, CHUNK):
            yield chunk


class Tree:
    """The files below a directory, by names with ``/`` in them.

    Args:
        path: Absolute path of the directory; it need not exist.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._real = _with_slash(os.path.realpath(path))

    def absolute(self, name: str) -> str:
        """The path of a name; of the directory itself for an empty one."""
        return f"{self.path}/{name}" if name else self.path

    def open(self, name: str) -> File | None:
        """The regular file of this name, open for reading."""
        path = self.absolute(name)
        try:
            fd, followed = _open(path)
        except OSError as error:
            _check_absent(error)
            return None
        found = os.fstat(fd)
        is_ours = stat.S_ISREG(found.st_mode) and (
            not (followed or "/" in name) or self.holds(real_path(fd, path))
        )
        if is_ours:
            return File(fd, Signature(found.st_mtime_ns, found.st_size))
        os.close(fd)
        return None

    def stat(self, name: str, known: dict[str, bool]) -> os.stat_result | None:
        """What is known of the regular file of this name.

        Args:
            name: Name of the file.
            known: Which directories lie inside, filled in as they are met; use a new one for each call
                of a user.
        """
        path = self.absolute(name)
        try:
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode):
                found = os.stat(path)
                if not self.holds(os.path.realpath(path)):
                    return None
        except OSError as error:
            _check_absent(error)
            return None
        is_ours = stat.S_ISREG(found.st_mode) and self._is_inside(name.rpartition("/")[0], known)
        return found if is_ours else None

    def holds(self, real: str) -> bool:
        """Whether a real path lies inside the directory, or is it."""
        if _with_slash(real).startswith(self._real):
            return True
        # The directory itself may have been made, moved or linked since.
        self._real = _with_slash(os.path.realpath(self.path))
        return _with_slash(real).startswith(self._real)

    def folders(self, name: str) -> list[str]:
        """Names of the directories directly in a directory, in order."""
        return [
            entry.rstrip("/")
            for entry, _ in self._entries(name, self._roots(name), Passed(), descending=False)
            if entry.endswith("/")
        ]

    def level(self, start: str, prefix: str, passed: Passed) -> Iterator[str]:
        """What is directly in the directory ``start`` + ``prefix``, as it comes, directories with a slash.

        What is no legal key below ``start`` is left out, and counted in ``passed``, as in :meth:`walk`.

        Raises:
            PermissionError: The directory may not be read.
        """
        folder = start + prefix
        reals = self._roots(folder) if _is_legal_folder(folder) else ()
        longest = MAX_KEY_BYTES - len(prefix.encode())
        if not reals:
            return
        try:
            with os.scandir(self.absolute(folder)) as entries:
                for entry in entries:
                    name = self._name(entry, reals, passed)
                    if name and _fits(name, longest, passed):
                        yield name
        except OSError as error:
            _check_absent(error)

    def walk(
        self, start: str, prefix: str, passed: Passed, *, descending: bool
    ) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Every file whose name starts with ``start`` + ``prefix``, by code point of the whole name.

        Names that are no legal keys below ``start`` are left out and counted; files that are not regular
        are left out.
        """
        wanted = start + prefix
        folder = wanted[: wanted.rfind("/") + 1]
        if not _is_legal_folder(folder):
            return
        longest = len(start.encode()) + MAX_KEY_BYTES
        walked = self._walk(folder, self._roots(folder), wanted, passed, descending=descending)
        yield from (pair for pair in walked if _fits(pair[0], longest, passed))

    def leftovers(self, start: str, before: float) -> Iterator[str]:
        """Paths of our temporary files that nobody has touched since ``before``."""
        for folder, _, names in os.walk(self.absolute(start)):
            for name in names:
                path = f"{folder}/{name}"
                if is_temporary(name) and (found := _lstat(path)) is not None and found.st_ctime < before:
                    yield path

    def _walk(
        self, folder: str, reals: tuple[str, ...], wanted: str, passed: Passed, *, descending: bool
    ) -> Iterator[tuple[str, os.DirEntry[str]]]:
        for entry_name, entry in self._entries(folder, reals, passed, descending=descending):
            name = folder + entry_name
            if not entry_name.endswith("/"):
                if name.startswith(wanted):
                    yield name, entry
            elif name.startswith(wanted) or wanted.startswith(name):
                real = os.path.realpath(entry.path) if entry.is_symlink() else f"{reals[-1]}/{entry.name}"
                yield from self._walk(name, (*reals, real), wanted, passed, descending=descending)

    def _entries(
        self, folder: str, reals: tuple[str, ...], passed: Passed, *, descending: bool
    ) -> list[tuple[str, os.DirEntry[str]]]:
        """Files and directories in a directory, these with a slash: the order is that of whole names."""
        if not reals:
            return []
        try:
            with os.scandir(self.absolute(folder)) as entries:
                named = [(self._name(entry, reals, passed), entry) for entry in entries]
        except PermissionError as error:
            # One locked directory (lost+found) must not hide everything else.
            logger.warning("filesystem: %s was left out: %s", error.filename.rstrip("/"), error.strerror)
            return []
        except OSError as error:
            _check_absent(error)
            return []
        return sorted((pair for pair in named if pair[0]), key=_first, reverse=descending)

    def _name(self, entry: os.DirEntry[str], reals: tuple[str, ...], passed: Passed) -> str:
        """How the entry is listed; nothing when it is not."""
        name = entry.name
        if not (_is_plain(name) or passed.legal(name)):
            return ""
        if entry.is_symlink():
            return self._link_name(entry, reals)
        if entry.is_file(follow_symlinks=False):
            return name
        return f"{name}/" if entry.is_dir(follow_symlinks=False) else ""

    def _link_name(self, entry: os.DirEntry[str], reals: tuple[str, ...]) -> str:
        real = os.path.realpath(entry.path)
        if not self.holds(real):
            return ""
        if os.path.isfile(real):
            return entry.name
        # A link to a directory we are in would never end.
        is_loop = any(_with_slash(above).startswith(_with_slash(real)) for above in reals)
        return f"{entry.name}/" if os.path.isdir(real) and not is_loop else ""

    def _roots(self, folder: str) -> tuple[str, ...]:
        """The real path a walk starts from; none when it lies outside."""
        real = os.path.realpath(self.absolute(folder))
        return (real,) if self.holds(real) else ()

    def _is_inside(self, folder: str, known: dict[str, bool]) -> bool:
        if not folder:
            return True
        if folder not in known:
            known[folder] = self.holds(os.path.realpath(self.absolute(folder)))
        return known[folder]


def is_temporary(name: str) -> bool:
    """Whether a file of this name is one of ours that has not got its final name."""
    return name.startswith(f"{RESERVED_PREFIX}-")


def real_path(fd: int, path: str) -> str:
    """Where an open file or directory really is."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return os.path.realpath(path)


def _open(path: str) -> tuple[int, bool]:
    """A file descriptor, and whether the last part of the path was a link."""
    try:
        return os.open(path, _READ | os.O_NOFOLLOW), False
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    return os.open(path, _READ), True


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError as error:
        _check_absent(error)
        return None


def _check_absent(error: OSError) -> None:
    """Raise the error unless it means that there is no such file."""
    if error.errno not in _ABSENT:
        raise error


def _is_plain(name: str) -> bool:
    """Whether a part of a key is legal at first sight, as most are."""
    is_odd = name.startswith(RESERVED_PREFIX) or name in {"", ".", ".."} or "\\" in name
    return not is_odd and name.isascii() and name.isprintable()


def _is_legal_folder(folder: str) -> bool:
    return not folder or all(_is_plain(name) or is_legal(name) for name in folder[:-1].split("/"))


def _fits(name: str, longest: int, passed: Passed) -> bool:
    fits = len(name) <= longest // 4 or len(name.encode()) <= longest
    passed.over += not fits
    return fits


def _with_slash(path: str) -> str:
    return path if path.endswith("/") else f"{path}/"


def _first(pair: tuple[str, object]) -> str:
    return pair[0]
