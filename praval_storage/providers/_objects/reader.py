"""Bodies read piecewise: one range at a time, and as they come where the next range begins as one ended."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER = 4 << 20
"""Bytes asked for at a time when less is read."""


class Flow(Protocol):
    """A body on its way, from some place to its end."""

    def read(self, length: int, /) -> bytes:
        """The next bytes; fewer only at the end."""

    def close(self) -> None:
        """Stop it; waits for nothing."""


Fetch = Callable[[int, int], bytes]
"""The bytes from the first position up to the second."""
Begin = Callable[[int], Flow | None]
"""The body from a position on; ``None`` = not now."""


def reading(fetch: Fetch, size: int, begin: Begin | None = None) -> BinaryIO:
    """A body of ``size`` bytes as a seekable file object.

    Args:
        fetch: Reads a range.
        size: Of the body.
        begin: Reads on and on, which is faster than many ranges are: used after ``BUFFER`` bytes in a row,
            as nobody knows before whether more than a beginning is wanted.
    """
    return io.BufferedReader(_Ranges(fetch, size, begin), BUFFER)


class _Ranges(io.RawIOBase):
    def __init__(self, fetch: Fetch, size: int, begin: Begin | None) -> None:
        self._fetch = fetch
        self._size = size
        self._begin = begin
        self._flow: Flow | None = None
        self._place = 0
        self._ended = 0
        self._in_a_row = 0

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

    def close(self) -> None:
        self._stop()
        super().close()

    def _next(self, length: int) -> bytes:
        end = min(self._place + length, self._size)
        if self._place >= end:
            return b""
        chunk = self._flowing(end - self._place) or self._fetch(self._place, end)
        self._in_a_row = len(chunk) + (self._in_a_row if self._place == self._ended else 0)
        self._place += len(chunk)
        self._ended = self._place
        if self._place == self._size:
            self._stop()
        return chunk

    def _flowing(self, length: int) -> bytes:
        """The next bytes of the flow; none where there is no flow, or it broke off: a range is asked for."""
        if self._place != self._ended:
            self._stop()
        try:
            if self._flow is None and self._begin is not None and self._is_worth_it(length):
                self._flow = self._begin(self._place)
            return b"" if self._flow is None else self._flow.read(length)
        except Exception:  # noqa: BLE001 - the range that is asked for instead says what is wrong
            self._stop()
            return b""
        except BaseException:  # interrupted: how far it got nobody knows
            self._stop()
            raise

    def _is_worth_it(self, length: int) -> bool:
        follows = self._place == self._ended and self._in_a_row >= BUFFER
        return follows and self._size - self._place > length

    def _stop(self) -> None:
        flow, self._flow = self._flow, None
        if flow is not None:
            flow.close()
