"""The beginning of a record's body, and more of it by ranges: never the whole of a large object."""

from __future__ import annotations

import io
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from praval_storage.base import BaseStorageProvider, CanStream, boundary
from praval_storage.errors import KeyNotFoundError
from praval_storage.records import MISSING, Stored

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

WHOLE = 16 << 20
"""Largest body that is fetched from a provider which hands out whole bodies only."""
OF_PARQUET = 4 << 10
"""Bytes from the beginning of a Parquet file: what there is to say of it stands at the end."""
BUDGET = 16 << 20
"""Bytes that are read by range for one preview at most."""


class Scope(NamedTuple):
    """How much is looked at.

    Attributes:
        body: Bytes from the beginning of a body.
        text: Bytes of a text.
        rows: Rows of a table.
        hex: Bytes of a hex dump.
    """

    body: int = 1 << 20
    text: int = 4 << 10
    rows: int = 50
    hex: int = 512


IN_FULL = Scope(BUDGET, BUDGET, 1_000, 64 << 10)


class BudgetError(Exception):
    """More would have to be read than a preview may."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What was read of a record.

    Attributes:
        stored: The record; its body only where the provider gave it anyway.
        body: The first bytes of its body.
        size: Bytes of the whole body.
        scope: How much may be looked at.
        source: Provider that reads the rest by range; ``None`` = there is no rest, or no way to it.
    """

    stored: Stored
    body: bytes = field(repr=False)
    size: int
    scope: Scope
    source: CanStream | None = None

    @property
    def is_whole(self) -> bool:
        """Whether that is all of the body."""
        return len(self.body) == self.size

    def open(self) -> Window:
        """The whole body, to be read here and there."""
        if self.source is None:
            return Window(io.BytesIO(self.stored.body if self.stored.body is not None else self.body))
        return Window(_unbuffered(self.source.open(self.stored.key)), self.source)


def read(provider: BaseStorageProvider, key: str, scope: Scope) -> Beginning | Stored:
    """The beginning of a record; the record alone where the provider brings a value, or has too large a body.

    Raises:
        KeyNotFoundError: There is no such record, or it has expired.
    """
    [stored] = provider.read([key], bodies=False)
    if stored is not None and stored.body is None and stored.data is MISSING:
        if isinstance(provider, CanStream) and (stored.size is None or stored.size > scope.body):
            return _beginning(provider, stored, scope)
        if stored.size is not None and stored.size > max(WHOLE, scope.body):
            return stored
        [stored] = provider.read([key])
    if stored is None:
        raise KeyNotFoundError(f"No record under {key!r}")
    if stored.body is None:
        return stored
    return Beginning(stored, stored.body[: scope.body], len(stored.body), scope)


def _beginning(provider: CanStream, stored: Stored, scope: Scope) -> Beginning:
    with Window(_unbuffered(provider.open(stored.key)), provider) as window:
        body = window.take(OF_PARQUET if stored.format == "parquet" else scope.body)
        size = window.seek(0, io.SEEK_END)
    return Beginning(stored, body, size, scope, provider)


def _unbuffered(source: BinaryIO) -> io.RawIOBase | BinaryIO:
    """The file below: a buffer of some megabytes would read more than is asked for."""
    return source.detach() if isinstance(source, io.BufferedReader) else source


class Window(io.RawIOBase):
    """A body that counts what is read of it, and stops at a limit.

    A failing provider is told from a broken file, which libraries do not do: its errors are ours from here.
    """

    def __init__(self, source: io.RawIOBase | BinaryIO, provider: BaseStorageProvider | None = None) -> None:
        self._source = source
        self._provider = provider
        self._left = BUDGET

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        return self._source.tell()

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        self._left -= len(view)
        if self._left < 0:
            raise BudgetError
        with nullcontext() if self._provider is None else boundary(self._provider, "preview"):
            chunk = self._source.read(len(view)) or b""
        view[: len(chunk)] = chunk
        return len(chunk)

    def take(self, length: int) -> bytes:
        """The next bytes, fewer only at the end."""
        chunks = []
        while length > 0 and (chunk := self.read(length)):
            chunks.append(chunk)
            length -= len(chunk)
        return b"".join(chunks)

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()
