"""What a function sees of the process-wide manager: the providers it names, and those made for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from praval_storage.base import BaseStorageProvider, Writer
from praval_storage.decorators.selection import Settings
from praval_storage.environment import get_data_manager
from praval_storage.errors import ProviderNotRegisteredError
from praval_storage.manager import DataManager
from praval_storage.provider_calls import Calls, Statistics
from praval_storage.provider_set import ProviderSet
from praval_storage.registry import Factory, make_provider

T = TypeVar("T")


class Made(ProviderSet):
    """Providers that are made from settings when they are first used.

    Args:
        settings: Arguments of the provider's class, by provider name.
    """

    def __init__(self, settings: Mapping[str, Settings]) -> None:
        super().__init__()
        self._settings = settings
        for name, arguments in settings.items():
            self.register(name, partial(make_provider, name, arguments))

    def __reduce__(self) -> Any:
        # Connections stay behind, and what was registered in their place.
        return type(self), (self._settings,)


class Scope(ProviderSet):
    """The providers of one function: some of the process-wide manager's, and its own.

    The manager is looked up at every use, so that a reset and what is registered later are seen. What is
    called on a provider is called through the set it belongs to, which counts it and keeps its connections.

    Args:
        function: Name of the function, for messages.
        shared: Names in the process-wide manager; ``None`` = whatever it has.
        own: What was made for the function.
    """

    def __init__(self, function: str, shared: tuple[str, ...] | None, own: Made) -> None:
        super().__init__()
        self._function = function
        self._shared = shared
        self._own = own

    def __getitem__(self, name: str) -> BaseStorageProvider:
        return self._home(name)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._registered())

    def __len__(self) -> int:
        return len(self._registered())

    def __contains__(self, name: object) -> bool:
        return name in self._registered()

    def register(
        self, name: str, provider: BaseStorageProvider | Factory, *, read_only: bool = False
    ) -> None:
        """Put a provider under one of the function's names, in the set that name belongs to."""
        self._home(name).register(name, provider, read_only=read_only)

    def unregister(self, name: str) -> None:
        """Forget one of the function's providers in the set it belongs to."""
        self._home(name).unregister(name)

    def is_read_only(self, name: str) -> bool:
        """Whether a provider is for reading only in the set it belongs to."""
        return self._home(name).is_read_only(name)

    def check_writable(self, name: str, operation: str, key: str | None = None) -> None:
        """Raise when a provider is for reading only in the set it belongs to."""
        self._home(name).check_writable(name, operation, key)

    def find(self, name: str, collection: str | None = None) -> BaseStorageProvider:
        """The provider of a storage type, bound to another of its collections when one is named."""
        return self._home(name).find(name, collection)

    def writer(self, name: str, collection: str | None = None) -> Writer:
        """What changes the data of a storage type, as the set it belongs to gives it."""
        return self._home(name).writer(name, collection)

    def call(
        self, name: str, operation: str, key: str | None, work: Callable[[], T], *, again: bool = True
    ) -> T:
        """Do one piece of work on a provider, as the set it belongs to does it."""
        return self._home(name).call(name, operation, key, work, again=again)

    def calls(self, name: str) -> Calls:
        """How the calls of a provider went, the function's or another's."""
        return self._home(name).calls(name)

    def place(self, name: str) -> str:
        """Where a provider is, once it has been made."""
        return self._home(name).place(name)

    def close(self) -> None:
        """Close what was made for the function; what is shared is the process-wide manager's to close."""
        self._own.close()

    def statistics(self) -> dict[tuple[str, str], Statistics]:
        """Figures of the function's providers, wherever they are kept; of shared ones also others' calls."""
        shared = self._registered().keys() - self._own.keys()
        counted = get_data_manager().statistics()
        mine = {entry: counts for entry, counts in counted.items() if entry[0] in shared}
        return {**mine, **self._own.statistics()}

    def revision(self) -> tuple[DataManager, int, int]:
        """Equal as long as the names stand for the same providers."""
        manager = get_data_manager()
        return manager, manager.providers.changes, self._own.changes

    def __reduce__(self) -> Any:
        return type(self), (self._function, self._shared, self._own)

    def _registered(self) -> dict[str, None]:
        there = get_data_manager().providers
        shared = there if self._shared is None else filter(there.__contains__, self._shared)
        return dict.fromkeys([*shared, *self._own])

    def _home(self, name: str) -> ProviderSet:
        if name in self._own:
            return self._own
        if self._shared is None or name in self._shared:
            return get_data_manager().providers
        raise ProviderNotRegisteredError(
            f"Provider {name!r} is not among those of {self._function}:"
            f" {', '.join([*self._shared, *self._own]) or 'none'}",
            hint=f"Add {name!r} to its @storage_enabled(providers=...), or use get_data_manager()",
        )


class StorageView(DataManager):
    """A data manager for one function, limited to the providers it was enabled for.

    It has every method of :class:`DataManager`. Another provider raises ``ProviderNotRegisteredError``, which
    names the function and its providers. Closing it closes only what was made from the function's own
    settings.

    Args:
        scope: The function's providers.
    """

    _providers: Scope

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self._providers = scope

    def __reduce__(self) -> Any:
        # In another process it finds that process's manager.
        return type(self), (self._providers,)
