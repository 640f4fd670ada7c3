"""Bodies read piecewise, one range at a time."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER = 4 << 20
"""Bytes asked for at a time when less is read."""

Fetch = Callable[[int, int], bytes]
"""The bytes from the first position up to the second."""


def reading(fetch: Fetch, size: int) -> BinaryIO:
    """A body of ``size`` bytes as a seekable file object."""
    return io.BufferedReader(_Ranges(fetch, size), BUFFER)


class _Ranges(io.RawIOBase):
    def __init__(self, fetch: Fetch, size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        chunk = self._next(len(view))
        view[: len(chunk)] = chunk
        return len(chunk)

    def readall(self) -> bytes:
        return self._next(self._size)

    def _next(self, length: int) -> bytes:
        end = min(self._place + length, self._size)
        if self._place >= end:
            return b""
        chunk = self._fetch(self._place, end)
        self._place += len(chunk)
        return chunk
