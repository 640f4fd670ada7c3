"""Whether the storage a function requires is there: each provider is asked once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from praval_storage.base import BaseStorageProvider
from praval_storage.decorators.view import Scope
from praval_storage.errors import ProviderNotRegisteredError, StorageConnectionError, StorageError
from praval_storage.provider_calls import Health


class Requirement:
    """Storage that must answer before a function runs.

    A provider that answered is not asked again until another one takes its place; one that did not is asked
    at the next call.

    Args:
        function: Name of the function, for messages.
        names: The providers it cannot do without; ``None`` = all there are.
        scope: Where they are found.
    """

    def __init__(self, function: str, names: tuple[str, ...] | None, scope: Scope) -> None:
        self._function = function
        self._names = names
        self._scope = scope
        self._answered: dict[str, BaseStorageProvider] = {}
        self._met_at: object = None

    def is_met(self) -> bool:
        """Whether every provider has answered before; asks none."""
        return self._met_at == self._scope.revision()

    def check(self) -> None:
        """Ask the providers that have not answered yet, all at once.

        Raises:
            ProviderNotRegisteredError: None of those that are missing is registered.
            StorageConnectionError: One or more do not answer. Either error names all that are missing.
        """
        revision = self._scope.revision()
        names = [*filter(self._is_open, self._scope if self._names is None else self._names)]
        with ThreadPoolExecutor(len(names) or 1) as threads:
            found = dict(zip(names, threads.map(self._ask, names), strict=True))
        if missing := {name: health for name, health in found.items() if health.status != "up"}:
            raise self._failure(missing)
        self._met_at = revision

    def __reduce__(self) -> Any:
        return type(self), (self._function, self._names, self._scope)

    def _is_open(self, name: str) -> bool:
        answered = self._answered.get(name)
        try:
            return answered is None or answered is not self._scope[name]
        except (StorageError, ImportError):  # it was unregistered, or cannot be made any more
            return True

    def _ask(self, name: str) -> Health:
        health = self._scope.health(name)
        if health.status == "up":
            self._answered[name] = self._scope[name]
        return health

    def _failure(self, missing: dict[str, Health]) -> StorageError:
        unregistered = not any(name in self._scope for name in missing)
        kind = ProviderNotRegisteredError if unregistered else StorageConnectionError
        reasons = "\n".join(f"- {name}: {health.detail}" for name, health in missing.items())
        return kind(f"{self._function} requires storage that is not available:\n{reasons}")
