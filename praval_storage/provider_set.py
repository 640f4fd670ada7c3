"""The providers of one manager, and the one way to call them: errors, retries, timing, logging."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import RLock
from time import monotonic, perf_counter
from typing import TypeVar

from praval_storage.base import BaseStorageProvider, HasCollections, Writer, boundary
from praval_storage.display import Table, as_html, as_text, counted, printable
from praval_storage.errors import (
    ConfigurationError,
    ProviderNotRegisteredError,
    StorageConnectionError,
    StorageError,
    StorageTimeoutError,
    UnsupportedOperationError,
)
from praval_storage.options import options
from praval_storage.read_only import reads_only, refusal
from praval_storage.registry import Factory, installed_names, made

T = TypeVar("T")

logger = logging.getLogger("praval_storage")

_OF_A_CLASS = re.compile(r"^<?\w+[ (](?:at )?(.+)[>)]$")
"""A repr; what stands within it says where something is."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a provider answered.

    Attributes:
        status: ``"up"`` or ``"down"``.
        detail: A few words of the backend, or why it did not answer.
        seconds: How long the answer took.
    """

    status: str
    detail: str
    seconds: float


class HealthReport(dict[str, Health]):
    """Health by provider."""

    def __repr__(self) -> str:
        return as_text(self._table(_lasting))

    def _repr_html_(self) -> str:
        if options.stable_repr:
            return as_html(self._table(_lasting))
        return as_html(self._table(lambda each: (each.status, each.detail, took(each)), "took"))

    def _table(self, cells: Callable[[Health], Sequence[str]], *more: str) -> Table:
        up = sum(each.status == "up" for each in self.values())
        rows = [
            [printable(name), *(printable(cell, 300) for cell in cells(each))] for name, each in self.items()
        ]
        title = f"{counted(len(self), 'provider')}: {up} up, {len(self) - up} down"
        return Table(title, ("provider", "state", "detail", *more), rows, 0)


@dataclass(slots=True)
class Statistics:
    """Calls, failures and total seconds of one operation on one provider."""

    calls: int = 0
    failures: int = 0
    seconds: float = 0.0


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
        self._answered: set[str] = set()
        self._last: dict[str, Health] = {}
        self._errors: dict[str, str] = {}
        self._ended: dict[str, float] = {}
        self.statistics: dict[tuple[str, str], Statistics] = {}
        self.changes = 0  # how often a provider came or went
        self.origin = ""  # which environment they were made from, for people

    def __getitem__(self, name: str) -> BaseStorageProvider:
        self._check_name(name)
        if (ready := self._made.get(name)) is not None:
            return ready  # without waiting for another one that is being made
        with self._lock:
            if name not in self._made:
                if name not in self._factories:
                    raise self._unknown(name)
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
        """Put a provider, or a function that makes one, under a name; what was there is closed."""
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
            if name in self:
                self.unregister(name)
            if read_only:
                self._read_only.add(name)
            if isinstance(provider, BaseStorageProvider):
                self._made[name] = reads_only(provider, name) if self.is_read_only(name) else provider
            else:
                self._factories[name] = provider
            self.changes += 1

    def unregister(self, name: str) -> None:
        """Forget a provider and close it; its data stays."""
        with self._lock:
            if name not in self:
                raise ProviderNotRegisteredError(f"Provider {name!r} not registered")
            self._factories.pop(name, None)
            self._answered.discard(name)
            self._read_only.discard(name)
            self.changes += 1
            for key in [key for key in self._bound if key[0] == name]:
                self._bound.pop(key).close()
            if (provider := self._made.pop(name, None)) is not None:
                provider.close()

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

    def require(self, name: str, capability: type[T], operation: str, collection: str | None = None) -> T:
        """The provider as an instance of a capability.

        Raises:
            UnsupportedOperationError: It lacks the capability; the text names the providers that have it.
        """
        provider = self.find(name, collection)
        if isinstance(provider, capability):
            return provider
        able = [other for other in self if isinstance(self[other], capability)]
        raise UnsupportedOperationError(
            f"Provider {name!r} cannot {operation}",
            provider=name,
            hint=f"Of those registered, these can: {', '.join(able) or 'none'}",
        )

    def call(
        self, name: str, operation: str, key: str | None, work: Callable[[], T], *, again: bool = True
    ) -> T:
        """Do one piece of work on a provider.

        A connection that is lost although the provider has answered before is tried once more, unless
        ``again`` is false because a second attempt would not mean the same.
        """
        try:
            return self._timed(name, operation, key, work)
        except StorageConnectionError:
            if not again or name not in self._answered:
                raise
            logger.info("%s %s: connection lost, trying again", name, operation)
            return self._timed(name, operation, key, work)

    def health(self, name: str) -> Health:
        """Reach a provider once; a failure is the answer, not an exception."""
        started = perf_counter()
        try:
            detail = self.call(name, "health", None, self[name].health, again=False)
        except (StorageError, ImportError) as error:
            return Health("down", str(error), perf_counter() - started)
        return Health("up", detail, perf_counter() - started)

    def last_call(self, name: str) -> Health:
        """How the last call of a provider went."""
        return self._last.get(name, Health("unknown", "not used yet", 0.0))

    def place(self, name: str) -> str:
        """Where a provider is, once it has been made; it is not made for that."""
        return printable(_OF_A_CLASS.sub(r"\1", repr(self._made[name])), 200) if name in self._made else ""

    def made(self, name: str) -> BaseStorageProvider | None:
        """A provider that has been made; it is not made for that."""
        return self._made.get(name)

    def last_error(self, name: str) -> str:
        """What the last call that failed said; empty when the provider was not to blame for any."""
        return self._errors.get(name, "")

    def age(self, name: str) -> float | None:
        """Seconds since the last call ended."""
        ended = self._ended.get(name)
        return None if ended is None else monotonic() - ended

    def remark(self, name: str) -> str:
        """A few words about a provider: what it may not do, and why it is down."""
        texts = ("read-only" if self.is_read_only(name) else "", self.last_call(name).detail)
        return ", ".join(filter(None, texts))

    def close(self) -> None:
        """Close what was opened; every provider can be used again."""
        with self._lock:
            for provider in [*self._bound.values(), *self._made.values()]:
                provider.close()
            self._bound.clear()

    def _check_name(self, name: object) -> None:
        if not isinstance(name, str):  # notebooks are not type-checked
            raise ConfigurationError(
                f"A storage type is a str, not {type(name).__name__}",
                hint=f"One of {', '.join(self) or 'none yet'}; is the order of the arguments right?",
            )

    def _unknown(self, name: str) -> ProviderNotRegisteredError:
        provider = "" if name in installed_names() else ", provider"  # of another package by its name alone
        return ProviderNotRegisteredError(
            f"Provider {name!r} not registered",
            hint=f"Add it: dm.register_provider({name!r}{provider}). Registered: {', '.join(self) or 'none'}",
        )

    def _timed(self, name: str, operation: str, key: str | None, work: Callable[[], T]) -> T:
        started = perf_counter()
        failed = 1
        try:
            with boundary(self[name], operation, key):
                result = work()
            failed = 0
            self._answered.add(name)
            return result
        except StorageError as error:
            error.provider = name
            if isinstance(error, StorageConnectionError | StorageTimeoutError):
                self._last[name] = Health("down", type(error).__name__, perf_counter() - started)
            if not isinstance(error, LookupError | ValueError):  # the caller's own mistakes
                self._errors[name] = f"{operation}: {printable(str(error), 300)}"
            raise
        finally:
            seconds = perf_counter() - started
            self._ended[name] = monotonic()
            if not failed:
                self._last[name] = Health("up", "", seconds)
            entry = self.statistics.setdefault((name, operation), Statistics())
            entry.calls, entry.failures = entry.calls + 1, entry.failures + failed
            entry.seconds += seconds
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug(
                    "%s %s %r: %s in %.1f ms",
                    name,
                    operation,
                    key,
                    "failed" if failed else "ok",
                    seconds * 1e3,
                )


def _lasting(health: Health) -> Sequence[str]:
    # An address or a time would differ from run to run; a reason is worth it.
    return health.status, health.detail if health.status != "up" else ""


def took(health: Health) -> str:
    """How long a call took."""
    return f"{health.seconds * 1e3:.0f} ms" if health.seconds else ""
