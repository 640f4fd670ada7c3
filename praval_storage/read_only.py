"""Providers that read only: the same provider seen through a class whose changing methods refuse.

The view shares its state, connections among it, with the provider it was made from, which stays as it was:
whoever has that object may still write through it. A method changes something when it, or what it overrides,
is marked with ``@changes``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from praval_storage.base import BaseStorageProvider, is_changing
from praval_storage.errors import StoragePermissionError

P = TypeVar("P", bound=BaseStorageProvider)


def reads_only(provider: P, name: str) -> P:
    """A provider that does all that another does, but for changing anything.

    Args:
        provider: The other; a view of it is made, and nothing about it changes.
        name: What it is registered as, for messages.
    """
    if provider.read_only:
        return provider
    kind = type(provider)
    methods = {method: _refusing(name, method) for method in dir(kind) if is_changing(kind, method)}
    more = {"__repr__": _repr(kind), "__reduce__": _reduced(kind, name)}
    # The metaclass of abstract classes, and the module that tracebacks and reprs show.
    facts = {"read_only": True, "__module__": kind.__module__, "__doc__": kind.__doc__}
    make: Callable[..., type[P]] = type(kind)
    return _sharing(make(kind.__name__, (kind,), {**methods, **more, **facts}), provider)


def refusal(
    name: str, operation: str | None = None, key: str | None = None, *, whole: bool = False
) -> StoragePermissionError:
    """The error for writing where only reading is wanted.

    Args:
        name: What the provider is registered as.
        operation: What was tried.
        key: Of which record.
        whole: Whether the manager is read-only, and not this provider alone.
    """
    if whole:
        what, cure = "This data manager is read-only", "Make one with DataManager(providers) to write"
    else:
        what = f"Provider {name!r} is registered read-only"
        cure = f"Register it without read_only=True to write: dm.register_provider({name!r}, provider)"
    return StoragePermissionError(what, provider=name, operation=operation, key=key, hint=cure)


def _refusing(name: str, method: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise refusal(name, method)

    return refuse


def _sharing(kind: type[P], provider: BaseStorageProvider) -> P:
    """An object of another class with the very state of a provider."""
    twin = kind.__new__(kind)
    twin.__dict__ = provider.__dict__
    return twin


def _repr(kind: type[BaseStorageProvider]) -> Callable[[Any], str]:
    return lambda view: f"{kind.__repr__(view)} (read-only)"


def _reduced(kind: type[BaseStorageProvider], name: str) -> Callable[[Any], Any]:
    return lambda view: (reads_only, (_sharing(kind, view), name))
