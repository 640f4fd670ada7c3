"""Files in a directory, with metadata in one SQLite index beside them.

``provider`` is the class. ``tree`` and ``staging`` are about files, ``database``, ``index``, ``rows``,
``opaque`` and ``filters`` about the index; ``reader``, ``writer``, ``remover`` and ``listing`` bring the two
together.
"""

from praval_storage.providers.filesystem.provider import FileSystemProvider
from praval_storage.providers.filesystem.settings import FileSystemSettings

__all__ = ["FileSystemProvider", "FileSystemSettings"]
