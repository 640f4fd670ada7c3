"""Which providers there are: name -> class, imported on first use.

Other packages add theirs with the entry-point group ``praval_storage.providers``
(https://packaging.python.org/en/latest/specifications/entry-points/). One that is broken is an error of
whoever asks for it, and of nobody else; none can take the name of a built-in one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from praval_storage import providers
from praval_storage.base import BaseStorageProvider
from praval_storage.display import did_you_mean
from praval_storage.errors import ConfigurationError, ProviderNotRegisteredError, StorageError, text_of
from praval_storage.settings import Environment

Factory = Callable[[], BaseStorageProvider]

GROUP = "praval_storage.providers"
_BUILT_IN = {built_in.module: name for name, built_in in providers.BUILT_IN.items()}


def provider_names() -> list[str]:
    """Names of all providers that can be made: built in, then those of other packages."""
    return [*_BUILT_IN, *installed_names()]


def installed_names() -> list[str]:
    """Names of the providers of other packages."""
    return sorted({point.name for point in entry_points(group=GROUP)} - _BUILT_IN.keys())


def provider_class(name: str) -> type[BaseStorageProvider]:
    """The class behind a provider name.

    Raises:
        ProviderNotRegisteredError: Nothing is known by this name.
        ConfigurationError: The package that offers it is broken, or several do.
        ImportError: The driver of a built-in one is not installed; the text names the extra that brings it.
    """
    if name in _BUILT_IN:
        built_in: type[BaseStorageProvider] = getattr(providers, _BUILT_IN[name])
        return built_in
    offers = {point.value: point for point in entry_points(group=GROUP, name=name)}
    if len(offers) > 1:
        raise ConfigurationError(
            f"Several packages offer a provider {name!r}: {', '.join(map(_origin, offers.values()))}",
            hint="Import the class that is meant, and register an instance of it",
        )
    for point in offers.values():
        return _loaded(point)
    known = provider_names()
    hint = f"{did_you_mean(name, known)} Known providers: {', '.join(known)}".lstrip()
    raise ProviderNotRegisteredError(f"Provider {name!r} not registered", hint=hint)


def make_provider(
    name: str, settings: Mapping[str, Any] | None = None, environ: Environment | None = None
) -> BaseStorageProvider:
    """A provider by its name.

    Args:
        name: As :func:`provider_class` knows it.
        settings: Arguments of its class; ``None`` = as environment variables say.
        environ: Has the ``.env`` file whose variables count as well.

    Raises:
        ConfigurationError: It has no such setting, or no variables; or the class cannot be had, as in
            :func:`provider_class`.
    """
    kind = provider_class(name)
    if settings is None:
        return made(name, partial(kind.from_env, (environ or Environment({})).renewed()))
    known = inspect.signature(kind).parameters
    takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known.values())
    if unknown := [setting for setting in settings if setting not in known and not takes_any]:
        raise ConfigurationError(
            f"Provider {name!r} has no setting {', '.join(map(repr, unknown))}",
            hint=f"Its settings: {', '.join(known) or 'none'}",
        )
    return made(name, partial(kind, **settings))


def made(name: str, factory: Factory) -> BaseStorageProvider:
    """What a function makes, for the provider that will have this name.

    Raises:
        ConfigurationError: It raises what does not say what to do, or gives something else.
    """
    try:
        provider = factory()
    except (StorageError, ImportError):
        raise
    except Exception as error:
        raise ConfigurationError(
            f"Provider {name!r} cannot be made: {type(error).__name__}: {text_of(error)}"
        ) from error
    given: object = provider  # notebooks are not type-checked
    if not isinstance(given, BaseStorageProvider):
        raise ConfigurationError(
            f"The function registered as {name!r} gives no provider, but {type(given).__name__}",
            hint="Return an instance of a BaseStorageProvider subclass",
        )
    return provider


def _loaded(point: EntryPoint) -> type[BaseStorageProvider]:
    try:
        found = point.load()
    except Exception as error:  # importing somebody's package may raise anything
        reason = f"{type(error).__name__}: {text_of(error)}"
        raise ConfigurationError(
            f"Provider {point.name!r} of {_origin(point)} cannot be loaded: {reason}",
            hint="Repair or uninstall that package",
        ) from error
    if not (isinstance(found, type) and issubclass(found, BaseStorageProvider)):
        raise ConfigurationError(
            f"Provider {point.name!r} of {_origin(point)} is no BaseStorageProvider but {found!r}"
        )
    return found


def _origin(point: EntryPoint) -> str:
    package = f"package {point.dist.name} {point.dist.version}" if point.dist else "a package"
    return f"{package} ({point.value})"
