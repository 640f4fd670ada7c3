"""``@storage_enabled`` and ``@requires_storage``: functions and agents with storage.

Both work with and without arguments, in any order with each other and with praval's ``@agent``, on plain and
async functions, generators and methods. The process-wide manager is looked up when a function runs, not when
it is decorated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from praval_storage.decorators.agents import hand_over
from praval_storage.decorators.calls import Entry, wrapped
from praval_storage.decorators.requirement import Requirement
from praval_storage.decorators.selection import Selection, selection
from praval_storage.decorators.view import Made, Scope, StorageView
from praval_storage.errors import ConfigurationError

__all__ = ["requires_storage", "storage_enabled"]

Function = Callable[..., Any]
F = TypeVar("F", bound=Function)


# What it returns is ``Any``: a type cannot say that a function gains an attribute and an optional argument.
@overload
def storage_enabled(providers: Function) -> Any: ...
@overload
def storage_enabled(
    providers: str | Iterable[str] | Mapping[str, Mapping[str, Any]] | None = None,
) -> Callable[[Function], Any]: ...
def storage_enabled(providers: Any = None) -> Any:
    """Give a function storage: a data manager as ``function.storage``, limited to some providers.

    It is also passed as ``storage=`` to a function that has such a parameter, unless the caller passes one.
    Nothing is connected before it is used. On a function that is decorated twice, both count.

        @storage_enabled(providers=["filesystem", "postgresql"])
        def handle(spore):
            return handle.storage.store({"result": 1}, "filesystem")

    Args:
        providers: Name of a provider of the process-wide manager, or several; or, for providers that only
            this function has, a mapping of name to the settings of the provider's class, as in
            ``{"postgresql": {"host": "db1"}}``. All of the manager's when left out.

    Raises:
        ConfigurationError: ``providers`` is none of these, or what is decorated is no function.
    """
    return _decorator(providers, lambda selected: _Wishes(enabled=selected))


@overload
def requires_storage(providers: F) -> F: ...
@overload
def requires_storage(providers: str | Iterable[str] | None = None) -> Callable[[F], F]: ...
def requires_storage(providers: Any = None) -> Any:
    """Let a function run only when its storage answers; else it fails before its first line.

    The providers are asked at the first call, all at once, and not again until another one is registered in
    their place; those that failed are asked again at the next call. The error names everything that is
    missing, why, and what to do: a ``StorageConnectionError``, or ``ProviderNotRegisteredError`` when nothing
    of it is registered. A generator fails when it is first advanced, a coroutine when it is awaited.

    Args:
        providers: Name of a provider, or several. When left out, those of ``@storage_enabled`` on the same
            function, else all of the process-wide manager's.

    Raises:
        ConfigurationError: ``providers`` is none of these, or what is decorated is no function.
    """
    return _decorator(providers, _requiring)


@dataclass(frozen=True, slots=True)
class _Wishes:
    """The providers a function is given, and those it cannot do without."""

    enabled: Selection | None = None
    required: Selection | None = None

    def __or__(self, other: _Wishes) -> _Wishes:
        return _Wishes(_either(self.enabled, other.enabled), _either(self.required, other.required))


def _either(one: Selection | None, other: Selection | None) -> Selection | None:
    return one | other if one and other else one or other


def _requiring(selected: Selection) -> _Wishes:
    if selected.own:
        raise ConfigurationError(
            "@requires_storage takes names, no settings",
            hint="Give the settings to @storage_enabled on the same function",
        )
    return _Wishes(required=selected)


def _decorator(given: Any, wish: Callable[[Selection], _Wishes]) -> Any:
    if callable(given) or isinstance(given, classmethod):  # the decorator was written without parentheses
        return _decorated(given, wish(selection(None)))
    wishes = wish(selection(given))
    return lambda function: _decorated(function, wishes)


def _decorated(function: Any, wishes: _Wishes) -> Any:
    if isinstance(function, staticmethod | classmethod):
        return type(function)(_decorated(function.__func__, wishes))
    if not callable(function) or isinstance(function, type):
        raise ConfigurationError(
            f"Only functions are decorated with storage, not {function!r}",
            hint="Decorate the methods that need it",
        )
    bare, before = _undecorated(function)
    wishes = before | wishes
    decorated, storage = _with_storage(bare, wishes)
    # What @agent put on the function in between comes along.
    mine = {"__wrapped__": bare, "_praval_storage": (bare, wishes), **storage}
    vars(decorated).update({**getattr(function, "__dict__", {}), **mine})
    hand_over(function, decorated)
    return decorated


def _undecorated(function: Function) -> tuple[Function, _Wishes]:
    """The function below decorators of ours, and their wishes, so that another one adds to them."""
    bare, wishes = getattr(function, "_praval_storage", (function, _Wishes()))
    # Other decorators copy the attribute; then it tells of a function further down.
    is_ours = getattr(function, "__wrapped__", None) is bare
    return (bare, wishes) if is_ours else (function, _Wishes())


def _with_storage(function: Function, wishes: _Wishes) -> tuple[Function, dict[str, StorageView]]:
    """A function behind what was wished for it, and its ``storage`` attribute, if it has one."""
    name = getattr(function, "__qualname__", repr(function)).rpartition("<locals>.")[2]
    enabled = wishes.enabled or Selection(None)
    own = Made(enabled.own)
    view = StorageView(Scope(name, enabled.shared, own)) if wishes.enabled else None
    requirement = None
    if wishes.required:
        names = enabled.names if wishes.required.names is None else wishes.required.names
        requirement = Requirement(name, names, Scope(name, None, own))
    decorated = wrapped(function, Entry(function, requirement, view))
    return decorated, {"storage": view} if view else {}
