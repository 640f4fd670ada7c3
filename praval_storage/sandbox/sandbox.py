"""``Sandbox``: all five backends for real, for as long as a block or a notebook runs."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Self, TypeVar

from praval_storage import providers
from praval_storage.base import BaseStorageProvider
from praval_storage.errors import ConfigurationError
from praval_storage.manager import DataManager
from praval_storage.sandbox.credentials import Credentials
from praval_storage.sandbox.folders import lock_folder, make_data_folder, make_run_folder, remove_leftovers
from praval_storage.sandbox.guardian import Guardian
from praval_storage.sandbox.postgresql import PostgreSQL
from praval_storage.sandbox.redis import Redis
from praval_storage.sandbox.s3 import S3
from praval_storage.sandbox.service import Place, Service

AnyServer = TypeVar("AnyServer", bound=Service)

SERVICES = ("filesystem", "s3", "postgresql", "redis", "qdrant")


class Sandbox:
    """A directory, an S3 endpoint, PostgreSQL, Redis and embedded Qdrant, started for real on free ports.

    ``with Sandbox() as dm:`` gives a manager that has all of them; :meth:`start` and :meth:`close` do without
    ``with``. Needs neither root nor Docker, and everything listens on this computer only.

    The servers are ended, and what is not kept is removed, by :meth:`close`, at the end of the process, and
    also when it is killed: a guardian process sees to it within a second.

    With a ``path`` the data is kept. What was acknowledged survives a killed owner on all five. When servers
    are killed themselves, S3 may lose the last second (moto keeps objects in memory; they are written down
    once a second). Of S3, buckets, objects, versions and tags are kept, but no policies, ACLs and unfinished
    uploads.

    Args:
        path: Folder that keeps the data between runs; by default a temporary one.
        services: Which to start.

    Raises:
        ImportError: A server's package is missing; the message says what to install.
        ConfigurationError: There is no such service.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, services: Iterable[str] = SERVICES
    ) -> None:
        self._path = None if path is None else Path(path)
        self._services = tuple(services)
        if unknown := set(self._services) - set(SERVICES):
            raise ConfigurationError(
                f"A sandbox has no {', '.join(sorted(unknown))}", hint=f"It has {', '.join(SERVICES)}"
            )
        self._owner = os.getpid()
        self._closing: ExitStack | None = None
        self._servers: dict[str, Service] = {}
        self._data = Path()
        self._manager = DataManager()

    def start(self) -> Self:
        """Start all services and wait until they answer; does nothing when they run.

        Raises:
            StorageConnectionError: A server does not start; the message has the end of its log.
            ConfigurationError: Another sandbox uses the folder.
        """
        if self._closing is None:
            remove_leftovers()
            with ExitStack() as stack:
                self._start(stack)
                self._closing = stack.pop_all()
            atexit.register(self.close)
        return self

    def _start(self, stack: ExitStack) -> None:
        stack.callback(self._servers.clear)
        place = self._make_place(stack)
        credentials = Credentials.of(place.data)
        makers: dict[str, Callable[[], Service]] = {
            "s3": lambda: S3(place, credentials.s3_access_key_id, credentials.s3_secret_access_key),
            "redis": lambda: Redis(place, credentials.redis),
            "postgresql": lambda: PostgreSQL(place, credentials.postgresql),
        }
        # All are under way before one is waited for, the slowest first.
        self._servers |= {name: make() for name, make in makers.items() if name in self._services}
        for server in self._servers.values():
            server.launch()
        for server in self._servers.values():
            server.wait()
        self._data = place.data
        self._manager = self._make_manager()
        stack.callback(self._manager.close)

    def _make_place(self, stack: ExitStack) -> Place:
        keep = self._path is not None
        locks: list[int] = []
        with ExitStack() as ours:
            data = None if self._path is None else make_data_folder(self._path)
            if data is not None:
                locks.append(lock_folder(data))
                ours.callback(os.close, locks[-1])  # the guardian has it then
            run, lock = make_run_folder()
            locks.append(lock)
            ours.callback(os.close, lock)
            guardian = Guardian(run, data or run, locks, keep=keep)
        stack.callback(guardian.close)
        return Place(guardian, run, data or run, keep=keep)

    def close(self) -> None:
        """End all services; data without a ``path`` is gone then. May be called again, and started again."""
        if self._closing is not None and os.getpid() == self._owner:
            atexit.unregister(self.close)
            closing, self._closing = self._closing, None
            closing.close()

    @property
    def manager(self) -> DataManager:
        """The manager that has all services as providers."""
        self._require_start()
        return self._manager

    def _make_manager(self) -> DataManager:
        makers: dict[str, Callable[[], BaseStorageProvider]] = {
            "filesystem": lambda: providers.FileSystemProvider(base_path=self.directory),
            "s3": self._make_s3,
            "postgresql": lambda: providers.PostgreSQLProvider(dsn=self.postgresql.dsn),
            "redis": lambda: providers.RedisProvider(url=self.redis.url),
            "qdrant": lambda: providers.QdrantProvider(path=self._data / "qdrant"),
        }
        manager = DataManager()
        for name in self._services:
            manager.register_provider(name, makers[name])
        return manager

    def _make_s3(self) -> BaseStorageProvider:
        return providers.S3Provider(
            S3.bucket,
            self.s3.access_key_id,
            self.s3.secret_access_key,
            S3.region,
            endpoint_url=self.s3.endpoint_url,
            auto_create=True,
        )

    @property
    def directory(self) -> Path:
        """The folder of the file system provider."""
        self._require_start()
        return self._data / "files"

    @property
    def postgresql(self) -> PostgreSQL:
        """The PostgreSQL server."""
        return self._server(PostgreSQL)

    @property
    def redis(self) -> Redis:
        """The Redis server."""
        return self._server(Redis)

    @property
    def s3(self) -> S3:
        """The S3 endpoint."""
        return self._server(S3)

    def _server(self, kind: type[AnyServer]) -> AnyServer:
        self._require_start()
        server = self._servers.get(kind.name)
        if not isinstance(server, kind):
            raise ConfigurationError(f"This sandbox was made without {kind.name}")
        return server

    def _require_start(self) -> None:
        if self._closing is None:
            raise ConfigurationError("The sandbox is not running", hint="sandbox.start()")

    def environment(self) -> dict[str, str]:
        """Environment variables with which ``get_data_manager()`` and other programs find these services.

        They hold passwords. ``QDRANT_PATH`` is one folder for one process at a time.
        """
        self._require_start()
        found: dict[str, str] = {}
        if "filesystem" in self._services:
            found["PRAVAL_STORAGE_PATH"] = str(self.directory)
        for server in self._servers.values():
            found |= server.variables()
        if "qdrant" in self._services:
            found |= {"QDRANT_PATH": str(self._data / "qdrant"), "QDRANT_COLLECTION": "praval_vectors"}
        return found

    def __enter__(self) -> DataManager:
        return self.start().manager

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._closing is None:
            return f"Sandbox({'' if self._path is None else repr(str(self._path))}): not running"
        servers = ", ".join(f"{name} {each.host}:{each.port}" for name, each in self._servers.items())
        kept = "kept" if self._path is not None else "removed at the end"
        return f"Sandbox: {servers}; data in {self._data}, {kept}"
