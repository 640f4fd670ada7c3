"""Where to look, as a person writes it: ``s3://lab/reports/``, ``s3``, or ``praval://s3/reports/``."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, unquote

from praval_storage.base import CanBrowse
from praval_storage.filters import EVERYTHING, Compare, Node, Path, conjunction
from praval_storage.provider_set import ProviderSet
from praval_storage.reference import SCHEME

ENDS = ("/", ":")
"""What places usually end with, wherever they are."""


class Where(NamedTuple):
    """A place of a provider; without a storage type all providers.

    Attributes:
        storage_type: The provider.
        path: The place.
        keys: What is meant of it, where more is in it: the key, or what stands before the ``/`` in keys.
    """

    storage_type: str
    path: str
    keys: str = ""

    @property
    def url(self) -> str:
        """As a person writes it."""
        if self.keys:
            return f"{SCHEME}://{quote(self.storage_type, safe='')}/{quote(self.keys)}"
        return f"{self.storage_type}://{self.path}" if self.storage_type else "all providers"

    @property
    def name(self) -> str:
        """What stands last, a place or a record."""
        return self.keys or self.path

    def also(self, where: Node = EVERYTHING) -> Node:
        """A filter, and what tells the records that are meant from others in the place."""
        if not self.keys:
            return where
        beginning = self.keys if self.keys.endswith(ENDS) else f"{self.keys}/"
        mine = Compare(Path("key"), "prefix", beginning)
        return mine if where == EVERYTHING else conjunction([mine, where])


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
        return own(providers, storage_type, unquote(keys.partition("?")[0]) + path)
    if storage_type:
        check(providers, storage_type)
    return Where(storage_type, rest + path)


def last_part(key: str) -> int:
    """Where the last part of a key begins."""
    return max(key.rfind(end) for end in ENDS) + 1


def own(providers: ProviderSet, storage_type: str, keys: str = "") -> Where:
    """Where those records of a provider's own are whose keys begin so."""
    provider = providers[storage_type]
    if not isinstance(provider, CanBrowse):
        return Where(storage_type, keys)

    def work() -> Where:
        path = provider.place_of(keys)
        return Where(storage_type, provider.home(), keys) if path is None else Where(storage_type, path)

    return providers.call(storage_type, "look", None, work)


def check(providers: ProviderSet, storage_type: str) -> None:
    """Nothing if there is such a provider; it is not made for that.

    Raises:
        ProviderNotRegisteredError: There is none.
    """
    if storage_type not in providers:
        raise providers.unknown(storage_type)
