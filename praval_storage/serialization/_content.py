"""``Content``: an encoded value, what a backend keeps."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

from praval_storage.errors import SerializationError


@dataclass(frozen=True, slots=True)
class Content:
    """An encoded value.

    Attributes:
        format: Name of the format the body is in, one of ``FORMATS``.
        body: The bytes, or an open binary stream when the value was a file object or a path.
        types: JSON-able map of JSON pointer to type tag that restores what the body alone does not
            say; ``None`` when there is nothing to restore.
    """

    format: str
    body: bytes | BinaryIO
    types: dict[str, Any] | None = None

    def read(self) -> bytes:
        """The whole body; a stream is read to its end and closed if it was opened from a path."""
        if isinstance(self.body, bytes):
            return self.body
        try:
            return self.body.read()
        finally:
            self.close()

    def close(self) -> None:
        """Close the stream if it was opened here, from a path; the caller's own file stays open."""
        if isinstance(self.body, _OpenedFile):
            self.body.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _OpenedFile(io.BufferedReader):
    """A file that was opened on behalf of the caller, and is therefore ours to close."""


def open_path(path: Path) -> BinaryIO:
    """The file at ``path`` as a binary stream that :meth:`Content.close` closes."""
    try:
        return _OpenedFile(io.FileIO(path))
    except OSError as exc:
        raise SerializationError(f"The file {str(path)!r} cannot be read: {exc.strerror}") from exc
