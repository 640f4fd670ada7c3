"""Which providers a decorator names: some of the process-wide manager's, or some with their own settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from praval_storage.errors import ConfigurationError

Settings = Mapping[str, Any]
Providers = str | Iterable[str] | Mapping[str, Settings] | None
"""What the decorators take: a name, several, name -> settings, or ``None`` for all."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Providers by where they come from.

    Attributes:
        shared: Names in the process-wide manager; ``None`` = whatever it has.
        own: Name -> settings of the providers that are made for one function.
    """

    shared: tuple[str, ...] | None
    own: Mapping[str, Settings] = field(default_factory=dict, repr=False)  # settings hold passwords

    @property
    def names(self) -> tuple[str, ...] | None:
        """All names; ``None`` when they are whatever the process-wide manager has."""
        return None if self.shared is None else (*self.shared, *self.own)

    def __or__(self, other: Selection) -> Selection:
        """What either selects."""
        everything = self.shared is None or other.shared is None
        shared = None if everything else (*(self.shared or ()), *(other.shared or ()))
        return Selection(shared and tuple(dict.fromkeys(shared)), {**self.own, **other.own})


def selection(providers: Providers) -> Selection:
    """What the argument of a decorator selects.

    Raises:
        ConfigurationError: It is neither a name, nor several, nor a mapping of names to settings.
    """
    if providers is None:
        return Selection(None)
    if isinstance(providers, Mapping):
        own = {_name(name): _settings(name, settings) for name, settings in providers.items()}
        return Selection((), own)
    given: object = providers  # notebooks are not type-checked
    if isinstance(given, str) or not isinstance(given, Iterable):
        return Selection((_name(given),))
    return Selection(tuple(map(_name, given)))


def _name(given: object) -> str:
    if isinstance(given, str) and given:
        return given
    raise ConfigurationError(
        f"A provider is named by a non-empty str, not {type(given).__name__}",
        hint='Give names, as in providers=["filesystem"], or providers={"filesystem": {"base_path": "data"}}',
    )


def _settings(name: str, given: object) -> Settings:
    if isinstance(given, Mapping):
        return dict(given)
    raise ConfigurationError(
        f"The settings of provider {name!r} are a mapping of argument to value, not {type(given).__name__}"
    )
