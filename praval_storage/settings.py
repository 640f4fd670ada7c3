"""Settings of providers: frozen dataclasses whose fields name their variables, and know where they came from.

A field says which environment variables set it, the first of them that is set winning, and how their text is
read: ``port: int = field(default=6379, metadata=variables("REDIS_PORT", read=number))``. Precedence, highest
first: an argument of the provider's class (which reads no variable), a variable for one setting, a URL that
says several, the default. A field with ``repr=False`` is a secret, and no more is ever said of it than that
it is set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from praval_storage.errors import ConfigurationError

ARGUMENT, DEFAULT = "argument", "default"
"""Where a setting came from, when it was no variable."""

_VARIABLES, _READ = "variables", "read"
_YES_NO = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}
_SECRET = re.compile(r"password|passwd|secret|token|api_?key|credential", re.IGNORECASE)


class Environment(Mapping[str, str]):
    """Environment variables, and behind them those of a ``.env`` file.

    A variable of the environment goes before that of the file even when it is empty, which means that it is
    not set.

    Args:
        variables: The environment.
        file: The file.
        behind: What the file says.
    """

    def __init__(
        self, variables: Mapping[str, str], file: Path | None = None, behind: Mapping[str, str] | None = None
    ) -> None:
        self.file = file
        self._file_says = behind
        self._behind = {name: text for name, text in (behind or {}).items() if name not in variables}
        self._all = {**self._behind, **variables}

    def __getitem__(self, name: str) -> str:
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def renewed(self) -> Environment:
        """The variables of the process as they are by now, and behind them the same file's."""
        return Environment(dict(os.environ), self.file, self._file_says)

    def origin(self, name: str) -> str:
        """The variable, with the file that sets it if one does."""
        return f"{name} in {self.file}" if name in self._behind else name

    def __str__(self) -> str:
        return f"environment, and behind it {self.file}" if self.file else "environment"

    def __repr__(self) -> str:
        return f"Environment({len(self)} variables{f', some in {self.file}' if self.file else ''})"


@dataclass(frozen=True, slots=True)
class Settings:
    """What every class of settings has.

    Attributes:
        sources: Where settings came from that are neither arguments nor defaults, for people.
    """

    sources: Mapping[str, str] = field(default_factory=dict, kw_only=True, repr=False, compare=False)


S = TypeVar("S", bound=Settings)


class Setting(NamedTuple):
    """One setting as it may be shown: of a secret only whether it is set."""

    name: str
    value: str
    source: str


@dataclass(slots=True)
class Found:
    """What variables say: values by setting, and the variable of each."""

    values: dict[str, Any] = field(default_factory=dict, repr=False)
    sources: dict[str, str] = field(default_factory=dict)

    def add(self, setting: str, value: Any, source: str) -> None:
        """Set one setting."""
        self.values[setting], self.sources[setting] = value, source

    def without(self, names: Collection[str]) -> Found:
        """All but some settings."""
        kept = {name: value for name, value in self.values.items() if name not in names}
        gone = {name: f"{self.sources[name]}, not used" for name in self.values.keys() & set(names)}
        return Found(kept, {**self.sources, **gone})


def variables(*names: str, read: Callable[[str], Any] = str) -> dict[str, Any]:
    """Metadata of a field that is set by the first of these variables that is not empty."""
    return {_VARIABLES: names, _READ: read}


def gather(kind: type[Settings], environ: Mapping[str, str], skip: Collection[str] = ()) -> Found:
    """What the environment says of the fields of a class.

    Args:
        kind: The class.
        environ: Variables.
        skip: Fields that are not looked for.

    Raises:
        ConfigurationError: A text cannot be read; the message names its variable.
    """
    found = Found()
    for each in fields(kind):
        names = each.metadata.get(_VARIABLES, ()) if each.name not in skip else ()
        variable = next(filter(environ.get, names), None)
        if variable is not None:
            source = origin(environ, variable)
            found.add(each.name, _read(each, environ[variable], source), source)
    return found


def make(kind: type[S], found: Found) -> S:
    """The settings.

    Raises:
        ConfigurationError: They are not legal; the message names the variables to blame.
    """
    try:
        return kind(**found.values, sources=found.sources)
    except ConfigurationError as error:
        names = [found.sources[name] for name in found.values if _is_to_blame(kind, found, name, error)]
        raise ConfigurationError(
            f"{' and '.join(names)}: {error.message}" if names else error.message,
            hint=error.hint or "Correct or unset it",
        ) from None


def settle(
    kind: type[S],
    found: Found,
    url: str,
    joined: Callable[[str, Mapping[str, Any]], str],
    among: Collection[str],
) -> S:
    """The settings, where one of the variables may be a URL that says several of them.

    A variable for a single setting goes before the URL. One that names another host makes the URL be left
    out as a whole: the credentials of one server are not for another.

    Args:
        kind: Class of the settings; it takes over what its URL says.
        found: What variables say.
        url: Name of the setting that is the URL.
        joined: Makes of a URL the one that says some settings instead of its own.
        among: The settings a URL says.
    """
    single = found.without({url})
    settings = make(kind, single)
    if url not in found.values:
        return settings
    by_url = make(kind, found.without(found.values.keys() - {url}))
    given = {name: value for name, value in found.values.items() if name in among}
    if given.get("host", "") and getattr(by_url, "host", "") not in {"", given["host"]}:
        reason = f"{found.sources[url]}, not used: {found.sources['host']} names another server"
        return make(kind, Found(single.values, {**found.sources, url: reason}))
    whole = joined(found.values[url], given) if given else found.values[url]
    values = {name: value for name, value in single.values.items() if name not in given}
    implied = {name: found.sources[url] for name in among if getattr(by_url, name) is not None}
    return make(kind, Found({**values, url: whole}, {**implied, **found.sources}))


def origin(environ: Mapping[str, str], variable: str) -> str:
    """The variable, with the file that sets it if one does."""
    return environ.origin(variable) if isinstance(environ, Environment) else variable


def number(text: str) -> int:
    """A whole number.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        return int(text)
    except ValueError:
        hint = "Kubernetes sets it for a service of that name: unset it" if is_link(text) else None
        shown = "a URL" if "@" in text else repr(text)  # it may hold a password
        raise ConfigurationError(f"must be a number, not {shown}", hint=hint) from None


def yes_or_no(text: str) -> bool:
    """``true``, ``yes``, ``on`` or ``1``, or their opposites.

    Raises:
        ConfigurationError: It is something else.
    """
    if (answer := _YES_NO.get(text.strip().lower())) is None:
        raise ConfigurationError(f"must be yes or no, not {text!r}")
    return answer


def check_no_url(setting: str, text: object, instead: str, sign: str = "://") -> None:
    """Refuse a URL, or what may be one, where only a part of it is wanted: it may hold a password.

    Args:
        setting: Name of the setting, which is one that is shown.
        text: What it is set to.
        instead: The setting that takes URLs.
        sign: What tells, as a regular expression.

    Raises:
        ConfigurationError: It is one. Nothing of it is shown.
    """
    if isinstance(text, str) and re.search(sign, text, re.DOTALL):
        raise ConfigurationError(
            f"{setting} holds a URL or credentials",
            hint=f"{instead} takes a whole URL, with special characters of its password percent-encoded",
        )


def check_host(text: object, instead: str) -> None:
    """Refuse a host that holds more than a host; see :func:`check_no_url`."""
    check_no_url("host", text, instead, "://|.@")  # with @ at its start it is an abstract socket


def is_link(text: str | None) -> bool:
    """Whether it is what Kubernetes and Docker set for a service: ``REDIS_PORT=tcp://10.0.0.1:6379``."""
    return (text or "").startswith("tcp://")


def is_postgresql(url: str) -> bool:
    """Whether a ``DATABASE_URL`` is for PostgreSQL: many programs have one of another database."""
    return "://" not in url or url.startswith("postgres")


def described(settings: object, secrets: Iterable[str] = ()) -> list[Setting]:
    """The settings of a provider as they may be shown; none when they are no dataclass.

    Args:
        settings: A dataclass, of this package or another.
        secrets: Texts that are not shown, wherever they stand.
    """
    if not is_dataclass(settings) or isinstance(settings, type):
        return []
    sources: Mapping[str, str] = getattr(settings, "sources", {})
    hidden = [secret for secret in secrets if secret]
    shown = [each for each in fields(settings) if each.name != "sources"]
    return [_described(settings, each, sources.get(each.name), hidden) for each in shown]


def _described(settings: object, each: Field[Any], source: str | None, secrets: Iterable[str]) -> Setting:
    value = getattr(settings, each.name)
    default = each.default if each.default_factory is MISSING else each.default_factory()
    is_default = type(value) is type(default) and value == default
    if not each.repr or _SECRET.search(each.name):
        text = "set" if value else "not set"
    else:
        text = "not set" if value is None else str(value) or "''"
        for secret in secrets:
            text = text.replace(secret, "***")
    return Setting(each.name, text, source or (DEFAULT if is_default else ARGUMENT))


def _read(each: Field[Any], text: str, source: str) -> Any:
    try:
        return each.metadata[_READ](text)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{source} {error.message}", hint=error.hint or "Correct or unset it"
        ) from None


def _is_to_blame(kind: type[Settings], found: Found, name: str, error: ConfigurationError) -> bool:
    """Whether the complaint goes, or is another one, without this setting."""
    with suppress(TypeError):  # one that cannot be left out
        try:
            kind(**found.without({name}).values)
        except ConfigurationError as other:
            return other.message != error.message
    return True
