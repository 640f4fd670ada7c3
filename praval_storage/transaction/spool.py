"""Bodies that wait to be put back: in memory while they are small together, then in a temporary file."""

from __future__ import annotations

import io
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, NamedTuple

IN_MEMORY = 16 << 20
"""All the bodies of a transaction may take so much memory."""
PIECE = 1 << 20


class Place(NamedTuple):
    """Where a body is in the spool."""

    start: int
    size: int


class Spool:
    """Bodies one after the other; the file has no name, so that nothing is left behind by a crash."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed with the transaction

    def keep(self, body: BinaryIO) -> Place:
        """Take a body in, piece by piece."""
        start = self._file.seek(0, io.SEEK_END)
        while piece := body.read(PIECE):
            self._file.write(piece)
        self._file.flush()  # a process that is forked off has nothing to write then
        return Place(start, self._file.tell() - start)

    def open(self, place: Place) -> BinaryIO:
        """A body, for reading. Only one can be read at a time from several threads."""
        return io.BufferedReader(_Window(self._file, place), PIECE)

    def close(self) -> None:
        """Forget all of them."""
        self._file.close()


class _Window(io.RawIOBase):
    """The part of a file that is one body."""

    def __init__(self, file: SpooledTemporaryFile[bytes], place: Place) -> None:
        self._file = file
        self._place = place
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._place.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        self._file.seek(self._place.start + self._at)
        piece = self._file.read(min(len(buffer), max(0, self._place.size - self._at)))
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
