"""The providers of one manager, and the one way to call them: errors, retries, timing, logging."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from threading import RLock
from time import perf_counter
from typing import TypeVar

from praval_storage.base import BaseStorageProvider, HasCollections, Writer, boundary, told
from praval_storage.display import did_you_mean, printable
from praval_storage.errors import (
    ConfigurationError,
    ProviderNotRegisteredError,
    StorageConnectionError,
    StorageError,
    UnsupportedOperationError,
    text_of,
)
from praval_storage.provider_calls import Calls, Health, Statistics
from praval_storage.read_only import reads_only, refusal
from praval_storage.registry import Factory, installed_names, made
from praval_storage.settings import Environment

T = TypeVar("T")
_Named = tuple[str, BaseStorageProvider]

logger = logging.getLogger("praval_storage")


class ProviderSet(Mapping[str, BaseStorageProvider]):
    """Providers by storage type, each made when it is first used; safe to use from several threads.

    Args:
        read_only: Whether all of them are for reading only.
    """

    def __init__(self, *, read_only: bool = False) -> None:
        self.read_only = read_only
        self._read_only: set[str] = set()
        self._lock = RLock()
        self._made: dict[str, BaseStorageProvider] = {}
        self._factories: dict[str, Factory] = {}
        self._bound: dict[tuple[str, str], BaseStorageProvider] = {}
        self._calls: dict[str, Calls] = {}
        self.changes = 0  # how often a provider came or went
        self.environ: Environment | None = None  # which one they were made from

    def __getitem__(self, name: str) -> BaseStorageProvider:
        self._check_name(name)
        if (ready := self._made.get(name)) is not None:
            return ready  # without waiting for another one that is being made
        with self._lock:
            if name not in self._made:
                if name not in self._factories:
                    raise self.unknown(name)
                provider = made(name, self._factories[name])
                self._made[name] = reads_only(provider, name) if self.is_read_only(name) else provider
            return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._factories, *self._made]))

    def __len__(self) -> int:
        return len(self._factories.keys() | self._made.keys())

    def __contains__(self, name: object) -> bool:
        return name in self._factories or name in self._made

    def __repr__(self) -> str:
        return f"Providers({', '.join(self)})"

    def register(
        self, name: str, provider: BaseStorageProvider | Factory, *, read_only: bool = False
    ) -> None:
        """Put a provider, or a function that makes one, under a name; what was there is closed.

        Raises:
            StorageError: That could not be closed; the new one is registered.
        """
        given: object = name  # notebooks are not type-checked
        if not isinstance(given, str) or not given.strip() or not given.isprintable():
            raise ConfigurationError(f"A storage type is a printable, non-empty str, not {name!r}")
        if isinstance(provider, type) or not (
            isinstance(provider, BaseStorageProvider) or callable(provider)
        ):
            raise ConfigurationError(
                f"Cannot register {provider!r} as {name!r}",
                hint="Pass an instance of a BaseStorageProvider subclass",
            )
        with self._lock:
            gone = self._forget(name) if name in self else []
            if read_only:
                self._read_only.add(name)
            if isinstance(provider, BaseStorageProvider):
                self._made[name] = reads_only(provider, name) if self.is_read_only(name) else provider
            else:
                self._factories[name] = provider
            self.changes += 1
        _close(gone)

    def unregister(self, name: str) -> None:
        """Forget a provider and close it; its data stays.

        Raises:
            StorageError: It could not be closed; it is forgotten.
        """
        with self._lock:
            if name not in self:
                raise ProviderNotRegisteredError(f"Provider {name!r} not registered")
            gone = self._forget(name)
            self.changes += 1
        _close(gone)

    def find(self, name: str, collection: str | None = None) -> BaseStorageProvider:
        """The provider of a storage type, bound to another of its collections when one is named."""
        provider = self[name]
        if collection is None:
            return provider
        with self._lock:
            if (name, collection) not in self._bound:
                able = self.require(name, HasCollections, "name a collection")
                self._bound[name, collection] = able.in_collection(collection)
            return self._bound[name, collection]

    def is_read_only(self, name: str) -> bool:
        """Whether a provider is for reading only."""
        return self.read_only or name in self._read_only

    def check_writable(self, name: str, operation: str, key: str | None = None) -> None:
        """Raise when a provider is for reading only; it is not made for that.

        Raises:
            StoragePermissionError: It is; the text says how to change it.
        """
        self._check_name(name)
        if self.is_read_only(name) and name in self:
            raise refusal(name, operation, key, whole=self.read_only)

    def writer(self, name: str, collection: str | None = None) -> Writer:
        """What changes the data of a storage type: every write of every operation goes through it."""
        return self.find(name, collection)

    def unknown(self, name: str) -> ProviderNotRegisteredError:
        """The error for a name that nothing is registered under, with what may have been meant."""
        provider = "" if name in installed_names() else ", provider"  # of another package by its name alone
        cure = did_you_mean(name, self, f"Add it: dm.register_provider({name!r}{provider}).")
        return ProviderNotRegisteredError(
            f"Provider {name!r} not registered", hint=f"{cure} Registered: {', '.join(self) or 'none'}"
        )

    def require(self, name: str, capability: type[T], operation: str, collection: str | None = None) -> T:
        """The provider as an instance of a capability.

        Raises:
            UnsupportedOperationError: It lacks the capability; the text names the providers that have it.
                None is made for that: each may have an error of its own.
        """
        provider = self.find(name, collection)
        if isinstance(provider, capability):
            return provider
        able = [other for other, ready in list(self._made.items()) if isinstance(ready, capability)]
        unknown = ", ".join(other for other in self if other not in self._made)
        raise UnsupportedOperationError(
            f"Provider {name!r} cannot {operation}",
            provider=name,
            hint=f"Of those registered, these can: {', '.join(able) or 'none'}"
            f"{unknown and f'; not used yet, so not known: {unknown}'}",
        )

    def call(
        self, name: str, operation: str, key: str | None, work: Callable[[], T], *, again: bool = True
    ) -> T:
        """Do one piece of work on a provider.

        A connection that is lost although the provider has answered before is tried once more, unless
        ``again`` is false because a second attempt would not mean the same.
        """
        try:
            return self._noted(name, operation, key, work)
        except StorageConnectionError:
            if not again or not self.calls(name).has_answered:
                raise
            logger.info("%s %s: connection lost, trying again", name, operation)
            return self._noted(name, operation, key, work)

    def health(self, name: str) -> Health:
        """Reach a provider once; a failure is the answer, not an exception."""
        started = perf_counter()
        try:
            detail = self.call(name, "health", None, self[name].health, again=False)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is why there is no answer
            ready = self.made(name)
            text = told(ready, error) if ready else text_of(error)
            return Health("down", text, perf_counter() - started)
        return Health("up", detail, perf_counter() - started)

    def calls(self, name: str) -> Calls:
        """How the calls of a provider went."""
        return self._calls.get(name) or self._calls.setdefault(name, Calls(name))

    def statistics(self) -> dict[tuple[str, str], Statistics]:
        """Figures of the calls, by provider and operation."""
        found = [(calls.name, dict(calls.statistics)) for calls in list(self._calls.values())]
        return {(name, operation): counts for name, each in found for operation, counts in each.items()}

    def place(self, name: str) -> str:
        """Where a provider is, once it has been made; it is not made for that."""
        return printable(self._made[name].place, 200) if name in self._made else ""

    def made(self, name: str) -> BaseStorageProvider | None:
        """A provider that has been made; it is not made for that."""
        return self._made.get(name)

    def remark(self, name: str) -> str:
        """A few words about a provider: what it may not do, and why it is down."""
        texts = ("read-only" if self.is_read_only(name) else "", self.calls(name).last.detail)
        return ", ".join(filter(None, texts))

    def close(self) -> None:
        """Close what was opened; every provider can be used again.

        Raises:
            StorageError: The first failure; the others are closed.
        """
        with self._lock:
            bound = [(name, provider) for (name, _), provider in self._bound.items()]
            self._bound.clear()
            opened = [*bound, *self._made.items()]
        _close(opened)

    def _forget(self, name: str) -> list[_Named]:
        """Take a provider out, and what is bound to its collections; they are to be closed."""
        self._factories.pop(name, None)
        self._calls[name] = Calls(name, self.calls(name).statistics)
        self._read_only.discard(name)
        gone = [(name, self._bound.pop(key)) for key in list(self._bound) if key[0] == name]
        if (provider := self._made.pop(name, None)) is not None:
            gone.append((name, provider))
        return gone

    def _check_name(self, name: object) -> None:
        if not isinstance(name, str):  # notebooks are not type-checked
            raise ConfigurationError(
                f"A storage type is a str, not {type(name).__name__}",
                hint=f"One of {', '.join(self) or 'none yet'}; is the order of the arguments right?",
            )

    def _noted(self, name: str, operation: str, key: str | None, work: Callable[[], T]) -> T:
        with self.calls(name).noted(operation, key), boundary(self[name], operation, key):
            return work()


def _close(opened: Iterable[_Named]) -> None:
    """Close all of them, whatever one raises. It may take long: nobody is to be kept waiting by a lock."""
    failures: list[Exception] = []
    for name, provider in opened:
        try:
            with boundary(provider, "close"):
                provider.close()
        except Exception as error:  # noqa: BLE001 - the first is raised below
            if isinstance(error, StorageError):
                error.provider = name
            failures.append(error)
    if failures:
        raise failures[0]
