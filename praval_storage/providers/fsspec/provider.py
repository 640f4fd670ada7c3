"""``FsspecProvider``: records on any file system that fsspec knows."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from praval_storage.base import ErrorMap
from praval_storage.diagnosis import Checkup
from praval_storage.errors import (
    ConfigurationError,
    StorageConnectionError,
    StorageError,
    StoragePermissionError,
    StorageTimeoutError,
)
from praval_storage.providers._objects import ObjectProvider
from praval_storage.providers._objects.silent import silent_options
from praval_storage.providers.fsspec.files import Files
from praval_storage.providers.fsspec.settings import FsspecSettings
from praval_storage.providers.fsspec.store import FileStore


class FsspecProvider(ObjectProvider):
    """Records as files of any file system that fsspec knows: ``memory://``, ``gs://``, ``az://``, ``sftp://``.

    The file ``<url>/<key>`` holds the data exactly as stored. Metadata, times, expiry and types are in a
    companion below ``<url>/.praval/`` that says which body it is about, so a body never gets the metadata of
    another, whoever is killed or overwrites files without knowing of companions. The few keys that cannot be
    files (``a`` beside ``a/b``) are kept below ``.praval``, too. Nothing is opened before the first use.

    What fsspec does not promise, this provider cannot either. Whether a write is atomic and durable is up to
    the file system. ``overwrite=False`` looks first and then writes: atomic among the threads of this process
    only. Two processes should not write one key at the same moment. ``S3Provider`` and ``FileSystemProvider``
    promise more for buckets on S3 and for local files. ``memory://`` belongs to the
    process and is shared by all who use it.

    Args:
        url: Folder as fsspec writes it, for example ``"gs://bucket/folder"``.
        storage_options: What else its file system needs to know, credentials among it.
        filesystem: A ready file system to use instead; it is never closed here.
        max_concurrency: Files read or written at the same time.
        allow_pickle: Write and read pickles. Reading a pickle runs code.

    Raises:
        ConfigurationError: ``url`` is none, or holds a password.
    """

    libraries = ("fsspec",)
    errors: ClassVar[ErrorMap] = {
        PermissionError: StoragePermissionError,
        TimeoutError: StorageTimeoutError,
        ConnectionError: StorageConnectionError,
        socket.gaierror: StorageConnectionError,
        Exception: StorageError,
    }

    def __init__(
        self,
        url: str,
        *,
        storage_options: Mapping[str, Any] | None = None,
        filesystem: Any = None,
        max_concurrency: int = 8,
        allow_pickle: bool = False,
    ) -> None:
        super().__init__("fsspec", allow_pickle=allow_pickle)
        if filesystem is not None and storage_options:
            raise ConfigurationError(
                "filesystem is given together with storage_options", hint="It brings its own"
            )
        self.settings = FsspecSettings(url, dict(storage_options or {}), max_concurrency)
        self._filesystem = filesystem

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        settings = FsspecSettings.from_env(environ)
        provider = cls(settings.url)
        provider.settings = settings
        return provider

    def health(self) -> str:
        super().health()
        return self.settings.url

    def diagnose(self) -> Checkup:
        return Checkup(findings=[*silent_options([self.settings.url.partition("://")[0]])])

    def secrets(self) -> Iterable[str]:
        return self.settings.secrets()

    def __getstate__(self) -> dict[str, Any]:
        if self._filesystem is not None:
            raise ConfigurationError(
                "A provider made with filesystem= cannot be pickled", hint="Make it with storage_options="
            )
        return super().__getstate__()

    @property
    def place(self) -> str:
        where = f", collection {self.collection!r}" if self._start else ""
        return f"{self.settings.url!r}{where}"

    def _make_store(self) -> FileStore:
        return FileStore(Files(self.settings, self._filesystem), self._foreign_format)
