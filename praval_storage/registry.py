"""Which providers there are: name -> class, imported on first use.

Other packages add theirs with the entry-point group ``praval_storage.providers``
(https://packaging.python.org/en/latest/specifications/entry-points/).
"""

from __future__ import annotations

from importlib.metadata import entry_points

from praval_storage import providers
from praval_storage.base import BaseStorageProvider
from praval_storage.errors import ConfigurationError, ProviderNotRegisteredError

GROUP = "praval_storage.providers"
_BUILT_IN = {built_in.module: name for name, built_in in providers.BUILT_IN.items()}


def provider_names() -> list[str]:
    """Names of all providers that can be made: built in, then those of other packages."""
    return [
        *_BUILT_IN,
        *sorted(point.name for point in entry_points(group=GROUP) if point.name not in _BUILT_IN),
    ]


def provider_class(name: str) -> type[BaseStorageProvider]:
    """The class behind a provider name.

    Raises:
        ProviderNotRegisteredError: Nothing is known by this name.
        ConfigurationError: An entry point names something that is no provider.
        ImportError: The driver is not installed; the text names the extra that brings it.
    """
    if name in _BUILT_IN:
        built_in: type[BaseStorageProvider] = getattr(providers, _BUILT_IN[name])
        return built_in
    for point in entry_points(group=GROUP, name=name):
        found = point.load()
        if isinstance(found, type) and issubclass(found, BaseStorageProvider):
            return found
        raise ConfigurationError(f"Entry point {point.value!r} is no BaseStorageProvider", provider=name)
    raise ProviderNotRegisteredError(
        f"Provider {name!r} not registered", hint=f"Known providers: {', '.join(provider_names())}"
    )
