"""Where to look, as a person writes it: ``s3://lab/reports/``, ``s3``, or ``praval://s3/reports/``."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote

from praval_storage.base import CanBrowse
from praval_storage.provider_set import ProviderSet
from praval_storage.reference import SCHEME


class Where(NamedTuple):
    """A place of a provider; without a storage type all providers."""

    storage_type: str
    path: str

    @property
    def url(self) -> str:
        """As a person writes it."""
        return f"{self.storage_type}://{self.path}" if self.storage_type else "all providers"


def where(providers: ProviderSet, text: str, path: str = "") -> Where:
    """The place a text names.

    A path is that of :class:`praval_storage.places.Place`; what follows ``praval://<storage type>/`` is the
    beginning of keys of the provider's own.

    Raises:
        ProviderNotRegisteredError: There is no such provider.
    """
    storage_type, separator, rest = text.partition("://")
    if storage_type == SCHEME and separator:
        storage_type, _, keys = rest.partition("/")
        storage_type = unquote(storage_type)
        check(providers, storage_type)
        return Where(storage_type, home(providers, storage_type) + unquote(keys.partition("?")[0]) + path)
    if storage_type:
        check(providers, storage_type)
    return Where(storage_type, rest + path)


def home(providers: ProviderSet, storage_type: str) -> str:
    """Path of a provider's own records."""
    provider = providers[storage_type]
    if not isinstance(provider, CanBrowse):
        return ""
    return providers.call(storage_type, "look", None, provider.home)


def check(providers: ProviderSet, storage_type: str) -> None:
    """Nothing if there is such a provider; it is not made for that.

    Raises:
        ProviderNotRegisteredError: There is none.
    """
    if storage_type not in providers:
        raise providers.unknown(storage_type)
