"""``DataManager``: the one public door to every provider."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from threading import Lock
from typing import Self

from praval_storage.base import BaseStorageProvider, CanPurge
from praval_storage.display import as_html, as_text, code
from praval_storage.operations import Operations
from praval_storage.provider_set import HealthReport, ProviderSet, Statistics
from praval_storage.registry import provider_class
from praval_storage.transaction import Transaction


class DataManager(Operations):
    """Stores, finds, queries, searches and moves records on any number of providers.

    Everything that takes a reference also takes its URI; ``collection=`` reaches another directory, table,
    prefix or collection than the provider's own. Failures are raised as ``StorageError``. Safe to use from
    several threads.

    Args:
        providers: Providers by storage type; :func:`get_data_manager` has one with defaults.
    """

    def __init__(self, providers: Mapping[str, BaseStorageProvider] | None = None) -> None:
        self._providers = ProviderSet()
        for name, provider in (providers or {}).items():
            self._providers.register(name, provider)

    @property
    def providers(self) -> ProviderSet:
        """The registered providers by storage type; each is made when it is first looked at."""
        return self._providers

    def register_provider(
        self, name: str, provider: BaseStorageProvider | Callable[[], BaseStorageProvider]
    ) -> None:
        """Make a provider, or what a function returns when it is first needed, available as a storage type.

        A provider that was registered under the name is closed and replaced.
        """
        self._providers.register(name, provider)

    def unregister_provider(self, name: str) -> None:
        """Close and forget a provider. Its data stays where it is."""
        self._providers.unregister(name)

    def transaction(self) -> Transaction:
        """Several writes of which all stay or none: ``with dm.transaction() as tx: tx.store(...)``.

        Only what is done through ``tx`` takes part. See :class:`~praval_storage.transaction.Transaction`.
        """
        return Transaction(self._providers)

    def health(self, storage_type: str | None = None) -> HealthReport:
        """Reach each provider, or one, once: ``{name: Health(status, detail, seconds)}``. Raises nothing."""
        names = [*self._providers] if storage_type is None else [storage_type]
        return HealthReport({name: self._providers.health(name) for name in names})

    def purge_expired(self, storage_type: str | None = None) -> dict[str, int]:
        """Reclaim the space of expired records where the backend does not: how many, by provider."""
        names = [*self._providers] if storage_type is None else [storage_type]
        able = {name: provider for name in names if isinstance(provider := self._providers[name], CanPurge)}
        return {
            name: self._providers.call(name, "purge_expired", None, able[name].purge_expired) for name in able
        }

    def statistics(self) -> dict[tuple[str, str], Statistics]:
        """Calls, failures and seconds by (storage type, operation) since the manager was made."""
        return dict(self._providers.statistics)

    def close(self) -> None:
        """Let go of connections and files. The manager can be used again afterwards."""
        self._providers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return as_text(self._providers.overview("DataManager"))

    def _repr_html_(self) -> str:
        steps = [f"dm.list({next(iter(self._providers), '...')!r})", "dm.query(...)", "dm.health()"]
        return as_html(self._providers.overview("DataManager", in_full=True)) + code("   ".join(steps))


_default: DataManager | None = None
_default_lock = Lock()


_ALWAYS = ("filesystem", "qdrant")
_WHEN_NAMED = {
    "postgresql": ("POSTGRES_HOST", "DATABASE_URL"),
    "redis": ("REDIS_HOST", "REDIS_URL"),
    "s3": ("AWS_S3_BUCKET", "S3_BUCKET_NAME"),
}


def from_environment(environ: Mapping[str, str]) -> DataManager:
    """A manager with the default providers and those these environment variables name."""
    manager = DataManager()
    named = [name for name, variables in _WHEN_NAMED.items() if any(map(environ.get, variables))]
    for name in (*_ALWAYS, *named):
        manager.register_provider(name, partial(_from_environment, name, environ))
    return manager


def _from_environment(name: str, environ: Mapping[str, str]) -> BaseStorageProvider:
    return provider_class(name).from_env(environ)


def get_data_manager() -> DataManager:
    """The process-wide manager, made on the first call from the environment as it is then.

    It always has ``filesystem`` (``PRAVAL_STORAGE_PATH``, else ``./storage``) and ``qdrant`` (embedded beside
    it, unless ``QDRANT_URL`` names a server); ``postgresql`` with ``POSTGRES_HOST`` or ``DATABASE_URL``,
    ``redis`` with ``REDIS_HOST`` or ``REDIS_URL``, ``s3`` with ``AWS_S3_BUCKET``. Nothing is created,
    imported or connected before it is used.
    """
    global _default  # noqa: PLW0603 - the one manager of the process
    with _default_lock:
        if _default is None:
            _default = from_environment(dict(os.environ))
        return _default


def reset_data_manager() -> None:
    """Close the process-wide manager and forget it; the next one reads the environment anew."""
    global _default  # noqa: PLW0603 - the one manager of the process
    with _default_lock:
        if _default is not None:
            _default.close()
        _default = None
